"""What goes out: exactly the declared fields, or a refusal that names the field and its rule."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay.errors import LocalProtocolError
from studio_relay.protocol.messages import (
    End,
    Language,
    Outgoing,
    Play,
    Raw,
    SendDigits,
    Text,
    dump,
    dump_text,
)
from studio_relay.protocol.session import Session, SessionOptions
from studio_relay.protocol.text import sendable

ANY_TEXT = st.text(st.characters(codec=None))  # lone surrogates included
URL = "https://media.example.com/hold.mp3"


class Phrase(str):
    """A text that prints as another, as members of an enumeration do."""

    def __str__(self) -> str:
        return "Phrase"


HELLO = Phrase("Hello.")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (Text(token="Hi", last=False), '{"type":"text","token":"Hi","last":false}'),
        (Text(token="", last=True), '{"type":"text","token":"","last":true}'),
        (Text(token=" å 声", last=True), '{"type":"text","token":" å 声","last":true}'),
        (
            Text(token="Ja", last=True, lang="sv-SE", interruptible=False, preemptible=True),
            '{"type":"text","token":"Ja","last":true,"lang":"sv-SE","interruptible":false,"preemptible":true}',
        ),
        (Text(token="x", last=False, lang="multi"), '{"type":"text","token":"x","last":false,"lang":"multi"}'),
        (Play(source=URL), f'{{"type":"play","source":"{URL}"}}'),
        (
            Play(source=URL, loop=0, interruptible=True, preemptible=False),
            f'{{"type":"play","source":"{URL}","loop":0,"interruptible":true,"preemptible":false}}',
        ),
        (SendDigits(digits="9ww12*#"), '{"type":"sendDigits","digits":"9ww12*#"}'),
        (Language(tts_language="sv-SE"), '{"type":"language","ttsLanguage":"sv-SE"}'),
        (
            Language(tts_language="es", transcription_language="en-US"),
            '{"type":"language","ttsLanguage":"es","transcriptionLanguage":"en-US"}',
        ),
        (End(), '{"type":"end"}'),
        (End(handoff_data=""), '{"type":"end","handoffData":""}'),
        (End(handoff_data='{"a":"b"}'), '{"type":"end","handoffData":"{\\"a\\":\\"b\\"}"}'),
        (Raw({"type": "hints", "hints": ["Ada"], "n": None}), '{"type":"hints","hints":["Ada"],"n":null}'),
    ],
)
def test_a_message_is_compact_json_of_its_declared_fields(message: Outgoing | Raw, text: str) -> None:
    assert dump(message) == text


@pytest.mark.parametrize(
    ("message", "field", "rule"),
    [
        (Text(token=None, last=True), "text.token", "text"),
        (Text(token=b"hi", last=True), "text.token", "text"),
        (Text(token=5, last=True), "text.token", "text"),
        (Text(token="x", last=None), "text.last", "true or false"),
        (Text(token="x", last=1), "text.last", "true or false"),
        (Text(token="x", last=True, lang=""), "text.lang", "language tag"),
        (Text(token="x", last=True, lang="English"), "text.lang", "language tag"),
        (Text(token="x", last=True, lang="en_US"), "text.lang", "language tag"),
        (Text(token="x", last=True, lang=3), "text.lang", "text"),
        (Text(token="x", last=True, interruptible="any"), "text.interruptible", "true or false"),
        (Text(token="x", last=True, preemptible=0), "text.preemptible", "true or false"),
        (Play(source=""), "play.source", "public http(s) URL"),
        (Play(source="hold.mp3"), "play.source", "public http(s) URL"),
        (Play(source="ftp://x.example/hold.mp3"), "play.source", "public http(s) URL"),
        (Play(source="https://user:pw@x.example/hold.mp3"), "play.source", "public http(s) URL"),
        (Play(source="https://x.example/a b.mp3"), "play.source", "public http(s) URL"),
        (Play(source="https://x.example/\ud800.mp3"), "play.source", "UTF-8"),
        (Play(source=None), "play.source", "text"),
        (Play(source=URL, loop=-1), "play.loop", "0 to 1000"),
        (Play(source=URL, loop=1001), "play.loop", "0 to 1000"),
        (Play(source=URL, loop=True), "play.loop", "0 to 1000"),
        (Play(source=URL, loop=1.0), "play.loop", "0 to 1000"),
        (Play(source=URL, loop=10**5000), "play.loop", "0 to 1000"),
        (Play(source=URL, loop=None), "play.loop", "0 to 1000"),
        (Play(source=URL, preemptible="yes"), "play.preemptible", "true or false"),
        (Play(source=URL, interruptible="none"), "play.interruptible", "true or false"),
        (SendDigits(digits=""), "sendDigits.digits", "0-9, w, # and *"),
        (SendDigits(digits="12 34"), "sendDigits.digits", "0-9, w, # and *"),
        (SendDigits(digits="A"), "sendDigits.digits", "0-9, w, # and *"),
        (SendDigits(digits="W"), "sendDigits.digits", "0-9, w, # and *"),
        (SendDigits(digits="12\n"), "sendDigits.digits", "0-9, w, # and *"),
        (SendDigits(digits="٣"), "sendDigits.digits", "0-9, w, # and *"),
        (SendDigits(digits=12), "sendDigits.digits", "text"),
        (Language(), "language.ttsLanguage", "transcriptionLanguage"),
        (Language(tts_language="swedish!"), "language.ttsLanguage", "language tag"),
        (Language(transcription_language="EN"), "language.transcriptionLanguage", "language tag"),
        (End(handoff_data={"reasonCode": "person"}), "end.handoffData", "text"),
        (End(handoff_data="\ud800"), "end.handoffData", "UTF-8"),
        (Raw({}), "raw", "type"),
        (Raw({"type": ""}), "raw", "type"),
        (Raw({"type": 5}), "raw", "type"),
        (Raw([1]), "raw", "type"),
        (Raw({"type": "end", "handoffData": '{"reasonCode":"relay-draining"}'}), "raw", "call.end()"),
        (Raw({"type": "x", "v": object()}), "raw", "JSON"),
        (Raw({"type": "x", "v": "\ud800"}), "raw", "UTF-8"),
    ],
)
def test_a_refusal_names_field_and_rule(message: Any, field: str, rule: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        dump(message)
    assert str(caught.value).startswith(f"{field}: expected ")
    assert rule in str(caught.value)


def test_a_refusal_never_repeats_digits_or_words() -> None:
    for message in (
        SendDigits(digits="5550142 x"),
        Text(token="x", last=True, lang="my card is 4242"),
        Play(source="4242"),
    ):
        with pytest.raises(LocalProtocolError) as caught:
            dump(message)
        assert "4242" not in str(caught.value)
        assert "5550142" not in str(caught.value)


def test_raw_that_contains_itself_is_refused() -> None:
    loop: dict[str, Any] = {"type": "x"}
    loop["loop"] = loop
    with pytest.raises(LocalProtocolError, match="raw"):
        dump(Raw(loop))


def test_the_second_dialect_has_more_tones() -> None:
    assert dump(SendDigits(digits="1ABCDW#"), dialect="telnyx") == '{"type":"sendDigits","digits":"1ABCDW#"}'
    with pytest.raises(LocalProtocolError, match="A-D"):
        dump(SendDigits(digits="E"), dialect="telnyx")


@pytest.mark.parametrize("loop", [0, 2, 1000])
def test_loop_may_be_anything_up_to_twilios_maximum(loop: int) -> None:
    assert json.loads(dump(Play(source=URL, loop=loop)))["loop"] == loop


@given(ANY_TEXT, st.booleans())
def test_the_fast_way_writes_what_the_checked_way_writes(token: str, last: bool) -> None:
    text = dump_text(sendable(token), last)
    assert text == dump(Text(token=token, last=last))
    assert json.loads(text) == {"type": "text", "token": sendable(token), "last": last}
    text.encode()


@given(st.text(st.characters(codec=None, exclude_categories=["Cc", "Cf"])))
def test_sendable_text_differs_only_in_lone_surrogates_where_it_has_no_controls(text: str) -> None:
    said = sendable(text)
    said.encode()
    pairs_joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    assert len(said) == len(pairs_joined)
    assert all(a == b or b == "\ufffd" for a, b in zip(pairs_joined, said, strict=True))


@given(st.text(), st.booleans(), st.sampled_from([None, "en", "sv-SE"]), *[st.sampled_from([None, True, False])] * 2)
def test_every_text_has_its_last_and_no_null(
    token: str, last: bool, lang: str | None, interruptible: bool | None, preemptible: bool | None
) -> None:
    message = Text(token=token, last=last, lang=lang, interruptible=interruptible, preemptible=preemptible)
    frame = json.loads(dump(message))
    optional = {"lang": lang, "interruptible": interruptible, "preemptible": preemptible}
    given_options = {name: value for name, value in optional.items() if value is not None}
    assert frame == {"type": "text", "token": sendable(token), "last": last, **given_options}


def test_subclasses_of_text_are_sent_as_the_text_they_hold() -> None:
    assert json.loads(dump(Text(token=HELLO, last=True)))["token"] == "Hello."
    assert json.loads(dump(End(handoff_data=HELLO)))["handoffData"] == "Hello."


def test_raw_takes_any_mapping() -> None:
    assert (
        dump(Raw(MappingProxyType({"type": "x", "inner": MappingProxyType({"a": 1})})))
        == '{"type":"x","inner":{"a":1}}'
    )


# ------------------------------------------------------------------------- the raw hatch in a session


def open_session(**options: Any) -> tuple[Session, int]:
    session = Session(SessionOptions(**options))
    session.receive_text('{"type":"setup","callSid":"CA1"}', 0.0)
    return session, session.begin()


def test_the_raw_hatch_is_shut_unless_it_was_opened() -> None:
    session, cycle = open_session()
    with pytest.raises(LocalProtocolError, match="switched off"):
        session.send(cycle, Raw({"type": "hints"}))
    assert session.next_text(0.0) is None

    session, cycle = open_session(allow_raw=True)
    session.send(cycle, Raw({"type": "hints"}))
    assert session.next_text(0.0) == '{"type":"hints"}'


@pytest.mark.parametrize(
    "message",
    [
        Raw({"type": "x", "v": object()}),
        Play(source="https://x.example/\ud800"),
        SendDigits(digits="A"),
        Language(),
        End(),
        Text(token=None, last=False),  # type: ignore[arg-type]
    ],
)
def test_a_session_refuses_a_message_at_once_and_not_when_its_turn_comes(message: Outgoing | Raw) -> None:
    session, cycle = open_session(allow_raw=True)
    with pytest.raises(LocalProtocolError):
        session.send(cycle, message)
    assert (session.waiting, session.next_text(0.0)) == (0, None)
    session.say(cycle, "still fine")
    assert session.next_text(0.0) == '{"type":"text","token":"still fine","last":false}'


@pytest.mark.parametrize("token", [None, 5, b"x", ["x"]])
def test_only_text_can_be_said(token: Any) -> None:
    session, cycle = open_session()
    with pytest.raises(LocalProtocolError, match=r"text\.token"):
        session.say(cycle, token)
    assert session.waiting == 0


def test_lone_surrogates_and_subclasses_can_be_said_with_and_without_options() -> None:
    session, cycle = open_session()
    for token in ("a\ud800", HELLO):
        session.say(cycle, token)
        session.send(cycle, Text(token=token, last=False, lang="en"))
    tokens = [json.loads(text)["token"] for text in iter(lambda: session.next_text(0.0), None)]
    assert tokens == ["a\ufffd", "a\ufffd", "Hello.", "Hello."]
    assert session.playback.speeches[0].text == "".join(tokens)


@pytest.mark.parametrize("limit", [1, 3, 4, 10, 100])
@given(token=st.text(max_size=300))
def test_long_tokens_are_split_without_loss(limit: int, token: str) -> None:
    for plain in (True, False):
        session, cycle = open_session(max_token_bytes=limit)
        if plain:
            session.say(cycle, token)
        else:
            session.send(cycle, Text(token=token, last=False, lang="en"))
        pieces = [json.loads(text)["token"] for text in iter(lambda s=session: s.next_text(0.0), None)]
        assert "".join(pieces) == sendable(token)
        assert all(len(piece.encode()) <= limit or len(piece) == 1 for piece in pieces)


def test_long_tokens_are_split_behind_white_space() -> None:
    session, cycle = open_session(max_token_bytes=10)
    session.say(cycle, "one two three\nfour fivesixseveneight nine")
    pieces = [json.loads(text)["token"] for text in iter(lambda: session.next_text(0.0), None)]
    assert pieces == ["one two ", "three\n", "four ", "fivesixsev", "eneight ", "nine"]
