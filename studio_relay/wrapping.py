"""The chain of extensions that wrap a reply, and which of them is at fault; queues and sends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from studio_relay.call import Call
from studio_relay.errors import PluginError
from studio_relay.hooks import RUNNING, is_closing
from studio_relay.plugins import Hook


class Chain:
    """The `wrap_reply` hooks around one voice, `hooks` in pluggy's order: the first is nearest the wire."""

    def __init__(self, hooks: Sequence[Hook], call: Call | None) -> None:
        self._hooks = hooks
        self._call = call
        self._asked: list[Hook] = []

    @property
    def holder(self) -> Hook | None:
        """The extension that has been asked for a piece and has not come back with one."""
        return self._asked[-1] if self._asked else None

    def wrap(self, pieces: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
        """`pieces` past every extension; iterating raises PluginError naming the one that fails."""
        for hook in reversed(self._hooks):
            pieces = self._guarded(hook, pieces)
        return pieces

    async def _guarded(self, hook: Hook, reply: AsyncIterator[str]) -> AsyncGenerator[str, None]:
        with _blaming(hook):
            pieces = self._called(hook, reply)
        try:
            while True:
                try:
                    piece = await self._next(hook, pieces)
                except StopAsyncIteration:
                    return
                if isinstance(piece, str):
                    yield piece
                elif piece is not None:
                    raise _fault(hook, f"{hook}: expected pieces of text, found {type(piece).__name__}")
        finally:
            if isinstance(pieces, AsyncGenerator):
                with _blaming(hook):
                    await pieces.aclose()

    async def _next(self, hook: Hook, pieces: AsyncIterator[Any]) -> Any:
        before = RUNNING.get()
        RUNNING.set(hook)
        self._asked.append(hook)
        try:
            with _blaming(hook):
                return await anext(pieces)
        finally:
            self._asked.pop()
            RUNNING.set(before)

    def _called(self, hook: Hook, reply: AsyncIterator[str]) -> AsyncIterator[Any]:
        available = {"call": self._call, "reply": reply}
        wrapped = hook.function(**{name: available[name] for name in hook.arguments})
        if not hasattr(wrapped, "__aiter__"):
            raise _fault(hook, f"{hook}: expected an async iterator of text, found {type(wrapped).__name__}")
        iterator: AsyncIterator[Any] = aiter(wrapped)
        return iterator


@contextmanager
def _blaming(hook: Hook) -> Iterator[None]:
    """What is raised within is the fault of `hook`, unless a hook that it has asked is named already."""
    task = asyncio.current_task()
    try:
        yield
    except (PluginError, StopAsyncIteration):
        raise
    except asyncio.CancelledError as error:
        if task is None or task.cancelling():
            raise
        raise _fault(hook, f"{hook} was cancelled by its own code") from error
    except BaseException as error:
        if is_closing(error, task):
            raise
        raise _fault(hook, f"{hook} raised {type(error).__name__}") from error


def _fault(hook: Hook, message: str) -> PluginError:
    return PluginError(message, plugin=hook.plugin, hook=hook.name)
