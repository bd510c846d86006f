"""Maps that carry a flow from one account to another: SIDs, numbers and URLs replaced, properties set by widget."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from studio_relay.errors import FlowError
from studio_relay.studio.flow import did_you_mean


@dataclass(frozen=True, kw_only=True)
class ValueMap:
    """What to put in place of an account's own values: exact texts, and properties by widget."""

    replace: Mapping[str, str] = field(default_factory=dict)
    widgets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def apply_map(definition: Mapping[str, Any], values: ValueMap) -> tuple[dict[str, Any], list[str]]:
    """The definition with the values of a map, and the entries of the map that met nothing."""
    unused = set(values.replace)
    made = _replaced(copy.deepcopy(dict(definition)), values.replace, unused)
    missing = []
    for name, properties in values.widgets.items():
        state = next((s for s in made["states"] if s.get("name") == name), None)
        if state is None:
            missing.append(f"widgets.{name}")
            continue
        state.setdefault("properties", {}).update(properties)
    return made, [*missing, *sorted(f"replace.{text}" for text in unused)]


def load_map(path: str | Path) -> ValueMap:
    """Read a map file: TOML with tables `replace` and `widgets.NAME`. Raises FlowError."""
    import tomllib

    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FlowError(f"{path}: cannot be read as a map: {getattr(error, 'strerror', None) or error}") from None
    return read_map(table, name=str(path))


def read_map(table: Mapping[str, Any], *, name: str) -> ValueMap:
    """The map in a table that was read from the place `name`. Raises FlowError."""
    for key in table:
        if key not in ("replace", "widgets"):
            raise FlowError(f"{name}: a map has no table {key!r}.{did_you_mean(key, ('replace', 'widgets'))}")
    replace, widgets = table.get("replace", {}), table.get("widgets", {})
    if not isinstance(replace, dict) or not all(isinstance(value, str) and key for key, value in replace.items()):
        raise FlowError(f"{name}: replace: expected texts on both sides")
    if not isinstance(widgets, dict) or not all(isinstance(properties, dict) for properties in widgets.values()):
        raise FlowError(f"{name}: widgets: expected a table of properties for each widget, as in [widgets.person]")
    return ValueMap(replace=replace, widgets=widgets)


def _replaced(value: Any, texts: Mapping[str, str], unused: set[str]) -> Any:
    """`value` with every text of the map replaced, longer ones first; what was put in is not replaced again."""
    if isinstance(value, str):
        found = re.findall(_pattern(tuple(texts)), value) if texts else []
        unused.difference_update(found)
        return re.sub(_pattern(tuple(texts)), lambda match: texts[match[0]], value) if found else value
    if isinstance(value, dict):
        return {key: _replaced(member, texts, unused) for key, member in value.items()}
    return [_replaced(member, texts, unused) for member in value] if isinstance(value, list) else value


@cache
def _pattern(texts: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True)))
