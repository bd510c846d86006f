"""Which widgets and transitions of a flow a set of walks has been through, out of those that can be reached."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from studio_relay.studio.flow import Flow, Transition, Widget
from studio_relay.studio.walk import Step, Walk

Edge = tuple[str, str, int]
"""Widget, event, index among the widget's transitions of that event."""


@dataclass(frozen=True, kw_only=True)
class MissedTransition:
    """A transition no walk followed."""

    widget: str
    event: str
    next: str
    condition: str | None = None

    def to_json(self) -> dict[str, Any]:
        shown = {"widget": self.widget, "event": self.event, "condition": self.condition, "next": self.next}
        return {key: value for key, value in shown.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Names of widgets and edges reachable from the start event, and those of them that were covered."""

    widgets: frozenset[str]
    entered: frozenset[str]
    edges: frozenset[Edge]
    followed: frozenset[Edge]
    missed: tuple[MissedTransition, ...]

    @property
    def percent(self) -> float:
        """Transitions followed, in percent of those that can be; 100 when there is none."""
        return 100.0 * len(self.followed) / len(self.edges) if self.edges else 100.0

    def to_json(self) -> dict[str, Any]:
        return {
            "widgets": {"covered": len(self.entered), "total": len(self.widgets)},
            "transitions": {
                "covered": len(self.followed),
                "total": len(self.edges),
                "missed": [missed.to_json() for missed in self.missed],
            },
        }


def coverage(flow: Flow, walks: Iterable[Walk], *, trigger: str = "incomingCall") -> Coverage:
    """Coverage of `flow` by `walks`; see `coverage_of`."""
    return coverage_of(flow, (step for walk in walks for step in walk.path), trigger=trigger)


def coverage_of(flow: Flow, steps: Iterable[Step], *, trigger: str = "incomingCall") -> Coverage:
    """Coverage of `flow` by the steps of any walks: transitions that have a `next`, over what `trigger` can reach."""
    steps = tuple(steps)
    reachable = flow.reachable(trigger)
    possible = {
        (widget.name, t.event, t.index): t
        for widget in (flow.states[name] for name in reachable)
        for t in _counted(flow, widget, trigger)
    }
    followed = {(s.widget, s.event or "", s.condition_index or 0) for s in steps} & possible.keys()
    return Coverage(
        widgets=frozenset(reachable),
        entered=frozenset(step.widget for step in steps) & frozenset(reachable),
        edges=frozenset(possible),
        followed=frozenset(followed),
        missed=tuple(_missed(edge, t) for edge, t in possible.items() if edge not in followed),
    )


def _counted(flow: Flow, widget: Widget, trigger: str) -> list[Transition]:
    is_start = widget.name == flow.initial_state
    return [
        t
        for t in widget.transitions
        if t.next is not None and (t.event == trigger or not is_start) and (t.event == "match" or t.index == 0)
    ]


def _missed(edge: Edge, transition: Transition) -> MissedTransition:
    condition = " and ".join(str(c) for c in transition.conditions) or None
    return MissedTransition(widget=edge[0], event=edge[1], next=transition.next or "", condition=condition)
