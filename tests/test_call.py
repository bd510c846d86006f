"""The handle a plugin holds: what it knows, and what it makes of a transcript."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from studio_relay import Call, CallEnded, LocalProtocolError, Prompt, Setup, hookimpl
from studio_relay.protocol.transcript import Turn

pytestmark = pytest.mark.looptime


class Quiet:
    @hookimpl
    def on_prompt(self) -> None: ...


async def live_call(talk: Any, agent: Any = None, **options: Any) -> tuple[Any, Call]:
    line = talk(agent or Quiet(), **options)
    await line.setup(customParameters={"tier": "gold", "language": "es-MX"})
    return line, line.conversation.call


async def test_what_a_call_knows(talk: Any) -> None:
    _, call = await live_call(talk)
    assert (call.from_, call.to, call.direction, call.dialect) == ("+15550100001", "+15550100002", "inbound", "twilio")
    assert (call.agent, call.session_number, call.language) == ("agent", 1, "es-MX")
    assert call.call_sid.startswith("CA")
    assert call.session_id.startswith("VX")
    assert call.account_sid.startswith("AC")
    assert call.parameters["tier"] == "gold"
    assert call.state == {}
    assert list(call.transcript) == []


async def test_its_name_in_a_log_holds_no_number(talk: Any) -> None:
    _, call = await live_call(talk)
    assert "555" not in repr(call)
    assert call.call_sid in repr(call)


async def test_what_can_be_sent(talk: Any) -> None:
    line, call = await live_call(talk)
    call.say("Hola.", lang="es-MX", interruptible=False)
    call.play("https://example.com/a.wav", loop=2, preemptible=True)
    call.send_digits("1w#")
    call.set_language(tts="fr-FR", transcription="fr-FR")
    await line.settle()
    assert line.frames == [
        {"type": "text", "token": "Hola.", "last": True, "lang": "es-MX", "interruptible": False},
        {"type": "play", "source": "https://example.com/a.wav", "loop": 2, "preemptible": True},
        {"type": "sendDigits", "digits": "1w#"},
        {"type": "language", "ttsLanguage": "fr-FR", "transcriptionLanguage": "fr-FR"},
    ]
    assert call.language == "fr-FR"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda call: call.say(5),
        lambda call: call.play("not a url"),
        lambda call: call.play("https://example.com/a.wav", loop=-1),
        lambda call: call.send_digits("12a"),
        lambda call: call.set_language(),
        lambda call: call.send_raw({"type": "novelty"}),
    ],
)
async def test_what_the_protocol_does_not_allow_is_refused_and_not_sent(talk: Any, wrong: Any) -> None:
    line, call = await live_call(talk)
    with pytest.raises(LocalProtocolError):
        wrong(call)
    await line.settle()
    assert line.frames == []
    assert call.language == "es-MX"
    call.say("Still here.")
    await line.settle()
    assert line.words == "Still here."


async def test_raw_messages_where_they_are_allowed(talk: Any) -> None:
    line, call = await live_call(talk, allow_raw_messages=True)
    call.send_raw({"type": "novelty", "value": 5})
    await line.settle()
    assert line.frames == [{"type": "novelty", "value": 5}]


async def test_nothing_can_be_done_with_a_call_whose_socket_is_gone(talk: Any) -> None:
    line, call = await live_call(talk)
    await line.close(1006)
    for action in (lambda: call.say("x"), lambda: call.send_digits("1"), lambda: call.play("https://example.com/a")):
        with pytest.raises(CallEnded):
            action()
    async with asyncio.timeout(5):
        assert await call.spoken() is False
        assert await call.collect_digits(max_digits=1) is None
        await call.end()
        with pytest.raises(CallEnded):
            await call.ask("Hello?")
    assert line.frames == []


async def test_spoken_is_true_once_the_words_were_played(talk: Any) -> None:
    line, call = await live_call(talk)
    call.say("x" * 100)
    began = asyncio.get_running_loop().time()
    assert await call.spoken() is True
    assert asyncio.get_running_loop().time() - began == pytest.approx(0.6 + 6.5, abs=0.1)
    assert line.words


async def test_spoken_is_false_when_time_is_up_or_the_caller_cuts(talk: Any) -> None:
    line, call = await live_call(talk)
    call.say("x" * 100)
    assert await call.spoken(timeout=1) is False
    waiting = asyncio.get_running_loop().create_task(call.spoken())
    await asyncio.sleep(1)
    await line.interrupt("xx")
    assert await waiting is False


async def test_the_history_is_what_was_heard(talk: Any) -> None:
    class Agent:
        @hookimpl
        def on_setup(self, setup: Setup) -> str:
            return "Welcome to the shop."

        @hookimpl
        async def on_prompt(self, prompt: Prompt) -> AsyncIterator[str]:
            yield "We open at nine in the morning and close at five in the afternoon."

    line, call = await live_call(talk, Agent())
    await asyncio.sleep(5)
    await line.prompt("when do you open")
    await asyncio.sleep(1.5)
    await line.interrupt("We open at nine")
    await line.press("12")
    assert call.history() == [
        {"role": "assistant", "content": "Welcome to the shop."},
        {"role": "user", "content": "when do you open"},
        {"role": "assistant", "content": "We open at nine"},
        {"role": "user", "content": "[pressed 12]"},
    ]
    turns = call.transcript
    assert isinstance(turns[0], Turn)
    assert turns[2].sent == "We open at nine in the morning and close at five in the afternoon."
    assert [turn.who for turn in turns] == ["agent", "caller", "agent", "caller"]
    assert sorted(turn.at_ms for turn in turns) == [turn.at_ms for turn in turns]


async def test_a_history_in_another_format_is_refused(talk: Any) -> None:
    _, call = await live_call(talk)
    with pytest.raises(ValueError, match="expected format 'openai', found 'xml'"):
        call.history("xml")  # type: ignore[arg-type]


async def test_what_is_not_allowed_is_refused_at_once_where_replies_are_wrapped(talk: Any) -> None:
    class Wrapping:
        @hookimpl
        def wrap_reply(self, reply: AsyncIterator[str]) -> AsyncIterator[str]:
            return reply

    line = talk(Quiet(), Wrapping())
    await line.setup()
    with pytest.raises(LocalProtocolError, match="source"):
        line.conversation.call.play("not a url")
    with pytest.raises(LocalProtocolError, match="token"):
        line.conversation.call.say(5)
