"""Twilio's end of one ConversationRelay session, pure: what it sends, when, and how it ends.

Time is passed in as milliseconds, frames are JSON dicts; no loop, no socket. `twilio.py` plays it on a wire.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, Literal

from studio_relay.testing.attributes import RelayAttributes
from studio_relay.testing.identity import Identity
from studio_relay.testing.line_delay import Delay, FixedDelay
from studio_relay.testing.outputs import Callback, CallerTurn, Close, Output, Reconnect, Send, Status
from studio_relay.testing.playback import Cause, Cut, Leftovers, Playback, PlaybackEvent
from studio_relay.testing.rates import LINK_MS, MeasuredRates, Rates
from studio_relay.testing.speech import FINAL_MS, PARTIAL_MS, hypotheses, is_backchannel
from studio_relay.testing.utterance import Interruptible
from studio_relay.testing.validation import MALFORMED_LIMIT, Checked, check_message

GREETING_MS = 1191
"""From the TwiML answer to the greeting; a late `setup` makes it follow at once."""
LATE_GREETING_MS = 25
UNANNOUNCED_MS = 1391
"""Where `setup` came so long after the TwiML, or later, no `agentSpeaking on` was recorded for the greeting."""
KEY_REPORT_MS = 1
SILENCE_REPORT_MS = 2
MALFORMED_CLOSE_MS = 65
DURATION_FROM_MS = 250
"""`SessionDuration` counts from here after the TwiML answer; our inference, all nine recordings agree."""
RECONNECT_MS = 1000
RECONNECT_BUFFER = 500

CALLBACK_MS: Mapping[str, int] = {"ended": 678, "completed": 282, "dropped": 1191, "malformed": 163}
CUT_BY_END = "`end` came before the caller had heard the last"
NORMAL_CLOSE = "Closing websocket session"
MALFORMED_CLOSE = "Too many consecutive malformed messages."


@dataclass(kw_only=True)
class TwilioEnd:
    """One session. Tell it what happens, each time with the time, and `advance` to get what Twilio does.

    `answered_ms` is when the TwiML was returned, `delay` that of the server's frames, `leftovers` is as in
    `playback.py`. `lessons` collects what the server's author should know, `unreported` when and why the server did
    not learn what the caller said, `after_end` what the server sent behind its `end`, `played` what the caller heard,
    subscribed to or not.
    """

    attributes: RelayAttributes
    identity: Identity
    session_id: str
    answered_ms: int = 0
    rates: Rates = field(default_factory=MeasuredRates)
    media_ms: Mapping[str, int] = field(default_factory=dict)
    leftovers: Leftovers = "joined"
    delay: Delay = field(default_factory=lambda: FixedDelay(LINK_MS))
    state: Literal["connecting", "open", "away", "over"] = "connecting"
    caller_speaking: bool = False
    caller_turns: list[CallerTurn] = field(default_factory=list)
    caller_sound: list[tuple[int, Literal["on", "off", "key"]]] = field(default_factory=list)
    lessons: list[str] = field(default_factory=list)
    unreported: list[tuple[int, str]] = field(default_factory=list)
    after_end: list[str] = field(default_factory=list)
    played: list[PlaybackEvent] = field(default_factory=list)
    malformed: int = 0
    close_code: int | None = None
    handoff_data: str | None = None
    tts_language: str = ""
    transcription_language: str = ""
    playback: Playback = field(init=False)
    _due: list[tuple[int, int, Callable[[int], None]]] = field(default_factory=list)
    _order: count[int] = field(default_factory=count)
    _out: list[Output] = field(default_factory=list)
    _buffer: list[dict[str, Any]] = field(default_factory=list)
    _transcript: str = ""
    _end_sent: bool = False
    _unannounced: bool = False  # the greeting's `agentSpeaking on` was due before there was a socket

    def __post_init__(self) -> None:
        self.playback = Playback(rates=self.rates, leftovers=self.leftovers, media_ms=self.media_ms)
        self.tts_language = self.attributes.tts_language or self.attributes.language
        self.transcription_language = self.attributes.transcription_language or self.attributes.language

    # The line

    def open(self, now: int) -> None:
        """The upgrade was answered with 101: `setup` goes out, the greeting is timed."""
        self.state = "open"
        self._send(now, self.identity.setup(self.session_id, self.attributes.parameters))
        if self.attributes.welcome_greeting:
            self._unannounced = now - self.answered_ms >= UNANNOUNCED_MS
            self.playback.greet(
                self.attributes.welcome_greeting,
                at_ms=max(self.answered_ms + GREETING_MS, now + LATE_GREETING_MS),
                interruptible=self.attributes.welcome_greeting_interruptible,
            )

    def refuse(self, now: int, message: str, *, code: str = "64102") -> None:
        """No session came about; `code` says why."""
        self._over(now, "failed", close=None, error=(code, message), after="malformed")

    def lose(self, now: int, code: int = 1006, reason: str = "") -> None:
        """The socket is gone without an `end`, whoever let go of it."""
        if self.state != "open":
            return
        if self.attributes.application_reconnect:
            self.state = "away"
            self._out.append(Close(at_ms=now, code=code, reason=reason, lost=True))
            self._later(now + RECONNECT_MS, lambda at: self._out.append(Reconnect(at_ms=at)))
            return
        self.drop(now, code, reason)

    def drop(self, now: int, code: int = 1006, reason: str = "") -> None:
        """The socket is gone for good: `failed`, 64105."""
        close = Close(at_ms=now, code=code, reason=reason, lost=True)
        self._over(now, "failed", close=close, error=("64105", "Websocket ended"), after="dropped")

    def reopen(self, now: int) -> None:
        """The reconnect succeeded: a `setup` again, then what was missed. What comes first is not verified."""
        self.state = "open"
        missed, self._buffer = self._buffer, []
        self._send(now, self.identity.setup(self.session_id, self.attributes.parameters))
        for frame in missed:
            self._send(now, frame)

    def hang_up(self, now: int) -> None:
        """The caller hangs up: `completed`."""
        if self.state == "over":
            return
        if self.attributes.partial_prompt_on_hangup and self._transcript:
            self._prompt(now, self._transcript, last=True)
        close = Close(at_ms=now, code=1000, reason=NORMAL_CLOSE)
        self._over(now, "completed", close=close, after="completed")

    # The caller

    def say(self, now: int, text: str) -> int:
        """The caller says a sentence, beginning now; returns when the recogniser is done with it."""
        self.caller_turns.append(CallerTurn(at_ms=now, text=text))
        if self.attributes.ignore_backchannel and self.playback.speaking and is_backchannel(text):
            return now
        at = now
        self.voice_starts(now)
        for index, heard in enumerate(hypotheses(text)):
            at = now + index * PARTIAL_MS
            self._later(at, partial(self.transcript, text=heard))
        at += self.attributes.speech_timeout_ms or FINAL_MS
        self._later(at, self.voice_stops)
        return at

    def voice_starts(self, now: int, *, cuts: bool = True) -> None:
        """The caller's voice is noticed; it cuts what may be cut, unless it is only a noise."""
        self.caller_speaking = True
        self.caller_sound.append((now, "on"))
        self._info(now, "clientSpeaking", "on")
        if cuts:
            self._voice_barge_in(now)

    def voice_cuts(self, now: int) -> None:
        """The caller's voice cuts what may be cut, by what is reported of it nowhere else."""
        self._voice_barge_in(now)

    def transcript(self, now: int, text: str, *, cuts: bool = True) -> None:
        """The recogniser's newest idea of the whole utterance; it cuts too, if the voice alone did not."""
        if cuts:
            self._voice_barge_in(now)
        self._transcript = text
        if self.attributes.partial_prompts:
            self._prompt(now, text, last=False)

    def voice_stops(self, now: int) -> None:
        """The caller's utterance is over: the final prompt repeats the newest transcript."""
        self.caller_speaking = False
        self.caller_sound.append((now, "off"))
        self._info(now, "clientSpeaking", "off")
        self.final(now)

    def final(self, now: int) -> None:
        """The recogniser settles on what it has; by itself only where that comes before the voice ends."""
        final, self._transcript = self._transcript, ""
        if final:
            self._prompt(now, final, last=True)

    def press(self, now: int, key: str) -> None:
        """The caller presses one key; a key is a barge-in too, and is reported before it."""
        self.caller_turns.append(CallerTurn(at_ms=now, digits=key))
        self.caller_sound.append((now, "key"))
        if not self.attributes.dtmf_detection:
            self._untold(now, "a key was pressed, but dtmfDetection is off: the server is not told")
            return
        cuts = self.playback.interruptible_by("dtmf")
        if cuts or self._reported("dtmf"):
            self._send(now, {"type": "dtmf", "digit": key})
        else:
            self._kept_back(now, "a key that the caller pressed")
        if cuts:
            self._barge_in(now, report_at=now + KEY_REPORT_MS)

    def why_unheard(self, since_ms: int) -> str:
        """Why the server did not learn what the caller said or pressed since then; empty if it did."""
        return "; ".join(dict.fromkeys(reason for at, reason in self.unreported if at >= since_ms))

    # The server

    def receive(self, now: int, raw: str | bytes) -> None:
        """A frame left the server; it takes effect after the line's delay, in order."""
        self._later(self.delay.arrival(now), lambda at: self._obey(at, raw))

    def left(self, now: int, code: int, reason: str) -> None:
        """The server let go of the socket; Twilio notices behind the frames that came before."""
        self._later(self.delay.arrival(now), lambda at: self.lose(at, code, reason))

    # Time

    def next_at(self) -> int | None:
        """When there is something to do next; None while it waits for something to happen."""
        times = [self._due[0][0]] if self._due else []
        played = self.playback.next_at() if self.state != "over" else None
        return min([*times, played] if played is not None else times, default=None)

    def advance(self, now: int) -> list[Output]:
        """Everything Twilio does up to and at `now`, in order."""
        while (at := self.next_at()) is not None and at <= now:
            played = self.playback.next_at() if self.state != "over" else None
            if played is not None and played <= at:
                self._report(self.playback.advance(at))
            else:
                _, _, act = heapq.heappop(self._due)
                act(at)
        out, self._out = self._out, []
        return out

    def _later(self, at: int, act: Callable[[int], None]) -> None:
        heapq.heappush(self._due, (at, next(self._order), act))

    def _send(self, at: int, frame: dict[str, Any], segment: str = "") -> None:
        if self.state == "open":
            self._out.append(Send(at_ms=at, frame=frame, segment=segment))
        elif self.state == "away" and len(self._buffer) < RECONNECT_BUFFER:
            self._buffer.append(frame)

    def _info(self, at: int, name: str, value: str, segment: str = "") -> None:
        wanted = self.attributes.tokens_played if name == "tokensPlayed" else self.attributes.speaker_events
        if wanted:
            self._send(at, {"type": "info", "name": name, "value": value}, segment)

    def _report(self, events: list[PlaybackEvent]) -> None:
        self.played += events
        for event in events:
            if self._unannounced and event.value == "on":
                self._unannounced = False
                continue
            self._info(event.at_ms, event.name, event.value, event.segment)

    def _heard_until(self, at: int, cut: Cut, *, speaking: bool = True) -> None:
        if cut.fragment:
            self.played.append(PlaybackEvent(at_ms=at, name="tokensPlayed", value=cut.fragment))
        if speaking:
            self.played.append(PlaybackEvent(at_ms=at, name="agentSpeaking", value="off"))

    def _teach(self, lesson: str) -> None:
        if lesson not in self.lessons:
            self.lessons.append(lesson)

    # Speech of the caller

    def _reported(self, cause: Cause) -> bool:
        """While the agent speaks, input is kept from the server unless asked for."""
        return not self.playback.speaking or self.attributes.report_input_during_agent_speech in ("any", cause)

    def _kept_back(self, at: int, what: str) -> None:
        """What the caller did is lost on the server; its author should know why."""
        reason = f"Twilio did not report {what} while the agent was speaking: reportInputDuringAgentSpeech is "
        reason += f'"{self.attributes.report_input_during_agent_speech}"'
        if self.attributes.mode == "widget":
            reason += ", and Studio's widget cannot change that"
        self._untold(at, reason)

    def _untold(self, at: int, reason: str) -> None:
        self._teach(reason)
        self.unreported.append((at, reason))

    def _prompt(self, at: int, text: str, *, last: bool) -> None:
        if not self._reported("speech"):
            if last:
                self._kept_back(at, "what the caller said")
            return
        self._send(at, {"type": "prompt", "voicePrompt": text, "lang": self._prompt_language(), "last": last})

    def _prompt_language(self) -> str:
        """Flux and `multi` report the primary tag only, as recorded and documented."""
        language = self.transcription_language
        if language == "multi":
            return "en"
        return language.partition("-")[0] if self.attributes.speech_model.startswith("flux") else language

    def _voice_barge_in(self, now: int) -> None:
        if self.playback.interruptible_by("speech"):
            self._barge_in(now, report_at=now)

    def _barge_in(self, now: int, *, report_at: int) -> None:
        cut = self.playback.interrupt(now)
        self._heard_until(now, cut)

        def report(at: int) -> None:
            if cut.fragment:
                self._info(at, "tokensPlayed", cut.fragment, cut.segment)
            self._send(
                at,
                {
                    "type": "interrupt",
                    "utteranceUntilInterrupt": cut.fragment,
                    "durationUntilInterruptMs": cut.duration_ms,
                },
                cut.segment,
            )

        if report_at == now:
            report(now)
        else:
            self._later(report_at, report)
        self._later(report_at + SILENCE_REPORT_MS, lambda at: self._info(at, "agentSpeaking", "off"))

    # Messages of the server

    def _obey(self, at: int, raw: str | bytes) -> None:
        if self._end_sent:
            self.after_end.append(raw if isinstance(raw, str) else repr(raw))
            return
        if self.state == "over":
            return
        checked = check_message(raw)
        if checked.lesson:
            self._teach(checked.lesson)
        if checked.fault:
            self._refuse_message(at, raw, checked)
            return
        self.malformed = 0
        self._act(at, checked.message)

    def _refuse_message(self, at: int, raw: str | bytes, checked: Checked) -> None:
        self._teach(f"a message was refused with 64107: {checked.fault}")
        echo = raw if isinstance(raw, str) else raw.decode("utf-8", "replace")
        self._send(at, {"type": "error", "description": f"Invalid message received, code: 64107, {echo}"})
        self.malformed += 1
        if self.malformed == MALFORMED_LIMIT:
            self._later(at + MALFORMED_CLOSE_MS, self._close_malformed)

    def _close_malformed(self, at: int) -> None:
        close = Close(at_ms=at, code=1007, reason=MALFORMED_CLOSE)
        self._over(at, "failed", close=close, error=("64105", "Websocket ended"), after="malformed")

    def _act(self, at: int, message: Mapping[str, Any]) -> None:
        match message["type"]:
            case "text":
                self._report(
                    self.playback.text(
                        at,
                        message["token"],
                        last=message.get("last", False),
                        preemptible=message.get("preemptible", self.attributes.preemptible),
                        interruptible=self._message_interruptible(message),
                        lang=message.get("lang", self.tts_language),
                    )
                )
            case "play":
                self._report(
                    self.playback.play(
                        at,
                        message["source"],
                        loop=message.get("loop", 1),
                        preemptible=message.get("preemptible", False),
                        interruptible=self._message_interruptible(message),
                    )
                )
            case "sendDigits":
                self.playback.digits(at, message["digits"])
            case "language":
                self.tts_language = message.get("ttsLanguage", self.tts_language)
                self.transcription_language = message.get("transcriptionLanguage", self.transcription_language)
            case "end":
                self._end(at, message.get("handoffData"))

    def _message_interruptible(self, message: Mapping[str, Any]) -> Interruptible:
        asked = message.get("interruptible")
        if asked is None:
            return self.attributes.interruptible
        return "any" if asked else "none"

    def _end(self, at: int, handoff_data: str | None) -> None:
        self._end_sent = True
        unheard = self.playback.unheard(at)
        if unheard:
            self._teach(f"{CUT_BY_END} {len(unheard.split())} words: wait until the last one was played")
        self.handoff_data = handoff_data
        self._over(at, "ended", close=Close(at_ms=at, code=1000, reason=NORMAL_CLOSE), after="ended")

    def _over(
        self,
        at: int,
        status: Status,
        *,
        close: Close | None,
        error: tuple[str, str] | None = None,
        after: str,
    ) -> None:
        if self.state == "over":
            return
        self._report(self.playback.advance(at))
        was_speaking = self.playback.speaking
        self._heard_until(at, self.playback.interrupt(at), speaking=was_speaking)
        if close is not None:
            self.close_code = close.code
            self._out.append(close)
        self.state = "over"
        seconds = max(0, at - self.answered_ms - DURATION_FROM_MS) // 1000
        form = self.identity.webhook("completed" if status == "completed" else "in-progress")
        form |= {"SessionId": self.session_id, "SessionStatus": status, "SessionDuration": str(seconds)}
        if self.handoff_data is not None:
            form["HandoffData"] = self.handoff_data
        if error is not None:
            form["ErrorCode"], form["ErrorMessage"] = error
        due = at + CALLBACK_MS[after]
        self._due = [entry for entry in self._due if self._end_sent and entry[0] <= at + self.delay.longest_ms]
        heapq.heapify(self._due)
        self._later(due, lambda when: self._out.append(Callback(at_ms=when, status=status, form=form)))
