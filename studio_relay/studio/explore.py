"""Finds calls that take a flow down all of its branches, and writes them as caller scripts.

The flow is run again and again with inputs from `inputs`; each choice prefers what has not been tried, then what came
nearest to a transition nobody has followed yet. Relay widgets are answered too, so no agent is needed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from studio_relay.errors import FlowError
from studio_relay.studio.coverage import Coverage, Edge, coverage
from studio_relay.studio.flow import Flow, Widget
from studio_relay.studio.inputs import Origin, pools_of, put, reads_of
from studio_relay.studio.outside import Gather, Gathered, HungUp, RelayOutcome, RelayStage
from studio_relay.studio.simulate import walk
from studio_relay.studio.walk import Walk
from studio_relay.studio.widgets import facts

MAX_WALKS = 1_500
PATIENCE = 200
"""Walks without anything new after which the search gives up."""
_MAX_CHOICES = 80
_LOOK_AHEAD = 8
_FAR = 10**6
_GREEDY = 0.75
_STUBS = {"DialCallStatus": "completed", "QueueResult": "bridged", "RecordingUrl": "https://example.com/recording"}


@dataclass(frozen=True, kw_only=True)
class FoundCall:
    """One call that goes a way of its own: what the caller does, what the world answers, and the walk it makes."""

    call: Mapping[str, str]
    steps: tuple[Mapping[str, Any] | str, ...]
    answers: Mapping[str, Mapping[str, Any]]
    walk: Walk

    @property
    def name(self) -> str:
        """A name for its file, from the end of its way."""
        last = self.walk.path[-1]
        words = [last.widget, last.condition or last.event or "hang_up"]
        return "".join(c if c.isalnum() else "_" for c in "_".join(words)).strip("_").lower()[:60]

    def to_yaml(self, flow: str) -> str:
        """The caller script; `flow` is the flow's path, seen from the script's folder."""
        import yaml

        script: dict[str, Any] = {"flow": flow}
        script |= {"call": dict(self.call)} if self.call else {}
        script |= {"answers": {name: dict(answer) for name, answer in self.answers.items()}} if self.answers else {}
        script |= (
            {"steps": [step if isinstance(step, str) else dict(step) for step in self.steps]} if self.steps else {}
        )
        script["expect"] = {"path": list(self.walk.widgets)}
        return yaml.safe_dump(script, sort_keys=False, allow_unicode=True, width=100)


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """The calls that were kept, and what they cover together."""

    calls: tuple[FoundCall, ...]
    coverage: Coverage
    walks: int

    def files(self, flow: str) -> dict[str, str]:
        """File names and texts of the scripts."""
        return {f"{number:02d}_{call.name}.yaml": call.to_yaml(flow) for number, call in enumerate(self.calls, 1)}


async def explore(flow: Flow, *, seed: int = 1, max_walks: int = MAX_WALKS) -> Exploration:
    """Search for calls that cover `flow`; the same seed finds the same calls."""
    search = _Search(flow, random.Random(seed))
    while search.walks < max_walks and search.missing and search.idle < PATIENCE:
        await search.once()
    calls = _fewest(search.found)
    return Exploration(calls=tuple(calls), coverage=coverage(flow, [call.walk for call in calls]), walks=search.walks)


def _fewest(found: list[tuple[FoundCall, frozenset[Edge]]]) -> list[FoundCall]:
    """A small set of the calls that covers as much as all of them, the most useful first."""
    rest, covered, kept = list(found), frozenset[Edge](), list[FoundCall]()
    while rest:
        call, edges = max(rest, key=lambda pair: (len(pair[1] - covered), -len(pair[0].walk.path)))
        if kept and not edges - covered:
            break
        kept.append(call)
        covered |= edges
        rest.remove((call, edges))
    return kept


@dataclass
class _Option:
    """What is known of one option of a choice: how often it was taken, and where it led soon after."""

    taken: int = 0
    led_to: set[str] = field(default_factory=set)


class _Search:
    """What has been learned over all walks so far."""

    def __init__(self, flow: Flow, chance: random.Random) -> None:
        self.flow, self.chance = flow, chance
        self.pools, self.reads = pools_of(flow), reads_of(flow)
        self.missing = set(coverage(flow, []).edges)
        self.options: dict[tuple[str, ...], dict[str, _Option]] = {}
        self.found: list[tuple[FoundCall, frozenset[Edge]]] = []
        self.distance: dict[str, int] = {}
        self.walks = self.idle = 0
        self._measure()

    def _measure(self) -> None:
        """How many steps each widget is away from a transition that is still missing."""
        self.distance = {edge[0]: 0 for edge in self.missing}
        waiting = list(self.distance)
        before: dict[str, list[str]] = {}
        for widget in self.flow.states.values():
            for t in widget.transitions:
                if t.next is not None:
                    before.setdefault(t.next, []).append(widget.name)
        while waiting:
            name = waiting.pop(0)
            for earlier in before.get(name, []):
                if earlier not in self.distance:
                    self.distance[earlier] = self.distance[name] + 1
                    waiting.append(earlier)

    def pick(self, key: tuple[str, ...], options: list[str]) -> str:
        """One of the options: an untried one, else mostly the one that leads nearest to what is missing."""
        known = self.options.setdefault(key, {})
        untried = [option for option in options if option not in known]
        if untried:
            return untried[0]
        if self.chance.random() > _GREEDY:
            return self.chance.choice(options)
        return min(options, key=lambda option: (self._nearest(known[option]), known[option].taken))

    def _nearest(self, option: _Option) -> int:
        return min((self.distance.get(name, _FAR) for name in option.led_to), default=_FAR)

    async def once(self) -> None:
        """One walk; what it shows is learned, and it is kept if it covers anything new."""
        caller = _Explorer(self)
        call = {key: self.pick(("call", key), pool) for key in ("From", "To") if (pool := self._numbers(key))}
        caller.picked += [(("call", key), value, 0) for key, value in call.items()]
        walked = await walk(
            self.flow, call=call, caller=caller, relay=caller.relay, clock=lambda: 0.0, on_enter=caller.entered
        )
        self.walks += 1
        self._learn(caller, walked)
        edges = frozenset((s.widget, s.event or "", s.condition_index or 0) for s in walked.path)
        new = edges & self.missing
        self.idle = 0 if new else self.idle + 1
        if new or not self.found:
            self.missing -= new
            self._measure()
            script_call = {key.lower(): value for key, value in call.items()}
            steps, answers = tuple(caller.steps), dict(caller.given)
            self.found.append((FoundCall(call=script_call, steps=steps, answers=answers, walk=walked), edges))

    def _numbers(self, key: str) -> list[str]:
        return [value for value in self.pools.get(("call", key), []) if value]

    def _learn(self, caller: _Explorer, walked: Walk) -> None:
        for key, value, at in caller.picked:
            option = self.options.setdefault(key, {}).setdefault(value, _Option())
            option.taken += 1
            option.led_to = set(walked.widgets[at : at + _LOOK_AHEAD])

    def output_pools(self, widget: str) -> dict[Origin, list[str]]:
        """Origins below a widget's outputs with the values to try."""
        return {origin[2:]: pool for origin, pool in self.pools.items() if origin[:2] == ("widgets", widget) and pool}


