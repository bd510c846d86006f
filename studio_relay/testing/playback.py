"""Twilio's playback queue: what is spoken when, what a barge-in cuts off, and what the caller heard of it.

Pure: time is passed in as milliseconds, and events come out with theirs; no loop, no socket, no frames.

Leftovers are the words of a reply that were still on the wire when Twilio cut it. No recording shows what becomes of
them, so there are three readings, all in this order of events: the caller cuts a talk cycle whose `last: true` has
not come (`interrupt`); more frames of it arrive (`text`), up to its `last: true`, which may be an empty closer; then
the next reply arrives.

- joined: leftovers are spoken, and unless they were played to their end the next reply goes on in the same utterance.
- apart: leftovers are spoken as an utterance of their own; its `last: true` ends it.
- dropped: leftovers are dropped, up to and including the `last: true`.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from studio_relay.testing.clauses import first_clause, heard_of, playable
from studio_relay.testing.rates import DIGITS_START_MS, MeasuredRates, Rates, digits_ms
from studio_relay.testing.utterance import Interruptible, Utterance

Cause = Literal["dtmf", "speech"]
Leftovers = Literal["joined", "apart", "dropped"]

REPORT_LAG_MS = 5
"""`durationUntilInterruptMs` was 5 to 6 ms below the time since the segment began."""

MAX_LOOPS = 1000


@dataclass(frozen=True, kw_only=True)
class PlaybackEvent:
    """What the queue would report, whether or not anybody subscribed."""

    at_ms: int
    name: Literal["agentSpeaking", "tokensPlayed"]
    value: str
    segment: str = ""  # what a fragment was cut from


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What a barge-in or a newer text left: the heard fragment of the current segment, its duration."""

    fragment: str
    duration_ms: int
    segment: str = ""


@dataclass(kw_only=True)
class _Segment:
    """The piece that is being played now."""

    item: Utterance
    start_ms: int
    begin: int  # where it begins in item.sent
    whole: bool = False  # its end was found; else it grows with the cycle
    text: str = ""
    end_ms: int = 0


