"""The execution context of a flow: its four namespaces, how they begin and how outputs are merged into them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

EXECUTION_SID = "FN" + "0" * 32
FLOW_SID = "FW" + "0" * 32

_CALL_DEFAULTS = {
    "CallSid": "CA" + "0" * 32,
    "AccountSid": "AC" + "0" * 32,
    "From": "+15550100001",
    "To": "+15550100002",
    "Direction": "inbound",
    "CallStatus": "ringing",
    "ApiVersion": "2010-04-01",
}
_SCRIPT_NAMES = {
    "from": "From",
    "to": "To",
    "direction": "Direction",
    "call_sid": "CallSid",
    "account_sid": "AccountSid",
    "call_status": "CallStatus",
}
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?", re.ASCII)
_QUOTED_NUMBER = re.compile(r'"(-?\d+(?:\.\d+)?)"', re.ASCII)


class BadValue(ValueError):
    """A rendered text that is not what its declared type says (Twilio's 81027)."""


def call_of(given: Mapping[str, str]) -> dict[str, str]:
    """`trigger.call`: Twilio's parameter names, with stand-ins for what was not given."""
    call = _CALL_DEFAULTS | {_SCRIPT_NAMES.get(key, key): str(value) for key, value in given.items()}
    return {"Caller": call["From"], "Called": call["To"]} | call


def first_context(trigger: str, given: Mapping[str, str], data: Mapping[str, Any]) -> dict[str, Any]:
    """The context as an execution begins, for a flow started by the event `trigger`."""
    call = call_of(given)
    outbound = trigger == "incomingRequest"
    twilio_side, user_side = (call["From"], call["To"]) if outbound else (call["To"], call["From"])
    return {
        "flow": {
            "sid": EXECUTION_SID,
            "flow_sid": FLOW_SID,
            "channel": {"address": twilio_side},
            "data": dict(data),
            "variables": {},
        },
        "trigger": _trigger_namespace(trigger, call, dict(given), data),
        "widgets": {},
        "contact": {"channel": {"address": user_side}},
    }


def _trigger_namespace(
    trigger: str, call: dict[str, str], given: dict[str, str], data: Mapping[str, Any]
) -> dict[str, Any]:
    if trigger == "incomingRequest":
        return {"request": {"from": call["From"], "to": call["To"], "parameters": dict(data)}}
    if trigger == "incomingMessage":
        return {"message": {"From": call["From"], "To": call["To"]} | given}
    if trigger == "incomingConversationMessage":
        return {"conversation": given}
    if trigger == "incomingParent":
        return {"parent": {"parameters": dict(data)}}
    return {"call": call}


def subflow_context(parent: Mapping[str, Any], parameters: Mapping[str, Any], flow_sid: str) -> dict[str, Any]:
    """The context of a subflow: its own variables and widgets, the parent's parameters, the same contact."""
    flow = parent["flow"]
    return {
        "flow": {
            "sid": EXECUTION_SID,
            "flow_sid": flow_sid,
            "channel": flow["channel"],
            "data": {},
            "variables": {},
        },
        "trigger": {
            "parent": {
                "parameters": dict(parameters),
                "execution_sid": flow["sid"],
                "flow_sid": flow["flow_sid"],
                "trigger_type": next(iter(parent["trigger"]), ""),
            }
        },
        "widgets": {},
        "contact": parent["contact"],
    }


def merge_outputs(context: dict[str, Any], widget: str, outputs: Mapping[str, Any], *, keep_parsed: bool) -> None:
    """Put a widget's outputs in place of those of its last run.

    `keep_parsed`: Run Function and Make HTTP Request merge `parsed` into the old object.
    """
    new = dict(outputs)
    old = context["widgets"].get(widget, {})
    if keep_parsed and isinstance(old.get("parsed"), dict):
        new["parsed"] = old["parsed"] | new.get("parsed", {})
    context["widgets"][widget] = new


def typed(text: str, kind: str) -> Any:
    """The value Set Variables stores for a rendered text.

    A text that is a number is stored as one, a number in double quotes as text; `json_object` is parsed and must
    be an object. Raises BadValue. That a number with leading zeros, a plus sign or blanks stays text is our
    inference, and so is leaving `true` and `false` as text.
    """
    if kind == "json_object":
        return _json_object(text)
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    quoted = _QUOTED_NUMBER.fullmatch(text.strip())
    return quoted.group(1) if quoted else text


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise BadValue("the value is not JSON") from None
    if not isinstance(value, dict):
        raise BadValue("the value is JSON, but not an object")
    return value


def parsed_body(body: str, content_type: str) -> dict[str, Any] | None:
    """`parsed` of a web answer: there only for `application/json` with an object."""
    if content_type.split(";")[0].strip().lower() != "application/json":
        return None
    try:
        return _json_object(body)
    except BadValue:
        return None
