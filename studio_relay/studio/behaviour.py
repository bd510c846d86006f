"""What each widget does when a call reaches it; in which order widgets come is `execution`'s."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from studio_relay.studio.answers import Outcome, answer_to, answered, as_text, check_event
from studio_relay.studio.conditions import evaluate
from studio_relay.studio.context import BadValue, parsed_body, subflow_context, typed
from studio_relay.studio.flow import Widget
from studio_relay.studio.outside import Gather
from studio_relay.studio.relay_stage import redirect, relay
from studio_relay.studio.widgets import facts

if TYPE_CHECKING:
    from studio_relay.studio.execution import Execution

TYPE_PARSING = 81027
NESTED_SUBFLOW = 81024
_NUMERIC = ("less_than", "greater_than")


Behaviour = Callable[["Execution", Widget], Awaitable[Outcome]]


async def act(run: Execution, widget: Widget) -> Outcome:
    """Let the widget act. Raises HungUp, and FlowError for an answer that is missing or wrong."""
    return await _BEHAVIOURS.get(widget.type, answered)(run, widget)


async def _split(run: Execution, widget: Widget) -> Outcome:
    for transition in widget.on("match"):
        if transition.conditions and all(_holds(run, widget, c) for c in transition.conditions):
            return Outcome(event="match", match=transition)
    return Outcome(event="noMatch")


def _holds(run: Execution, widget: Widget, condition: Any) -> bool:
    source = condition.arguments[0] if condition.arguments else widget.text("input")
    if condition.arguments and widget.text("input") not in ("", source):
        run.warn(widget, "a condition tests something else than the widget's input; the condition's own was used")
    verdict = evaluate(condition.type, run.render(widget, source), run.render(widget, condition.value))
    if verdict.note:
        run.warn(widget, f"{condition.type}: {verdict.note}")
    elif condition.type in _NUMERIC and isinstance(run.raw(source), str):
        run.warn(widget, f"{condition.type}: the subject is stored as text; cast it with `| plus: 0` to be safe")
    return verdict.holds


async def _set_variables(run: Execution, widget: Widget) -> Outcome:
    rows = widget.properties.get("variables")
    values: dict[str, Any] = {}
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and isinstance(row.get("key"), str):
            _warn_about_siblings(run, widget, str(row.get("value")), values)
            values[row["key"]] = _variable(run, widget, row)
    return Outcome(event="next", outputs=values, variables=values)


def _variable(run: Execution, widget: Widget, row: Mapping[str, Any]) -> Any:
    value = row.get("value")
    text = run.render(widget, "" if value is None else str(value))
    parse = row.get("parse_as_json") in (True, "true")
    try:
        return typed(text, "json_object" if parse else str(row.get("type", "string")))
    except BadValue as error:
        run.warn(widget, f"variable {row['key']!r}: {error}; it is empty", code=TYPE_PARSING)
        return ""


def _warn_about_siblings(run: Execution, widget: Widget, template: str, earlier: Mapping[str, Any]) -> None:
    for key in earlier:
        if f"flow.variables.{key}" in template.replace(" ", ""):
            run.warn(widget, f"reads variable {key!r} set by the same widget; the value before was used (unverified)")


async def _say_play(run: Execution, widget: Widget) -> Outcome:
    await _speak(run, widget)
    shown = {key: run.property(widget, key) for key in ("language", "voice") if widget.text(key)}
    return Outcome(event="audioComplete", outputs=run.call_parameters() | shown)


async def _speak(run: Execution, widget: Widget) -> None:
    """Play what the widget says; a sound file is heard as `[play URL]`, keys as `[digits ...]`."""
    said = run.property(widget, "say")
    for key in ("play", "digits"):
        if not said and widget.text(key):
            said = f"[{key} {run.property(widget, key)}]"
    loop = widget.properties.get("loop")
    times = loop if isinstance(loop, int) and 1 <= loop <= 99 else 1
    for _ in range(times if said.strip() else 0):
        await run.caller.hear(said)


async def _gather(run: Execution, widget: Widget) -> Outcome:
    await _speak(run, widget)
    digits = widget.properties.get("number_of_digits")
    finish = widget.properties.get("finish_on_key")
    gathered = await run.caller.gather(
        Gather(
            widget=widget.name,
            timeout=_seconds(widget.properties.get("timeout"), 5.0),
            finish_on_key="#" if finish is None else str(finish),
            stop_gather=widget.properties.get("stop_gather") is not False,
            number_of_digits=digits if isinstance(digits, int) else None,
        )
    )
    call = run.call_parameters()
    if gathered.digits:
        return Outcome(event="keypress", outputs=call | {"Digits": gathered.digits})
    if gathered.speech:
        heard = {"SpeechResult": gathered.speech, "Confidence": gathered.confidence}
        return Outcome(event="speech", outputs=call | heard)
    return Outcome(event="timeout", outputs=call)


def _seconds(value: Any, default: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return default


async def _web_request(run: Execution, widget: Widget) -> Outcome:
    """Run Function and Make HTTP Request: `status`, `body` and `content_type` come from the script."""
    known = facts(widget.type)
    failure = known.events[1] if known else "failed"
    answer = dict(answer_to(run, widget))
    status = answer.pop("status", answer.pop("status_code", None))
    event = str(answer.pop("event", "") or ("success" if 200 <= _status(status) < 400 else failure))
    check_event(run, widget, event)
    if status is None and event == failure and not answer:
        return Outcome(event=event, keep_parsed=True)
    outputs = _web_outputs(answer) | {"status_code": _status(status)}
    return Outcome(event=event, outputs=outputs | answer, keep_parsed=True)


def _status(value: Any) -> int:
    return int(value) if value is not None and str(value).isdigit() else 200


def _web_outputs(answer: dict[str, Any]) -> dict[str, Any]:
    body = answer.pop("body", answer.pop("parsed", ""))
    text = body if isinstance(body, str) else json.dumps(body)
    guessed = "application/json" if text.lstrip()[:1] in ("{", "[") else "text/plain"
    content_type = str(answer.pop("content_type", guessed))
    parsed = parsed_body(text, content_type)
    outputs: dict[str, Any] = {"body": text, "content_type": content_type}
    return outputs if parsed is None else outputs | {"parsed": parsed}


async def _subflow(run: Execution, widget: Widget) -> Outcome:
    """The other definition, if one was given; else the script's answer. A subflow may not call one itself."""
    if run.is_subflow:
        run.warn(widget, "a subflow may not run a subflow", code=NESTED_SUBFLOW)
        return Outcome(event="failed")
    sid = run.property(widget, "flow_sid")
    other = run.subflow(sid)
    if other is None:
        return await answered(run, widget)
    walk = await run.descend(widget, other, subflow_context(run.context, _typed_parameters(run, widget), sid))
    return Outcome(event="completed", outputs=walk.variables)


def _typed_parameters(run: Execution, widget: Widget) -> dict[str, Any]:
    rows = widget.properties.get("parameters")
    values: dict[str, Any] = {}
    for row in rows if isinstance(rows, list) else []:
        if not isinstance(row, dict):
            continue
        text = run.render(widget, as_text(row.get("value")))
        try:
            values[str(row.get("key"))] = typed(text, "json_object") if row.get("type") == "json_object" else text
        except BadValue as error:
            run.warn(widget, f"parameter {row.get('key')!r}: {error}; it is empty", code=TYPE_PARSING)
    return values


_BEHAVIOURS: Mapping[str, Behaviour] = {
    "split-based-on": _split,
    "set-variables": _set_variables,
    "say-play": _say_play,
    "gather-input-on-call": _gather,
    "run-conversation-relay": relay,
    "add-twiml-redirect": redirect,
    "run-function": _web_request,
    "make-http-request": _web_request,
    "run-subflow": _subflow,
}
