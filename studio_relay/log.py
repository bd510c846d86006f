"""Log lines as JSON with the ids of the call they belong to; decides nothing about what is logged.

Nothing from outside can forge a line or fill the log:
* A line is one JSON object, in which every control character is escaped, and its message is cut.
* What repeats is told once, and counted. Whoever logs it says so: `extra=REPEATS` for what is the same for all calls
  (a store that fails), `extra=REPEATS_IN_CALL` for what may fill the log of one call (frames that are refused). The
  first line appears at once. Those that follow within `FOLD_SECONDS` appear as one, with their number, at the end.

Plugins log under whatever name they like, so the root logger writes JSON too. A line of a plugin's own code
appears from the level of the setting on; one of a library only from warning on. Where it comes from is told by the
file it was logged in: `adopt()` says which files belong to plugins.
"""

from __future__ import annotations

import atexit
import json
import logging
import math
import os
import sys
import threading
import time
from collections.abc import Iterable
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

    _Stream = logging.StreamHandler[TextIO]
else:
    _Stream = logging.StreamHandler

CALL: ContextVar[str] = ContextVar("studio_relay_call", default="")
SESSION: ContextVar[str] = ContextVar("studio_relay_session", default="")

REPEATS = {"repeats": "process"}
REPEATS_IN_CALL = {"repeats": "call"}
FOLD_SECONDS = 60.0

_OURS = ("studio_relay", "asyncio", "py.warnings")
_LONGEST_MESSAGE = 8_000
_MOST_KINDS = 1_000  # of lines that are folded at a time


def shown(text: str, most: int = 120) -> str:
    """Text from outside as it may stand in a line: escaped ASCII, at most so many characters."""
    safe = ascii(text[:most])[1:-1]
    return safe if len(safe) <= most and len(text) <= most else safe[: most - 1] + "…"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the call and session, and `fields` of the record."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _cut(record.getMessage()),
        }
        if call := CALL.get():
            line |= {"call": call, "session": SESSION.get()}
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return _printable(json.dumps(line, ensure_ascii=False))


def _cut(message: str) -> str:
    left_out = len(message) - _LONGEST_MESSAGE
    return message if left_out <= 0 else f"{message[:_LONGEST_MESSAGE]}… ({left_out} characters left out)"


def _printable(line: str) -> str:
    """JSON without what a terminal or a reader of lines may act on: controls, separators, marks that turn text."""
    if line.isprintable():
        return line
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in line)


@dataclass
class _Fold:
    """Lines that are alike: the last of them, how many were held back, and when to tell of them."""

    record: logging.LogRecord
    context: Context
    due: float
    count: int = 0


class Folding(logging.Filter):
    """Holds back what repeats, and gives `handler` one line with its number when `seconds` are over."""

    def __init__(self, handler: logging.Handler, *, seconds: float = FOLD_SECONDS) -> None:
        super().__init__()
        self._handler = handler
        self._seconds = seconds
        self._folds: dict[tuple[str, str, str], _Fold] = {}  # the earliest due first
        self._lock = threading.Lock()
        atexit.register(self.tell, everything=True)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line appears now."""
        repeats = getattr(record, "repeats", "process" if record.name == "asyncio" else None)
        if repeats is None or getattr(record, "is_folded", False):
            return True
        with self._lock:
            among = CALL.get() if repeats == "call" else repeats
            key = (record.name, str(record.msg), among if len(self._folds) < _MOST_KINDS else "")
            fold = self._folds.get(key)
            if fold is not None:
                fold.record, fold.count = record, fold.count + 1
                return False
            self._folds[key] = _Fold(record, copy_context(), time.monotonic() + self._seconds)
            if len(self._folds) == 1:
                self._wait(self._seconds)
        return True

    def _wait(self, seconds: float) -> None:
        timer = threading.Timer(seconds, self.tell)
        timer.daemon = True
        timer.start()

    def tell(self, *, everything: bool = False) -> None:
        """Tell of what is due, and come back for the rest; of everything at the end of the process."""
        now = math.inf if everything else time.monotonic()
        with self._lock:
            due = [key for key, fold in self._folds.items() if fold.due <= now]
            over = [self._folds.pop(key) for key in due]
            if self._folds:
                self._wait(max(0.0, next(iter(self._folds.values())).due - now))
        for fold in over:
            if fold.count:
                told = logging.makeLogRecord(fold.record.__dict__ | {"is_folded": True, "args": None})
                told.msg = f"{fold.record.getMessage()} ({fold.count} more like it)"
                fold.context.run(self._handler.handle, told)


class _Root(_Stream):
    """Writes what plugins and libraries log. Another class than the others', so that it can be found again."""

    def __init__(self, *, alone: bool) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(JsonFormatter())
        self._alone = alone  # else somebody else writes the lines of libraries
        self.addFilter(self._is_told)

    def _is_told(self, record: logging.LogRecord) -> bool:
        return (self._alone and record.levelno >= logging.WARNING) or record.pathname.startswith(_adopted)


_adopted: tuple[str, ...] = ()  # files, and folders with a separator at their end


def adopt(code: Iterable[PurePath]) -> None:
    """Write the lines that are logged in these files and folders, which are a plugin's own, as this package's are."""
    global _adopted
    places = (str(path) if path.suffix == ".py" else f"{path}{os.sep}" for path in code)
    _adopted = tuple(dict.fromkeys((*_adopted, *places)))


def configure(level: str) -> None:
    """Send log lines to standard error as JSON, `level` and above. Replaces an earlier set-up of ours.

    Those are the lines of this package, of asyncio, of plugins, and Python's warnings; of libraries those from
    warning on, unless the root logger has a handler already.
    """
    _configure_root(level)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(Folding(handler))
    logging.captureWarnings(True)
    for name in _OURS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level.upper() if name == "studio_relay" else logging.WARNING)
        logger.propagate = False


def _configure_root(level: str) -> None:
    root = logging.getLogger()
    others = [handler for handler in root.handlers if not isinstance(handler, _Root)]
    root.handlers = [*others, _Root(alone=not others)]
    root.setLevel(min(root.level or logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))
