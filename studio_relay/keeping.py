"""When a call is kept in the session store while it goes on; what is kept stands in `memory`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from studio_relay.call import Call
from studio_relay.call_state import StateText
from studio_relay.memory import Memories, Memory

_SECONDS = 0.02  # what comes together is kept together


class Keeper:
    """Keeps one session's call, which began with `memory`. `spawn` runs a coroutine as a task of the session."""

    __slots__ = ("_call", "_loop", "_memories", "_memory", "_spawn", "_state", "_timer")

    def __init__(
        self,
        memory: Memory,
        memories: Memories,
        call: Call,
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        *,
        max_state_bytes: int,
    ) -> None:
        self._memory = memory
        self._memories = memories
        self._call = call
        self._state = StateText(max_state_bytes, memory.state)
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
        await self._memories.save(self._memory, self._call, self._state.of(self._call), ended=ended)

    def stop(self) -> None:
        """Forget what was to be kept soon: it is kept now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
