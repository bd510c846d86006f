"""A question is one relay widget; a definition asks many at once. Knows nothing of answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

WIDGET_TYPE = "run-conversation-relay"
PREFIX = "probe_"
"""Widget `probe_7` asks question 7 of its definition; state 0 is the trigger."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """Is a relay widget with these properties and events accepted?

    `about` is the property or event in question and `value` what it has here. `likely` is how probable we hold
    a yes, 0 to 1: where the validator says yes or no alone, questions are put together by it.
    """

    properties: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[str, ...] = ()
    about: str = ""
    value: Any = None
    likely: float = 0.5


def definition(questions: Sequence[Question]) -> dict[str, Any]:
    """The flow that asks all of them; Studio does not mind widgets that nothing leads to, or without a place."""
    states = [_state(f"{PREFIX}{number}", question) for number, question in enumerate(questions)]
    start = {"event": "incomingCall", **({"next": states[0]["name"]} if states else {})}
    trigger = {"name": "Trigger", "type": "trigger", "transitions": [start], "properties": {}}
    return {
        "description": "A question to the validator; it is never saved.",
        "states": [trigger, *states],
        "initial_state": "Trigger",
        "flags": {"allow_concurrent_calls": True},
    }


def _state(name: str, question: Question) -> dict[str, Any]:
    transitions = [{"event": event} for event in question.events]
    return {"name": name, "type": WIDGET_TYPE, "transitions": transitions, "properties": dict(question.properties)}
