"""Where a number leads is read from whatever its URL is, and no text given as a URL makes a traceback."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay.errors import AccountError
from studio_relay.studio.account.numbers import NumberRecord, check_url, find_number, flow_of, flow_url

ACCOUNT, FLOW = "AC" + "0a" * 16, "FW" + "1B" * 16
URL = flow_url(ACCOUNT, FLOW)


def number(**fields: str) -> NumberRecord:
    return NumberRecord(sid="PN" + "0" * 32, phone_number="+15550100001", **fields)


@pytest.mark.parametrize("url", [URL, URL.replace("https", "http"), f"{URL}/", f"{URL}?x=1"])
def test_a_flow_is_recognised(url: str) -> None:
    assert flow_of(number(voice_url=url)) == FLOW


@pytest.mark.parametrize("url", ["", "https://x.example", f"https://x.example/?u={URL}", URL + "0", URL[:-1]])
def test_what_leads_to_no_flow(url: str) -> None:
    assert flow_of(number(voice_url=url)) is None


@pytest.mark.parametrize("owner", [{"trunk_sid": "TK1"}, {"voice_application_sid": "AP1"}])
def test_an_owned_number_leads_to_no_flow_whatever_its_url(owner: dict[str, str]) -> None:
    assert flow_of(number(voice_url=URL, **owner)) is None


def refusal(call: Callable[[], object]) -> str:
    """The message of an AccountError, "" if there was none."""
    try:
        call()
    except AccountError as error:
        return str(error)
    return ""


@given(st.text() | st.text().map(lambda text: f"https://{text}"))
def test_a_url_is_taken_or_refused(text: str) -> None:
    said = refusal(lambda: check_url("URL", text))
    assert said.startswith("URL: expected an https:// URL") or (text.startswith("https://") and not said)


@given(st.text())
def test_a_number_that_is_named_somehow_is_found_or_not(text: str) -> None:
    said = refusal(lambda: find_number([number(), number()], text))
    assert "number list" in said
