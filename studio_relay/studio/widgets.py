"""The table of widget facts, `widgets.toml`, as typed records; it holds no behaviour of a widget."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from studio_relay.errors import FlowError

Certainty = Literal["exports", "schema", "validator", "skill", "guess", "listed"]


@dataclass(frozen=True, kw_only=True)
class PropertyFacts:
    """One property of a widget type: its JSON type as Twilio's validator wants it, and its range."""

    json: Literal["string", "integer", "boolean", "array", "object", "pairs", "any"]
    required: bool = False
    one_of: tuple[str, ...] = ()
    min: int | None = None
    max: int | None = None
    max_length: int | None = None
    min_items: int | None = None
    lenient: bool = False
    literal_sid: bool = False
    certainty: Certainty = "exports"


@dataclass(frozen=True, kw_only=True)
class WidgetFacts:
    """One widget type.

    `events` is empty where none are known. `answered` types wait for the outside world. `caller_input` types
    let the caller act. `open_properties`: the list of properties is known to be incomplete.
    """

    type: str
    label: str
    channel: Literal["voice", "messaging", "conversation", "any"]
    certainty: Certainty
    events: tuple[str, ...]
    properties: Mapping[str, PropertyFacts]
    outputs: tuple[str, ...] = ()
    call_outputs: bool = False
    caller_input: bool = False
    answered: bool = False
    default_event: str | None = None
    answer_example: str = ""
    open_properties: bool = False
    rest_only: bool = False


@dataclass(frozen=True, kw_only=True)
class StandIns:
    """Names that people write for what Studio calls otherwise."""

    types: Mapping[str, str] = field(default_factory=dict)
    no_such_type: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    events: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """All that is known about widgets: types by name, condition types by kind, stand-in names."""

    widgets: Mapping[str, WidgetFacts]
    conditions: Mapping[str, tuple[str, ...]]
    call_parameters: tuple[str, ...]
    stand_ins: StandIns

    @property
    def condition_types(self) -> tuple[str, ...]:
        return tuple(name for kind in self.conditions.values() for name in kind)


@cache
def catalog() -> Catalog:
    """The table shipped with this version, read once. Raises FlowError when it is damaged."""
    source = files(__package__).joinpath("widgets.toml")
    try:
        table = tomllib.loads(source.read_text(encoding="utf-8"))
        return Catalog(
            widgets={name: _widget(name, row) for name, row in table["widgets"].items()},
            conditions={kind: tuple(names) for kind, names in table["conditions"].items()},
            call_parameters=tuple(table["call_parameters"]["names"]),
            stand_ins=StandIns(**table["stand_ins"]),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise FlowError(f"widgets.toml of this installation is damaged: {error}. Install again.") from error


def facts(widget_type: str) -> WidgetFacts | None:
    """What is known about a widget type, None for one we have never heard of."""
    return catalog().widgets.get(widget_type)


def _widget(name: str, row: dict[str, Any]) -> WidgetFacts:
    tuples = {key: tuple(row[key]) for key in ("events", "outputs")}
    certainty = row["certainty"]
    properties = {
        key: PropertyFacts(**{"certainty": certainty, **spec, "one_of": tuple(spec.get("one_of", ()))})
        for key, spec in row["properties"].items()
    }
    return WidgetFacts(type=name, **{**row, **tuples, "properties": properties})
