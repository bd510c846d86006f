"""One reply of an agent: its hook runs in a task of its own, within its deadlines, until it is settled.

A reply is settled once: done, failed, or stopped because something newer is to be said. What its hook does
after that reaches nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from studio_relay.blame import contained
from studio_relay.errors import CallEnded, LocalProtocolError, PluginError, ProtocolError
from studio_relay.hooks import HookTimeout, abandon, call_hook, is_closing, is_text_stream
from studio_relay.plugins import Hook
from studio_relay.voice import Item, Voice, is_blank

# The reply whose hook is running here: what it says joins that reply.
CURRENT: ContextVar[Reply | None] = ContextVar("studio_relay_reply", default=None)

# An agent that never waits would be sent to its end before an interrupt is read, and faster than anybody can read
# it: it pauses for a moment. That is far quicker than speech.
_PAUSE_EVERY = 32
_PAUSE_SECONDS = 0.001
_CLEANUP_SECONDS = 1.0  # what the reply before may take to clean up
_OVER = "this reply is over (interrupted, replaced, failed or too slow): what it says now is not heard"


class Owner(Protocol):
    """What a reply asks of its conversation."""

    def reply_speaks(self, reply: Reply) -> None: ...
    def reply_settled(self, reply: Reply, failure: BaseException | None) -> None: ...


class Reply:
    """A hook that may speak. A `tentative` reply takes the line only with its first word.

    `may_be_silent` replies may end without a word; others owe the caller one, or None. A hook that `must_begin` is
    called even if it is stopped before its task had its turn, and is cancelled then.
    """

    __slots__ = (
        "_arguments", "_began_at", "_begun", "_loop", "_may_be_silent", "_must_begin", "_owner", "_paused_at",
        "_pauses", "_piece_seconds", "_progress_at", "_task", "_whole_seconds", "decided", "hook", "settled",
        "tentative", "voice", "waiting",
    )  # fmt: skip

    def __init__(
        self,
        owner: Owner,
        hook: Hook,
        arguments: Mapping[str, Any],
        voice: Voice,
        *,
        piece_seconds: float,
        whole_seconds: float,
        tentative: bool = False,
        may_be_silent: bool = False,
        must_begin: bool = False,
    ) -> None:
        self.hook = hook
        self.voice = voice
        self.tentative = tentative
        self.settled = False
        self.waiting = 0  # how often the hook waits in ask() or collect_digits()
        self._owner = owner
        self._arguments = arguments
        self._may_be_silent = may_be_silent
        self._must_begin = must_begin
        self._begun = False
        self._piece_seconds = piece_seconds
        self._whole_seconds = whole_seconds
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._began_at = self._progress_at = self._paused_at = 0.0
        self._pauses = 0
        # It has spoken, or is settled; only a tentative reply keeps others waiting for that.
        self.decided: asyncio.Future[None] | None = self._loop.create_future() if tentative else None

    def start(self, label: str, *, after: Collection[asyncio.Future[Any]] = ()) -> None:
        """Run the hook, once all of `after` are done or have had a second to be."""
        self._began_at = self._progress_at = self._loop.time()
        self._task = self._loop.create_task(self._run(after), name=f"{self.hook.task_name} {label}")

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The task of a hook that still runs."""
        return self._task if self._task is not None and not self._task.done() else None

    def put(self, item: Item) -> None:
        """Say `item` within this reply."""
        if self.tentative and not is_blank(item):
            self._take_the_line()
        self.voice.put(item)
        if self.voice.spoke:  # blanks before the first word are no progress
            self._progress_at = self._loop.time()

    def _take_the_line(self) -> None:
        """The first word makes a tentative reply the running one."""
        self.tentative = False
        self._owner.reply_speaks(self)
        self._decide()

    def _decide(self) -> None:
        if self.decided is not None and not self.decided.done():
            self.decided.set_result(None)

    def stop(self, why: ProtocolError | None = None, *, drop: bool = True) -> None:
        """Something newer is to be said, or the caller barged in; the hook is cancelled unless it asks for it."""
        if self.settled:
            return
        self.voice.stop(why or LocalProtocolError(_OVER), drop=drop)
        self._settle()
        if self._task is not None and self._task is not asyncio.current_task():
            self._cancel(self._task)

    def _cancel(self, task: asyncio.Task[None]) -> None:
        if self._begun or not self._must_begin:
            abandon(task, self.hook)
        # else it is cancelled as soon as it has begun, see _run()

    @contextmanager
    def waits(self) -> Iterator[None]:
        """While the hook waits for the caller, its deadlines stand still and a barge-in does not stop it."""
        self.waiting += 1
        try:
            with self.pauses():
                yield
        finally:
            self.waiting -= 1

    @contextmanager
    def pauses(self) -> Iterator[None]:
        """While the hook waits for its words to be heard, its deadlines stand still."""
        if not self._pauses:
            self._paused_at = self._loop.time()
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            if not self._pauses:
                self._progress_at = self._loop.time()
                self._began_at += self._progress_at - self._paused_at

    # ------------------------------------------------------------------------------- running

    async def _run(self, after: Collection[asyncio.Future[Any]]) -> None:
        CURRENT.set(self)
        failure: BaseException | None = None
        self._begun = True
        if self.settled and self._task is not None:
            self._loop.call_soon(self._cancel_later, self._task)
        try:
            if after:
                await asyncio.wait(set(after), timeout=_CLEANUP_SECONDS)
            spoken = await call_hook(self.hook, self._arguments)
            await self._speak(spoken)
            await self.voice.flush()
            if spoken is not None:
                self._expect_a_word()
        except CallEnded:
            pass  # end() was asked for; words after it are dropped, and that is no failure
        except asyncio.CancelledError:
            if not self.settled:
                self._finish(PluginError(f"{self.hook} was cancelled by its own code"))
            raise
        except BaseException as error:  # whatever it is: the caller waits for words
            if is_closing(error, self._task):
                raise
            failure = contained(self.hook, error)
        if failure is not None and self._is_abandoned():
            raise failure  # to whoever watches it
        self._finish(failure)

    def _cancel_later(self, task: asyncio.Task[None]) -> None:
        if not task.done():
            abandon(task, self.hook)

    def _is_abandoned(self) -> bool:
        return self.settled and self._task is not None and self._task.cancelling() > 0

    async def _speak(self, spoken: Any) -> None:
        if spoken is None:
            return
        if isinstance(spoken, str):
            self.put(spoken)
        elif is_text_stream(spoken):
            await self._stream(spoken)
        else:
            raise PluginError(
                f"{self.hook}: expected text, an async iterator of text, or None; found {type(spoken).__name__}"
            )

    def _expect_a_word(self) -> None:
        if not (self.voice.spoke or self._may_be_silent or isinstance(self.voice.over, CallEnded)):
            raise PluginError(f"{self.hook} ended without a word; return None for deliberate silence")

    async def _stream(self, pieces: AsyncIterator[Any]) -> None:
        # What the caller waits for, and what each token costs: nothing is done here that could be done elsewhere.
        voice, count = self.voice, 0
        try:
            async for piece in pieces:
                if not isinstance(piece, str):
                    if piece is not None:  # which is what models send for nothing
                        raise PluginError(f"{self.hook}: expected pieces of text, found {type(piece).__name__}")
                elif piece:  # an empty one is no progress, and nothing to say
                    if self.tentative and not is_blank(piece):
                        self._take_the_line()
                    sending = voice.speak(piece)
                    if sending is not None:
                        await sending
                    elif voice.spoke:
                        await voice.room()
                        self._progress_at = self._loop.time()
                count += 1
                if not count % _PAUSE_EVERY:
                    await asyncio.sleep(_PAUSE_SECONDS)
        except BaseException:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()
            raise

    def due(self, now: float) -> float:
        """When the hook will be too slow, in loop time, if nothing comes of it."""
        if self._pauses or self.voice.blocked:
            # Not later than any reply begun from now on could be: one timer serves them all.
            return now + min(self._piece_seconds, self._whole_seconds)
        progress_at = max(self._progress_at, self.voice.spoke_at)
        return min(progress_at + self._piece_seconds, self._began_at + self._whole_seconds)

    def check_deadlines(self, now: float) -> None:
        """Stop the hook if it is too slow. Whoever started the reply calls this when it is due."""
        if now < self.due(now):
            return
        if now >= self._began_at + self._whole_seconds:
            self._time_out("the whole reply", self._whole_seconds)
        else:
            self._time_out("words", self._piece_seconds)

    def _time_out(self, what: str, seconds: float) -> None:
        culprit = self.voice.holder or self.hook
        message = f"{culprit}: expected {what} within {seconds:g} s; it was stopped"
        self._finish(HookTimeout(message, plugin=culprit.plugin, hook=culprit.name))
        if self._task is not None:
            abandon(self._task, self.hook)

    def _finish(self, failure: BaseException | None) -> None:
        if self.settled:
            return
        if failure is not None:
            self.voice.stop(LocalProtocolError(_OVER), drop=False)
        self._settle()
        self._owner.reply_settled(self, failure)

    def _settle(self) -> None:
        self.settled = True
        self._decide()
