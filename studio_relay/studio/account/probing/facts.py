"""What was learnt about the relay widget, as the anonymous file `widget-facts.json`; asks nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from studio_relay.studio.account.probing.asker import Names
from studio_relay.studio.account.probing.candidates import CONTROL, FREE_TEXT, candidates, json_type
from studio_relay.studio.account.probing.inquiry import Finding, Inquiry, Refusal
from studio_relay.studio.account.probing.questions import WIDGET_TYPE
from studio_relay.studio.account.probing.words import Complaint

T = TypeVar("T")
Unknown = Literal["refused", "ignored", "undetermined"]
Taken = Literal["yes", "no", "undetermined"]
_REPORT_INPUT = ("report_input_during_agent_speech", "reportInputDuringAgentSpeech", "report_input")


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A value that was refused, and why in the validator's words, "" if it has none."""

    value: Any
    words: str = ""

    def to_json(self) -> dict[str, Any]:
        """As the file has it."""
        return {"value": self.value, **({"words": self.words} if self.words else {})}


@dataclass(frozen=True, kw_only=True)
class Property:
    """One property that exists. `json` is its JSON type, or `undetermined`; `required` None where that is open.

    `one_of` are the values the validator lists, or else those of ours it accepted while it refused free text;
    `one_of_complete` says that they are the validator's own list.
    """

    json: str
    required: bool | None
    accepted: tuple[Any, ...] = ()
    refused: tuple[Refused, ...] = ()
    one_of: tuple[str, ...] = ()
    one_of_complete: bool = False

    def to_json(self) -> dict[str, Any]:
        """As the file has it."""
        row: dict[str, Any] = {"json": self.json}
        row["required"] = "undetermined" if self.required is None else self.required
        if self.one_of:
            row |= {"one_of": list(self.one_of), "one_of_complete": self.one_of_complete}
        return row | {"accepted": list(self.accepted), "refused": [one.to_json() for one in self.refused]}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What one validator says about the relay widget.

    `not_accepted`: names for which nothing was accepted, with the types that were asked; `not_properties`: names
    that the validator treats as one that cannot exist. `undetermined`: names that were not asked, or not enough.
    """

    asked: int
    names: Names
    unknown_properties: Unknown
    unknown_events: Unknown
    properties: Mapping[str, Property]
    not_properties: tuple[str, ...]
    not_accepted: Mapping[str, tuple[str, ...]]
    undetermined: tuple[str, ...]
    events: tuple[str, ...]
    not_events: tuple[str, ...]
    event_words: tuple[str, ...]
    unknown_words: tuple[str, ...]

    @property
    def takes_report_input(self) -> Taken:
        """Whether the widget can ask for what callers say over speech; `no` if no spelling of it is a property."""
        if any(name in self.properties for name in _REPORT_INPUT):
            return "yes"
        refused = {*self.not_properties, *self.not_accepted}
        return "no" if refused.issuperset(_REPORT_INPUT[:2]) else "undetermined"

    def to_json(self) -> dict[str, Any]:
        """The file: nothing in it says whose account was asked, or when."""
        return {
            "version": 1,
            "widget": WIDGET_TYPE,
            "asked": self.asked,
            "validator": {
                "faults_named": self.names,
                "unknown_properties": self.unknown_properties,
                "unknown_events": self.unknown_events,
                "words": list(self.unknown_words),
            },
            "properties": {name: found.to_json() for name, found in self.properties.items()},
            "not_properties": list(self.not_properties),
            "not_accepted": {name: list(types) for name, types in self.not_accepted.items()},
            "undetermined": list(self.undetermined),
            "takes_report_input_during_agent_speech": self.takes_report_input,
            "events": list(self.events),
            "not_events": list(self.not_events),
            "event_words": list(self.event_words),
        }


def conclude(inquiry: Inquiry) -> Facts:
    """What the answers allow to say, and no more."""
    worth = [name for name, one in candidates().keys.items() if not one.is_remote]
    findings = {name: inquiry.finding(name) for name in dict.fromkeys((*worth, *inquiry.findings))}
    findings.pop(CONTROL, None)
    events = dict.fromkeys((*candidates().events, *inquiry.events))
    there = {name: one for name, one in findings.items() if one.exists}
    open_ = {name: one for name, one in findings.items() if one.exists is None}
    tried = {name: tuple(_types(refusal.value for refusal in one.refused)) for name, one in open_.items()}
    ignored = inquiry.ignores_unknown
    return Facts(
        asked=inquiry.asker.asked,
        names=inquiry.asker.names,
        unknown_properties=_unknown(ignored),
        unknown_events=_unknown(inquiry.ignores_events),
        properties={name: _property(one) for name, one in there.items()},
        not_properties=tuple(sorted(name for name, one in findings.items() if one.exists is False)),
        not_accepted={name: types for name, types in tried.items() if types},
        undetermined=tuple(name for name, types in tried.items() if not types),
        events=tuple(name for name in events if inquiry.events.get(name)),
        not_events=tuple(sorted(name for name, accepted in inquiry.events.items() if not accepted)),
        event_words=_words(one for said in inquiry.event_words.values() for one in said),
        unknown_words=_words(inquiry.unknown_complaints),
    )


def _unknown(ignored: bool | None) -> Unknown:
    return "undetermined" if ignored is None else "ignored" if ignored else "refused"


def _property(finding: Finding) -> Property:
    one_of, complete = _one_of(finding)
    return Property(
        json=_json(finding),
        required=finding.required,
        accepted=tuple(_in_order(finding.accepted, lambda value: value)),
        refused=tuple(_in_order(map(_refused, finding.refused), lambda one: one.value)),
        one_of=one_of,
        one_of_complete=complete,
    )


def _refused(refusal: Refusal) -> Refused:
    return Refused(value=refusal.value, words="; ".join(_words(refusal.complaints)))


def _in_order(rows: Iterable[T], value_of: Callable[[T], Any]) -> list[T]:
    """Rows by type and value, each value once; the order of answers is the validator's whim."""
    known = {(json_type(value_of(row)), repr(value_of(row))): row for row in rows}
    return [known[key] for key in sorted(known)]


