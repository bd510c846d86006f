"""Finds async hooks that block their loop for real, in tests on the virtual clock; it stops nobody.

There `time.sleep(2)` costs a test two seconds, and nothing else: no other call is there to notice. On a server it
holds up every call. Virtual time stands still while a hook runs, so a thread looks on in real time: it asks the loop
for a sign of life, and if none comes it keeps the stack of what runs. A plain `def` may block, since a server runs it
in a thread; here it runs on the loop and is let be.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
import warnings

from studio_relay.hooks import runs_inline

_LOOK_SECONDS = 0.1
_BLOCKED_SECONDS = 0.5
_OURS = "studio-relay "


class BlockingHookWarning(UserWarning):
    """An async hook blocked the event loop; on a server every call would have waited."""


class BlockingWatch:
    """Watches `loop`, which the thread that makes this runs. Warns when it is closed, so that a test shows it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._loop_thread = threading.get_ident()
        self._asked_at: float | None = None  # for a sign of life
        self._found: dict[str, str] = {}  # stacks, by task
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="studio-relay blocking hooks", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching, and warn of what was found."""
        self._closed.set()
        self._thread.join()
        for hook, stack in self._found.items():
            warnings.warn(
                f"{hook} blocked the event loop for more than {_BLOCKED_SECONDS:g} s. On a server every call waits "
                "meanwhile. Make it a plain def (it then runs in a thread), or await what it waits for. "
                f"Stack:\n{stack}",
                BlockingHookWarning,
                stacklevel=2,
            )

    def _watch(self) -> None:
        while not self._closed.wait(_LOOK_SECONDS):
            if not self._loop.is_running():
                self._asked_at = None  # the test itself is at work, and the sign comes when the loop runs again
            elif self._asked_at is None:
                self._asked_at = time.monotonic()
                self._loop.call_soon_threadsafe(self._lives)
            elif time.monotonic() - self._asked_at > _BLOCKED_SECONDS:
                self._look()

    def _lives(self) -> None:
        self._asked_at = None

    def _look(self) -> None:
        task, frame = asyncio.current_task(self._loop), sys._current_frames().get(self._loop_thread)
        if task is None or frame is None or runs_inline() or not task.get_name().startswith(_OURS):
            return
        hook = task.get_name().removeprefix(_OURS).rsplit(" CA", 1)[0]
        self._found.setdefault(hook, "".join(traceback.format_stack(frame)[-12:]))
