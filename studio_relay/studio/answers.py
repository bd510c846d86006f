"""Widgets whose outcome is decided outside the flow: the script answers for them, within what they can fire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from studio_relay.errors import FlowError
from studio_relay.studio.flow import Transition, Widget, did_you_mean
from studio_relay.studio.widgets import facts

if TYPE_CHECKING:
    from studio_relay.studio.execution import Execution


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a widget's step ended; `event` None means the call was over and nothing fires."""

    event: str | None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    match: Transition | None = None
    keep_parsed: bool = False


async def answered(run: Execution, widget: Widget) -> Outcome:
    """Any other widget: the script says what happened."""
    known = facts(widget.type)
    if known and known.default_event and run.caller.answer(widget.name) is None:
        return Outcome(event=known.default_event)
    answer = dict(answer_to(run, widget))
    event = answer.pop("event", "callCompleted" if "DialCallStatus" in answer else None)
    if event is None:
        raise FlowError(f"{_place(run, widget)}: its answer has no `event`. {_how_to_answer(widget)}")
    check_event(run, widget, str(event))
    call = run.call_parameters() if known and known.call_outputs else {}
    return Outcome(event=str(event), outputs=call | answer)


def answer_to(run: Execution, widget: Widget) -> Mapping[str, Any]:
    answer = run.caller.answer(widget.name)
    if answer is None:
        raise FlowError(
            f"{_place(run, widget)} needs to be told what happens there, and the script does not say. "
            f"{_how_to_answer(widget)}"
        )
    return answer


def check_event(run: Execution, widget: Widget, event: str) -> None:
    events = _events_of(widget)
    if events and event not in events:
        hint = did_you_mean(event, events)
        raise FlowError(
            f"{_place(run, widget)}: its answer says event {event!r}, which it cannot fire.{hint} "
            f"{_how_to_answer(widget)}"
        )


def _events_of(widget: Widget) -> tuple[str, ...]:
    known = facts(widget.type)
    return known.events if known and known.events else tuple(t.event for t in widget.transitions)


def _how_to_answer(widget: Widget) -> str:
    known, events = facts(widget.type), _events_of(widget)
    example = (known.answer_example if known else "") or f"{{event: {events[0] if events else 'EVENT'}}}"
    possible = ", ".join(events) or "unknown"
    return f"Possible events: {possible}. Write into the script's `answers:` for example `{widget.name}: {example}`."


def _place(run: Execution, widget: Widget) -> str:
    return f"{run.flow.name}: {widget.path}: widget {widget.name!r} ({widget.type})"


def as_text(value: Any) -> str:
    return "" if value is None else str(value)
