"""Which inputs would take a flow down each of its branches: conditions turned round, and traced to their origin.

`explore` tries them out; nothing is run here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from studio_relay.studio.conditions import evaluate, parts_of
from studio_relay.studio.flow import Condition, Flow
from studio_relay.studio.subject import Subject, analysed, entries, is_json_variable

Origin = tuple[str, ...]
"""Where a value enters the flow: `("widgets", "menu", "Digits")`, `("call", "From")`, or with members of a JSON text
behind it: `("widgets", "relay", "HandoffData", "reasonCode")`."""

_CALL_ORIGINS = {
    ("trigger", "call", "From"): "From",
    ("trigger", "call", "To"): "To",
    ("contact", "channel", "address"): "From",
    ("flow", "channel", "address"): "To",
}
_MISSES = ("none of these", "0", "7", "")
_DEPTH = 5


def values_for(condition: Condition) -> list[str]:
    """Texts that make the condition hold, best first; empty where none could be worked out."""
    made = [value for value in _candidates(condition) if evaluate(condition.type, value, condition.value).holds]
    return list(dict.fromkeys(made))


def _candidates(condition: Condition) -> Iterator[str]:
    value = condition.value.strip()
    if "{{" in value or "{%" in value:
        yield from _MISSES
        return
    if condition.type in ("matches_any_of", "does_not_match_any_of"):
        yield from parts_of(value)
    elif condition.type in ("less_than", "greater_than"):
        yield from _numbers_near(value)
    elif condition.type in ("is_before_date", "is_after_date"):
        yield from _dates_near(value)
    elif condition.type in ("is_before_time", "is_after_time"):
        yield from ("00:00", "12:00", "23:59")
    elif condition.type == "regex":
        yield sample_of(value) or ""
    if condition.type not in ("is_blank", "is_not_blank"):
        yield value
    yield from _MISSES


def _numbers_near(value: str) -> Iterator[str]:
    try:
        number = int(float(value))
    except (ValueError, OverflowError):
        return
    yield from (str(number - 1), str(number + 1))


def _dates_near(value: str) -> Iterator[str]:
    try:
        day = date.fromisoformat(value)
        yield from ((day - timedelta(days=1)).isoformat(), (day + timedelta(days=1)).isoformat())
    except (ValueError, OverflowError):
        return


def sample_of(pattern: str) -> str | None:
    """A text that the regular expression matches as a whole, None where this simple way finds none."""
    try:
        from re import _parser  # type: ignore[attr-defined]

        tree = _parser.parse(re.sub(r"\(\?<(?=[A-Za-z])", "(?P<", pattern), re.IGNORECASE)
        text = _sampled(tree)
        return text if evaluate("regex", text, pattern).holds else None
    except (ImportError, re.error, RecursionError, KeyError, OverflowError):
        return None


def _sampled(tree: Any) -> str:
    return "".join(_sample(str(operation), argument) for operation, argument in tree)


def _sample(operation: str, argument: Any) -> str:
    match operation:
        case "LITERAL":
            return chr(argument)
        case "ANY" | "NOT_LITERAL":
            return "x"
        case "IN":
            return _of_set(argument)
        case "BRANCH":
            return _sampled(argument[1][0])
        case "SUBPATTERN":
            return _sampled(argument[-1])
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return _sampled(argument[2]) * min(int(argument[0]), 50)
        case "ASSERT" | "ATOMIC_GROUP":
            return _sampled(argument[1] if operation == "ASSERT" else argument)
    return ""


def _of_set(members: Sequence[tuple[Any, Any]]) -> str:
    operation, argument = members[0]
    match str(operation):
        case "LITERAL":
            return chr(argument)
        case "RANGE":
            return chr(argument[0])
        case "CATEGORY":
            return "1" if str(argument) == "CATEGORY_DIGIT" else " " if "SPACE" in str(argument) else "x"
    named = {chr(value) for kind, value in members[1:] if str(kind) == "LITERAL"}
    return next(char for char in "~x1 -" if char not in named) if len(named) < 5 else "~"


def origins_of(flow: Flow, template: str) -> list[Origin]:
    """Where the variables of a template come from, through Set Variables, as far as inputs can decide them."""
    found = [origin for path in analysed(template).paths for origin in _resolved(flow, path, _DEPTH)]
    return list(dict.fromkeys(found))


def _resolved(flow: Flow, path: tuple[str, ...], depth: int) -> Iterator[Origin]:
    if path in _CALL_ORIGINS:
        yield ("call", _CALL_ORIGINS[path])
    elif path[:2] == ("flow", "variables") and len(path) > 2 and depth:
        yield from _through_variable(flow, path[2], path[3:], depth)
    elif path[0] == "widgets" and len(path) > 2 and path[1] in flow.states:
        if flow.states[path[1]].type == "set-variables":
            yield from _resolved(flow, ("flow", "variables", *path[2:]), depth - 1) if depth else ()
        else:
            yield path


def _through_variable(flow: Flow, key: str, rest: tuple[str, ...], depth: int) -> Iterator[Origin]:
    for widget in flow.states.values():
        for row in entries(widget, "variables") if widget.type == "set-variables" else ():
            if row.get("key") != key:
                continue
            for path in analysed(str(row.get("value"))).paths:
                members = rest if is_json_variable(row) else ()
                yield from (origin + members for origin in _resolved(flow, path, depth - 1))


def pools_of(flow: Flow) -> dict[Origin, list[str]]:
    """For each origin that a Split looks at, the values worth trying, one that matches nothing among them."""
    pools: dict[Origin, list[str]] = {}
    for widget in flow.states.values():
        conditions = [c for t in widget.on("match") for c in t.conditions] if widget.type == "split-based-on" else []
        by_source: dict[str, list[Condition]] = {}
        for condition in conditions:
            source = condition.arguments[0] if condition.arguments else widget.text("input")
            by_source.setdefault(source, []).append(condition)
        for source, group in by_source.items():
            wanted = [value for condition in group for value in values_for(condition)[:2]] + _missing_all(group)
            for origin in origins_of(flow, source):
                _add(pools, origin, wanted)
    for use in Subject(flow.document).texts:
        for variable, literal in _comparisons(use.text):
            for origin in origins_of(flow, "{{" + variable + "}}"):
                _add(pools, origin, [literal, *(miss for miss in _MISSES[:3] if miss != literal)])
    return pools


def _add(pools: dict[Origin, list[str]], origin: Origin, values: list[str]) -> None:
    known = pools.setdefault(origin, [])
    known += [value for value in dict.fromkeys(values) if value not in known]


def _comparisons(template: str) -> Iterator[tuple[str, str]]:
    """What templates themselves compare: `{% if widgets.menu.Digits == "1" %}`."""
    for tag in re.findall(r"\{%.*?%\}", template, re.DOTALL):
        for variable, _, literal in re.findall(r"([\w.-]+)\s*(?:==|!=|contains)\s*([\"'])(.*?)\2", tag):
            yield variable, literal


def _missing_all(conditions: list[Condition]) -> list[str]:
    """A text and a key that match none of the conditions."""
    missing = [v for v in _MISSES if not any(evaluate(c.type, v, c.value).holds for c in conditions)]
    texts, keys = [v for v in missing if not v.isdigit()], [v for v in missing if v.isdigit()]
    return texts[:1] + keys[:1]


def reads_of(flow: Flow) -> dict[str, list[tuple[str, ...]]]:
    """For each widget, the outputs that any template reads of it, as paths below its name."""
    reads: dict[str, list[tuple[str, ...]]] = {}
    for _, found in Subject(flow.document).templates:
        for path in found.paths:
            if path[0] == "widgets" and len(path) > 2 and path[2:] not in reads.setdefault(path[1], []):
                reads[path[1]].append(path[2:])
    return reads


def put(target: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set a member deep in a JSON object, making what is missing on the way; `[0]` and computed `[]` are list items.

    A last `size` makes a list of that length. What is already there in another shape is left alone.
    """
    if not path:
        return
    head, rest = path[0], list(path[1:])
    if rest == ["size"]:
        target.setdefault(head, ["x"] * min(int(value), 20) if str(value).isdigit() else [])
    elif rest and rest[0].startswith("["):
        items = target.setdefault(head, [{}])
        if isinstance(items, list) and items and isinstance(items[0], dict) and rest[1:]:
            put(items[0], rest[1:], value)
    elif rest:
        inner = target.setdefault(head, {})
        if isinstance(inner, dict):
            put(inner, rest, value)
    elif not isinstance(target.get(head), (dict, list)):
        target[head] = value
