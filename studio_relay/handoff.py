"""What a call hands back to its flow: the `Handoff` model and its form on the wire; sends nothing.

On the wire a handoff is compact JSON text in camelCase, `reasonCode` and `version` first, values flat:

    {"reasonCode":"person","version":1,"summary":"Parcel late","callbackNumber":"+15550100007"}

Flows branch on `reasonCode`. Studio hands the text on verbatim as `HandoffData` (protocol reference, 3.5).
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Mapping
from math import isfinite
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticSerializationError

from studio_relay.errors import HandoffError

DEFAULT_MAX_BYTES = 4_096
REASON_CODE = re.compile(r"[a-z][a-z0-9-]{0,31}")
SERVER_CODES = ("relay-agent-failed", "relay-limit", "relay-draining")
RESERVED = "relay-"
"""How the server's own codes begin, today's and tomorrow's; flows and `/connect-action` trust them."""
_ELLIPSIS = "…"


class Handoff(BaseModel):
    """What an agent hands over; subclass it with `reason_code: Literal[...]` and fields of your own.

    `reason_code` matches `[a-z][a-z0-9-]{0,31}`; `summary` is for a person to read and is shortened if the
    whole exceeds `STUDIO_RELAY_MAX_HANDOFF_BYTES`. Field names are snake_case here and camelCase on the wire.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        ser_json_inf_nan="constants",  # refused below, rather than dropped without a word
    )

    reason_code: str
    version: int = 1
    summary: str = ""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        check_codes(reason_codes(cls), cls.__name__)

    def to_wire(self, max_bytes: int = DEFAULT_MAX_BYTES) -> str:
        """The text of `handoffData`, at most `max_bytes` of UTF-8.

        Raises HandoffError for a code that flows cannot match, a value that is not flat, or too long a text.
        """
        try:
            members = self.model_dump(by_alias=True, mode="json")
        except PydanticSerializationError as error:
            raise HandoffError(f"handoff: expected values that JSON can hold: {error}. Nothing was sent.") from None
        return wire_text(members, max_bytes)


def as_handoff(data: Handoff | Mapping[str, Any], model: type[Handoff] | None = None) -> Handoff:
    """`data`, a handoff or its wire form, checked by the agent's model.

    Raises HandoffError naming the member that is wrong and what the model expects, and for a reserved code.
    """
    handoff = _as_handoff(data, model)
    if str(handoff.reason_code).startswith(RESERVED):
        raise HandoffError(
            f"handoff.reasonCode: expected a code of your own, got one that begins with {RESERVED!r}, which is "
            "reserved for the server. Choose another word. Nothing was sent."
        )
    return handoff


def _as_handoff(data: Handoff | Mapping[str, Any], model: type[Handoff] | None) -> Handoff:
    if isinstance(data, Handoff):
        return data
    if not isinstance(data, Mapping):
        raise HandoffError(f"handoff: expected a Handoff or a dict, found {type(data).__name__}. Nothing was sent.")
    wanted = model or OpenHandoff
    try:
        return wanted.model_validate(dict(data))
    except ValidationError as error:
        raise HandoffError(_explain(error, wanted)) from None


def server_handoff(code: str, summary: str = "") -> Handoff:
    """A handoff of the server's own; `code` is one of SERVER_CODES."""
    return Handoff(reason_code=code, summary=summary)


def wire_text(members: Mapping[str, Any], max_bytes: int) -> str:
    """The wire form of `members` (camelCase names), checked and shortened to `max_bytes`."""
    ordered = _ordered(members)
    _check_members(ordered)
    text = _compact(ordered)
    excess = _size(text) - max_bytes
    if excess <= 0:
        return text
    ordered["summary"] = _shortened(ordered.get("summary") or "", excess)
    text = _compact(ordered)
    if _size(text) > max_bytes:
        raise HandoffError(
            f"handoff: expected at most {max_bytes:,} bytes, found {_size(text):,} even without the summary; "
            "hand over a reference and keep the rest on your side. Nothing was sent."
        )
    return text


def reason_codes(model: type[Handoff]) -> tuple[str, ...]:
    """The codes a model declares by `reason_code: Literal[...]`; empty when any code is allowed."""
    annotation = model.model_fields["reason_code"].annotation
    return tuple(get_args(annotation)) if get_origin(annotation) is Literal else ()


