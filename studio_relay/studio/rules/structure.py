"""What Twilio's own validator refuses about the envelope, the states and the transitions (error 81022)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from studio_relay.studio.diagnostics import Severity
from studio_relay.studio.flow import did_you_mean
from studio_relay.studio.rules import Found, at, rule
from studio_relay.studio.subject import Subject, is_placeholder
from studio_relay.studio.widgets import catalog, facts

MAX_STATES_SCHEMA, MAX_STATES = 1_000, 2_000
SCHEMA = "https://schemas.twilio.com/studio/draft/2019-09/flow-definition"
_ENVELOPE = ("states", "initial_state", "description", "flags", "$schema")
_STATE = ("name", "type", "transitions", "properties")
_CONDITION = {"friendly_name": str, "type": str, "value": str, "arguments": list}
_SAFE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_JAVA_NAMES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
MISSING = "is missing but it is required"


def type_name(value: Any) -> str:
    """The JSON type's name in the words of Twilio's validator."""
    return "null" if value is None else _JAVA_NAMES[type(value)]


@rule("SR101", "the envelope is not a flow's", severity="error", impact=9)
def envelope(subject: Subject) -> Iterator[Found]:
    """`states` must be a list with something in it, `initial_state` a string, `flags.allow_concurrent_calls` a boolean
    where `flags` is there."""
    definition = subject.definition
    states, initial = definition.get("states"), definition.get("initial_state")
    if not isinstance(states, list):
        yield Found(
            path="#/states", message=MISSING if states is None else f"{type_name(states)} found, array expected"
        )
    elif not states:
        yield Found(path="#/states", message="there must be a minimum of 1 items in the array")
    if not isinstance(initial, str):
        words = MISSING if initial is None else f"{type_name(initial)} found, string expected"
        yield Found(path="#/initial_state", message=words, hint="Write the trigger's name, usually `Trigger`.")
    flags = definition.get("flags")
    if isinstance(flags, dict) and not isinstance(flags.get("allow_concurrent_calls"), bool):
        found = flags.get("allow_concurrent_calls")
        words = MISSING if found is None else f"{type_name(found)} found, boolean expected"
        yield Found(path="#/flags/allow_concurrent_calls", message=words)
    if definition.get("$schema", SCHEMA) != SCHEMA:
        yield Found(path="#/$schema", message=f"must be a constant value {SCHEMA}")


@rule("SR102", "a key that the definition does not have", severity="warning", impact=0)
def unknown_envelope_keys(subject: Subject) -> Iterator[Found]:
    """Unknown keys at the top, in a state or in a transition are refused by strict readings of Twilio's schema."""
    for key in subject.definition:
        if key not in _ENVELOPE:
            yield Found(
                path=f"#/{key}", message="is not a key of a flow definition", hint=did_you_mean(key, _ENVELOPE).strip()
            )
    for index, row in subject.rows:
        for key in row:
            if key not in _STATE:
                hint = did_you_mean(key, _STATE).strip()
                yield Found(
                    path=f"#/states/{index}/{key}", message="is not a key of a state", widget=_name(row), hint=hint
                )


@rule("SR103", "a state that is not whole", severity="error", impact=8)
def state_shape(subject: Subject) -> Iterator[Found]:
    """A state needs `name`, `type` and `transitions`, and all but the trigger `properties`, each of its JSON type."""
    states = subject.definition.get("states")
    for index, row in enumerate(states if isinstance(states, list) else []):
        path = f"#/states/{index}"
        if not isinstance(row, dict):
            yield Found(path=path, message=f"{type_name(row)} found, object expected")
            continue
        for key, wanted in (("name", str), ("type", str), ("transitions", list), ("properties", dict)):
            if key == "properties" and row.get("type") == "trigger" and key not in row:
                continue
            if key not in row:
                yield Found(path=f"{path}/{key}", message=MISSING, widget=_name(row))
            elif not isinstance(row[key], wanted):
                words = f"{type_name(row[key])} found, {_JAVA_NAMES[wanted]} expected"
                yield Found(path=f"{path}/{key}", message=words, widget=_name(row))
            elif row[key] == "":
                yield Found(path=f"{path}/{key}", message="must be at least 1 characters long", widget=_name(row))


