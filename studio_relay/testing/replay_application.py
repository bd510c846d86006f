"""Replays a recording as the application: the file's caller, network and server against the simulated Twilio.

What the caller and the network did is taken from the file, each anchored to the `in` line before it; what Twilio
produced is compared. Nothing is sent anywhere.

Not all that the caller did is in a file. Without partial prompts the recogniser's ideas are not, so:

* the words of a final prompt are given to the recogniser where the voice ends, since the prompt follows from that
  (it may also come before the `clientSpeaking off`, or, without speaker events, from nowhere);
* an `interrupt` that no line of the file explains was caused by such an idea, and is caused where it was recorded.

Which frames were on the wire when Twilio cut a reply that still streamed, and what became of them, is in no file
either. Where the measured delay does not explain such a recording, others and every reading of leftovers are tried.

A host may know less of a close than its code and reason (granian knows no reason): what it does not know is not
compared. The times of a call that was made with `--speed` are stretched to those of the call.
"""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, get_args

from studio_relay.errors import RecordingError
from studio_relay.protocol.estimate import squeeze
from studio_relay.recording.reading import CloseLine, FrameLine, HttpLine, Recording, read_recording
from studio_relay.testing.attributes import AttributesRefused, RelayAttributes
from studio_relay.testing.identity import Identity
from studio_relay.testing.line_delay import Delay, FixedDelay
from studio_relay.testing.outputs import Callback, Close, Output, Send
from studio_relay.testing.playback import Leftovers
from studio_relay.testing.rates import MeasuredRates
from studio_relay.testing.replay import Difference, DifferenceKind, ReplayReport, Timing, first_difference
from studio_relay.testing.replay_order import check_order
from studio_relay.testing.replay_spans import Moment, measure
from studio_relay.testing.session import TwilioEnd
from studio_relay.testing.twilio import SETUP_MS

LINKS_MS = range(10, 410, 10)
"""The delays, both ways together, that are tried where the measured one does not explain a recording."""

MAX_WORDS_OFF = 2
"""A cut fragment may be this many words longer or shorter than the recorded one."""

BARGE_IN_WITHIN_MS = 50

SLIP_MS = 50
"""A line may be noted so late, by the recorder's clock."""

CLOSES_WITHIN_MS = 1000
"""Twilio closes so soon over bad texts."""

PROMPT_WITHIN_MS = 250
"""A final prompt belongs to the end of a voice so long before it."""

_JUDGED_FIELDS = [
    "AccountSid",
    "ApiVersion",
    "CallSid",
    "CallStatus",
    "Direction",
    "ErrorCode",
    "ErrorMessage",
    "From",
    "HandoffData",
    "SessionDuration",
    "SessionId",
    "SessionStatus",
    "To",
]


def replay_as_application(path: str | Path) -> ReplayReport:
    """Hold a recording against the simulated Twilio. Raises RecordingError for a file that cannot be replayed."""
    recording = read_recording(Path(path)).in_call_time()
    check_order(recording)
    compared = {"frames": 0, "closes": 0, "callbacks": 0}
    timings: list[Timing] = []
    difference: Difference | None = None
    for session in recording.sessions:
        replay, difference = _replay(recording, session)
        difference = difference or _closed_too_early(recording, session)
        timings += measure(replay.moments)
        for name, count in replay.compared.items():
            compared[name] += count
        if difference is not None:
            break
    return ReplayReport(
        recording=str(path),
        played_as="application",
        compared=compared,
        difference=difference,
        timings=timings,
        masked=bool(recording.masked),
    )


def _replay(recording: Recording, session: int) -> tuple[_SessionReplay, Difference | None]:
    """The replay that explains the session, or the one with the measured delay, and where that differs."""
    first = _SessionReplay(recording, session)
    difference = first.run()
    if difference is None or not _cuts_what_is_on_the_wire(recording, session):
        return first, difference
    for leftovers, link_ms in product(get_args(Leftovers), LINKS_MS):
        other = _SessionReplay(recording, session, leftovers=leftovers, delay=FixedDelay(link_ms))
        if other.run() is None:
            return other, None
    return first, difference


