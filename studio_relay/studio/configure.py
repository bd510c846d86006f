"""Puts a relay stage into a flow, or changes the one that is there; all from one description, in three shapes.

`widget` is Studio's own Run ConversationRelay, `redirect` sends the call to our voice URL and gets it back,
`subflow` runs another flow that holds the stage. Works on copies: writing is a separate step.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from studio_relay.errors import FlowError
from studio_relay.studio.flow import Flow
from studio_relay.studio.liquid_text import split_outputs

Shape = Literal["widget", "redirect", "subflow"]

_TYPES: Mapping[Shape, str] = {
    "widget": "run-conversation-relay",
    "redirect": "add-twiml-redirect",
    "subflow": "run-subflow",
}
_GOOD, _BAD = ("success", "return", "completed"), ("failed", "fail", "timeout")
_EVENTS: Mapping[Shape, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "widget": (("success",), ("failed",)),
    "redirect": (("return",), ("timeout", "fail")),
    "subflow": (("completed",), ("failed",)),
}
_RETURN = "https://webhooks.twilio.com/v1/Accounts/{{trigger.call.AccountSid}}/Flows/{{flow.flow_sid}}"
_STEP_X, _STEP_Y = 320, 220


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One relay stage of a flow.

    `server` is the relay's address, `wss://host[/prefix]` or `https://host[/prefix]`; `agent` its path below
    `/relay/` or `/voice/`. `attributes` are properties of the widget (`welcome_greeting`, `language`, ...), in shape
    `redirect` the server's own settings decide instead. `parameters` are Liquid templates by name. `success` and
    `failed` name the widgets to go to; None keeps what is wired. `retry` adds a second stage without a greeting
    behind `failed`, once. `flow_sid` is needed by shape `subflow` alone.
    """

    name: str = "relay"
    shape: Shape = "widget"
    server: str | None = None
    agent: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    success: str | None = None
    failed: str | None = None
    retry: bool = False
    flow_sid: str | None = None


def configure(flow: Flow, stage: Stage, *, after: tuple[str, str] | None = None) -> dict[str, Any]:
    """The definition of `flow` with `stage` in it.

    A widget of that name is changed, whatever shape it has; if there is none it is inserted on the transition
    `after` (widget, event), by default behind the first Say/Play of a call, else behind `incomingCall`. Raises
    FlowError for names that do not exist and for a server that is none.
    """
    definition = copy.deepcopy(dict(flow.definition))
    states: list[dict[str, Any]] = definition["states"]
    _check_targets(flow, stage)
    found = _state(states, stage.name)
    if found is None:
        found = _insert(flow, states, stage.name, after)
    elif found.get("type") not in _TYPES.values():
        raise FlowError(f"{flow.name}: widget {stage.name!r} is a {found.get('type')}, no relay stage. Name another.")
    good, bad = _ways_out(states, found)
    good, bad = stage.success or good, stage.failed or bad
    _write(states, found, stage, good, bad)
    if stage.retry:
        _add_retry(states, stage, good, bad)
    return definition