@rule("SR104", "two widgets with one name", severity="error", impact=9)
def duplicate_names(subject: Subject) -> Iterator[Found]:
    """Names tell widgets apart in transitions and in Liquid; Twilio refuses a name used twice."""
    first: dict[str, int] = {}
    for index, row in subject.rows:
        name = _name(row)
        if name is None:
            continue
        if name in first:
            words = f"the name is used twice, first by #/states/{first[name]}"
            yield Found(path=f"#/states/{index}/name", message=words, widget=name, hint="Rename one of them.")
        first.setdefault(name, index)


@rule("SR105", "a widget type that does not exist", severity="error", impact=8)
def unknown_types(subject: Subject) -> Iterator[Found]:
    """The list of types is closed. It is data here, so a type newer than this release can be let through: set the
    severity of this rule to `warning`."""
    table = catalog()
    for widget in subject.flow.states.values():
        if not widget.type or widget.type in table.widgets or is_placeholder(widget.type):
            continue
        stand_in = table.stand_ins.types.get(widget.type.lower())
        hint = table.stand_ins.no_such_type.get(widget.type.lower(), "")
        hint = hint or (f"Did you mean {stand_in!r}?" if stand_in else did_you_mean(widget.type, table.widgets).strip())
        words = f"{widget.type!r} does not have a value in the enumeration of widget types"
        yield at(widget, "type", words, hint=hint)


@rule("SR106", "an event the widget does not fire", severity="error", impact=8)
def unknown_events(subject: Subject) -> Iterator[Found]:
    """Event names are exact and differ by widget: `failed` for Make HTTP Request, `fail` for Run Function."""
    for widget in subject.flow.states.values():
        known = facts(widget.type)
        for t in widget.transitions if known and known.events else ():
            if known and t.event not in known.events:
                stand_in = catalog().stand_ins.events.get(t.event)
                meant = f"Did you mean {stand_in!r}?" if stand_in in known.events else ""
                hint = meant or did_you_mean(t.event, known.events).strip()
                words = f"{t.event!r} must be a constant value {' or '.join(known.events)}"
                weak = known.certainty not in ("exports", "schema", "validator")
                place = f"transitions/{t.position}/event"
                yield at(widget, place, words, hint=hint, severity="warning" if weak else None)


@rule("SR107", "a transition to a widget that does not exist", severity="error", impact=9)
def dangling(subject: Subject) -> Iterator[Found]:
    """Twilio refuses a `next` that names nothing. To end a branch leave `next` out."""
    for widget in subject.flow.states.values():
        for t in widget.transitions:
            if t.next is not None and t.next not in subject.flow.states:
                hint = did_you_mean(t.next, subject.flow.states).strip() or "Leave `next` out to end the branch."
                yield at(widget, f"transitions/{t.position}/next", f"the widget {t.next!r} does not exist", hint=hint)


@rule("SR108", "a transition that is not whole", severity="error", impact=8)
def transition_shape(subject: Subject) -> Iterator[Found]:
    """A transition needs an `event`; `next` is a name or left out; only `match` has conditions, each with four keys."""
    for index, row in subject.rows:
        transitions = row.get("transitions")
        for number, t in enumerate(transitions if isinstance(transitions, list) else []):
            path = f"#/states/{index}/transitions/{number}"
            for place, message, hint in _transition_faults(t):
                yield Found(path=path + place, message=message, widget=_name(row), hint=hint)


def _transition_faults(t: Any) -> Iterator[tuple[str, str, str]]:
    if not isinstance(t, dict):
        yield "", f"{type_name(t)} found, object expected", ""
        return
    if not isinstance(t.get("event"), str) or not t["event"]:
        yield "/event", MISSING if "event" not in t else "string expected", ""
    if "next" in t and t["next"] is None:
        yield "/next", "must not be null", "Leave `next` out to end the branch."
    elif not isinstance(t.get("next", ""), str):
        yield "/next", f"{type_name(t['next'])} found, string expected", ""
    conditions = t.get("conditions", [])
    if not isinstance(conditions, list):
        yield "/conditions", f"{type_name(conditions)} found, array expected", ""
        return
    if t.get("event") == "match" and not conditions:
        yield "/conditions", MISSING, "A match without a condition is never taken."
    for number, condition in enumerate(conditions):
        yield from _condition_faults(f"/conditions/{number}", condition)


