"""The fixtures as a plugin author uses them, and what a failing expectation shows."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from studio_relay import hookimpl
from studio_relay.testing import RelayAttributes
from studio_relay.testing.blocking import BlockingHookWarning
from studio_relay.testing.conversation import VirtualTime
from studio_relay.testing.expect import UnexpectedConversation
from studio_relay.testing.pytest_plugin import Caller, NetworkForbidden


@pytest.fixture(params=["instant", "streaming"])
def caller(caller: Caller, request: pytest.FixtureRequest) -> Caller:
    """Every conversation is also had with agents that stream."""
    caller.streaming = request.param == "streaming"
    return caller


class Desk:
    """Answers slowly, sends keys, changes the language, hands over."""

    @hookimpl
    def on_setup(self) -> str:
        return "Hello. How can I help?"

    @hookimpl
    async def on_prompt(self, call: Any, prompt: Any) -> AsyncIterator[str]:
        said = prompt.voice_prompt.lower()
        if "person" in said:
            await call.end({"reasonCode": "person", "version": 1})
        elif "keys" in said:
            call.send_digits("12#")
        elif "svenska" in said:
            call.set_language(tts="sv-SE")
            yield "Hej."
        elif "raise" in said:
            raise RuntimeError("broken by hand")
        else:
            await asyncio.sleep(2)
            yield f"You said: {prompt.voice_prompt} "
            yield "And that is all I have to say about it."


def test_a_conversation(caller: Any) -> None:
    call = caller(Desk())
    call.expect.heard("how can I help")
    call.say("Good morning.").expect.heard("you said: good morning.").heard("that is all").nothing_more()
    call.expect.first_word_within(2432 if caller.streaming else 2417).dead_air_within(3500).no_lessons()
    call.say("Send keys").expect.digits_sent("12#")
    call.say("På svenska").expect.heard("hej").language(tts="sv-SE", transcription="en-US")
    call.say("A person").expect.handoff(reasonCode="person").ended().nothing_after_end()
    call.expect.not_heard("sorry")


def test_a_server_in_process_says_nothing_of_hosts(caller: Any, caplog: pytest.LogCaptureFixture) -> None:
    caller(Desk()).say("Hm.")
    assert "this host" not in caplog.text


def test_talking_over(caller: Any) -> None:
    call = caller(Desk())
    call.say("Hm.").talk_over("Stop", after_words=4)
    agent = [turn for turn in call.transcript if turn.who == "agent"]
    assert (agent[1].text, agent[1].sent) == (
        "You said: Hm. And",
        "You said: Hm. And that is all I have to say about it.",
    )


@pytest.mark.parametrize(
    ("expect", "says"),
    [
        (lambda expect: expect.heard("guten tag"), "expected to hear 'guten tag'"),
        (lambda expect: expect.not_heard("how can"), "expected not to hear 'how can'"),
        (lambda expect: expect.handoff(reasonCode="person"), "the session completed without one"),
        (lambda expect: expect.ended("failed"), "expected the session failed; it completed"),
        (lambda expect: expect.digits_sent("1"), "sent none"),
        (lambda expect: expect.language(tts="sv-SE"), "it is en-US"),
        (lambda expect: expect.first_word_within(100), "waited"),
        (lambda expect: expect.dead_air_within(100), "expected no silence above 100 ms"),
    ],
)
def test_a_failure_shows_the_conversation_and_the_place(
    caller: Any, expect: Callable[[Any], object], says: str
) -> None:
    call = caller(Desk())
    call.say("Good morning.").silence(6)
    with pytest.raises(UnexpectedConversation) as failed:
        expect(call.expect)
    shown = str(failed.value)
    assert says in shown
    assert "0:00.8  agent   Hello. How can I help?" in shown
    assert "caller  Good morning." in shown
    assert shown.count("\n>") == 1


def test_what_is_heard_behind_marks_its_place(caller: Any) -> None:
    call = caller(Desk()).say("Good morning.")
    with pytest.raises(UnexpectedConversation) as failed:
        call.expect.nothing_more()
    assert "> 0:0" in str(failed.value).replace(">  ", "> ")
    assert "you said" in str(failed.value).lower()


def test_minutes_pass_in_no_time(caller: Any) -> None:
    began = time.perf_counter()
    call = caller(Desk())
    call.silence(300)
    assert call.call.now_ms > 300_000
    assert time.perf_counter() - began < 60


def test_a_snapshot_is_written_then_compared(caller: Any, tmp_path: Path) -> None:
    where = tmp_path / "calls" / "desk.txt"
    caller(Desk()).say("A person").expect.handoff().snapshot(where)
    assert where.read_text(encoding="utf-8") == (
        'agent: Hello. How can I help?\ncaller: A person\n(ended {"reasonCode":"person","version":1,"summary":""})\n'
    )
    caller(Desk()).say("A person").expect.handoff().snapshot(where)
    with pytest.raises(UnexpectedConversation, match=r"desk\.txt"):
        caller(Desk()).hang_up().expect.snapshot(where)


def test_a_script_runs_too(caller: Any, tmp_path: Path) -> None:
    done = caller.run(Desk(), "steps:\n  - say: A person\nexpect: {handoff: {reasonCode: person}}")
    assert done.ok, done.to_json()["expectations"]
    (tmp_path / "person.yaml").write_text("steps:\n  - say: A person\n", encoding="utf-8")
    assert caller.run(Desk(), tmp_path / "person.yaml").handoff["reasonCode"] == "person"


def test_an_installed_agent_by_name_and_widget_mode(caller: Any) -> None:
    call = caller("echo", widget=True, welcome_greeting="Hi.")
    call.expect.heard("hi.")
    call.say("Good morning.").expect.heard("good morning")
    assert {line["frame"]["type"] for line in call.call.log if line["dir"] == "in"} == {"setup", "prompt"}


def test_the_relay_fixture_makes_an_app(relay: Any, caller: Any) -> None:
    app = relay(Desk(), apology="Something broke.")
    caller(app).say("Raise!").expect.heard("something broke")


def test_the_network_is_out_of_reach(relay_environment: None) -> None:
    with socket.socket() as reaching, pytest.raises(NetworkForbidden, match=r"203\.0\.113\.1"):
        reaching.connect(("203.0.113.1", 80))


async def test_an_async_test_is_told_to_be_a_plain_one(caller: Any) -> None:
    with pytest.raises(RuntimeError, match="write this test as `def`"):
        caller(Desk())


def half_a_reply(frame: dict[str, Any]) -> list[dict[str, Any]]:
    """A server that is cut off in an open talk cycle, sends what it still had, closes the cycle, and speaks again."""
    token = {"type": "text", "last": False}
    if frame["type"] == "setup":
        return [token | {"token": "One two three four five six "}]
    if frame["type"] == "interrupt":
        rest = [token | {"token": "seven eight"}, token | {"token": "", "last": True}]
        return [*rest, token | {"token": " Good morning.", "last": True}]
    return []


SPOKEN_AFTER_THE_CUT = {
    "joined": ["seven eight Good morning."],
    "apart": ["seven eight", " Good morning."],
    "dropped": [" Good morning."],
}


@pytest.mark.parametrize(("leftovers", "spoken"), SPOKEN_AFTER_THE_CUT.items())
def test_what_becomes_of_words_on_the_wire_can_be_chosen(caller: Any, serve: Any, leftovers: Any, spoken: Any) -> None:
    call = caller(serve(half_a_reply), leftovers=leftovers).talk_over("Stop", after_words=2)
    call.expect.heard("Good morning")
    assert [item.heard for item in call.call.end.playback.utterances] == ["One two", *spoken]


@pytest.mark.parametrize(("leftovers", "spoken"), SPOKEN_AFTER_THE_CUT.items())
def test_in_a_script_too(caller: Any, serve: Any, leftovers: Any, spoken: Any) -> None:
    script = "steps: [{talk_over: {after_words: 2, say: Stop}}, hear: good morning]"
    run = caller.run(serve(half_a_reply), script, leftovers=leftovers)
    assert run.ok
    assert [turn.text for turn in run.transcript if turn.who == "agent"] == ["One two", *(s.strip() for s in spoken)]


class Discloser:
    """Says what nobody may interrupt, then answers."""

    @hookimpl
    def on_setup(self) -> str:
        return "This call is recorded, and what you say may be used to make our service better in every way."

    @hookimpl
    def on_prompt(self, prompt: Any) -> str:
        return f"You said: {prompt.voice_prompt}"


UNREPORTED = 'Twilio did not report {} while the agent was speaking: reportInputDuringAgentSpeech is "none"'


def test_a_failure_that_comes_from_words_over_speech_says_so(caller: Any) -> None:
    call = caller(Discloser(), interruptible="none").talk_over("Hello?", after_words=3)
    with pytest.raises(UnexpectedConversation, match="the agent did not hear the caller") as failed:
        call.expect.heard("you said: hello")
    assert UNREPORTED.format("what the caller said") in str(failed.value)
    call.say("Hello!").expect.heard("you said: hello")
    with pytest.raises(UnexpectedConversation) as other:
        call.expect.heard("good night")
    assert "did not report" not in str(other.value)


def test_a_key_over_speech_too(caller: Any) -> None:
    call = caller(Discloser(), interruptible="none").talk_over(keys="1", after_words=3)
    with pytest.raises(UnexpectedConversation) as failed:
        call.expect.heard("key 1")
    assert UNREPORTED.format("a key that the caller pressed") in str(failed.value)


def test_a_script_says_so_too(caller: Any) -> None:
    steps = "steps: [{talk_over: {after_words: 3, say: 'Hello?'}}, hear: 'you said: hello']"
    run = caller.run(Discloser(), steps, attributes=RelayAttributes.full(interruptible="none"))
    assert UNREPORTED.format("what the caller said") == run.checks[0].hint
    widget = RelayAttributes(mode="widget", interruptible="none")
    run = caller.run(Discloser(), steps, attributes=widget)
    assert "and Studio's widget cannot change that" in run.checks[0].hint


# --- hooks that block ---------------------------------------------------------------------------------------


class Blocks:
    """Sleeps for real until the watch has seen it, or for as long as that may take."""

    def nap(self) -> None:
        time.sleep(1.2)


class BlocksAsync(Blocks):
    @hookimpl
    async def on_prompt(self) -> str:
        self.nap()
        return "Done."


class BlocksPlain(Blocks):
    @hookimpl
    def on_prompt(self) -> str:
        self.nap()
        return "Done."


@pytest.mark.parametrize("streaming", [False, True])
def test_an_async_hook_that_blocks_is_named_with_its_stack(relay_environment: None, streaming: bool) -> None:
    time_ = VirtualTime()
    made = Caller(time_, Path())
    made.streaming = streaming
    with made_and_closed(made):
        made(BlocksAsync()).say("go").expect.heard("Done.")
    with pytest.warns(BlockingHookWarning, match="on_prompt of under-test blocked the event loop") as caught:
        time_.close()
    assert "in nap" in str(caught[0].message)
    assert len(caught) == 1


@pytest.mark.parametrize("streaming", [False, True])
def test_a_plain_hook_may_block(relay_environment: None, streaming: bool) -> None:
    time_ = VirtualTime()
    made = Caller(time_, Path())
    made.streaming = streaming
    with made_and_closed(made):
        made(BlocksPlain()).say("go").expect.heard("Done.")
    time_.close()


@contextmanager
def made_and_closed(made: Caller) -> Iterator[None]:
    try:
        yield
    finally:
        made.close()


def test_a_test_that_takes_its_time_blocks_nobody(caller: Caller) -> None:
    conversation = caller(Desk())
    time.sleep(0.8)
    conversation.say("hello")
