"""relay-with-retry: wherever the line is lost, the call ends with a resumed agent or a person, and one greeting."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from studio_relay.testing import parse_script
from studio_relay.testing.transport import Response, Socket, Transport, Unreachable, UpgradeRefused

GREETING = "this is Example Company"
INSISTENT = """
call: {from: "+15550100001"}
answers: {person: {event: callCompleted, DialCallStatus: completed}}
steps:
  - say: Where is my parcel?
  - say: It is 4 7 1 1.
  - say: A person, please.
  - say: A person, please!
  - say: A person!
  - say: I want a person!
"""
"""A caller who asks for a person until there is one, whatever was lost on the way."""

Outage = float | Exception | None
"""Of one session: seconds after which the socket is gone, why it could not be opened, or nothing."""
REFUSED, UNREACHABLE = UpgradeRefused(503), Unreachable("nobody listens")

shapes = pytest.mark.parametrize("shape", ["widget", "redirect"])


class BadLine:
    """A transport whose sessions have the outages of a plan, in order; `later` is where the others connect to."""

    def __init__(self, transport: Transport, plan: Sequence[Outage], later: Transport | None = None) -> None:
        self._transport = transport
        self._plan = list(plan)
        self._later = later
        self._timers: list[asyncio.Task[None]] = []

    async def connect(self, url: str, headers: Mapping[str, str]) -> Socket:
        if not self._plan:
            return await (self._later or self._transport).connect(url, headers)
        outage = self._plan.pop(0)
        if isinstance(outage, Exception):
            raise outage
        socket = await self._transport.connect(url, headers)
        if outage is not None:
            self._timers.append(asyncio.create_task(_abort(socket, outage)))
        return socket

    async def request(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        return await self._transport.request(method, url, form=form, headers=headers)


async def _abort(socket: Socket, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await socket.abort()


def call(kit: Any, shape: str, *plan: Outage) -> Any:
    return kit.play(
        kit.flow("relay-with-retry", shape), parse_script(INSISTENT), wrap=lambda inside: BadLine(inside, plan)
    )


def statuses(played: Any) -> list[str]:
    return [session.outcome.status for session in played.walk.sessions]


@shapes
@pytest.mark.parametrize("seconds", [0.0, *(n * 1.3 for n in range(1, 16))])
def test_after_one_outage_the_agent_goes_on(kit: Any, shape: str, seconds: float) -> None:
    played = call(kit, shape, seconds)
    assert statuses(played) in (["failed", "ended"], ["ended"])
    assert played.walk.handoff["reasonCode"] == "person"
    assert played.walk.widgets[-2:] == ("person", "dialled")
    assert played.heard.count(GREETING) <= 1
    assert "something went wrong" not in played.heard


@shapes
def test_one_outage_is_early_enough_to_be_one(kit: Any, shape: str) -> None:
    assert statuses(call(kit, shape, 1.3 * 11)) == ["failed", "ended"]
    assert statuses(call(kit, shape, None)) == ["ended"]


@shapes
@pytest.mark.parametrize("seed", range(12))
def test_after_two_outages_there_is_a_person(kit: Any, shape: str, seed: int) -> None:
    chance = random.Random(seed)
    played = call(kit, shape, chance.uniform(0, 14), chance.uniform(0, 3))
    assert statuses(played) == ["failed", "failed"]
    assert played.walk.widgets[-3:] == ("sorry", "person", "dialled")
    assert played.heard.count(GREETING) <= 1


@shapes
@pytest.mark.parametrize("why", [REFUSED, UNREACHABLE], ids=["refused", "unreachable"])
def test_a_server_that_cannot_be_reached_is_an_outage_too(kit: Any, shape: str, why: Exception) -> None:
    assert statuses(call(kit, shape, why)) == ["failed", "ended"]
    played = call(kit, shape, why, why)
    assert statuses(played) == ["failed", "failed"]
    assert played.walk.widgets[-3:] == ("sorry", "person", "dialled")


@shapes
def test_another_server_that_knows_nothing_of_the_call_does_not_greet_again(kit: Any, shape: str) -> None:
    played = kit.play(
        kit.flow("relay-with-retry", shape),
        parse_script(INSISTENT),
        wrap=lambda inside: BadLine(inside, [9.0], later=kit.reach("relay-with-retry")),
    )
    assert statuses(played) == ["failed", "ended"]
    assert played.heard.count(GREETING) == 1
    assert played.walk.handoff["reasonCode"] == "person"
