"""What became of a change: its steps, where the flow stands now, and why it stopped; says nothing of how."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from studio_relay.studio.account.change import FlowChange, StepKind

StepState = Literal["begun", "done", "not done", "unknown"]
"""`unknown`: the answer was lost, and looking for what became of it did not tell either."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step that was begun. `text` says it for a person; what it changed, once it is done."""

    kind: StepKind
    state: StepState
    text: str


@dataclass(kw_only=True)
class Outcome:
    """What became of one change. `revision` is the flow's newest revision as far as we know it, None for no flow.

    `failure` says why it stopped, and is "" otherwise; `kept_otherwise` what Twilio saved differently from what was
    sent; `notes` what else was noticed on the way.
    """

    change: FlowChange
    sid: str = ""
    revision: int | None = None
    steps: list[Step] = field(default_factory=list)
    kept_otherwise: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    failure: str = ""
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        return not self.failure and not self.kept_otherwise

    @property
    def done(self) -> tuple[StepKind, ...]:
        return tuple(step.kind for step in self.steps if step.state == "done")

    @property
    def unknown(self) -> bool:
        """Whether nobody knows what became of a step."""
        return any(step.state == "unknown" for step in self.steps)

    @property
    def left(self) -> tuple[StepKind, ...]:
        """The steps that were not done, or not known to be."""
        return tuple(kind for kind in self.change.steps if kind not in self.done)
