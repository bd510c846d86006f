"""Random calls with faults against an agent of our own; and the faults themselves."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings

from studio_relay import hookimpl
from studio_relay.testing import AsgiTransport, Identity, Line, Streaming, run_virtual
from studio_relay.testing.chaos import ChaosCall, run_chaos
from studio_relay.testing.faults import Fault, FaultPlan, fault_plans
from studio_relay.testing.playback import Leftovers
from studio_relay.testing.pytest_plugin import AUTH_TOKEN, SOCKET_URL, make_app
from studio_relay.testing.script import DropSocket
from studio_relay.testing.signing import sign_upgrade
from studio_relay.testing.witness import Witness, play_chaos


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


@pytest.fixture(params=["instant", "streaming"])
def pace(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """An agent as it is, or one that streams as a model does."""
    return Streaming if request.param == "streaming" else lambda agent: agent


@pytest.mark.parametrize("seed", range(50))
def test_whatever_happens_the_server_keeps_the_rules(seed: int, pace: Callable[[Any], Any]) -> None:
    assert play_chaos(pace(Talker()), ChaosCall.from_seed(seed)).problems == []


@pytest.mark.parametrize("seed", range(50))
def test_the_front_desk_keeps_them_too(seed: int, pace: Callable[[Any], Any]) -> None:
    desk = pytest.importorskip("studio_relay_front_desk", reason="plugins/studio-relay-front-desk is not installed")
    testimony = play_chaos(pace(desk.FrontDesk()), ChaosCall.from_seed(seed))
    assert testimony.problems == []
    assert testimony.witness.ends


def test_callers_barge_in_on_replies_that_are_still_being_sent() -> None:
    cut_open = 0
    for seed in range(50):
        sessions = play_chaos(Streaming(Talker()), ChaosCall.from_seed(seed, faults=False)).report.sessions
        spoken = [item for session in sessions if session.call for item in session.call.end.playback.utterances]
        cut_open += sum(item.cut and not item.closed for item in spoken)
    assert cut_open > 12


def test_in_widget_mode_nearly_all_words_are_right(pace: Callable[[Any], Any]) -> None:
    calls = [ChaosCall.from_seed(seed, mode="widget", faults=False) for seed in range(30)]
    counts = [play_chaos(pace(Talker()), chaos).words for chaos in calls]
    right, all_of_them = (sum(column) for column in zip(*counts, strict=True))
    assert all_of_them > 500
    assert right >= 0.97 * all_of_them


def test_a_goodbye_is_not_cut_by_the_interrupt_of_the_key_that_asked_for_it() -> None:
    desk = pytest.importorskip("studio_relay_front_desk", reason="plugins/studio-relay-front-desk is not installed")
    testimony = play_chaos(desk.FrontDesk(), ChaosCall.from_seed(40, mode="full", faults=False))
    assert testimony.problems == []
    assert testimony.report.cut_goodbyes == []


class Broken:
    """Fails at once."""

    @hookimpl
    def on_setup(self) -> None:
        raise RuntimeError("on purpose")


def test_an_agent_that_fails_is_found_out() -> None:
    problems = play_chaos(Broken(), ChaosCall.from_seed(1, mode="full", faults=False)).problems
    assert any("on_setup" in problem for problem in problems)


def test_the_same_seed_is_the_same_call() -> None:
    logs = [
        [session.call.log for session in play_chaos(Talker(), ChaosCall.from_seed(7)).report.sessions if session.call]
        for _ in "ab"
    ]
    assert logs[0] == logs[1]


@given(plan=fault_plans())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_faults(plan: FaultPlan) -> None:
    assert play_chaos(Talker(), replace(ChaosCall.from_seed(3, mode="full"), plan=plan)).problems == []


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


def test_a_setup_that_came_is_a_session_however_soon_the_socket_goes() -> None:
    witness = Witness()

    async def main() -> None:
        async with AsgiTransport(make_app(Talker(), extensions=(witness,))) as transport:
            socket = await transport.connect(SOCKET_URL, sign_upgrade(SOCKET_URL, AUTH_TOKEN))
            await socket.send_text(json.dumps(Identity.fresh(1).setup("VX1", {})))
            await socket.abort()
        assert transport.failures == []

    run_virtual(main())
    assert witness.ends == ["VX1"]


def test_what_is_on_its_way_when_the_socket_goes_is_not_delivered() -> None:
    chaos = ChaosCall.from_seed(8, mode="full", faults=False)
    first = replace(chaos, script=replace(chaos.script, steps=(DropSocket(line=1),)))
    testimony = play_chaos(Talker(), first)
    assert testimony.problems == []
    assert testimony.report.set_up == testimony.witness.ends


def test_a_call_draws_what_becomes_of_words_on_the_wire() -> None:
    drawn = [ChaosCall.from_seed(seed).leftovers for seed in range(60)]
    assert {drawn.count(reading) > 10 for reading in get_args(Leftovers)} == {True}
    chosen = ChaosCall.from_seed(1, mode="full", faults=False, leftovers="dropped")
    sessions = play_chaos(Talker(), chosen).report.sessions
    assert {session.call.end.playback.leftovers for session in sessions if session.call} == {"dropped"}
