"""The transcript of a session as it was heard: caller and agent in the order they spoke; no messages, no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from studio_relay.protocol.estimate import squeeze
from studio_relay.protocol.playback import Playback
from studio_relay.protocol.speech import Speech, Tones

HIDDEN_KEY = "x"  # no key of a telephone


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of the conversation.

    `text` is what was heard, `sent` what was sent when that is more, `digits` keys or tones. `at_ms` counts
    from the first setup of the call. `estimated` marks an agent turn whose heard part Twilio did not report.
    The repr shows no word and no key.
    """

    who: Literal["agent", "caller"]
    text: str
    at_ms: int
    sent: str | None = None
    digits: str | None = None
    estimated: bool = False

    def __repr__(self) -> str:
        return f"Turn(who={self.who!r}, at_ms={self.at_ms}, estimated={self.estimated})"


class Transcript:
    """Reads what the agent's side was heard to say from `playback`, and keeps what the caller said."""

    __slots__ = ("_caller", "_playback", "_spoken", "_zero", "hide_keys", "offset_ms")

    def __init__(self, playback: Playback, *, offset_ms: int = 0) -> None:
        self._playback = playback
        self.offset_ms = offset_ms  # of this session within its call
        self.hide_keys = False  # while secrets are typed
        self._zero = 0.0
        self._caller: list[tuple[float, Turn]] = []
        self._spoken = 0  # speeches of the agent before the last key

    def begin(self, now: float) -> None:
        """The setup arrived at `now` (seconds)."""
        self._zero = now

    def said(self, text: str, now: float) -> None:
        """The caller said `text`."""
        self._caller.append((now, Turn(who="caller", text=text, at_ms=self._ms(now))))

    def pressed(self, digits: str, now: float) -> None:
        """The caller pressed `digits`; keys that follow each other make one turn."""
        digits = HIDDEN_KEY * len(digits) if self.hide_keys else digits
        spoken, self._spoken = self._spoken, len(self._playback.speeches)
        if self._caller and self._caller[-1][1].digits and spoken == self._spoken:
            at, turn = self._caller.pop()
            self._caller.append((at, replace(turn, digits=f"{turn.digits}{digits}")))
        else:
            self._caller.append((now, Turn(who="caller", text="", at_ms=self._ms(now), digits=digits)))

    def turns(self) -> Sequence[Turn]:
        """All turns so far, in the order they began."""
        # At one instant the caller comes first: what is sent then answers what was heard then.
        timed = sorted([*self._caller, *self._agent()], key=lambda entry: entry[0])
        return (*self._greeting(), *(turn for _, turn in timed))

    def _greeting(self) -> list[Turn]:
        greeting = self._playback.greeting
        if greeting is None:
            return []
        at_ms = self._ms(greeting.began_at)
        return [Turn(who="agent", text=greeting.text, at_ms=at_ms, estimated=greeting.estimated)]

    def _agent(self) -> Iterator[tuple[float, Turn]]:
        """Speech and tones as they were sent."""
        tones = deque(self._playback.tones)
        for index, speech in enumerate(self._playback.speeches):
            while tones and tones[0].behind <= index:
                yield from self._tones(tones.popleft())
            if speech.text.strip():
                yield speech.sent_at, self._speech(speech)
        for left in tones:
            yield from self._tones(left)

    def _speech(self, speech: Speech) -> Turn:
        text = speech.heard_text() if self._playback.reported or speech.cut else speech.text
        return Turn(
            who="agent",
            text=text,
            at_ms=self._ms(speech.sent_at),
            sent=None if text is speech.text or squeeze(text) == speech.squeezed else speech.text,
            estimated=speech.estimated or not self._playback.reported,
        )

    def _tones(self, tones: Tones) -> Iterator[tuple[float, Turn]]:
        if not tones.cut:
            yield tones.sent_at, Turn(who="agent", text="", at_ms=self._ms(tones.sent_at), digits=tones.digits)

    def _ms(self, now: float) -> int:
        return self.offset_ms + max(0, round((now - self._zero) * 1000))