def _json(finding: Finding) -> str:
    """The one type that all accepted values have; `any` for several; else what the validator's words expect."""
    found = set(_types(value for value in finding.accepted if value != []))
    if "pairs" in found and "array" in found:
        found -= {"pairs"}
    if "number" in found:
        found -= {"integer"}
    found -= {"null"} if len(found) > 1 else set()
    if len(found) == 1:
        return found.pop()
    if found:
        return "any"
    return ("array" if [] in finding.accepted else finding.expected) or "undetermined"


def _one_of(finding: Finding) -> tuple[tuple[str, ...], bool]:
    texts = [value for value in finding.accepted if isinstance(value, str)]
    refused = [refusal.value for refusal in finding.refused]
    if not texts or FREE_TEXT not in refused:
        return (), False
    if finding.listed and all(value in texts for value in finding.listed):
        return finding.listed, True
    return (tuple(dict.fromkeys(texts)), False) if finding.candidate.kind in ("choice", "flag") else ((), False)


def _types(values: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(json_type(value) for value in values))


def _words(complaints: Iterable[Complaint]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(anonymous(one.message) for one in complaints))[:12]


def anonymous(text: str) -> str:
    """A message without SIDs, addresses, numbers of states and anything that might be a secret or a date."""
    text = re.sub(r"\b[A-Z]{2}[0-9a-fA-F]{32}\b", "SID", text)
    text = re.sub(r"\b(?:https?|wss?)://[^\s\"'\])]+", "URL", text)
    text = re.sub(r"\b[\w.+-]+@[\w-]+\.[\w.]+", "ADDRESS", text)
    text = re.sub(r"\b[0-9a-fA-F]{16,}\b", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[T \d:.Z+-]*", "DATE", text)
    text = re.sub(r"\+?\d{7,}", "NUMBER", text)
    text = re.sub(r"(states\W{1,3})\d+", r"\1N", text)
    text = re.sub(r"\bprobe_\d+\b", "WIDGET", text).replace(CONTROL, "NAME")
    return text[:300]
