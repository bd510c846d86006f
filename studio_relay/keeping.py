"""When a call is kept in the session store while it goes on; what is kept stands in `memory`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from studio_relay.call import Call
from studio_relay.memory import Memory
from studio_relay.store import SessionStore

_SECONDS = 0.02  # what comes together is kept together


class Keeper:
    """Keeps one session's call. `spawn` runs a coroutine as a task of the session."""

    __slots__ = ("_call", "_loop", "_memory", "_spawn", "_store", "_timer")

    def __init__(
        self, memory: Memory, store: SessionStore, call: Call, spawn: Callable[[Coroutine[Any, Any, None], str], object]
    ) -> None:
        self._memory = memory
        self._store = store
        self._call = call
        self._spawn = spawn
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def soon(self) -> None:
        """The call got further, and a server that dies must not take that with it.

        Not at once: the next prompt may be waiting for the loop, and it is worth more.
        """
        if self._timer is None:
            self._timer = self._loop.call_later(_SECONDS, self.now)

    def now(self) -> None:
        """What the caller hears next may rest on it."""
        self.stop()
        self._spawn(self.keep(), "remember")

    async def keep(self, *, ended: bool = False) -> None:
        """Keep what must outlive the socket."""
        await self._memory.save(self._store, self._call, ended=ended)

    def stop(self) -> None:
        """Forget what was to be kept soon: it is kept now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
