"""A host's send: run in place while it does not wait, out of reach of every cancellation once it does."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable

import pytest

from studio_relay.server.hostcalls import begin, whole


class Host:
    """A send that waits `waits` times, each time until it is let go on, and then raises `error` if there is one."""

    def __init__(self, waits: int, error: Exception | None = None) -> None:
        self.waits = [asyncio.get_running_loop().create_future() for _ in range(waits)]
        self.error = error
        self.seen: list[str] = []
        self.done: list[Exception | None] = []

    async def send(self) -> None:
        self.seen.append("begun")
        for number, wait in enumerate(self.waits):
            try:
                await wait
            except ConnectionError:
                self.seen.append(f"failed {number}")
            except asyncio.CancelledError:
                self.seen.append("cancelled")
                raise
            await asyncio.sleep(0)  # a bare yield, not a future
        self.seen.append("over")
        if self.error is not None:
            raise self.error


async def test_a_send_that_does_not_wait_is_over_at_once() -> None:
    host = Host(0)
    assert begin(host.send(), host.done.append) is None
    assert (host.seen, host.done) == (["begun", "over"], [None])


@pytest.mark.parametrize("waits", [0, 1, 3])
async def test_what_a_send_raises_is_told_and_nowhere_else(waits: int) -> None:
    error = OSError("gone")
    host = Host(waits, error)
    rest = begin(host.send(), host.done.append)
    for wait in host.waits:
        wait.set_result(None)
    if rest is not None:
        await rest
    assert host.done == [error]
    assert (rest is None) == (waits == 0)


@pytest.mark.parametrize("wait_for", [asyncio.shield, lambda rest: asyncio.wait({rest})])
async def test_a_send_that_waits_outlives_whoever_began_it(wait_for: Callable[..., object]) -> None:
    host = Host(2)

    async def begin_and_wait() -> None:
        rest = begin(host.send(), host.done.append)
        await wait_for(rest)  # type: ignore[misc]

    beginner = asyncio.create_task(begin_and_wait())
    await asyncio.sleep(0)
    beginner.cancel()
    await asyncio.wait({beginner})
    assert beginner.cancelled()
    assert (host.seen, host.done) == (["begun"], [])
    for wait in host.waits:
        wait.set_result(None)
    for _ in range(10):
        await asyncio.sleep(0)
    assert (host.seen, host.done) == (["begun", "over"], [None])


async def test_an_error_of_what_a_send_waits_for_reaches_the_send() -> None:
    host = Host(2)
    rest = begin(host.send(), host.done.append)
    assert rest is not None
    host.waits[0].set_exception(ConnectionResetError())
    host.waits[1].set_result(None)
    await rest
    assert (host.seen, host.done) == (["begun", "failed 0", "over"], [None])


async def test_the_rest_sees_the_context_it_was_begun_in() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="")
    seen: list[str] = []

    async def send() -> None:
        await asyncio.sleep(0)
        seen.append(variable.get())

    variable.set("call")
    rest = begin(send(), lambda error: None)
    variable.set("another")
    assert rest is not None
    await rest
    assert seen == ["call"]


@pytest.mark.parametrize("waits", [0, 2])
async def test_whole_raises_what_the_send_raises(waits: int) -> None:
    host = Host(waits, ValueError("no"))
    for wait in host.waits:
        wait.set_result(None)
    with pytest.raises(ValueError, match="no"):
        await whole(host.send())