def _cuts_what_is_on_the_wire(recording: Recording, session: int) -> bool:
    """Whether an interrupt came so soon after the server had sent words that Twilio may not have had them."""
    sent_ms: int | None = None
    for line in recording.of_session(session):
        frame = (line.frame or {}) if isinstance(line, FrameLine) else {}
        if frame.get("type") == "text":
            sent_ms = line.ms
        elif frame.get("type") == "interrupt" and sent_ms is not None and line.ms - sent_ms <= max(LINKS_MS):
            return True
    return False


def _closed_too_early(recording: Recording, session: int) -> Difference | None:
    """Whether Twilio's close over bad texts would have come without the last of them too.

    They are sent in one burst, and what is on its way when a limit is reached is answered all the same: the frames
    and times of a replay look alike, whichever of the last texts was the one too many.
    """
    lines = _lines_of(recording, session)
    closed = next((line for line in lines if isinstance(line, CloseLine) and line.code == 1007), None)
    bad = [line for line in lines if isinstance(line, FrameLine) and line.dir == "out" and line.frame is None]
    if closed is None or not bad:
        return None
    found = _SessionReplay(recording, session).closes_without(bad[-1])
    if found is None:
        return None
    return Difference(
        line=bad[-1].number, session=session, kind="close", expected="still open before this text", found=found
    )


class _Parted(Exception):
    """Replay and recording part here."""

    def __init__(self, difference: Difference) -> None:
        super().__init__(str(difference))
        self.difference = difference


class _RecordedCommas(MeasuredRates):
    """The measured times; which comma ends a segment follows no rule, so it is taken from what was played."""

    def __init__(self, played: Sequence[str], reported: Callable[[], int]) -> None:
        self._played = played
        self._reported = reported

    def comma_at(self) -> int:
        segment = "".join(self._played[self._reported() :][:1]).rstrip()
        return len(segment) if segment.endswith(",") else sys.maxsize


