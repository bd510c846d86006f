"""What of an account a definition names is found wherever it stands, with the widgets that name it."""

from __future__ import annotations

from studio_relay.studio.account.sids import numbers_in, servers_in, sids_in

QUEUE, FLOW, ACCOUNT = "WW" + "0a" * 16, "FW" + "1" * 32, "AC" + "2" * 32


def test_sids_and_numbers_are_found_with_their_widgets() -> None:
    states = [
        {"name": "queue", "properties": {"workflow": QUEUE, "attributes": f'{{"w":"{QUEUE}"}}'}},
        {"name": "sub", "properties": {"flow_sid": FLOW}},
        {"name": "again", "properties": {"url": f"https://example.com/{ACCOUNT}/{FLOW}?x", "to": "+15550100009"}},
        {"name": "text", "properties": {"say": "Press +1 or 15550100009", "body": "+15550100009, +15550100010."}},
        "no state",
    ]
    definition = {"description": f"uses {FLOW}", "states": states, "initial_state": "Trigger"}
    assert sids_in(definition) == {QUEUE: ("queue",), FLOW: ("sub", "again"), ACCOUNT: ("again",)}
    assert numbers_in(definition) == {"+15550100009": ("again", "text"), "+15550100010": ("text",)}


def test_what_is_only_like_one_is_none() -> None:
    definition = {"states": [{"name": "a", "say": f"x{QUEUE} {FLOW}0 {FLOW.lower()} AC12 +0123456789 a+15550100009"}]}
    assert sids_in(definition) == {}
    assert numbers_in(definition) == {}
    assert sids_in({}) == {}
    assert sids_in({"states": 3}) == {}


def test_urls_within_urls_and_servers() -> None:
    inner = f"https%3A%2F%2Fwebhooks.twilio.com%2FAccounts%2F{ACCOUNT}%2FFlows%2F{FLOW}"
    url = f"https://relay.example.com/voice?return={inner}"
    definition = {
        "states": [{"name": "away", "properties": {"url": url, "say": "see wss://{{x}} or http://a.example."}}]
    }
    assert set(sids_in(definition)) == {ACCOUNT, FLOW}
    assert servers_in(definition) == {"https://relay.example.com": ("away",), "http://a.example.": ("away",)}
