"""Random calls to an agent that streams: what its history says at each prompt, against what the caller had heard.

The truth comes from the simulated Twilio, which knows of each frame how much of it was heard and when. The agent is
asked what it believes at the moment its hook begins. Two answers in a row never begin with the same words: a reply
that was cut before it sounded cannot be told from one that says it again. One seed is one call: the reading of
leftovers, the line's delays, the voice's pace, the agent's texts and token rate, and what the caller does.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, Literal, get_args

from studio_relay import Call, Dtmf, Prompt, hookimpl
from studio_relay.testing.asgi import AsgiTransport
from studio_relay.testing.attributes import RelayAttributes
from studio_relay.testing.clock import run_virtual
from studio_relay.testing.hearing import Ears, Heard
from studio_relay.testing.identity import Identity, make_sid
from studio_relay.testing.playback import Leftovers
from studio_relay.testing.pytest_plugin import AUTH_TOKEN, SOCKET_URL, make_app
from studio_relay.testing.twilio import SimulatedCall

Mode = Literal["full", "widget"]
READINGS: tuple[Leftovers, ...] = get_args(Leftovers)

SENTENCES = (
    "Your parcel left the depot this morning and will be with you before noon.",
    "Yes.",
    "No, no, no.",
    "Well, let me see: there are three ways to do it.",
    "The first is quick, the second is cheap, and the third is neither.",
    "I am sorry about that, it was promised for Tuesday.",
    "Our office is open from nine to five, and on Saturday from ten to two.",
    "Which color would you like?",
    "That comes to 42.50 in all.",
    "Is that all right?",
    "Please hold on while I look it up.",
    "The number you gave me ends in seven, seven, seven.",
    "We can send it again, we can refund it, or we can wait.",
)
UTTERANCES = (
    "stop",
    "stop it",
    "no",
    "No. A person, please.",
    "hello",
    "Wait, I meant the other one, the one from Tuesday.",
    "And what about the parcel that I sent back last week, has it arrived yet?",
)
MOST_SILENCE_MS = 6_000
"""So long after the last sound a caller whose words were lost may wait to be asked for them."""


@dataclass
class Belief:
    """What the agent believed when a hook of its began, by the number of the last frame it knew of."""

    prompt: str
    frame: int
    agent: list[str]
    caller: list[str]


@dataclass
class Streamer:
    """Answers everything at some length, a token every `pace` seconds, and notes what it believes first."""

    draw: random.Random
    pace: float
    beliefs: list[Belief] = field(default_factory=list)
    last: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    keys: int = 0

    @hookimpl
    async def on_setup(self, call: Call) -> AsyncIterator[str]:
        async for piece in self._speak():
            yield piece

    @hookimpl
    async def on_prompt(self, call: Call, prompt: Prompt) -> AsyncIterator[str]:
        history = call.history()
        self.beliefs.append(
            Belief(
                prompt=prompt.voice_prompt,
                frame=call._line.session.number,  # type: ignore[attr-defined]
                agent=[message["content"] for message in history if message["role"] == "assistant"],
                caller=[message["content"] for message in history if message["role"] == "user"],
            )
        )
        async for piece in self._speak():
            yield piece

    @hookimpl
    async def on_dtmf(self, dtmf: Dtmf) -> AsyncIterator[str]:
        self.keys += 1
        yield f"Key {self.keys} is {dtmf.digit}. "
        async for piece in self._speak():
            yield piece

    @hookimpl
    def on_end(self, call: Call) -> None:
        self.last = [turn.text for turn in call.transcript if turn.who == "agent" and turn.text.strip()]
        self.said = [turn.text for turn in call.transcript if turn.who == "caller"]

    async def _speak(self) -> AsyncIterator[str]:
        first = self.draw.choice([sentence for sentence in SENTENCES if sentence not in self.before])
        self.before = [first, *self.draw.choices(SENTENCES, k=self.draw.randint(0, 5))]
        text = " ".join(self.before)
        parts = r"\s*\S{1,4}" if self.draw.random() < 0.4 else r"\S+\s*"
        await asyncio.sleep(self.draw.choice([0.0, 0.3, 0.9]))
        for piece in re.findall(parts, text):
            yield piece
            await asyncio.sleep(self.pace * self.draw.uniform(0.7, 1.3))


@dataclass
class Caller:
    """Says what the seed decides, each thing in words of its own; notes which of it was to interrupt."""

    draw: random.Random
    call: SimulatedCall
    keys: bool
    interrupting: list[str] = field(default_factory=list)
    waits: list[int] = field(default_factory=list)  # for an answer to them, from the last sound before it
    said: int = 0

    async def act(self) -> None:
        """A few turns, then silence until the agent has nothing more to say, then hang up."""
        ears = Ears(Heard(), self.call)
        for _ in range(self.draw.randint(3, 7)):
            await self._turn(ears)
        await ears.wait_for_turn(MOST_SILENCE_MS)
        await self.call.silence(MOST_SILENCE_MS / 1000)
        await ears.wait_for_silence(1_000)
        self.call.hang_up()

    async def _turn(self, ears: Ears) -> None:
        step = self.draw.choice(["say", "over", "over", "over", "key", "both"])
        if step == "say" or (step == "key" and not self.keys):
            if await ears.wait_for_turn(10_000):
                await ears.speak(self._words(), "")
            return
        over, began = await self._reached(), self.call.now_ms
        if step == "key" or (step == "both" and self.keys):
            await self.call.press(self.draw.choice("123"))
        if step != "key":
            words = self._words()
            if over and self.call.end.playback.interruptible_by("speech"):
                self.interrupting.append(words)
            self.call.say(words)
        await ears.until_said()
        if step != "key" and self.draw.random() < 0.6:
            await self._wait_for_an_answer(began)
        else:
            await self.call.silence(self.draw.uniform(0, 0.6))

    async def _wait_for_an_answer(self, began: int) -> None:
        """Be patient: so long nobody waits who was not heard, but it shows how long it takes."""
        ceased = self.call.now_ms
        await self.call.wait_until(lambda: self._answered(began), timeout_ms=60_000)
        quiet_since = max([ceased, *(end for _, end in leftovers(self.call) if end > ceased)])
        self.waits.append(self.call.now_ms - quiet_since)

    def _answered(self, since_ms: int) -> bool:
        """Whether the agent has begun to say something since that the caller did not cut."""
        spoken = (item for item in self.call.end.playback.utterances if not (item.leftover or item.cut))
        return any(item.started_ms is not None and item.started_ms > since_ms for item in spoken)

    async def _reached(self) -> bool:
        """Wait for a moment in the agent's speech: a word of it, or no word at all."""
        playback = self.call.end.playback
        await self.call.wait_until(lambda: playback.speaking, timeout_ms=10_000)
        await self.call.silence(self.draw.choice([0.0, 0.05, 0.4, 1.0, 2.0, 4.0]) * self.draw.uniform(0.5, 1.5))
        return playback.speaking

    def _words(self) -> str:
        self.said += 1
        return f"{self.draw.choice(UTTERANCES)}{self.said}"


