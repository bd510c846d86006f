"""`studio-relay flow list`: every flow of the account, for people and for programs."""

from __future__ import annotations

import json
from typing import Any

from stand_in import StandIn, definition


def test_flows_are_listed_by_name(run: Any, twilio: StandIn) -> None:
    second = twilio.account.add_flow("Zebra", definition("hi"), status="draft")
    first = twilio.account.add_flow("apple", definition("hi"), definition("ho"))
    done = run("flow", "list")
    assert done.exit_code == 0
    assert done.stdout == (
        f"apple  published 2\n  {first}  2026-01-01 02:00 UTC\n"
        f"Zebra  draft 1\n  {second}  2026-01-01 01:00 UTC\n"
        f"2 flows in account {twilio.account.sid}\n"
    )


def test_the_report_for_programs(run: Any, twilio: StandIn) -> None:
    sid = twilio.account.add_flow("Desk", definition("hi"))
    report = json.loads(run("flow", "list", "--json").stdout)
    flow = {"sid": sid, "friendly_name": "Desk", "status": "published", "revision": 1}
    assert list(report)[:2] == ["version", "ok"]
    assert report == {
        "version": 1,
        "ok": True,
        "account": twilio.account.sid,
        "flows": [flow | {"date_updated": "2026-01-01T01:00:00Z"}],
    }


def test_more_flows_than_a_page_holds(run: Any, twilio: StandIn) -> None:
    twilio.rows = 7
    for number in range(40):
        twilio.account.add_flow(f"Flow {number}", definition("hi"))
    assert len(json.loads(run("flow", "list", "--json").stdout)["flows"]) == 40


def test_an_account_without_flows(run: Any, twilio: StandIn) -> None:
    assert run("flow", "list").stdout == f"0 flows in account {twilio.account.sid}\n"
