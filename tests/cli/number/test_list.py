"""`studio-relay number list`: every number with where its calls really go."""

from __future__ import annotations

import json
from typing import Any

from stand_in import StandIn, definition

from studio_relay.studio.account.numbers import flow_url


def stock(twilio: StandIn) -> str:
    account = twilio.account
    sid = account.add_flow("Desk", definition("hi"))
    url = flow_url(account.sid, sid)
    account.add_number("+15550100001", voice_url=url, voice_fallback_url="https://x.example/f")
    account.add_number("+15550100002", voice_url=url, trunk_sid="TK" + "0" * 32)
    account.add_number("+15550100003", voice_url=url, voice_application_sid="AP" + "0" * 32)
    account.add_number(
        "+15550100004", voice_url="https://relay.example.com/voice", status_callback="https://x.example/s"
    )
    account.add_number("+15550100005", voice_url=flow_url(account.sid, "FW" + "f" * 32))
    account.add_number("+15550100006", voice_url=None, trunk_sid=None)
    return sid


def test_each_number_with_where_its_calls_go(run: Any, twilio: StandIn) -> None:
    sid = stock(twilio)
    lines = run("number", "list").stdout.splitlines()
    assert lines[0] == f"+15550100001  PN{1:032x}"
    assert [line.strip() for line in lines if line.startswith("  ")] == [
        f"flow Desk ({sid})",
        "falls back on https://x.example/f",
        f"its calls go to the SIP trunk TK{'0' * 32}",
        f"the TwiML application AP{'0' * 32} answers",
        "https://relay.example.com/voice",
        "reports to https://x.example/s",
        f"FW{'f' * 32}, which is no flow of this account",
        "leads nowhere",
    ]
    assert lines[-1] == f"6 numbers in account {twilio.account.sid}"


def test_the_report_for_programs(run: Any, twilio: StandIn) -> None:
    sid = stock(twilio)
    twilio.rows = 2
    numbers = json.loads(run("number", "list", "--json").stdout)["numbers"]
    assert [number.get("flow") for number in numbers] == [sid, None, None, None, "FW" + "f" * 32, None]
    assert numbers[0]["flow_name"] == "Desk"
    assert numbers[5] == {"sid": f"PN{6:032x}", "phone_number": "+15550100006", "friendly_name": "+15550100006"}


def test_flows_are_not_asked_for_where_no_number_leads_to_one(run: Any, twilio: StandIn) -> None:
    twilio.account.add_number("+15550100001", voice_url="https://relay.example.com/voice")
    assert run("number", "list").exit_code == 0
    assert len(twilio.seen) == 1
