"""What a caller has heard, what of it is still to be reacted to, and whose turn it is to speak."""

from __future__ import annotations

from studio_relay.testing.matching import TextPattern, fold
from studio_relay.testing.twilio import SimulatedCall

TURN_GAP_MS = 300
"""So long the agent must be silent, having spoken, before the caller takes the turn."""

PATIENCE_MS = 3000
"""So long a caller with something to say waits for an agent that says nothing."""

EXCERPT = 200


class Heard:
    """All that was heard in a call, over all its sessions; what was reacted to is not found again."""

    def __init__(self) -> None:
        self._text = ""
        self._mark = 0

    def add(self, text: str) -> None:
        """Something more was heard."""
        self._text = fold(f"{self._text} {text}")

    def take(self, pattern: TextPattern) -> bool:
        """Whether `pattern` was heard since the last reaction; then what stands behind it is next."""
        end = pattern.end_in(self._text[self._mark :])
        if end is None:
            return False
        self._mark += end
        return True

    def react(self) -> None:
        """The caller speaks: what was heard before is done with."""
        self._mark = len(self._text)

    def rest(self) -> str:
        """What was heard since the last reaction, shortened."""
        return self._text[self._mark :].strip()[-EXCERPT:]


class Ears:
    """What the caller hears in one session, and whose turn it is."""

    def __init__(self, heard: Heard, call: SimulatedCall) -> None:
        self.call = call
        self._heard = heard
        self._listened = 0
        self._said_until = call.now_ms

    def listen(self) -> None:
        """Take in what was played since the last time."""
        played = self.call.end.played
        for event in played[self._listened :]:
            if event.name == "tokensPlayed":
                self._heard.add(event.value)
        self._listened = len(played)

    def last_agent_sound_ms(self) -> int:
        """When the agent was last audible; now, if it is."""
        if self.call.end.playback.speaking:
            return self.call.now_ms
        return self.call.end.played[-1].at_ms if self.call.end.played else 0

    async def speak(self, text: str, keys: str) -> None:
        """Say or press something, and be done with it."""
        if keys:
            await self.call.press(keys)
        else:
            self.call.say(text)
        await self.until_said()
        self.listen()

    async def until_said(self) -> None:
        """Wait until the caller's own words are over."""
        await self.call.wait_until(lambda: not self.call.end.caller_speaking, timeout_ms=120_000)
        self._said_until = self.call.now_ms

    def _answered(self) -> bool:
        """Whether the agent has begun to say something since; what it still had to say before is no answer."""
        begun = (item.started_ms for item in self.call.end.playback.utterances if item.started_ms is not None)
        return any(at > self._said_until for at in begun)

    async def wait_for_turn(self, timeout_ms: float) -> bool:
        """Wait until the agent has spoken and stopped, or says nothing for a while; False if the session ends."""
        while not self.call.over:
            patience: float = TURN_GAP_MS if self._answered() else PATIENCE_MS
            if self.call.end.playback.unfinished:
                patience = timeout_ms
            if await self._silent_for(patience):
                self.listen()
                return True
        return False

    async def wait_for_silence(self, silence_ms: float) -> None:
        """Wait until neither side has made a sound for so long, or the session is over."""
        while not self.call.over and not await self._silent_for(silence_ms):
            pass

    async def _silent_for(self, wanted_ms: float) -> bool:
        """Whether it has been silent so long; if not, wait for the next thing that could change that."""
        if not self.call.end.playback.quiet:
            await self.call.next_change(60_000)
            return False
        left = max(self.last_agent_sound_ms(), self._said_until) + wanted_ms - self.call.now_ms
        if left > 0:
            await self.call.next_change(left)
        return left <= 0
