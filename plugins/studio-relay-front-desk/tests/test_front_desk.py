"""Whole calls to the front desk, as the caller hears them: in process, on a virtual clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studio_relay.studio.flow import load_flow
from studio_relay.testing import (
    AsgiTransport,
    Identity,
    RelayAttributes,
    Run,
    SimulatedCall,
    Streaming,
    load_script,
    parse_script,
    run_call,
    run_flow,
    run_virtual,
)
from studio_relay.testing.pytest_plugin import make_app
from studio_relay.testing.relay import Line

URL = "wss://relay.example.com/relay"
TOKEN = "0123456789abcdef0123456789abcdef"
MODES = {"full": RelayAttributes.full(), "widget": RelayAttributes.from_widget({})}
FLOWS = Path(__file__).parents[3] / "studio_flows"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting and no .env of this machine reaches the agent."""
    for name in ("COMPANY", "TABLE", "COUNTRY_CODE", "SILENCE_SECONDS"):
        monkeypatch.delenv(f"STUDIO_RELAY_FRONT_DESK_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


class Desk:
    """The agent that is called."""

    agent: Any = "front-desk"


@pytest.fixture(autouse=True, params=["instant", "streaming"])
def pace(clean_environment: None, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Every call is also made to a front desk that streams as a model does."""
    if request.param == "streaming":
        monkeypatch.setattr(Desk, "agent", Streaming("front-desk"))


def line() -> Line:
    """A line to a server of this process, signed as Twilio signs."""
    app = make_app(Desk.agent, auth_token=TOKEN, public_url="https://relay.example.com")
    return Line(transport=AsgiTransport(app), auth_token=TOKEN, seed=1)


def call(steps: str, *, mode: str = "full", **changes: Any) -> Run:
    """The run of a caller script."""
    script = parse_script(steps)
    run = run_virtual(run_call(line(), URL, script, attributes=MODES[mode], **changes))
    assert run.ok, (run.to_json()["expectations"], run.transcript)
    return run


def heard(run: Run) -> str:
    """All that the caller heard."""
    return " ".join(turn.text for turn in run.transcript if turn.who == "agent")


both_modes = pytest.mark.parametrize("mode", MODES)


@both_modes
def test_greets_answers_and_says_goodbye(mode: str) -> None:
    run = call(
        """
        steps:
          - hear: "Hello, this is Example Company. How can I help you?"
          - say: When are you open?
          - hear: from nine to five, Monday to Friday. Is there anything else?
          - say: And how much does it cost?
          - hear: twenty dollars
          - say: "No."
        expect:
          hear: Thank you for calling Example Company. Goodbye!
          handoff: {reasonCode: done, version: 1}
          status: ended
        """,
        mode=mode,
    )
    assert run.handoff["summary"] == (
        "The caller said goodbye. Caller: When are you open? / And how much does it cost? / No."
    )


@pytest.mark.parametrize("pace", ["instant"], indirect=True)
def test_speech_begins_with_the_first_word() -> None:
    run = call("steps: [{hear: how can I help}, hang_up]")
    session = run.sessions[0].call
    assert session is not None
    tokens = [entry["frame"] for entry in session.log if entry["dir"] == "out"]
    assert [token["token"] for token in tokens][:2] == ["Hello, ", "this "]
    assert [token["last"] for token in tokens] == [False] * (len(tokens) - 1) + [True]


@both_modes
def test_silent_where_the_flow_has_greeted(mode: str) -> None:
    run = call(
        "{call: {parameters: {greeted: 'true'}}, steps: [{say: hello there}, {hear: did not get that}, hang_up]}",
        mode=mode,
    )
    assert "Hello, this is" not in heard(run)


def test_a_parameter_that_makes_no_sense_is_passed_over() -> None:
    call("{call: {parameters: {greeted: perhaps}}, steps: [{hear: Hello}, hang_up]}")


@both_modes
def test_a_person_at_once(mode: str) -> None:
    run = call(
        "steps: [{hear: help}, {say: 'A person, please.'}]\nexpect: {hear: put you through, status: ended}", mode=mode
    )
    assert run.handoff == {
        "reasonCode": "person",
        "version": 1,
        "summary": "The caller asked for a person. Caller: A person, please.",
    }


def test_key_zero_is_a_person() -> None:
    run = call("steps: [{hear: help}, {press: '0'}]\nexpect: {handoff: {reasonCode: person}}")
    assert run.handoff["summary"] == "The caller pressed zero."


def test_another_key_gets_a_word() -> None:
    call("steps: [{hear: help}, {press: '7'}, {hear: Press zero for a person}, hang_up]")


def test_barge_in_stops_the_answer_and_is_answered() -> None:
    run = call(
        """
        steps:
          - hear: how can I help
          - say: When are you open?
          - talk_over: {after_words: 5, say: "No, where are you located?"}
          - hear: one Example Street
          - hang_up
        expect:
          not_hear: Monday to Friday
        """
    )
    cut = next(turn for turn in run.transcript if turn.sent)
    assert cut.sent is not None
    assert cut.sent.startswith(cut.text)


def test_barge_in_over_the_question_for_the_number() -> None:
    run = call(
        """
        steps:
          - hear: help
          - say: Can you call me back?
          - talk_over: {after_words: 4, say: "Yes, it is five five five oh one zero, double zero oh seven"}
          - talk_over: {after_words: 14, say: "yes"}
        expect:
          handoff: {reasonCode: callback, callbackNumber: "+15550100007"}
        """
    )
    assert "hash key" not in heard(run)


@both_modes
def test_a_number_by_speech_is_read_back_and_confirmed(mode: str) -> None:
    call(
        """
        steps:
          - hear: help
          - say: Please call me back
          - hear: Which number
          - say: five five five, oh one oh, triple zero seven
          - hear: "I have 5 5 5, 0 1 0, 0 0 0 7. Is that right?"
          - say: Yes, that's right.
        expect:
          hear: We will call you back
          handoff: {reasonCode: callback, callbackNumber: "+15550100007"}
          status: ended
        """,
        mode=mode,
    )


def test_a_number_by_key_is_read_back_and_confirmed_by_key() -> None:
    call(
        """
        steps:
          - hear: help
          - say: I want a callback
          - press: "5550100007#"
          - hear: 0 0 0 7
          - press: "1"
        expect:
          handoff: {reasonCode: callback, callbackNumber: "+15550100007"}
        """
    )


def test_what_was_typed_needs_no_yes_and_what_was_said_does() -> None:
    typed = "steps: [{hear: help}, {say: call me back}, {press: '5550100007#'}, {hear: is that right}]\ntimeout: 30"
    assert call(typed).handoff["reasonCode"] == "callback"
    said = "steps: [{hear: help}, {say: call me back}, {say: 5550100007}, {hear: is that right}]\ntimeout: 30"
    assert call(said).handoff["reasonCode"] == "person"


def test_a_correction_is_taken_as_the_second_try() -> None:
    call(
        """
        steps:
          - hear: help
          - say: call me back
          - say: 555 010 0008
          - hear: 0 0 0 8. Is that right?
          - say: No, it's 555 010 0007
          - hear: 0 0 0 7. Is that right?
          - say: correct
        expect:
          handoff: {reasonCode: callback, callbackNumber: "+15550100007"}
        """
    )


@pytest.mark.parametrize("answer", ["say: my number is, oh, I forgot", "press: '55#'", "silence: 1"])
def test_after_two_tries_a_person(answer: str) -> None:
    run = call(
        f"""
        steps:
          - hear: help
          - say: call me back
          - hear: Which number
          - {answer}
          - hear: once more
          - {answer}
          - hear: put you through
        timeout: 30
        expect:
          handoff: {{reasonCode: person}}
        """
    )
    assert run.handoff["summary"].startswith("No call back: no number was understood in two tries.")


@pytest.mark.parametrize("way_out", ["press: '0#'", "press: '0'", "say: I'd rather talk to a person"])
def test_a_person_instead_of_a_number(way_out: str) -> None:
    call(f"steps: [{{hear: help}}, {{say: call me back}}, {{{way_out}}}]\nexpect: {{handoff: {{reasonCode: person}}}}")


def test_a_change_of_mind_about_the_call_back() -> None:
    call("steps: [{hear: help}, {say: call me back}, {say: never mind}, {hear: How else can I help}, hang_up]")


@both_modes
def test_two_unknown_questions_offer_a_person(mode: str) -> None:
    run = call(
        """
        steps:
          - hear: help
          - say: Do you like jazz?
          - hear: You can ask about our opening hours, our address or our prices.
          - say: And the blues?
          - hear: Would you like to talk to a person?
          - say: yes please
        expect:
          handoff: {reasonCode: person}
        """,
        mode=mode,
    )
    assert "Two questions" in run.handoff["summary"]


@pytest.mark.parametrize(
    ("answer", "then"),
    [("no", "How else can I help"), ("what are your prices", "twenty dollars"), ("la la la", "put you through")],
)
def test_other_answers_to_that_offer(answer: str, then: str) -> None:
    call(
        f"steps: [{{hear: help}}, {{say: jazz}}, {{say: blues}}, {{hear: person}}, {{say: {answer}}}, {{hear: {then}}}]"
    )


def test_a_known_question_in_between_starts_the_count_anew() -> None:
    run = call(
        "steps: [{hear: help}, {say: jazz}, {hear: ask about}, {say: your hours}, {hear: nine}, {say: blues},"
        " {hear: ask about}, hang_up]"
    )
    assert "Would you like" not in heard(run)


@both_modes
def test_silence_is_asked_about_once_and_then_ended(mode: str) -> None:
    run = call("steps: [{hear: help}]\ntimeout: 60\nexpect: {handoff: {reasonCode: done}, status: ended}", mode=mode)
    assert heard(run).count("Are you still there?") == 1
    assert heard(run).endswith("Goodbye!")
    at = {turn.text.split()[0]: turn.at_ms for turn in run.transcript}
    assert at["I"] - at["Are"] > 8_000


def test_a_caller_who_answers_goes_on_and_may_be_silent_again() -> None:
    run = call(
        "steps: [{hear: help}, {hear: still there}, {say: your prices please}, {hear: twenty}, {hear: still there}]\n"
        "timeout: 60\nexpect: {handoff: {reasonCode: done}}"
    )
    assert heard(run).count("Are you still there?") == 2


def test_a_long_sentence_is_no_silence() -> None:
    said = "well " * 60 + "what are your prices"
    run = call(f"steps: [{{hear: help}}, {{say: {said}}}, {{hear: twenty}}, hang_up]")
    assert "still there" not in heard(run)


@pytest.mark.parametrize("leave", ["hang_up", "drop_socket"])
def test_nothing_is_left_behind(leave: str) -> None:
    call(f"steps: [{{hear: help}}, {{say: call me back}}, {{hear: number}}, {leave}]")


async def cut_off_and_back(says: str) -> str:
    """What the caller hears after the socket was lost behind the answer to `says`, and a new one opened."""
    one = line()
    identity = Identity.fresh(1)
    first, second = (
        SimulatedCall(one.transport, URL, attributes=MODES["full"], identity=identity, auth_token=TOKEN) for _ in "12"
    )
    await first.start()
    await first.wait_until(lambda: "help you?" in first.heard(), timeout_ms=10_000)
    first.say(says)
    await first.wait_until(lambda: "hash key" in first.heard() or "Monday" in first.heard(), timeout_ms=10_000)
    await first.drop_socket()
    await first.finished()
    await second.start()
    await second.wait_until(lambda: second.heard().endswith(("you?", "key.")), timeout_ms=10_000)
    second.hang_up()
    await second.finished()
    for call in (first, second):
        await call.aclose()
    return second.heard()


def test_after_a_lost_connection_it_does_not_greet_again() -> None:
    assert run_virtual(cut_off_and_back("When are you open?")) == "I am sorry, we were cut off. How can I help you?"


def test_after_a_lost_connection_it_goes_on_taking_the_number() -> None:
    assert run_virtual(cut_off_and_back("call me back")) == (
        "I am sorry, we were cut off. Which number shall we call? Say it, or type it and press the hash key."
    )


def test_own_company_and_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    table = tmp_path / "table.toml"
    table.write_text('[[answers]]\ntopic = "parcels"\nwords = ["parcel"]\nsays = "Parcels are on floor two."\n')
    monkeypatch.setenv("STUDIO_RELAY_FRONT_DESK_TABLE", str(table))
    monkeypatch.setenv("STUDIO_RELAY_FRONT_DESK_COMPANY", "Acme")
    call("steps: [{hear: this is Acme}, {say: Where is my parcel}, {hear: floor two}, hang_up]")


def play(flow: str, script: Path) -> Run:
    """A walk of a shipped flow with one of its scripts."""
    return run_virtual(run_flow(load_flow(FLOWS / flow), load_script(script), line()))


@pytest.mark.parametrize(
    "script", sorted((FLOWS / "scripts" / "front_desk").glob("*.yaml")), ids=lambda path: path.stem
)
def test_the_shipped_flow_with_its_scripts(script: Path) -> None:
    run = play("front_desk.json", script)
    assert run.ok, (run.to_json()["expectations"], run.transcript)
