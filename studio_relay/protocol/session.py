"""One ConversationRelay session without I/O: text in, events out, text out.

    events = session.receive_text(frame, now)      # never raises for what Twilio sends
    cycle = session.begin(answers=event.number)    # a talk cycle; say(), finish()
    while (text := session.next_text(now)) is not None: ...send it
    events = session.receive_close(code, reason, now)

`now` is any steady clock in seconds. The legal moves stand in `states.py`, what was heard is kept by
`playback.py`. This module sends nothing, waits for nothing and calls no hook.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from msgspec import structs

from studio_relay.errors import LocalProtocolError, QueueFull, RemoteProtocolError
from studio_relay.protocol.events import (
    Ended,
    ErrorReported,
    Event,
    Informed,
    Interrupted,
    PartlyPrompted,
    Pressed,
    Prompted,
    Refused,
    SetupRepeated,
    Started,
    UnknownReceived,
)
from studio_relay.protocol.messages import (
    Dialect,
    Dtmf,
    End,
    ErrorMessage,
    Info,
    Interrupt,
    Message,
    Outgoing,
    Prompt,
    Raw,
    SendDigits,
    Setup,
    Text,
    Unknown,
    check,
    dump,
    dump_text,
)
from studio_relay.protocol.parsing import DEFAULT_MAX_BYTES, parse
from studio_relay.protocol.playback import Playback
from studio_relay.protocol.speech import Speech
from studio_relay.protocol.states import Input, State, move
from studio_relay.protocol.text import is_sendable, sendable, split
from studio_relay.protocol.transcript import Transcript

# A key is itself a barge-in: Twilio reports the interrupt it causes right behind it (design decision 20).
KEY_CAUSES_INTERRUPT_SECONDS = 0.25
# Where events tell who makes sounds, nobody does in between; the network may hold up what is right behind the key.
_LATE_INTERRUPT_SECONDS = 5.0
# How Twilio says that it refused a frame of ours; such reports this close together count as a row.
_REFUSED_FRAME = 64107
_REFUSED_WORDS = "Invalid message"
_ERROR_ROW_SECONDS = 10.0
# Unknown types are told apart by their beginnings, and only so many of them: a flood must cost no memory.
_MAX_TYPES, _MAX_TYPE_LENGTH = 100, 100
_CLOSER = Text(token="", last=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionOptions:
    """The limits of a session; sizes in bytes of UTF-8, the queue in frames."""

    max_frame_bytes: int = DEFAULT_MAX_BYTES
    max_token_bytes: int = 4_096
    outbound_queue: int = 256
    allow_raw: bool = False


@dataclass(slots=True, eq=False)
class _Cycle:
    """A talk cycle: what waits to be sent for it, and how far it has come."""

    number: int
    began: int
    speech: Speech
    frames: deque[str | Outgoing | Raw] = field(default_factory=deque)
    queued: bool = False  # stands in the wire order
    finished: bool = False  # nothing more will be said in it
    closer: Text | None = None  # what is owed when text went out, but not its `last`


class Session:
    """The state of one session. See the module docstring for its use."""

    __slots__ = (
        "_accepted_at",
        "_cycles",
        "_end",
        "_error_at",
        "_errors",
        "_key",
        "_next_cycle",
        "_number",
        "_open",
        "_options",
        "_seen_types",
        "_short",
        "_sound_after_key",
        "_waiting",
        "_warned_early",
        "_wire",
        "playback",
        "setup",
        "state",
        "transcript",
    )  # fmt: skip

    def __init__(self, options: SessionOptions | None = None, *, offset_ms: int = 0) -> None:
        self.state = State.AWAITING_SETUP
        self.setup: Setup | None = None
        self.playback = Playback()
        self.transcript = Transcript(self.playback, offset_ms=offset_ms)
        self._options = options or SessionOptions()
        self._short = self._options.max_token_bytes // 4  # so many characters fit, whatever they are
        self._number = 0
        self._next_cycle = 1
        self._cycles: dict[int, _Cycle] = {}  # every cycle that may still be spoken or sent
        self._open: set[int] = set()  # those in which more may be said
        self._wire: deque[_Cycle] = deque()  # the order on the wire: never interleaved
        self._waiting = 0
        self._end: str | None = None
        self._key: tuple[int, float] | None = None
        self._sound_after_key = False  # somebody spoke, or fell silent, since that key
        self._errors = 0
        self._error_at = float("-inf")
        self._seen_types: set[str] = set()
        self._warned_early = False
        self._accepted_at: float | None = None

    @property
    def dialect(self) -> Dialect:
        """Whose protocol the other side speaks; known from the setup."""
        return self.setup.dialect if self.setup else "twilio"

    @property
    def number(self) -> int:
        """The number of the newest event: what is said now answers it."""
        return self._number

    # ------------------------------------------------------------------------ from Twilio

    def accepted(self, now: float) -> None:
        """The upgrade was answered. Twilio sends `setup` at once when it learns of that: so long the wire takes."""
        self._accepted_at = now

    def receive_text(self, frame: str | bytes, now: float) -> list[Event]:
        """Take one frame. Returns what happened; a frame that is not taken gives one Refused."""
        if self.state is State.ENDED:
            return []
        self._number += 1
        try:
            message = parse(frame, max_bytes=self._options.max_frame_bytes)
            return [self._take(message, now)]
        except RemoteProtocolError as error:
            return [Refused(number=self._number, reason=str(error))]

    def receive_close(self, code: int | None, reason: str, now: float) -> list[Event]:
        """The socket is closed, by either side. Returns one Ended, the first time."""
        if self.state is State.ENDED:
            return []
        end_sent = self.state is State.ENDING and self._end is None
        self.state = move(self.state, Input.CLOSED)
        self._end = None
        self._clear()
        self.playback.stopped(now)
        return [
            Ended(
                number=self._number,
                close_code=code,
                close_reason=reason,
                had_setup=self.setup is not None,
                end_sent=end_sent,
            )
        ]

    def _take(self, message: Message, now: float) -> Event:
        if self.state is State.AWAITING_SETUP and not isinstance(message, Setup | Unknown):
            first, self._warned_early = not self._warned_early, True
            reason = f"expected `setup` as the first frame, found `{message.type}`; it is dropped"
            return Refused(number=self._number, reason=reason, first=first)
        match message:
            case Setup():
                return self._setup(message, now)
            case Prompt():
                return self._prompt(message, now)
            case Dtmf():
                return self._dtmf(message, now)
            case Interrupt():
                return self._interrupt(message, now)
            case Info():
                return self._info(message, now)
            case ErrorMessage():
                return self._error(message, now)
        assert isinstance(message, Unknown)
        name = message.type[:_MAX_TYPE_LENGTH]
        first = name not in self._seen_types and len(self._seen_types) < _MAX_TYPES
        if first:
            self._seen_types.add(name)
        return UnknownReceived(number=self._number, message=message, first=first)

    def _setup(self, message: Setup, now: float) -> Event:
        if self.setup is not None:
            return SetupRepeated(number=self._number, setup=message)
        self.state = move(self.state, Input.SETUP)
        self.setup = message
        self.transcript.begin(now)
        if self._accepted_at is not None:
            self.playback.round_trip.seen = now - self._accepted_at
        return Started(number=self._number, setup=message)

    def _prompt(self, message: Prompt, now: float) -> Event:
        self._sound_after_key = True
        self.playback.caller_sounds()
        final = message.last and bool(message.voice_prompt.strip())
        self.state = move(self.state, Input.PROMPT if final else Input.PROMPT_PART)
        if not final:
            return PartlyPrompted(number=self._number, prompt=message)
        self.transcript.said(message.voice_prompt, now)
        if not self.playback.certain:
            self.playback.prompted(len(message.voice_prompt.split()), now)
        if self.playback.is_over_speech(now):
            message = structs.replace(message, over_speech=True)
        return Prompted(number=self._number, prompt=message)

    def _dtmf(self, message: Dtmf, now: float) -> Event:
        self.state = move(self.state, Input.DTMF)
        self._key, self._sound_after_key = (self._number, now), False
        self.playback.caller_sounds()
        self.transcript.pressed(message.digit, now)
        if self.playback.sounding:  # so far: the interrupt that a key causes is reported behind it
            message = structs.replace(message, over_speech=True)
        return Pressed(number=self._number, dtmf=message)

    def _interrupt(self, message: Interrupt, now: float) -> Event:
        before = self._cause(now)
        cut_speech = self.playback.interrupted(
            message.utterance_until_interrupt, now, before, message.duration_until_interrupt_ms
        )
        cut = [cycle for cycle in self._cycles.values() if cycle.began < before]
        for cycle in cut:
            self._purge(cycle)
        self.state = move(self.state, Input.INTERRUPT, others=bool(self._open))
        return Interrupted(
            number=self._number,
            interrupt=message,
            before=before,
            cut=frozenset(cycle.number for cycle in cut),
            heard=" ".join(heard for speech in cut_speech if (heard := speech.heard_text())),
        )

    def _cause(self, now: float) -> int:
        """The number of the event that caused an interrupt arriving now: the key just pressed, or this voice."""
        if self._key is None:
            return self._number
        number, at = self._key
        answered = any(s.heard for s in self.playback.speeches if s.began >= number)
        if self.playback.tells_speakers:
            is_keys = not self._sound_after_key and now - at <= _LATE_INTERRUPT_SECONDS
        else:
            is_keys = now - at <= KEY_CAUSES_INTERRUPT_SECONDS
        return number if is_keys and not answered else self._number

    def _info(self, message: Info, now: float) -> Event:
        self._sound_after_key = self._sound_after_key or message.name in ("agentSpeaking", "clientSpeaking")
        if message.name == "agentSpeaking" and message.value in ("on", "off"):
            self.playback.speaking(message.value == "on", now)
            self._errors = 0
        elif message.name == "clientSpeaking" and message.value in ("on", "off"):
            self.playback.caller_speaks(message.value == "on", now)
        elif message.name == "tokensPlayed" and isinstance(message.value, str):
            self.playback.played(message.value, now)
            self._errors = 0
        return Informed(number=self._number, info=message)

    def _error(self, message: ErrorMessage, now: float) -> Event:
        if message.code == _REFUSED_FRAME or message.description.startswith(_REFUSED_WORDS):
            self._errors = self._errors + 1 if now - self._error_at <= _ERROR_ROW_SECONDS else 1
            self._error_at = now
        return ErrorReported(number=self._number, error=message, in_a_row=self._errors)

    # -------------------------------------------------------------------------- to Twilio

    def begin(self, *, answers: int | None = None) -> int:
        """Open a talk cycle and return its number. `answers` is the number of the event it answers.

        It takes its place on the wire with its first frame. Next: say(), then finish() it, always.
        """
        self.state = move(self.state, Input.REPLY)
        number = self._next_cycle
        self._next_cycle += 1
        began = self._number if answers is None else answers
        self._cycles[number] = _Cycle(number, began, Speech(number, began))
        self._open.add(number)
        return number

    def say(self, cycle: int, token: str) -> None:
        """Queue `token` in a talk cycle, split where it exceeds the token limit; nothing if nothing can be sent of it.

        Raises CallEnded, QueueFull, or LocalProtocolError when the cycle is over or the token is not text.
        """
        current = self._writable(cycle)
        if type(token) is not str:
            check(Text(token=token, last=False))
            token = str.__str__(token)  # a subclass is sent as the text it holds, whatever it prints as
        token = sendable(token)
        if not token:
            return
        if self._waiting >= self._options.outbound_queue:
            raise self._full()
        if not current.queued:
            self._queue(current)
        if len(token) <= self._short:
            current.frames.append(token)
            self._waiting += 1
            return
        pieces = split(token, self._options.max_token_bytes)
        current.frames.extend(pieces)
        self._waiting += len(pieces)

    def speak(self, cycle: int, token: str, now: float) -> str | None:
        """say() and next_text() in one step: the text of the frame that carries `token`, counted as sent.

        None when it has to be left to say(): others wait, the cycle is over, the token is too long or not fit to send.
        """
        # Every token of a stream comes this way, so nothing is done twice here and nothing is called in vain.
        if self._waiting or type(token) is not str or not 0 < len(token) <= self._short:
            return None
        if not token.isprintable() and not is_sendable(token):
            return None
        if not self._wire and cycle in self._open:
            self._queue(self._cycles[cycle])
        if not self._wire or (current := self._wire[0]).number != cycle or current.finished:
            return None
        if current.speech.preemptible or current.speech.protected:
            self._change_speech(current, preemptible=False)
            self._protect(current.speech, False)
        current.closer = _CLOSER
        self.playback.sent(current.speech, token, now)
        return dump_text(token, False)

    def send(self, cycle: int, message: Outgoing | Raw) -> None:
        """Queue any other message, or text with options, in its place within a talk cycle.

        Raises as say() does; LocalProtocolError names the field that is wrong.
        """
        current = self._writable(cycle)
        if isinstance(message, Raw) and not self._options.allow_raw:
            raise LocalProtocolError(
                "raw messages are switched off: they are not part of the known protocol; "
                "set STUDIO_RELAY_ALLOW_RAW_MESSAGES=1 to send them at your own risk"
            )
        if isinstance(message, End):
            raise LocalProtocolError("an end is not part of a talk cycle; use end()")
        dump(message, dialect=self.dialect)  # refused here rather than when its turn comes
        frames = self._split_text(message) if isinstance(message, Text) else [message]
        if not frames:
            return
        if self._waiting >= self._options.outbound_queue:
            raise self._full()
        if not current.queued:
            self._queue(current)
        current.frames.extend(frames)
        self._waiting += len(frames)

    def _split_text(self, message: Text) -> list[Text]:
        token = sendable(str.__str__(message.token))
        pieces = split(token, self._options.max_token_bytes) if token else []
        return [structs.replace(message, token=piece) for piece in pieces]

    def finish(self, cycle: int) -> None:
        """Nothing more will be said in this cycle: its last frame closes it. Does nothing if it is over."""
        current = self._cycles.get(cycle)
        if current is None or current.finished:
            return
        current.finished = True
        self._open.discard(cycle)
        if not current.queued:
            del self._cycles[cycle]
        self.state = move(self.state, Input.LAST, others=bool(self._open))

    def replace(self, cycle: int) -> None:
        """Something newer is to be said: drop what waits in this cycle, and close it if it was begun."""
        current = self._cycles.get(cycle)
        if current is None:
            return
        self._waiting -= len(current.frames)
        current.frames.clear()
        self.finish(cycle)

    def end(self, handoff_data: str | None = None) -> None:
        """Queue the end of the session, ahead of everything that still waits. Next: wait for Twilio's close.

        Raises LocalProtocolError if it is not text, CallEnded if the session is ending already.
        """
        message = End(handoff_data=handoff_data)
        text = dump(message)
        self.state = move(self.state, Input.END)
        self._clear()
        self._end = text

    def next_text(self, now: float) -> str | None:
        """The text of the next frame to put on the wire, or None while there is none. Counts as sent."""
        while self._wire:
            cycle = self._wire[0]
            if cycle.frames:
                self._waiting -= 1
                return self._emit(cycle, cycle.frames.popleft(), now)
            if not cycle.finished:
                return None
            self._wire.popleft()
            self._cycles.pop(cycle.number, None)
            if cycle.closer is not None:
                return dump_text("", True) if cycle.closer is _CLOSER else dump(cycle.closer)
        text, self._end = self._end, None
        return text

    @property
    def waiting(self) -> int:
        """How many frames wait to be sent."""
        return self._waiting

    @property
    def room(self) -> bool:
        """Whether another frame may be queued."""
        return self._waiting < self._options.outbound_queue

    def is_open(self, cycle: int) -> bool:
        """Whether more may be said in this talk cycle."""
        return cycle in self._open

    def _emit(self, cycle: _Cycle, frame: str | Outgoing | Raw, now: float) -> str:
        last = cycle.finished and not cycle.frames
        if type(frame) is str:
            return self._emit_plain(cycle, frame, last, now)
        assert not isinstance(frame, str)
        if isinstance(frame, Text):
            frame = structs.replace(frame, last=last)
            self._change_speech(cycle, preemptible=bool(frame.preemptible))
            self._protect(cycle.speech, frame.interruptible is False)
            cycle.closer = None if last else structs.replace(frame, token="", last=True)
            self.playback.sent(cycle.speech, frame.token, now)
        elif isinstance(frame, SendDigits):
            self.playback.tones_sent(frame.digits, now, cycle.began)
        return dump(frame, dialect=self.dialect)

    def _emit_plain(self, cycle: _Cycle, token: str, last: bool, now: float) -> str:
        if cycle.speech.preemptible or cycle.speech.protected:
            self._change_speech(cycle, preemptible=False)
            self._protect(cycle.speech, False)
        cycle.closer = None if last else _CLOSER
        self.playback.sent(cycle.speech, token, now)
        return dump_text(token, last)

    @staticmethod
    def _change_speech(cycle: _Cycle, *, preemptible: bool) -> None:
        """Words that may be preempted are followed apart from those that may not, within one talk cycle too."""
        if cycle.speech.pieces and cycle.speech.preemptible != preemptible:
            cycle.speech = Speech(cycle.number, cycle.began)
        cycle.speech.preemptible = preemptible

    @staticmethod
    def _protect(speech: Speech, protected: bool) -> None:
        if speech.protected != protected:
            speech.protect(protected)

    def _writable(self, cycle: int) -> _Cycle:
        if cycle in self._open:
            return self._cycles[cycle]
        move(self.state, Input.REPLY)
        raise LocalProtocolError(
            f"talk cycle {cycle} is over (finished, interrupted or replaced): nothing more can be said in it"
        )

    def _queue(self, cycle: _Cycle) -> None:
        cycle.queued = True
        self._wire.append(cycle)

    def _full(self) -> QueueFull:
        return QueueFull(
            f"{self._waiting} frames wait to be sent, the limit is {self._options.outbound_queue}: "
            "say less at once, or yield it so that the server can wait"
        )

    def _purge(self, cycle: _Cycle) -> None:
        """Nothing more of a cycle that was cut is sent, but its closer.

        Twilio may drop all that comes up to the `last: true` of the cycle it cut: without it the next reply, too.
        """
        cycle.finished = True
        self._open.discard(cycle.number)
        self._waiting -= len(cycle.frames)
        cycle.frames.clear()
        if cycle.queued and cycle.closer is None:
            self._wire.remove(cycle)
        del self._cycles[cycle.number]

    def _clear(self) -> None:
        for cycle in list(self._cycles.values()):
            self._purge(cycle)
        self._wire.clear()
