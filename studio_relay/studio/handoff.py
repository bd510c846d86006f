"""From an agent's handoff to the widgets that read it, and back: what is generated, and what does not agree.

The contract of a handoff itself stands in `studio_relay.handoff`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from studio_relay.errors import FlowError
from studio_relay.handoff import SERVER_CODES, Handoff, reason_codes
from studio_relay.studio.conditions import evaluate
from studio_relay.studio.flow import Flow, Widget
from studio_relay.studio.inputs import origins_of
from studio_relay.studio.rules.payloads import MAX_ATTRIBUTES
from studio_relay.studio.subject import AgentFacts, Subject

__all__ = ["Mismatch", "attributes", "compare", "facts_of", "widgets"]

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_CODE, _SHORT, _LEAST_SUMMARY = 32, 32, 120
"""Characters of a reason code, of any other short member, and the least that is left to a summary."""


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """A place where flow and agent do not agree. `kind`: `no-branch`, `no-code` or `no-member`."""

    kind: str
    message: str
    widget: str | None = None
    path: str | None = None

    def to_json(self) -> dict[str, Any]:
        shown = {"kind": self.kind, "message": self.message, "widget": self.widget, "path": self.path}
        return {key: value for key, value in shown.items() if value is not None}


def facts_of(model: type[Handoff], *, name: str = "agent", parameters: frozenset[str] | None = None) -> AgentFacts:
    """What flows may rely on: the reason codes of the model, the server's own, and the members on the wire."""
    codes = reason_codes(model)
    members = frozenset(str(field.alias or key) for key, field in model.model_fields.items())
    wanted = frozenset(codes) | frozenset(SERVER_CODES) if codes else None
    return AgentFacts(name=name, parameters=parameters, codes=wanted, members=members)


def widgets(
    model: type[Handoff],
    *,
    relay: str,
    prefix: str = "",
    variable: str = "handoff",
    targets: dict[str, str] | None = None,
    otherwise: str | None = None,
) -> list[dict[str, Any]]:
    """The three states behind a relay widget's `success`: a guard, the parser, and a Split with a branch per code.

    `relay` is the relay widget's name, `targets` names the widget each code leads to, `otherwise` where blank and
    unknown handoffs go. States are named `<prefix>has_handoff`, `<prefix>parse` and `<prefix>route`. The server's own
    codes share one branch, `targets["relay-agent-failed"]`.

    Raises FlowError when a name cannot be used in Liquid or the model names no codes.
    """
    codes = reason_codes(model)
    if not codes:
        raise FlowError(f"{model.__name__}: its reason_code is no Literal[...], so there are no branches to make.")
    for name in (relay.replace("-", "_"), variable):
        if not _IDENTIFIER.fullmatch(name):
            raise FlowError(f"{name!r} cannot be read in Liquid; use letters, digits and underscores, a letter first.")
    text, code = f"{{{{widgets.{relay}.HandoffData}}}}", f"{{{{flow.variables.{variable}.reasonCode}}}}"
    leads = targets or {}
    branches = [_match(code, "equal_to", name, leads.get(name, otherwise), f"The agent says {name}") for name in codes]
    server = leads.get(SERVER_CODES[0], otherwise)
    branches.append(_match(code, "matches_any_of", ",".join(SERVER_CODES), server, "The server gave up"))
    guard = _match(text, "is_not_blank", "Is Not Blank", f"{prefix}parse", "There is a handoff")
    entry = {"key": variable, "value": text, "type": "json_object", "index": "0"}
    return [
        _state(f"{prefix}has_handoff", "split-based-on", [_on("noMatch", otherwise), guard], input=text),
        _state(f"{prefix}parse", "set-variables", [_on("next", f"{prefix}route")], variables=[entry]),
        _state(f"{prefix}route", "split-based-on", [_on("noMatch", otherwise), *branches], input=code),
    ]


def _state(name: str, kind: str, transitions: Sequence[dict[str, Any]], **properties: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "transitions": list(transitions), "properties": properties}


def _on(event: str, target: str | None) -> dict[str, Any]:
    return {"event": event} | ({"next": target} if target else {})


def _match(argument: str, kind: str, value: str, target: str | None, friendly: str) -> dict[str, Any]:
    condition = {"friendly_name": friendly, "arguments": [argument], "type": kind, "value": value}
    return _on("match", target) | {"conditions": [condition]}


