"""Puts lines in order and in their files: masks, joins what came in pieces, appends, renames.

Everything here runs in the recorder's thread, one call after another; nothing here knows of the event loop.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import chain, count
from pathlib import Path
from typing import Any

from studio_relay.errors import RemoteProtocolError
from studio_relay.protocol.messages import Setup
from studio_relay.protocol.parsing import parse
from studio_relay.recording.masking import Masker, run_goes_on

FORMAT = 1
"""The version of the form, as the first line of a file tells it."""

_log = logging.getLogger(__name__)

_MAX_BYTES = 262_144
_MAX_EARLY = 50
_MAX_HELD = 64
_CALLS_REMEMBERED = 1_000

_Made = Callable[[Masker], dict[str, Any]]


@dataclass(kw_only=True)
class _Call:
    """One file: lines that wait to be written, and what must stay the same over the sockets of a call."""

    path: Path
    zero: float
    masker: Masker
    sessions: int = 0
    live: int = 0
    waiting: list[str] = field(default_factory=list)
    broken: bool = False

    def add(self, at: float, line: Mapping[str, Any]) -> None:
        self.waiting.append(_json({"ms": round((at - self.zero) * 1000), **line}))

    def save(self) -> None:
        """Appends what waits to the `.part` file, and gives it its final name while no socket is open."""
        if self.waiting and not self.broken:
            try:
                self._append("".join(self.waiting).encode("utf-8"))
            except OSError as error:
                self.broken = True
                _log.warning("recording %s stopped: %s", self.path.name, error.strerror)
        self.waiting.clear()

    def _append(self, data: bytes) -> None:
        part = _part(self.path)
        if not part.exists() and self.path.exists():
            os.replace(self.path, part)
        handle = os.open(part, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "ab", buffering=0) as file:
            file.write(data)
        if not self.live:
            os.replace(part, self.path)


class Desk:
    """Every call that is being recorded, or was lately."""

    def __init__(self, folder: Path, *, full: bool, wall: Callable[[], datetime]) -> None:
        self._folder = folder
        self._full = full
        self._wall = wall
        self._calls: OrderedDict[str, _Call] = OrderedDict()
        self._early_http: OrderedDict[str, deque[tuple[float, _Made]]] = OrderedDict()
        self._changed: dict[int, _Call] = {}

    def call_of(self, setup: Setup, zero: float) -> _Call:
        """The call's file; begun with the first session of the call, gone on with in later ones."""
        call = self._calls.get(setup.call_sid)
        if call is None:
            call = _Call(path=self._free_path(setup.call_sid), zero=zero, masker=Masker(full=self._full))
            self._calls[setup.call_sid] = call
            early = self._early_http.pop(setup.call_sid, ())
            first = early[0][0] if early else zero
            self.add(call, first, lambda _: self._head(setup.dialect))
            for at, made in early:
                self.add(call, at, made)
        self._calls.move_to_end(setup.call_sid)
        call.sessions += 1
        call.live += 1
        self._forget()
        return call

    def http(self, at: float, call_sid: str, path: str, form: Mapping[str, str] | None, response: str | None) -> None:
        def made(masker: Masker) -> dict[str, Any]:
            line: dict[str, Any] = {"dir": "http", "path": masker.reference(path)}
            if form is not None:
                line["form"] = masker.form(form)
            if response is not None:
                line["response"] = masker.twiml(response)
            return line

        call = self._calls.get(call_sid)
        if call is not None:
            self.add(call, at, made)
            return
        self._early_http.setdefault(call_sid, deque(maxlen=_MAX_EARLY)).append((at, made))
        if len(self._early_http) > _CALLS_REMEMBERED:
            self._early_http.popitem(last=False)

    def add(self, call: _Call, at: float, made: _Made) -> None:
        call.add(at, made(call.masker))
        self._changed[id(call)] = call

    def save(self) -> None:
        changed, self._changed = self._changed, {}
        for call in changed.values():
            call.save()

    def finish(self) -> None:
        """No more sockets: every file gets its final name."""
        for call in self._calls.values():
            if call.live:
                call.live = 0
                self.add(call, call.zero, lambda _: {"dir": "note", "unfinished": True})
        self.save()

    def _forget(self) -> None:
        ended = [sid for sid, call in self._calls.items() if not call.live]
        for sid in ended[: max(0, len(self._calls) - _CALLS_REMEMBERED)]:
            del self._calls[sid]

    def _head(self, dialect: str) -> dict[str, Any]:
        return {
            "dir": "note",
            "format": FORMAT,
            "masked": not self._full,
            "dialect": dialect,
            "recorder": f"studio-relay {_version()}",
        }

    def _free_path(self, call_sid: str) -> Path:
        tail = re.sub(r"[^A-Za-z0-9]", "", call_sid)[-8:] or "unknown"
        stem = f"{self._wall().astimezone(UTC):%Y%m%dT%H%M%SZ}-{tail}"
        taken = {call.path for call in self._calls.values()}
        names = chain([f"{stem}.jsonl"], (f"{stem}-{number}.jsonl" for number in count(2)))
        paths = (self._folder / name for name in names)
        return next(path for path in paths if path not in taken and not path.exists() and not _part(path).exists())


