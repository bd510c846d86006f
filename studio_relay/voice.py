"""The way of a reply's words to the wire, past every extension that wraps replies; generates nothing itself."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import Protocol, TypeAlias

from msgspec import structs

from studio_relay.errors import CallEnded, PluginError, ProtocolError, QueueFull
from studio_relay.hooks import abandon
from studio_relay.plugins import Hook
from studio_relay.progress import Progress
from studio_relay.protocol.messages import Language, Outgoing, Raw, Text
from studio_relay.protocol.session import Session
from studio_relay.protocol.words import Lead, first_word, spaced
from studio_relay.wrapping import Chain

Item: TypeAlias = "str | Outgoing | Raw"

_AHEAD = 32  # pieces an agent may be ahead of the extensions that wrap it


class Writer(Protocol):
    """Whoever puts frames on the wire; one frame at a time, so only while it is not `busy`."""

    busy: bool

    def time(self) -> float: ...
    def wake(self) -> None: ...
    def transmit(self, text: str) -> Awaitable[None]: ...


class Wire(Protocol):
    """What a voice asks of its conversation."""

    session: Session
    progress: Progress
    writer: Writer | None

    def wake(self) -> None: ...
    def begins(self, now: float) -> None: ...


class Voice:
    """Puts words into the talk cycle of one reply. Begins a new cycle when the last was cut or closed.

    `answers` is the number of the event that is answered, `spoke` whether there was something to hear.
    No text is sent in a cycle before its first word: what comes earlier goes out with that, or never.
    """

    __slots__ = ("_flows", "_lead", "_utterance", "answers", "cycle", "over", "spoke", "spoke_at", "wire")

    def __init__(self, wire: Wire, answers: int) -> None:
        self.wire = wire
        self.answers = answers
        self.cycle: int | None = None
        self.spoke = False
        self.spoke_at = 0.0  # loop time of the last piece of a stream
        self.over: ProtocolError | None = None
        self._lead = Lead()
        self._flows = False  # a stream is under way in this cycle: its next piece goes out as it is
        self._utterance: Text | None = None  # what the next utterance of this cycle comes right behind, if one does

    @property
    def has_room(self) -> bool:
        """Whether the agent may go on, or should wait for the caller's side to catch up."""
        return self.wire.session.room

    @property
    def blocked(self) -> bool:
        """Whether the caller's side has yet to take what was said: no fault of the agent's."""
        return not self.wire.session.room or (self.wire.writer is not None and self.wire.writer.busy)

    @property
    def holder(self) -> Hook | None:
        """Another plugin that holds back what was said."""
        return None

    def put(self, item: Item) -> None:
        """Queue `item`, a whole utterance if it is text. Raises what stop() was told, and what Session.say() raises."""
        if self.over is not None:
            raise self.over
        self._write(self._apart(item))

    def speak(self, piece: str) -> Awaitable[None] | None:
        """Say a piece of a stream, straight to the wire if nobody else is writing: await what comes back, if any does.

        This is what each token of a stream costs.
        """
        if not self._flows and not (piece := self._flow(piece)):
            return None
        writer = self.wire.writer
        if writer is not None and self.over is None and not writer.busy:
            self.spoke_at = writer.time()
            text = self.wire.session.speak(self.cycle or self._begin(self.spoke_at), piece, self.spoke_at)
            if text is not None:
                self.spoke = True
                return writer.transmit(text)
        if self.over is not None:
            raise self.over
        self._write(piece)
        return None

    def _flow(self, piece: str) -> str:
        """What to say when `piece` of a stream comes first, or behind something else; nothing before the first word."""
        self._utterance = None
        piece = self._lead.add(piece)
        self._flows = self._lead.over
        return piece

    def _apart(self, item: Item) -> Item:
        """`item`, with a space before it where it is an utterance right behind another. A sound parts them too."""
        self._flows = False
        if isinstance(item, Language) or (text := _text(item)) == "":
            return item
        before, self._utterance = self._utterance, None
        if text is None:
            return item
        utterance = structs.replace(item, token=text) if isinstance(item, Text) else Text(token=text, last=False)
        if before is not None and bool(before.preemptible) == bool(utterance.preemptible):
            utterance = structs.replace(utterance, token=spaced(text, behind=before.token))
        self._utterance = utterance
        return utterance if isinstance(item, Text) else utterance.token

    async def room(self) -> None:
        """Wait until there is room for more."""
        while not self.has_room:
            await self.wire.progress.next()

    def _write(self, item: Item) -> None:
        worded = _led(self._lead, item)
        if worded is None:
            return
        session, cycle = self.wire.session, self.cycle
        if cycle is None or not session.is_open(cycle):
            cycle = self._begin(asyncio.get_running_loop().time())
        if isinstance(worded, str):
            session.say(cycle, worded)
        else:
            session.send(cycle, worded)
        self.spoke = self.spoke or not isinstance(worded, Language)
        self.wire.wake()

    def _begin(self, now: float) -> int:
        self.cycle = self.wire.session.begin(answers=self.answers)
        self.wire.begins(now)
        return self.cycle

    async def flush(self) -> None:
        """Wait until everything that was put stands in its talk cycle, and close it: Twilio speaks all of it."""
        session, writer, cycle = self.wire.session, self.wire.writer, self.cycle
        if cycle is None or writer is None or writer.busy or session.waiting or not session.is_open(cycle):
            self._close_cycle()
            return
        # Nobody else is writing, as with speak(): the end of a reply need not wait for a task of its own.
        session.finish(cycle)
        self._leave_cycle()
        text = session.next_text(writer.time())
        if text is not None:
            await writer.transmit(text)
        self.wire.progress.happened()

    def cut(self) -> None:
        """The caller barged in, and the hook goes on: what was put so far is not to be heard."""
        self._leave_cycle()

    def _close_cycle(self) -> None:
        cycle = self.cycle
        self._leave_cycle()
        if cycle is not None:
            self.wire.session.finish(cycle)
            self.wire.wake()

    def _leave_cycle(self) -> None:
        """What is said next begins a new talk cycle."""
        self.cycle = self._utterance = None
        self._flows = False
        self._lead.begin()

    def stop(self, why: ProtocolError, *, drop: bool) -> None:
        """Take nothing more: put() raises `why`. `drop` also takes back what has not been sent yet."""
        self.over = why
        if drop and self.cycle is not None:
            self.wire.session.replace(self.cycle)
        self._close_cycle()


