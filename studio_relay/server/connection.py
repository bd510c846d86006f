"""One socket served: its frames go to a conversation at once, the conversation's words go out in order.

Whatever happens to the socket, the conversation is told once, with the close code. What is said, and by whom,
is decided in `dispatch.py`.

A session ends in one of these ways, and always within seconds of its socket:
1. The host reports the close. That is the rule, and the only one that knows the peer's close code.
2. The host refuses a frame, and reports no close within CLOSE_TIMEOUT_SECONDS after that.
3. The host does not finish a frame within SEND_TIMEOUT_SECONDS: the other side reads nothing, or is gone.
4. Events pile up behind on_setup for HOOK_TIMEOUT_SECONDS, so that nobody reads far enough to see a close.
5. We close it: limits, a refused setup, a newer socket of the call, `end` that is not followed by a close.
Our own close waits a second for the host. What the host then has not finished is abandoned: never cancelled
(see `hostcalls.py`), but counted, and waited for by nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from contextvars import copy_context
from functools import partial

from studio_relay.dispatch import Conversation, Dispatcher
from studio_relay.log import CALL, SESSION
from studio_relay.plugins import Plugin
from studio_relay.protocol.messages import Setup
from studio_relay.protocol.states import State
from studio_relay.recording import SessionRecording
from studio_relay.registry import Live, Registry
from studio_relay.server.hostcalls import begin, whole
from studio_relay.server.limits import FrameBudget
from studio_relay.server.tickets import Tickets
from studio_relay.server.websocket import Closed, Socket
from studio_relay.server.writer import Writer
from studio_relay.ticket import TICKET

log = logging.getLogger(__name__)

_NORMAL, _GOING_AWAY, _POLICY, _FAULT = 1000, 1001, 1008, 1011
_HOST_SECONDS = 1.0  # what a host may take to close, or to finish its last frame


class Connection:
    """Serves one accepted socket until it is closed."""

    def __init__(
        self,
        socket: Socket,
        desk: Dispatcher,
        registry: Registry,
        *,
        agent: Plugin | None,
        tickets: Tickets,
        recording: SessionRecording | None = None,
    ) -> None:
        self._socket = socket
        self._recording = recording
        self._settings = desk.settings
        self._registry = registry
        self._tickets = tickets
        self._loop = asyncio.get_running_loop()
        self._conversation = Conversation(desk, path_agent=agent)
        self._writer = self._conversation.writer = Writer(
            self._conversation.session,
            socket.send if recording is None else self._send_recorded,
            rested=self._rested,
            progressed=self._conversation.progress.happened,
            stuck=self._stuck,
            failed=self._refused_by_host,
            stuck_seconds=self._settings.send_timeout_seconds,
        )
        self._conversation.admit = self._admit
        self._conversation.on_refusal = partial(self._stop, _POLICY)
        self._live = Live(conversation=self._conversation, drop=self._drop)
        self._task: asyncio.Task[None] | None = None
        self._stopping: Closed | None = None
        self._setup_timer: asyncio.TimerHandle | None = None
        self._close_timer: asyncio.TimerHandle | None = None
        self._gone_timer: asyncio.TimerHandle | None = None
        self._observer = desk.observer
        self._is_closing = False

    async def run(self) -> None:
        """Serve the socket. Returns when it is closed and everybody has been told."""
        self._task = asyncio.current_task()
        self._registry.add(self._live)
        cancelled = False
        try:
            self._setup_timer = self._loop.call_later(self._settings.setup_timeout_seconds, self._no_setup)
            await whole(self._socket.accept())
            self._conversation.session.accepted(self._loop.time())
            closed = await self._read()
        except asyncio.CancelledError:
            closed, cancelled = self._stopping or Closed(None), self._stopping is None
            if self._task is not None and not cancelled:
                self._task.uncancel()
        except Exception as error:  # a fault of ours or of the host's must not cost anybody on_end
            log.error("the socket could not be served on: %s", type(error).__name__)
            log.debug("the failure in full", exc_info=error)
            closed = self._stopping = Closed(_FAULT, "internal error")
        finally:
            self._writer.stop()
        await self._finish(closed)
        self._socket.let_go()
        if cancelled:
            raise asyncio.CancelledError
        await self._count_abandoned()

    async def _read(self) -> Closed:
        budget = FrameBudget(self._settings.max_frames_per_second, self._settings.max_frames_burst)
        while True:
            frame = await self._socket.receive()
            if isinstance(frame, Closed):
                return frame
            if not budget.take(self._loop.time()):
                self._conversation.reason = "limit"
                self._record(frame, "too many frames")
                return await self._close(_POLICY, "too many frames")
            refused = self._conversation.receive(frame)
            self._record(frame, refused)
            if self._conversation.backlog >= self._settings.inbound_queue and not await self._caught_up():
                self._conversation.reason = "limit"
                return await self._close(_POLICY, "too many frames wait")

    async def _caught_up(self) -> bool:
        """Read no further until there is room for what is read; False if that takes too long."""
        seconds = self._settings.hook_timeout_seconds
        deadline = self._loop.time() + seconds
        while self._conversation.backlog >= self._settings.inbound_queue:
            if self._loop.time() >= deadline:
                log.warning(
                    "%d events have waited for on_setup for %g s; the call is ended",
                    self._conversation.backlog,
                    seconds,
                )
                return False
            await self._conversation.progress.next(deadline)
        return True

    def _rested(self) -> None:
        """Everything is on its way."""
        self._conversation.progress.happened()
        if self._conversation.session.state is State.ENDING and self._close_timer is None:
            self._await_close()

    def _record(self, frame: str | bytes, refused: str | None) -> None:
        if self._recording is not None:
            self._recording.inbound(frame, refused=refused)

    async def _send_recorded(self, text: str) -> None:
        assert self._recording is not None
        self._recording.outbound(text)
        await self._socket.send(text)

    # ---------------------------------------------------------------------------- who and how long

    def _admit(self, setup: Setup) -> Awaitable[str | None]:
        CALL.set(setup.call_sid)
        SESSION.set(setup.session_id)
        self._live.context = copy_context()
        if self._setup_timer is not None:
            self._setup_timer.cancel()
        return self._check(setup)

    async def _check(self, setup: Setup) -> str | None:
        """A forged setup must not take the place of the call's own socket, so the ticket comes first."""
        refusal = await self._tickets.refusal(setup)
        return refusal or self._registry.admit(self._live, setup, proven=TICKET in setup.custom_parameters)

    def _no_setup(self) -> None:
        seconds = self._settings.setup_timeout_seconds
        log.warning("no setup came within %g s of the connection; it is closed", seconds)
        self._stop(_POLICY, "no setup")

    def _await_close(self) -> None:
        self._close_timer = self._loop.call_later(self._settings.close_timeout_seconds, self._not_closed)

    def _not_closed(self) -> None:
        log.warning("the other side did not close within %g s of end", self._settings.close_timeout_seconds)
        self._stop(_NORMAL, "the session has ended")

    def _stuck(self) -> None:
        log.warning("the other side has read nothing for %g s; it is dropped", self._settings.send_timeout_seconds)
        self._conversation.reason = "dropped"
        self._stop(_GOING_AWAY, "not reading")

    def _refused_by_host(self) -> None:
        """The host knows that the peer is gone; it reports the close next, with its code."""
        if self._gone_timer is None:
            self._gone_timer = self._loop.call_later(self._settings.close_timeout_seconds, self._gone)

    def _gone(self) -> None:
        log.warning("the host takes no more frames and reports no close; the connection is given up")
        self._conversation.reason = "dropped"
        self._stop(_GOING_AWAY, "gone")

    def _drop(self, why: str) -> None:
        self._conversation.reason = self._conversation.reason or "dropped"
        self._stop(_NORMAL, why)

    def _stop(self, code: int, reason: str) -> None:
        """Close from our side: the reader is interrupted, wherever it waits."""
        self._live.over = True
        if self._stopping is None and self._task is not None:
            self._stopping = Closed(code, reason)
            self._task.cancel()

    async def _close(self, code: int, reason: str) -> Closed:
        closing = begin(self._socket.close(code, reason[:100]), self._closed_by_us)
        if closing is not None:
            await asyncio.wait({closing}, timeout=_HOST_SECONDS)
            self._is_closing = not closing.done()
        return Closed(code, reason)

    def _closed_by_us(self, error: Exception | None) -> None:
        self._is_closing = False
        if error is not None:
            log.debug("the socket could not be closed: %s", type(error).__name__)

    async def _finish(self, closed: Closed) -> None:
        """Tell the conversation, even while the host is cancelling us."""
        self._live.over = True
        for timer in (self._setup_timer, self._close_timer, self._gone_timer):
            if timer is not None:
                timer.cancel()
        farewell = self._loop.create_task(self._part(closed), name="studio-relay end of session")
        while not farewell.done():
            try:
                await asyncio.shield(farewell)
            except asyncio.CancelledError:
                continue
        farewell.result()

    async def _part(self, closed: Closed) -> None:
        if self._recording is not None:
            self._recording.close(closed.code, closed.reason)
        try:
            if self._stopping is not None:
                await self._close(closed.code or _NORMAL, closed.reason)
            await self._conversation.closed(closed.code, closed.reason)
        finally:
            self._registry.remove(self._live)

    async def _count_abandoned(self) -> None:
        if self._is_closing or not await self._writer.finished(_HOST_SECONDS):
            self._observer.send_abandoned()
            log.warning("the host did not finish its last send; it is abandoned")
