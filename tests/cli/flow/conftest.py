"""Small flows in files, for the commands that work on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parents[3]


def state(name: str, kind: str, on: Mapping[str, str | None], **properties: Any) -> dict[str, Any]:
    transitions = [{"event": event} | ({"next": target} if target else {}) for event, target in on.items()]
    return {"name": name, "type": kind, "transitions": transitions, "properties": properties}


def definition(*states: dict[str, Any]) -> dict[str, Any]:
    trigger = state("Trigger", "trigger", {"incomingCall": states[0]["name"]})
    return {"states": [trigger, *states], "initial_state": "Trigger", "flags": {"allow_concurrent_calls": True}}


def talk(url: str = "wss://relay.example.com/relay/scripted") -> dict[str, Any]:
    """A welcome, a relay, and a person behind an outage."""
    return definition(
        state("welcome", "say-play", {"audioComplete": "relay"}, say="One moment.", offset={"x": 0, "y": 0}),
        state("relay", "run-conversation-relay", {"success": "bye", "failed": "sorry"}, url=url),
        state("bye", "say-play", {"audioComplete": None}, say="Goodbye."),
        state("sorry", "say-play", {"audioComplete": "person"}, say="Sorry about that."),
        state("person", "connect-call-to", {"callCompleted": None, "hangup": None}, noun="number", to="+15550100009"),
    )


@pytest.fixture
def flow(tmp_path: Path) -> Callable[..., Path]:
    """`flow()` writes `talk.json` into the current folder; `flow(definition, "other.json")` another flow."""

    def write(content: Any = None, name: str = "talk.json") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content or talk(), indent=2))
        return path

    return write


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Path]:
    """`script("steps: ...")` writes `call.yaml`, which walks `talk.json`."""

    def write(text: str, name: str = "call.yaml", *, walks: str | None = "talk.json") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((f"flow: {walks}\n" if walks else "") + text)
        return path

    return write


class Kit:
    """The builders above, for test modules, which cannot import a conftest."""

    state, definition, talk = staticmethod(state), staticmethod(definition), staticmethod(talk)
    repo = REPO
    bye = "steps:\n  - hear: how can I help\n  - say: goodbye\nexpect: {handoff: {reasonCode: done}}\n"
    outage = (
        "answers: {person: {event: callCompleted}}\n"
        "steps:\n  - hear: how can I help\n  - drop_socket\nexpect: {path: [..., sorry, person]}\n"
    )


@pytest.fixture
def kit() -> type[Kit]:
    return Kit


@pytest.fixture
def files(tmp_path: Path) -> Callable[[], dict[str, bytes]]:
    """The files of the current folder with their contents, to tell that none was changed."""
    return lambda: {str(path): path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
