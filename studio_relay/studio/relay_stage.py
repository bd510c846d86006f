"""The relay stages of a flow: Studio's own widget, and the redirect to our voice URL; sessions are run by others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from studio_relay.studio.answers import Outcome, answered, as_text, check_event
from studio_relay.studio.flow import Widget
from studio_relay.studio.outside import RelayOutcome, RelayStage

if TYPE_CHECKING:
    from studio_relay.studio.execution import Execution

_SESSION_ENDS = ("success", "failed", "completed")
"""How an answer says that a session ended, was lost, or was left by the caller."""


async def relay(run: Execution, widget: Widget) -> Outcome:
    """A real session; or, where the script answers for the relay too, what it says."""
    answer = run.caller.answer(widget.name)
    if answer is not None:
        return _relay_answered(run, widget, answer)
    attributes = {
        key: run.property(widget, key)
        for key in widget.properties
        if key not in ("url", "parameters", "offset") and widget.properties[key] is not None
    }
    outcome = await run.relay(
        RelayStage(
            widget=widget.name,
            url=run.property(widget, "url"),
            attributes=attributes,
            parameters=_pairs(run, widget),
            call=run.call_parameters(),
        )
    )
    run.note_session(widget, outcome)
    return _relay_ended(run, outcome)


def _relay_answered(run: Execution, widget: Widget, answer: Mapping[str, Any]) -> Outcome:
    """`event` is `success`, `failed`, or `completed` for a caller who hung up; `HandoffData` is a text."""
    event = str(answer.get("event", "success"))
    if event != "completed":
        check_event(run, widget, event)
    return _relay_ended(run, _told(run, widget, answer))


def _told(run: Execution, widget: Widget, answer: Mapping[str, Any]) -> RelayOutcome:
    event = str(answer.get("event", "success"))
    handoff = answer.get("HandoffData")
    outcome = RelayOutcome(
        status="ended" if event == "success" else "completed" if event == "completed" else "failed",
        session_id=str(answer.get("SessionId", "VX" + "0" * 32)),
        duration_ms=0,
        handoff_data=None if handoff is None else str(handoff),
    )
    run.note_session(widget, outcome)
    return outcome


def _relay_ended(run: Execution, outcome: RelayOutcome) -> Outcome:
    """`ended` is success, `failed` failed and leaves nothing; a caller who hung up fires no event at all."""
    if outcome.status == "failed":
        return Outcome(event="failed")
    handoff = {} if outcome.handoff_data is None else {"HandoffData": outcome.handoff_data}
    session = {
        "SessionId": outcome.session_id,
        "SessionStatus": outcome.status,
        "SessionDuration": str(outcome.duration_ms // 1000),
    }
    event = "success" if outcome.status == "ended" else None
    return Outcome(event=event, outputs=run.call_parameters() | session | handoff)


async def redirect(run: Execution, widget: Widget) -> Outcome:
    """A session behind our own voice URL, where one can be run; any other redirect is answered by the script.

    One script serves both shapes of a stage: an answer in the words of the relay widget says how the session ended.
    """
    url = urlsplit(run.property(widget, "url"))
    answer = run.caller.answer(widget.name)
    is_ours = "/voice" in url.path
    if is_ours and answer is not None and answer.get("event") in _SESSION_ENDS:
        return _returned(run, _told(run, widget, answer))
    if not is_ours or run.redirect is None or answer is not None:
        return await answered(run, widget)
    query = {key: value for key, value in parse_qsl(url.query, keep_blank_values=True) if key != "return"}
    stage = RelayStage(widget=widget.name, url=url.geturl(), parameters=query, call=run.call_parameters())
    outcome = await run.redirect(stage)
    run.note_session(widget, outcome)
    return _returned(run, outcome)


def _returned(run: Execution, outcome: RelayOutcome) -> Outcome:
    """The server sends the call home with `FlowEvent=return`, however the session ended; a caller gone stays gone."""
    if outcome.status == "completed":
        return Outcome(event=None, outputs={"SessionStatus": "completed"})
    home = {"FlowEvent": "return", "SessionStatus": outcome.status}
    handoff = {} if outcome.handoff_data is None else {"HandoffData": outcome.handoff_data}
    return Outcome(event="return", outputs=run.call_parameters() | home | handoff)


def _pairs(run: Execution, widget: Widget) -> dict[str, str]:
    rows = widget.properties.get("parameters")
    found = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return {str(row.get("key", "")): run.render(widget, as_text(row.get("value"))) for row in found}