@dataclass
class StreamedCall:
    """What came of one call. Texts of the truth are by talk cycle, without white space."""

    seed: int
    mode: Mode
    reading: Leftovers
    agent: Streamer
    caller: Caller
    call: SimulatedCall

    @property
    def problems(self) -> list[str]:
        """What went wrong. Histories are compared in full mode alone; in widget mode `words` judges them."""
        if self.mode == "widget":
            return []
        found = []
        for belief in self.agent.beliefs:
            at_ms = self._frames[belief.frame - 1]
            # What a key has cut is reported a millisecond later.
            heard, just_before = ([text for text in self.heard(at) if text] for at in (at_ms, at_ms - 1))
            believed = ["".join(text.split()) for text in belief.agent]
            if believed not in (heard, just_before):
                found.append(f"at {belief.prompt!r} the history has {believed}, heard was {heard}")
        return [*found, *self.lost]

    @property
    def lost(self) -> list[str]:
        """Words that interrupted and stand in no history: not even as words that newer ones replaced."""
        known = {words for belief in self.agent.beliefs for words in (belief.prompt, *belief.caller)}
        known |= set(self.agent.said)
        return [f"{words!r} interrupted and was lost" for words in self.caller.interrupting if words not in known]

    @property
    def silences(self) -> list[str]:
        """Waits for an answer that were too long for anybody to bear."""
        return [f"{wait} ms of silence" for wait in self.caller.waits if wait > MOST_SILENCE_MS]

    @property
    def words(self) -> tuple[int, int]:
        """How many words the transcript lacks or adds, and how many were heard, over the whole call."""
        wrong = total = 0
        truth = [" ".join(text) for text in self._heard_words(None)]
        ours, theirs = " ".join(self.agent.last).split(), " ".join(truth).split()
        matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
        same = sum(block.size for block in matcher.get_matching_blocks())
        wrong += len(ours) + len(theirs) - 2 * same
        total += len(theirs)
        return wrong, total

    def heard(self, until_ms: int | None) -> list[str]:
        """What the caller had heard of each talk cycle by then."""
        return ["".join(" ".join(words).split()) for words in self._heard_words(until_ms)]

    def _heard_words(self, until_ms: int | None) -> Iterator[list[str]]:
        heard = self.call.end.playback.heard_by_frame(until_ms)
        for cycle in self._cycles():
            text, gap = "", False
            for number in cycle:
                part = heard.get(number, "")
                text += f" {part}" if part and gap else part
                gap = not part
            yield text.split()

    def _cycles(self) -> Iterator[list[int]]:
        """The numbers of the frames of each talk cycle that held a word."""
        cycle: list[int] = []
        frames = [line["frame"] for line in self.call.log if line["dir"] == "out" and "frame" in line]
        texts = [frame for frame in frames if frame["type"] == "text"]
        spoken = ""
        for number, frame in enumerate(texts):
            cycle.append(number)
            spoken += frame["token"]
            if frame.get("last"):
                if spoken.strip():
                    yield cycle
                cycle, spoken = [], ""
        if spoken.strip():
            yield cycle

    @property
    def _told(self) -> list[tuple[int, dict[str, Any]]]:
        return [(line["ms"], line["frame"]) for line in self.call.log if line["dir"] == "in" and "frame" in line]

    @property
    def _frames(self) -> list[int]:
        """When Twilio sent each frame, by its own clock."""
        zero = self.call.setup_ms or 0
        return [ms + zero for ms, _ in self._told]


