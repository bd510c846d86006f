"""Small flows written in few words, and a caller and a relay without any server behind them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from studio_relay.studio.flow import Flow, parse_flow
from studio_relay.studio.outside import Gather, Gathered, HungUp, RelayOutcome, RelayStage
from studio_relay.studio.simulate import Walk, walk

REPO = Path(__file__).resolve().parents[2]


def state(name: str, type: str, on: Mapping[str, str | None] | None = None, **properties: Any) -> dict[str, Any]:
    transitions = [{"event": e} if n is None else {"event": e, "next": n} for e, n in (on or {}).items()]
    return {"name": name, "type": type, "transitions": transitions, "properties": properties}


def split(name: str, source: str, *matches: tuple[str, str, str | None], no_match: str | None) -> dict[str, Any]:
    made = state(name, "split-based-on", {"noMatch": no_match}, input=source)
    for kind, value, target in matches:
        condition = {"friendly_name": f"{kind} {value}", "arguments": [source], "type": kind, "value": value}
        row: dict[str, Any] = {"event": "match", "conditions": [condition]}
        made["transitions"].append(row if target is None else row | {"next": target})
    return made


def variables(name: str, then: str | None, **values: Any) -> dict[str, Any]:
    rows = [{"key": key, "value": value} for key, value in values.items()]
    return state(name, "set-variables", {"next": then}, variables=rows)


def definition(*states: dict[str, Any], start: str | None = "", event: str = "incomingCall") -> dict[str, Any]:
    first = states[0]["name"] if start == "" and states else start
    return {
        "description": "synthetic",
        "states": [state("Trigger", "trigger", {event: first}), *states],
        "initial_state": "Trigger",
        "flags": {"allow_concurrent_calls": True},
    }


def flow_of(*states: dict[str, Any], **options: Any) -> Flow:
    return parse_flow(json.dumps(definition(*states, **options)), name="synthetic.json")


@dataclass
class StubCaller:
    """Hears everything, answers from tables; hangs up when a text of `leaves_at` is spoken."""

    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    gathers: list[Gathered] = field(default_factory=list)
    leaves_at: str = "\0"
    heard: list[str] = field(default_factory=list)
    asked: list[Gather] = field(default_factory=list)

    async def hear(self, text: str) -> None:
        self.heard.append(text)
        if self.leaves_at in text:
            raise HungUp

    async def gather(self, wanted: Gather) -> Gathered:
        self.asked.append(wanted)
        return self.gathers.pop(0) if self.gathers else Gathered()

    def answer(self, widget: str) -> Mapping[str, Any] | None:
        return self.answers.get(widget)


@dataclass
class StubRelay:
    """Ends every session with the same outcome and keeps the stages it was given."""

    outcome: RelayOutcome
    stages: list[RelayStage] = field(default_factory=list)

    async def __call__(self, stage: RelayStage) -> RelayOutcome:
        self.stages.append(stage)
        return self.outcome


def ended(handoff: str | None = None, status: Any = "ended") -> StubRelay:
    return StubRelay(outcome=RelayOutcome(status=status, session_id="VX1", duration_ms=34_900, handoff_data=handoff))


Walker = Callable[..., Any]


@pytest.fixture(scope="session", autouse=True)
def _first_event_loop() -> Iterator[None]:
    """pytest-asyncio makes an event loop when it finds none, and never closes it; so there is one."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    loop.close()


@pytest.fixture
def run() -> Walker:
    """`await run(flow, caller=..., relay=..., **more)` walks a flow with stubs and a still clock."""

    async def runner(flow: Flow, *, caller: Any = None, relay: Any = None, **more: Any) -> Walk:
        call = more.pop("call", {"From": "+15550100001", "To": "+15550100002"})
        more.setdefault("clock", lambda: 0.0)
        return await walk(flow, call=call, caller=caller or StubCaller(), relay=relay or ended(), **more)

    return runner


class Kit:
    """The builders above, for test modules, which cannot import a conftest."""

    state, split, variables = staticmethod(state), staticmethod(split), staticmethod(variables)
    definition, flow, ended = staticmethod(definition), staticmethod(flow_of), staticmethod(ended)
    Caller, Relay, repo = StubCaller, StubRelay, REPO


@pytest.fixture
def kit() -> type[Kit]:
    return Kit


@pytest.fixture
def corpus() -> list[Path]:
    """The optional folder of other people's flows, which is no part of this repository."""
    found = sorted((REPO.parent / "shared" / "flows" / "real").glob("*.json"))
    if not found:
        pytest.skip("the optional corpus of real flows is not here")
    return found
