"""What a refusal tells, whatever words it is in: the place, the form, a type, a list of values, names.

Twilio's words are known in part and may change, so nothing here is taken for a fact: it says what to ask next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TYPES = {
    "string": {"string", "str", "text"},
    "boolean": {"boolean", "bool"},
    "integer": {"integer", "int", "long"},
    "number": {"number", "double", "float", "decimal", "numeric"},
    "array": {"array", "list"},
    "object": {"object", "map", "dict", "dictionary"},
    "null": {"null"},
}
_NO_NAMES = {"properties", "transitions", "states", "type", "name", "conditions", "event", "required", "key", "value"}
_OPENS = r"(?<![\w\]])[\[({]"
"""A bracket that is no index."""
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"


@dataclass(frozen=True, kw_only=True)
class Complaint:
    """One line of a refusal: the validator's words and the path it gives, "" if none."""

    path: str = ""
    message: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the validator says about a definition; `reason` is what stands around the complaints."""

    valid: bool
    complaints: tuple[Complaint, ...] = ()
    reason: str = ""


def place(complaint: Complaint) -> int | None:
    """The index of the state that is meant, counted from 0; None if the complaint does not say."""
    for text in (complaint.path, complaint.message):
        found = re.search(r"\bstates\W{1,3}(\d+)", text)
        if found:
            return int(found[1])
    return None


def widget(complaint: Complaint, prefix: str) -> int | None:
    """The number behind `prefix` in the name of the widget that is meant; None if no name is said."""
    found = re.search(rf"\b{prefix}(\d+)\b", f"{complaint.path} {complaint.message}")
    return int(found[1]) if found else None


def form(complaint: Complaint, key: str) -> str:
    """The complaint without what is special to this place and property, to be compared with another's."""
    text = f"{complaint.path} | {complaint.message}"
    text = re.sub(rf"(?<![A-Za-z0-9_]){re.escape(key)}(?![A-Za-z0-9_])", "KEY", text)
    return re.sub(r"\d+", "N", text).casefold()


def expected_type(message: str, sent: str) -> str | None:
    """The JSON type that a message names beside the one that was sent."""
    for word in re.findall(r"\w+", message.casefold()):
        for name, synonyms in _TYPES.items():
            if word in synonyms and name != sent:
                return name
    return None


def says_unknown(message: str) -> bool:
    """Whether the words sound as if the property did not exist at all."""
    return bool(
        re.search(r"not defined|additional|unknown|unexpected|unrecogni|unsupported|not allowed", message, re.I)
    )


def listed(message: str) -> tuple[str, ...]:
    """The values that a message lists as allowed: in brackets, behind "one of", or one constant."""
    found = re.findall(rf"{_OPENS}([^\[\](){{}}]+)[\])}}]", message)
    text = found[-1] if found else ""
    if not text:
        after = re.search(r"(?:one of|any of|allowed|constant value|equal to|expected)\W*\s(.+?)\.?$", message, re.I)
        text = after[1] if after else ""
    quoted = re.findall(r"\"([^\"]+)\"|'([^']+)'|`([^`]+)`", text)
    if quoted:
        return tuple(dict.fromkeys("".join(groups) for groups in quoted))
    parts = (part.strip() for part in re.split(r"\s*,\s*|\s+\bor\b\s+|\s*\|\s*", text))
    return tuple(dict.fromkeys(part for part in parts if re.fullmatch(r"[\w.:/+-]+", part)))


def names(complaint: Complaint) -> tuple[str, ...]:
    """What may be names of properties in a complaint, the likeliest first."""
    return tuple(dict.fromkeys(name for name in _names(complaint) if name not in _NO_NAMES and not _is_type(name)))


def _names(complaint: Complaint) -> Iterator[str]:
    tail = re.split(r"[/.\]\[#$]+", complaint.path.strip("/.]'\""))[-1].strip("'\"")
    if re.fullmatch(_NAME, tail):
        yield tail
    message = complaint.message
    yield from re.findall(rf"\$(?:[\w\[\]/#]*[./])?({_NAME})\s*:", message)
    yield from re.findall(rf"[\"'`]({_NAME})[\"'`]", message)
    yield from re.findall(rf"\bproperties[./]({_NAME})", message)
    for inside in re.findall(rf"{_OPENS}([^\[\](){{}}]+)[\])}}]", message):
        yield from re.findall(rf"(?<![\w.])({_NAME})(?![\w.])", inside)
    yield from re.findall(rf"^({_NAME})(?=:|\s+is\b|\s+must\b)", message)
    yield from re.findall(r"\b[A-Za-z][A-Za-z0-9]*_[A-Za-z0-9_]+\b", message)


def _is_type(word: str) -> bool:
    return any(word.casefold() in synonyms for synonyms in _TYPES.values())
