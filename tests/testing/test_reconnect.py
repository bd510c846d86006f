"""A call that is connected again from a test, after its line dropped."""

from __future__ import annotations

from typing import Any

import pytest

from studio_relay import hookimpl


class Counter:
    """Counts over all sessions of a call."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, list[str]]] = []

    @hookimpl
    def on_prompt(self, call: Any, prompt: Any) -> str:
        self.seen.append((call.session_number, [turn.text for turn in call.transcript]))
        call.state["heard"] = call.state.get("heard", 0) + 1
        return f"That was number {call.state['heard']}."


def test_a_reconnect_is_a_session_of_the_same_call(caller: Any) -> None:
    agent = Counter()
    call = caller(agent, welcome_greeting="Hello there.")
    call.expect.heard("hello there")
    call.say("one").expect.heard("number 1")
    first = call.call
    call.drop().reconnect()
    call.say("two").expect.heard("number 2")
    assert call.call.identity.call_sid == first.identity.call_sid
    assert call.call.end.session_id != first.end.session_id
    assert [number for number, _ in agent.seen] == [1, 2]
    assert "That was number 1." in agent.seen[1][1]
    assert [turn.text for turn in call.transcript] == [
        "Hello there.", "one", "That was number 1.", "two", "That was number 2.",
    ]  # fmt: skip
    call.drop().reconnect().say("three").expect.heard("number 3").not_heard("number 4")


@pytest.mark.parametrize("before", ["live", "hung up"])
def test_what_is_live_or_over_for_good_is_not_connected_again(caller: Any, before: str) -> None:
    call = caller(Counter())
    if before == "hung up":
        call.hang_up()
    with pytest.raises(RuntimeError, match=r"Call drop\(\) first"):
        call.reconnect()
