"""What the caller has heard of what we sent, as far as can be known; no clock, no messages, no decisions.

Two sources, told apart everywhere (full mode and widget mode):

* **Events.** Each `tokensPlayed` moves one pointer through the sent text (white space is not compared), and
  `agentSpeaking` says when sound starts and stops. Once one was seen, events decide.
* **Estimates.** Without events the measured speaking rate predicts a position, and the fragment that an
  `interrupt` reports is looked for near it. What comes of that is marked as an estimate.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from studio_relay.protocol.states import PLAYBACK, Playing, Sound

# How long speech takes at most, for deciding when to say goodbye (section 3.5 of the protocol reference).
START_SECONDS = 0.6
SECONDS_PER_CHARACTER = 0.065
SECONDS_PER_TONE = 0.45  # `1234#` took 1.9 to 2.2 s in the recordings
# How long speech takes usually, for predicting a position: a fit over recorded segments.
_USUAL_START = 0.33
_USUAL_SEGMENT = 0.356
_USUAL_CHARACTER = 0.044
# agentSpeaking follows the first token within 0.5 s in every recording.
_START_GRACE_SECONDS = 1.0
# A fragment is reported twice, by tokensPlayed and interrupt, in the same millisecond.
_SAME_REPORT_SECONDS = 1.0
_SEGMENT_END = re.compile(r"[.:!?…。！？](?=\s|$)|[。！？]")


def squeeze(text: str) -> str:
    """`text` without its white space: what is compared with what was reported as played."""
    return "".join(text.split())


@dataclass(slots=True, eq=False)
class Speech:
    """The text of one talk cycle as it was sent, and how much of it was heard."""

    cycle: int
    began: int
    sent_at: float
    preemptible: bool = False
    pieces: list[str] = field(default_factory=list)
    heard: int = 0  # characters of the squeezed text
    cut: bool = False
    estimated: bool = False
    _squeezed: str = ""
    _squeezed_pieces: int = 0

    @property
    def text(self) -> str:
        """All that was sent."""
        if len(self.pieces) > 1:
            self.pieces[:] = ["".join(self.pieces)]
            self._squeezed_pieces = 0
        return self.pieces[0] if self.pieces else ""

    @property
    def squeezed(self) -> str:
        """All that was sent, without white space."""
        if self._squeezed_pieces != len(self.pieces):
            self._squeezed = squeeze(self.text)
            self._squeezed_pieces = len(self.pieces)
        return self._squeezed

    @property
    def unheard(self) -> str:
        return self.squeezed[self.heard :]

    def heard_text(self) -> str:
        """The part of the sent text that was heard: a prefix of it."""
        return prefix_of(self.text, self.heard)


def prefix_of(text: str, squeezed_length: int) -> str:
    """The shortest prefix of `text` that holds `squeezed_length` characters which are not white space."""
    seen = 0
    for index, character in enumerate(text):
        if seen == squeezed_length:
            return text[:index].rstrip()
        seen += not character.isspace()
    return text


@dataclass(slots=True, eq=False)
class Tones:
    """Digits in the playback queue."""

    digits: str
    sent_at: float
    played: bool = False


@dataclass(slots=True, eq=False)
class Greeting:
    """Speech that is not ours: the `welcomeGreeting` of TwiML or widget."""

    text: str
    began_at: float
    estimated: bool = False


class Playback:
    """Follows playback. The caller passes `now` in seconds; any steady clock does."""

    def __init__(self) -> None:
        self.state = Playing.UNKNOWN
        self.speeches: list[Speech] = []
        self.tones: list[Tones] = []
        self.greeting: Greeting | None = None
        self._pointer = 0  # index of the speech that is heard, or will be next
        self._tokens_seen = False
        self._speakers_seen = False
        self._on_at: float | None = None
        self._greeting_sounds = False
        self._last_sent_at = float("-inf")
        self._off_at = float("-inf")
        self._run_began = float("-inf")  # first token of the speech that is presumed to sound now
        self._busy_until = float("-inf")
        self._last_report = ("", float("-inf"))

    # ------------------------------------------------------------------------------ what we do

    def sent(self, speech: Speech, token: str, now: float) -> None:
        """`token` of `speech` went out."""
        if now >= self._busy_until:
            self._begin_run(now)
        if not speech.pieces:
            self.speeches.append(speech)
            speech.sent_at = now
        speech.pieces.append(token)
        self._last_sent_at = now
        self._busy_until += SECONDS_PER_CHARACTER * len(token)

    def tones_sent(self, digits: str, now: float) -> None:
        """`digits` went out."""
        self.tones.append(Tones(digits, now))
        self._last_sent_at = now
        self._busy_until = max(self._busy_until, now) + SECONDS_PER_TONE * len(digits)

    def _begin_run(self, now: float) -> None:
        self._run_began = now
        self._busy_until = now + START_SECONDS
        if not self.certain:
            # Estimates have no reports: what was sent before this silence counts as heard.
            for speech in self.speeches[self._pointer :]:
                self._assume_heard(speech)
            self._pointer = max(0, len(self.speeches) - 1)

    # ------------------------------------------------------------------------ what Twilio reports

    def speaking(self, on: bool, now: float) -> None:
        """`agentSpeaking` on or off."""
        self._speakers_seen = True
        self.state = PLAYBACK[self.state, Sound.ON if on else Sound.OFF]
        if on:
            self._on_at = now
            self._greeting_sounds = not self.speeches and self.greeting is None
        else:
            self._off_at = now
            self._greeting_sounds = False

    def played(self, value: str, now: float) -> None:
        """`tokensPlayed`: `value` was just heard to its end."""
        self._tokens_seen = True
        self.state = PLAYBACK[self.state, Sound.PLAYED]
        wanted = squeeze(value)
        if not wanted or self._already_reported(wanted, now):
            return
        self._last_report = (wanted, now)
        if self._greeting_sounds or not (self._advance(wanted) or self._tones_played(value)):
            self._greeted(value, now)

    def _already_reported(self, wanted: str, now: float) -> bool:
        """True for a late twin of a fragment that an interrupt has just accounted for."""
        text, at = self._last_report
        return text == f"interrupt:{wanted}" and now - at <= _SAME_REPORT_SECONDS

    def _greeted(self, value: str, now: float) -> None:
        if self.greeting is None and not any(speech.heard for speech in self.speeches):
            began = self._on_at if self._on_at is not None else now
            self.greeting = Greeting(value.strip(), began)
            self._greeting_sounds = False

    def _tones_played(self, value: str) -> bool:
        for tones in self.tones:
            if not tones.played and tones.digits == value.strip():
                tones.played = True
                return True
        return False

    def _advance(self, wanted: str) -> bool:
        """Move the pointer over `wanted`; it may begin at a later speech if this one was preempted."""
        waiting = [s for s in self.speeches[self._pointer :] if not s.cut]
        for index, speech in enumerate(waiting):
            ahead = speech.unheard if index == 0 else speech.squeezed
            if not (ahead.startswith(wanted) or self._spans(wanted, ahead, waiting[index + 1 :])):
                continue
            for skipped in waiting[:index]:
                self._skip(skipped)
            self._consume(wanted, waiting[index:])
            return True
        return False

    @staticmethod
    def _spans(wanted: str, ahead: str, later: list[Speech]) -> bool:
        return (
            bool(ahead)
            and wanted.startswith(ahead)
            and "".join([ahead, *(speech.squeezed for speech in later)]).startswith(wanted)
        )

    @staticmethod
    def _skip(speech: Speech) -> None:
        """Later speech sounds: Twilio's queue keeps its order, so this one was preempted or has been heard."""
        if speech.preemptible:
            speech.cut = True
        else:
            speech.heard = len(speech.squeezed)

    def _consume(self, wanted: str, waiting: Iterable[Speech]) -> None:
        left = len(wanted)
        for speech in waiting:
            taken = min(left, len(speech.unheard))
            speech.heard += taken
            left -= taken
            self._pointer = self.speeches.index(speech)
            if not left:
                return

    # --------------------------------------------------------------------------------- barge-in

    def interrupted(self, fragment: str, now: float, before: int) -> list[Speech]:
        """The caller barged in. Speech of talk cycles begun before event `before` is cut; returns what was cut."""
        cutting = [s for s in self.speeches[self._pointer :] if not s.cut and s.began < before and s.unheard]
        if self.certain:
            self._account_for(fragment, now)
        else:
            self._estimate_cut(fragment, now, cutting)
        for speech in cutting:
            speech.cut = True
        for tones in self.tones:
            tones.played = True  # purged with the queue
        self.state = PLAYBACK[self.state, Sound.CUT]
        self._off_at = now
        self._greeting_sounds = False
        self._settle_estimate(now)
        return cutting

    def _account_for(self, fragment: str, now: float) -> None:
        wanted = squeeze(fragment)
        text, at = self._last_report
        if not wanted or (text == wanted and now - at <= _SAME_REPORT_SECONDS):
            return
        if self._tokens_seen and self._advance(wanted):
            self._last_report = (f"interrupt:{wanted}", now)

    def _settle_estimate(self, now: float) -> None:
        """Only what was not cut still sounds: restart the estimate with it."""
        left = [s for s in self.speeches[self._pointer :] if not s.cut]
        self._pointer = self.speeches.index(left[0]) if left else len(self.speeches)
        self._run_began = now
        waiting = sum(len(speech.text) for speech in left)
        self._busy_until = now + START_SECONDS + SECONDS_PER_CHARACTER * waiting if waiting else now

    def _estimate_cut(self, fragment: str, now: float, cutting: list[Speech]) -> None:
        whole = "".join(speech.squeezed for speech in cutting)
        predicted = self._predict(now, cutting)
        wanted = squeeze(fragment)
        end = self._find(wanted, whole, cutting, predicted)
        if end is None and wanted and not any(s.heard for s in self.speeches):
            self.greeting = self.greeting or Greeting(fragment.strip(), now, estimated=True)
            end = 0
        self._hear(cutting, end if end is not None else _word_end(cutting, predicted))

    def _predict(self, now: float, speeches: list[Speech]) -> int:
        """How many squeezed characters should have been heard by `now`, at the usual speaking rate."""
        left = now - self._run_began - _USUAL_START
        heard = 0
        for segment in _segments(speeches):
            needs = _USUAL_SEGMENT + _USUAL_CHARACTER * len(segment)
            size = len(squeeze(segment))
            if left < needs:
                return heard + max(0, int(size * left / needs))
            left -= needs
            heard += size
        return heard

    @staticmethod
    def _find(wanted: str, whole: str, speeches: list[Speech], predicted: int) -> int | None:
        """The end of the occurrence of `wanted` nearest the predicted point; segments begin it if any does."""
        if not wanted:
            return None
        starts = list(_segment_starts(speeches))
        ends = [start + len(wanted) for start in starts if whole.startswith(wanted, start)]
        if not ends:
            ends = [match.end() for match in re.finditer(re.escape(wanted), whole)]
        return min(ends, key=lambda end: abs(end - predicted), default=None)

    def _hear(self, speeches: list[Speech], length: int) -> None:
        for speech in speeches:
            speech.heard = min(length, len(speech.squeezed))
            speech.estimated = True
            length -= speech.heard

    @staticmethod
    def _assume_heard(speech: Speech) -> None:
        if not speech.cut:
            speech.heard = len(speech.squeezed)
            speech.estimated = True

    def stopped(self, now: float) -> None:
        """The socket is closed: what was not heard by now never will be."""
        waiting = [s for s in self.speeches[self._pointer :] if not s.cut and s.unheard]
        if not self._tokens_seen:
            if self.done(now):
                for speech in waiting:
                    self._assume_heard(speech)
            else:
                self._hear(waiting, _word_end(waiting, self._predict(now, waiting)))
        for speech in waiting:
            speech.cut = bool(speech.unheard)

    # ----------------------------------------------------------------------------- is it over yet?

    @property
    def certain(self) -> bool:
        """True once an event was seen: from then on events decide, estimates never."""
        return self.state is not Playing.UNKNOWN

    @property
    def reported(self) -> bool:
        """True when what was heard is known word by word (`tokensPlayed` is subscribed)."""
        return self._tokens_seen

    def done(self, now: float) -> bool:
        """True when nothing of what was sent is still to be heard."""
        due = self.due(now)
        return due is not None and due <= now

    def due(self, now: float) -> float | None:
        """When the last words will have been played, in the time of `now`; None if only an event can tell."""
        if not self.certain:
            return self._busy_until
        if self._nothing_unheard():
            return now
        if not self._speakers_seen or self.state is Playing.SPEAKING:
            return None
        if self._off_at >= self._last_sent_at + _START_GRACE_SECONDS:
            return now
        # Silence although speech was sent: it starts within the grace, or it never does.
        return max(self._last_sent_at, self._off_at) + _START_GRACE_SECONDS

    def _nothing_unheard(self) -> bool:
        if not self._tokens_seen:
            return not self.speeches and not self.tones and self.state is Playing.IDLE
        spoken = all(s.cut or not s.unheard for s in self.speeches[self._pointer :])
        return spoken and all(tones.played for tones in self.tones)


def _segments(speeches: Iterable[Speech]) -> Iterator[str]:
    """The clauses Twilio speaks one by one: text up to a full stop, colon or the like."""
    for speech in speeches:
        text, start = speech.text, 0
        for match in _SEGMENT_END.finditer(text):
            yield text[start : match.end()]
            start = match.end()
        if text[start:].strip():
            yield text[start:]


def _segment_starts(speeches: Iterable[Speech]) -> Iterator[int]:
    start = 0
    for segment in _segments(speeches):
        yield start
        start += len(squeeze(segment))


def _word_end(speeches: list[Speech], length: int) -> int:
    """The last end of a word at or before `length` squeezed characters."""
    ends, total = [0], 0
    for speech in speeches:
        for word in speech.text.split():
            total += len(word)
            ends.append(total)
    return ends[bisect_right(ends, length) - 1]
