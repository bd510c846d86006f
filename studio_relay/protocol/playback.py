"""What the caller has heard of what we sent, as far as can be known; no clock, no messages, no decisions.

Two sources, told apart everywhere (full mode and widget mode):

* **Events.** Each `tokensPlayed` moves one pointer through the sent text (white space is not compared), and
  `agentSpeaking` says when sound starts and stops. Once one was seen, events decide.
* **Estimates.** Without events the measured speaking rate predicts a position (`estimate.py`), and the fragment
  that an `interrupt` reports is looked for near it. What comes of that is marked as an estimate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from studio_relay.protocol import estimate
from studio_relay.protocol.estimate import Chunk, prefix_of, squeeze
from studio_relay.protocol.states import PLAYBACK, Playing, Sound

# How long speech takes at most, for deciding when to say goodbye (section 3.5 of the protocol reference).
START_SECONDS = 0.6
SECONDS_PER_CHARACTER = 0.065
SECONDS_PER_TONE = 0.45  # `1234#` took 1.9 to 2.2 s in the recordings
# agentSpeaking follows the first token within 0.5 s in every recording.
_START_GRACE_SECONDS = 1.0
# The network may hold up both the words and the report that they sound; a goodbye is worth waiting for.
_SLOW_START_SECONDS = 4.0
# A fragment is reported twice, by tokensPlayed and interrupt, in the same millisecond; no segment is this short.
_SAME_REPORT_SECONDS = 0.25
# Where the network comes between the two, nothing else does: words that end no segment were cut off there.
_LATE_TWIN_SECONDS = 5.0
_SEGMENT_ENDS = (".", ":", "!", "?", "…", "。", "！", "？")
# Preempted speech was reported 98 ms after the text that preempted it; that text is not reported so soon.
_PREEMPTED_SECONDS = 0.4
# Tokens further apart than this are placed in time one by one when a position is estimated.
_PAUSE_SECONDS = 0.25
# Text that sounds out of order must be this long to be looked for: "Yes." is found anywhere.
_FINDABLE_CHARACTERS = 8
_NEVER = float("-inf")


@dataclass(slots=True, eq=False)
class Speech:
    """The text of one talk cycle as it was sent, and how much of it was heard.

    A cycle whose words may partly be preempted is made of several, each wholly `preemptible` or not at all.
    """

    cycle: int
    began: int
    sent_at: float = 0.0
    preemptible: bool = False
    followed_at: float = float("inf")  # when speech of another cycle came and ended this, if it is preemptible
    pieces: list[str] = field(default_factory=list)
    heard: int = 0  # characters of the squeezed text
    cut: bool = False
    late: list[str] = field(default_factory=list)  # heard after the cut: it was on its way when that came
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
        """What was not heard yet, without white space."""
        return self.squeezed[self.heard :]

    @property
    def pending(self) -> bool:
        """Whether some of it was not heard yet; cheap while it grows."""
        fresh = self.pieces[self._squeezed_pieces :]
        return any(map(squeeze, fresh)) or self.heard < len(self.squeezed)

    def heard_text(self) -> str:
        """The part of the sent text that was heard: a prefix of it, and what sounded after a cut all the same."""
        if self.heard >= len(self.squeezed):
            return self.text
        return " ".join(filter(None, [prefix_of(self.text, self.heard), *self.late]))

    def hear_late(self, value: str, wanted: str) -> bool:
        """Take `value` for words that were on their way when a barge-in cut the rest; False if they are not here."""
        start = self.heard + len(squeeze("".join(self.late)))
        found = wanted in self.squeezed[start:]
        if found:
            self.late.append(value.strip())
        return found

    def guess(self, heard: int) -> None:
        """By estimate, this much was heard."""
        self.heard = max(0, min(heard, len(self.squeezed)))
        self.estimated = True


@dataclass(slots=True, eq=False)
class Tones:
    """Digits in the playback queue, behind the first `behind` speeches."""

    digits: str
    sent_at: float
    began: int
    behind: int
    played: bool = False
    cut: bool = False

    @property
    def waiting(self) -> bool:
        return not (self.played or self.cut)


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
        self._fillers = False  # something preemptible was sent: look for it when other speech follows
        self._pointer = 0  # index of the speech that is heard, or will be next
        self._tokens_seen = False
        self._speakers_seen = False
        self._lost = False  # something sounded that is not in what we sent: reports no longer tell the end
        self._on_at: float | None = None
        self._off_at = _NEVER
        self._greeting_sounds = False
        self._last_sent_at = _NEVER
        self._busy_until = _NEVER
        self.longest_stall = 0.0  # seconds, by estimate, for which a reply that went on had nothing left to be heard
        self._marks: list[tuple[Speech, int, float]] = []  # where in a speech sending began or went on, and when
        self._last_report = ("", _NEVER)
        self._expects_twin = False  # that was a cut fragment, and its interrupt is still to come
        self._cut_at = _NEVER
        self._just_cut: list[Speech] = []
        self._stragglers: list[Speech] = []  # cut, but maybe still on its way to Twilio when that happened

    # ------------------------------------------------------------------------------ what we do

    def sent(self, speech: Speech, token: str, now: float) -> None:
        """`token` of `speech` went out."""
        if not speech.pieces:
            self._begin(speech, now)
        elif now - self._last_sent_at > _PAUSE_SECONDS and not self._tokens_seen:
            self._marks.append((speech, len(speech.text), now))
        if now >= self._busy_until:
            if speech.pieces:
                self.longest_stall = max(self.longest_stall, now - self._busy_until)
            self._busy_until = now + START_SECONDS
        speech.pieces.append(token)
        self._last_sent_at = now
        self._busy_until += SECONDS_PER_CHARACTER * len(token)

    def tones_sent(self, digits: str, now: float, began: int) -> None:
        """`digits` went out, in a talk cycle that answers event `began`."""
        self.tones.append(Tones(digits, now, began, len(self.speeches)))
        self._last_sent_at = now
        self._busy_until = max(self._busy_until, now) + SECONDS_PER_TONE * len(digits)

    def _begin(self, speech: Speech, now: float) -> None:
        if self._fillers:
            self._follow_fillers(speech, now)
        self._fillers = self._fillers or speech.preemptible
        speech.sent_at = now
        self.speeches.append(speech)
        self._marks.append((speech, 0, now))

    def _follow_fillers(self, speech: Speech, now: float) -> None:
        if not self._tokens_seen:
            self._estimate_preempted(speech.cycle, now)
        for earlier in self._waiting():
            if earlier.preemptible and earlier.cycle != speech.cycle:
                earlier.followed_at = min(earlier.followed_at, now)

    # ------------------------------------------------------------------------ what Twilio reports

    def speaking(self, on: bool, now: float) -> None:
        """`agentSpeaking` on or off."""
        self._speakers_seen = True
        self.state = PLAYBACK[self.state, Sound.ON if on else Sound.OFF]
        self._just_cut, self._expects_twin = [], False
        if on:
            self._on_at = now
            self._greeting_sounds = not self.speeches and self.greeting is None
        else:
            self._off_at = now
            self._greeting_sounds = False

    def played(self, value: str, now: float) -> None:
        """`tokensPlayed`: `value` was just heard to its end."""
        if not self._tokens_seen:
            self._first_report()
        self.state = PLAYBACK[self.state, Sound.PLAYED]
        wanted = squeeze(value)
        if not wanted or self._is_twin(f"interrupt:{wanted}", now) or self._is_fragment_again(wanted, now):
            return
        repeated = wanted == self._last_report[0]
        self._last_report, self._expects_twin = (wanted, now), not wanted.endswith(_SEGMENT_ENDS)
        if self._greeting_sounds and self.greeting is None:
            self._greeted(value, now)
        elif not self._place(value, wanted, now, repeated):
            self._lost = self._lost or not (repeated or self._greeted(value, now))

    def _first_report(self) -> None:
        """From now on we know: what was only assumed of speech that may still sound is forgotten."""
        self._tokens_seen = True
        for speech in self.speeches[self._pointer :]:
            speech.heard, speech.cut, speech.estimated = 0, False, False

    def _place(self, value: str, wanted: str, now: float, repeated: bool) -> bool:
        return (
            self._late(wanted, now)
            or self._tones_played(value, due=True)
            or self._advance(wanted, self._waiting(), now)
            or self._tones_played(value, due=False)
            or self._straggles(value, wanted)
            or (not repeated and self._find_ahead(wanted))
        )

    def _late(self, wanted: str, now: float) -> bool:
        """True for the report of a fragment that the interrupt just before it did not tell."""
        if now - self._cut_at > _SAME_REPORT_SECONDS or not self._advance(wanted, self._just_cut, now):
            return False
        self._just_cut = []
        return True

    def _straggles(self, value: str, wanted: str) -> bool:
        """Words that were on their way when the rest was cut are a talk cycle of their own for Twilio."""
        sounds = not self._speakers_seen or (self._on_at is not None and self._on_at >= self._cut_at)
        return sounds and any(speech.hear_late(value, wanted) for speech in self._stragglers)

    def _waiting(self) -> list[Speech]:
        return [speech for speech in self.speeches[self._pointer :] if not speech.cut]

    def _advance(self, wanted: str, waiting: Sequence[Speech], now: float) -> bool:
        """Move the pointer over `wanted`; it may begin at a later speech if this one was preempted."""
        lasting = [speech for speech in waiting if now - speech.followed_at <= _PREEMPTED_SECONDS]
        for ahead in (*_tails(lasting), *_tails(waiting)):
            if ahead[0].unheard.startswith(wanted) or _spans(wanted, ahead):
                for skipped in self._waiting_before(ahead[0]):
                    _skip(skipped)
                self._consume(len(wanted), ahead)
                return True
        return False

    def _waiting_before(self, speech: Speech) -> list[Speech]:
        return [s for s in self.speeches[self._pointer : self.speeches.index(speech)] if not s.cut]

    def _consume(self, left: int, waiting: Sequence[Speech]) -> None:
        for speech in waiting:
            taken = min(left, len(speech.unheard))
            speech.heard += taken
            left -= taken
            if not speech.cut:
                self._pointer = self.speeches.index(speech)
            if not left:
                return

    def _find_ahead(self, wanted: str) -> bool:
        """What sounds need not read as it was sent (SSML, numbers): go on behind the next words that do."""
        speech = next((speech for speech in self._waiting() if speech.pending), None)
        if speech is None or len(wanted) < _FINDABLE_CHARACTERS or not (self.greeting or self._heard_anything):
            return False
        start = speech.squeezed.find(wanted, speech.heard)
        if start >= 0:
            speech.heard = start + len(wanted)
        return start >= 0

    def _tones_played(self, value: str, *, due: bool) -> bool:
        """Digits are reported as speech is; `due` asks only for those whose turn it is."""
        for tones in self.tones:
            if (
                tones.waiting
                and tones.digits == value.strip()
                and not (due and any(s.pending for s in self._before(tones)))
            ):
                tones.played = True
                for skipped in self._before(tones):
                    _skip(skipped)
                return True
        return False

    def _before(self, tones: Tones) -> list[Speech]:
        return [speech for speech in self.speeches[self._pointer : tones.behind] if not speech.cut]

    @property
    def _heard_anything(self) -> bool:
        return any(speech.heard for speech in self.speeches)

    def _greeted(self, value: str, now: float, *, estimated: bool = False) -> bool:
        """Played text that we never sent, before our first word, is the greeting."""
        if self._heard_anything or (self.greeting is not None and not self._greeting_sounds):
            return False
        if self.greeting is None:
            self.greeting = Greeting(value.strip(), now if self._on_at is None else self._on_at, estimated)
        else:
            self.greeting.text += value.rstrip()
        return True

    # --------------------------------------------------------------------------------- barge-in

    def interrupted(self, fragment: str, now: float, before: int) -> list[Speech]:
        """The caller barged in. Speech of talk cycles begun before event `before` is cut; returns what was cut."""
        cutting = [speech for speech in self._waiting() if speech.began < before and speech.pending]
        wanted = squeeze(fragment)
        told = not wanted or self._is_twin(wanted, now)
        if not self._tokens_seen and not self._greeting_sounds:
            cutting = self._estimate_cut(fragment, now, cutting)
        elif not told:
            self._account_for(fragment, now, cutting)
        self._cut(cutting, now, before)
        self._expects_twin = False
        if not told:
            self._last_report = (f"interrupt:{wanted}", now)
        return cutting

    def _is_twin(self, report: str, now: float) -> bool:
        """True when the other of tokensPlayed and interrupt has just told the same."""
        text, at = self._last_report
        return text == report and now - at <= (_LATE_TWIN_SECONDS if self._expects_twin else _SAME_REPORT_SECONDS)

    def _is_fragment_again(self, wanted: str, now: float) -> bool:
        """A cut comes once: the same fragment again, before its interrupt, is a duplicate of the frame."""
        return self._expects_twin and self._is_twin(wanted, now)

    def _account_for(self, fragment: str, now: float, cutting: Sequence[Speech]) -> None:
        if self._greeting_sounds:
            self._greeted(fragment, now, estimated=not self._tokens_seen)
        else:
            self._advance(squeeze(fragment), cutting, now)

    def _cut(self, cutting: list[Speech], now: float, before: int) -> None:
        for speech in cutting:
            speech.cut = speech.pending
        for tones in self.tones:
            tones.cut = tones.cut or (tones.waiting and tones.began < before)
        self.state = PLAYBACK[self.state, Sound.CUT]
        self._greeting_sounds = False
        self._cut_at = self._off_at = now
        self._just_cut = [speech for speech in cutting if speech.cut]
        self._stragglers = [*reversed(self._just_cut), *self._stragglers[:1]]
        self._resume(now)

    def _resume(self, now: float) -> None:
        """Only what was not cut still sounds: estimates start again with it."""
        left = [speech for speech in self._waiting() if speech.pending]
        self._pointer = self.speeches.index(left[0]) if left else len(self.speeches)
        self._marks = [(speech, 0, now) for speech in left]
        self._busy_until = now
        if left:
            self._busy_until += START_SECONDS + SECONDS_PER_CHARACTER * sum(len(speech.text) for speech in left)

    # -------------------------------------------------------------------------------- estimates

    def _estimate_cut(self, fragment: str, now: float, cutting: list[Speech]) -> list[Speech]:
        """Decide what was heard of `cutting`, and return those that sounded last or not at all."""
        texts = [speech.text for speech in cutting]
        predicted = estimate.position(self._chunks(cutting), now)
        end = estimate.find(fragment, texts, predicted)
        if end is None and squeeze(fragment) and self._greeted(fragment, now, estimated=True):
            end = 0
        _allot(cutting, estimate.word_end(texts, predicted) if end is None else end)
        started = [index for index, speech in enumerate(cutting) if speech.heard]
        return cutting[started[-1] if started else 0 :]

    def _estimate_preempted(self, cycle: int, now: float) -> None:
        """Speech of another cycle follows: what still sounds and may be preempted ends here."""
        waiting = self._waiting()
        if not any(speech.preemptible and speech.cycle != cycle for speech in waiting):
            return
        heard = estimate.word_end((s.text for s in waiting), estimate.position(self._chunks(waiting), now))
        for speech in waiting:
            size = len(speech.squeezed)
            if speech.preemptible and speech.cycle != cycle and heard < size:
                speech.guess(heard)
                speech.cut = True
                self._busy_until = now
            heard = max(0, heard - size)

    def _chunks(self, speeches: Sequence[Speech]) -> list[Chunk]:
        chunks = []
        for index, (speech, start, sent_at) in enumerate(self._marks):
            later = self._marks[index + 1] if index + 1 < len(self._marks) else None
            end = later[1] if later and later[0] is speech else None
            if speech in speeches:
                chunks.append(Chunk(speech.text[start:end], sent_at))
        return chunks

    def stopped(self, now: float) -> None:
        """The socket is closed: what was not heard by now never will be."""
        waiting = [speech for speech in self._waiting() if speech.pending]
        if not self._tokens_seen:
            texts = [speech.text for speech in waiting]
            predicted = estimate.position(self._chunks(waiting), now)
            _allot(waiting, sum(map(len, texts)) if self.done(now) else estimate.word_end(texts, predicted))
        for speech in waiting:
            speech.cut = speech.pending

    # ----------------------------------------------------------------------------- is it over yet?

    @property
    def certain(self) -> bool:
        """True once an event was seen: from then on events decide, estimates never."""
        return self.state is not Playing.UNKNOWN

    @property
    def tells_speakers(self) -> bool:
        """True when it is known who speaks (`speaker-events` are subscribed)."""
        return self._speakers_seen

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
        if not self._speakers_seen:
            return self._busy_until if self._lost else None
        if self.state is Playing.SPEAKING:
            return None
        return self._due_in_silence(now)

    def _due_in_silence(self, now: float) -> float:
        """Silence although something is unheard: it begins to sound within the grace, or it never does."""
        if not self._tokens_seen and self._sounded_at_once():
            return now
        tones = sum(len(tones.digits) for tones in self.tones if tones.waiting)
        grace = _SLOW_START_SECONDS if self._not_begun() else _START_GRACE_SECONDS
        return max(self._last_sent_at, self._off_at) + grace + SECONDS_PER_TONE * tones

    def _not_begun(self) -> bool:
        """Whether no sound at all was reported since the oldest words that are still unheard were sent."""
        first = next((speech for speech in self._waiting() if speech.pending), None)
        return first is not None and (self._on_at is None or self._on_at < first.sent_at)

    def _sounded_at_once(self) -> bool:
        """True when a single reply was sent and the sound that followed it has ended: nothing can be left."""
        if self._on_at is None or self._off_at < self._on_at or any(tones.waiting for tones in self.tones):
            return False
        complete = self._last_sent_at <= self._on_at or self._last_sent_at + _START_GRACE_SECONDS <= self._off_at
        return complete and not any(s.sent_at > self._on_at for s in self.speeches[-1:])

    def _nothing_unheard(self) -> bool:
        if not self._tokens_seen:
            return not self.speeches and not self.tones and self.state is Playing.IDLE
        spoken = all(speech.cut or not speech.pending for speech in self.speeches[self._pointer :])
        return spoken and not any(tones.waiting for tones in self.tones)


def _tails(speeches: Sequence[Speech]) -> Iterator[Sequence[Speech]]:
    return (speeches[index:] for index in range(len(speeches)))


def _spans(wanted: str, speeches: Sequence[Speech]) -> bool:
    """Whether `wanted` is all that is left of the first speech and the beginning of what comes next."""
    first = speeches[0].unheard
    return bool(first) and wanted.startswith(first) and "".join(s.unheard for s in speeches).startswith(wanted)


def _skip(speech: Speech) -> None:
    """Later speech sounds: Twilio's queue keeps its order, so this one was preempted or has been heard."""
    if speech.preemptible:
        speech.cut = speech.pending
    else:
        speech.heard = len(speech.squeezed)


def _allot(speeches: Sequence[Speech], heard: int) -> None:
    """By estimate, the first `heard` characters of these speeches together were heard."""
    for speech in speeches:
        speech.guess(heard)
        heard -= speech.heard
