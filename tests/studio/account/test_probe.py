"""The probe over HTTP: FlowValidate's answers in their several forms are verdicts, everything else stops it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hidden_table import DOCUMENTED, Row, Temper, Validator
from stand_in import Fault, StandIn

from studio_relay.errors import AccountError
from studio_relay.studio.account.api import Account
from studio_relay.studio.account.credentials import Credentials
from studio_relay.studio.account.probe import probe
from studio_relay.studio.account.probing.facts import Facts

TABLE: dict[str, Any] = {name: Row(kind, required=name == "url") for name, kind in DOCUMENTED.items()}  # type: ignore[arg-type]
TEMPERS = [
    Temper(unknown=unknown, says=says, words="java")  # type: ignore[arg-type]
    for unknown in ("refused", "ignored")
    for says in ("all", "first", "nothing")
]


def lend(twilio: StandIn, validator: Validator) -> None:
    """The hidden table behind the stand-in's FlowValidate."""

    def errors(definition: Mapping[str, Any]) -> list[dict[str, str]]:
        problems = validator.problems(definition)
        return [] if problems is None else problems or [{}]

    twilio.validator = errors


def probed(twilio: StandIn, **options: Any) -> Facts:
    account = twilio.account
    credentials = Credentials(account_sid=account.sid, user=account.sid, secret=account.secrets[""])
    with Account(credentials) as opened:
        return probe(opened, **options)


@pytest.mark.parametrize("in_body", [False, True])
@pytest.mark.parametrize("temper", TEMPERS, ids=lambda temper: f"{temper.unknown}-{temper.says}")
def test_the_table_is_recovered_through_flow_validate_alone(twilio: StandIn, temper: Temper, in_body: bool) -> None:
    twilio.in_body = in_body
    validator = Validator(TABLE, temper)
    lend(twilio, validator)
    facts = probed(twilio)
    assert {name: found.json for name, found in facts.properties.items()} == DOCUMENTED
    assert [name for name, found in facts.properties.items() if found.required] == ["url"]
    assert set(twilio.seen) == {"POST /v2/Flows/Validate"}
    assert len(twilio.seen) == facts.asked <= 60
    assert twilio.writes == []
    assert twilio.account.flows == {}


def test_a_busy_api_is_waited_for_and_does_not_change_what_is_learnt(twilio: StandIn, pauses: list[float]) -> None:
    lend(twilio, Validator(TABLE))
    twilio.faults = {2: Fault.BUSY, 5: Fault.ERROR_BEFORE, 9: Fault.BROKEN_AFTER}
    facts = probed(twilio)
    assert {name: found.json for name, found in facts.properties.items()} == DOCUMENTED
    assert len(twilio.seen) == facts.asked + 3
    assert len(pauses) == 3


def test_an_api_that_breaks_down_is_no_verdict(twilio: StandIn) -> None:
    lend(twilio, Validator(TABLE))
    twilio.faults = dict.fromkeys(range(4, 100), Fault.HTML)
    with pytest.raises(AccountError, match="expected JSON"):
        probed(twilio)


def test_a_refusal_of_everything_is_told_in_twilios_words(twilio: StandIn) -> None:
    twilio.validator = lambda definition: [{}]
    with pytest.raises(AccountError, match=r"a trigger alone to be accepted.*Flow definition validation failed"):
        probed(twilio)


def test_progress_counts_the_requests(twilio: StandIn) -> None:
    lend(twilio, Validator(TABLE))
    told: list[tuple[int, int]] = []
    facts = probed(twilio, most=40, progress=lambda asked, most: told.append((asked, most)))
    assert told == [(number, 40) for number in range(1, facts.asked + 1)]


def test_the_facts_name_no_account(twilio: StandIn) -> None:
    sid = twilio.account.sid
    inner = Validator(TABLE)

    def errors(definition: Mapping[str, Any]) -> list[dict[str, str]]:
        return [
            row | {"message": f"{row['message']} (account {sid}, see https://www.twilio.com/x)"}
            for row in inner.problems(definition) or ()
        ]

    twilio.validator = errors
    text = json.dumps(probed(twilio).to_json())
    assert "AC0" not in text
    assert "twilio.com" not in text
    assert "(account SID, see URL)" in text
