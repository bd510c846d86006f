"""Random calls from a seed: whatever a caller and an agent do, the rules of a session hold and nothing is left."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from studio_relay import Call, CallEnded, Dtmf, LocalProtocolError, Prompt, Setup, hookimpl
from studio_relay.testing.clock import run_virtual

# The prompts that were being answered when the caller barged in, and how many frames had gone out.
Cut = tuple[set[str], int]
CALLS = 150
EVENTS = 40


class Wild:
    """Answers in a way that the seed decides; plain streams mark each piece with the number of their prompt."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.setups = 0
        self.answered: list[str] = []
        self.ends: list[Any] = []
        self.background: set[asyncio.Task[None]] = set()

    @hookimpl
    async def on_setup(self, call: Call, setup: Setup) -> Any:
        self.setups += 1
        return await self._answer(call, "s")

    @hookimpl
    async def on_prompt(self, call: Call, prompt: Prompt) -> Any:
        self.answered.append(prompt.voice_prompt)
        return await self._answer(call, prompt.voice_prompt)

    @hookimpl
    async def on_dtmf(self, call: Call, dtmf: Dtmf) -> Any:
        return await self._answer(call, "d") if self.chance.random() < 0.5 else None

    @hookimpl
    async def on_end(self, end: Any) -> None:
        await self._pause()
        self.ends.append(end)

    async def _pause(self) -> None:
        await asyncio.sleep(self.chance.choice([0, 0, 0.001, 0.3, 2]))

    async def _answer(self, call: Call, mark: str) -> Any:
        await self._pause()
        kind = self.chance.choice(["text", "stream", "stream", "stream", "ask", "digits", "spoken", "say", "later"] * 3
                                  + ["end", "raise", "hang", "stubborn", "number", "both"])  # fmt: skip
        match kind:
            case "text":
                return f"<{mark}>word"
            case "stream":
                return self._stream(mark)
            case "ask":
                return f"w {(await call.ask('w question?', timeout=3)) is not None}"
            case "digits":
                return f"w {(await call.collect_digits(max_digits=3, timeout=2)) is not None}"
            case "both":
                await asyncio.gather(call.ask("w both?", timeout=3), call.collect_digits(max_digits=2, timeout=2))
            case "spoken":
                call.say("w spoken")
                await call.spoken(timeout=5)
            case "say":
                call.say("w said")
            case "later":
                self.background.add(asyncio.get_running_loop().create_task(self._later(call)))
            case "end":
                await call.end({"reasonCode": "done"})
            case "raise":
                raise ValueError
            case "hang":
                await asyncio.Event().wait()
            case "stubborn":
                try:
                    await asyncio.sleep(30)
                except asyncio.CancelledError:
                    await asyncio.sleep(3)
                return "stubborn"
            case "number":
                return 7
        return None

    async def _stream(self, mark: str) -> AsyncIterator[str]:
        for _ in range(self.chance.randrange(1, 60)):
            yield f"<{mark}>"
            if self.chance.random() < 0.3:
                await self._pause()

    async def _later(self, call: Call) -> None:
        await self._pause()
        try:
            call.say("w later")
            await call.spoken(timeout=3)
        except CallEnded:
            pass


class Loud:
    @hookimpl
    async def wrap_reply(self, reply: AsyncIterator[str]) -> AsyncIterator[str]:
        async for piece in reply:
            await asyncio.sleep(0)
            yield piece


def an_event(chance: random.Random, number: int) -> dict[str, Any] | str:
    return chance.choice([
        {"type": "prompt", "voicePrompt": str(number), "last": True},
        {"type": "prompt", "voicePrompt": str(number), "last": True},
        {"type": "prompt", "voicePrompt": "par", "last": False},
        {"type": "dtmf", "digit": chance.choice("123#")},
        {"type": "interrupt", "utteranceUntilInterrupt": "w", "durationUntilInterruptMs": "10"},
        {"type": "info", "name": "agentSpeaking", "value": chance.choice(["on", "off"])},
        {"type": "error", "description": "64107"},
        {"type": "novelty"},
        "junk",
    ])  # fmt: skip


async def a_call(talk: Callable[..., Any], chance: random.Random) -> tuple[Wild, Any, list[Cut]]:
    agent = Wild(chance)
    line = talk(agent, *([Loud()] if chance.random() < 0.5 else []))
    await line.setup()
    cuts: list[Cut] = []
    last_key = -1.0
    for number in range(EVENTS):
        event = an_event(chance, number)
        now = asyncio.get_running_loop().time()
        line.receive(event)
        if isinstance(event, dict):
            last_key = now if event["type"] == "dtmf" else last_key
            if event["type"] == "interrupt" and now - last_key > 0.25:
                cuts.append((set(agent.answered), len(line.frames)))
        line.reading = chance.random() < 0.95
        line.wake()
        await asyncio.sleep(chance.choice([0, 0, 0.001, 0.1, 1, 4]))
    line.reading = True
    line.wake()
    async with asyncio.timeout(30):
        await line.close(chance.choice([1000, 1006]))
    return agent, line, cuts


def check(agent: Wild, line: Any, cuts: list[Cut]) -> None:
    kinds = [frame["type"] for frame in line.frames]
    assert kinds.count("end") <= 1
    assert "end" not in kinds[:-1], "something went out behind the end"
    assert agent.setups == 1
    assert len(agent.ends) == 1
    for answered, sent in cuts:
        for frame in line.frames[sent:]:
            mark = frame.get("token", "").partition("<")[2].partition(">")[0]
            assert mark not in answered, f"{frame} was cut by the caller before"


@pytest.mark.parametrize("seed", range(CALLS))
def test_a_random_call(seed: int, make_talk: Callable[..., Any]) -> None:
    faults: list[Any] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
        agent, line, cuts = await a_call(make_talk, random.Random(seed))
        line.stop()
        await asyncio.sleep(100)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        check(agent, line, cuts)
        with pytest.raises(LocalProtocolError):
            line.conversation.call.say("too late")

    run_virtual(main())
    assert faults == []