def leftovers(call: SimulatedCall) -> list[tuple[int, int]]:
    """When leftovers of cut replies began to sound, and when they ceased."""
    return [
        (item.started_ms, item.heard_log[-1][0])
        for item in call.end.playback.utterances
        if item.leftover and item.started_ms is not None and item.heard_log
    ]


def play(seed: int, mode: Mode, *, agent: Any = None) -> StreamedCall:
    """Make the call of this seed on virtual time."""
    draw = random.Random(f"streamed {mode} {seed}")
    reading = READINGS[seed % len(READINGS)]
    streamer = Streamer(draw=random.Random(draw.random()), pace=draw.uniform(0.01, 0.1))
    attributes = RelayAttributes.full() if mode == "full" else RelayAttributes(mode="widget")

    async def main() -> StreamedCall:
        async with AsgiTransport(make_app(streamer)) as transport:
            call = SimulatedCall(
                transport,
                SOCKET_URL,
                attributes=attributes,
                identity=Identity.fresh(seed),
                session_id=make_sid("VX", seed),
                auth_token=AUTH_TOKEN,
                leftovers=reading,
            )
            await call.start()
            caller = Caller(draw, call, keys=mode == "full")
            await caller.act()
            await call.finished()
            await call.aclose()
        assert transport.failures == []
        return StreamedCall(seed, mode, reading, streamer, caller, call)

    return run_virtual(main())


def wrong_words(calls: Sequence[StreamedCall]) -> tuple[int, int]:
    """How many words the transcripts of these calls lack or add, and how many were heard."""
    counts = [call.words for call in calls]
    return sum(wrong for wrong, _ in counts), sum(heard for _, heard in counts)
