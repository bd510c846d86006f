"""Agents made to stream: the same words, in pieces, at the rate of a model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import MappingProxyType
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from studio_relay import Handoff, hookimpl
from studio_relay.testing import run_virtual
from studio_relay.testing.streaming import Streaming


class Reasons(Handoff):
    """Only to be seen through the wrapper."""


class Mixed:
    """Speaks in every way an agent may."""

    handoff_model = Reasons
    relay = MappingProxyType({"language": "sv-SE"})

    @hookimpl
    def on_setup(self) -> str:
        return "Good morning, how can I help you today?"

    @hookimpl
    async def on_prompt(self, call: Any, prompt: Any) -> AsyncIterator[str]:
        yield "Extraordinary "
        yield f"that you should say: {prompt.voice_prompt}"

    @hookimpl
    async def on_dtmf(self, dtmf: Any) -> str | None:
        return None if dtmf.digit == "#" else f"Key {dtmf.digit}."

    @hookimpl
    def on_interrupt(self, call: Any) -> None:
        call.state["interrupted"] = True


def test_a_streaming_agent_says_the_same_in_pieces(caller: Any) -> None:
    call = caller(Streaming(Mixed()))
    call.expect.heard("Good morning, how can I help you today?")
    call.say("Hello.").expect.heard("Extraordinary that you should say: Hello.")
    call.press("#").expect.nothing_more()
    call.press("7").expect.heard("Key 7.")
    sent = [(line["ms"], line["frame"]["token"]) for line in call.call.log if line["dir"] == "out"]
    assert len(sent) > 15
    assert len({ms for ms, _ in sent}) > 12


def test_what_the_agent_declares_is_declared() -> None:
    agent = Streaming(Mixed)
    assert agent.handoff_model is Reasons
    assert agent.relay == {"language": "sv-SE"}


def test_an_installed_agent_can_stream(caller: Any) -> None:
    caller(Streaming("echo")).say("good morning to you all").expect.heard("good morning to you all")


def test_a_barge_in_meets_a_reply_that_is_still_being_sent(caller: Any) -> None:
    call = caller(Streaming(Mixed(), token_ms=(100, 100)))
    call.talk_over("Stop.", after_words=2)
    cut = call.call.end.playback.utterances[0]
    assert cut.cut
    assert not cut.closed


@given(text=st.text(), seed=st.integers(0, 9))
def test_the_pieces_are_the_text(text: str, seed: int) -> None:
    async def pieces() -> list[str]:
        return [piece async for piece in Streaming(Mixed(), seed=seed)._pieces(text)]

    assert "".join(run_virtual(pieces())) == text
