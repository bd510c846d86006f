"""Variables of the flow: set but never before they are read, counted twice, read too early, rendered with blanks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from studio_relay.studio.flow import did_you_mean
from studio_relay.studio.rules import Found, at, rule
from studio_relay.studio.subject import Subject, entries

_ONE_LINE = ("url", "to", "from", "caller_id", "sip_endpoint", "flow_sid", "workflow_sid", "channel", "service")
_COUNTS = re.compile(r"\|\s*(?:plus|minus)\s*:")


@rule("SR501", "a variable that is never set", severity="warning", impact=6)
def never_set(subject: Subject) -> Iterator[Found]:
    """No Set Variables widget has this key, so it renders empty. Keys are case-sensitive."""
    seen: set[tuple[str, str]] = set()
    for use, found in subject.templates:
        for path in found.paths:
            if path[:2] != ("flow", "variables") or len(path) < 3 or path[2].startswith("["):
                continue
            if path[2] not in subject.variables and (use.widget.name, path[2]) not in seen:
                seen.add((use.widget.name, path[2]))
                hint = did_you_mean(path[2], subject.variables).strip()
                yield at(use.widget, use.place, f"'flow.variables.{path[2]}' is empty: nothing sets it", hint=hint)


@rule("SR502", "a variable that is set only later", severity="warning", impact=6)
def set_later(subject: Subject) -> Iterator[Found]:
    """Every widget that sets it comes after this one, so it renders empty."""
    seen: set[tuple[str, str]] = set()
    for use, found in subject.templates:
        for path in found.paths:
            if path[:2] != ("flow", "variables") or len(path) < 3 or use.widget.name not in subject.live:
                continue
            setters = subject.variables.get(path[2], ())
            reader = use.widget.name
            if not setters or any(w.name == reader or reader in subject.after[w.name] for w in setters):
                continue
            if (reader, path[2]) not in seen:
                seen.add((reader, path[2]))
                words = f"'flow.variables.{path[2]}' is empty here: {setters[0].name!r} sets it, but never before"
                yield at(use.widget, use.place, words)


@rule("SR503", "one name for two counters", severity="notice", impact=3)
def doubled_counters(subject: Subject) -> Iterator[Found]:
    """Two widgets count in one variable, and one can follow the other: the second starts where the first stopped."""
    for key, widgets in subject.variables.items():
        counting = [widget for widget in widgets if _counts(widget.name, key, subject)]
        resets = [widget for widget in widgets if widget not in counting]
        for first, second in pairwise(counting):
            if second.name in subject.after[first.name] and not resets:
                words = f"counts in {key!r}, and so does {first.name!r} before it; nothing sets it back"
                yield at(second, "properties/variables", words, hint="Give each counter a name of its own.")


def _counts(name: str, key: str, subject: Subject) -> bool:
    rows = entries(subject.flow.states[name], "variables")
    values = [str(row.get("value")) for row in rows if row.get("key") == key]
    return any(_COUNTS.search(value) and f"variables.{key}" in value for value in values)


@rule("SR504", "one key twice in a widget", severity="warning", impact=4)
def doubled_keys(subject: Subject) -> Iterator[Found]:
    """Only one of the values can count."""
    for widget in subject.flow.states.values():
        for key in ("variables", "parameters", "stream_parameters", "configurations", "content_variables"):
            names = [row.get("key") for row in entries(widget, key)]
            for number, name in enumerate(names):
                if name is not None and name in names[:number]:
                    place = f"properties/{key}/{number}/key"
                    yield at(widget, place, f"the key {name!r} stands twice")


@rule("SR505", "a variable reads its neighbour in the same widget", severity="warning", impact=4)
def sibling_reads(subject: Subject) -> Iterator[Found]:
    """Whether a later pair sees an earlier one of the same Set Variables widget is unverified: use two widgets."""
    for widget in subject.of_type("set-variables"):
        rows = entries(widget, "variables")
        for number, row in enumerate(rows):
            text = re.sub(r"\s", "", str(row.get("value")))
            before = {str(other.get("key")) for other in rows[:number]} - {str(row.get("key"))}
            for key in sorted(before):
                if re.search(rf"flow\.variables\.{re.escape(key)}\b", text):
                    words = f"reads {key!r}, which the same widget sets; it may still hold the old value"
                    yield at(widget, f"properties/variables/{number}/value", words)


@rule("SR506", "a value of one line written over several", severity="warning", impact=5)
def multiline(subject: Subject) -> Iterator[Found]:
    """Studio keeps line ends and indentation of a template, and a URL or a number does not bear them."""
    for use in subject.texts:
        if use.key in _ONE_LINE and "\n" in use.text.strip() and use.widget.type not in ("send-message",):
            yield at(use.widget, use.place, "is written over several lines; the line ends stay in the value")


@rule("SR507", "a JSON variable is parsed without a guard", severity="notice", impact=3)
def unguarded_parse(subject: Subject) -> Iterator[Found]:
    """An `end` without `handoffData` leaves the text blank, and parsing it logs 81027. Test is_not_blank first."""
    for widget in subject.of_type("set-variables"):
        for number, row in enumerate(entries(widget, "variables")):
            value = re.sub(r"\s", "", str(row.get("value")))
            source = re.fullmatch(r"\{\{widgets\.([\w-]+)\.HandoffData\}\}", value)
            if source and row.get("type") == "json_object" and not _guarded(subject, widget.name, value):
                words = f"parses {row.get('value')} on a way that does not test whether there is any"
                yield at(widget, f"properties/variables/{number}/value", words)


def _guarded(subject: Subject, name: str, value: str) -> bool:
    """Whether every transition into the widget is a match, or the no-match, of a Split on the same text."""
    into = [w for w in subject.flow.states.values() if any(t.next == name for t in w.transitions)]
    return all(re.sub(r"\s", "", w.text("input")) == value for w in into)
