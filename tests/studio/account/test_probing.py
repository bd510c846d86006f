"""Hidden tables are recovered, whatever the validator is like; what cannot be learnt stays open."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hidden_table import DOCUMENTED, Row, Temper, Validator, modest_table, plausible_table, wild_table
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from studio_relay.errors import AccountError
from studio_relay.studio.account.probing.asker import Ask
from studio_relay.studio.account.probing.facts import Facts, anonymous
from studio_relay.studio.account.probing.solver import MOST_REQUESTS, solve
from studio_relay.studio.account.probing.words import Complaint, Verdict, expected_type, listed, names

WORDS = ["java", "python", "ajv", "blunt", "house"]
UNKNOWN = ["refused", "ignored"]
PATHS = ("property_path", "path", "instancePath")


def asking(validator: Validator) -> Ask:
    def ask(definition: Mapping[str, Any]) -> Verdict:
        json.dumps(definition, allow_nan=False)
        problems = validator.problems(definition)
        said = tuple(
            Complaint(path=next((row[key] for key in PATHS if key in row), ""), message=row["message"])
            for row in problems or ()
        )
        return Verdict(valid=problems is None, complaints=said)

    return ask


def validator_of(make: Callable[[random.Random], dict[str, Row]], seed: int, **temper: Any) -> Validator:
    chance = random.Random(seed)
    table = make(chance)
    events = chance.choice([("success", "failed"), ("success", "failed", "hangup")])
    return Validator(table, Temper(**temper), events=events, chance=chance)


def learnt(facts: Facts) -> dict[str, tuple[str, bool | None]]:
    return {name: (found.json, found.required) for name, found in facts.properties.items()}


def hidden(validator: Validator) -> dict[str, tuple[str, bool]]:
    return {name: (row.type, row.required) for name, row in validator.table.items()}


def assert_whole(validator: Validator, facts: Facts) -> None:
    assert learnt(facts) == hidden(validator)
    assert set(facts.events) == set(validator.events)
    assert validator.asked == facts.asked <= MOST_REQUESTS


def assert_nothing_wrong(validator: Validator, facts: Facts) -> None:
    """Everything that is stated is so, and everything that is not stated is named as open."""
    for name, (kind, required) in learnt(facts).items():
        assert kind in (validator.table[name].type, "undetermined")
        assert required in (validator.table[name].required, None)
    assert not set(facts.not_properties) & validator.table.keys()
    open_ = {*facts.not_accepted, *facts.undetermined}
    assert validator.table.keys() <= facts.properties.keys() | open_
    assert set(facts.events) <= set(validator.events)
    assert validator.asked == facts.asked <= MOST_REQUESTS


# ----------------------------------------------------------------------- what callers say over speech


@pytest.mark.parametrize("says", ["all", "first", "ten"])
@pytest.mark.parametrize("unknown", UNKNOWN)
@pytest.mark.parametrize("spelling", ["report_input_during_agent_speech", "reportInputDuringAgentSpeech", None])
def test_it_is_learnt_whether_the_widget_can_ask_for_input_over_speech(
    spelling: str | None, unknown: str, says: str
) -> None:
    kinds: dict[str, Any] = DOCUMENTED
    table = {name: Row(kind, required=name == "url") for name, kind in kinds.items()}
    if spelling is not None:
        table[spelling] = Row("string", one_of=("any", "none", "dtmf", "speech"))
    facts = solve(
        asking(Validator(table, Temper(unknown=unknown, words="java", says=says), events=("success", "failed")))
    )
    assert facts.takes_report_input == ("yes" if spelling else "no")
    assert facts.to_json()["takes_report_input_during_agent_speech"] == facts.takes_report_input


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_it_is_asked_for_first_of_what_is_open_though_nothing_but_yes_or_no_is_said(unknown: str) -> None:
    table: dict[str, Row] = {"url": Row("string", required=True), "report_input_during_agent_speech": Row("string")}
    validator = Validator(table, Temper(unknown=unknown, words="blunt", says="nothing"), events=("success", "failed"))
    facts = solve(asking(validator))
    assert facts.takes_report_input == "yes"


def test_where_requests_run_out_it_is_undetermined() -> None:
    validator = validator_of(plausible_table, 1, words="blunt", says="nothing")
    assert solve(asking(validator), most=8).takes_report_input == "undetermined"


# ------------------------------------------------------------------------------------------ recovered whole


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("unknown", UNKNOWN)
def test_where_all_faults_are_named_any_table_is_recovered_whole(unknown: str, words: str, seed: int) -> None:
    validator = validator_of(wild_table, seed, unknown=unknown, words=words)
    assert_whole(validator, solve(asking(validator)))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("words", ["java", "python", "ajv", "house"])
@pytest.mark.parametrize("unknown", UNKNOWN)
def test_where_the_first_fault_is_named_a_plausible_table_is_recovered_whole(
    unknown: str, words: str, seed: int
) -> None:
    validator = validator_of(plausible_table, seed, unknown=unknown, words=words, says="first")
    assert_whole(validator, solve(asking(validator)))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("unknown", UNKNOWN)
def test_where_ten_faults_are_named_a_plausible_table_is_recovered_whole(unknown: str, words: str, seed: int) -> None:
    validator = validator_of(plausible_table, seed, unknown=unknown, words=words, says="ten")
    assert_whole(validator, solve(asking(validator)))


@pytest.mark.parametrize("seed", range(16))
@pytest.mark.parametrize("unknown", UNKNOWN)
def test_where_a_place_without_a_reason_is_named_a_modest_table_is_recovered_whole(unknown: str, seed: int) -> None:
    validator = validator_of(modest_table, seed, unknown=unknown, words="blunt", says="first")
    assert_whole(validator, solve(asking(validator)))


@pytest.mark.parametrize("seed", range(16))
@pytest.mark.parametrize("unknown", UNKNOWN)
def test_where_nothing_but_yes_or_no_is_said_a_modest_table_is_recovered_whole(unknown: str, seed: int) -> None:
    validator = validator_of(modest_table, seed, unknown=unknown, says="nothing")
    assert_whole(validator, solve(asking(validator)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10**6),
    unknown=st.sampled_from(UNKNOWN),
    says=st.sampled_from(["all", "ten", "first", "nothing"]),
    words=st.sampled_from(WORDS),
)
def test_nothing_wrong_is_ever_stated_and_what_is_open_is_named(seed: int, unknown: str, says: str, words: str) -> None:
    validator = validator_of(plausible_table, seed, unknown=unknown, says=says, words=words)
    try:
        facts = solve(asking(validator))
    except AccountError:
        assume(says != "nothing")  # two required properties, and not a word about them
        raise
    assert_nothing_wrong(validator, facts)


# ------------------------------------------------------------------------------------------ what else is learnt


def documented(**rows: Row) -> dict[str, Row]:
    kinds: dict[str, Any] = DOCUMENTED
    return {name: Row(kind, required=name == "url") for name, kind in kinds.items()} | rows


@pytest.mark.parametrize("words", ["java", "python", "house"])
def test_the_validators_own_list_of_values_is_taken_and_verified(words: str) -> None:
    table = documented(interruptible=Row("string", one_of=("any", "none", "sometimes")))
    facts = solve(asking(Validator(table, Temper(words=words))))  # type: ignore[arg-type]
    found = facts.properties["interruptible"]
    assert (set(found.one_of), found.one_of_complete) == ({"any", "none", "sometimes"}, True)
    assert facts.properties["voice"].one_of == ()


def test_without_words_the_values_are_those_that_were_accepted_and_not_called_complete() -> None:
    table = documented(interruptible=Row("string", one_of=("true", "any", "sometimes")))
    facts = solve(asking(Validator(table, Temper(says="first", words="blunt"))))
    found = facts.properties["interruptible"]
    assert set(found.one_of) <= {"true", "any"}
    assert found.one_of
    assert not found.one_of_complete


def test_a_required_property_that_nobody_thought_of_is_found_by_its_name() -> None:
    table = documented(compliance_mode=Row("integer", required=True))
    facts = solve(asking(Validator(table, Temper())))
    assert (facts.properties["compliance_mode"].json, facts.properties["compliance_mode"].required) == ("integer", True)


def test_an_event_that_nobody_thought_of_is_found_where_the_validator_lists_it() -> None:
    validator = Validator(documented(), Temper(words="python"), events=("success", "failed", "transferred"))
    assert solve(asking(validator)).events == ("success", "failed", "transferred")


def test_the_facts_are_the_same_whatever_the_order_of_complaints() -> None:
    one, other = (Validator(documented(), Temper(), chance=random.Random(seed)) for seed in (1, 2))
    assert json.dumps(solve(asking(one)).to_json()) == json.dumps(solve(asking(other)).to_json())


def test_how_the_validator_speaks_is_part_of_the_facts() -> None:
    said = solve(asking(Validator(documented(), Temper(unknown="ignored", words="java"))))
    assert (said.names, said.unknown_properties, said.unknown_events) == ("all", "ignored", "refused")
    mute = solve(asking(Validator(documented(), Temper(says="nothing", unknown_events="ignored"))))
    assert (mute.names, mute.unknown_properties, mute.unknown_events, mute.events) == ("none", "refused", "ignored", ())


@pytest.mark.parametrize("says", ["ten", "first"])
def test_one_and_true_are_two_values(says: str) -> None:
    """That 1 was refused says nothing about a boolean."""
    validator = Validator(documented(language=Row("boolean")), Temper(unknown="ignored", says=says, words="blunt"))  # type: ignore[arg-type]
    assert solve(asking(validator)).properties["language"].json == "boolean"


def test_whether_the_url_may_be_liquid_is_asked() -> None:
    facts = solve(asking(Validator(documented(), Temper(says="first"))))
    assert "{{flow.variables.probe}}" in facts.properties["url"].accepted


# ------------------------------------------------------------------------------------------------ bad luck


def test_a_validator_that_accepts_everything_teaches_nothing_and_that_is_said() -> None:
    with pytest.raises(AccountError, match="does not look at the properties"):
        solve(lambda definition: Verdict(valid=True))


def test_a_validator_that_refuses_everything_is_quoted() -> None:
    refused = Verdict(valid=False, complaints=(Complaint(message="out of order"),))
    with pytest.raises(AccountError, match="a trigger alone to be accepted, found it refused: out of order"):
        solve(lambda definition: refused)


def without_the_widget(complaints: tuple[Complaint, ...]) -> tuple[Ask, list[int]]:
    """A validator that knows no relay widget, and a list that grows with each request."""
    asked: list[int] = []

    def ask(definition: Mapping[str, Any]) -> Verdict:
        asked.append(len(definition["states"]))
        relays = [state for state in definition["states"] if state["type"] == "run-conversation-relay"]
        return Verdict(valid=not relays, complaints=complaints if relays else ())

    return ask, asked


def test_an_account_without_the_widget_is_told_so_in_the_validators_words() -> None:
    words = "does not have a value in the enumeration [trigger, say-play]"
    ask, asked = without_the_widget((Complaint(path="#/states/1/type", message=words),))
    with pytest.raises(AccountError, match=r"does not know the type run-conversation-relay.*\[trigger, say-play\]"):
        solve(ask)
    assert len(asked) == 2


def test_a_widget_that_is_never_accepted_is_given_up_within_the_requests() -> None:
    ask, asked = without_the_widget(())
    with pytest.raises(AccountError, match="no relay widget was accepted in 24 requests"):
        solve(ask)
    assert len(asked) <= MOST_REQUESTS


@pytest.mark.parametrize("says", ["all", "first", "nothing"])
@pytest.mark.parametrize("most", [10, 15, 25])
def test_fewer_requests_leave_more_open_and_nothing_wrong(says: str, most: int) -> None:
    validator = validator_of(modest_table, 3, says=says)
    facts = solve(asking(validator), most=most)
    assert_nothing_wrong(validator, facts)
    assert validator.asked <= most


def test_faults_around_the_widget_do_not_confuse() -> None:
    """A complaint about no widget at all leaves the others to decide."""
    inner = asking(Validator(documented(), Temper()))

    def ask(definition: Mapping[str, Any]) -> Verdict:
        verdict = inner(definition)
        more = (Complaint(message="Flow definition validation failed"),)
        return verdict if verdict.valid else Verdict(valid=False, complaints=more + verdict.complaints)

    assert set(solve(ask).properties) == DOCUMENTED.keys()


# ------------------------------------------------------------------------------------------------ words


@pytest.mark.parametrize(
    ("message", "sent", "expected"),
    [
        ("integer found, string expected", "integer", "string"),
        ("[0] is not of type 'string'", "array", "string"),
        ("At states[3].properties.tts_text_normalization: expected bool", "string", "boolean"),
        ("must be number", "string", "number"),
        ("is missing but it is required", "string", None),
    ],
)
def test_a_type_is_read_from_any_words(message: str, sent: str, expected: str | None) -> None:
    assert expected_type(message, sent) == expected


@pytest.mark.parametrize(
    ("message", "values"),
    [
        ("does not have a value in the enumeration [any, none, dtmf]", ("any", "none", "dtmf")),
        ("'x' is not one of ['a b', 'c']", ("a b", "c")),
        ("must be a constant value success", ("success",)),
        ("At states[3].x: choose one of high | medium | low", ("high", "medium", "low")),
        ("integer found, string expected", ()),
    ],
)
def test_allowed_values_are_read_from_any_words(message: str, values: tuple[str, ...]) -> None:
    assert listed(message) == values


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("#/states/3/properties/compliance_mode", "is missing but it is required"),
        ("#/states/3/properties", "$.compliance_mode: is missing but it is required"),
        ("#/states/3/properties", "'compliance_mode' is a required property"),
        ("", 'object has missing required properties (["compliance_mode"])'),
        ("", "required key [compliance_mode] not found"),
    ],
)
def test_a_name_is_read_from_any_words(path: str, message: str) -> None:
    assert names(Complaint(path=path, message=message))[0] == "compliance_mode"


def test_words_are_kept_without_what_could_name_an_account() -> None:
    text = (
        "AC" + "0a" * 16 + " at https://studio.twilio.com/v2/Flows/FW" + "1" * 32
        + " says states/17 of probe_16 by +15550100001 on 2026-01-02T03:04:05Z, me@example.com, " + "f" * 32
    )  # fmt: skip
    assert anonymous(text) == "SID at URL says states/N of WIDGET by NUMBER on DATE, ADDRESS, ID"
