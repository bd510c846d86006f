"""The contract of what a call hands to its flow."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay.errors import HandoffError
from studio_relay.handoff import SERVER_CODES, Handoff, OpenHandoff, as_handoff, check_codes, server_handoff


class ToPerson(Handoff):
    reason_code: Literal["person", "done"]
    callback_number: str | None = None
    tries: int = 0


def test_the_wire_form() -> None:
    handoff = ToPerson(reason_code="person", summary="Parcel late", callback_number="+15550100007", tries=2)
    assert handoff.to_wire() == (
        '{"reasonCode":"person","version":1,"summary":"Parcel late","callbackNumber":"+15550100007","tries":2}'
    )


def test_none_is_left_out_and_an_empty_summary_is_not() -> None:
    assert json.loads(ToPerson(reason_code="done").to_wire()) == {
        "reasonCode": "done",
        "version": 1,
        "summary": "",
        "tries": 0,
    }


def test_the_reason_stands_first_whatever_the_order_given() -> None:
    wire = as_handoff({"callbackNumber": "1", "summary": "s", "version": 2, "reasonCode": "person"}, ToPerson).to_wire()
    assert list(json.loads(wire)) == ["reasonCode", "version", "summary", "callbackNumber", "tries"]


@pytest.mark.parametrize("data", [{"reasonCode": "person", "tries": 3}, {"reason_code": "person", "tries": 3}])
def test_a_dict_is_checked_by_the_agents_model(data: dict[str, Any]) -> None:
    assert as_handoff(data, ToPerson) == ToPerson(reason_code="person", tries=3)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"reasonCode": "nobody"}, "reasonCode"),
        ({}, "reasonCode"),
        ({"reasonCode": "person", "tries": "many"}, "tries"),
        ({"reasonCode": "person", "callback": "1"}, "callback"),
        ({"reasonCode": "person", 5: 5}, "handoff"),
    ],
)
def test_what_does_not_fit_the_model_is_named(data: dict[Any, Any], named: str) -> None:
    with pytest.raises(HandoffError, match=named) as caught:
        as_handoff(data, ToPerson)
    assert "ToPerson (reasonCode, version, summary, callbackNumber, tries)" in str(caught.value)
    assert "Nothing was sent" in str(caught.value)


@pytest.mark.parametrize("data", ["person", 5, ["person"]])
def test_what_is_no_handoff_at_all(data: Any) -> None:
    with pytest.raises(HandoffError, match="expected a Handoff or a dict, found"):
        as_handoff(data)


def test_an_agent_without_a_model_may_add_flat_members() -> None:
    wire = as_handoff({"reasonCode": "done", "orderId": 7, "vip": True, "note": None}).to_wire()
    assert wire == '{"reasonCode":"done","version":1,"summary":"","orderId":7,"vip":true}'


@pytest.mark.parametrize("value", [[1], {"a": 1}, object(), float("inf")])
def test_values_that_a_flow_cannot_read_are_refused(value: Any) -> None:
    class Odd(OpenHandoff):
        extra: Any = None

    with pytest.raises(HandoffError, match="Nothing was sent"):
        Odd(reason_code="done", extra=value).to_wire()


@pytest.mark.parametrize("code", ["", "Person", "per son", "1st", "a" * 33, "pérson", "a_b", "person\n"])
def test_codes_that_flows_cannot_match_are_refused(code: str) -> None:
    with pytest.raises(HandoffError, match="reasonCode"):
        Handoff(reason_code=code).to_wire()


@pytest.mark.parametrize(
    ("codes", "named"),
    [
        (("person", "no-person"), "'person' is part of 'no-person'"),
        (("no-person", "person"), "'person' is part of 'no-person'"),
        (("relay",), "'relay' is part of 'relay-agent-failed'"),
        (("relay-limit-reached",), "'relay-limit' is part of"),
        (("relay-draining",), "is the server's own"),
        (("Person",), "must match"),
    ],
)
def test_codes_must_be_told_apart_by_their_parts(codes: tuple[str, ...], named: str) -> None:
    with pytest.raises(HandoffError, match=named):
        check_codes(codes, "MyHandoff")


def test_a_model_with_codes_that_are_alike_is_refused_where_it_is_defined() -> None:
    with pytest.raises(HandoffError, match="Ambiguous"):

        class Ambiguous(Handoff):
            reason_code: Literal["call", "callback"]


def test_a_model_refuses_fields_it_does_not_know_and_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="nickname"):
        ToPerson(reason_code="person", nickname="x")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="frozen"):
        ToPerson(reason_code="person").tries = 5  # type: ignore[misc]


@pytest.mark.parametrize("code", [*SERVER_CODES, "relay-anything", "relay-"])
def test_an_agent_cannot_use_a_code_of_the_server(code: str) -> None:
    for handoff in (
        {"reasonCode": code},
        {"reason_code": code},
        Handoff(reason_code=code),
        OpenHandoff(reason_code=code),
    ):
        with pytest.raises(HandoffError, match=r"begins with 'relay-', which is reserved .* Nothing was sent\."):
            as_handoff(handoff)
    if code == "relay-anything":
        with pytest.raises(HandoffError, match="reserved for the server"):
            check_codes((code,), "MyHandoff")


def test_a_code_that_only_looks_like_the_servers_is_fine() -> None:
    assert as_handoff({"reasonCode": "my-relay-limit"}).reason_code == "my-relay-limit"
    check_codes(("relaying",), "MyHandoff")


@pytest.mark.parametrize("code", SERVER_CODES)
def test_the_servers_own(code: str) -> None:
    assert json.loads(server_handoff(code).to_wire())["reasonCode"] == code


def test_only_the_summary_is_shortened_at_a_word() -> None:
    handoff = ToPerson(reason_code="person", summary="one two three four five", callback_number="+15550100007")
    full = len(handoff.to_wire().encode())
    assert json.loads(handoff.to_wire(full - 1))["summary"] == "one two three four…"
    assert json.loads(handoff.to_wire(full - 12))["summary"] == "one two…"
    assert json.loads(handoff.to_wire(full - 12))["callbackNumber"] == "+15550100007"


def test_what_is_too_long_without_its_summary_is_refused() -> None:
    with pytest.raises(HandoffError, match="at most 4,096 bytes, found"):
        ToPerson(reason_code="person", callback_number="1" * 5000, summary="short").to_wire()


@given(st.text(max_size=400), st.integers(64, 300))
def test_any_summary_fits_and_stays_a_beginning_of_what_it_was(summary: str, max_bytes: int) -> None:
    wire = Handoff(reason_code="done", summary=summary.encode("utf-8", "replace").decode()).to_wire(max_bytes)
    assert len(wire.encode()) <= max_bytes
    kept = json.loads(wire)["summary"]
    assert summary.encode("utf-8", "replace").decode().startswith(kept.removesuffix("…").rstrip())


@given(st.text(st.characters(), max_size=50))
def test_lone_surrogates_never_reach_the_wire(summary: str) -> None:
    Handoff.model_construct(reason_code="done", version=1, summary=summary + "\ud800").to_wire().encode()
