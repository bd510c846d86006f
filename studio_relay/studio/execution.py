"""One execution of a flow: the loop from widget to widget, with Studio's limits, and what it leaves behind.

What a single widget does stands in `behaviour`, what the context holds in `context`; `simulate` is the way in.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from studio_relay.studio.answers import Outcome
from studio_relay.studio.behaviour import act
from studio_relay.studio.context import merge_outputs
from studio_relay.studio.flow import Flow, Transition, Widget
from studio_relay.studio.liquid import TemplateClock, render
from studio_relay.studio.outside import Caller, HungUp, Relay, RelayOutcome
from studio_relay.studio.walk import Ended, RelaySession, Step, StepCertainty, Walk, WalkWarning
from studio_relay.studio.widgets import facts

MAX_STEPS = 1_000
"""Steps of one execution, subflows included (documented)."""
MAX_REPEATS = 10
"""Times the same widget may run in a row (documented)."""
STEP_LIMIT, REPEAT_LIMIT, UNEXPECTED_EVENT, NO_MATCH = 81000, 81001, 81002, 81005

_BARE_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][\w.-]*)\s*\}\}")

Subflows = Callable[[str], Flow | None]
"""Finds the definition of a subflow by the SID the widget names."""


@dataclass(frozen=True, kw_only=True)
class World:
    """What surrounds an execution and its subflows; `clock` in seconds."""

    caller: Caller
    relay: Relay
    clock: Callable[[], float]
    template_clock: TemplateClock
    subflows: Subflows | None = None
    redirect: Relay | None = None
    on_step: Callable[[Step], None] | None = None
    on_enter: Callable[[Widget], None] | None = None


class Execution:
    """One run of one flow: its context and what it has come through so far."""

    def __init__(self, flow: Flow, context: dict[str, Any], world: World, parent: Execution | None = None) -> None:
        self.flow, self.context, self.world, self.parent = flow, context, world, parent
        self.call: dict[str, str] = {}
        self.started: float = world.clock()
        self.steps_before = 0
        self.hung_up = False
        if parent:
            self.call, self.started, self.hung_up = dict(parent.call), parent.started, parent.hung_up
            self.steps_before = parent.steps_before + len(parent.path)
        self.path: list[Step] = []
        self.sessions: list[RelaySession] = []
        self.warnings: list[WalkWarning] = []
        self.subwalks: list[tuple[str, Walk]] = []

    @property
    def caller(self) -> Caller:
        return self.world.caller

    @property
    def relay(self) -> Relay:
        return self.world.relay

    @property
    def redirect(self) -> Relay | None:
        return self.world.redirect

    @property
    def is_subflow(self) -> bool:
        return self.parent is not None

    async def walk(self, trigger: str) -> Walk:
        widget, outcome = self.flow.trigger, Outcome(event=trigger)
        entered = self._enter(widget)
        while True:
            self._close_step(widget, outcome, entered)
            transition, ended, code = self._way_on(widget, outcome)
            if transition is None or transition.next is None:
                return self._result(ended, code)
            widget = self.flow.widget(transition.next)
            limit = self._limit(widget)
            if limit is not None:
                return self._result(*limit)
            entered = self._enter(widget)
            outcome = await self._act(widget)

    def _enter(self, widget: Widget) -> int:
        if self.world.on_enter:
            self.world.on_enter(widget)
        return round((self.world.clock() - self.started) * 1000)

    async def _act(self, widget: Widget) -> Outcome:
        """The widget's outcome; a hang-up is its `hangup` event, where it has one, else the end."""
        try:
            outcome = await act(self, widget)
        except HungUp:
            outcome = Outcome(event="hangup" if widget.on("hangup") else None)
        if outcome.event in ("hangup", None):
            self._hang_up()
        return outcome

    def _hang_up(self) -> None:
        self.hung_up = True
        if "CallStatus" in self.call:
            self.call["CallStatus"] = "completed"

    def _close_step(self, widget: Widget, outcome: Outcome, entered: int) -> None:
        """Outputs and variables appear at the end of a step; then it is logged."""
        if widget.type != "trigger":
            merge_outputs(self.context, widget.name, outcome.outputs, keep_parsed=outcome.keep_parsed)
            self.context["flow"]["variables"].update(outcome.variables)
        match = outcome.match
        step = Step(
            widget=widget.name,
            type=widget.type,
            event=outcome.event,
            condition=" and ".join(str(c) for c in match.conditions) if match else None,
            condition_index=match.index if match else None,
            at_ms=entered,
            certainty=_certainty(widget),
        )
        self.path.append(step)
        if self.world.on_step:
            self.world.on_step(step)

    def _way_on(self, widget: Widget, outcome: Outcome) -> tuple[Transition | None, Ended, int | None]:
        if outcome.event is None:
            return None, "hung-up", None if outcome.outputs else UNEXPECTED_EVENT
        found = outcome.match or next(iter(widget.on(outcome.event)), None)
        if outcome.event == "noMatch" and (found is None or found.next is None):
            return None, "no-match", NO_MATCH
        if found is None:
            return None, "no-transition", UNEXPECTED_EVENT
        return found, "hung-up" if self.hung_up else "no-next", None

    def _limit(self, widget: Widget) -> tuple[Ended, int] | None:
        if self.steps_before + len(self.path) >= MAX_STEPS:
            return "step-limit", STEP_LIMIT
        last = self.path[-MAX_REPEATS:]
        if len(last) == MAX_REPEATS and all(step.widget == widget.name for step in last):
            return "repeat-limit", REPEAT_LIMIT
        known = facts(widget.type)
        if self.hung_up and known and known.channel == "voice":
            self.warn(widget, "the caller has hung up; a voice widget cannot run any more", code=UNEXPECTED_EVENT)
            return "hung-up", UNEXPECTED_EVENT
        return None

    def _result(self, ended: Ended, code: int | None) -> Walk:
        return Walk(
            flow=self.flow.name,
            path=tuple(self.path),
            context=copy.deepcopy(self.context),
            sessions=tuple(self.sessions),
            handoff=_handoff(self.sessions),
            warnings=tuple(self.warnings),
            ended=ended,
            code=code,
            subwalks=tuple(self.subwalks),
        )

    # What `behaviour` asks for.

    def render(self, widget: Widget, template: str) -> str:
        """The rendered text; what went wrong becomes a warning of the walk."""
        rendered = render(template, self.context, clock=self.world.template_clock)
        for warning in rendered.warnings:
            self.warn(widget, warning.message, code=warning.code)
        return rendered.text

    def property(self, widget: Widget, key: str) -> str:
        """A property as rendered text; a JSON boolean becomes `true` or `false`."""
        value = widget.properties.get(key)
        if isinstance(value, (bool, dict, list)):
            return json.dumps(value)
        return self.render(widget, widget.text(key))

    def raw(self, template: str) -> Any:
        """The value of a template that is one bare variable, None otherwise."""
        match = _BARE_VARIABLE.fullmatch(template.strip())
        value: Any = self.context
        for part in match.group(1).split(".") if match else ():
            value = value.get(part) if isinstance(value, dict) else None
        return value if match else None

    def call_parameters(self) -> dict[str, str]:
        """The call's webhook parameters as they are now; empty when there is no call."""
        return dict(self.call)

    def warn(self, widget: Widget, message: str, *, code: int | None = None) -> None:
        warning = WalkWarning(widget=widget.name, message=message, code=code)
        if warning not in self.warnings:
            self.warnings.append(warning)

    def note_session(self, widget: Widget, outcome: RelayOutcome) -> None:
        self.sessions.append(RelaySession(widget=widget.name, outcome=outcome))

    def subflow(self, sid: str) -> Flow | None:
        return self.world.subflows(sid) if self.world.subflows else None

    async def descend(self, widget: Widget, other: Flow, context: dict[str, Any]) -> Walk:
        """Run `other` as a subflow of this execution; the limits count over both."""
        inner = Execution(other, context, self.world, parent=self)
        found = await inner.walk("incomingParent")
        self.steps_before += len(found.path)
        self.hung_up, self.call = inner.hung_up, inner.call
        self.subwalks.append((widget.name, found))
        self.sessions += found.sessions
        self.warnings += found.warnings
        return found


def _certainty(widget: Widget) -> StepCertainty:
    known = facts(widget.type)
    if known is None or known.certainty == "listed":
        return "unverified"
    if not known.answered:
        return "modelled"
    return "scripted" if known.certainty in ("exports", "schema") else "unverified"


def _handoff(sessions: list[RelaySession]) -> Any:
    """The last HandoffData: the object it holds, else its text."""
    texts = [s.outcome.handoff_data for s in sessions if s.outcome.handoff_data is not None]
    if not texts:
        return None
    try:
        value = json.loads(texts[-1])
    except (ValueError, RecursionError):
        return texts[-1]
    return value if isinstance(value, dict) else texts[-1]