class SessionLines:
    """One socket: lines before `setup` wait for the call to be known, tokens for the end of a run of digits."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._call: _Call | None = None
        self._number = 0
        self._zero = 0.0
        self._early: deque[tuple[float, _Made]] = deque(maxlen=_MAX_EARLY)
        self._held: list[tuple[float, dict[str, Any]]] = []
        self._tokens: list[dict[str, Any]] = []

    def handshake(self, at: float, headers: Sequence[tuple[str, str]], path: str) -> None:
        self._zero = at
        self._line(at, lambda mask: {"dir": "handshake", "path": mask.reference(path), **mask.headers(headers)})

    def inbound(self, at: float, text: str, refused: str | None) -> None:
        try:
            message = None if refused is not None else parse(text, max_bytes=_MAX_BYTES)
        except RemoteProtocolError as error:
            message, refused = None, str(error)
        if message is None:
            why = refused
            self._line(at, lambda mask: {"dir": "in", "raw": mask.raw(text), "refused": mask.text(why or "")})
            return
        if isinstance(message, Setup) and self._call is None:
            self._begin(message)
        frame = message.raw
        self._line(at, lambda mask: {"dir": "in", "frame": mask.frame(frame)})

    def outbound(self, at: float, text: str) -> None:
        frame = _object(text)
        if frame is None:
            self._line(at, lambda mask: {"dir": "out", "raw": mask.raw(text)})
        else:
            self._line(at, lambda mask: {"dir": "out", "frame": mask.frame(frame)})

    def note(self, at: float, facts: Mapping[str, Any]) -> None:
        self._line(at, lambda mask: {"dir": "note", **{name: mask.any(value) for name, value in facts.items()}})

    def close(self, at: float, code: int | None, reason: str) -> None:
        if self._call is None:
            return
        self._call.live -= 1
        self._line(at, lambda mask: {"dir": "close", "code": code, "reason": mask.text(reason)})
        self._release()

    def _begin(self, setup: Setup) -> None:
        call = self._desk.call_of(setup, self._zero)
        self._call, self._number = call, call.sessions
        call.masker.learn(setup.raw)  # before the lines that came before it
        early, self._early = list(self._early), deque()
        for at, made in early:
            self._line(at, made)

    def _line(self, at: float, made: _Made) -> None:
        if self._call is None:
            self._early.append((at, made))
            return
        line = made(self._call.masker)
        self._held.append((at, {"dir": line.pop("dir"), "session": self._number, **line}))
        frame = line.get("frame", {})
        if line.get("frame") and frame.get("type") == "text" and isinstance(frame.get("token"), str):
            self._tokens.append(frame)
        if not self._run_is_open() or len(self._held) >= _MAX_HELD:
            self._release()

    def _run_is_open(self) -> bool:
        """Whether digits of a token already here may go on in the next one; then neither is masked yet."""
        if not self._tokens or self._tokens[-1].get("last") is True:
            return False
        return run_goes_on("".join(frame["token"] for frame in self._tokens))

    def _release(self) -> None:
        call = self._call
        if call is None:
            return
        masked = call.masker.tokens([frame["token"] for frame in self._tokens])
        for frame, token in zip(self._tokens, masked, strict=True):
            frame["token"] = token
        for at, line in self._held:
            self._desk.add(call, at, lambda _, line=line: line)  # type: ignore[misc]
        self._tokens.clear()
        self._held.clear()


def _part(path: Path) -> Path:
    """Where a file is written until its call has ended."""
    return path.with_name(path.name + ".part")


def _json(line: Mapping[str, Any]) -> str:
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = json.dumps(line, separators=(",", ":"))
    return text + "\n"


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _version() -> str:
    try:
        return version("studio-relay")
    except PackageNotFoundError:
        return "(not installed)"