@dataclass(kw_only=True)
class Playback:
    """The queue. `advance` first, then tell it what happened at that same time."""

    rates: Rates = field(default_factory=MeasuredRates)
    leftovers: Leftovers = "joined"
    media_ms: Mapping[str, int] = field(default_factory=dict)
    utterances: list[Utterance] = field(default_factory=list)
    speaking: bool = False
    words_before: int = 0  # whole segments' words since the agent began to speak
    _queue: deque[Utterance] = field(default_factory=deque)
    _open: Utterance | None = None  # the talk cycle whose last token has not come
    _cut_open: bool = False  # the last token of a cycle that was cut has not come
    _leftover: Utterance | None = None  # closed leftovers, which the next reply may join
    _texts: int = 0  # text frames so far
    _segment: _Segment | None = None
    _free_ms: int = 0

    # What comes in

    def greet(self, text: str, *, at_ms: int, interruptible: Interruptible) -> None:
        """Queue the welcome greeting; it is one segment and starts at `at_ms`."""
        self._add(Utterance(kind="greeting", sent=text, closed=True, ready_ms=at_ms, interruptible=interruptible))

    def text(
        self,
        now: int,
        token: str,
        *,
        last: bool,
        preemptible: bool,
        interruptible: Interruptible,
        lang: str | None = None,
    ) -> list[PlaybackEvent]:
        """Take one token of the open talk cycle, or of a new one; a new one may preempt, and reports it."""
        number, self._texts = self._texts, self._texts + 1
        leftover = self._cut_open
        self._cut_open = leftover and not last
        if leftover and self.leftovers == "dropped":
            return []
        cycle = self._open
        if cycle is None and (token or not last) and (cycle := self._joinable(lang)) is not None:
            self._reopen(cycle)
            cycle.preemptible, cycle.interruptible = preemptible, interruptible
        if cycle is None:
            cycle = Utterance(
                kind="speech", preemptible=preemptible, interruptible=interruptible, lang=lang, leftover=leftover
            )
        self._open = cycle
        events: list[PlaybackEvent] = []
        if token.strip() and not cycle.sent.strip():
            events = self._preempt(now)
            self._add(cycle)
        if self._playing is not cycle:
            begins = not cycle.rest.strip()
            cycle.ready_ms = now + self.rates.start_ms() if begins else max(cycle.ready_ms, now)
        cycle.sent += token
        cycle.frames.append((number, len(token)))
        if last:
            cycle.closed, self._open = True, None
            self._leftover = cycle if leftover else self._leftover
        self._grow()
        return events

    def _joinable(self, lang: str | None) -> Utterance | None:
        """The leftovers in which the next reply goes on: not yet played to their end, and nothing waits behind them."""
        leftover, self._leftover = self._leftover, None
        if leftover is None or self.leftovers != "joined" or leftover.cut or leftover.preemptible:
            return None
        heard_out = self._playing is not leftover and not leftover.rest.strip()
        is_last = bool(self._queue) and self._queue[-1] is leftover
        return leftover if is_last and not heard_out and leftover.lang == lang else None

    def _reopen(self, cycle: Utterance) -> None:
        """Let a closed cycle grow again, and the segment that ended only because the cycle did."""
        cycle.closed = cycle.leftover = False
        if self._segment is not None and self._segment.item is cycle and not cycle.rest:
            self._segment.whole = False

    def play(
        self, now: int, source: str, *, loop: int, preemptible: bool, interruptible: Interruptible
    ) -> list[PlaybackEvent]:
        """Queue media; no report of its own is known, `agentSpeaking` around it is our assumption."""
        events = self._preempt(now)
        once = self.media_ms[source] if source in self.media_ms else self.rates.media_ms(source)
        self._add(
            Utterance(
                kind="media",
                sent=source,
                closed=True,
                ready_ms=now + self.rates.start_ms(),
                preemptible=preemptible,
                interruptible=interruptible,
                media_ms=once * (loop or MAX_LOOPS),
            )
        )
        return events

    def digits(self, now: int, digits: str) -> None:
        """Queue keys: behind speech they follow at once, else after a short delay."""
        ready = now + DIGITS_START_MS if self.quiet else now
        self._add(Utterance(kind="digits", sent=digits, closed=True, ready_ms=ready, interruptible="none"))

    # What can be asked

    def heard_by_frame(self, until_ms: int | None = None) -> dict[int, str]:
        """What the caller has heard of each `text` frame, by the frame's number; until then, or until now.

        Frames are counted from 0 as they come, empty and dropped ones too. Whole segments and cut fragments count; a
        frame of which nothing was heard is left out.
        """
        heard: dict[int, str] = {}
        for item in self.utterances:
            left = item.heard_until(until_ms)
            for number, length in item.frames:
                if left[:length]:
                    heard[number] = left[:length]
                left = left[length:]
        return heard

    @property
    def quiet(self) -> bool:
        """Whether nothing is audible and nothing that was sent waits to be."""
        return self._segment is None and not self.speaking and self.next_at() is None

    @property
    def unfinished(self) -> bool:
        """Whether the server has begun a talk cycle and not closed it."""
        return self._open is not None and bool(self._open.sent.strip())

    def interruptible_by(self, cause: Cause) -> bool:
        """Whether `cause` would cut what is audible now; silence cannot be cut."""
        if not self.speaking:
            return False
        item = self._playing or (self._queue[0] if self._queue else None)
        return item is not None and item.interruptible in ("any", cause)

    def unheard(self, now: int) -> str:
        """What was sent to be spoken and has not been heard yet."""
        rest = []
        segment = self._segment
        if segment is not None and segment.item.kind in ("speech", "greeting"):
            heard = heard_of(segment.text, now - segment.start_ms, segment.end_ms - segment.start_ms)
            rest = [segment.text.strip().removeprefix(heard), segment.item.rest]
        playing = self._playing
        waiting = [item for item in self._queue if item is not playing and item.kind in ("speech", "greeting")]
        rest += [item.rest for item in waiting if not item.cut]
        return " ".join(" ".join(rest).split())

    def next_at(self) -> int | None:
        """When `advance` has something to do next; None while it waits for something to be told."""
        if self._segment is not None:
            return self._segment.end_ms
        item = self._head()
        if item is not None and playable(item.rest, closed=item.closed):
            return max(item.ready_ms, self._free_ms)
        return None

    def word_moment(self, count: int) -> int | None:
        """When the `count`-th word since the agent began to speak is half said; None if not known yet."""
        wanted = count - self.words_before
        if wanted <= 0:
            return self._free_ms
        if self._segment is None or self._segment.item.kind in ("media", "digits"):
            return None
        words = list(re.finditer(r"\S+", self._segment.text))
        if wanted > len(words):
            return None
        word = words[wanted - 1]
        share = (word.start() + word.end()) / 2 / len(self._segment.text)
        return self._segment.start_ms + round(share * (self._segment.end_ms - self._segment.start_ms))

    # What happens with time

    def advance(self, now: int) -> list[PlaybackEvent]:
        """Everything up to and at `now`, in order."""
        events: list[PlaybackEvent] = []
        while True:
            if self._segment is not None and self._segment.end_ms <= now:
                events += self._finish(self._segment)
            elif self._segment is None and (item := self._due(now)) is not None:
                events += self._begin(item, max(item.ready_ms, self._free_ms))
            else:
                return events

    def interrupt(self, now: int) -> Cut:
        """Stop at once and purge everything; what arrives later is new speech (`greeting-dtmf` shows it)."""
        cut = self._cut_segment(now)
        for item in self._queue:
            item.cut = True
        self._queue.clear()
        self._cut_open = self._cut_open or self._open is not None
        self._open = self._leftover = None
        self.speaking = False
        self._free_ms = max(self._free_ms, now)
        return cut

    def _preempt(self, now: int) -> list[PlaybackEvent]:
        events: list[PlaybackEvent] = []
        playing = self._playing
        if playing is not None and playing.preemptible:
            cut = self._cut_segment(now)
            if cut.fragment:
                fragment = PlaybackEvent(at_ms=now, name="tokensPlayed", value=cut.fragment, segment=cut.segment)
                events.append(fragment)
            playing.cut = True
        for item in self._queue:
            item.cut = item.cut or item.preemptible
        self._queue = deque(item for item in self._queue if not item.cut)
        if self._open is not None and self._open.cut:
            self._open = None
        return events

    def _add(self, item: Utterance) -> None:
        self.utterances.append(item)
        self._queue.append(item)

    @property
    def _playing(self) -> Utterance | None:
        return self._segment.item if self._segment else None

    def _head(self) -> Utterance | None:
        while self._queue and self._queue[0].over:
            self._queue.popleft()
        return self._queue[0] if self._queue else None

    def _due(self, now: int) -> Utterance | None:
        item = self._head()
        if item is None or not playable(item.rest, closed=item.closed):
            return None
        return item if max(item.ready_ms, self._free_ms) <= now else None

    def _begin(self, item: Utterance, at: int) -> list[PlaybackEvent]:
        events: list[PlaybackEvent] = []
        if item.kind != "digits" and not self.speaking:
            self.speaking, self.words_before = True, 0
            events.append(PlaybackEvent(at_ms=at, name="agentSpeaking", value="on"))
        if item.started_ms is None:
            item.started_ms = at
        self.rates.begin_segment()
        self._segment = _Segment(item=item, start_ms=at, begin=item.taken)
        self._grow()
        return events

    def _grow(self) -> None:
        """Let the playing segment take what arrived for it, up to the end of its clause."""
        segment = self._segment
        if segment is None or segment.whole:
            return
        item, begun = segment.item, segment.text
        item.taken = segment.begin
        if item.kind == "speech":
            comma_at = self.rates.comma_at()
            segment.text, segment.whole = first_clause(item.rest, closed=item.closed, comma_at=comma_at)
        else:
            segment.text, segment.whole = item.sent, True
        if len(segment.text) < len(begun):  # the cycle was reopened: what has begun to be spoken goes on
            segment.text = begun
        item.taken = segment.begin + len(segment.text)
        segment.end_ms = segment.start_ms + self._duration(item, segment.text)

    def _duration(self, item: Utterance, text: str) -> int:
        if item.kind == "digits":
            return digits_ms(text)
        return item.media_ms if item.kind == "media" else self.rates.segment_ms(text)

    def _finish(self, segment: _Segment) -> list[PlaybackEvent]:
        at, item = segment.end_ms, segment.item
        item.hear(at, segment.text)
        self.words_before += len(segment.text.split())
        self._segment, self._free_ms = None, at
        events = []
        if item.kind != "media":
            events.append(PlaybackEvent(at_ms=at, name="tokensPlayed", value=segment.text))
        follower = self._due(at)
        if self.speaking and (follower is None or follower.kind == "digits"):
            events.append(PlaybackEvent(at_ms=at, name="agentSpeaking", value="off"))
            self.speaking = False
        return events

    def _cut_segment(self, now: int) -> Cut:
        segment = self._segment
        if segment is None:
            return Cut(fragment="", duration_ms=0)
        elapsed = max(0, now - segment.start_ms)
        fragment = ""
        if segment.item.kind in ("speech", "greeting"):
            fragment = heard_of(segment.text, elapsed, segment.end_ms - segment.start_ms)
        if fragment:
            segment.item.hear(now, segment.text[: segment.text.index(fragment)] + fragment)
        segment.item.cut = True
        self._segment, self._free_ms = None, now
        return Cut(fragment=fragment, duration_ms=max(0, elapsed - REPORT_LAG_MS), segment=segment.text)