class _SessionReplay:
    """One session of the file played through one simulated Twilio."""

    def __init__(
        self, recording: Recording, session: int, *, leftovers: Leftovers = "joined", delay: Delay | None = None
    ) -> None:
        self.session = session
        self.compared = {"frames": 0, "closes": 0, "callbacks": 0}
        self.moments: list[Moment] = []
        self._lines = _lines_of(recording, session)
        self._setup = self._find_setup()
        self._voice = _relay_before(recording, self._setup)
        self._attributes = _attributes(recording.path, self._voice, self._lines)
        answered = self._voice.ms if self._voice else self._setup.ms - SETUP_MS
        self._end = TwilioEnd(
            attributes=self._attributes,
            identity=_identity(self._setup.frame or {}),
            session_id=str((self._setup.frame or {}).get("sessionId", "")),
            answered_ms=answered,
            leftovers=leftovers,
            rates=_RecordedCommas([str(value) for value in _played(self._lines)], self._reported),
        )
        self._end.delay = delay or self._end.delay
        self._sent_ms = 0
        self._open_text = self._on_the_wire = ""  # of the open talk cycle; of one that was cut, and what came since
        self._out: deque[Output] = deque()
        self._anchor = (answered, answered)
        self._fragment: str | None = None
        self._recognised: FrameLine | None = None
        self._slip_ms = SLIP_MS * recording.speed
        self._ended = False
        if self._voice is not None:
            self._moment(self._voice.number, "twiml", answered, answered)

    def _reported(self) -> int:
        return sum(event.name == "tokensPlayed" for event in self._end.played)

    def run(self) -> Difference | None:
        """Play every line; the first difference, if there is one."""
        try:
            for line in self._lines:
                self._play(line)
            self._nothing_more()
        except _Parted as parted:
            return parted.difference
        return None

    def closes_without(self, last: FrameLine) -> list[Any] | None:
        """How the session is closed by what came before `last`, had that never been sent; None if it stays open."""
        for line in self._lines:
            if line.number >= last.number:
                break
            self._play(line)
        self._until(self._at(last.ms) + CLOSES_WITHIN_MS)
        return next(([close.code, close.reason] for close in self._out if isinstance(close, Close)), None)

    def _find_setup(self) -> FrameLine:
        frames = (line for line in self._lines if isinstance(line, FrameLine) and line.dir == "in")
        return next(line for line in frames if line.frame is not None)

    # One line of the file

    def _play(self, line: FrameLine | CloseLine | HttpLine) -> None:
        if isinstance(line, CloseLine):
            self._play_close(line)
        elif isinstance(line, HttpLine):
            self._compare_callback(line)
        elif line.dir == "out":
            self._server_sends(line)
        elif line.frame is not None:
            self._caller_acts(line, line.frame)
            self._compare_frame(line, line.frame)

    def _at(self, recorded_ms: int) -> int:
        recorded, replayed = self._anchor
        return replayed + recorded_ms - recorded

    def _until(self, now: int) -> None:
        self._out += self._end.advance(now)

    def _until_acting(self, at: int) -> int:
        """Let time go on to where the caller acts next; earlier, where a sound of the agent came a little too soon.

        All that was heard before this act was compared already. A recorder and a machine that are busy note it late.
        """
        while (due := self._end.next_at()) is not None and due < at:
            if due == self._end.playback.next_at() and at - due <= self._slip_ms:
                return max(due - 1, self._anchor[1])
            self._until(due)
        self._until(at)
        return at

    def _server_sends(self, line: FrameLine) -> None:
        # Twilio's times may run ahead of the recorded ones; frames of a socket never overtake each other.
        at = self._sent_ms = max(self._at(line.ms), self._sent_ms)
        self._until(at)
        # Written as most encoders do, since a refused frame is echoed as it was written.
        raw = line.raw if line.frame is None else json.dumps(line.frame, ensure_ascii=False, separators=(",", ":"))
        self._ended = self._ended or (line.frame or {}).get("type") == "end"
        self._note_text(line.frame or {})
        self._end.receive(at, raw or "")
        self._moment(line.number, "out", line.ms, at, line.frame)

    def _note_text(self, frame: Mapping[str, Any]) -> None:
        if frame.get("type") == "text":
            words = squeeze(str(frame.get("token")))
            self._open_text = "" if frame.get("last") else self._open_text + words
            self._on_the_wire += words if self._on_the_wire else ""

    def _caller_acts(self, line: FrameLine, frame: Mapping[str, Any]) -> None:
        """What the caller, the recogniser or the network did to make this frame, if it is theirs."""
        at, end = self._at(line.ms), self._end
        match frame:
            case {"type": "setup"}:
                end.open(at)
            case {"type": "dtmf", "digit": digit}:
                at = self._until_acting(at)
                end.press(at, str(digit))
            case {"type": "info", "name": "clientSpeaking", "value": value}:
                at = self._until_acting(at)
                if value == "on":
                    end.voice_starts(at, cuts=self._cuts(line))
                else:
                    self._recognise_before(line, at)
                    end.voice_stops(at)
            case {"type": "prompt", "voicePrompt": text, "last": False}:
                at = self._until_acting(at)
                end.transcript(at, str(text), cuts=self._cuts(line))
            case {"type": "prompt", "voicePrompt": text} if self._settles(line):
                at = self._until_acting(at)
                if not self._attributes.partial_prompts:
                    end.transcript(at, str(text), cuts=self._cuts(line))
                end.final(at)
            case _ if self._is_cut(line, frame):
                at = self._until_acting(at)
                if not end.playback.interruptible_by("speech"):
                    return  # it was cut already, by what the file shows
                end.voice_cuts(at)
            case _:
                return
        self._until(at)

    def _recognise_before(self, line: FrameLine, at: int) -> None:
        """Where no partials told: the words of the prompt that follows from this end of the voice."""
        if self._attributes.partial_prompts:
            return
        following = (other for other in self._lines if isinstance(other, FrameLine) and other.number > line.number)
        for other in following:
            if other.ms - line.ms > PROMPT_WITHIN_MS or (other.frame or {}).get("value") == "on":
                return
            if (other.frame or {}).get("type") == "prompt":
                self._recognised = other
                self._end.transcript(at, str((other.frame or {})["voicePrompt"]), cuts=False)
                return

    def _settles(self, line: FrameLine) -> bool:
        """Whether the recogniser settled on this final prompt by itself: it does not come from a voice that ended."""
        if self._attributes.partial_prompts or self._end.caller_speaking:
            return self._end.caller_speaking or not self._attributes.speaker_events
        return line is not self._recognised

    def _is_cut(self, line: FrameLine, frame: Mapping[str, Any]) -> bool:
        """Whether a barge-in shows here first: by its `interrupt`, or by the fragment before that."""
        return frame.get("type") == "interrupt" or (frame.get("name") == "tokensPlayed" and self._cuts(line))

    def _failed(self) -> bool:
        """Whether Twilio took the close for a loss: then it was not the caller's doing."""
        forms = [line.form for line in self._lines if isinstance(line, HttpLine) and line.form]
        return any(form["SessionStatus"] == "failed" for form in forms)

    def _cuts(self, line: FrameLine) -> bool:
        """Whether this sound was taken for a barge-in: the interrupt then follows at once."""
        following = (other for other in self._lines if other.number > line.number)
        return any(
            isinstance(other, FrameLine)
            and (other.frame or {}).get("type") == "interrupt"
            and other.ms - line.ms <= BARGE_IN_WITHIN_MS
            for other in following
        )

    def _play_close(self, line: CloseLine) -> None:
        at = self._at(line.ms)
        if line.code == 1000 and not self._ended and not self._failed():
            self._until(at)
            self._end.hang_up(at)
        elif line.code != 1007 and not self._ended:
            self._until(at)
            self._end.lose(at, line.code or 1006, line.reason)
        close = self._next(line.number, "close")
        if not isinstance(close, Close):
            raise self._parted(line.number, "order", "$", "close", _name_of(close))
        found = (close.code if line.code is not None else None, close.reason if line.reason else "")
        if found != (line.code, line.reason):
            raise self._parted(line.number, "close", "$", [line.code, line.reason], [close.code, close.reason])
        self.compared["closes"] += 1
        self._anchor = (line.ms, close.at_ms)
        self._moment(line.number, "close", line.ms, close.at_ms, {"code": line.code, "type": "close"})

    # What Twilio produced

    def _next(self, number: int, what: str) -> Output:
        while not self._out:
            at = self._end.next_at()
            if at is None:
                raise self._parted(number, "missing", "$", what, None)
            self._until(at)
        return self._out.popleft()

    def _compare_frame(self, line: FrameLine, frame: Mapping[str, Any]) -> None:
        found = self._next(line.number, _name(frame))
        if not isinstance(found, Send):
            raise self._parted(line.number, "order", "$", _name(frame), _name_of(found))
        if _name(found.frame) != _name(frame):
            raise self._parted(line.number, "order", "$", _name(frame), _name(found.frame))
        self._compare_values(line.number, frame, found)
        self.compared["frames"] += 1
        if frame["type"] == "interrupt" and self._open_text:
            self._on_the_wire = self._open_text
        self._anchor = (line.ms, found.at_ms)
        self._moment(line.number, "in", line.ms, found.at_ms, frame, found.frame)

    def _compare_values(self, number: int, frame: Mapping[str, Any], found: Send) -> None:
        expected, actual = dict(frame), dict(found.frame)
        key = "utteranceUntilInterrupt" if frame["type"] == "interrupt" else "value"
        if self._are_leftovers(expected.get(key)) and self._are_leftovers(actual.get(key)):
            actual[key], self._fragment = expected[key], None
        elif found.segment:
            self._compare_fragment(number, key, expected, actual, found.segment)
            actual[key] = expected[key]
        duration = expected.get("durationUntilInterruptMs")
        if type(duration) is type(actual.get("durationUntilInterruptMs")):
            actual |= {"durationUntilInterruptMs": duration} if duration is not None else {}
        parted = first_difference(expected, actual)
        if parted is not None:
            raise self._parted(number, *parted)

    def _are_leftovers(self, words: object) -> bool:
        """Whether these words were on the wire when a cycle was cut: from which frame on, no recording tells."""
        return isinstance(words, str) and bool(words.strip()) and squeeze(words) in self._on_the_wire

    def _compare_fragment(
        self, number: int, key: str, expected: Mapping[str, Any], actual: Mapping[str, Any], segment: str
    ) -> None:
        recorded, replayed = expected.get(key), actual[key]
        words, whole = str(recorded).split(), segment.split()
        prefix = isinstance(recorded, str) and whole[: len(words)] == words and recorded == recorded.strip()
        own = whole[: len(replayed.split())] == replayed.split() and replayed == replayed.strip()
        near = abs(len(words) - len(replayed.split())) <= MAX_WORDS_OFF
        told_once = key == "value" or self._fragment in (None, replayed)
        if not (prefix and own and near and told_once):
            raise self._parted(number, "value", f"$.{key}", recorded, replayed)
        self._fragment = replayed if key == "value" else None

    def _compare_callback(self, line: HttpLine) -> None:
        found = self._next(line.number, "the action callback")
        if not isinstance(found, Callback):
            raise self._parted(line.number, "order", "$", "the action callback", _name_of(found))
        form = line.form or {}
        for name in _JUDGED_FIELDS:
            recorded, replayed = form.get(name), found.form.get(name)
            if name == "SessionDuration" and _within(1 + self._ahead_seconds, recorded, replayed):
                continue
            if recorded != replayed:
                raise self._parted(line.number, "callback", f"$.{name}", recorded, replayed)
        self.compared["callbacks"] += 1
        self._moment(line.number, "action", line.ms, self._at(line.ms), None)
        self.moments[-1] = Moment(line=line.number, direction="action", recorded_ms=line.ms, replayed_ms=found.at_ms)

    @property
    def _ahead_seconds(self) -> float:
        """How much longer speech has taken than in the recording by now: each voice has its pace."""
        recorded, replayed = self._anchor
        return abs(replayed - recorded) / 1000

    def _nothing_more(self) -> None:
        """Behind the last line Twilio must have nothing more to say, unless the file simply ends there."""
        if not any(isinstance(line, CloseLine) for line in self._lines):
            return
        extra = next((output for output in self._out if not isinstance(output, Callback)), None)
        if extra is not None:
            raise self._parted(self._lines[-1].number, "extra", "$", None, _name_of(extra))

    def _parted(self, number: int, kind: DifferenceKind, path: str, expected: Any, found: Any) -> _Parted:
        return _Parted(
            Difference(line=number, session=self.session, kind=kind, path=path, expected=expected, found=found)
        )

    def _moment(
        self,
        number: int,
        direction: Any,
        recorded: int,
        replayed: int,
        frame: Mapping[str, Any] | None = None,
        produced: Mapping[str, Any] | None = None,
    ) -> None:
        self.moments.append(
            Moment(
                line=number,
                direction=direction,
                recorded_ms=recorded,
                replayed_ms=replayed,
                frame=frame,
                replayed=produced,
            )
        )


