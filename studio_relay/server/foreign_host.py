"""What the application does for itself under a host that is not ours: draining, where the host's signals allow it.

uvicorn handles SIGTERM and SIGINT in Python, with `signal.signal()`, before it starts the application. Its handler
tells it to end every connection, so ours stands in front of it: the first signal drains, and uvicorn hears of it when
no call is left. A second signal goes to uvicorn at once. uvicorn puts the handlers of before back when it is done.

hypercorn's command and granian take signals in a parent process, and tell the one that serves in ways of their own:
there SIGTERM cuts live calls, and the start says so.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

from studio_relay.server.drain import drain

if TYPE_CHECKING:
    from studio_relay.server.app import Relay

log = logging.getLogger(__name__)

Handler = Callable[[int, "FrameType | None"], Any]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def settle_in(relay: Relay) -> None:
    """Drain before the host stops, or say that it will not be done. Call it on the host's loop, at start."""
    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        if all(_is_uvicorns(handler) for handler in handlers.values()):
            for number, handler in handlers.items():
                signal.signal(number, _Draining(relay, handler))  # type: ignore[arg-type]
            return
    log.warning(
        "this host cannot drain: SIGTERM cuts live calls. Run `studio-relay serve`, or uvicorn, to hand them on first."
    )


def _is_uvicorns(handler: Any) -> bool:
    return type(getattr(handler, "__self__", None)).__module__.partition(".")[0] == "uvicorn"


class _Draining:
    """A signal handler that stands in front of the host's."""

    def __init__(self, relay: Relay, host: Handler) -> None:
        self._relay = relay
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[int] | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._relay.draining:
            self._host(number, frame)
        else:
            self._relay.draining = True  # here already: a second signal may come before the loop runs
            self._loop.call_soon_threadsafe(self._begin, number)

    def _begin(self, number: int) -> None:
        self._task = self._loop.create_task(drain(self._relay), name="studio-relay drain")
        self._task.add_done_callback(lambda task: self._host(number, None))
