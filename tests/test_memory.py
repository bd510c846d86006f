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
    assert json.loads(kept["state"]) == {"prompts": 1}


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


# --- call.state ---------------------------------------------------------------------------------------------


class Noting:
    """Puts what the caller says, as many times as its state has room for, into `call.state`."""

    def __init__(self, note: Any) -> None:
        self.note = note

    @hookimpl
    async def on_prompt(self, call: Call, prompt: Prompt) -> str:
        self.note(call, prompt.voice_prompt)
        return "Fine."


async def kept_state(line: Any, store: MemoryStore) -> Any:
    await asyncio.sleep(1)
    kept = await store.get(line.conversation.call.call_sid)
    assert kept is not None
    return json.loads(kept["state"])


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


async def test_a_state_that_is_too_large_is_named_once_and_the_last_that_fitted_is_kept(
    talk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    line = talk(
        Noting(lambda call, size: call.state.update(note="\u00e9" * int(size))), store=store, max_state_bytes=256
    )
    await line.setup()
    await line.prompt("122")  # {"note":""} and two bytes for each letter
    assert await kept_state(line, store) == {"note": "\u00e9" * 122}
    for size in ("123", "5000", "123"):
        await line.prompt(size)
        assert await kept_state(line, store) == {"note": "\u00e9" * 122}
    [error] = errors(caplog)
    assert error.startswith("plugin agent: call.state: expected at most 256 bytes of JSON, got 257. ")
    assert line.cycles[-1] == "Fine."
    await line.prompt("3")
    assert await kept_state(line, store) == {"note": "\u00e9" * 3}
    kept = await store.get(line.conversation.call.call_sid)
    assert kept is not None
    assert "3" in kept["turns"]


async def test_the_state_may_be_64_kib(talk: Any, caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    line = talk(Noting(lambda call, size: call.state.update(note="x" * int(size))), store=store)
    await line.setup()
    await line.prompt(str(65_536 - len('{"note":""}')))
    assert len((await kept_state(line, store))["note"]) == 65_525
    await line.prompt("65526")
    await asyncio.sleep(1)
    assert len(errors(caplog)) == 1


@pytest.mark.parametrize(
    ("value", "named"),
    [({1: 2}, "a key of type int at call.state.note"), (float("nan"), "not a finite number"), (object(), "object at")],
)
async def test_a_state_that_is_no_json_costs_nothing_else(talk: Any, value: Any, named: str, caplog: Any) -> None:
    store = MemoryStore()
    line = talk(Noting(lambda call, said: call.state.update(note=value if said == "bad" else said)), store=store)
    await line.setup()
    await line.prompt("good")
    await line.prompt("bad")
    await line.prompt("bad")
    assert await kept_state(line, store) == {"note": "good"}
    [error] = errors(caplog)
    assert named in error
    kept = await store.get(line.conversation.call.call_sid)
    assert kept is not None
    assert [turn["text"] for turn in json.loads(kept["turns"]) if turn["who"] == "caller"] == ["good", "bad", "bad"]


async def test_a_state_that_did_not_change_is_not_encoded_again(talk: Any, monkeypatch: Any) -> None:
    from studio_relay import call_state

    encoded = []

    def counted(value: Any, path: str) -> str:
        encoded.append(json.dumps(value))
        return json.dumps(value)

    monkeypatch.setattr(call_state, "dumped", counted)
    line = talk(Noting(lambda call, said: call.state.update(note=said == "yes" or 1)))
    await line.setup()
    for said in ("no", "no", "yes", "yes"):
        await line.prompt(said)
        await asyncio.sleep(5)
    assert encoded == ["{}", '{"note": 1}', '{"note": true}'][-len(encoded) :]
    assert encoded.count('{"note": true}') == encoded.count('{"note": 1}') == 1


async def test_what_an_earlier_version_has_kept_is_read(talk: Any) -> None:
    store, agent = MemoryStore(), Counter()
    old = {"agent": "agent", "sessions": 1, "began_at": 1.0, "turns": "[]", "state": {"prompts": 4}}
    await store.put("CA00000000000000000000000000000001", old, 100)
    line = talk(agent, store=store)
    await line.setup()
    assert agent.starts == [(2, {"prompts": 4}, [])]


# --- after a loss -------------------------------------------------------------------------------------------

START_AGAIN = "I'm sorry, we were cut off. Please tell me again what you need."


async def test_a_reconnect_that_finds_no_memory_says_one_sentence(talk: Any) -> None:
    seen = []

    class Agent(Counter):
        @hookimpl
        def on_setup(self, call: Call, setup: Setup) -> None:
            super().on_setup(call, setup)
            seen.append((dict(call.parameters), dict(setup.custom_parameters), setup.raw["customParameters"]))

    agent = Agent()
    line = talk(agent)
    await line.setup(customParameters={"relay-earlier-sessions": "2", "tier": "gold"})
    assert line.cycles == [START_AGAIN]
    assert agent.starts == [(3, {}, [{"role": "assistant", "content": START_AGAIN}])]
    assert seen == [({"tier": "gold"}, {"tier": "gold"}, {"tier": "gold"})]


@pytest.mark.parametrize("said", ["", "0", "one", "-1", "1e9", "\u0661"])
async def test_other_parameters_of_that_name_mean_nothing(talk: Any, said: str) -> None:
    agent = Counter()
    line = talk(agent)
    await line.setup(customParameters={"relay-earlier-sessions": said})
    assert (line.cycles, agent.starts) == ([], [(1, {}, [])])


async def test_a_reconnect_that_finds_its_memory_says_nothing(talk: Any) -> None:
    agent, store = Counter(), MemoryStore()
    first = talk(agent, store=store)
    await first.setup()
    await first.prompt("hello")
    await first.close(1006)
    second = talk(agent, store=store)
    await second.setup(sessionId="VX2", customParameters={"relay-earlier-sessions": "1"})
    assert second.cycles == []
    assert agent.starts[1][0] == 2


async def test_the_sentence_may_be_set_by_language(talk: Any) -> None:
    line = talk(Counter(), start_agains={"es": "Dígame."})
    await line.setup(customParameters={"relay-earlier-sessions": "1", "language": "es-MX"})
    assert line.cycles == ["Dígame."]


class BrokenStore(MemoryStore):
    """Locked, or full, or both."""

    def __init__(self, *broken: str) -> None:
        super().__init__()
        self.broken = broken

    async def get(self, key: str) -> Any:
        if "get" in self.broken:
            await asyncio.sleep(1_000)
        return await super().get(key)

    async def put(self, key: str, value: dict[str, Any], ttl: float) -> None:
        if "put" in self.broken:
            raise OSError("no space left")
        await super().put(key, value, ttl)


@pytest.mark.parametrize("broken", [("get",), ("put",), ("get", "put")])
@pytest.mark.parametrize("overlap", [False, True])
async def test_a_session_that_follows_in_the_same_process_needs_no_store(
    talk: Any, broken: tuple[str, ...], overlap: bool
) -> None:
    agent, store = Counter(), BrokenStore(*broken)
    first = talk(agent, store=store)
    await first.setup()
    await asyncio.sleep(3)
    await first.prompt("hello")
    await asyncio.sleep(5)
    second = talk(agent, desk=first.conversation._desk)
    if overlap:
        second.conversation.follow(first.conversation)
        await asyncio.gather(first.close(1006), second.setup(sessionId="VX2"))
    else:
        await first.close(1006)
        await second.setup(sessionId="VX2", customParameters={"relay-earlier-sessions": "1"})
    await asyncio.sleep(10)
    assert agent.starts[1][:2] == (2, {"prompts": 1})
    assert agent.starts[1][2][0] == {"role": "user", "content": "hello"}
    assert second.cycles == []


async def test_what_the_store_has_taken_is_held_nowhere_else(talk: Any) -> None:
    store = BrokenStore("put")
    line = talk(Counter(), store=store)
    await line.setup()
    await line.prompt("hello")
    await asyncio.sleep(5)
    memories = line.conversation._desk.memories
    assert len(memories._untaken) == 1
    store.broken = ()
    await line.prompt("again")
    await asyncio.sleep(5)
    assert not memories._untaken


# --- on_end never comes without on_setup ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["async def", "def", "generator"])
@pytest.mark.parametrize("cut", ["interrupt", "close", "end of the limit", "interrupt and close"])
async def test_on_end_is_never_called_without_on_setup(make_talk: Any, kind: str, cut: str) -> None:
    order: list[str] = []

    class Ending:
        @hookimpl
        def on_end(self) -> None:
            order.append("on_end")

    class Async(Ending):
        @hookimpl
        async def on_setup(self) -> None:
            order.append("on_setup")
            await asyncio.sleep(100)

    class Plain(Ending):
        @hookimpl
        def on_setup(self) -> None:
            order.append("on_setup")

    class Generator(Ending):
        @hookimpl
        async def on_setup(self) -> AsyncIterator[str]:
            order.append("on_setup")
            yield "Welcome."
            await asyncio.sleep(100)

    line = make_talk({"async def": Async, "def": Plain, "generator": Generator}[kind]())
    conversation = line.conversation
    line.receive({
        "type": "setup", "sessionId": "VX1", "callSid": "CA1", "accountSid": "AC1", "from": "+15550100001",
        "to": "+15550100002", "direction": "inbound", "customParameters": {},
    })  # fmt: skip
    while conversation._floor.opening is None:  # noqa: ASYNC110
        await asyncio.sleep(0)
    if "interrupt" in cut:
        line.receive({"type": "interrupt", "utteranceUntilInterrupt": "", "durationUntilInterruptMs": "0"})
    if cut == "end of the limit":
        conversation._hit_limit()
    if cut == "interrupt":
        await asyncio.sleep(1)
    await line.close(1006)
    line.stop()
    assert order == ["on_setup", "on_end"]