def _lines_of(recording: Recording, session: int) -> list[FrameLine | CloseLine | HttpLine]:
    """The session's frames and close, and the `action` request that followed it."""
    lines: list[FrameLine | CloseLine | HttpLine] = []
    lines += [line for line in recording.of_session(session) if isinstance(line, FrameLine | CloseLine)]
    ids = {line.frame.get("sessionId") for line in lines if isinstance(line, FrameLine) and line.frame}
    for line in recording.lines:
        form = line.form if isinstance(line, HttpLine) else None
        if isinstance(line, HttpLine) and form and "SessionStatus" in form and form.get("SessionId") in ids:
            return [*lines, line]
    return lines


def _played(lines: Iterable[object]) -> Iterator[object]:
    """What was reported played, in order."""
    frames = (line.frame for line in lines if isinstance(line, FrameLine) and line.dir == "in" and line.frame)
    return (frame.get("value") for frame in frames if frame.get("name") == "tokensPlayed")


def _relay_before(recording: Recording, setup: FrameLine) -> HttpLine | None:
    """The TwiML that led to this session."""
    answers = [
        line
        for line in recording.lines
        if isinstance(line, HttpLine) and line.number < setup.number and "<ConversationRelay" in (line.response or "")
    ]
    return answers[-1] if answers else None


