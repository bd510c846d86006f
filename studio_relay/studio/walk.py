"""The records a walk through a flow leaves behind; `simulate` makes them, nothing here runs anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from studio_relay.studio.outside import RelayOutcome

Ended = Literal["no-next", "no-transition", "no-match", "hung-up", "step-limit", "repeat-limit"]
"""Why a walk stopped: the branch ended, the event has no transition (81002), nothing matched (81005), the caller
left, a thousand steps (81000), ten times the same widget (81001)."""

StepCertainty = Literal["modelled", "scripted", "unverified"]
"""`modelled`: the runner does what Studio does; `scripted`: an answer of the script stands for the outside world;
`unverified`: the widget itself is known from one source or by name only."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One widget visited. `event` is None when the call was over before the widget fired one.

    `condition` is the text of the match that was followed, `condition_index` its place among the widget's
    transitions of that event, both None for other events. `at_ms` is the time of entry, in ms of the walk.
    """

    widget: str
    type: str
    event: str | None
    condition: str | None = None
    condition_index: int | None = None
    at_ms: int = 0
    certainty: StepCertainty = "modelled"

    def to_json(self) -> dict[str, Any]:
        shown = {"widget": self.widget, "type": self.type, "event": self.event, "condition": self.condition}
        return {key: value for key, value in shown.items() if value is not None} | {"at_ms": self.at_ms}


@dataclass(frozen=True, kw_only=True)
class RelaySession:
    """One ConversationRelay session of the walk and the widget it belongs to."""

    widget: str
    outcome: RelayOutcome


@dataclass(frozen=True, kw_only=True)
class WalkWarning:
    """Something Studio would log, or that this runner had to assume; `code` is Twilio's, if it has one."""

    widget: str
    message: str
    code: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {"widget": self.widget, "message": self.message} | ({"code": self.code} if self.code else {})


@dataclass(frozen=True, kw_only=True)
class Walk:
    """One execution of a flow.

    `context` is Studio's (`flow`, `trigger`, `widgets`, `contact`) at the end. `handoff` is the last HandoffData:
    the object it holds, else its text, None if there was none. `code` is Twilio's debugger code where the end has
    one. `subwalks` are the subflows that were run, by widget; their sessions and warnings stand here too.
    """

    flow: str
    path: tuple[Step, ...]
    context: Mapping[str, Any]
    sessions: tuple[RelaySession, ...]
    handoff: Any
    warnings: tuple[WalkWarning, ...]
    ended: Ended
    code: int | None = None
    subwalks: tuple[tuple[str, Walk], ...] = ()

    @property
    def widgets(self) -> tuple[str, ...]:
        """Names of the widgets visited, in order."""
        return tuple(step.widget for step in self.path)

    @property
    def variables(self) -> Mapping[str, Any]:
        """`flow.variables` at the end."""
        found: Mapping[str, Any] = self.context["flow"]["variables"]
        return found
