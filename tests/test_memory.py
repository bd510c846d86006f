"""What a call remembers over its sockets: state, transcript, history, how many sessions there were."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from studio_relay import Call, Prompt, Setup, hookimpl
from studio_relay.store import ENDED_SECONDS, LIVE_SECONDS, MemoryStore

pytestmark = pytest.mark.looptime


class Counter:
    """Counts prompts in `call.state`, and notes each session's number and history at its start."""

    def __init__(self) -> None:
        self.starts: list[Any] = []

    @hookimpl
    def on_setup(self, call: Call, setup: Setup) -> None:
        self.starts.append((call.session_number, dict(call.state), call.history()))

    @hookimpl
    async def on_prompt(self, call: Call, prompt: Prompt) -> str:
        call.state["prompts"] = call.state.get("prompts", 0) + 1
        return f"Number {call.state['prompts']}."


class KeepingStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[float] = []

    async def put(self, key: str, value: dict[str, Any], ttl: float) -> None:
        self.kept.append(ttl)
        await super().put(key, value, ttl)


async def test_state_and_history_go_on_over_the_sockets_of_a_call(talk: Any) -> None:
    agent, store = Counter(), MemoryStore()
    first = talk(agent, store=store)
    await first.setup()
    await first.prompt("hello")
    await asyncio.sleep(5)
    await first.close(1006)

    second = talk(agent, store=store)
    await second.setup(sessionId="VX2")
    await second.prompt("again")
    await asyncio.sleep(5)
    assert agent.starts == [
        (1, {}, []),
        (
            2,
            {"prompts": 1},
            [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "Number 1."}],
        ),
    ]
    assert second.words == "Number 2."
    assert [turn.text for turn in second.conversation.call.transcript] == [
        "hello", "Number 1.", "again", "Number 2.",
    ]  # fmt: skip


async def test_another_call_remembers_nothing_of_it(talk: Any) -> None:
    agent, store = Counter(), MemoryStore()
    first = talk(agent, store=store)
    await first.setup()
    await first.prompt("hello")
    await first.close(1006)
    second = talk(agent, store=store)
    await second.setup(callSid="CA2")
    assert agent.starts[1] == (1, {}, [])


async def test_what_is_said_is_kept_before_the_socket_closes(talk: Any) -> None:
    """A machine that is lost in the middle of a call loses nothing that was answered."""
    agent, store = Counter(), MemoryStore()
    first = talk(agent, store=store)
    await first.setup()
    await first.prompt("hello")
    await asyncio.sleep(5)
    second = talk(agent, store=store)
    await second.setup(sessionId="VX2")
    assert agent.starts[1][:2] == (2, {"prompts": 1})


async def test_what_was_said_and_heard_is_kept_at_once_in_case_the_server_dies(talk: Any) -> None:
    store = MemoryStore()
    lost = talk(Counter(), store=store)
    await lost.setup()
    await lost.prompt("hello")
    await asyncio.sleep(1)
    lost.receive({"type": "info", "name": "agentSpeaking", "value": "on"})
    await asyncio.sleep(1)
    lost.receive({"type": "info", "name": "tokensPlayed", "value": "Number 1."})
    await asyncio.sleep(0.2)
    kept = await store.get(lost.conversation.call.call_sid)
    assert kept is not None
    assert [turn["text"] for turn in json.loads(kept["turns"])] == ["hello", "Number 1."]


async def test_what_the_agent_notes_is_kept_as_its_first_word_goes_out(talk: Any) -> None:
    class Streaming(Counter):
        @hookimpl
        async def on_prompt(self, call: Call, prompt: Prompt) -> AsyncIterator[str]:  # type: ignore[override]
            call.state["prompts"] = 1
            yield "Number "
            await asyncio.sleep(5)
            yield "one."

    store = MemoryStore()
    lost = talk(Streaming(), store=store)
    await lost.setup()
    lost.receive({"type": "prompt", "voicePrompt": "hello", "lang": "en-US", "last": True})
    await asyncio.sleep(0.001)
    assert lost.words == "Number "
    kept = await store.get(lost.conversation.call.call_sid)
    assert kept is not None
    assert kept["state"] == {"prompts": 1}


@pytest.mark.parametrize(("code", "seconds"), [(1000, ENDED_SECONDS), (1006, LIVE_SECONDS)])
async def test_a_call_that_may_come_back_is_kept_longer(talk: Any, code: int, seconds: float) -> None:
    store = KeepingStore()
    line = talk(Counter(), store=store)
    await line.setup()
    await line.prompt("hello")
    await asyncio.sleep(5)
    assert set(store.kept) == {LIVE_SECONDS}
    await line.close(code)
    await asyncio.sleep(5)
    assert store.kept[-1] == seconds


