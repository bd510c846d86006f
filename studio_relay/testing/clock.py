"""The time of a simulated call: the running loop's, virtual or real, sped up or not.

Nothing here reads the machine's clock; who asks the running loop for time is virtual where the loop is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

VIRTUAL_LIMIT_SECONDS = 7 * 86_400.0


def is_virtual(loop: asyncio.AbstractEventLoop | None = None) -> bool:
    """Whether `loop` (default: the running one) runs on virtual time, where waiting costs nothing."""
    return bool(getattr(loop or asyncio.get_running_loop(), "looptime_on", False))


def run_virtual(main: Coroutine[Any, Any, T], *, limit_seconds: float = VIRTUAL_LIMIT_SECONDS) -> T:
    """Run `main` on a loop whose time starts at 0 and jumps to the next timer; return its result.

    A coroutine that waits for what never comes ends with TimeoutError at `limit_seconds` of virtual time,
    which is at once in real time. Raises RuntimeError inside a running loop.
    """
    refuse_running_loop(main)

    async def within_limit() -> T:
        async with asyncio.timeout(limit_seconds):
            return await main

    loop = open_virtual_loop()
    try:
        return loop.run_until_complete(within_limit())
    finally:
        close_loop(loop)


def refuse_running_loop(main: Coroutine[Any, Any, Any]) -> None:
    """Raise RuntimeError, in words for the author of a test, where a loop runs already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    main.close()
    raise RuntimeError("simulated calls bring their own virtual clock: write this test as `def`, not `async def`")


def open_virtual_loop() -> asyncio.AbstractEventLoop:
    """A loop whose time starts at 0 and jumps to the next timer; end it with `close_loop`.

    Not by asyncio.Runner: that would replace the thread's current event loop, which test runners hold on to.
    """
    import looptime

    return looptime.new_event_loop(start=0)


def close_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what still runs on `loop`, wait for it, and close the loop."""
    loop.run_until_complete(_leave_nothing(loop))
    loop.close()


async def _leave_nothing(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop) - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()


class Clock:
    """Simulated milliseconds since this object was made; a second of them takes `1 / speed` of the loop's."""

    def __init__(self, *, speed: float = 1.0) -> None:
        if not speed > 0:
            raise ValueError(f"speed must be above 0, not {speed!r}")
        self.speed = speed
        self._loop = asyncio.get_running_loop()
        self._origin = self._loop.time()

    def now_ms(self) -> int:
        """Whole simulated milliseconds since the start of this clock."""
        return round((self._loop.time() - self._origin) * 1000 * self.speed)

    def seconds(self, ms: float) -> float:
        """What `ms` simulated milliseconds take in seconds of the loop."""
        return max(0.0, ms) / 1000 / self.speed

    async def sleep_ms(self, ms: float) -> None:
        """Wait for `ms` simulated milliseconds."""
        await asyncio.sleep(self.seconds(ms))
