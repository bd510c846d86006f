"""What Twilio's own validator refuses about the properties of a widget, by the table of widget facts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from studio_relay.studio.diagnostics import Severity
from studio_relay.studio.flow import Widget, did_you_mean
from studio_relay.studio.rules import Found, at, rule
from studio_relay.studio.rules.structure import MISSING, type_name
from studio_relay.studio.subject import Subject, is_placeholder
from studio_relay.studio.widgets import PropertyFacts, WidgetFacts, catalog, facts

_JSON_NAMES = {"pairs": "array"}
_FLOW_SID = re.compile(r"FW[0-9a-fA-F]{32}")


def _known(subject: Subject) -> Iterator[tuple[Widget, WidgetFacts]]:
    for widget in subject.flow.states.values():
        known = facts(widget.type)
        if known and known.certainty != "listed":
            yield widget, known


def _weak(spec: PropertyFacts) -> Severity | None:
    """What is known from one source, or where exports disagree, cannot be an error."""
    return "warning" if spec.lenient or spec.certainty in ("skill", "guess") else None


@rule("SR201", "a property of the wrong JSON type", severity="error", impact=7)
def wrong_types(subject: Subject) -> Iterator[Found]:
    """Some numbers and flags must be JSON strings, others real integers and booleans; Twilio's validator is strict."""
    for widget, known in _known(subject):
        for key, value in widget.properties.items():
            spec = known.properties.get(key)
            if spec is None or is_placeholder(value) or _fits(spec.json, value):
                continue
            expected = _JSON_NAMES.get(spec.json, spec.json)
            words = f"{type_name(value)} found, {expected} expected"
            yield at(widget, f"properties/{key}", words, hint=_conversion(spec.json, value), severity=_weak(spec))


def _fits(kind: str, value: Any) -> bool:
    if kind == "any":
        return True
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    wanted = {"string": str, "boolean": bool, "array": list, "object": dict, "pairs": list}[kind]
    return isinstance(value, wanted)


def _conversion(kind: str, value: Any) -> str:
    if kind == "string" and isinstance(value, (bool, int)):
        return f'Put it in quotes: "{str(value).lower()}".'
    if kind == "integer" and isinstance(value, str) and value.strip().lstrip("-").isdigit():
        return f"Take the quotes away: {value.strip()}."
    if kind == "integer" and isinstance(value, str) and "{{" in value:
        return "Liquid is not possible here; write a number."
    if kind == "boolean" and isinstance(value, str) and value.lower() in ("true", "false"):
        return f"Take the quotes away: {value.lower()}."
    return 'Write a list of {"key": ..., "value": ...} objects.' if kind == "pairs" else ""


@rule("SR202", "a required property is missing", severity="error", impact=7)
def missing(subject: Subject) -> Iterator[Found]:
    """Twilio's schema requires it."""
    for widget, known in _known(subject):
        for key, spec in known.properties.items():
            if spec.required and widget.properties.get(key) is None:
                yield at(widget, f"properties/{key}", MISSING)


@rule("SR203", "a value that is not one of the possible ones", severity="error", impact=6)
def not_in_enumeration(subject: Subject) -> Iterator[Found]:
    """The property takes one of a few words, spelled exactly so."""
    for widget, known in _known(subject):
        for key, spec in known.properties.items():
            value = widget.properties.get(key)
            if not spec.one_of or not isinstance(value, str) or value == "" or _computed(value):
                continue
            if value not in spec.one_of:
                words = f"{value!r} does not have a value in the enumeration {list(spec.one_of)}"
                hint = did_you_mean(value, spec.one_of).strip()
                yield at(widget, f"properties/{key}", words, hint=hint, severity=_weak(spec))


def _computed(value: str) -> bool:
    return "{{" in value or "{%" in value or is_placeholder(value)


