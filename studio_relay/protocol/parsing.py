"""From the text of a frame to a `Message`: lenient where Twilio may change, strict where JSON is not.

The rules are section 2.0 of the protocol reference: an unknown type or field passes, a bad optional field
becomes None, a bad essential field refuses the frame. Nothing here keeps state or closes a socket.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any, NoReturn

import msgspec

from studio_relay.errors import RemoteProtocolError
from studio_relay.protocol.messages import (
    Dialect,
    Dtmf,
    ErrorMessage,
    Info,
    Interrupt,
    Message,
    Prompt,
    Setup,
    Unknown,
)

DEFAULT_MAX_BYTES = 65_536
_MAX_DEPTH = 200
_MAX_DURATION_MS = 24 * 60 * 60 * 1000  # a call cannot last a day; anything beyond is not a duration
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ERROR_CODE = re.compile(r"\b(6\d{4}|39\d{3})\b")
_KEY = re.compile(r"[0-9*#A-D]")

# A text that is never closed is one match too, and no match gives back what it took: each character is read once.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NO_BRACKET = re.compile(r"[^\[\]{}]+")
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}

_decode = msgspec.json.Decoder().decode


def parse(frame: str | bytes, *, max_bytes: int = DEFAULT_MAX_BYTES) -> Message:
    """The message in `frame`.

    Raises RemoteProtocolError when the frame must be refused; its text says why and never repeats the frame.
    """
    raw = _decode_object(_as_text(frame, max_bytes))
    kind = raw.get("type")
    if not isinstance(kind, str) or not kind:
        _refuse_type(raw, kind)
    build = _BUILDERS.get(kind)
    return build(raw) if build else Unknown(type=clean(kind), raw=raw)


def clean(text: str) -> str:
    """`text` fit for logs, models and other frames: lone surrogates become U+FFFD, control characters go."""
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _CONTROL.sub("", text)


# ------------------------------------------------------------------------------------ JSON


def _as_text(frame: str | bytes, max_bytes: int) -> str:
    if isinstance(frame, bytes):
        _check_size(len(frame), max_bytes)
        try:
            return frame.decode("utf-8")
        except UnicodeDecodeError as error:
            raise RemoteProtocolError("expected UTF-8 text, found a binary frame that is not") from error
    # A character is at most four bytes, so the encoding is only counted when it could matter.
    if len(frame) * 4 > max_bytes:
        _check_size(len(frame), max_bytes)
        _check_size(len(frame.encode("utf-8", "replace")), max_bytes)
    return frame


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise RemoteProtocolError(f"expected a frame of at most {max_bytes:,} bytes, found {size:,}")


def _decode_object(text: str) -> dict[str, Any]:
    if text.count("[") + text.count("{") > _MAX_DEPTH:
        _check_depth(text)
    try:
        value = _decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        value = _decode_strictly(text)
    if not isinstance(value, dict):
        raise RemoteProtocolError(f"expected a JSON object, found {_json_name(value)}", path="$")
    return value


def _check_depth(text: str) -> None:
    brackets = _NO_BRACKET.sub("", _STRING.sub("", text))
    deepest = max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)
    if deepest > _MAX_DEPTH:
        raise RemoteProtocolError(f"expected at most {_MAX_DEPTH} levels of nesting, found {deepest:,}", path="$")


def _decode_strictly(text: str) -> Any:
    """The standard library's parser takes lone surrogates and huge floats, which real frames may hold."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RemoteProtocolError:
        raise
    except json.JSONDecodeError as error:
        raise RemoteProtocolError(f"expected JSON: {error.msg} at character {error.pos}") from error
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError("expected JSON with numbers and nesting of a sane size") from error


def _refuse_constant(name: str) -> NoReturn:
    raise RemoteProtocolError(f"expected JSON, found {name}, which JSON does not have")


def _json_name(value: Any) -> str:
    names: dict[type, str] = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _refuse_type(raw: Mapping[str, Any], kind: Any) -> NoReturn:
    if "event" in raw and "type" not in raw:
        raise RemoteProtocolError(
            "found a Media Streams frame (`event`, no `type`): the TwiML used <Stream>; "
            "use <ConversationRelay> to reach this server",
            path="$.type",
        )
    found = "nothing" if "type" not in raw else "an empty text" if kind == "" else type(kind).__name__
    raise RemoteProtocolError(f"expected a text that is not empty at `$.type`, found {found}", path="$.type")


# -------------------------------------------------------------------------------- the messages


