"""Calling one hook of one plugin: in a thread or on the loop, within a deadline, apart from all others.

Knows nothing of calls and sessions. A hook that raises, hangs or blocks its thread is the business of
whoever called it; nothing here speaks to a caller.

Theory of operation.

* **What may leave a task.** asyncio lets KeyboardInterrupt and SystemExit out of a task, out of its loop and so out of
  the process, with every call. Both are caught within the task that runs the hook, whatever raised them: a call of
  the function, a step of its generator, its clean-up. They leave as PluginError. The tasks that a hook makes itself
  (a task group, `asyncio.wait_for` in Python 3.11) are guarded too: `guard_tasks` gives the loop a task factory for
  what is made while a hook runs. A Ctrl-C is no concern of ours here: whoever serves calls handles the signal.
* **Cancellation.** A hook that is stopped is cancelled and abandoned: nobody waits for it. It is watched for all that.
  One that fails on its way out, goes on as if nothing had happened, or is still there after a second is named.
* `CancelledError` that nobody asked for is the hook's own, and a failure.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Coroutine, Mapping
from contextvars import ContextVar, copy_context
from functools import partial
from types import AsyncGeneratorType, CoroutineType
from typing import Any, TypeVar

from studio_relay.blame import contained, log_failure, log_overstay
from studio_relay.errors import PluginError, ProtocolError
from studio_relay.plugins import Hook

T = TypeVar("T")

# The hook that runs here: tasks it makes are guarded, and named if they break out.
RUNNING: ContextVar[Hook | None] = ContextVar("studio_relay_hook", default=None)

_HEED_SECONDS = 1.0  # what a hook may take to clean up behind itself before it is named
_IGNORED = "caught its cancellation (asyncio.CancelledError) and went on; clean up and raise it again"
_STAYS = (
    f"was cancelled and still runs {_HEED_SECONDS:g} s later; clean up faster and raise asyncio.CancelledError again"
)

_UNKNOWN = Hook(plugin="an unknown plugin", name="a task", function=lambda: None, arguments=())

# Tasks whose hook did not heed its cancellation; kept so that the loop does not lose them while they run.
_strays: set[asyncio.Task[Any]] = set()


class HookTimeout(PluginError):
    """A hook took longer than its deadline allows."""


async def call_hook(hook: Hook, available: Mapping[str, Any]) -> Any:
    """What `hook` returns: an async generator as it is, a coroutine's result, or a plain function's.

    Plain functions run in a thread of their own, so that one that blocks holds up nobody; on a virtual clock
    they run inline, since a thread knows real time only. Raises what the hook raises, if it is an Exception or
    CancelledError; PluginError for everything else.
    """
    arguments = {name: available[name] for name in hook.arguments if name in available}
    RUNNING.set(hook)
    task = asyncio.current_task()
    try:
        if hook.is_asynchronous:
            result = hook.function(**arguments)
        elif _is_virtual(asyncio.get_running_loop()):
            result = inline(hook, arguments)
        else:
            result = await _in_thread(hook, arguments)
        if type(result) is AsyncGeneratorType:  # the usual answer, and the one that is in a hurry
            return result
        return await result if inspect.isawaitable(result) else result
    except (Exception, asyncio.CancelledError):
        raise
    except BaseException as error:
        if is_closing(error, task):
            raise
        raise contained(hook, error) from error


def is_closing(error: BaseException, task: asyncio.Task[Any] | None) -> bool:
    """Whether a coroutine that ran in `task` is being closed by others: nobody is left who could be told."""
    if not isinstance(error, GeneratorExit):
        return False
    try:
        return asyncio.current_task() is not task
    except RuntimeError:  # no loop runs any more
        return True


async def within(seconds: float, work: Coroutine[Any, Any, T], *, name: str, hook: Hook | None = None) -> T:
    """The result of `work`, run as a task called `name`; it runs `hook`, which is named if it outstays its time.

    Raises HookTimeout after `seconds`, whether or not `work` heeds its cancellation, PluginError if it cancels itself.
    """
    task = asyncio.get_running_loop().create_task(work, name=name)
    try:
        await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        abandon(task, hook)
        raise
    if task.done():
        if task.cancelled():
            raise PluginError(f"{name} was cancelled by its own code")
        return task.result()
    abandon(task, hook)
    raise HookTimeout(f"{name}: expected an answer within {seconds:g} s, found none; the call goes on without it")


def abandon(task: asyncio.Task[Any], hook: Hook | None = None) -> None:
    """Cancel `task` and forget it, even if it goes on: then `hook`, which it runs, is named in the log."""
    task.cancel()
    _strays.add(task)
    named = None
    if hook is not None:
        named = asyncio.get_running_loop().call_later(_HEED_SECONDS, log_overstay, hook, _STAYS)
    task.add_done_callback(partial(_collect, hook, named))


def _collect(hook: Hook | None, named: asyncio.TimerHandle | None, task: asyncio.Task[Any]) -> None:
    _strays.discard(task)
    was_named = named is not None and named.when() <= asyncio.get_running_loop().time()
    if named is not None:
        named.cancel()
    if task.cancelled():
        return
    error = task.exception()
    if hook is None:
        return  # whoever abandoned the task has reported why
    if error is None or isinstance(error, ProtocolError):  # it went on, until nobody heard it any more
        if not was_named:
            log_overstay(hook, _IGNORED)
    else:
        log_failure(hook, error, " while it was being cancelled")


def guard_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Keep what the tasks of hooks raise from ending `loop`, unless somebody else decides how its tasks are made."""
    if loop.get_task_factory() is None:
        loop.set_task_factory(_task)  # type: ignore[arg-type]  # newer Pythons pass more, which goes to Task as it is


def _task(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], **options: Any) -> asyncio.Task[T]:
    hook = RUNNING.get()
    if hook is not None or type(work) is not CoroutineType:  # the clean-up of a generator that was left behind
        work = _Guarded(hook or _UNKNOWN, work)
    return asyncio.Task(work, loop=loop, **options)


class _Guarded(Coroutine[Any, Any, T]):
    """Work of a task that a hook made: it ends neither its loop nor the process."""

    def __init__(self, hook: Hook, work: Coroutine[Any, Any, T]) -> None:
        self._hook = hook
        self._work = work

    def send(self, value: Any) -> Any:
        """Go on until the work waits."""
        try:
            return self._work.send(value)
        except (KeyboardInterrupt, SystemExit) as error:
            raise contained(self._hook, error) from error

    def throw(self, *error: Any) -> Any:
        """Go on with an exception until the work waits."""
        try:
            return self._work.throw(*error)
        except (KeyboardInterrupt, SystemExit) as broke_out:
            raise contained(self._hook, broke_out) from broke_out

    def close(self) -> None:
        """Give up the work."""
        self._work.close()

    def __await__(self) -> Any:
        return self._work.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)


_inline_hooks: list[Hook] = []  # that run now, on a virtual clock


def runs_inline() -> bool:
    """Whether a plain function runs on a loop just now that would run in a thread on a server; ask from any thread."""
    return bool(_inline_hooks)


def inline(hook: Hook, arguments: Mapping[str, Any]) -> Any:
    """Call a hook that is a plain function here, where a server would do so in a thread."""
    _inline_hooks.append(hook)
    try:
        return hook.function(**arguments)
    finally:
        _inline_hooks.pop()


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
