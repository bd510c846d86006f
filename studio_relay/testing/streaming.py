"""Agents that stream as a model does: what an agent says, piece by piece at 10 to 100 ms each, on the call's clock.

Most agents of tests answer at once; a caller who barges in then never meets a reply that is still being sent.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import random
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from studio_relay import hookspecs
from studio_relay.hooks import inline
from studio_relay.plugins import Hook, load_plugins, plugin

TOKEN_MS = (10, 100)
LONG_WORD = 6
"""A longer word may come in two pieces, as models send it."""

_WORD = re.compile(r"\s*\S+|\s+$")


class Streaming:
    """`agent`, an installed agent's name, a module, class or object, whose replies come in small pieces.

    The pieces together are what the agent said; what it says with `call.say` comes whole. Each takes `token_ms`
    milliseconds, from and to. The same `seed` gives the same pieces. An installed agent keeps its name.
    """

    def __init__(self, agent: Any, *, seed: object = 1, token_ms: tuple[float, float] = TOKEN_MS) -> None:
        self.installed_name = agent if isinstance(agent, str) else None
        if isinstance(agent, str):
            agent = load_plugins(only=[agent]).default_agent(agent).object
        found = plugin(agent, name="streaming", kind="agent")
        self._agent = found.object
        self._random = random.Random(repr(seed))
        self._token_ms = token_ms
        for name, hook in found.hooks.items():
            setattr(self, name, self._streamed(hook) if _speaks(name) else hook.function)

    def __getattr__(self, name: str) -> Any:
        """What else the agent declares: its handoff model, its TwiML."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._agent, name)

    def _streamed(self, hook: Hook) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(hook.function)  # with its marker, and with its arguments as pluggy reads them
        async def reply(**arguments: Any) -> Any:
            said = hook.function(**arguments) if hook.is_asynchronous else inline(hook, arguments)
            if inspect.isawaitable(said):
                said = await said
            return said if said is None else self._pieces(said)

        return reply

    async def _pieces(self, said: Any) -> AsyncGenerator[Any, None]:
        async with aclosing(_iterated(said)) as whole:
            async for text in whole:
                for piece in self._split(text) if isinstance(text, str) else [text]:
                    await asyncio.sleep(self._random.uniform(*self._token_ms) / 1000)
                    yield piece

    def _split(self, text: str) -> list[str]:
        pieces = []
        for word in _WORD.findall(text) or [text]:
            cut = self._random.randrange(1, len(word)) if len(word) > LONG_WORD else len(word)
            pieces += [word[:cut], word[cut:]] if cut < len(word) else [word]
        return pieces


async def _iterated(said: Any) -> AsyncGenerator[Any, None]:
    """Text, or the pieces of an async iterator, which is closed with this one; anything else is the agent's fault."""
    if not hasattr(said, "__aiter__"):
        yield said
        return
    try:
        async for text in said:
            yield text
    finally:
        if hasattr(said, "aclose"):
            await said.aclose()


def _speaks(name: str) -> bool:
    return bool(getattr(hookspecs, name).__annotations__.get("return") == "Reply")
