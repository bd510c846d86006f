"""An event loop whose time passes faster than ours, for a server and its caller that must agree about time.

A server judges by its loop's time how long words take to be spoken; a caller that speaks four times as fast
would be told the end of a call far too late. In such a loop both are quick.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any


def fast_loop(speed: float) -> Callable[[], asyncio.AbstractEventLoop]:
    """A maker of loops in which `speed` seconds pass in one; for `asyncio.Runner(loop_factory=...)`."""
    return lambda: _FastLoop(speed)


class _FastSelector(selectors.DefaultSelector):
    """Waits for sockets in real seconds for what the loop counts in its own."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed

    def select(self, timeout: float | None = None) -> Any:
        return super().select(timeout if timeout is None else timeout / self._speed)


class _FastLoop(asyncio.SelectorEventLoop):
    def __init__(self, speed: float) -> None:
        self._speed = speed
        super().__init__(_FastSelector(speed))

    def time(self) -> float:
        """Seconds of this loop."""
        return super().time() * self._speed