def _attributes(path: Path, voice: HttpLine | None, lines: list[FrameLine | CloseLine | HttpLine]) -> RelayAttributes:
    if voice is not None and voice.response:
        try:
            return RelayAttributes.from_twiml(voice.response)
        except AttributesRefused as error:
            message = f"{path}, line {voice.number}: the TwiML, {error}"
            raise RecordingError(message, line=voice.number) from None
    frames = [line.frame for line in lines if isinstance(line, FrameLine) and line.dir == "in" and line.frame]
    sent = [line.frame for line in lines if isinstance(line, FrameLine) and line.dir == "out" and line.frame]
    return _guessed(frames, "".join(str(frame.get("token") or "") for frame in sent))


def _guessed(frames: list[Mapping[str, Any]], spoken: str) -> RelayAttributes:
    """Without TwiML (a Studio widget's session): what must have been switched on for these frames to come.

    Played text that the server never sent is the greeting.
    """
    played = [str(frame.get("value")) for frame in frames if frame.get("name") == "tokensPlayed"]
    greeted = bool(played) and _squeezed(played[0]) not in _squeezed(spoken)
    names = {str(frame.get("name")) for frame in frames if frame.get("type") == "info"}
    prompts = [frame for frame in frames if frame.get("type") == "prompt"]
    language = str(prompts[0].get("lang") or "en-US") if prompts else "en-US"
    return RelayAttributes(
        mode="widget",
        language=language,
        welcome_greeting=played[0] if greeted else "",
        dtmf_detection=any(frame.get("type") == "dtmf" for frame in frames),
        partial_prompts=any(prompt.get("last") is False for prompt in prompts),
        report_input_during_agent_speech="any",
        speaker_events=bool(names & {"agentSpeaking", "clientSpeaking"}),
        tokens_played="tokensPlayed" in names,
    )


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _identity(setup: Mapping[str, Any]) -> Identity:
    names = {
        "call_sid": "callSid",
        "account_sid": "accountSid",
        "from_": "from",
        "to": "to",
        "direction": "direction",
        "call_type": "callType",
        "call_status": "callStatus",
        "parent_call_sid": "parentCallSid",
        "forwarded_from": "forwardedFrom",
        "caller_name": "callerName",
    }
    return Identity(**{name: str(setup.get(key) or "") for name, key in names.items()})


def _name(frame: Mapping[str, Any]) -> str:
    if frame.get("type") == "info":
        return f"info {frame.get('name')}"
    return str(frame.get("type"))


def _name_of(output: Output) -> str:
    if isinstance(output, Send):
        return _name(output.frame)
    return "close" if isinstance(output, Close) else type(output).__name__.lower()


def _within(seconds: float, recorded: str | None, replayed: str | None) -> bool:
    if not (recorded or "").isdigit() or not (replayed or "").isdigit():
        return False
    return abs(int(recorded or 0) - int(replayed or 0)) <= seconds
