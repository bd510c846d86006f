"""Random calls with faults against an agent of our own; and the faults themselves."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from studio_relay import hookimpl
from studio_relay.testing import AsgiTransport, Line, run_virtual
from studio_relay.testing.chaos import ChaosCall, ChaosReport, run_chaos
from studio_relay.testing.faults import Fault, FaultPlan, fault_plans
from studio_relay.testing.pytest_plugin import AUTH_TOKEN, SOCKET_URL, make_app


class Talker:
    """Answers everything at some length, and hands over when asked for a person."""

    @hookimpl
    def on_setup(self) -> str:
        return "Hello, this is the example company. How can I help you?"

    @hookimpl
    async def on_prompt(self, call: Any, prompt: Any) -> AsyncIterator[str]:
        if "person" in prompt.voice_prompt.lower():
            yield "One moment: I will put you through. "
            await call.end({"reasonCode": "person", "version": 1})
        else:
            yield f"You said: {prompt.voice_prompt} "
            yield "That is a good question, but I only know the opening hours, "
            yield "which are from nine to five."

    @hookimpl
    def on_dtmf(self, dtmf: Any) -> str:
        return f"Key {dtmf.digit}."


class Witness:
    """Remembers how sessions ended, and what the server thinks was heard."""

    def __init__(self) -> None:
        self.ends: list[str] = []
        self.transcript: list[Any] = []

    @hookimpl
    def on_end(self, call: Any) -> None:
        self.ends.append(call.session_id)
        self.transcript = list(call.transcript)


def play(chaos: ChaosCall, agent: Any = Talker) -> tuple[ChaosReport, Witness]:
    """One chaos call; whatever the server raised is raised here."""
    witness = Witness()
    app = make_app(agent(), extensions=(witness,))

    async def main() -> ChaosReport:
        async with AsgiTransport(app) as transport:
            report = await run_chaos(Line(transport=transport, auth_token=AUTH_TOKEN), SOCKET_URL, chaos)
        assert transport.failures == []
        return report

    return run_virtual(main()), witness


def lasting(report: ChaosReport) -> list[str]:
    """The sessions whose socket was open for more than an instant."""
    calls = [session.call for session in report.sessions if session.call and session.call.setup_ms is not None]
    closed = {call.end.session_id: [line["ms"] for line in call.log if line["dir"] == "close"] for call in calls}
    return [name for name, times in closed.items() if times and times[-1] > 0]


def squeeze(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("seed", range(50))
def test_whatever_happens_the_server_keeps_the_rules(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    report, witness = play(ChaosCall.from_seed(seed))
    assert report.problems == []
    assert len(set(witness.ends)) == len(witness.ends)
    assert set(lasting(report)) <= set(witness.ends)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("seed", range(50))
def test_the_front_desk_keeps_them_too(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    desk = pytest.importorskip("studio_relay_front_desk", reason="plugins/studio-relay-front-desk is not installed")
    report, witness = play(ChaosCall.from_seed(seed), desk.FrontDesk)
    assert report.problems == []
    assert len(set(witness.ends)) == len(witness.ends)
    assert set(lasting(report)) <= set(witness.ends)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("seed", range(20))
def test_with_events_the_server_knows_what_was_heard(seed: int) -> None:
    report, witness = play(ChaosCall.from_seed(seed, mode="full", faults=False))
    heard = squeeze("".join(turn.text for turn in witness.transcript if turn.who == "agent"))
    assert heard == squeeze(report.told)
    assert report.cut_goodbyes == 0


def test_the_same_seed_is_the_same_call() -> None:
    logs = [[session.call.log for session in play(ChaosCall.from_seed(7))[0].sessions if session.call] for _ in "ab"]
    assert logs[0] == logs[1]


@given(plan=fault_plans())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_faults(plan: FaultPlan) -> None:
    report, _ = play(replace(ChaosCall.from_seed(3, mode="full"), plan=plan))
    assert report.problems == []


def test_a_plan_shrinks_to_the_fault_that_matters() -> None:
    seed = next(
        n for n in range(1000) if len(FaultPlan.from_seed(n).of("junk")) == 1 and len(FaultPlan.from_seed(n).faults) > 3
    )
    plan = FaultPlan.from_seed(seed)
    assert plan == FaultPlan.from_seed(seed)
    assert plan.shrink(lambda smaller: bool(smaller.of("junk"))).faults == tuple(plan.of("junk"))


def test_each_fault_reaches_the_server(serve: Any) -> None:
    plan = FaultPlan(
        (
            Fault(kind="duplicate", frame=1),
            Fault(kind="junk", frame=2, text='{"type":"weather"}'),
            Fault(kind="second-setup", frame=3),
            Fault(kind="drop", frame=6),
            Fault(kind="callback", text="twice"),
        )
    )
    app = serve(lambda frame: [])
    chaos = replace(ChaosCall.from_seed(1, mode="full"), plan=plan)
    wanted = replace(
        chaos.attributes, welcome_greeting="Hello there.", action_url="https://relay.example.test/connect-action"
    )

    async def main() -> None:
        async with AsgiTransport(app) as transport:
            await run_chaos(Line(transport=transport), SOCKET_URL, replace(chaos, attributes=wanted))

    run_virtual(main())
    kinds = [frame["type"] for frame in app.frames]
    assert kinds[:7] == ["setup", "info", "info", "info", "weather", "info", "setup"]
    assert 1006 in app.closed
    assert app.forms[0] == app.forms[1]
