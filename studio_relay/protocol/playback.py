"""What the caller has heard of what we sent, as far as can be known; no messages, no decisions.

Two sources, told apart everywhere (full mode and widget mode):

* **Events.** Each `tokensPlayed` moves one pointer through the sent text (white space is not compared), and
  `agentSpeaking` says when sound starts and stops. Once one was seen, events decide.
* **Estimates.** Without events the measured speaking rate predicts a position (`estimate.py`), and the fragment
  that an `interrupt` reports is looked for near it. What comes of that is marked as an estimate.

Theory of operation: a barge-in into a reply that still streams.

1. Twilio hears the caller, stops, purges every frame it holds, and sends `interrupt`. That takes 20 to 200 ms
   to reach us. Meanwhile we have sent on: frames of the cut reply are on the wire, or will be.
2. Those words, the *leftovers*, arrive after the purge. What Twilio does with them is not on any recording. It
   may speak them before the next reply and report both in one `tokensPlayed`, speak and report them apart, or
   drop everything up to the `last: true` of the cut cycle (which `session.py` therefore sends at once).
3. So after a cut the next words that sound may be leftovers, beginning at any frame; or leftovers with the
   beginning of the next reply; or the next reply alone. All three are played in the order of the wire, so
   `alignment.py` can find them, and a later word settles what came before it.
4. What was heard of leftovers joins the turn that was cut: the caller heard it before the next reply.

Why not simply wait for the next reply's first word? A goodbye would wait for words that were reported already,
a question would be missing from the history while the caller answers it.

Without events nobody reports leftovers. Three things tell of them: a second `interrupt` whose fragment lies in
them; a prompt, which Twilio withholds while anything sounds, so none sounded then; or no prompt at all, so they
were played while the caller spoke.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice

from studio_relay.protocol import estimate
from studio_relay.protocol.alignment import (
    FINDABLE_CHARACTERS,
    SLOW_WIRE_SECONDS,
    Place,
    Span,
    find_roughly,
    leftover_places,
    live_places,
)
from studio_relay.protocol.estimate import Chunk, prefix_of, squeeze
from studio_relay.protocol.speech import NEVER, Greeting, Speech, Tones
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
# How slowly somebody speaks at most, and how long a final prompt takes behind the last word.
_SLOW_WORD_SECONDS = 0.5
_FINAL_SECONDS = 0.9
# The final prompt comes with the end of the voice, or a moment later.
_WORDS_BEHIND_VOICE_SECONDS = 1.0
# How much longer than by the slow estimate speech may take before the report of its end counts as lost.
_LOST_OFF_SECONDS = 10.0
# An interrupt this soon after the sound began, and without a fragment, cut the first word.
_NO_WORD_SECONDS = 1.0
# Of so many cut speeches words may still be on the wire; the caller can hardly cut faster.
_CUTS_ON_THE_WIRE = 6


class Playback:
    """Follows playback. The caller passes `now` in seconds; any steady clock does."""

    def __init__(self) -> None:
        self.state = Playing.UNKNOWN
        self.speeches: list[Speech] = []
        self.tones: list[Tones] = []
        self.greeting: Greeting | None = None
        self._fillers = False  # something preemptible was sent: look for it when other speech follows
        self._pointer = 0  # index of the oldest speech of which words may still be reported
        self._tokens_seen = False
        self._speakers_seen = False
        self._lost = False  # something sounded that is not in what we sent: reports no longer tell the end
        self._on_at: float | None = None
        self._off_at = NEVER
        self._caller_on_at = self._caller_off_at = NEVER
        self._greeting_sounds = False
        self._last_sent_at = NEVER
        self._busy_until = NEVER
        self.longest_stall = 0.0  # seconds, by estimate, for which a reply that went on had nothing left to be heard
        self._marks: list[tuple[Speech, int, float]] = []  # where in a speech sending began or went on, and when
        self._last_report = ("", NEVER)
        self._heard_at = NEVER
        self._expects_twin = False  # that was a cut fragment, and its interrupt is still to come
        self._cut_at = NEVER
        self._just_cut: list[Speech] = []
        self._recently_cut: list[Speech] = []
        self._going_on: Speech | None = None  # the leftovers that sound, since the last cut
        self._assumed: Speech | None = None  # whose last words were taken for heard since nothing told otherwise
        self._assumed_at = NEVER  # when that was cut
        self._withheld = False  # without events: no prompt since the last cut, so leftovers may be sounding
        self._leftovers_end = NEVER
        self.round_trip = estimate.RoundTrip()

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
        speech.times.append(now)
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
        if self.speeches and len(self.speeches[-1].pieces) > 1:
            self.speeches[-1].forget_frames(now - SLOW_WIRE_SECONDS)
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

    def caller_sounds(self) -> None:
        """The caller spoke or pressed a key: the twin of a report would have come before that."""
        self._expects_twin = False

    def caller_speaks(self, on: bool, now: float) -> None:
        """`clientSpeaking` on or off."""
        self.caller_sounds()
        if on:
            self._caller_on_at = now
        else:
            self._caller_off_at = now

    def is_over_speech(self, now: float) -> bool:
        """Whether words that arrive now were said over a talk cycle of ours that sounds and that nothing has cut.

        A caller who began in a pause of the reply has taken the turn, unless nothing may interrupt what sounds now.
        Speech that may be preempted gives way to an answer, so it keeps none waiting.
        """
        if not self.sounding or now >= self.sounds_until:
            return False
        speech = next((speech for speech in self._waiting() if speech.pending), None)
        if speech is None or speech.protected_at(speech.reached):
            return speech is not None
        spoke_last = (
            self._caller_on_at > self._caller_off_at or now - self._caller_off_at <= _WORDS_BEHIND_VOICE_SECONDS
        )
        in_a_pause = spoke_last and self._on_at is not None and self._caller_on_at < self._on_at
        return not (in_a_pause or speech.preemptible)

    def played(self, value: str, now: float) -> None:
        """`tokensPlayed`: `value` was just heard to its end."""
        if not self._tokens_seen:
            self._first_report()
        self.state = PLAYBACK[self.state, Sound.PLAYED]
        wanted = squeeze(value)
        if not wanted or self._is_twin(f"interrupt:{wanted}", now) or self._is_fragment_again(wanted, now):
            return
        repeated, doubled = wanted == self._last_report[0], (wanted, now) == self._last_report
        self._last_report, self._expects_twin = (wanted, now), not wanted.endswith(_SEGMENT_ENDS)
        if self._greeting_sounds and self.greeting is None:
            self._greeted(value, now)
        elif not (self._place(value, wanted, now, repeated) or (not doubled and self._place_late(wanted))):
            self._lost = self._lost or not (repeated or self._greeted(value, now))
        self._heard_at = now

    def _first_report(self) -> None:
        """From now on we know: what was only assumed of speech that may still sound is forgotten."""
        self._tokens_seen = True
        for speech in self.speeches[self._pointer :]:
            if speech.cut_at == NEVER and (speech.pending or speech.sent_at > self._cut_at):
                speech.heard, speech.cut, speech.estimated = 0, False, False

    def _place(self, value: str, wanted: str, now: float, repeated: bool) -> bool:
        return (
            self._late(wanted, now)
            or self._tones_played(value, due=True)
            or self._locate(wanted, now, self._waiting())
            or self._tones_played(value, due=False)
            or (not repeated and (self._find_ahead(wanted) or self._find_roughly(value, wanted)))
        )

    def _place_late(self, wanted: str) -> bool:
        """Words that were taken for those of a later reply were leftovers after all, if that said the same."""
        for place in leftover_places(self._recently_cut, self._cut_at):
            if spans := replace(place, later=()).follow(wanted):
                spans[0].speech.hear(*spans[0][1:])
                return True
        return False

    def _late(self, wanted: str, now: float) -> bool:
        """True for the report of a fragment that the interrupt just before it did not tell."""
        if now - self._cut_at > _SAME_REPORT_SECONDS:
            return False
        spans = next((spans for place in live_places(self._just_cut) if (spans := place.follow(wanted))), None)
        if spans:
            self._hear(spans)
            self._just_cut = []
        return bool(spans)

    def _waiting(self) -> list[Speech]:
        return [speech for speech in self.speeches[self._pointer :] if not speech.cut]

    def _locate(self, wanted: str, now: float, live: Sequence[Speech]) -> bool:
        """Move the pointer over `wanted`: in the words that are next, or behind words that were skipped."""
        spans = next((spans for place in self._places(now, live) if (spans := place.follow(wanted))), None)
        if spans:
            self._hear(spans)
        return bool(spans)

    def _places(self, now: float, live: Sequence[Speech]) -> Iterator[Place]:
        """Where reported words may begin, the likeliest first."""
        lasting = [speech for speech in live if now - speech.followed_at <= _PREEMPTED_SECONDS]
        ours = chain(live_places(lasting), live_places(live))
        if not self._leftovers_sound:
            return ours
        ahead = self.speeches[self._pointer :]
        going_on = [Place(ahead[0], ahead[0].reached, ahead[1:])] if ahead[0] is self._going_on else []
        next_words = islice(ours, 0 if self._speakers_seen and self._sounded_before(live) else 1)
        return chain(going_on, next_words, leftover_places(ahead, self._cut_at), ours)

    @property
    def _leftovers_sound(self) -> bool:
        """Whether what sounds may be leftovers. Twilio stops at a cut, so the sound must have begun since."""
        begun = not self._speakers_seen or (self._on_at is not None and self._on_at >= self._cut_at)
        return begun and any(speech.cut for speech in self.speeches[self._pointer :])

    def _sounded_before(self, live: Sequence[Speech]) -> bool:
        """Whether what is reported began to sound before any of these words can have."""
        if not live:
            return True
        out_of_silence = self._on_at is not None and self._on_at >= self._heard_at
        began = max(self._on_at or NEVER, self._heard_at, self._cut_at)
        return began < live[0].sent_at + self.round_trip.seconds_to_sound(out_of_silence=out_of_silence)

    def _hear(self, spans: Sequence[Span]) -> None:
        """These words were heard, so all before them was heard, cut, or never will be."""
        first, last = spans[0].speech, spans[-1].speech
        if not first.cut:
            for skipped in self._waiting_before(first):
                _skip(skipped)
        for speech, start, end in spans:
            speech.hear(start, end)
        self._going_on = last if last.cut else None
        self._pass(self._waiting_before(last) or [last])

    def _pass(self, left: Sequence[Speech]) -> None:
        """Nothing before these speeches will be reported any more."""
        passed, self._pointer = self._pointer, self.speeches.index(left[0]) if left else len(self.speeches)
        for speech in self.speeches[passed : self._pointer]:
            if speech not in self._recently_cut:
                speech.forget_frames()

    def _waiting_before(self, speech: Speech) -> list[Speech]:
        before = self.speeches[self._pointer : self.speeches.index(speech)]
        return [earlier for earlier in before if not earlier.cut and earlier.pending]

    def _find_ahead(self, wanted: str) -> bool:
        """What sounds need not read as it was sent (SSML, numbers): go on behind the next words that do."""
        speech = next((speech for speech in self._waiting() if speech.pending), None)
        if speech is None or len(wanted) < FINDABLE_CHARACTERS or not (self.greeting or self._heard_anything):
            return False
        start = speech.squeezed.find(wanted, speech.heard)
        if start >= 0:
            speech.heard = start + len(wanted)
        return start >= 0

    def _find_roughly(self, value: str, wanted: str) -> bool:
        """Leftovers of which words are missing or doubled, and the beginning of what comes behind them."""
        if not self._leftovers_sound:
            return False
        live = [speech for speech in self._waiting() if speech.pending]
        end = next(live_places(live)).follow_end(wanted) if live else []
        told = prefix_of(value, len(wanted) - sum(span.end - span.start for span in end))
        leftovers = find_roughly(told, [speech for speech in self.speeches[self._pointer :] if speech.cut])
        if leftovers or end:
            self._hear([*leftovers, *end])
        return bool(leftovers or end)

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

    def interrupted(self, fragment: str, now: float, before: int, heard_ms: int | None = None) -> list[Speech]:
        """The caller barged in. Speech of talk cycles begun before event `before` is cut; returns what was cut.

        `heard_ms` is for how many milliseconds the segment that `fragment` begins had sounded.
        """
        cutting = [speech for speech in self._waiting() if speech.began < before and speech.pending]
        wanted = squeeze(fragment)
        told = not wanted or self._is_twin(wanted, now)
        if not self._tokens_seen and not self._greeting_sounds:
            cutting = self._estimate_cut(fragment, now, cutting, heard_ms)
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
            self._locate(squeeze(fragment), now, cutting)

    def _cut(self, cutting: list[Speech], now: float, before: int) -> None:
        for speech in cutting:
            speech.cut = speech.pending
        for tones in self.tones:
            tones.cut = tones.cut or (tones.waiting and tones.began < before)
        self.state = PLAYBACK[self.state, Sound.CUT]
        self._greeting_sounds = False
        self._cut_at = self._off_at = now
        self._going_on = None
        self._just_cut = [speech for speech in cutting if speech.cut]
        self._recently_cut = [*self._recently_cut, *self._just_cut]
        for speech in self._just_cut:
            speech.cut_at = now
        for speech in self._recently_cut:
            speech.forget_frames(now - SLOW_WIRE_SECONDS)
        del self._recently_cut[:-_CUTS_ON_THE_WIRE]
        self._resume(now)

    def _resume(self, now: float) -> None:
        """What was not cut sounds next, behind leftovers: estimates start again with these."""
        left = [speech for speech in self._waiting() if speech.pending]
        cut = [speech for speech in self.speeches[self._pointer :] if speech in self._recently_cut]
        self._pass(sorted([*left, *cut], key=self.speeches.index))
        self._marks = [(speech, 0, now) for speech in left]
        leftovers = "" if self.certain else self._leftovers()
        self._withheld = bool(leftovers)
        self._leftovers_end = now + estimate.seconds(leftovers) if leftovers else now
        self._busy_until = now
        if left or leftovers:
            characters = len(leftovers) + sum(len(speech.text) for speech in left)
            self._busy_until += START_SECONDS + SECONDS_PER_CHARACTER * characters

    def _leftovers(self) -> str:
        """The words of cut speech that were on the wire at the cut, as far as can be known without events."""
        speech, position = next(self._on_the_wire(), (None, 0))
        return "" if speech is None else speech.text[len(prefix_of(speech.text, position)) :].strip()

    def _on_the_wire(self) -> Iterator[tuple[Speech, int]]:
        """Where the frames of cut speech begin that were sent so shortly before the cut that Twilio had them not."""
        for speech in self.speeches[self._pointer :]:
            for position, sent_at in speech.frames() if speech.cut else ():
                if sent_at > self._cut_at - self.round_trip.seconds and position >= speech.reached:
                    yield speech, position

    # -------------------------------------------------------------------------------- estimates

    def _estimate_cut(self, fragment: str, now: float, cutting: list[Speech], heard_ms: int | None) -> list[Speech]:
        """Decide what was heard of `cutting`, and return those that sounded last or not at all."""
        texts = [speech.text for speech in cutting]
        predicted = estimate.position(self._chunks(cutting), now)
        if not squeeze(fragment) and self._on_at is not None and now - self._on_at < _NO_WORD_SECONDS:
            predicted = 0
        end = None if self._withheld else estimate.find(fragment, texts, predicted)
        if end is None and (told := self._leftovers_told(squeeze(fragment))):
            return [speech for speech in told if not speech.cut] or cutting
        if end is None:
            end = estimate.find(fragment, texts, predicted)
        if end is None and squeeze(fragment) and self._greeted(fragment, now, estimated=True):
            end = 0
        if end is not None and end == len(squeeze(fragment)) and heard_ms is not None and cutting:
            self.round_trip.began(now - cutting[0].sent_at - heard_ms / 1000)
        _allot(cutting, estimate.word_end(texts, predicted) if end is None else end)
        started = [index for index, speech in enumerate(cutting) if speech.heard]
        return cutting[started[-1] if started else 0 :]

    def _leftovers_told(self, wanted: str) -> list[Speech]:
        """The speeches in which `wanted` was heard, if it begins with leftovers: then these were spoken."""
        places = leftover_places(self.speeches[self._pointer :], self._cut_at)
        for place in places if wanted else ():
            if spans := place.follow(wanted):
                before = self._segments_before(place)
                if not before:
                    self._learn_round_trip(place)
                self._assumed = None
                self._hear([*before, *spans])
                for span in spans:
                    span.speech.estimated = True
                return [span.speech for span in spans]
        return []

    def _segments_before(self, place: Place) -> list[Span]:
        """The leftovers that had been played when the segment began here: a fragment tells of its segment alone."""
        speech, start = next(self._on_the_wire(), (None, 0))
        told = prefix_of(place.speech.text, place.start)
        if speech is place.speech and start < place.start and told.endswith((*_SEGMENT_ENDS, ",")):
            return [Span(place.speech, start, place.start)]
        return []

    def _learn_round_trip(self, place: Place) -> None:
        """The first frame that Twilio did not purge was on the wire when the report of the cut was, too."""
        sent_at = next((sent_at for position, sent_at in place.speech.frames() if position == place.start), None)
        if sent_at is not None and place.start > place.speech.heard:
            self.round_trip.seen = place.speech.cut_at - sent_at

    def prompted(self, words: int, now: float) -> None:
        """Where no events come, a prompt of so many words says that nothing sounds: Twilio would withhold it."""
        # Who may have spoken from the cut until now was not withheld, so no leftovers sounded; who may not, was.
        speaks_since = now - _FINAL_SECONDS - words * _SLOW_WORD_SECONDS
        if self._withheld and self._cut_at < speaks_since:
            self._guess_leftovers(now)
        elif self._assumed is not None and self._assumed_at >= speaks_since:
            self._assumed.late.pop()
        self._withheld, self._assumed = False, None
        if self._last_sent_at <= self._cut_at:
            self._busy_until = min(self._busy_until, now)

    def unanswered(self, now: float) -> None:
        """No prompt came behind the last barge-in. Without events it says that leftovers were played meanwhile."""
        if self._withheld:
            self._guess_leftovers(now)
        self._withheld = False

    def _guess_leftovers(self, now: float) -> None:
        speech, start = next(self._on_the_wire(), (None, 0))
        if speech is None:
            return
        rest = self._leftovers()
        end = start + estimate.word_end([rest], estimate.position([Chunk(rest, self._cut_at)], now))
        if end > start:
            speech.late.append((start, end))
            speech.estimated = True
            self._assumed, self._assumed_at = speech, self._cut_at

    def _estimate_preempted(self, cycle: int, now: float) -> None:
        """Speech of another cycle follows: what still sounds and may be preempted ends here."""
        waiting = [speech for speech in self._waiting() if speech.pending]
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
        if self._withheld:
            self._guess_leftovers(now)
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
    def sounding(self) -> bool:
        """True when a talk cycle of ours sounds now that no barge-in has cut; False where nothing tells."""
        if not self._speakers_seen or self.state is not Playing.SPEAKING or self._greeting_sounds:
            return False
        if not self._tokens_seen:
            return any(speech.sent_at >= self._cut_at and not speech.cut for speech in self.speeches)
        return any(speech.pending for speech in self._waiting())

    @property
    def sounds_until(self) -> float:
        """When all that was sent has ceased to sound even if nothing tells: the report of that may be lost."""
        return self._busy_until + _LOST_OFF_SECONDS

    @property
    def leftovers_end(self) -> float:
        """When Twilio will have spoken what was on the wire at the last cut, by estimate; then, if there was none."""
        return self._leftovers_end

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
