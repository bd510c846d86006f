"""A call to drive by hand from a plain test: each action runs the virtual clock until it is done.

No script is needed and nothing is awaited; what is expected of the agent is in `expect.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from studio_relay.studio.outside import RelayOutcome
from studio_relay.testing.blocking import BlockingWatch
from studio_relay.testing.clock import close_loop, open_virtual_loop, refuse_running_loop
from studio_relay.testing.expect import Expect
from studio_relay.testing.hearing import Ears, Heard
from studio_relay.testing.transcript import Turn
from studio_relay.testing.twilio import SimulatedCall

T = TypeVar("T")

TURN_TIMEOUT_MS = 10_000
ACTION_LIMIT_SECONDS = 3600.0
"""Of virtual time: an action that takes longer hangs."""


class VirtualTime:
    """A virtual loop that stands still between actions. Close it, or use it as a context manager."""

    def __init__(self) -> None:
        self.loop = open_virtual_loop()
        self._blocking = BlockingWatch(self.loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` to its end; TimeoutError if it takes an hour of virtual time."""
        refuse_running_loop(work)

        async def within_limit() -> T:
            async with asyncio.timeout(ACTION_LIMIT_SECONDS):
                return await work

        return self.loop.run_until_complete(within_limit())

    def close(self) -> None:
        """Cancel what is left and let go of the loop."""
        close_loop(self.loop)
        self._blocking.close()


class Conversation:
    """A simulated call, driven from a test. Actions return the conversation, to go on with.

    It is in one session at a time; `reconnect` begins the next.

    `expect` asks for what should happen; `call` is the simulated call underneath.
    """

    def __init__(self, time: VirtualTime, make_call: Callable[[], SimulatedCall]) -> None:
        self._time = time
        self.call = time.run(self._start(make_call))
        self.heard = Heard()
        self._ears = Ears(self.heard, self.call)
        self._expected_until = 0
        self._heard_ms = 0
        self._earlier: list[Turn] = []

    @staticmethod
    async def _start(make_call: Callable[[], SimulatedCall]) -> SimulatedCall:
        call = make_call()
        await call.start()
        return call

    # What the caller does

    def say(self, text: str) -> Conversation:
        """Wait for the agent to stop, then say `text`."""
        return self._speak(text, "")

    def press(self, keys: str) -> Conversation:
        """Wait for the agent to stop, then press `keys`."""
        return self._speak("", keys)

    def talk_over(
        self, text: str = "", *, keys: str = "", after_words: int | None = None, after_ms: int | None = None
    ) -> Conversation:
        """Speak, or press keys, while the agent is speaking, after so many of its words or milliseconds."""

        async def act() -> None:
            await self.call.talk_over(text, keys=keys, after_words=after_words, after_ms=after_ms)
            self._ears.listen()
            self.heard.react()
            await self._ears.until_said()

        return self._do(act())

    def silence(self, seconds: float) -> Conversation:
        """Say nothing for so long."""
        return self._do(self._pass(seconds))

    def hang_up(self) -> Conversation:
        """Put the phone down."""
        self.call.hang_up()
        return self._do(self._pass(0))

    def drop(self) -> Conversation:
        """Let the network drop the socket."""
        return self._do(self.call.drop_socket())

    def reconnect(self) -> Conversation:
        """Connect the call again after `drop`: a new session of the same call, which the agent remembers.

        As where the TwiML of the action URL connects it, without a greeting. Raises RuntimeError while the session
        before is live, or if the caller hung up.
        """
        if not self.call.over or self.outcome.status == "completed":
            found = "one the caller hung up" if self.call.over else "one that is live"
            raise RuntimeError(f"reconnect: expected a session whose line dropped, found {found}. Call drop() first.")
        return self._do(self._reconnect())

    def send_raw(self, text: str) -> Conversation:
        """Put any text on the wire as if Twilio had sent it."""
        return self._do(self.call.send_raw(text))

    # What came of it

    @property
    def expect(self) -> Expect:
        """What should happen next, or should have happened."""
        return Expect(self)

    @property
    def transcript(self) -> list[Turn]:
        """What was said and heard so far, in all sessions."""
        return [*self._earlier, *self.call.transcript()]

    @property
    def outcome(self) -> RelayOutcome:
        """How the session ended; waits for it, at most a minute of silence."""
        return self._time.run(self._outcome())

    def snapshot(self) -> str:
        """The conversation as text, the same each time: who said what, without times."""
        lines = [f"{turn.who}: {_words(turn)}" for turn in self.transcript]
        if self.call.over:
            handoff = f" {self.call.end.handoff_data}" if self.call.end.handoff_data else ""
            lines.append(f"({self.outcome.status}{handoff})")
        return "\n".join(lines) + "\n"

    # For expectations

    def wait_to(self, holds: Callable[[], bool], *, within_seconds: float) -> bool:
        """Let time pass until `holds()`, at most so long after the last sound of the agent."""
        return self._time.run(self._wait_to(holds, within_seconds))

    def heard_as_expected(self) -> None:
        """What was expected was heard; failures behind it have other causes than what came before."""
        self._heard_ms = self.call.now_ms
        self.expected_so_far()

    def why_unheard(self) -> str:
        """Why the agent did not learn what the caller said since the last time it was heard as expected, if so."""
        return self.call.end.why_unheard(self._heard_ms)

    def expected_so_far(self) -> None:
        """What the agent has begun to say until now is accounted for."""
        self._expected_until = self._begun()

    def more_speech(self) -> list[str]:
        """What the agent has begun to say since."""
        begun = [item.heard or item.sent for item in self.call.end.playback.utterances if item.started_ms is not None]
        return begun[self._expected_until :]

    def settle(self) -> None:
        """Let the agent finish what it is saying."""
        self._time.run(self._ears.wait_for_turn(TURN_TIMEOUT_MS))

    def _begun(self) -> int:
        return sum(item.started_ms is not None for item in self.call.end.playback.utterances)

    async def _wait_to(self, holds: Callable[[], bool], within_seconds: float) -> bool:
        began = self.call.now_ms
        while True:
            self._ears.listen()
            if holds():
                return True
            left = max(began, self._ears.last_agent_sound_ms()) + within_seconds * 1000 - self.call.now_ms
            if left <= 0 or self.call.over:
                return False
            await self.call.next_change(left)

    async def _outcome(self) -> RelayOutcome:
        if not self.call.over:
            await self._ears.wait_for_silence(60_000)
            self.call.hang_up()
        return await self.call.finished()

    async def _reconnect(self) -> None:
        await self.call.finished()
        await self.call.aclose()
        self._earlier = self.transcript
        self.call = self.call.following()
        self._ears = Ears(self.heard, self.call)
        self._expected_until = 0
        await self.call.start()

    async def _pass(self, seconds: float) -> None:
        await self.call.wait_until(lambda: self.call.over, timeout_ms=seconds * 1000)
        await asyncio.sleep(0)
        self._ears.listen()

    def _speak(self, text: str, keys: str) -> Conversation:
        async def act() -> None:
            if await self._ears.wait_for_turn(TURN_TIMEOUT_MS):
                self.heard.react()
                await self._ears.speak(text, keys)

        return self._do(act())

    def _do(self, work: Coroutine[Any, Any, Any]) -> Conversation:
        self._time.run(work)
        self.expected_so_far()
        return self


def _words(turn: Turn) -> str:
    if turn.digits is not None:
        return f"[{turn.digits}]"
    return turn.text if turn.sent is None else f"{turn.text} --"
