"""Puts the frames of a session on its socket, one at a time; decides nothing about their content.

A reply that is generated piece by piece writes each piece itself while nobody else is writing: no queue and no
second task between the agent and the wire. All else is queued in the session and flushed by a task that lives
only as long as there is something to send.

A frame that the host has begun to take is never taken back. Whoever asked for it may be cancelled while the host
waits (a barge-in cancels a reply); the wire stays `busy` until the host is done, so that frames never overlap. A host
that is never done is abandoned together with its connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from studio_relay.protocol.session import Session
from studio_relay.server.hostcalls import begin

log = logging.getLogger(__name__)

_LOOKS = 5  # at a send that hangs, before it counts as stuck
_LOOK_UP_EVERY = 32  # frames sent between two looks at what came in


class Writer:
    """The sending side of one socket.

    `rested` is called when nothing is left to send, `stuck` when a send hangs, `failed` when the host refuses a frame.
    """

    __slots__ = (
        "_again", "_failed", "_flusher", "_loop", "_progressed", "_rest", "_rested", "_send", "_sends", "_session",
        "_stuck", "_stuck_seconds", "_timer", "broken", "busy", "time",
    )  # fmt: skip

    def __init__(
        self,
        session: Session,
        send: Callable[[str], Awaitable[None]],
        *,
        rested: Callable[[], None],
        progressed: Callable[[], None],
        stuck: Callable[[], None],
        failed: Callable[[], None],
        stuck_seconds: float,
    ) -> None:
        self._session = session
        self._send = send
        self._rested = rested
        self._progressed = progressed
        self._stuck = stuck
        self._failed = failed
        self._stuck_seconds = stuck_seconds
        self._loop = asyncio.get_running_loop()
        self._flusher: asyncio.Task[None] | None = None
        self._rest: asyncio.Task[None] | None = None  # of a send that the host has not taken yet
        self._timer: asyncio.TimerHandle | None = None
        self._sends = 0
        self._again = False
        self.time = self._loop.time
        self.busy = False
        self.broken = False

    def wake(self) -> None:
        """Something waits to be sent."""
        if self.busy or self._flusher is not None:
            self._again = True
        elif not self.broken:
            self._flusher = self._loop.create_task(self._flush(), name="studio-relay writer")

    async def transmit(self, text: str) -> None:
        """Send one frame now. Only while not `busy`."""
        self.busy = True
        self._sends += 1
        if self._timer is None:
            self._watch()
        self._rest = begin(self._send(text), self._sent)
        if self._rest is not None:
            await asyncio.shield(self._rest)

    def _sent(self, error: Exception | None) -> None:
        """The host is done with a frame, whether or not anybody still waits for that."""
        self.busy = False
        if error is not None and not self.broken:  # each host has its own for a peer that is gone
            self.broken = True
            log.debug("a frame could not be sent: %s", type(error).__name__)
            self._failed()
        if self._again and self._flusher is None:
            self._again = False
            self.wake()

    def stop(self) -> None:
        """Send nothing more."""
        self.broken = True
        if self._flusher is not None:
            self._flusher.cancel()
        if self._timer is not None:
            self._timer.cancel()

    async def finished(self, seconds: float) -> bool:
        """Whether the host is done with the last frame, or is so within `seconds`."""
        if self._rest is not None:
            await asyncio.wait({self._rest}, timeout=seconds)
        return not self.busy

    async def _flush(self) -> None:
        try:
            while not (self.broken or self.busy) and (text := self._session.next_text(self.time())) is not None:
                await self.transmit(text)
                if not self._sends % _LOOK_UP_EVERY:
                    self._progressed()
                    await asyncio.sleep(0)
        finally:
            self._flusher = None
        if self.busy:
            self._again = True  # a reply writes; it wakes us when it is done
        elif not self.broken:
            self._again = False
            self._rested()

    def _watch(self, looks: int = 0) -> None:
        self._timer = self._loop.call_later(self._stuck_seconds / _LOOKS, self._check, self._sends, looks + 1)

    def _check(self, sends: int, looks: int) -> None:
        """Has the send that went on at the last look come to its end?"""
        self._timer = None
        if self.busy and self._sends != sends:
            self._watch()
        elif self.busy and looks < _LOOKS:
            self._watch(looks)
        elif self.busy:
            self._stuck()
