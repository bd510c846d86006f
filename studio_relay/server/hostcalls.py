"""Runs the `send` of an ASGI host so that no cancellation of ours reaches it; decides nothing about what is sent.

A host may lose more than a frame when its `send` is cancelled. hypercorn notices a dead peer there: it marks the
stream closed and then waits for room to queue the disconnect. If the task is cancelled in that wait, the disconnect
is lost, each later `send` returns without an error, and the call lives on without a socket. A reply writes its own
frames, and a barge-in cancels a reply, so this is no rare case.

So the first step of a `send` runs here, within the task that asks: nearly always the host takes the frame without
waiting, there is nothing to cancel, and it costs nothing. What has to wait goes on in a task of its own that
nobody cancels. Whoever waits for it may be cancelled, or lose patience: the task goes on without them.

It is what an eager task does in Python 3.12. A host whose `send` enters `asyncio.timeout()` or a task group in its
first step would not bear the change of tasks; hypercorn, uvicorn and granian do not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any

Done = Callable[[Exception | None], None]

# Tasks that are still waiting for their host; kept so that the loop does not lose them.
_going: set[asyncio.Task[None]] = set()


def begin(call: Awaitable[None], done: Done) -> asyncio.Task[None] | None:
    """Run `call` until it waits; return the task that runs the rest, or None if there is no rest.

    `done` is called once, when `call` is over, with what it raised. Await the task within `asyncio.shield()` or
    `asyncio.wait()`, and never cancel it. It raises nothing.
    """
    steps = call.__await__()
    try:
        waits_for = next(steps)
    except StopIteration:
        done(None)
        return None
    except Exception as error:
        done(error)
        return None
    task = asyncio.get_running_loop().create_task(_finish(_Rest(steps, waits_for), done), name="studio-relay send")
    _going.add(task)
    task.add_done_callback(_going.discard)
    return task


async def whole(call: Awaitable[None]) -> None:
    """Await `call`, which goes on if the caller is cancelled meanwhile. Raises what it raises."""
    errors: list[Exception | None] = []
    rest = begin(call, errors.append)
    if rest is not None:
        await asyncio.shield(rest)
    for error in errors:
        if error is not None:
            raise error


async def _finish(rest: _Rest, done: Done) -> None:
    try:
        await rest
    except Exception as error:
        done(error)
    else:
        done(None)


class _Rest:
    """An awaitable whose first step was taken elsewhere: goes on from the future that it waits for."""

    __slots__ = ("_steps", "_waits_for")

    def __init__(self, steps: Generator[Any, None, None], waits_for: Any) -> None:
        self._steps = steps
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, None]:
        waits_for = self._waits_for
        try:
            while True:
                try:
                    yield waits_for
                except BaseException as error:
                    waits_for = self._steps.throw(error)
                else:
                    waits_for = next(self._steps)
        except StopIteration:
            return
