"""The account over the stand-in: what is asked for, what comes back, what is waited out, and how refusals read."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import httpx
import pytest
import respx
from stand_in import Fault, StandIn, State, definition

from studio_relay.errors import AccountError
from studio_relay.studio.account.api import Account
from studio_relay.studio.account.credentials import Credentials
from studio_relay.studio.account.http import TRIES, TRIES_TO_CONNECT
from studio_relay.studio.account.problems import Problem


def opened(twilio: StandIn, account: State | None = None, notice: Callable[[str], None] = print) -> Account:
    account = account or twilio.account
    return Account(Credentials(account_sid=account.sid, user=account.sid, secret=account.secrets[""]), notice=notice)


# ------------------------------------------------------------------------------------------------ flows


def test_a_flow_is_made_saved_and_read_back_by_revision(twilio: StandIn) -> None:
    with opened(twilio) as account:
        made = account.create_flow(
            friendly_name="Desk", status="draft", definition=definition("hi"), commit_message="first"
        )
        saved = account.update_flow(made.sid, status="published", definition=definition("hi", "there"))
        assert (made.revision, made.status, made.commit_message) == (1, "draft", "first")
        assert (saved.revision, saved.status, saved.friendly_name) == (2, "published", "Desk")
        assert account.flow(made.sid).definition == definition("hi", "there")
        assert account.revision(made.sid, 1).definition == definition("hi")
        assert account.revision(made.sid, "LatestPublished").revision == 2
        assert [r.revision for r in account.revisions(made.sid)] == [2, 1]


def test_a_definition_goes_once_encoded_as_a_form_field(twilio: StandIn) -> None:
    with opened(twilio) as account:
        account.create_flow(friendly_name="É&=+", status="draft", definition=definition("ü", text="a+b & c=d %20 😀"))
    assert twilio.account.flows["FW1" + "0" * 30 + "1"].newest.definition == definition("ü", text="a+b & c=d %20 😀")
    assert twilio.forms[0]["FriendlyName"] == "É&=+"


def test_every_flow_is_listed_whatever_the_pages(twilio: StandIn) -> None:
    twilio.rows = 3
    for index in range(8):
        twilio.account.add_flow(f"flow {index}", definition("hi"))
    with opened(twilio) as account:
        assert [flow.friendly_name for flow in account.flows()] == [f"flow {index}" for index in range(8)]
    assert len(twilio.seen) == 3


def test_a_flow_is_found_by_name_or_sid(twilio: StandIn) -> None:
    sid = twilio.account.add_flow("Front desk", definition("hi"))
    with opened(twilio) as account:
        assert account.find_flow("Front desk") == account.find_flow(sid)
        assert account.find_flow(sid).definition == definition("hi")


def test_a_flow_that_is_not_there_is_refused_with_the_name_that_was_meant(twilio: StandIn) -> None:
    twilio.account.add_flow("Front desk", definition("hi"))
    with opened(twilio) as account, pytest.raises(AccountError, match=r"Did you mean 'Front desk'.*flow list"):
        account.find_flow("Front dsk")


def test_a_name_of_several_flows_is_refused_with_their_sids(twilio: StandIn) -> None:
    sids = [twilio.account.add_flow("Desk", definition("hi")) for _ in range(2)]
    with opened(twilio) as account, pytest.raises(AccountError, match=f"2 flows.*{', '.join(sids)}"):
        account.find_flow("Desk")


def test_test_users_are_replaced_and_taken_away(twilio: StandIn) -> None:
    sid = twilio.account.add_flow("Desk", definition("hi"))
    with opened(twilio) as account:
        assert account.set_test_users(sid, ["+15550100001", "+15550100002"]) == ("+15550100001", "+15550100002")
        assert account.test_users(sid) == ("+15550100001", "+15550100002")
        assert account.set_test_users(sid, []) == ()
        assert account.test_users(sid) == ()


def test_numbers_are_listed_and_changed(twilio: StandIn) -> None:
    twilio.rows = 2
    sids = [twilio.account.add_number(f"+1555010000{index}") for index in range(5)]
    with opened(twilio) as account:
        assert [number.sid for number in account.numbers()] == sids
        changed = account.update_number(sids[3], voice_url="https://example.com/voice", voice_method="POST")
    assert (changed.voice_url, changed.voice, changed.api_version) == ("https://example.com/voice", True, "2010-04-01")
    assert twilio.account.numbers[sids[3]]["voice_url"] == "https://example.com/voice"


# ------------------------------------------------------------------------------------------- validation


@pytest.mark.parametrize("in_body", [False, True])
def test_what_the_validator_says_is_given_with_the_widgets_name(twilio: StandIn, in_body: bool) -> None:
    twilio.in_body = in_body
    twilio.validator = lambda _: [
        {"property_path": "#/states/1/properties/say", "message": "integer found, string expected"},
        {"property_path": "#/flags", "message": "is missing but it is required"},
    ]
    with opened(twilio) as account:
        found = account.validate(friendly_name="x", status="draft", definition=definition("hello"))
    assert found == (
        Problem(path="#/states/1/properties/say", message="integer found, string expected", widget="hello"),
        Problem(path="#/flags", message="is missing but it is required"),
    )
    assert not twilio.account.flows


def test_a_valid_definition_has_no_problem(twilio: StandIn) -> None:
    with opened(twilio) as account:
        assert account.validate(friendly_name="x", status="published", definition=definition("hello")) == ()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(400, json={"code": 81022, "message": "Flow definition validation failed", "status": 400}),
        httpx.Response(200, json={"valid": False}),
        httpx.Response(200, json={}),
    ],
)
def test_a_validator_that_gives_no_reason_still_says_no(answer: httpx.Response) -> None:
    with respx.mock as router, refusing_account() as account:
        router.post("https://studio.twilio.com/v2/Flows/Validate").mock(return_value=answer)
        (problem,) = account.validate(friendly_name="x", status="draft", definition={})
    assert problem.message in ("Flow definition validation failed", "not valid")


def test_a_parameter_that_is_refused_is_no_verdict_on_the_definition() -> None:
    answer = httpx.Response(400, json={"code": 20001, "message": "Missing required parameter", "status": 400})
    with respx.mock as router, refusing_account() as account:
        router.post("https://studio.twilio.com/v2/Flows/Validate").mock(return_value=answer)
        with pytest.raises(AccountError, match="Missing required parameter"):
            account.validate(friendly_name="x", status="draft", definition={})


def test_a_refused_save_lists_its_problems_by_widget(twilio: StandIn) -> None:
    twilio.validator = lambda _: [{"property_path": "#/states/1/type", "message": "no such type"}]
    with opened(twilio) as account, pytest.raises(AccountError) as caught:
        account.create_flow(friendly_name="x", status="draft", definition=definition("hello"))
    assert caught.value.problems == (Problem(path="#/states/1/type", message="no such type", widget="hello"),)
    assert "\nhello (#/states/1/type): no such type" in str(caught.value)
    assert (caught.value.status, caught.value.code, caught.value.unknown) == (400, 81022, False)


# ---------------------------------------------------------------------------------- waiting and repeating

LOST = [Fault.BROKEN_BEFORE, Fault.BROKEN_AFTER, Fault.TIMEOUT_BEFORE, Fault.TIMEOUT_AFTER]
SERVER = [Fault.ERROR_BEFORE, Fault.ERROR_AFTER, Fault.BAD_GATEWAY]


@pytest.mark.parametrize("fault", [*LOST, *SERVER, Fault.BUSY, Fault.NOT_CONNECTED])
def test_what_may_be_done_twice_is_tried_again(twilio: StandIn, pauses: list[float], fault: Fault) -> None:
    sid = twilio.account.add_flow("Desk", definition("hi"))
    number = twilio.account.add_number("+15550100001")
    twilio.faults = {0: fault, 2: fault, 4: fault, 6: fault}
    with opened(twilio) as account:
        assert account.flow(sid).revision == 1
        assert account.validate(friendly_name="x", status="draft", definition=definition("hi")) == ()
        assert account.set_test_users(sid, ["+15550100001"]) == ("+15550100001",)
        assert account.update_number(number, voice_url="https://example.com").voice_url == "https://example.com"
    assert len(twilio.seen) == 8
    assert len(pauses) == 4


@pytest.mark.parametrize("fault", [*LOST, *SERVER, Fault.HTML, Fault.HTML_AFTER])
@pytest.mark.parametrize("update", [False, True])
def test_what_may_not_be_done_twice_is_left_in_doubt(twilio: StandIn, fault: Fault, update: bool) -> None:
    sid = twilio.account.add_flow("Desk", definition("hi"))
    twilio.faults = {0: fault}
    with opened(twilio) as account:
        save = partial(account.update_flow, sid) if update else partial(account.create_flow, friendly_name="x")
        with pytest.raises(AccountError, match="Whether it was carried out is not known") as caught:
            save(status="draft", definition=definition("hi"))
    assert caught.value.unknown
    assert len(twilio.seen) == 1


@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.NOT_CONNECTED])
def test_what_was_refused_before_any_work_is_tried_again(twilio: StandIn, fault: Fault) -> None:
    twilio.faults = {0: fault}
    with opened(twilio) as account:
        account.create_flow(friendly_name="x", status="draft", definition=definition("hi"))
    assert len(twilio.account.flows) == 1


def test_a_repeated_change_whose_first_answer_was_lost_stays_in_doubt(twilio: StandIn) -> None:
    number = twilio.account.add_number("+15550100001")
    twilio.faults = {0: Fault.TIMEOUT_AFTER, **dict.fromkeys(range(1, TRIES), Fault.BUSY)}
    with opened(twilio) as account, pytest.raises(AccountError) as caught:
        account.update_number(number, voice_url="https://example.com")
    assert caught.value.unknown
    assert caught.value.status == 429


def test_retry_after_is_honoured_and_told(twilio: StandIn, pauses: list[float]) -> None:
    told: list[str] = []
    twilio.retry_after = "7"
    twilio.faults = {0: Fault.BUSY, 1: Fault.BUSY}
    with opened(twilio, notice=told.append) as account:
        assert list(account.flows()) == []
    assert pauses == [7.0, 7.0]
    assert told == ["Twilio asks us to slow down; trying again in 7 s"] * 2


def test_without_retry_after_the_pauses_grow_and_end(twilio: StandIn, pauses: list[float]) -> None:
    twilio.retry_after = None
    twilio.faults = dict.fromkeys(range(20), Fault.BUSY)
    with opened(twilio) as account, pytest.raises(AccountError, match="still asks to slow down") as caught:
        list(account.flows())
    assert caught.value.status == 429
    assert len(twilio.seen) == TRIES
    assert all(2.0**n / 2 <= pause <= 2.0**n for n, pause in enumerate(pauses))


def test_a_pause_that_nobody_would_wait_for_is_not_waited(twilio: StandIn, pauses: list[float]) -> None:
    twilio.retry_after = "3600"
    twilio.faults = {0: Fault.BUSY}
    with opened(twilio) as account, pytest.raises(AccountError, match="3600 s"):
        list(account.flows())
    assert pauses == []


def test_no_network_is_said_soon(twilio: StandIn) -> None:
    twilio.faults = dict.fromkeys(range(20), Fault.NOT_CONNECTED)
    with opened(twilio) as account, pytest.raises(AccountError, match=r"no answer \(ConnectError.*network") as caught:
        list(account.flows())
    assert len(twilio.seen) == TRIES_TO_CONNECT
    assert not caught.value.unknown


# -------------------------------------------------------------------------------------------- refusals


def refusing_account() -> Account:
    sid = "AC" + "0" * 32
    return Account(Credentials(account_sid=sid, user=sid, secret="very-secret"), sleep=lambda _: None)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(401, json={"code": 20003, "message": "Authenticate"}), r"TWILIO_AUTH_TOKEN anew"),
        (httpx.Response(403, json={"code": 20403, "message": "Forbidden"}), r"'Forbidden'.*restricted key"),
        (httpx.Response(404, json={"code": 20404, "message": "not found"}), r"flow list"),
        (httpx.Response(200, html="<html>Sign in</html>"), r"expected JSON, found text/html \(HTTP 200\).*proxy"),
        (httpx.Response(407, html="<html>no</html>"), r"found text/html \(HTTP 407\)"),
        (httpx.Response(502, html="<html>no</html>"), r"found text/html \(HTTP 502\).*status\.twilio\.com"),
        (httpx.Response(200, text=""), r"expected JSON"),
        (httpx.Response(200, json=[1]), r"expected a JSON object"),
        (httpx.Response(200, json={"flows": 3}), r"expected a page of a list"),
        (httpx.Response(200, json={"meta": None}), r"expected a page of a list"),
        (httpx.Response(200, json={"meta": {"key": "flows"}, "flows": [7]}), r"expected a page of a list"),
        (httpx.Response(200, json={"meta": {"key": "flows"}, "flows": [{"sid": 7}]}), r"expected a page of a list"),
        (httpx.Response(302, headers={"location": "https://login.example.com/"}), r"found a redirect"),
        (httpx.Response(400, json={"message": "bad \x1b[31m+15550100001\x00\n"}), r"'bad  ?\[31m\+\.\.\.'"),
        (httpx.Response(400, json={"message": {"a": 1}, "code": "x"}), r"HTTP 400"),
        (httpx.Response(200, content=b'{"a":' * 100_000), r"expected JSON"),
        (httpx.Response(200, content=b"\xff\xfe{"), r"expected JSON"),
    ],
)
def test_a_refusal_says_what_was_found_where_and_what_to_do(answer: httpx.Response, words: str) -> None:
    with respx.mock as router, refusing_account() as account:
        router.get("https://studio.twilio.com/v2/Flows").mock(return_value=answer)
        with pytest.raises(AccountError) as caught:
            list(account.flows())
    assert re.search(words, str(caught.value))
    assert "very-secret" not in str(caught.value)
    assert not caught.value.unknown


def test_pages_that_lead_in_a_circle_come_to_an_end() -> None:
    url = "https://studio.twilio.com/v2/Flows?PageSize=50&Page=1"
    page = {"meta": {"key": "flows", "next_page_url": url}, "flows": []}
    with respx.mock as router, refusing_account() as account:
        router.get("https://studio.twilio.com/v2/Flows").mock(return_value=httpx.Response(200, json=page))
        with pytest.raises(AccountError, match="circle"):
            list(account.flows())


@pytest.mark.parametrize("url", ["https://evil.example/v2/Flows", "http://studio.twilio.com/", "https://xtwilio.com/"])
def test_credentials_go_to_nobody_but_twilio(url: str) -> None:
    page = {"meta": {"key": "flows", "next_page_url": url}, "flows": []}
    with respx.mock as router, refusing_account() as account:
        router.get("https://studio.twilio.com/v2/Flows").mock(return_value=httpx.Response(200, json=page))
        with pytest.raises(AccountError, match="nothing was sent there"):
            list(account.flows())
        assert len(router.calls) == 1


def test_wrong_credentials_of_a_key_name_the_keys_variables(twilio: StandIn) -> None:
    credentials = Credentials(account_sid=twilio.account.sid, user="SK" + "0" * 32, secret="no", prefix="PROD_")
    with Account(credentials) as account, pytest.raises(AccountError, match="PROD_API_KEY and PROD_API_SECRET"):
        list(account.flows())
    assert len(twilio.seen) == 1


def test_a_key_opens_the_account_it_belongs_to(twilio: StandIn) -> None:
    twilio.account.secrets["SK" + "0" * 32] = "key-secret"
    twilio.account.add_number("+15550100001")
    credentials = Credentials(account_sid=twilio.account.sid, user="SK" + "0" * 32, secret="key-secret")
    with Account(credentials) as account:
        assert len(list(account.numbers())) == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTPS_PROXY", "nonsense://proxy.example"),
        ("HTTPS_PROXY", "ftp://user:hidden@proxy.example"),
        ("SSL_CERT_FILE", "/nowhere.pem"),
        ("SSL_CERT_FILE", __file__),
    ],
)
def test_settings_of_the_network_that_are_wrong_are_explained(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(AccountError, match="the network's settings cannot be used") as caught:
        refusing_account()
    assert "hidden" not in str(caught.value)


def test_an_address_that_is_none_is_refused() -> None:
    page = {"meta": {"key": "flows", "next_page_url": "https://studio.twilio.com/v2/\x00"}, "flows": []}
    with respx.mock as router, refusing_account() as account:
        router.get("https://studio.twilio.com/v2/Flows").mock(return_value=httpx.Response(200, json=page))
        with pytest.raises(AccountError, match="nothing was sent there"):
            list(account.flows())


def test_a_region_is_part_of_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_REGION", "ie1")
    monkeypatch.setenv("TWILIO_EDGE", "dublin")
    with respx.mock as router, refusing_account() as account:
        route = router.get("https://studio.dublin.ie1.twilio.com/v2/Flows")
        route.mock(return_value=httpx.Response(200, json={"meta": {"key": "flows"}, "flows": []}))
        assert list(account.flows()) == []


def test_a_pause_of_nothing_is_still_a_pause(twilio: StandIn, pauses: list[float]) -> None:
    twilio.retry_after = "0"
    twilio.faults = {0: Fault.BUSY}
    with opened(twilio) as account:
        assert list(account.flows()) == []
    assert pauses[0] > 0


@pytest.mark.parametrize("value", ["soon", "-1", "", "Wed, 21 Oct 2015 07:28:00 GMT", "9" * 12, "nan"])
def test_a_strange_retry_after_does_no_harm(twilio: StandIn, pauses: list[float], value: str) -> None:
    twilio.retry_after = value
    twilio.faults = {0: Fault.BUSY}
    with opened(twilio) as account:
        assert list(account.flows()) == []
    assert 0 < pauses[0] <= 1
