"""Watching for silence: asks once whether the caller is still there, then gives up; hears no words."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from studio_relay import Call, CallEnded


class SilenceWatch:
    """One timer for each session, counted from the end of speech. `give_up` ends a call that stays silent."""

    def __init__(self, *, seconds: float, question: str, give_up: Callable[[Call], Awaitable[None]]) -> None:
        self._seconds = seconds
        self._question = question
        self._give_up = give_up
        self._busy: Counter[str] = Counter()  # hooks at work, by session; while there are any, no timer runs
        self._timers: dict[str, asyncio.Task[None]] = {}

    @contextmanager
    def held(self, call: Call, *, patience: float = 0.0) -> Iterator[None]:
        """Hold the timer while a hook speaks or listens; start it afterwards, with `patience` more seconds."""
        self._stop(call)
        self._busy[call.session_id] += 1
        try:
            yield
        finally:
            if call.session_id in self._busy:
                self._busy[call.session_id] -= 1
                self.restart(call, patience=patience)

    def restart(self, call: Call, *, patience: float = 0.0) -> None:
        """There was a sound, or a hook is done: count from here, unless another hook is at work."""
        self._stop(call)
        if self._busy.get(call.session_id) == 0:
            timer = asyncio.create_task(self._run(call, patience), name=f"front-desk silence {call.call_sid}")
            self._timers[call.session_id] = timer

    def pause(self, call: Call) -> None:
        """The caller is speaking: what they say will start the timer again."""
        self._stop(call)

    def forget(self, call: Call) -> None:
        """The session is over."""
        self._stop(call)
        self._busy.pop(call.session_id, None)

    def _stop(self, call: Call) -> None:
        timer = self._timers.pop(call.session_id, None)
        if timer is not None:
            timer.cancel()

    async def _run(self, call: Call, patience: float) -> None:
        with suppress(CallEnded):
            await self._silence(call, patience)
            call.say(self._question)
            await self._silence(call, 0.0)
            await self._give_up(call)

    async def _silence(self, call: Call, patience: float) -> None:
        await call.spoken()
        await asyncio.sleep(self._seconds + patience)
