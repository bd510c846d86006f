"""Waiting in a session: for news of any kind, or until what is being said was heard. Says and decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from studio_relay.protocol.session import Session

_TICK_SECONDS = 0.001  # a shorter wait may be none at all: clocks have their grain


class Progress:
    """Wakes whoever waits for a session to get on.

    `held_back` tells whether words were said that are not queued yet. `patience` is how many seconds a wait for
    silence lasts where nothing tells when speech ends. `closed` is set when the socket is gone.
    """

    __slots__ = ("_held_back", "_loop", "_news", "_patience", "_session", "closed")

    def __init__(self, session: Session, *, held_back: Callable[[], bool], patience: float) -> None:
        self.closed = False
        self._session = session
        self._held_back = held_back
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Future[None] | None = None

    def happened(self) -> None:
        """Something did: those who wait look again."""
        if self._news is not None:
            if not self._news.done():
                self._news.set_result(None)
            self._news = None

    async def next(self, deadline: float | None = None) -> None:
        """Wait until anything happened, speech is due to be over, or `deadline` in loop time."""
        if self._news is None:
            self._news = self._loop.create_future()
        due = self._session.playback.due(self._loop.time()) if not self._session.waiting else None
        times = [when for when in (deadline, due) if when is not None and when > self._loop.time()]
        timeout = max(min(times) - self._loop.time(), _TICK_SECONDS) if times else None
        await asyncio.wait({self._news}, timeout=timeout)

    @property
    def is_quiet(self) -> bool:
        """Whether all that was said has been played."""
        return not (self._session.waiting or self._held_back()) and self._session.playback.done(self._loop.time())

    async def until_heard(self, is_cut: Callable[[], bool], deadline: float | None) -> bool:
        """Wait until all that was said has been played. False: cut, or `deadline` in loop time is past, or closed."""
        while not (self.closed or is_cut()):
            if self.is_quiet:
                return True
            if deadline is not None and self._loop.time() >= deadline:
                return False
            await self.next(deadline)
        return False

    async def until_quiet(self, answered: Callable[[], bool]) -> None:
        """Wait until all that was said has been played, or `answered`; not for ever where a report may be lost."""
        limit = self._loop.time() + self._patience
        while not (answered() or self.closed or self.is_quiet):
            if self._session.playback.due(self._loop.time()) is not None:
                await self.next()
            elif self._loop.time() < limit:
                await self.next(limit)
            else:
                return