class _Explorer:
    """The caller and the world of one walk; every question is a choice of the search."""

    def __init__(self, search: _Search) -> None:
        self.search = search
        self.picked: list[tuple[tuple[str, ...], str, int]] = []
        self.steps: list[Mapping[str, Any] | str] = []
        self.answers: dict[str, dict[str, Any]] = {}
        self.given: dict[str, dict[str, Any]] = {}
        self.visited = 0

    def entered(self, widget: Widget) -> None:
        self.visited += 1

    def pick(self, key: tuple[str, ...], options: list[str]) -> str:
        value = self.search.pick(key, options)
        self.picked.append((key, value, self.visited))
        return value

    async def hear(self, text: str) -> None:
        return None

    async def gather(self, wanted: Gather) -> Gathered:
        if len(self.picked) >= _MAX_CHOICES:
            self.steps.append("hang_up")
            raise HungUp
        widget = self.search.flow.widget(wanted.widget)
        events = [e for e in ("keypress", "speech", "timeout") if widget.on(e)] or ["timeout"]
        event = self.pick((widget.name, "event"), events)
        if event == "keypress":
            digits = self.pick((widget.name, "Digits"), self._digits(widget, wanted))
            self.steps.append({"press": digits + self._finish(wanted, digits)})
            return Gathered(digits=digits)
        if event == "speech":
            said = self.pick((widget.name, "SpeechResult"), self._pool(widget.name, "SpeechResult") or ["yes"])
            self.steps.append({"say": said})
            return Gathered(speech=said)
        self.steps.append({"silence": f"{wanted.timeout + 0.5:g}"})
        return Gathered()

    def _pool(self, widget: str, output: str) -> list[str]:
        return [value for value in self.search.output_pools(widget).get((output,), []) if value.strip()]

    def _digits(self, widget: Widget, wanted: Gather) -> list[str]:
        keys = [v for v in self._pool(widget.name, "Digits") if all(c in "0123456789*#" for c in v)]
        keys = [v for v in keys if not wanted.finish_on_key or wanted.finish_on_key not in v]
        return keys or ["1" * min(wanted.number_of_digits or 1, 20)]

    def _finish(self, wanted: Gather, digits: str) -> str:
        complete = wanted.number_of_digits is not None and len(digits) >= wanted.number_of_digits
        return "" if complete else wanted.finish_on_key[:1]

    async def relay(self, stage: RelayStage) -> RelayOutcome:
        raise FlowError(f"{stage.widget}: the relay is answered while exploring")

    def answer(self, name: str) -> Mapping[str, Any] | None:
        """What the world does at a widget; within one walk always the same."""
        if name not in self.answers:
            widget = self.search.flow.widget(name)
            answer = self._answer(widget)
            self.answers[name] = answer
            known = facts(widget.type)
            if not (known and known.default_event and answer == {"event": known.default_event}):
                self.given[name] = answer
        return self.answers[name]

    def _answer(self, widget: Widget) -> dict[str, Any]:
        known = facts(widget.type)
        listed = list(dict.fromkeys(t.event for t in widget.transitions))
        event = self.pick((widget.name, "event"), listed or list(known.events if known else ()) or ["success"])
        answer: dict[str, Any] = {"event": event}
        is_first = known is None or not known.events or event in (known.events[0], "live-agent-handoff")
        return answer | self._outputs(widget) if is_first else answer

    def _outputs(self, widget: Widget) -> dict[str, Any]:
        """Outputs that something reads, with values from the pools; web answers become a JSON body."""
        outputs: dict[str, Any] = {}
        pools = self.search.output_pools(widget.name)
        for path, pool in pools.items():
            if path[:1] != ("HandoffData",):
                put(outputs, path, self.pick((widget.name, *path), pool))
        outputs |= self._handoff(widget.name, pools)
        for path in self.search.reads.get(widget.name, []):
            if path[0] not in ("body", "status_code", "content_type", "HandoffData", "CallSid", "From", "To"):
                put(outputs, path, _STUBS.get(path[-1], "stub")) if path not in pools else None
        if "parsed" in outputs:
            outputs["body"] = json.dumps(_typed(outputs.pop("parsed")))
        return outputs

    def _handoff(self, name: str, pools: Mapping[Origin, list[str]]) -> dict[str, Any]:
        members = {path[1:]: pool for path, pool in pools.items() if path[0] == "HandoffData" and len(path) > 1}
        texts = pools.get(("HandoffData",), [])
        kinds = (["{}"] if members else []) + texts
        kind = self.pick((name, "HandoffData"), kinds) if kinds else ""
        if kind != "{}":
            return {"HandoffData": kind} if kind else {}
        data: dict[str, Any] = {}
        for path, pool in members.items():
            put(data, path, self.pick((name, "HandoffData", *path), pool))
        return {"HandoffData": json.dumps(data)}


def _typed(value: Any) -> Any:
    """The value with numbers and booleans as JSON has them."""
    if isinstance(value, dict):
        return {key: _typed(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_typed(member) for member in value]
    if isinstance(value, str) and value in ("true", "false"):
        return value == "true"
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 10 else value
