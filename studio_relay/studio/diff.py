"""Says in words what changed in the behaviour of a flow; positions on the canvas and the order of keys are none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from studio_relay.studio.flow import Flow, Transition, Widget

ChangeKind = Literal["added", "removed", "renamed", "changed"]

_TEXT = 60
_KEYED = ("parameters", "variables", "content_variables", "stream_parameters", "configurations")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One difference. `widget` is the new name, or the old one of a widget that is gone; None for the flow itself."""

    kind: ChangeKind
    text: str
    widget: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "text": self.text} | ({"widget": self.widget} if self.widget else {})

    def __str__(self) -> str:
        return f"{self.widget}: {self.text}" if self.widget else self.text


def diff(old: Flow, new: Flow) -> tuple[Change, ...]:
    """The changes from `old` to `new`: the flow itself, then widgets in the new file's order, then those gone."""
    names = _renamed(old, new)
    return tuple(_changes(old, new, names))


def _changes(old: Flow, new: Flow, names: Mapping[str, str]) -> Iterator[Change]:
    yield from _envelope(old, new, names)
    before = {renamed: name for name, renamed in names.items()}
    for name, widget in new.states.items():
        earlier = old.states.get(before.get(name, name))
        if earlier is None or (name not in before and name in names):
            yield Change(kind="added", widget=name, text=f"is new ({widget.type})")
            yield from (Change(kind="added", widget=name, text=text) for text in _ways(widget))
            continue
        if earlier.name != name:
            yield Change(kind="renamed", widget=name, text=f"was called {earlier.name!r}")
        yield from (Change(kind="changed", widget=name, text=text) for text in _widget(earlier, widget, names))
    for name, widget in old.states.items():
        if name not in new.states and name not in names:
            yield Change(kind="removed", widget=name, text=f"is gone ({widget.type})")


def _envelope(old: Flow, new: Flow, names: Mapping[str, str]) -> Iterator[Change]:
    if names.get(old.initial_state, old.initial_state) != new.initial_state:
        yield Change(kind="changed", text=f"the flow starts at {new.initial_state!r}, before at {old.initial_state!r}")
    flags = old.definition.get("flags"), new.definition.get("flags")
    concurrent = [f.get("allow_concurrent_calls") if isinstance(f, dict) else None for f in flags]
    if concurrent[0] != concurrent[1]:
        allowed = "may" if concurrent[1] else "may not"
        yield Change(kind="changed", text=f"a caller {allowed} have several calls at a time")


def _renamed(old: Flow, new: Flow) -> dict[str, str]:
    """Old names with the new: same type, same properties but for the canvas, and nothing else like it."""
    gone = [w for name, w in old.states.items() if name not in new.states]
    fresh = [w for name, w in new.states.items() if name not in old.states]
    names: dict[str, str] = {}
    for widget in gone:
        alike = [other for other in fresh if _fingerprint(other) == _fingerprint(widget)]
        rivals = [other for other in gone if _fingerprint(other) == _fingerprint(widget)]
        if len(alike) == 1 and len(rivals) == 1:
            names[widget.name] = alike[0].name
    return names


def _fingerprint(widget: Widget) -> tuple[str, str]:
    return widget.type, json.dumps(_behaviour(widget), sort_keys=True)


def _behaviour(widget: Widget) -> dict[str, Any]:
    return {key: value for key, value in widget.properties.items() if key != "offset"}


def _ways(widget: Widget) -> Iterator[str]:
    for t in widget.transitions:
        if t.next is not None:
            yield f"on {_when(t)} it goes to {t.next!r}"


def _when(t: Transition) -> str:
    return f"'{' and '.join(map(str, t.conditions))}'" if t.conditions else repr(t.event)


def _widget(old: Widget, new: Widget, names: Mapping[str, str]) -> Iterator[str]:
    if old.type != new.type:
        yield f"is of type {new.type}, before {old.type}"
    yield from _transitions(old, new, names)
    yield from _properties(old, new)


def _transitions(old: Widget, new: Widget, names: Mapping[str, str]) -> Iterator[str]:
    before = {_key(t): t for t in reversed(old.transitions)}
    after = {_key(t): t for t in reversed(new.transitions)}
    for key, t in reversed(after.items()):
        earlier = before.get(key)
        was = names.get(earlier.next, earlier.next) if earlier and earlier.next else None
        if earlier is None and t.event == "match":
            yield f"a new branch: on {_when(t)} it {_target(t.next)}"
        elif was != t.next:
            yield f"on {_when(t)} it {_target(t.next)}; before it {_past(was)}"
    for key, t in reversed(before.items()):
        if key not in after and (t.event == "match" or t.next is not None):
            yield f"the branch on {_when(t)} is gone; it {_past(t.next)}"
    yield from _order(old, new)


def _key(t: Transition) -> tuple[Any, ...]:
    conditions = tuple((c.type, c.value.strip().lower(), tuple(_plain(a) for a in c.arguments)) for c in t.conditions)
    return (t.event, conditions if t.event == "match" else ())


def _plain(text: str) -> str:
    return "".join(text.split())


def _target(name: str | None) -> str:
    return f"goes to {name!r}" if name else "ends the branch"


def _past(name: str | None) -> str:
    return f"went to {name!r}" if name else "ended the branch"


def _order(old: Widget, new: Widget) -> Iterator[str]:
    """Matches are tried in list order, so another order is another behaviour where two can match."""
    before = [_key(t) for t in old.on("match")]
    after = [_key(t) for t in new.on("match")]
    common = set(before) & set(after)
    if [key for key in before if key in common] != [key for key in after if key in common]:
        yield "its branches are tried in another order: " + ", ".join(_when(t) for t in new.on("match"))


def _properties(old: Widget, new: Widget) -> Iterator[str]:
    before, after = _behaviour(old), _behaviour(new)
    for key in dict.fromkeys([*after, *before]):
        if before.get(key) == after.get(key) and (key in before) == (key in after):
            continue
        if key in _KEYED and isinstance(before.get(key, []), list) and isinstance(after.get(key, []), list):
            yield from _entries(key, before.get(key, []), after.get(key, []))
        elif key not in before:
            yield f"{key} is {_shown(after[key])}, before not set"
        elif key not in after:
            yield f"{key} is no longer set, before {_shown(before[key])}"
        else:
            yield f"{key} is {_shown(after[key])}, before {_shown(before[key])}"


def _entries(key: str, old: list[Any], new: list[Any]) -> Iterator[str]:
    what = {"parameters": "parameter", "variables": "variable"}.get(key, f"entry of {key}")
    before, after = _by_key(old), _by_key(new)
    for name in dict.fromkeys([*after, *before]):
        if name not in before:
            yield f"{what} {name!r} is new: {after[name]}"
        elif name not in after:
            yield f"{what} {name!r} is gone"
        elif before[name] != after[name]:
            yield f"{what} {name!r} is {after[name]}, before {before[name]}"


def _by_key(rows: list[Any]) -> dict[str, str]:
    """The entries in words; `index` is the editor's own count and no behaviour."""
    found = {}
    for row in rows:
        if isinstance(row, dict):
            kind = "" if row.get("type", "string") == "string" else f" (as {row['type']})"
            kind = kind or (" (as json_object)" if row.get("parse_as_json") in (True, "true") else "")
            found[str(row.get("key"))] = _shown(row.get("value")) + kind
    return found


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"
