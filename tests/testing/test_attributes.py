"""Attributes from TwiML and from Studio's widget, and what Twilio refuses of them."""

from __future__ import annotations

from typing import Any

import pytest

from studio_relay.testing.attributes import AttributesRefused, RelayAttributes


def twiml(attributes: str, children: str = "", connect: str = "") -> str:
    return (
        f'<?xml version="1.0"?>\n<Response><Connect {connect}>\n'
        f'<ConversationRelay url="wss://relay.example.test/relay" {attributes}>{children}</ConversationRelay>'
        "</Connect></Response>"
    )


def test_everything_that_changes_behaviour_is_read() -> None:
    read = RelayAttributes.from_twiml(
        twiml(
            'welcomeGreeting="Hi" interruptible="speech" dtmfDetection="true" partialPrompts="true" '
            'events="speaker-events tokens-played" speechTimeout="900" reportInputDuringAgentSpeech="dtmf" '
            'ttsLanguage="sv-SE" applicationReconnect="true"',
            '<Language code="sv-SE"/><Parameter name="tier" value="gold"/>',
            'action="https://relay.example.test/connect-action"',
        )
    )
    assert read.url == "wss://relay.example.test/relay"
    assert (read.welcome_greeting, read.interruptible, read.speech_timeout_ms) == ("Hi", "speech", 900)
    assert read.dtmf_detection
    assert read.partial_prompts
    assert read.speaker_events
    assert read.tokens_played
    assert read.application_reconnect
    assert read.report_input_during_agent_speech == "dtmf"
    assert read.parameters == {"tier": "gold"}
    assert read.languages == {"sv-SE"}
    assert read.action_url == "https://relay.example.test/connect-action"


def test_booleans_stand_for_any_and_none() -> None:
    read = RelayAttributes.from_twiml(twiml('interruptible="false" welcomeGreetingInterruptible="TRUE"'))
    assert (read.interruptible, read.welcome_greeting_interruptible) == ("none", "any")


@pytest.mark.parametrize(
    "attributes",
    [
        'interruptible="maybe"',
        'dtmfDetection="yes"',
        'speechTimeout="100"',
        'hints=""',
        'ttsProvider="Deepgram"',
        'events="speaker-event"',
        'eotThreshold="2"',
        'eotThreshold="loud"',
        'language="english please"',
        'speechModel="nova-3-general" transcriptionProvider="Google"',
        'ttsLanguage="multi" ttsProvider="Google"',
    ],
)
def test_what_twilio_refuses_is_refused_with_its_code_and_line(attributes: str) -> None:
    with pytest.raises(AttributesRefused, match=r"^line 3: ") as refused:
        RelayAttributes.from_twiml(twiml(attributes))
    assert refused.value.code == "64101"
    assert refused.value.line == 3


@pytest.mark.parametrize("children", ['<Language code="sv"/><Language code="sv"/>', '<Language code="?"/>'])
def test_languages_are_tags_and_stand_once(children: str) -> None:
    with pytest.raises(AttributesRefused):
        RelayAttributes.from_twiml(twiml("", children))


@pytest.mark.parametrize("url", ["https://a.example", "ws://a.example", "wss://"])
def test_a_url_that_is_not_wss_is_refused(url: str) -> None:
    with pytest.raises(AttributesRefused, match="wss://"):
        RelayAttributes.from_twiml(f'<Response><Connect><ConversationRelay url="{url}"/></Connect></Response>')


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<Response><Say>Hello</Say></Response>", "found <Say>"),
        ("<Response/>", "found nothing"),
        ("<html/>", "found <html>"),
        ("<Response>", "not XML"),
        ("Internal Server Error", "not XML"),
    ],
)
def test_what_is_no_relay_says_what_it_is(text: str, says: str) -> None:
    with pytest.raises(AttributesRefused, match=says):
        RelayAttributes.from_twiml(text)


def test_an_invented_attribute_does_nothing_and_says_so() -> None:
    read = RelayAttributes.from_twiml(twiml('interruptByDtmf="true"'))
    assert "dtmfDetection and interruptible" in read.notes[0]


def test_the_widget_has_neither_events_nor_keys_unless_it_says_so() -> None:
    read = RelayAttributes.from_widget(
        {"welcome_greeting": "Hello", "interruptible": "false", "colour": "red", "voice": ""},
        url="wss://relay.example.test/relay",
        parameters={"a": "b"},
    )
    assert read.mode == "widget"
    assert (read.welcome_greeting, read.interruptible) == ("Hello", "none")
    assert not read.dtmf_detection
    assert not read.speaker_events
    assert not read.tokens_played
    assert read.parameters == {"a": "b"}
    assert "colour" in read.notes[0]


@pytest.mark.parametrize(
    ("asked", "dialled"),
    [
        ("http://127.0.0.1:8080/voice", "ws://127.0.0.1:8080/relay"),
        ("https://127.0.0.1:8080/voice", "wss://127.0.0.1:8080/relay"),
        ("http://127.0.0.1:9090/voice", "wss://127.0.0.1:8080/relay"),
        ("", "wss://127.0.0.1:8080/relay"),
    ],
)
def test_a_server_that_is_asked_without_tls_is_dialled_without(asked: str, dialled: str) -> None:
    assert RelayAttributes(url="wss://127.0.0.1:8080/relay").answered_by(asked).url == dialled


@pytest.mark.parametrize("interruptible", ["none", "dtmf", "speech", "any"])
def test_input_over_speech_is_reported_as_far_as_it_interrupts(interruptible: Any) -> None:
    assert RelayAttributes.full(interruptible=interruptible).report_input_during_agent_speech == interruptible
    wider = RelayAttributes.full(interruptible=interruptible, report_input_during_agent_speech="any")
    assert (wider.interruptible, wider.report_input_during_agent_speech) == (interruptible, "any")