def _state(states: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    return next((state for state in states if state.get("name") == name), None)


def _check_targets(flow: Flow, stage: Stage) -> None:
    for what in (stage.success, stage.failed):
        if what is not None:
            flow.widget(what)


def _insert(flow: Flow, states: list[dict[str, Any]], name: str, after: tuple[str, str] | None) -> dict[str, Any]:
    """A new state on a transition; what the transition led to becomes its way out."""
    widget, event = after or _first_place(flow)
    before = _state(states, flow.widget(widget).name)
    row = next((t for t in before["transitions"] if t["event"] == event), None) if before else None
    if before is None or row is None:
        events = ", ".join(t.event for t in flow.widget(widget).transitions) or "none"
        raise FlowError(f"{flow.name}: widget {widget!r} has no transition {event!r}; it has {events}.")
    ways = [{"event": "success"} | ({"next": row["next"]} if row.get("next") else {}), {"event": "failed"}]
    made = {"name": name, "type": _TYPES["widget"], "transitions": ways, "properties": {}}
    made["properties"] = {"offset": _free_place(states, before)}
    row["next"] = name
    states.append(made)
    return made


def _first_place(flow: Flow) -> tuple[str, str]:
    start = next(iter(flow.trigger.on("incomingCall")), None)
    first = flow.states.get(start.next) if start and start.next else None
    if first is not None and first.type == "say-play":
        return first.name, "audioComplete"
    return flow.initial_state, "incomingCall"


def _free_place(states: list[dict[str, Any]], near: dict[str, Any]) -> dict[str, int]:
    """A place on the canvas below a widget, moved to the right until nothing is there."""
    taken = [offset for s in states if isinstance(offset := s.get("properties", {}).get("offset"), dict)]
    start = near.get("properties", {}).get("offset") or {}
    x, y = int(start.get("x", 0)), int(start.get("y", 0)) + _STEP_Y
    while any(abs(o.get("x", 0) - x) < _STEP_X - 60 and abs(o.get("y", 0) - y) < _STEP_Y - 60 for o in taken):
        x += _STEP_X
    return {"x": x, "y": y}


def _ways_out(states: list[dict[str, Any]], state: dict[str, Any]) -> tuple[str | None, str | None]:
    """Where the stage leads now, in good and in bad; a Split of ours behind a redirect is taken away."""
    nexts = {t.get("event"): t.get("next") for t in state.get("transitions", [])}
    good = next((nexts[e] for e in _GOOD if nexts.get(e)), None)
    bad = next((nexts[e] for e in _BAD if nexts.get(e)), None)
    check = _state(states, f"{state['name']}_ended")
    if check is not None and good == check["name"]:
        good = next((t.get("next") for t in check["transitions"] if t["event"] == "noMatch"), None)
        states.remove(check)
    return good, bad


def _write(
    states: list[dict[str, Any]], state: dict[str, Any], stage: Stage, good: str | None, bad: str | None
) -> None:
    old = state.get("properties", {})
    kept = (
        old if state.get("type") == _TYPES[stage.shape] else {k: old[k] for k in ("offset", "parameters") if k in old}
    )
    properties = dict(kept)
    merged = {str(row.get("key")): row for row in _rows(properties.pop("parameters", []))}
    merged |= {key: {"key": key, "value": value} for key, value in stage.parameters.items()}
    good_events, bad_events = _EVENTS[stage.shape]
    state["type"] = _TYPES[stage.shape]
    if stage.shape == "redirect":
        properties |= {"method": "POST", "timeout": "14400", "url": _voice_url(stage, merged, old.get("url"))}
        good = _status_split(states, state, good, bad)
    else:
        if stage.shape == "subflow":
            properties |= {"flow_sid": _needed_sid(stage), "flow_revision": old.get("flow_revision", "LatestPublished")}
        else:
            properties |= {"url": _relay_url(stage, old.get("url"))} | dict(stage.attributes)
        properties["parameters"] = list(merged.values())
    state["properties"] = properties
    known = {row.get("event"): row for row in _rows(state.get("transitions"))}
    ways = [(event, good) for event in good_events] + [(event, bad) for event in bad_events]
    state["transitions"] = [_way(event, target, known.get(event)) for event, target in ways]


def _rows(value: Any) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _way(event: str, target: str | None, old: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A transition; `old` keeps the order of its keys."""
    if target and old and "next" in old:
        return dict(old) | {"event": event, "next": target}
    return {"event": event} | ({"next": target} if target else {})


def _relay_url(stage: Stage, old: Any) -> str:
    if stage.server is None:
        if isinstance(old, str) and old:
            return old if stage.agent is None else re.sub(r"/relay(?:/[^/?]*)?(?=$|\?)", f"/relay/{stage.agent}", old)
        raise FlowError(f"stage {stage.name!r}: a server is needed, such as wss://relay.example.com.")
    agent = stage.agent or _agent_of(old)
    return f"wss://{_host(stage)}/relay" + (f"/{agent}" if agent else "")


def _agent_of(url: Any) -> str:
    """The agent that the address of an earlier stage names, "" for none."""
    found = re.search(r"/(?:relay|voice)/([^/?#{}]+)", url) if isinstance(url, str) else None
    return found[1] if found else ""


def _host(stage: Stage) -> str:
    parts = urlsplit(stage.server or "")
    if parts.scheme not in ("wss", "https") or not parts.netloc:
        raise FlowError(
            f"stage {stage.name!r}: expected a server such as wss://relay.example.com, found {stage.server!r}."
        )
    return parts.netloc + re.sub(r"/relay(/[^/]*)?$", "", parts.path).rstrip("/")


def _voice_url(stage: Stage, parameters: Mapping[str, dict[str, Any]], old: Any) -> str:
    """Our voice URL; Liquid stays as it is, the fixed text around it is escaped."""
    if stage.server is None:
        raise FlowError(f"stage {stage.name!r}: a server is needed, such as https://relay.example.com.")
    query = {key: _escaped(str(row.get("value") or ""), encode=True) for key, row in parameters.items()}
    query["return"] = _escaped(_RETURN)
    name = stage.agent or _agent_of(old)
    agent = f"/{name}" if name else ""
    # Sorted by name: Twilio is reported to ask for a URL so, but to sign it as it was written.
    pairs = [f"{quote(key)}={value}" for key, value in sorted(query.items())]
    return f"https://{_host(stage)}/voice{agent}?{'&'.join(pairs)}"


def _escaped(text: str, *, encode: bool = False) -> str:
    pieces = split_outputs(text)
    liquid = [p.replace("}}", " | url_encode }}") if encode and "url_encode" not in p else p for p in pieces]
    return "".join(
        new if old.startswith("{{") else quote(old, safe="") for old, new in zip(pieces, liquid, strict=True)
    )


def _status_split(states: list[dict[str, Any]], state: dict[str, Any], good: str | None, bad: str | None) -> str:
    """A redirect comes back by one event for every end, so a Split tells a failed session from the others."""
    source = f"{{{{widgets.{state['name']}.SessionStatus}}}}"
    condition = {"friendly_name": "The session failed", "arguments": [source], "type": "equal_to", "value": "failed"}
    name = f"{state['name']}_ended"
    ways = [_way("noMatch", good), _way("match", bad) | {"conditions": [condition]}]
    properties = {"offset": _free_place(states, state), "input": source}
    states.append({"name": name, "type": "split-based-on", "transitions": ways, "properties": properties})
    return name


def _needed_sid(stage: Stage) -> str:
    if not stage.flow_sid:
        raise FlowError(f"stage {stage.name!r}: shape subflow needs flow_sid, the SID of the flow to run (FW...).")
    return stage.flow_sid


def _add_retry(states: list[dict[str, Any]], stage: Stage, good: str | None, bad: str | None) -> None:
    """A second stage, once, without a greeting: what failed starts again, and only then goes where `failed` leads.

    A failed stage leaves no HandoffData, so readers see one of the two texts put together.
    """
    first, name = _state(states, stage.name), f"{stage.name}_again"
    if first is None or _state(states, name) is not None:
        return
    second = copy.deepcopy(first)
    second["name"] = name
    second["properties"].pop("welcome_greeting", None)
    second["properties"]["offset"] = _free_place(states, first)
    states.append(second)
    silent = {key: value for key, value in stage.attributes.items() if key != "welcome_greeting"}
    _write(states, second, replace(stage, name=name, attributes=silent), good, bad)
    if "url" in first["properties"]:
        second["properties"]["url"] = first["properties"]["url"]  # of a redirect it holds the parameters too
    for failing in (first, _state(states, f"{stage.name}_ended")):
        for t in failing["transitions"] if failing else ():
            if t["event"] in _BAD or (failing is not first and t["event"] == "match"):
                t["next"] = name
    text = f"{{{{widgets.{stage.name}.HandoffData}}}}"
    pattern = re.compile(r"\{\{\s*widgets\." + re.escape(stage.name) + r"\.HandoffData\s*\}\}")
    for state in states:
        for key, value in state.items():
            if key in ("properties", "transitions"):
                state[key] = _rewritten(value, pattern, text + text.replace(stage.name, name))


def _rewritten(value: Any, pattern: re.Pattern[str], new: str) -> Any:
    if isinstance(value, str):
        return pattern.sub(lambda _: new, value)
    if isinstance(value, dict):
        return {key: _rewritten(member, pattern, new) for key, member in value.items()}
    return [_rewritten(member, pattern, new) for member in value] if isinstance(value, list) else value