def check_codes(codes: tuple[str, ...], owner: str) -> None:
    """Raise HandoffError unless flows can tell `codes` apart: they match substrings (`contains`)."""
    for code in codes:
        if not REASON_CODE.fullmatch(str(code)):
            raise HandoffError(
                f"{owner}: the reason code {code!r} must match {REASON_CODE.pattern}; for example 'call-back'"
            )
        if code in SERVER_CODES:
            raise HandoffError(f"{owner}: the reason code {code!r} is the server's own; choose another word")
        others = [other for other in (*codes, *SERVER_CODES) if other != code]
        alike = next((other for other in others if code in other or other in code), None)
        if alike:
            part, whole = sorted((code, alike), key=len)
            raise HandoffError(
                f"{owner}: the reason code {part!r} is part of {whole!r}, and flows that use `contains` "
                "cannot tell them apart; choose another word"
            )
        if code.startswith(RESERVED):
            raise HandoffError(
                f"{owner}: the reason code {code!r} begins with {RESERVED!r}, which is reserved for the server; "
                "choose another word"
            )


def _ordered(members: Mapping[str, Any]) -> dict[str, Any]:
    first = {name: members[name] for name in ("reasonCode", "version") if name in members}
    return {**first, **{name: value for name, value in members.items() if name not in first and value is not None}}


def _check_members(members: Mapping[str, Any]) -> None:
    code = members.get("reasonCode")
    if not isinstance(code, str) or not REASON_CODE.fullmatch(code):
        raise HandoffError(
            f"handoff.reasonCode: expected text that matches {REASON_CODE.pattern}, found {_shape(code)}. "
            "Nothing was sent."
        )
    for name, value in members.items():
        if not isinstance(value, str | int | float | bool):
            raise HandoffError(
                f"handoff.{name}: expected text, a number or a boolean, found {type(value).__name__}: "
                "flows read flat values; spread it over several members. Nothing was sent."
            )
        if isinstance(value, float) and not isfinite(value):
            raise HandoffError(
                f"handoff.{name}: expected a number that JSON can hold, found {value}. Nothing was sent."
            )


def _compact(members: Mapping[str, Any]) -> str:
    text = json.dumps(members, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _size(text: str) -> int:
    return len(text.encode())


def _shortened(summary: str, excess: int) -> str:
    """`summary` less at least `excess` bytes of JSON, cut at a word, with an ellipsis; empty if nothing is left."""
    room = _written(summary) - excess - _size(_ELLIPSIS)
    if room <= 0:
        return ""
    summary = summary[: room + 1]  # a character takes a byte at least
    kept = bisect_right(range(len(summary) + 1), room, key=lambda count: _written(summary[:count])) - 1
    if not kept:
        return ""
    cut = summary[:kept]
    within_word = not (summary[kept : kept + 1].isspace() or cut[-1].isspace())
    at_word = cut.rsplit(None, 1)[0] if within_word and " " in cut else cut
    return at_word.rstrip() + _ELLIPSIS


def _written(text: str) -> int:
    """Bytes that `text` takes inside JSON."""
    return _size(_compact({"": text})) - _size(_compact({"": ""}))


def _explain(error: ValidationError, model: type[Handoff]) -> str:
    faults = []
    for fault in error.errors(include_url=False, include_input=False):
        where = ".".join(str(part) for part in fault["loc"]) or "handoff"
        faults.append(f"{where}: {said_of(fault)}")
    allowed = ", ".join(field.alias or name for name, field in model.model_fields.items())
    return f"handoff does not fit {model.__name__} ({allowed}): {'; '.join(faults)}. Nothing was sent."


def said_of(fault: ErrorDetails) -> str:
    """What pydantic says of a value. A validator's own words may repeat the value, and it may be a caller's."""
    return "its own validator refuses it" if fault["type"] in ("value_error", "assertion_error") else fault["msg"]


def _shape(value: object) -> str:
    return f"another text of {len(value)} characters" if isinstance(value, str) else type(value).__name__


class OpenHandoff(Handoff):
    """The model of an agent that declares none: any flat members beside `reasonCode`."""

    model_config = ConfigDict(frozen=True, extra="allow", alias_generator=to_camel, populate_by_name=True)