@rule("SR204", "a value out of its range", severity="warning", impact=3)
def out_of_range(subject: Subject) -> Iterator[Found]:
    """The range is the documented one; whether Twilio's validator enforces it is unverified."""
    for widget, known in _known(subject):
        for key, spec in known.properties.items():
            value = widget.properties.get(key)
            if _outside(spec, value):
                yield at(widget, f"properties/{key}", f"{value} is out of the range {_range(spec)}")
            if isinstance(value, str) and spec.max_length and len(value) > spec.max_length and not _computed(value):
                yield at(widget, f"properties/{key}", f"must be at most {spec.max_length} characters long")
            if isinstance(value, list) and spec.min_items and len(value) < spec.min_items:
                words = f"there must be a minimum of {spec.min_items} items in the array"
                yield at(widget, f"properties/{key}", words, severity="error")


def _outside(spec: PropertyFacts, value: Any) -> bool:
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    return (spec.min is not None and value < spec.min) or (spec.max is not None and value > spec.max)


def _range(spec: PropertyFacts) -> str:
    return f"{'' if spec.min is None else spec.min} to {'any' if spec.max is None else spec.max}".strip()


@rule("SR205", "an entry of a list is not a key and a value", severity="error", impact=6)
def pair_shape(subject: Subject) -> Iterator[Found]:
    """Parameters are lists of `{"key": ..., "value": ...}` with texts, never JSON objects."""
    for widget, known in _known(subject):
        lists = [key for key, spec in known.properties.items() if spec.json == "pairs"]
        for key in [*lists, *(["variables"] if widget.type == "set-variables" else [])]:
            rows = widget.properties.get(key)
            for number, row in enumerate(rows if isinstance(rows, list) else []):
                place = f"properties/{key}/{number}"
                for below, words, hint in _pair_faults(row):
                    yield at(widget, place + below, words, hint=hint)


def _pair_faults(row: Any) -> Iterator[tuple[str, str, str]]:
    if not isinstance(row, dict):
        yield "", f"{type_name(row)} found, object expected", 'Write {"key": ..., "value": ...}.'
        return
    if not isinstance(row.get("key"), str):
        yield "/key", MISSING if "key" not in row else f"{type_name(row['key'])} found, string expected", ""
    if "value" not in row:
        yield "/value", MISSING, ""
    elif row["value"] is not None and not isinstance(row["value"], str):
        words = f"{type_name(row['value'])} found, string expected"
        yield "/value", words, _conversion("string", row["value"])


@rule("SR206", "a property nobody knows", severity="notice", impact=1)
def unknown_properties(subject: Subject) -> Iterator[Found]:
    """Whether Twilio refuses unknown properties is unverified. A name that is another document's word for a known
    property is a warning, since Studio does not read it."""
    for widget, known in _known(subject):
        for key in widget.properties:
            if key == "offset" or key in known.properties:
                continue
            stand_in = catalog().stand_ins.keys.get(key)
            meant = stand_in if stand_in in known.properties else None
            hint = f"Did you mean {meant!r}?" if meant else did_you_mean(key, known.properties).strip()
            words = f"is not a property of {widget.type} that we know"
            yield at(widget, f"properties/{key}", words, hint=hint, severity="warning" if hint else None)


@rule("SR207", "a literal SID is needed", severity="error", impact=6)
def literal_sids(subject: Subject) -> Iterator[Found]:
    """Twilio has to know the subflow when the flow is saved, so Liquid is refused there."""
    for widget, known in _known(subject):
        for key, spec in known.properties.items():
            value = widget.properties.get(key)
            if not spec.literal_sid or not isinstance(value, str) or is_placeholder(value):
                continue
            if "{{" in value or "{%" in value:
                yield at(widget, f"properties/{key}", "must be a valid, non-liquid flow sid")
            elif not _FLOW_SID.fullmatch(value):
                words = "is not a flow SID (FW and 32 hexadecimal digits)"
                yield at(widget, f"properties/{key}", words, severity="warning")


@rule("SR208", "a widget for REST flows in a flow that is not one", severity="error", impact=6)
def rest_only(subject: Subject) -> Iterator[Found]:
    """Start and Resume Conversation need an execution started by the REST API."""
    rest = set(subject.flow.reachable("incomingRequest")) if subject.flow.states else set()
    for widget, known in _known(subject):
        if known.rest_only and widget.name in subject.live and widget.name not in rest:
            yield at(widget, "type", f"{widget.type} can only be used in flows triggered by the REST API")