class WrappedVoice(Voice):
    """A voice whose words pass through extensions first, each run of text in one stream.

    `limit` is how many items may wait for the extensions.
    """

    __slots__ = ("_arrived", "_chain", "_ended", "_error", "_items", "_limit", "_pump", "_starving", "_unwrapped")

    def __init__(self, wire: Wire, answers: int, chain: Chain, *, limit: int) -> None:
        super().__init__(wire, answers)
        self._chain = chain
        self._limit = limit
        self._unwrapped = Lead()  # an agent that says no word has said none, whatever the extensions add
        self._items: deque[Item] = deque()
        self._arrived = asyncio.Event()
        self._ended = False
        self._starving = False
        self._error: PluginError | None = None
        self._pump: asyncio.Task[None] | None = None

    @property
    def has_room(self) -> bool:
        return len(self._items) < min(_AHEAD, self._limit) or self._error is not None

    @property
    def holder(self) -> Hook | None:
        return None if self._starving or self._pump is None or self._pump.done() else self._chain.holder

    def speak(self, piece: str) -> None:
        self._utterance = None
        self._take(piece)

    def put(self, item: Item) -> None:
        self._take(self._apart(item))

    def _take(self, item: Item) -> None:
        if (refusal := self.over or self._error) is not None:
            raise refusal
        if len(self._items) >= self._limit:
            raise QueueFull(f"{self._limit} pieces wait for the extensions that wrap them, the limit: say less at once")
        worded = _led(self._unwrapped, item)
        if worded is None:
            return
        self._items.append(worded)
        self._arrived.set()
        self.spoke = self.spoke or not isinstance(worded, Language)
        if self._pump is None or self._pump.done():
            self._ended = False
            self._pump = asyncio.get_running_loop().create_task(self._run(), name="studio-relay wrap_reply")

    async def flush(self) -> None:
        if self._pump is not None:
            self._ended = True
            self._arrived.set()
            await asyncio.wait({self._pump})
        self._close_cycle()
        if self._error is not None:
            raise self._error

    def stop(self, why: ProtocolError, *, drop: bool) -> None:
        super().stop(why, drop=drop)
        self._stop_wrapping()

    def cut(self) -> None:
        super().cut()
        self._stop_wrapping()

    def _leave_cycle(self) -> None:
        super()._leave_cycle()
        self._unwrapped.begin()

    def _stop_wrapping(self) -> None:
        self._items.clear()
        if self._pump is not None:
            abandon(self._pump, self._chain.holder)
            self._pump = None

    async def _run(self) -> None:
        try:
            while (item := await self._next()) is not None:
                if _is_plain(item):
                    await self._speak(self._text_from(item))
                    await self._skip_text()
                elif isinstance(item, Text):
                    await self._speak(_only(item), options=item)
                else:
                    self._write(item)
        except CallEnded:
            pass  # what is said after end() is dropped, and that is no failure
        except (PluginError, ProtocolError) as error:
            if self._pump is not asyncio.current_task():
                raise  # it was stopped, and failed on its way out
            self._error = error if isinstance(error, PluginError) else PluginError(f"wrap_reply: {error}")
            self.wire.wake()

    async def _next(self) -> Item | None:
        while not self._items:
            if self._ended:
                return None
            self._arrived.clear()
            self._starving = True
            await self._arrived.wait()
            self._starving = False
        self.wire.wake()
        return self._items.popleft()

    async def _speak(self, text: AsyncGenerator[str, None], options: Text | None = None) -> None:
        async with aclosing(text), aclosing(self._chain.wrap(text)) as wrapped:
            async for piece in wrapped:
                while not self.wire.session.room:
                    await self.wire.progress.next()
                if self.over is not None:
                    return
                if piece:
                    self._write(piece if options is None else structs.replace(options, token=piece))

    async def _skip_text(self) -> None:
        """An extension that stopped before the end of a run of text has dropped the rest of it."""
        rest = await self._next()
        if rest is not None:
            async for _ in self._text_from(rest):
                pass

    async def _text_from(self, first: Item) -> AsyncGenerator[str, None]:
        """Text until something else comes, which is put back for its own turn."""
        item: Item | None = first
        while item is not None:
            if not _is_plain(item):
                self._items.appendleft(item)
                return
            yield item.token if isinstance(item, Text) else str(item)
            item = await self._next()


async def _only(text: Text) -> AsyncGenerator[str, None]:
    yield text.token


def is_blank(item: Item) -> bool:
    """Whether `item` is text without a word."""
    text = _text(item)
    return text is not None and first_word(text) < 0


def _text(item: Item) -> str | None:
    """What `item` says; None if it is no text."""
    if isinstance(item, Text):
        return str.__str__(item.token)
    return str.__str__(item) if isinstance(item, str) else None


def _led(lead: Lead, item: Item) -> Item | None:
    """`item` with what was held back before it; None while it has to be held back itself."""
    text = _text(item)
    if text is None:
        return item
    said = lead.add(text)
    if not said:
        return None
    return structs.replace(item, token=said) if isinstance(item, Text) else said


def _is_plain(item: Item) -> bool:
    if isinstance(item, Text):
        return item.lang is None and item.interruptible is None and item.preemptible is None
    return isinstance(item, str)
