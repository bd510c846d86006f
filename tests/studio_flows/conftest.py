"""Plays scripts against shipped flows, in both shapes: real sessions with our server in process, on virtual time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from studio_relay import create_app
from studio_relay.agents.scripted import ScriptedAgent, load_rules
from studio_relay.plugins import assemble, plugin
from studio_relay.settings import load_settings
from studio_relay.studio.flow import Flow, load_flow
from studio_relay.studio.simulate import Walk, walk
from studio_relay.testing import AsgiTransport, Identity, Script, load_script, run_virtual
from studio_relay.testing.caller import Check
from studio_relay.testing.clock import Clock
from studio_relay.testing.expectations import Evidence, judge
from studio_relay.testing.relay import Line, ScriptedCaller, ScriptedRelay, Session
from studio_relay.testing.transcript import Turn
from studio_relay.testing.transport import Transport

FLOWS = Path(__file__).resolve().parents[2] / "studio_flows"
HOST = "relay.example.com"
TOKEN = "0123456789abcdef0123456789abcdef"
RUN_LIMIT_SECONDS = 3600.0


@pytest.fixture(autouse=True)
def no_dotenv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No `.env` of this machine reaches an agent."""
    monkeypatch.chdir(tmp_path)


# ------------------------------------------------------------------------------------ one call


@dataclass(frozen=True, kw_only=True)
class Played:
    """One script played against one flow: the walk, what was expected, and what was said."""

    script: Script
    walk: Walk
    checks: Sequence[Check]
    warnings: Sequence[str]
    turns: Sequence[Turn]
    sessions: Sequence[Session]

    @property
    def heard(self) -> str:
        """All that the caller heard, the flow's own words among it."""
        return _heard(self.turns)

    @property
    def story(self) -> dict[str, Any]:
        """What must be the same in both shapes: the way but for a redirect's own Split, and all that was said."""
        return {
            "path": [name for name in self.walk.widgets if not name.endswith("_ended")],
            "ended": (self.walk.ended, self.walk.code),
            "handoff": self.walk.handoff,
            "variables": dict(self.walk.variables),
            "statuses": [session.outcome.status for session in self.walk.sessions],
            "said": [(turn.who, turn.text, turn.digits) for turn in self.turns],
        }


Wrap = Callable[[Transport], Transport]


def play(flow: Flow, script: Script, *, wrap: Wrap | None = None, agents: str | None = None) -> Played:
    """Act `script` out. The agents are those the flow's URLs name, `scripted` with the rules of `agents/NAME.yaml`.

    `wrap` puts something between Twilio and the server; `agents` is NAME, by default the flow's.
    """
    name = agents or flow.name.removesuffix(".json").removesuffix(".redirect")
    return run_virtual(_play(flow, script, wrap, name), limit_seconds=RUN_LIMIT_SECONDS)


async def _play(flow: Flow, script: Script, wrap: Wrap | None, name: str) -> Played:
    async with AsgiTransport(server(name)) as inside:
        line = Line(transport=wrap(inside) if wrap else inside, auth_token=TOKEN, seed=1)
        clock = Clock()
        caller = ScriptedCaller(script, clock)
        relay = ScriptedRelay(caller, line)
        identity = Identity.fresh(1, **({"from_": script.call.from_} if script.call.from_ else {}))
        call = {"CallSid": identity.call_sid, "AccountSid": identity.account_sid}
        call |= {"From": identity.from_, "To": identity.to}
        walked = await walk(flow, call=call, caller=caller, relay=relay, redirect=relay.voice)
        caller.leftovers()
    if inside.failures:
        raise inside.failures[0]
    return _played(script, walked, relay)


def _played(script: Script, walked: Walk, relay: ScriptedRelay) -> Played:
    turns = [*relay.caller.turns]
    for session in relay.sessions:
        turns += session.call.transcript() if session.call else []
    turns.sort(key=lambda turn: turn.at_ms)
    evidence = Evidence(
        heard=_heard(turns),
        handoff=walked.handoff,
        status=walked.sessions[-1].outcome.status if walked.sessions else None,
        path=walked.widgets,
        variables=walked.variables,
    )
    checks = [*relay.caller.checks, *(judge(expectation, evidence) for expectation in script.expect)]
    warnings = [*relay.caller.warnings, *(lesson for session in relay.sessions for lesson in session.lessons)]
    return Played(
        script=script,
        walk=walked,
        checks=checks,
        warnings=[*warnings, *(f"{warning.widget}: {warning.message}" for warning in walked.warnings)],
        turns=turns,
        sessions=relay.sessions,
    )


def _heard(turns: Sequence[Turn]) -> str:
    return " ".join(turn.text for turn in turns if turn.who != "caller")


def server(name: str) -> Any:
    """Our server with the agent that answers in the flow NAME."""
    if name == "front-desk-to-flex":
        front_desk = pytest.importorskip("studio_relay_front_desk.agent", reason="the plugin front-desk is not there")
        agent = plugin(front_desk.FrontDesk(), name="front-desk", kind="agent")
    else:
        agent = plugin(ScriptedAgent(load_rules(FLOWS / "agents" / f"{name}.yaml")), name="scripted", kind="agent")
    # A session that failed goes home at once, as it does from the widget: the flow decides what follows.
    settings = load_settings(
        env_file=None, agent=agent.name, auth_token=TOKEN, public_url=f"https://{HOST}", max_reconnects=0
    )
    return create_app(settings, assemble([agent]))


class Kit:
    """The things above, for test modules, which cannot import a conftest."""

    flows = FLOWS
    play = staticmethod(play)

    @staticmethod
    def flow(name: str, shape: str = "widget") -> Flow:
        return load_flow(FLOWS / (f"{name}.json" if shape == "widget" else f"{name}.redirect.json"))

    @staticmethod
    def scripts(folder: str) -> list[Path]:
        return sorted((FLOWS / "scripts" / folder).glob("*.yaml"))

    @staticmethod
    def reach(name: str) -> Transport:
        """A second server with the agent of the flow NAME, which shares nothing with the first."""
        return AsgiTransport(server(name))

    load_script = staticmethod(load_script)


@pytest.fixture
def kit() -> type[Kit]:
    return Kit
