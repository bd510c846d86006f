"""The change to the table of widgets that the facts suggest; writes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from studio_relay.errors import FlowError
from studio_relay.studio.account.probing.facts import Facts, Property
from studio_relay.studio.account.probing.questions import WIDGET_TYPE

_HEAD = f"[widgets.{WIDGET_TYPE}]"
_PROPERTIES = f"[widgets.{WIDGET_TYPE}.properties]"
_CERTAINTY = "validator"


def offered(table: str, facts: Facts) -> str:
    """The text of `widgets.toml` with what was learnt; what is undetermined stays as it is. Raises FlowError."""
    check_table(table)
    lines = table.splitlines()
    head, start = lines.index(_HEAD), lines.index(_PROPERTIES)
    end = next((number for number in range(start + 1, len(lines)) if not lines[number].strip()), len(lines))
    changed = [_fact(line, facts) for line in lines[head + 1 : start]]
    rows = list(_rows(lines[start + 1 : end], facts))
    return "\n".join([*lines[: head + 1], *changed, lines[start], *rows, *lines[end:]]) + "\n"


def check_table(table: str) -> None:
    """Raise FlowError for a text that is not `widgets.toml`."""
    if not {_HEAD, _PROPERTIES} <= set(table.splitlines()):
        raise FlowError(f"expected a table of widgets with {_HEAD} and {_PROPERTIES}, found one without")


def _fact(line: str, facts: Facts) -> str:
    """A line about the widget itself."""
    if line.startswith("certainty ="):
        return f'certainty = "{_CERTAINTY}"'
    if line.startswith("events =") and facts.events:
        return f"events = {_toml(sorted(facts.events, key=lambda name: (name not in line, line.find(name), name)))}"
    return line


def _rows(lines: list[str], facts: Facts) -> Iterator[str]:
    """The lines of the properties: the old ones as learnt, without those that do not exist, then the new ones."""
    known = {_name(line) for line in lines}
    for line in lines:
        name = _name(line)
        if name in facts.properties:
            yield _row(name, facts.properties[name], line)
        elif name not in facts.not_properties:
            yield line
    for name, found in facts.properties.items():
        if name not in known:
            yield _row(name, found, "")


def _name(line: str) -> str:
    found = re.match(r'\s*"?([\w-]+)"?\s*=', line)
    return found[1] if found else ""


def _row(name: str, found: Property, old: str) -> str:
    """One property as a line of the table; what was left open is taken from the old line."""
    before = re.search(r'json = "(\w+)"', old)
    kind = {"number": "any", "undetermined": before[1] if before else "any"}.get(found.json, found.json)
    spec: dict[str, Any] = {"json": kind}
    if found.required or (found.required is None and "required = true" in old):
        spec["required"] = True
    if found.one_of and found.one_of_complete:
        spec["one_of"] = list(found.one_of)
    spec["certainty"] = _CERTAINTY
    return f"{name} = {{ {', '.join(f'{key} = {_toml(value)}' for key, value in spec.items())} }}"


def _toml(value: Any) -> str:
    """Texts, flags and lists of texts are written the same in TOML and JSON."""
    return json.dumps(value, ensure_ascii=False)
