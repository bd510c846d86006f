"""Which socket may have which call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from studio_relay.protocol.messages import Setup
from studio_relay.protocol.parsing import parse
from studio_relay.registry import Live, Registry

OURS = "AC00000000000000000000000000000000"
FIELDS = {"callSid": "CA1", "sessionId": "VX1", "accountSid": OURS, "from": "+15550100001", "to": "+15550100002"}


class FakeConversation:
    def __init__(self) -> None:
        self.followed: Any = None

    def follow(self, other: Any) -> None:
        self.followed = other


def setup(**fields: str) -> Setup:
    message = parse(json.dumps({"type": "setup", **FIELDS, **fields}))
    assert isinstance(message, Setup)
    return message


@pytest.fixture
def registry() -> Registry:
    return Registry(account_sid=OURS)


def live(registry: Registry) -> tuple[Live, list[str]]:
    dropped: list[str] = []
    one = Live(conversation=FakeConversation(), drop=dropped.append)  # type: ignore[arg-type]
    registry.add(one)
    return one, dropped


def test_sockets_are_counted_until_they_are_removed(registry: Registry) -> None:
    one, _ = live(registry)
    two, _ = live(registry)
    assert len(registry) == 2
    assert list(registry) == [one, two]
    registry.remove(one)
    registry.remove(one)
    assert list(registry) == [two]


def test_a_foreign_account_is_refused(registry: Registry) -> None:
    one, _ = live(registry)
    assert "another account" in (registry.admit(one, setup(accountSid="AC1")) or "")
    assert one.setup is None


def test_any_account_is_taken_where_ours_is_not_known() -> None:
    registry = Registry()
    one, _ = live(registry)
    assert registry.admit(one, setup(accountSid="AC1")) is None


def test_a_second_socket_of_the_same_session_wins_and_goes_on(registry: Registry) -> None:
    one, dropped = live(registry)
    two, _ = live(registry)
    assert registry.admit(one, setup()) is None
    assert registry.admit(two, setup()) is None
    assert len(dropped) == 1
    assert two.conversation.followed is one.conversation  # type: ignore[attr-defined]


@pytest.mark.parametrize("changed", ["sessionId", "accountSid", "from", "to"])
def test_a_second_socket_that_does_not_agree_is_refused(changed: str) -> None:
    registry = Registry()
    one, dropped = live(registry)
    two, _ = live(registry)
    assert registry.admit(one, setup()) is None
    assert "does not agree" in (registry.admit(two, setup(**{changed: "other"})) or "")
    assert dropped == []
    assert two.setup is None


def test_a_new_session_wins_over_a_socket_that_is_dead(registry: Registry) -> None:
    one, dropped = live(registry)
    two, _ = live(registry)
    registry.admit(one, setup())
    one.over = True
    assert registry.admit(two, setup(sessionId="VX2")) is None
    assert dropped == []
    assert two.conversation.followed is one.conversation  # type: ignore[attr-defined]


def test_a_session_with_a_ticket_of_its_own_wins_over_a_socket_that_only_seems_alive(registry: Registry) -> None:
    one, dropped = live(registry)
    two, _ = live(registry)
    three, _ = live(registry)
    registry.admit(one, setup())
    assert registry.admit(two, setup(sessionId="VX2"), proven=True) is None
    assert len(dropped) == 1
    assert two.conversation.followed is one.conversation  # type: ignore[attr-defined]
    assert "does not agree" in (registry.admit(three, setup(sessionId="VX3", to="other"), proven=True) or "")


@pytest.mark.parametrize("changed", ["accountSid", "from", "to"])
def test_even_a_dead_socket_loses_its_call_to_the_same_people_only(changed: str) -> None:
    registry = Registry()
    one, _ = live(registry)
    two, _ = live(registry)
    registry.admit(one, setup())
    one.over = True
    assert registry.admit(two, setup(**{"sessionId": "VX2", changed: "other"})) is not None


def test_the_end_of_the_first_socket_leaves_the_call_to_the_second(registry: Registry) -> None:
    one, _ = live(registry)
    two, _ = live(registry)
    three, _ = live(registry)
    registry.admit(one, setup())
    registry.admit(two, setup())
    registry.remove(one)
    assert "does not agree" in (registry.admit(three, setup(sessionId="VX3")) or "")
    registry.remove(two)
    assert registry.admit(three, setup(sessionId="VX3")) is None
