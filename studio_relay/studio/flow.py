"""The model of a Studio flow: its widgets, their transitions and conditions, and how to read one from a file.

What a widget does, and which properties it may have, is not here: see `simulate` and `widgets`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio_relay.errors import FlowError
from studio_relay.studio.document import MAX_FLOW_BYTES, Document, read_document

__all__ = ["Condition", "Flow", "Transition", "Widget", "build_flow", "load_flow", "parse_flow", "read_file"]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One condition of a `match` transition; `arguments` and `value` are Liquid templates."""

    type: str
    arguments: tuple[str, ...] = ()
    value: str = ""
    friendly_name: str = ""

    def __str__(self) -> str:
        is_blank_test = self.type in ("is_blank", "is_not_blank")
        return self.type if is_blank_test else f"{self.type} {self.value}".strip()


@dataclass(frozen=True, kw_only=True)
class Transition:
    """One edge; `next` is None where the branch ends.

    `index` counts the transitions of the same event within the widget, from 0: it tells matches apart.
    `position` is the place in the widget's own list.
    """

    event: str
    next: str | None = None
    conditions: tuple[Condition, ...] = ()
    index: int = 0
    position: int = 0


@dataclass(frozen=True, kw_only=True)
class Widget:
    """One state of a flow; `index` is its place in `states`, as Twilio's error paths count it."""

    name: str
    type: str
    index: int
    transitions: tuple[Transition, ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The JSON path as Twilio's validator writes it."""
        return f"#/states/{self.index}"

    def on(self, event: str) -> tuple[Transition, ...]:
        """The transitions of `event`, in list order."""
        return tuple(t for t in self.transitions if t.event == event)

    def text(self, key: str) -> str:
        """The property as text, "" when it is missing or null."""
        value = self.properties.get(key)
        return "" if value is None else str(value)


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A flow definition: its widgets by name in file order, and the document they were read from."""

    name: str
    initial_state: str
    states: Mapping[str, Widget]
    document: Document

    @property
    def definition(self) -> Mapping[str, Any]:
        """The definition as it was read, unknown keys included. Do not change it: make a copy."""
        return self.document.definition

    @property
    def trigger(self) -> Widget:
        return self.widget(self.initial_state)

    def widget(self, name: str) -> Widget:
        """The widget called `name`. Raises FlowError with a suggestion."""
        if name in self.states:
            return self.states[name]
        raise FlowError(f"{self.name}: there is no widget {name!r}.{did_you_mean(name, self.states)}")

    def reachable(self, event: str = "incomingCall") -> tuple[str, ...]:
        """Names of the widgets that can be entered when the flow starts with `event`, in order of finding."""
        found, waiting = [self.initial_state], self._targets(self.trigger.on(event))
        while waiting:
            name = waiting.pop(0)
            if name in found:
                continue
            found.append(name)
            waiting += self._targets(self.states[name].transitions)
        return tuple(found)

    def _targets(self, transitions: Iterable[Transition]) -> list[str]:
        return [t.next for t in transitions if t.next is not None and t.next in self.states]

    def to_text(self) -> str:
        """The file as it was read, byte for byte."""
        return self.document.text


def load_flow(path: str | Path, *, select: str | None = None, max_bytes: int = MAX_FLOW_BYTES) -> Flow:
    """Read the flow in the file `path`. Raises FlowError: unreadable, too large, not JSON, not a flow."""
    return build_flow(read_file(path, select=select, max_bytes=max_bytes))


def parse_flow(text: str, *, name: str = "flow", select: str | None = None) -> Flow:
    """The flow in `text`, whatever wrapper it stands in. Raises FlowError."""
    return build_flow(read_document(text, name=name, select=select))


def read_file(path: str | Path, *, select: str | None = None, max_bytes: int = MAX_FLOW_BYTES) -> Document:
    """The document in the file `path`, its states unchecked; the linter starts here. Raises FlowError."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise FlowError(f"{path}: cannot be read: {error.strerror or error}.") from None
    if len(data) > max_bytes:
        raise FlowError(f"{path}: is larger than {max_bytes} bytes; no Studio flow is. Is it the right file?")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FlowError(f"{path}: byte {error.start} is not UTF-8. Save the file as UTF-8.") from None
    return read_document(text, name=path.name, select=select)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence " Did you mean 'x'?" for the known word nearest to `word`, or an empty string."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.6)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""


def build_flow(document: Document, *, strict: bool = True) -> Flow:
    """The model of `document`. Raises FlowError at the first piece that is missing or of the wrong kind.

    With `strict=False` what cannot be used is left out instead (the linter has its own words for it); of two
    widgets with one name the first stays.
    """
    return _Builder(document, strict).build()


class _Builder:
    """Reads the states one by one; `path` in its errors is Twilio's (`#/states/3/...`)."""

    def __init__(self, document: Document, strict: bool) -> None:
        self.document, self.strict = document, strict

    def build(self) -> Flow:
        definition = self.document.definition
        rows = definition.get("states")
        if not isinstance(rows, list) or not rows:
            self.wrong("#/states", "a list of at least one widget", rows)
            rows = []
        states: dict[str, Widget] = {}
        for index, row in enumerate(rows):
            widget = self.widget(index, row)
            if widget and self.is_new(widget, states):
                states[widget.name] = widget
        initial = definition.get("initial_state")
        if not isinstance(initial, str) or initial not in states:
            self.wrong("#/initial_state", "the name of the trigger widget", initial, known=states)
            initial = next((w.name for w in states.values() if w.type == "trigger"), next(iter(states), ""))
        flow = Flow(name=self.document.name, initial_state=initial, states=states, document=self.document)
        self.check_targets(flow)
        return flow

    def widget(self, index: int, row: Any) -> Widget | None:
        path = f"#/states/{index}"
        if not isinstance(row, dict):
            self.wrong(path, "an object describing a widget", row)
            return None
        name, kind = row.get("name"), row.get("type")
        if not isinstance(name, str) or not name:
            self.wrong(f"{path}/name", "the widget's name, a string", name)
            return None
        if not isinstance(kind, str) or not kind:
            self.wrong(f"{path}/type", f"the type of widget {name!r}, a string", kind)
            kind = ""
        properties = row.get("properties", {})
        if not isinstance(properties, dict):
            self.wrong(f"{path}/properties", f"the properties of widget {name!r}, an object", properties)
            properties = {}
        transitions = self.transitions(f"{path}/transitions", name, row.get("transitions"))
        return Widget(name=name, type=kind, index=index, transitions=transitions, properties=properties)

    def is_new(self, widget: Widget, states: Mapping[str, Widget]) -> bool:
        if widget.name not in states:
            return True
        if self.strict:
            first = states[widget.name].path
            raise FlowError(
                f"{self.document.name}: {widget.path}/name: two widgets are called {widget.name!r}, "
                f"the other is {first}. Rename one."
            )
        return False

    def transitions(self, path: str, widget: str, rows: Any) -> tuple[Transition, ...]:
        if not isinstance(rows, list):
            self.wrong(path, f"the transitions of widget {widget!r}, a list", rows)
            return ()
        found: list[Transition] = []
        for position, row in enumerate(rows):
            transition = self.transition(f"{path}/{position}", widget, row, position, found)
            if transition:
                found.append(transition)
        return tuple(found)

    def transition(
        self, path: str, widget: str, row: Any, position: int, before: list[Transition]
    ) -> Transition | None:
        if not isinstance(row, dict):
            self.wrong(path, f"a transition of widget {widget!r}, an object", row)
            return None
        event, target = row.get("event"), row.get("next")
        if not isinstance(event, str) or not event:
            self.wrong(f"{path}/event", f"an event of widget {widget!r}, a string", event)
            return None
        if target is not None and not isinstance(target, str):
            self.wrong(f"{path}/next", "the name of a widget, or no `next` at all", target)
            target = None
        return Transition(
            event=event,
            next=target or None,
            conditions=self.conditions(f"{path}/conditions", widget, row.get("conditions") or []),
            index=sum(t.event == event for t in before),
            position=position,
        )

    def conditions(self, path: str, widget: str, rows: Any) -> tuple[Condition, ...]:
        if not isinstance(rows, list):
            self.wrong(path, f"the conditions of widget {widget!r}, a list", rows)
            return ()
        found = (self.condition(f"{path}/{i}", widget, row) for i, row in enumerate(rows))
        return tuple(condition for condition in found if condition)

    def condition(self, path: str, widget: str, row: Any) -> Condition | None:
        if not isinstance(row, dict) or not isinstance(row.get("type"), str):
            self.wrong(path, f"a condition of widget {widget!r}: an object with a `type`", row)
            return None
        arguments = row.get("arguments") or []
        if not isinstance(arguments, list) or not all(isinstance(a, str) for a in arguments):
            self.wrong(f"{path}/arguments", "a list of strings", arguments)
            arguments = []
        value = row.get("value")
        return Condition(
            type=row["type"],
            arguments=tuple(arguments),
            value="" if value is None else str(value),
            friendly_name=str(row.get("friendly_name") or ""),
        )

    def check_targets(self, flow: Flow) -> None:
        if not self.strict:
            return
        for widget in flow.states.values():
            for t in widget.transitions:
                if t.next is not None and t.next not in flow.states:
                    place = f"{flow.name}: {widget.path}/transitions/{t.position}/next"
                    hint = did_you_mean(t.next, flow.states)
                    raise FlowError(
                        f"{place}: {widget.name!r} goes on {t.event!r} to {t.next!r}, which does not exist.{hint}"
                    )

    def wrong(self, path: str, expected: str, found: Any, *, known: Iterable[str] = ()) -> None:
        if self.strict:
            hint = did_you_mean(found, known) if isinstance(found, str) else ""
            raise FlowError(
                f"{self.document.name}: {path}: expected {expected}; found {_shown(found)}.{hint} "
                "Correct it, or export the flow from Studio again."
            )


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    return repr(value if not isinstance(value, str) else value[:60])
