"""Calling one hook of one plugin: in a thread or on the loop, within a deadline, apart from all others.

Knows nothing of calls and sessions. A hook that raises, hangs or blocks its thread is the business of
whoever called it; nothing here speaks to a caller.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Coroutine, Mapping
from contextvars import copy_context
from types import AsyncGeneratorType
from typing import Any, TypeVar

from studio_relay.errors import PluginError
from studio_relay.plugins import Hook

T = TypeVar("T")

# Tasks whose hook did not heed its cancellation; kept so that the loop does not lose them while they run.
_strays: set[asyncio.Task[Any]] = set()


class HookTimeout(PluginError):
    """A hook took longer than its deadline allows."""


async def call_hook(hook: Hook, available: Mapping[str, Any]) -> Any:
    """What `hook` returns: an async generator as it is, a coroutine's result, or a plain function's.

    Plain functions run in a thread of their own, so that one that blocks holds up nobody; on a virtual clock
    they run inline, since a thread knows real time only. Raises what the hook raises; PluginError for sys.exit().
    """
    arguments = {name: available[name] for name in hook.arguments if name in available}
    try:
        if hook.is_asynchronous or _is_virtual(asyncio.get_running_loop()):
            result = hook.function(**arguments)
        else:
            result = await _in_thread(hook, arguments)
        if type(result) is AsyncGeneratorType:  # the usual answer, and the one that is in a hurry
            return result
        return await result if inspect.isawaitable(result) else result
    except SystemExit as error:  # on the loop it would end the process, and every call with it
        raise PluginError(f"{hook} called sys.exit()") from error


async def within(seconds: float, work: Coroutine[Any, Any, T], *, name: str) -> T:
    """The result of `work`, run as a task called `name`.

    Raises HookTimeout after `seconds`, whether or not `work` heeds its cancellation, PluginError if it cancels itself.
    """
    task = asyncio.get_running_loop().create_task(work, name=name)
    try:
        await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        abandon(task)
        raise
    if task.done():
        if task.cancelled():
            raise PluginError(f"{name} was cancelled by its own code")
        return task.result()
    abandon(task)
    raise HookTimeout(f"{name}: expected an answer within {seconds:g} s, found none; the call goes on without it")


def abandon(task: asyncio.Task[Any]) -> None:
    """Cancel `task` and forget it, even if it goes on."""
    task.cancel()
    _strays.add(task)
    task.add_done_callback(_collect)


def _collect(task: asyncio.Task[Any]) -> None:
    _strays.discard(task)
    if not task.cancelled():
        task.exception()  # seen: whoever abandoned the task has reported why


def _is_virtual(loop: asyncio.AbstractEventLoop) -> bool:
    return bool(getattr(loop, "looptime_on", False))


async def _in_thread(hook: Hook, arguments: Mapping[str, Any]) -> Any:
    """A daemon thread for each call: a pool would be starved by hooks that never return, and hold up the exit."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()
    context = copy_context()

    def deliver(result: Any, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)

    def work() -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = context.run(hook.function, **arguments)
        except StopIteration as stopped:  # a future cannot carry it
            error = RuntimeError(f"{hook} raised StopIteration")
            error.__cause__ = stopped
        except BaseException as raised:
            error = raised
        try:
            loop.call_soon_threadsafe(deliver, result, error)
        except RuntimeError:
            pass  # the loop is closed: nobody waits any more

    threading.Thread(target=work, name=f"studio-relay {hook}", daemon=True).start()
    return await answer


def is_text_stream(value: Any) -> bool:
    """Whether `value` can be iterated for pieces of a reply."""
    return hasattr(value, "__aiter__")
