"""Maps that carry a flow from one account to another: SIDs, numbers and URLs replaced, properties set by widget."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
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
        raise FlowError(f"{path}: cannot be read as a map: {error}") from None
    for key in table:
        if key not in ("replace", "widgets"):
            raise FlowError(f"{path}: a map has no table {key!r}.{did_you_mean(key, ('replace', 'widgets'))}")
    replace = table.get("replace", {})
    if not all(isinstance(value, str) and key for key, value in replace.items()):
        raise FlowError(f"{path}: replace: expected texts on both sides")
    return ValueMap(replace=replace, widgets=table.get("widgets", {}))


def _replaced(value: Any, texts: Mapping[str, str], unused: set[str]) -> Any:
    if isinstance(value, str):
        for old, new in texts.items():
            if old in value:
                unused.discard(old)
                value = value.replace(old, new)
        return value
    if isinstance(value, dict):
        return {key: _replaced(member, texts, unused) for key, member in value.items()}
    return [_replaced(member, texts, unused) for member in value] if isinstance(value, list) else value
