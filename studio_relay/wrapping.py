"""The chain of extensions that wrap a reply, and which of them is at fault; queues and sends nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from studio_relay.call import Call
from studio_relay.errors import PluginError
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
        pieces: AsyncIterator[Any] | None = None
        try:
            pieces = self._called(hook, reply)
            while True:
                self._asked.append(hook)
                try:
                    piece = await anext(pieces)
                finally:
                    self._asked.pop()
                if isinstance(piece, str):
                    yield piece
                elif piece is not None:
                    raise _fault(hook, f"{hook}: expected pieces of text, found {type(piece).__name__}")
        except StopAsyncIteration:
            return
        except PluginError:
            raise
        except (Exception, SystemExit) as error:
            raise _fault(hook, f"{hook} raised {type(error).__name__}") from error
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()

    def _called(self, hook: Hook, reply: AsyncIterator[str]) -> AsyncIterator[Any]:
        available = {"call": self._call, "reply": reply}
        wrapped = hook.function(**{name: available[name] for name in hook.arguments})
        if not hasattr(wrapped, "__aiter__"):
            raise _fault(hook, f"{hook}: expected an async iterator of text, found {type(wrapped).__name__}")
        iterator: AsyncIterator[Any] = aiter(wrapped)
        return iterator


def _fault(hook: Hook, message: str) -> PluginError:
    return PluginError(message, plugin=hook.plugin, hook=hook.name)