async def test_what_on_end_notes_is_kept(talk: Any) -> None:
    class Noting(Counter):
        @hookimpl
        async def on_end(self, call: Call) -> None:
            await asyncio.sleep(1)
            call.state["ended"] = True

    agent, store = Noting(), MemoryStore()
    first = talk(agent, store=store)
    await first.setup()
    await first.close(1006)
    second = talk(agent, store=store)
    await second.setup(sessionId="VX2")
    assert agent.starts[1][1] == {"ended": True}


async def test_a_newer_socket_waits_for_what_the_older_knew_and_is_not_overwritten_by_it(talk: Any) -> None:
    class SlowEnd(Counter):
        @hookimpl
        async def on_end(self) -> None:
            await asyncio.sleep(4)

    agent, store = SlowEnd(), MemoryStore()
    first, second = talk(agent, store=store), talk(agent, store=store)
    await first.setup()
    await first.prompt("hello")
    second.conversation.follow(first.conversation)
    second.receive(
        {"type": "setup", "callSid": first.conversation.call.call_sid, "sessionId": "VX2"}
        | {"accountSid": "AC1", "from": "a", "to": "b"}
    )
    await asyncio.sleep(1)
    assert len(agent.starts) == 1
    closing = asyncio.get_running_loop().create_task(first.close(1006))
    await second.settle()
    assert agent.starts[1][:2] == (2, {"prompts": 1})
    await second.prompt("again")
    await closing

    third = talk(agent, store=store)
    await third.setup(sessionId="VX3")
    assert agent.starts[2][:2] == (3, {"prompts": 2})
    for line in (second, third):
        await line.close()


async def test_a_newer_socket_does_not_wait_for_ever(talk: Any) -> None:
    agent, store = Counter(), MemoryStore()
    first, second = talk(agent, store=store), talk(agent, store=store)
    await first.setup()
    second.conversation.follow(first.conversation)
    await second.setup(sessionId="VX2")
    await asyncio.sleep(3.1)
    assert len(agent.starts) == 2


async def test_limits_count_over_the_sockets_of_a_call(talk: Any) -> None:
    agent, store = Counter(), MemoryStore()
    first = talk(agent, store=store, max_turns=2)
    await first.setup()
    await first.prompt("one")
    await first.prompt("two")
    await first.close(1006)
    second = talk(agent, store=store, max_turns=2)
    await second.setup(sessionId="VX2")
    await second.prompt("three")
    await asyncio.sleep(10)
    assert [end["reasonCode"] for end in second.ends] == ["relay-limit"]


async def test_keys_that_are_secret_are_not_kept(talk: Any) -> None:
    class Pin:
        @hookimpl
        async def on_prompt(self, call: Call) -> AsyncIterator[str]:
            yield "Your PIN?"
            pin = await call.collect_digits(max_digits=4, secret=True)
            yield "Thanks." if pin == "9876" else "Wrong."

    store = MemoryStore()
    line = talk(Pin(), store=store)
    await line.setup()
    await line.prompt("pay")
    await line.press("9876")
    assert line.words.endswith("Thanks.")
    await line.close()
    kept = await store.get("CA00000000000000000000000000000001")
    assert kept is not None
    assert "9876" not in str(kept)
    assert "98" not in str(line.conversation.call.history())


async def test_a_session_that_wakes_up_late_does_not_undo_what_a_later_one_kept(talk: Any) -> None:
    agent, store = Counter(), MemoryStore()
    hung = talk(agent, store=store)
    await hung.setup()
    await hung.prompt("hello")
    await asyncio.sleep(5)
    later = talk(agent, store=store)
    await later.setup(sessionId="VX2")
    await later.prompt("again")
    await asyncio.sleep(5)
    await hung.close(1006)
    third = talk(agent, store=store)
    await third.setup(sessionId="VX3")
    assert agent.starts[-1][:2] == (3, {"prompts": 2})


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"sessions": "7"},
        {"sessions": -1},
        {"sessions": 1.5},
        {"began_at": "yesterday"},
        {"began_at": 1e300},
        {"began_at": -1},
        {"turns": []},
        {"turns": '[{"who": "caller", "text": 5}]'},
        {"state": "text"},
        {"state": None},
        {"agent": 1},
    ],
)
async def test_what_something_else_wrote_is_put_right_and_the_call_answered(
    talk: Any, value: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    right = {"agent": "agent", "sessions": 7, "began_at": 1_000_000, "turns": "[]", "state": {}}
    agent, store = Counter(), MemoryStore()
    await store.put("CA00000000000000000000000000000001", right | value if value else {}, 100)
    line = talk(agent, store=store)
    await line.setup()
    await line.prompt("hello")
    assert line.words == "Number 1."
    assert "the call starts without its history: the entry is none of ours" in caplog.text
    await line.close(1006)
    after = talk(agent, store=store)
    await after.setup(sessionId="VX2")
    assert agent.starts[-1][:2] == (2, {"prompts": 1})
