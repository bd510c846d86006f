"""What lint rules look at: the raw definition, the model made of it, its graph and its templates, worked out once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from studio_relay.studio.document import Document
from studio_relay.studio.flow import Flow, Widget, build_flow
from studio_relay.studio.widgets import facts

_TERRAFORM = re.compile(r"[$%]\{")


@dataclass(frozen=True, kw_only=True)
class AgentFacts:
    """What is known of the agent behind a relay widget: the parameters it reads, the codes and members it sends."""

    name: str
    parameters: frozenset[str] | None = None
    codes: frozenset[str] | None = None
    members: frozenset[str] | None = None


@dataclass(frozen=True, kw_only=True)
class TemplateUse:
    """One text of a widget that may hold Liquid; `place` is the path below the state, `key` the property."""

    widget: Widget
    place: str
    key: str
    text: str


@dataclass(frozen=True, kw_only=True)
class TemplateFacts:
    """What a template reads and uses; `error` is set when it cannot be parsed, and then the rest is empty."""

    paths: tuple[tuple[str, ...], ...] = ()
    locals: frozenset[str] = frozenset()
    filters: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    error: str | None = None


class Subject:
    """One flow under the linter's eye."""

    def __init__(self, document: Document, *, agent: AgentFacts | None = None) -> None:
        self.document, self.agent = document, agent
        self.definition: Mapping[str, Any] = document.definition
        self.flow: Flow = build_flow(document, strict=False)

    @cached_property
    def rows(self) -> tuple[tuple[int, dict[str, Any]], ...]:
        """The states as they stand in the file, those that are objects, with their index."""
        states = self.definition.get("states")
        return tuple(
            (i, row) for i, row in enumerate(states if isinstance(states, list) else []) if isinstance(row, dict)
        )

    @cached_property
    def live(self) -> frozenset[str]:
        """Widgets that some connected trigger event leads to."""
        if not self.flow.states:
            return frozenset()
        return frozenset(name for t in self.flow.trigger.transitions for name in self.flow.reachable(t.event))

    @cached_property
    def on_calls(self) -> tuple[str, ...]:
        """Widgets that a call can reach, nearest first."""
        return self.flow.reachable() if self.flow.states else ()

    @cached_property
    def is_voice(self) -> bool:
        return len(self.on_calls) > 1

    @cached_property
    def after(self) -> Mapping[str, frozenset[str]]:
        """For each widget, those that can come later; itself only if a loop leads back."""
        return {name: self._descendants(name) for name in self.flow.states}

    def _descendants(self, name: str) -> frozenset[str]:
        found: set[str] = set()
        waiting = [name]
        while waiting:
            for t in self.flow.states[waiting.pop()].transitions:
                if t.next is not None and t.next in self.flow.states and t.next not in found:
                    found.add(t.next)
                    waiting.append(t.next)
        return frozenset(found)

    def of_type(self, *types: str) -> tuple[Widget, ...]:
        return tuple(widget for widget in self.flow.states.values() if widget.type in types)

    @cached_property
    def texts(self) -> tuple[TemplateUse, ...]:
        """Every text in properties and conditions, in file order."""
        return tuple(use for widget in self.flow.states.values() for use in _texts(widget))

    @cached_property
    def templates(self) -> tuple[tuple[TemplateUse, TemplateFacts], ...]:
        """The texts that hold Liquid, with what they read."""
        return tuple((use, analysed(use.text)) for use in self.texts if "{{" in use.text or "{%" in use.text)

    @cached_property
    def variables(self) -> Mapping[str, tuple[Widget, ...]]:
        """`flow.variables` by key, with the widgets that set each."""
        setters: dict[str, tuple[Widget, ...]] = {}
        for widget in self.of_type("set-variables"):
            for entry in entries(widget, "variables"):
                key = str(entry.get("key"))
                setters[key] = (*setters.get(key, ()), widget)
        return setters


def entries(widget: Widget, key: str) -> tuple[dict[str, Any], ...]:
    """The objects in a list property; anything else in it is left out."""
    rows = widget.properties.get(key)
    return tuple(row for row in rows if isinstance(row, dict)) if isinstance(rows, list) else ()


def is_placeholder(value: Any) -> bool:
    """Whether a text holds a Terraform expression, whose value is not known here."""
    begun = _TERRAFORM.search(value) if isinstance(value, str) else None
    return begun is not None and value.find("}", begun.end()) >= 0


def is_json_variable(entry: Mapping[str, Any]) -> bool:
    """Whether a Set Variables entry is parsed as JSON; both spellings are accepted."""
    return entry.get("type") == "json_object" or entry.get("parse_as_json") in (True, "true")


def _texts(widget: Widget) -> Iterator[TemplateUse]:
    for key, value in widget.properties.items():
        if key != "offset":
            yield from _within(widget, f"properties/{key}", key, value)
    for transition in widget.transitions:
        for number, condition in enumerate(transition.conditions):
            place = f"transitions/{transition.position}/conditions/{number}"
            for index, argument in enumerate(condition.arguments):
                yield TemplateUse(widget=widget, place=f"{place}/arguments/{index}", key="arguments", text=argument)
            yield TemplateUse(widget=widget, place=f"{place}/value", key="value", text=condition.value)


def _within(widget: Widget, place: str, key: str, value: Any) -> Iterator[TemplateUse]:
    if isinstance(value, str):
        yield TemplateUse(widget=widget, place=place, key=key, text=value)
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from _within(widget, f"{place}/{name}", key, member)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _within(widget, f"{place}/{index}", key, member)


@lru_cache(maxsize=4096)
def analysed(template: str) -> TemplateFacts:
    """Static analysis of one template."""
    from liquid.exceptions import LiquidError

    from studio_relay.studio.liquid import message_of, parse

    try:
        found = parse(template).analyze()
    except LiquidError as error:
        return TemplateFacts(error=message_of(error))
    except RecursionError:
        return TemplateFacts(error="nested too deeply")
    variables = [variable for group in found.globals.values() for variable in group]
    paths = dict.fromkeys(tuple(_segments(variable.segments)) for variable in variables)
    return TemplateFacts(
        paths=tuple(paths),
        locals=frozenset(found.locals),
        filters=frozenset(found.filters),
        tags=frozenset(found.tags),
    )


def _segments(segments: Any) -> Iterator[str]:
    """The parts of a variable's path; a computed one becomes `[]`, and numbers `[0]`."""
    for segment in segments:
        yield segment if isinstance(segment, str) else "[]" if isinstance(segment, list) else f"[{segment}]"


def knows_outputs(widget: Widget) -> frozenset[str] | None:
    """Names a widget's outputs can have, None when they are not known in full."""
    if widget.type == "set-variables":
        return frozenset(str(entry.get("key")) for entry in entries(widget, "variables"))
    known = facts(widget.type)
    return None if known is None or "*" in known.outputs else frozenset(known.outputs)
