"""Twilio's end under any sequence of events: what must hold whatever happens, and in which order."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay.testing.attributes import RelayAttributes
from studio_relay.testing.identity import Identity
from studio_relay.testing.outputs import Callback, Close, Output, Reconnect, Send
from studio_relay.testing.rates import DrawnRates
from studio_relay.testing.session import TwilioEnd

MESSAGES = (
    '{"type":"text","token":"Hello there. "}',
    '{"type":"text","token":"And more, of it.","last":true}',
    '{"type":"text","token":"Filler words.","last":true,"preemptible":true}',
    '{"type":"text","token":"Legal words.","last":true,"interruptible":false}',
    '{"type":"text","token":"","last":true}',
    '{"type":"play","source":"https://media.example.com/a.mp3"}',
    '{"type":"sendDigits","digits":"1w#"}',
    '{"type":"language","ttsLanguage":"sv-SE"}',
    "nonsense",
)
ENDINGS = ("end", "hang up", "drop", "lost")
ACTIONS = st.one_of(
    st.tuples(st.just("message"), st.sampled_from(MESSAGES)),
    st.tuples(st.just("say"), st.sampled_from(("Stop.", "uh-huh", "I would like to know something"))),
    st.tuples(st.just("press"), st.sampled_from("0123456789*#")),
)
ATTRIBUTES = st.builds(
    RelayAttributes,
    welcome_greeting=st.sampled_from(("", "Hello. Who is there?")),
    interruptible=st.sampled_from(("none", "dtmf", "speech", "any")),
    report_input_during_agent_speech=st.sampled_from(("none", "dtmf", "speech", "any")),
    dtmf_detection=st.booleans(),
    partial_prompts=st.booleans(),
    preemptible=st.booleans(),
    ignore_backchannel=st.booleans(),
    partial_prompt_on_hangup=st.booleans(),
    speaker_events=st.just(True),
    tokens_played=st.just(True),
)


def play(attributes: RelayAttributes, acts: list[tuple[int, tuple[str, str]]], ending: str, seed: int) -> list[Output]:
    """Act it all out, then end and let time pass."""
    identity = Identity.fresh(1)
    end = TwilioEnd(attributes=attributes, identity=identity, session_id="VX1", rates=DrawnRates(seed))
    end.open(400)
    outputs, now = end.advance(400), 400
    for wait, (kind, what) in acts:
        now += wait
        outputs += end.advance(now)
        if kind == "message":
            end.receive(now, what)
        elif kind == "say":
            end.say(now, what)
        else:
            end.press(now, what)
    now += 300
    outputs += end.advance(now)
    if ending == "end":
        end.receive(now, '{"type":"end","handoffData":"{}"}')
    elif ending == "hang up":
        end.hang_up(now)
    else:
        end.lose(now)
    return outputs + end.advance(now + 10_000_000)


@given(
    attributes=ATTRIBUTES,
    acts=st.lists(st.tuples(st.integers(0, 1500), ACTIONS), max_size=25),
    ending=st.sampled_from(ENDINGS),
    seed=st.integers(0, 5),
)
def test_whatever_happens(attributes: RelayAttributes, acts: Any, ending: str, seed: int) -> None:
    outputs = play(attributes, acts, ending, seed)
    assert all(one.at_ms <= other.at_ms for one, other in pairwise(outputs))
    kinds = [type(output) for output in outputs]
    assert kinds.count(Close) == kinds.count(Callback) == 1
    assert kinds[-2:] == [Close, Callback]
    frames = [output.frame for output in outputs if isinstance(output, Send)]
    assert [frame["type"] for frame in frames].count("setup") == 1
    assert frames[0]["type"] == "setup"
    json.dumps(frames)
    check_speaking(frames)
    if not attributes.partial_prompts:
        assert all(frame["last"] for frame in frames if frame["type"] == "prompt")
    if not attributes.dtmf_detection:
        assert "dtmf" not in {frame["type"] for frame in frames}
    if attributes.interruptible == "none":
        interrupted = [frame for frame in frames if frame["type"] == "interrupt"]
        assert all(frame["utteranceUntilInterrupt"] in "Hello. Who is there?" for frame in interrupted)


def check_speaking(frames: list[dict[str, Any]]) -> None:
    """`agentSpeaking` alternates, and each interrupt comes while it is on."""
    speaking = False
    for frame in frames:
        if frame.get("name") == "agentSpeaking":
            assert speaking == (frame["value"] == "off")
            speaking = frame["value"] == "on"
        elif frame["type"] == "interrupt":
            assert speaking


def test_a_session_that_reconnects_buffers_what_happened() -> None:
    attributes = RelayAttributes(application_reconnect=True, dtmf_detection=True)
    end = TwilioEnd(attributes=attributes, identity=Identity.fresh(1), session_id="VX1")
    end.open(0)
    end.lose(1000)
    for number in range(600):
        end.press(1000 + number, "1")
    reconnect = [output for output in end.advance(2000) if isinstance(output, Reconnect)]
    assert [output.at_ms for output in reconnect] == [2000]
    end.reopen(2100)
    frames = [output.frame["type"] for output in end.advance(2100) if isinstance(output, Send)]
    assert frames == ["setup"] + ["dtmf"] * 500


def test_a_reconnect_that_fails_is_a_drop() -> None:
    end = TwilioEnd(
        attributes=RelayAttributes(application_reconnect=True), identity=Identity.fresh(1), session_id="VX1"
    )
    end.open(0)
    end.lose(1000)
    end.advance(2000)
    end.drop(2100)
    callback = end.advance(9000)[-1]
    assert isinstance(callback, Callback)
    assert (callback.status, callback.form["ErrorCode"]) == ("failed", "64105")


@pytest.mark.parametrize(("setup_ms", "announced"), [(1333, True), (1390, True), (1391, False), (4000, False)])
def test_a_late_setup_misses_the_beginning_of_the_greeting(setup_ms: int, announced: bool) -> None:
    attributes = RelayAttributes.full(welcome_greeting="Hello. Who is there?")
    end = TwilioEnd(attributes=attributes, identity=Identity.fresh(1), session_id="VX1")
    end.open(setup_ms)
    values = [output.frame.get("value") for output in end.advance(60_000) if isinstance(output, Send)]
    assert values == [None, *["on"] * announced, "Hello. Who is there?", "off"]
    assert (end.played[0].at_ms, end.played[0].value) == (setup_ms + 25, "on")
    end.receive(60_000, '{"type":"text","token":"Hello.","last":true}')
    assert [o.frame["value"] for o in end.advance(90_000) if isinstance(o, Send)] == ["on", "Hello.", "off"]
