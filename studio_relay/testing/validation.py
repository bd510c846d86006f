"""What Twilio does with a message from the server: a command it obeys, or a fault it answers with 64107.

Only the shape of a message is judged here; what a command does is in `session.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

MALFORMED_LIMIT = 10
"""So many refused messages in a row close the socket with 1007."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A message as Twilio sees it: `fault` says why it is refused, `lesson` what its author should know."""

    message: Mapping[str, Any]
    fault: str | None = None
    lesson: str | None = None


_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$|multi$")
_DIGITS = re.compile(r"[0-9w#*]+$")
_URL = re.compile(r"https?://[^\s/]+")

Rule = tuple[bool, Callable[[Any], bool], str]


def _boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _loops(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1000


_OPTIONAL_FLAG: Rule = (False, _boolean, "true or false")
_OPTIONAL_TAG: Rule = (False, lambda v: isinstance(v, str) and bool(_TAG.match(v)), "a language tag")

_RULES: Mapping[str, Mapping[str, Rule]] = {
    "text": {
        "token": (True, _text, "a string"),
        "last": _OPTIONAL_FLAG,
        "lang": _OPTIONAL_TAG,
        "interruptible": _OPTIONAL_FLAG,
        "preemptible": _OPTIONAL_FLAG,
    },
    "play": {
        "source": (True, lambda v: isinstance(v, str) and bool(_URL.match(v)), "a public URL"),
        "loop": (False, _loops, "a whole number from 0 to 1000"),
        "interruptible": _OPTIONAL_FLAG,
        "preemptible": _OPTIONAL_FLAG,
    },
    "sendDigits": {
        "digits": (True, lambda v: isinstance(v, str) and bool(_DIGITS.match(v)), "some of 0-9 w # *"),
    },
    "language": {"ttsLanguage": _OPTIONAL_TAG, "transcriptionLanguage": _OPTIONAL_TAG},
    "end": {"handoffData": (False, _text, "a string (JSON text, not an object)")},
}
_UNVERIFIED = ("config", "hints")

_LESSONS: Mapping[str, str] = {
    "interrupt": "there is no `interrupt` to Twilio: send speech `preemptible`, and cut it with a plain `text`",
    "connected": "`connected` is of Media Streams; a relay begins with Twilio's `setup`, and nobody answers it",
    "start": "`start` is of Media Streams; a relay begins with Twilio's `setup`",
    "media": "`media` is of Media Streams; a relay carries text, Twilio makes the sound",
    "mark": "`mark` is of Media Streams; subscribe to tokens-played to learn what was heard",
    "message": 'there is no `message`; to speak, send {"type":"text","token":…,"last":true}',
}


def check_message(raw: str | bytes) -> Checked:
    """Judge one frame from the server. conversationrelay.md, section 3."""
    if isinstance(raw, bytes):
        return Checked(message={}, fault="a binary frame", lesson="send JSON in text frames, never binary ones")
    try:
        message = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return Checked(message={}, fault="not JSON")
    if not isinstance(message, dict):
        return Checked(message={}, fault=f"expected a JSON object, found {type(message).__name__}")
    return _check_type(message)


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _check_type(message: dict[str, Any]) -> Checked:
    kind = message.get("type")
    if kind is None and "event" in message:
        lesson = "`event` is how Media Streams name a frame; ConversationRelay frames have a `type`"
        return Checked(message=message, fault="no `type`", lesson=lesson)
    if kind in _UNVERIFIED:
        lesson = f"the layout of `{kind}` could not be verified; it is taken and changes nothing here"
        return Checked(message=message, lesson=lesson)
    if not isinstance(kind, str) or kind not in _RULES:
        taught = _LESSONS.get(str(kind))
        return Checked(message=message, fault=f"unknown type {kind!r}", lesson=taught)
    return _check_fields(message, _RULES[kind])


def _check_fields(message: dict[str, Any], rules: Mapping[str, Rule]) -> Checked:
    kind = message["type"]
    for name, (required, holds, expected) in rules.items():
        if name not in message and not required:
            continue
        if name not in message or not holds(message[name]):
            found = repr(message[name])[:60] if name in message else "nothing"
            return Checked(message=message, fault=f"`{name}` of `{kind}` must be {expected}, found {found}")
    if kind == "language" and not {"ttsLanguage", "transcriptionLanguage"} & set(message):
        return Checked(message=message, fault="`language` needs ttsLanguage or transcriptionLanguage")
    return Checked(message=message, lesson=_extra_keys(message, rules))


def _extra_keys(message: Mapping[str, Any], rules: Mapping[str, Rule]) -> str | None:
    extra = sorted(set(message) - set(rules) - {"type"})
    if not extra:
        return None
    if message["type"] == "end" and "reason" in extra:
        return "`end` has no `reason`: put it into `handoffData`, a string of JSON; it is lost as it is"
    return (
        f"`{message['type']}` has no {', '.join(f'`{name}`' for name in extra)}; whether Twilio refuses it is not known"
    )