def _condition_faults(place: str, condition: Any) -> Iterator[tuple[str, str, str]]:
    if not isinstance(condition, dict):
        yield place, f"{type_name(condition)} found, object expected", ""
        return
    for key, wanted in _CONDITION.items():
        if key not in condition:
            yield f"{place}/{key}", MISSING, ""
        elif not isinstance(condition[key], wanted):
            yield f"{place}/{key}", f"{type_name(condition[key])} found, {_JAVA_NAMES[wanted]} expected", ""
    kinds = catalog().condition_types
    if isinstance(condition.get("type"), str) and condition["type"] not in kinds:
        hint = did_you_mean(condition["type"], kinds).strip()
        yield f"{place}/type", f"{condition['type']!r} does not have a value in the enumeration {list(kinds)}", hint


@rule("SR109", "the flow does not start at its trigger", severity="error", impact=9)
def one_trigger(subject: Subject) -> Iterator[Found]:
    """A flow has exactly one trigger, and `initial_state` names it; Studio's editor cannot delete it."""
    triggers = subject.of_type("trigger")
    if subject.rows and not triggers:
        yield Found(path="#/states", message="there is no widget of type 'trigger'")
    for extra in triggers[1:]:
        yield at(extra, "type", f"there is a second trigger, besides {triggers[0].name!r}")
    initial = subject.definition.get("initial_state")
    if isinstance(initial, str) and subject.rows:
        if initial not in subject.flow.states:
            hint = did_you_mean(initial, subject.flow.states).strip()
            yield Found(path="#/initial_state", message=f"names no widget: {initial!r}", hint=hint)
        elif triggers and subject.flow.states[initial].type != "trigger":
            words = f"names {initial!r}, which is no trigger"
            yield Found(path="#/initial_state", message=words, hint=f"Did you mean {triggers[0].name!r}?")


@rule("SR110", "two transitions for one event", severity="error", impact=6)
def same_event_twice(subject: Subject) -> Iterator[Found]:
    """Only a Split may list an event (`match`) more than once; which of two would be taken is undefined."""
    for widget in subject.flow.states.values():
        for t in widget.transitions:
            if t.index == 1 and not (t.event == "match" and widget.type == "split-based-on"):
                yield at(widget, f"transitions/{t.position}/event", f"the event {t.event!r} has a second transition")


@rule("SR111", "too many widgets", severity="error", impact=8)
def too_many(subject: Subject) -> Iterator[Found]:
    """Twilio counts 2,000 widgets over the flow and its subflows (81025); its published schema says 1,000."""
    count = len(subject.rows)
    if count > MAX_STATES_SCHEMA:
        severity: Severity | None = None if count > MAX_STATES else "warning"
        words = f"there are {count} widgets; the schema allows {MAX_STATES_SCHEMA}, the product {MAX_STATES}"
        yield Found(path="#/states", message=words, severity=severity)


@rule("SR112", "a name that makes trouble", severity="warning", impact=2)
def odd_names(subject: Subject) -> Iterator[Found]:
    """Names start with a letter and hold no blanks or full stops, or Liquid cannot read them; `Ended` is what the steps
    API calls the end."""
    for widget in subject.flow.states.values():
        if not _SAFE_NAME.fullmatch(widget.name):
            words = f"the name {widget.name!r} cannot be read as widgets.NAME in Liquid"
            yield at(widget, "name", words, hint="Use letters, digits and underscores, a letter first.")
        elif widget.name == "Ended":
            yield at(widget, "name", "the name 'Ended' is what Twilio's step log calls the end of an execution")


@rule("SR113", "a Terraform expression is left in the flow", severity="warning", impact=1)
def terraform(subject: Subject) -> Iterator[Found]:
    """`${...}` is not Studio's; the file is a template that Terraform has to fill in first."""
    uses = [use for use in subject.texts if is_placeholder(use.text)]
    if uses:
        more = f" (and {len(uses) - 1} more)" if len(uses) > 1 else ""
        yield at(uses[0].widget, uses[0].place, f"holds a Terraform expression{more}; its value is not checked")


def _name(row: dict[str, Any]) -> str | None:
    name = row.get("name")
    return name if isinstance(name, str) and name else None
