"""The parser contract, section 2.0 of the protocol reference, rule by rule and in both dialects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from studio_relay.errors import RemoteProtocolError
from studio_relay.protocol.messages import (
    Dtmf,
    ErrorMessage,
    Info,
    Interrupt,
    Message,
    Prompt,
    Setup,
    Unknown,
)
from studio_relay.protocol.parsing import DEFAULT_MAX_BYTES, clean, parse

REPO = Path(__file__).resolve().parents[2]
CORPUS = REPO.parent / "shared" / "reference" / "frames.jsonl"
CALL = "CA" + "7" * 32
DAY_MS = 24 * 60 * 60 * 1000


def prompt(**fields: Any) -> Prompt:
    message = parse(json.dumps({"type": "prompt", "voicePrompt": "hi", **fields}))
    assert isinstance(message, Prompt)
    return message


def setup(**fields: Any) -> Setup:
    message = parse(json.dumps({"type": "setup", "callSid": CALL, **fields}))
    assert isinstance(message, Setup)
    return message


def duration(value: str) -> int | None:
    message = parse(f'{{"type":"interrupt","durationUntilInterruptMs":{value}}}')
    assert isinstance(message, Interrupt)
    return message.duration_until_interrupt_ms


def refusal(frame: str | bytes, **options: int) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        parse(frame, **options)
    return caught.value


# --------------------------------------------------------------------- rule 1: size before parsing


@pytest.mark.parametrize("letter", ["x", "å", "声", "😀"])
def test_a_frame_may_be_as_large_as_the_cap_in_bytes_and_no_larger(letter: str) -> None:
    frame = json.dumps({"type": "prompt", "voicePrompt": letter * 50}, ensure_ascii=False)
    size = len(frame.encode())
    assert isinstance(parse(frame, max_bytes=size), Prompt)
    assert isinstance(parse(frame.encode(), max_bytes=size), Prompt)
    assert f"{size:,}" in str(refusal(frame, max_bytes=size - 1))
    assert f"{size:,}" in str(refusal(frame.encode(), max_bytes=size - 1))


def test_the_default_cap_is_64_kib() -> None:
    assert DEFAULT_MAX_BYTES == 64 * 1024
    assert "65,536" in str(refusal("[" * 70_000))


# ---------------------------------------------------------------------------- rule 2: strict JSON


@pytest.mark.parametrize(
    "frame",
    [
        "",
        " \n\t",
        "dial tone",
        '{"type":"dtmf","digit":"4"',
        '{"type":"dtmf","digit":"4"} {"type":"dtmf","digit":"4"}',
        '{"type":"dtmf","digit":"4"}]',
        '{"type":"dtmf","digit":"4",}',
        "{'type':'dtmf','digit':'4'}",
        '{type:"dtmf"}',
        '{"type":"interrupt","durationUntilInterruptMs":NaN}',
        '{"type":"interrupt","durationUntilInterruptMs":Infinity}',
        '{"type":"interrupt","durationUntilInterruptMs":-Infinity}',
        '{"type":"interrupt","durationUntilInterruptMs":012}',
        '{"type":"interrupt","durationUntilInterruptMs":+5}',
        '{"type":"interrupt","durationUntilInterruptMs":.5}',
        '{"type":"interrupt","durationUntilInterruptMs":' + "8" * 5_000 + "}",
        '{"type":"prompt","voicePrompt":"a\tb"}',
        '{"type":"prompt","voicePrompt":"a\nb"}',
        '{"type":"prompt","voicePrompt":"a\x00b"}',
        '{"type":"prompt","voicePrompt":"\\q"}',
        '{"type":"prompt","voicePrompt":"\\u12"}',
        '\ufeff{"type":"dtmf","digit":"4"}',
        "// comment\n{}",
        "<!doctype html><title>Bad gateway</title>",
    ],
)
def test_what_is_not_strict_json_is_refused(frame: str) -> None:
    assert refusal(frame).path is None
    refusal(frame.encode())


@pytest.mark.parametrize(("frame", "found"), [("[]", "array"), ('"dtmf"', "string"), ("7", "number"), ("null", "null")])
def test_a_top_level_that_is_no_object_is_refused(frame: str, found: str) -> None:
    error = refusal(frame)
    assert error.path == "$"
    assert found in str(error)


@pytest.mark.parametrize("frame", [b"\xff\xfe{}", b'{"type":"dtmf","digit":"\xe5"}', b"\xed\xa0\x80"])
def test_bytes_must_be_utf_8(frame: bytes) -> None:
    assert "UTF-8" in str(refusal(frame))


def test_an_empty_binary_frame_is_refused() -> None:
    refusal(b"")


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"type":"x","a":['])
@pytest.mark.parametrize("depth", [300, 3_000, 10_000])
def test_deep_nesting_is_refused_and_never_overflows(opening: str, depth: int) -> None:
    refusal((opening * depth)[:DEFAULT_MAX_BYTES])
    closing = {"[": "]", "{": "}"}
    nested = opening * depth + "1" + "".join(closing.get(c, "") for c in reversed(opening * depth))
    refusal(nested[:DEFAULT_MAX_BYTES])


def test_nesting_as_deep_as_real_life_passes() -> None:
    assert parse('{"type":"x","a":' + "[" * 100 + "]" * 100 + "}").type == "x"


def test_brackets_within_a_text_do_not_nest() -> None:
    spoken = "[{" * 1_000 + '\\"' + "[{" * 1_000
    message = parse(f'{{"type":"prompt","voicePrompt":"{spoken}"}}')
    assert isinstance(message, Prompt)
    assert message.voice_prompt == spoken.replace("\\", "")


def test_of_duplicate_keys_the_last_wins() -> None:
    message = parse('{"type":"dtmf","type":"prompt","voicePrompt":"one","voicePrompt":"two"}')
    assert isinstance(message, Prompt)
    assert message.voice_prompt == "two"


# ------------------------------------------------------------------------------- rule 3: the type


@pytest.mark.parametrize("kind", ["null", "3", "true", '""', "[]", '{"a":1}'])
def test_a_type_that_is_no_text_is_refused_with_its_path(kind: str) -> None:
    assert refusal(f'{{"type":{kind}}}').path == "$.type"


def test_no_type_is_refused_with_its_path() -> None:
    assert refusal("{}").path == "$.type"


@pytest.mark.parametrize("kind", ["Prompt", "PROMPT", " prompt", "prompt "])
def test_types_are_compared_exactly(kind: str) -> None:
    assert type(parse(json.dumps({"type": kind, "voicePrompt": "hi"}))) is Unknown


def test_a_media_streams_frame_says_which_twiml_was_wrong() -> None:
    assert "<Stream>" in str(refusal('{"event":"media","media":{"payload":"AAAA"}}'))


# ------------------------------------------------------------- rules 4 and 5: unknown is no error


@pytest.mark.parametrize("kind", ["connected", "turnPrediction", "start", "text", "end", "x" * 5_000, "ключ"])
def test_an_unknown_type_is_an_event(kind: str) -> None:
    message = parse(json.dumps({"type": kind, "n": [1, {"k": None}]}))
    assert message == Unknown(type=kind, raw={"type": kind, "n": [1, {"k": None}]})


def test_an_unknown_type_is_fit_for_a_log() -> None:
    assert parse('{"type":"a\\u0000b\\ud800\\u0085"}').type == "ab\ufffd"


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "setup", "callSid": CALL},
        {"type": "prompt", "voicePrompt": "x"},
        {"type": "dtmf", "digit": "1"},
        {"type": "interrupt"},
        {"type": "error"},
        {"type": "info", "name": "n"},
        {"type": "new"},
    ],
)
def test_unknown_fields_are_kept_in_the_raw_object(frame: dict[str, Any]) -> None:
    frame = {**frame, "segments": [{"text": "x", "confidence": 0.5}], "ts": 1788000000123}
    assert parse(json.dumps(frame)).raw == frame


# ---------------------------------------------- rule 6: essential fields refuse, optional ones do not


@pytest.mark.parametrize(
    ("frame", "path"),
    [
        ({"type": "setup"}, "$.callSid"),
        ({"type": "setup", "callSid": ""}, "$.callSid"),
        ({"type": "setup", "callSid": None}, "$.callSid"),
        ({"type": "setup", "callSid": ["x"], "sessionId": "VX1"}, "$.callSid"),
        ({"type": "prompt"}, "$.voicePrompt"),
        ({"type": "prompt", "voicePrompt": None}, "$.voicePrompt"),
        ({"type": "prompt", "voicePrompt": True}, "$.voicePrompt"),
        ({"type": "prompt", "voicePrompt": {"text": "x"}}, "$.voicePrompt"),
        ({"type": "dtmf"}, "$.digit"),
        ({"type": "dtmf", "digit": ""}, "$.digit"),
        ({"type": "dtmf", "digit": "12"}, "$.digit"),
        ({"type": "dtmf", "digit": 12}, "$.digit"),
        ({"type": "dtmf", "digit": -1}, "$.digit"),
        ({"type": "dtmf", "digit": "E"}, "$.digit"),
        ({"type": "dtmf", "digit": True}, "$.digit"),
        ({"type": "dtmf", "digit": "٣"}, "$.digit"),
        ({"type": "dtmf", "digits": "3"}, "$.digit"),
        ({"type": "info"}, "$.name"),
        ({"type": "info", "name": ""}, "$.name"),
        ({"type": "info", "name": 5}, "$.name"),
        ({"type": "debug", "value": "on"}, "$.name"),
    ],
)
def test_a_bad_essential_field_is_refused_by_its_path(frame: dict[str, Any], path: str) -> None:
    error = refusal(json.dumps(frame))
    assert error.path == path
    assert path.removeprefix("$.") in str(error)


def test_a_voice_prompt_beyond_all_numbers_is_refused() -> None:
    assert refusal('{"type":"prompt","voicePrompt":1e999}').path == "$.voicePrompt"


@pytest.mark.parametrize("bad", ["null", "[]", '{"a":1}', "true", "1e999"])
def test_a_bad_optional_field_never_refuses_a_frame(bad: str) -> None:
    fields = ["sessionId", "accountSid", "parentCallSid", "from", "to", "forwardedFrom", "callerName"]
    fields += ["direction", "callType", "callStatus"]
    optional = ",".join(f'"{field}":{bad}' for field in fields)
    message = parse(f'{{"type":"setup","callSid":"{CALL}",{optional}}}')
    assert message == Setup(type="setup", raw=message.raw, call_sid=CALL)
    spoken = parse(f'{{"type":"prompt","voicePrompt":"hi","lang":{bad}}}')
    assert spoken == Prompt(type="prompt", raw=spoken.raw, voice_prompt="hi")


@pytest.mark.parametrize("bad", [None, [], "text", 3, True])
def test_parameters_that_are_no_object_are_none(bad: Any) -> None:
    assert setup(customParameters=bad).custom_parameters == {}


def test_an_interrupt_and_an_error_need_nothing() -> None:
    assert parse('{"type":"interrupt"}') == Interrupt(type="interrupt", raw={"type": "interrupt"})
    assert parse('{"type":"error"}') == ErrorMessage(type="error", raw={"type": "error"})
    assert parse('{"type":"interrupt","utteranceUntilInterrupt":{}}').raw


# ------------------------------------------------------------------------------- rule 7: coercion


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        ("460", 460),
        ('"460"', 460),
        ("460.0", 460),
        ("460.6", 461),
        ('" 460.4 "', 460),
        ("4.6e2", 460),
        ("0", 0),
        (str(DAY_MS), DAY_MS),
        (str(DAY_MS + 1), None),
        ("-1", None),
        ("-0.0", 0),
        ("1e999", None),
        ("-1e999", None),
        ('"NaN"', None),
        ('"inf"', None),
        ('"soon"', None),
        ('""', None),
        ("true", None),
        ("[460]", None),
        ("null", None),
        ("9" * 4_000, None),
    ],
)
def test_a_duration_is_a_sane_whole_number_or_none(value: str, milliseconds: int | None) -> None:
    assert duration(value) == milliseconds


@pytest.mark.parametrize(
    ("digit", "key"), [('"0"', "0"), ("7", "7"), ("7.0", "7"), ('"#"', "#"), ('"*"', "*"), ('"D"', "D")]
)
def test_a_digit_may_be_a_number(digit: str, key: str) -> None:
    assert parse(f'{{"type":"dtmf","digit":{digit}}}') == Dtmf(
        type="dtmf", raw={"type": "dtmf", "digit": json.loads(digit)}, digit=key
    )


@pytest.mark.parametrize("value", [True, "true", " TRUE ", "1", 1, 1.0, None, "maybe", 2, [], {}])
def test_last_is_true_or_taken_for_it(value: Any) -> None:
    assert prompt(last=value).last is True


@pytest.mark.parametrize("value", [False, "false", "FALSE", "0", 0, 0.0])
def test_last_may_be_false_in_many_forms(value: Any) -> None:
    assert prompt(last=value).last is False


def test_numbers_become_text_where_text_is_expected() -> None:
    message = setup(
        **{"from": 15550100001, "to": 15550100002.0, "customParameters": {"tier": 3, "vip": True, "x": None}}
    )
    assert (message.from_, message.to) == ("15550100001", "15550100002")
    assert message.custom_parameters == {"tier": "3", "vip": "true", "x": ""}
    assert prompt(voicePrompt=42).voice_prompt == "42"
    assert prompt(voicePrompt=4.5).voice_prompt == "4.5"


def test_nested_parameters_become_json_text() -> None:
    message = setup(customParameters={"cart": [{"sku": "å1"}], "ok": "plain"})
    assert message.custom_parameters == {"cart": '[{"sku": "å1"}]', "ok": "plain"}


# ------------------------------------------------------------------------------ rule 8: clean text


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        ("hel\\u0000lo\\u0007", "hello"),
        ("a\\tb\\nc\\rd", "a\tb\ncd"),
        ("a\\u007fb\\u0085c\\u009fd", "abcd"),
        ("bad \\ud800 text", "bad \ufffd text"),
        ("\\udc00\\ud800", "\ufffd\ufffd"),
        ("ok \\ud83d\\ude00", "ok 😀"),
        ("\\u202eabc\\u200b", "\u202eabc\u200b"),
    ],
)
def test_text_is_cleaned_and_the_raw_object_is_not(escaped: str, text: str) -> None:
    message = parse(f'{{"type":"prompt","voicePrompt":"{escaped}"}}')
    assert isinstance(message, Prompt)
    assert message.voice_prompt == text
    assert message.raw["voicePrompt"] == json.loads(f'"{escaped}"')


def test_every_text_field_is_cleaned() -> None:
    dirt, pure = "a\x00b\ud800", "ab\ufffd"
    assert setup(callerName=dirt, customParameters={dirt: dirt}).custom_parameters == {pure: pure}
    assert setup(callerName=dirt).caller_name == pure
    for frame, field in [
        ({"type": "interrupt", "utteranceUntilInterrupt": dirt}, "utterance_until_interrupt"),
        ({"type": "error", "description": dirt}, "description"),
        ({"type": "info", "name": dirt}, "name"),
        ({"type": "info", "name": "n", "value": dirt}, "value"),
    ]:
        assert getattr(parse(json.dumps(frame)), field) == pure


@given(st.text(st.characters(codec=None)))
def test_clean_text_is_utf_8_without_control_characters(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert not any((ord(c) < 32 and c not in "\t\n") or 0x7F <= ord(c) <= 0x9F for c in cleaned)
    assert clean(cleaned) == cleaned


# ----------------------------------------------------------------------------- message by message


def test_a_whole_setup_of_twilio() -> None:
    frame = {
        "type": "setup",
        "sessionId": "VX" + "1" * 32,
        "callSid": CALL,
        "parentCallSid": "",
        "from": "sip:ada@example.com",
        "to": "client:desk",
        "forwardedFrom": "+15550100009",
        "callerName": "ADA",
        "direction": "outbound-api",
        "callType": "SIP",
        "callStatus": "IN_PROGRESS",
        "accountSid": "AC" + "2" * 32,
        "customParameters": {"ticket": "t-1"},
    }
    message = parse(json.dumps(frame))
    assert message == Setup(
        type="setup",
        raw=frame,
        call_sid=CALL,
        session_id="VX" + "1" * 32,
        account_sid="AC" + "2" * 32,
        from_="sip:ada@example.com",
        to="client:desk",
        forwarded_from="+15550100009",
        caller_name="ADA",
        direction="outbound-api",
        call_type="SIP",
        call_status="IN_PROGRESS",
        custom_parameters={"ticket": "t-1"},
        dialect="twilio",
    )


@pytest.mark.parametrize(
    ("fields", "call_sid", "dialect"),
    [
        ({"callSid": "v2:opaque"}, "v2:opaque", "telnyx"),
        ({"callControlId": "v2:opaque"}, "v2:opaque", "telnyx"),
        ({"callSid": "v2:opaque", "callControlId": "v2:opaque", "callLegId": "6f"}, "v2:opaque", "telnyx"),
        ({"callSid": "", "callControlId": "v3:other"}, "v3:other", "telnyx"),
        ({"callSid": CALL}, CALL, "twilio"),
        ({"callSid": "elsewhere"}, "elsewhere", "twilio"),
        ({"callSid": CALL, "callControlId": ""}, CALL, "twilio"),
    ],
)
def test_the_dialect_is_told_by_the_setup(fields: dict[str, str], call_sid: str, dialect: str) -> None:
    message = parse(json.dumps({"type": "setup", **fields}))
    assert isinstance(message, Setup)
    assert (message.call_sid, message.dialect) == (call_sid, dialect)


def test_the_frames_of_the_second_dialect() -> None:
    message = parse('{"type":"prompt","voicePrompt":"hello there","lang":"en","last":false}')
    assert message == Prompt(type="prompt", raw=message.raw, voice_prompt="hello there", lang="en", last=False)
    assert duration("1820.5") == 1820
    error = parse('{"type":"error","description":"Invalid message: unknown type: foo"}')
    assert isinstance(error, ErrorMessage)
    assert error.code is None


@pytest.mark.parametrize(
    ("description", "code"),
    [
        ("Invalid message received, code: 64107, {}", 64107),
        ("provider trouble 39001", 39001),
        ("code 164107 or 6410", None),
        ({"code": 64111}, 64111),
        ([64101], 64101),
        (64105, 64105),
        (None, None),
    ],
)
def test_an_error_code_is_read_out_of_the_description(description: Any, code: int | None) -> None:
    message = parse(json.dumps({"type": "error", "description": description}))
    assert isinstance(message, ErrorMessage)
    assert message.code == code


@pytest.mark.parametrize("value", ["on", " leading space", 148, True, None, {"ttsProvider": "Google"}, [1]])
def test_an_info_keeps_its_value_and_debug_is_a_synonym(value: Any) -> None:
    for kind in ("info", "debug"):
        message = parse(json.dumps({"type": kind, "name": "configUpdated", "value": value}))
        assert isinstance(message, Info)
        assert (message.name, message.value) == ("configUpdated", value)


# --------------------------------------------------------------------------------------- at large

WORDS = "zanzibar marmalade"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
TYPES = ["setup", "prompt", "dtmf", "interrupt", "info", "debug", "error", "connected", ""]
FIELDS = [
    "callSid",
    "callControlId",
    "customParameters",
    "from",
    "voicePrompt",
    "lang",
    "last",
    "digit",
    "name",
    "value",
]
FIELDS += ["utteranceUntilInterrupt", "durationUntilInterruptMs", "description", "event"]
FRAMES = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES) | JSON}, optional={name: JSON | st.just(WORDS) for name in FIELDS}
)


def parse_safely(frame: str | bytes) -> Message | None:
    try:
        return parse(frame)
    except RemoteProtocolError:
        return None


def reason(frame: str | bytes) -> str:
    try:
        parse(frame)
    except RemoteProtocolError as error:
        return f"{error} {error.path}"
    return ""


@given(st.text(st.characters(codec=None)) | st.binary())
@example('"\ud800"')
@example('{"type":"prompt","voicePrompt":"\ud800"}')
@example(b'{"type":"dtmf","digit":"1"}')
def test_no_text_and_no_bytes_raise_anything_else(frame: str | bytes) -> None:
    parse_safely(frame)


@given(JSON)
def test_no_json_raises_anything_else(value: Any) -> None:
    parse_safely(json.dumps(value))


@given(FRAMES)
def test_no_frame_raises_anything_else_and_raw_is_all_of_it(frame: dict[str, Any]) -> None:
    text = json.dumps(frame)
    message = parse_safely(text)
    if message is not None:
        assert message.raw == json.loads(text)


@given(FRAMES, st.integers(0, 400), st.sampled_from([WORDS, f"\x00{WORDS}", f"\\{WORDS}", f'"{WORDS}"', f" {WORDS},"]))
@example({"type": "dtmf", "digit": WORDS}, 0, "")
@example({"type": "dtmf", "digit": [WORDS], WORDS: 1}, 0, "")
@example({"type": "prompt", "voicePrompt": {WORDS: WORDS}}, 0, "")
@example({"type": [WORDS]}, 0, "")
def test_a_refusal_never_repeats_what_was_said(frame: dict[str, Any], at: int, spoken: str) -> None:
    text = json.dumps(frame)
    for broken in (text, text[:at] + spoken + text[at:]):
        for whole in (broken, broken.encode(), broken.encode() + b"\xff"):
            said = reason(whole)
            assert not any(word in said for word in WORDS.split())


@pytest.mark.skipif(not CORPUS.exists(), reason="the shared corpus of frames is not beside this clone")
def test_the_shared_corpus_is_taken_and_refused_as_marked() -> None:
    for line in CORPUS.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        assert (parse_safely(entry["frame"]) is not None) is entry["valid"], entry["note"]
