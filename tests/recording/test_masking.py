"""What a masked recording shows, and what it must never show."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay.recording.masking import Masker, run_goes_on

SID = "CA" + "0123456789abcdef" * 2


@pytest.fixture
def masker() -> Masker:
    return Masker()


def test_a_setup_keeps_its_shape_and_nothing_else(masker: Masker) -> None:
    setup = {
        "type": "setup", "sessionId": "VX" + "a1" * 16, "callSid": SID, "parentCallSid": "", "from": "+14155550123",
        "to": "+14155550199", "forwardedFrom": "+14155550123", "callerName": "MARIA CANARY", "direction": "inbound",
        "callType": "PSTN", "callStatus": "RINGING", "accountSid": "AC" + "b2" * 16,
        "customParameters": {"tier": "gold", "again": "gold", "callback": "+14155550123", "empty": ""},
        "somethingNew": "Maria",
    }  # fmt: skip
    assert masker.frame(setup) == {
        "type": "setup", "sessionId": "VX" + "1".zfill(32), "callSid": "CA" + "1".zfill(32), "parentCallSid": "",
        "from": "+15550100001", "to": "+15550100002", "forwardedFrom": "+15550100001", "callerName": "name-1",
        "direction": "inbound", "callType": "PSTN", "callStatus": "RINGING", "accountSid": "AC" + "1".zfill(32),
        "customParameters": {"tier": "value-1", "again": "value-1", "callback": "+15550100001", "empty": ""},
        "somethingNew": "value-2",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"type": "prompt", "voicePrompt": "Call 5550123 or 555-012 3 at 9, flat 12.", "lang": "en", "last": True},
         {"voicePrompt": "Call 0000000 or 000-000 0 at 9, flat 12.", "lang": "en", "last": True}),
        ({"type": "dtmf", "digit": "7"}, {"digit": "0"}),
        ({"type": "dtmf", "digit": "#"}, {"digit": "#"}),
        ({"type": "dtmf", "digit": 7}, {"digit": 0}),
        ({"type": "interrupt", "utteranceUntilInterrupt": "It is 4711", "durationUntilInterruptMs": 1933},
         {"utteranceUntilInterrupt": "It is 0000", "durationUntilInterruptMs": 1933}),
        ({"type": "interrupt", "utteranceUntilInterrupt": "", "durationUntilInterruptMs": "1460.5"},
         {"utteranceUntilInterrupt": "", "durationUntilInterruptMs": "1460.5"}),
        ({"type": "info", "name": "agentSpeaking", "value": "on"}, {"name": "agentSpeaking", "value": "on"}),
        ({"type": "sendDigits", "digits": "12w#"}, {"digits": "00w#"}),
        ({"type": "play", "source": "https://media.example.org/4711/hold.mp3?key=secret", "loop": 1},
         {"source": "https://host-1.example.com/0000/hold.mp3?key=value-1", "loop": 1}),
        ({"type": "language", "ttsLanguage": "sv-SE"}, {"ttsLanguage": "sv-SE"}),
        ({"type": "error", "description": 'Invalid message, code: 64107, {"type":"text","token":"at 5551234"}'},
         {"description": 'Invalid message, code: 64107, {"type":"text","token":"at 0000000"}'}),
        ({"type": "new", "words": ["stay", 12345, {"deep": "0123"}], "on": True, "none": None},
         {"words": ["stay", 0, {"deep": "0000"}], "on": True, "none": None}),
    ],
)  # fmt: skip
def test_frames(masker: Masker, frame: dict[str, Any], expected: dict[str, Any]) -> None:
    assert masker.frame(frame) == {"type": frame["type"], **expected}


def test_tones_are_hidden_where_they_are_reported(masker: Masker) -> None:
    masker.frame({"type": "sendDigits", "digits": "12#"})
    assert masker.frame({"type": "info", "name": "tokensPlayed", "value": "12#"})["value"] == "00#"


def test_a_handoff_shows_its_code_and_its_words(masker: Masker) -> None:
    data = (
        '{"reasonCode":"person","version":1,"summary":"Parcel 4711 late","callbackNumber":"+15550177777","name":"Ann"}'
    )
    assert json.loads(masker.frame({"type": "end", "handoffData": data})["handoffData"]) == {
        "reasonCode": "person",
        "version": 1,
        "summary": "Parcel 0000 late",
        "callbackNumber": "+15550100001",
        "name": "value-1",
    }
    assert masker.frame({"type": "end", "handoffData": "Ann wants a person"})["handoffData"] == "value-2"


def test_forms(masker: Masker) -> None:
    form = {
        "CallSid": SID, "From": "+14155550123", "Caller": "+14155550123", "To": "client:maria", "FromCity": "OAKLAND",
        "FromCountry": "US", "ToState": "", "ApiVersion": "2010-04-01", "SessionDuration": "14400",
        "SessionStatus": "ended", "ErrorCode": "64105", "ErrorMessage": "Websocket ended", "CallToken": "canary",
        "HandoffData": '{"reasonCode":"person"}', "Strange": "Maria", "Direction": "+14155550123",
    }  # fmt: skip
    assert masker.form(form) == {
        "CallSid": "CA" + "1".zfill(32), "From": "+15550100001", "Caller": "+15550100001", "To": "client:name-1",
        "FromCity": "value-1", "FromCountry": "US", "ToState": "", "ApiVersion": "2010-04-01",
        "SessionDuration": "14400", "SessionStatus": "ended", "ErrorCode": "64105", "ErrorMessage": "Websocket ended",
        "CallToken": "<redacted>", "HandoffData": '{"reasonCode":"person"}', "Strange": "value-2",
        "Direction": "+15550100001",
    }  # fmt: skip


def test_twiml(masker: Masker) -> None:
    document = (
        '<?xml version="1.0" encoding="UTF-8"?><Response><Connect action="https://r.example.org/a?return=x">'
        '<ConversationRelay url="wss://r.example.org/relay" welcomeGreeting="Hi, 4711 here" eotThreshold="0.8">'
        '<Parameter name="ticket" value="canary" /></ConversationRelay></Connect>'
        "<Dial><Number>+14155550123</Number></Dial><Say>Bye 12345</Say></Response>"
    )
    assert masker.twiml(document) == (
        '<?xml version="1.0" encoding="UTF-8"?><Response><Connect action="https://host-1.example.com/a?return=value-1">'
        '<ConversationRelay url="wss://host-1.example.com/relay" welcomeGreeting="Hi, 0000 here" eotThreshold="0.8">'
        '<Parameter name="ticket" value="value-2" /></ConversationRelay></Connect>'
        "<Dial><Number>+15550100001</Number></Dial><Say>Bye 00000</Say></Response>"
    )
    assert masker.twiml("<Response>canary") == "<masked/>"


def test_headers_show_no_signature(masker: Masker) -> None:
    sent = [
        ("Host", "relay.example.org"), ("User-Agent", "Jetty/11.0.24"), ("X-Twilio-Signature", "canary"),
        ("X-Amzn-Bedrock-Custom-Twilio-Signature", "canary"), ("X-Forwarded-For", "203.0.113.9"), ("Cookie", "canary"),
    ]  # fmt: skip
    assert masker.headers(sent) == {
        "headers": {"host": "host-1.example.com", "user-agent": "Jetty/11.0.24"},
        "otherHeaders": ["cookie", "x-amzn-bedrock-custom-twilio-signature", "x-forwarded-for", "x-twilio-signature"],
    }
    assert "canary" not in json.dumps(Masker(full=True).headers(sent))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("this is not json #1", "this is not json #1"),
        ("call 5551234", "call 0000000"),
        ('{"type":"text","token":"5551234"}', '{"type":"text","token":"0000000"}'),
        ('{"type":"setup","callerName":"Ann 7', '{"xxxx":"xxxxx","xxxxxxXxxx":"xxx 0'.replace("X", "x")),
        ("", ""),
    ],
)
def test_raw_text(masker: Masker, raw: str, expected: str) -> None:
    assert masker.raw(raw) == expected


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["It is ", "55", "5", "-01", "23", "."], ["It is ", "00", "0", "-00", "00", "."]),
        (["Press ", "1", " or ", "2"], ["Press ", "1", " or ", "2"]),
        (["", "1234", ""], ["", "0000", ""]),
        ([], []),
    ],
)
def test_tokens_are_masked_as_one_text(masker: Masker, tokens: list[str], expected: list[str]) -> None:
    assert masker.tokens(tokens) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("a 1", True), ("1 - ", False), ("1- ", True), ("a", False), ("1.\n", False)]
)
def test_where_a_run_of_digits_may_go_on(text: str, expected: bool) -> None:
    assert run_goes_on(text) is expected


def test_full_leaves_everything_but_credentials() -> None:
    masker = Masker(full=True)
    frame = {"type": "setup", "from": "+14155550123", "customParameters": {"a": "b"}}
    assert masker.frame(frame) == frame
    assert masker.form({"From": "+14155550123", "CallToken": "canary"}) == {
        "From": "+14155550123",
        "CallToken": "<redacted>",
    }
    assert masker.raw("5551234") == masker.tokens(["5551234"])[0] == masker.twiml("5551234") == "5551234"


# --- canaries ---------------------------------------------------------------------------------------------

NUMBER = "+14158675309"
NAME = "Xaviera Quetzalcoatl"
HOST = "canary-host.example.org"
ID = "CA" + "fedcba98" * 4
HIDDEN = (NUMBER[1:], NAME, "Quetzalcoatl", HOST, ID, "867-5309", "5309")

WORDS = st.sampled_from(["hello", "", "1", "yes please", "Grüße"])
CANARIES = st.sampled_from([NUMBER, NAME, ID, f"https://{HOST}/x?who={NAME}", "415-867-5309"])
PLACES = st.sampled_from(["callerName", "from", "to", "forwardedFrom", "callSid", "accountSid", "sessionId", "new"])
NUMBERS_IN_SPEECH = st.sampled_from([NUMBER, "(415) 867-5309", "415 867 5309", ID, "4158675309"])


@given(places=st.dictionaries(PLACES, CANARIES), parameters=st.dictionaries(WORDS, CANARIES), nested=st.booleans())
def test_a_setup_never_shows_a_canary(places: dict[str, str], parameters: dict[str, str], nested: bool) -> None:
    custom: Any = {"deep": [parameters]} if nested else parameters
    frame = {"type": "setup", **places, "customParameters": custom}
    masker = Masker()
    whole = json.dumps(frame)
    shown = [masker.frame(frame), masker.raw(whole), masker.raw(whole[:-1]), masker.raw(whole[: len(whole) // 2])]
    assert_hidden(json.dumps(shown))


@given(
    words=st.lists(WORDS | NUMBERS_IN_SPEECH, max_size=6), field=st.sampled_from(["prompt", "interrupt", "info", "x"])
)
def test_speech_never_shows_a_number(words: list[str], field: str) -> None:
    text = " ".join(words)
    frame = {"type": field, "voicePrompt": text, "utteranceUntilInterrupt": text, "name": "tokensPlayed", "value": text}
    assert_hidden(json.dumps(Masker().frame(frame)))


@given(cuts=st.lists(st.integers(1, 40), max_size=8))
def test_numbers_in_pieces_are_found(cuts: list[int]) -> None:
    text = f"Your number is {NUMBER}, or (415) 867-5309, right?"
    borders = [0, *sorted(set(cuts)), len(text)]
    tokens = [text[start:end] for start, end in pairwise(borders)]
    masked = Masker().tokens(tokens)
    assert [len(token) for token in masked] == [len(token) for token in tokens]
    assert "".join(masked) == "Your number is +00000000000, or (000) 000-0000, right?"


@given(
    form=st.dictionaries(
        st.sampled_from(["From", "To", "CallSid", "CallerName", "FromCity", "HandoffData", "Other", "Direction"]),
        CANARIES,
    )
)
def test_forms_never_show_a_canary(form: dict[str, str]) -> None:
    assert_hidden(json.dumps(Masker().form(form)))


@given(handoff=st.dictionaries(st.sampled_from(["name", "callbackNumber", "id", "link"]), CANARIES))
def test_handoffs_never_show_a_canary(handoff: dict[str, str]) -> None:
    assert_hidden(json.dumps(Masker().frame({"type": "end", "handoffData": json.dumps(handoff)})))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
TYPES = st.sampled_from(["setup", "prompt", "dtmf", "interrupt", "info", "error", "text", "play", "sendDigits", "end"])
FIELDS = st.sampled_from(
    ["voicePrompt", "digit", "from", "callSid", "token", "handoffData", "value", "description", "x"]
)


@given(kind=TYPES | JSON, fields=st.dictionaries(FIELDS, JSON))
def test_any_frame_can_be_masked_and_written(kind: Any, fields: dict[str, Any]) -> None:
    assert json.dumps(Masker().frame({"type": kind, **fields}))


@given(st.text())
def test_speech_keeps_its_length(text: str) -> None:
    assert len(Masker().speech(text)) == len(text)


@given(st.text())
def test_any_text_can_be_masked(text: str) -> None:
    masker = Masker()
    assert isinstance(masker.raw(text) + masker.text(text) + masker.twiml(text), str)


# --- what setup taught us -----------------------------------------------------------------------------------

KNOWN = st.one_of(
    st.sampled_from([NAME, "Zoë Müller", "田中", 'O\'Brien "Bo"', "a/b c+d", "Ана", NUMBER, "flat 12", "🎉🎉"]),
    st.text(st.characters(categories=["Lu", "Lo"], exclude_characters="VALUENMIDHOSTXAMPC"), min_size=4, max_size=12),
)
SETUPS = st.builds(
    lambda name, caller, values: {
        "type": "setup", "callerName": name, "from": caller, "callSid": ID, "customParameters": values,
    },
    KNOWN, KNOWN, st.dictionaries(st.sampled_from(["a", "b", "c"]), KNOWN | st.lists(KNOWN, max_size=2)),
)  # fmt: skip


def values_of(setup: Any) -> list[str]:
    if isinstance(setup, dict):
        return [value for name, item in setup.items() if name != "type" for value in values_of(item)]
    if isinstance(setup, list):
        return [value for item in setup for value in values_of(item)]
    return [setup]


def nests(values: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """JSON that has such values anywhere: as values and names, within words and sentences, as JSON and URLs in text."""
    texts = values | st.builds(
        lambda text, around: f"{around}{text}{around}", values, st.sampled_from(["", "x", " ", "_"])
    )
    written = (
        texts
        | texts.map(json.dumps)
        | texts.map(quote)
        | texts.map(str.lower)
        | texts.map(lambda t: f"https://h/{t}?q={t}")
    )
    return st.recursive(
        written | st.integers() | st.none(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(written, inner, max_size=3)
            | inner.map(json.dumps)
            | inner.map(lambda value: json.dumps(value, ensure_ascii=False))
        ),
        max_leaves=6,
    )


@given(data=st.data(), setup=SETUPS)
def test_no_value_of_setup_survives_in_a_frame_the_protocol_does_not_know(data: st.DataObject, setup: Any) -> None:
    values = values_of(setup)
    content = data.draw(nests(st.sampled_from(values)))
    masker = Masker()
    masker.frame(setup)
    frames: list[Any] = [
        {"type": "unheard-of", "content": content},
        {"type": data.draw(st.sampled_from(values)), "content": content},
        {"type": "info", "name": "callerKnown", "value": content},
        {"type": "prompt", "voicePrompt": "hello", "speaker": content},
        {data.draw(st.sampled_from(values)): content},
    ]
    shown = [masker.frame(frame) for frame in frames]
    shown.append({"raw": masker.raw(f"[{json.dumps(content)}")})
    text = json.dumps(shown, ensure_ascii=False)
    for value in values:
        for written in (value, json.dumps(value)[1:-1], quote(value)):
            assert written.lower() not in text.lower()


def test_parts_of_a_name_are_hidden_too_and_other_words_stay(masker: Masker) -> None:
    masker.frame({"type": "setup", "callerName": "MARIA CANARY", "customParameters": {"tier": "on", "age": 42}})
    frame = {"type": "unheard-of", "said": "Maria is on line two", "first": "maria", "age": 42, "seat": 7, "on": "on"}
    assert masker.frame(frame) == {
        "type": "unheard-of",
        "said": "name-1 is value-1 line two",
        "first": "name-1",
        "age": 0,
        "seat": 7,
        "value-1": "value-1",
    }


def test_words_of_a_caller_stay_where_they_are_said(masker: Masker) -> None:
    masker.frame({"type": "setup", "callerName": "Maria", "customParameters": {"topic": "parcel"}})
    prompt = {"type": "prompt", "voicePrompt": "Maria wants a parcel", "lang": "en", "last": True}
    assert masker.frame(prompt) == prompt
    assert masker.tokens(["A parcel, ", "Maria?"]) == ["A parcel, ", "Maria?"]


@pytest.mark.parametrize("value", ["a" * 60_000, "ab" * 1_000, "a" * 1_999 + "b", "a b " * 500, "ß" * 2_000])
@pytest.mark.parametrize("piece", ["a", "ab", "a b ", "ß", "%61"])
def test_what_setup_taught_is_looked_for_in_a_moment(value: str, piece: str) -> None:
    """Neither long values, nor many of them, nor texts made to fit nearly may cost a step for each pair."""
    masker = Masker()
    many = {str(number): f"{value[:40]}{number}" for number in range(200)}
    masker.frame({"type": "setup", "callerName": value, "customParameters": many})
    text = (piece * 65_536)[:65_536]
    assert masker.frame({"type": "unheard-of", "content": text, "more": [text[:100]] * 300})
    assert masker.raw(text)


def test_of_a_setup_with_too_many_values_nothing_is_shown(masker: Masker) -> None:
    many = {str(number): f"secret-{number}-of-many" for number in range(4_000)}
    masker.frame({"type": "setup", "customParameters": many})
    shown = masker.frame({"type": "unheard-of", "content": ["it is secret-3999-of-many", "hello"]})
    assert "secret" not in json.dumps(shown)
    assert shown["type"] == "unheard-of"


def assert_hidden(text: str) -> None:
    assert [canary for canary in HIDDEN if canary in text] == []


@pytest.mark.parametrize(
    "piece", ["x", "5", "[", "x ", "5 ", "://", "x://", "x://h?a=", "+", "a.", "AC0123456789abcdef", "-("]
)
def test_the_largest_frame_is_masked_in_a_moment_whatever_it_holds(piece: str) -> None:
    """A strange frame must not hold up every call: with a step for each pair of characters this takes minutes."""
    text = (piece * 262_144)[:262_144]
    masker = Masker(full=False)
    assert masker.raw(text)
    assert masker.form({"From": text, "HandoffData": text, "ErrorMessage": text})