def attributes(model: type[Handoff], *, variable: str = "handoff", extra: dict[str, str] | None = None) -> str:
    """Task attributes for Send To Flex: JSON whatever the handoff holds, and at most 1,024 characters.

    Every member goes through `to_json`. The reason code stays whole; other members are cut to 32 characters, or less
    where there are many; the summary takes the rest, and less of it where escaping makes it longer (up to six
    characters for one, which is what the bounds allow for). `extra` adds members by Liquid expression, such as
    `{"from": "contact.channel.address"}`. Raises FlowError when there are too many to fit.
    """
    names = [str(field.alias or key) for key, field in model.model_fields.items() if key != "version"]
    members = {name: f"flow.variables.{variable}.{name}" for name in names} | (extra or {})
    others = [name for name in members if name not in ("reasonCode", "summary")]
    left = MAX_ATTRIBUTES - sum(len(json.dumps(name)) + len(":,") for name in members) - len("{}") - _CODE - 2
    share = min(_SHORT, (left - _LEAST_SUMMARY) // (6 * len(others))) if others else 0
    left -= sum(6 * share + 2 for _ in others)
    if left < _LEAST_SUMMARY or (others and share < 4):
        raise FlowError(f"{model.__name__}: {len(members)} members do not fit into {MAX_ATTRIBUTES} characters.")
    limits = dict.fromkeys(others, share) | {"reasonCode": _CODE}
    pieces = [
        f"{json.dumps(name)}:" + (_fitted(source, left) if name == "summary" else _cut(source, limits[name]))
        for name, source in members.items()
    ]
    return "{" + ",".join(pieces) + "}"


def _cut(source: str, limit: int) -> str:
    return f"{{{{{source} | default: '' | append: '' | slice: 0, {limit} | to_json}}}}"


def _fitted(source: str, room: int) -> str:
    """As much of a text as fits into `room` characters of JSON: whole, else a half, else a sixth."""
    tiers = [f"{{% assign fitted = {source} | default: '' | append: '' | truncate: {room - 2} | to_json %}}"]
    for limit in (room // 2 - 2, room // 6 - 2):
        shorter = f"{source} | default: '' | append: '' | truncate: {limit} | to_json"
        tiers.append(f"{{% if fitted.size > {room} %}}{{% assign fitted = {shorter} %}}{{% endif %}}")
    return "".join(tiers) + "{{fitted}}"


def compare(flow: Flow, agent: AgentFacts) -> tuple[Mismatch, ...]:
    """Codes that no branch takes, branches that no code reaches, members that are read and never sent."""
    subject = Subject(flow.document)
    return (*_codes(flow, agent), *_members(subject, flow, agent))


def _handoff_splits(flow: Flow) -> Iterator[tuple[Widget, bool]]:
    """Splits on a reason code, and whether they see the whole text (True) or the parsed member."""
    for widget in flow.states.values():
        if widget.type != "split-based-on":
            continue
        for origin in origins_of(flow, widget.text("input")):
            if origin[2:] == ("HandoffData", "reasonCode"):
                yield widget, False
            elif origin[2:] == ("HandoffData",):
                yield widget, True


def _codes(flow: Flow, agent: AgentFacts) -> Iterator[Mismatch]:
    if agent.codes is None:
        return
    splits = {(widget.name, whole): (widget, whole) for widget, whole in _handoff_splits(flow)}.values()
    deciding = [
        (w, whole) for w, whole in splits if any(c.type not in _BLANKS for t in w.on("match") for c in t.conditions)
    ]
    taken: set[str] = set()
    for widget, whole in deciding:
        for t in widget.on("match"):
            hit = {code for code in agent.codes if all(_takes(c, code, whole) for c in t.conditions)}
            taken |= hit
            if not hit:
                words = f"no code of {agent.name} reaches the branch '{' and '.join(map(str, t.conditions))}'"
                path = f"{widget.path}/transitions/{t.position}"
                yield Mismatch(kind="no-code", message=words, widget=widget.name, path=path)
    for code in sorted(agent.codes - taken) if deciding else ():
        where = deciding[0][0]
        words = f"no branch takes {code!r}; it goes where nothing matches"
        yield Mismatch(kind="no-branch", message=words, widget=where.name, path=f"{where.path}/transitions")
    if not deciding:
        yield Mismatch(kind="no-branch", message="no Split looks at the reason code of a handoff")


_BLANKS = ("is_blank", "is_not_blank")


def _takes(condition: Any, code: str, whole: bool) -> bool:
    subject = json.dumps({"reasonCode": code, "version": 1}, separators=(",", ":")) if whole else code
    return evaluate(condition.type, subject, condition.value).holds


def _members(subject: Subject, flow: Flow, agent: AgentFacts) -> Iterator[Mismatch]:
    if agent.members is None:
        return
    for use, found in subject.templates:
        for path in found.paths:
            for origin in origins_of(flow, "{{" + ".".join(path) + "}}"):
                member = origin[3] if origin[2:3] == ("HandoffData",) and len(origin) > 3 else None
                if member is not None and member not in agent.members:
                    words = f"reads {'.'.join(path)!r}, and {agent.name} never sends {member!r}"
                    place = f"{use.widget.path}/{use.place}"
                    yield Mismatch(kind="no-member", message=words, widget=use.widget.name, path=place)
