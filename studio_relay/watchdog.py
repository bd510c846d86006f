"""Names whoever blocks the event loop: an `async def` hook that does so holds up every call of the process."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from pathlib import PurePath
from types import FrameType

log = logging.getLogger(__name__)

_BEAT_SECONDS = 0.25
_BLOCKED_SECONDS = 1.0  # named within 2 s: one for this, less than one until the next look
_PACKAGE = str(PurePath(__file__).parent)
_IMPORTING = "<frozen importlib"


class Watchdog:
    """A heartbeat on the loop, and a thread that looks for it. Start it from the loop it watches."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._beat_at = time.monotonic()
        self._stopped = threading.Event()
        self._named = False
        self._timer: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._watch, name="studio-relay watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch; does nothing on a virtual clock, where time stands still while a hook runs."""
        if not getattr(self._loop, "looptime_on", False):
            self._beat()
            self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopped.set()
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        self._beat_at = time.monotonic()
        self._named = False
        self._timer = self._loop.call_later(_BEAT_SECONDS, self._beat)

    def _watch(self) -> None:
        while not self._stopped.wait(_BEAT_SECONDS):
            if time.monotonic() - self._beat_at > _BLOCKED_SECONDS and not self._named:
                self._named = True
                self._name_the_culprit()

    def _name_the_culprit(self) -> None:
        frame = sys._current_frames().get(self._loop_thread)
        if _is_our_own_import(frame):
            return  # it happens once, and is nobody's fault who reads the log
        stack = "".join(traceback.format_stack(frame)[-12:]) if frame else "(no stack)"
        task = asyncio.current_task(self._loop)
        who = task.get_name() if task is not None else "a callback"
        log.error(
            "the event loop is blocked, and with it every call: %s was running when it was looked at. "
            "If that is a hook, make it a plain def (it then runs in a thread), or await what it waits for. Stack:\n%s",
            who,
            stack,
        )


def _is_our_own_import(frame: FrameType | None) -> bool:
    """Whether what runs is being imported, and by this package: the outermost import counts, others follow from it."""
    was_import = ours = False
    while frame is not None:
        is_import = frame.f_code.co_filename.startswith(_IMPORTING)
        if was_import and not is_import:
            ours = frame.f_code.co_filename.startswith(_PACKAGE)
        was_import, frame = is_import, frame.f_back
    return ours