def _setup(raw: dict[str, Any]) -> Setup:
    call_sid = _text(raw.get("callSid")) or _text(raw.get("callControlId"))
    if not call_sid:
        raise RemoteProtocolError("expected `callSid` in a setup, found none", path="$.callSid")
    return Setup(
        type="setup",
        raw=raw,
        call_sid=call_sid,
        session_id=_text(raw.get("sessionId")),
        account_sid=_text(raw.get("accountSid")),
        parent_call_sid=_text(raw.get("parentCallSid")),
        from_=_text(raw.get("from")),
        to=_text(raw.get("to")),
        forwarded_from=_text(raw.get("forwardedFrom")),
        caller_name=_text(raw.get("callerName")),
        direction=_text(raw.get("direction")),
        call_type=_text(raw.get("callType")),
        call_status=_text(raw.get("callStatus")),
        custom_parameters=_parameters(raw.get("customParameters")),
        dialect=_dialect(raw, call_sid),
    )


def _dialect(raw: Mapping[str, Any], call_sid: str) -> Dialect:
    return "telnyx" if raw.get("callControlId") or call_sid.startswith("v2:") else "twilio"


def _prompt(raw: dict[str, Any]) -> Prompt:
    spoken = _scalar(raw.get("voicePrompt"))
    if spoken is None:
        raise RemoteProtocolError(
            f"expected text at `$.voicePrompt`, found {_found(raw, 'voicePrompt')}", path="$.voicePrompt"
        )
    last = raw.get("last", True)
    if type(last) is not bool:
        last = _boolean(last) is not False
    return Prompt(type="prompt", raw=raw, voice_prompt=spoken, lang=_scalar(raw.get("lang")) or None, last=last)


def _dtmf(raw: dict[str, Any]) -> Dtmf:
    digit = _text(raw.get("digit"))
    if not _KEY.fullmatch(digit):
        raise RemoteProtocolError(
            f"expected one key (0-9, *, #, A-D) at `$.digit`, found {_found(raw, 'digit')}", path="$.digit"
        )
    return Dtmf(type="dtmf", raw=raw, digit=digit)


def _interrupt(raw: dict[str, Any]) -> Interrupt:
    return Interrupt(
        type="interrupt",
        raw=raw,
        utterance_until_interrupt=_text(raw.get("utteranceUntilInterrupt")),
        duration_until_interrupt_ms=_duration(raw.get("durationUntilInterruptMs")),
    )


def _info(raw: dict[str, Any]) -> Info:
    name = raw.get("name")
    if not isinstance(name, str) or not name:
        raise RemoteProtocolError(f"expected text at `$.name`, found {_found(raw, 'name')}", path="$.name")
    value = raw.get("value")
    return Info(type="info", raw=raw, name=_text(name), value=_text(value) if isinstance(value, str) else value)


def _error(raw: dict[str, Any]) -> ErrorMessage:
    description = raw.get("description")
    text = _text(description) if not isinstance(description, dict | list) else clean(json.dumps(description))
    code = _ERROR_CODE.search(text)
    return ErrorMessage(type="error", raw=raw, description=text, code=int(code.group()) if code else None)


_BUILDERS: dict[str, Callable[[dict[str, Any]], Message]] = {
    "setup": _setup,
    "prompt": _prompt,
    "dtmf": _dtmf,
    "interrupt": _interrupt,
    "info": _info,
    "debug": _info,  # the same body under an older name (section 2.6)
    "error": _error,
}


# ----------------------------------------------------------------------------------- coercions


def _text(value: Any) -> str:
    return _scalar(value) or ""


def _scalar(value: Any) -> str | None:
    """The text of a string or number, else None. JSON has one kind of number: 1.0 is the key 1."""
    if isinstance(value, str):
        return value if value.isprintable() else clean(value)  # printable text, the usual one, is clean
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)


def _is_finite(value: int | float) -> bool:
    return isinstance(value, int) or math.isfinite(value)


def _parameters(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict):
        return {}
    return {clean(name): _parameter(item) for name, item in value.items()}


def _parameter(value: Any) -> str:
    if isinstance(value, str):
        return clean(value)
    return "" if value is None else clean(json.dumps(value, ensure_ascii=False))


def _boolean(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False, "1": True, "0": False}.get(value.strip().lower())
    return bool(value) if value in (0, 1) else None


def _duration(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return round(number) if math.isfinite(number) and 0 <= number <= _MAX_DURATION_MS else None


def _found(raw: Mapping[str, Any], field: str) -> str:
    if field not in raw:
        return "nothing"
    value = raw[field]
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    return _json_name(value) if not isinstance(value, dict) else "an object"
