"""One-time tickets: only for their call, only once, only for minutes; and no agent ever sees one."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay import Call, hookimpl
from studio_relay.errors import StoreError
from studio_relay.protocol.parsing import parse
from studio_relay.server.tickets import TICKET_SECONDS, Tickets
from studio_relay.store import MemoryStore
from studio_relay.testing.signing import sign_upgrade

pytestmark = pytest.mark.looptime

CALL = "CA00000000000000000000000000000001"


class Office:
    """Tickets of one server, on a clock that stands still."""

    def __init__(self, *tokens: str, store: Any = None, required: bool = False) -> None:
        self.now = 1_795_000_000.0
        store = store or MemoryStore(clock=lambda: self.now)
        self.tickets = Tickets(tokens, store, required=required, clock=lambda: self.now)

    def issue(self, call_sid: str = CALL, **options: Any) -> str:
        return self.tickets.issue(call_sid, **options)

    async def refusal(self, setup: Any, ticket: str | None, call_sid: str = CALL) -> str | None:
        return await self.tickets.refusal(setup(ticket, call_sid))


@pytest.fixture
def setup(setup_frame: Any) -> Any:
    """Makes the setup of a call that brings a ticket, or none."""

    def make(ticket: str | None, call_sid: str = CALL) -> Any:
        parameters = {"tier": "gold"} | ({} if ticket is None else {"ticket": ticket})
        return parse(json.dumps(setup_frame | {"callSid": call_sid, "customParameters": parameters}))

    return make


async def test_a_ticket_is_good_once(setup: Any) -> None:
    office = Office("token")
    ticket = office.issue()
    assert await office.refusal(setup, ticket) is None
    assert await office.refusal(setup, ticket) == "its ticket was used before"
    assert await office.refusal(setup, office.issue()) is None


async def test_of_many_at_the_same_moment_one_is_let_in(setup: Any) -> None:
    """On two servers with one store too."""

    class Slow(MemoryStore):
        async def add(self, key: str, value: dict[str, Any], ttl: float) -> bool:
            await asyncio.sleep(0.1)
            return await super().add(key, value, ttl)

    store = Slow()
    offices = [Office("token", store=store) for _ in range(2)]
    ticket = offices[0].issue()
    refusals = await asyncio.gather(*(offices[turn % 2].refusal(setup, ticket) for turn in range(5)))
    assert sorted(map(bool, refusals)) == [False, True, True, True, True]


async def test_a_ticket_is_good_for_its_call_alone(setup: Any) -> None:
    office = Office("token")
    refusal = await office.refusal(setup, office.issue(), "CA2") or ""
    assert "not made here for this call" in refusal
    assert "no other custom parameter may be called ticket" in refusal


async def test_a_ticket_is_good_for_minutes(setup: Any) -> None:
    office = Office("token")
    tickets = [office.issue(), office.issue()]
    office.now += TICKET_SECONDS - 1
    assert await office.refusal(setup, tickets[0]) is None
    office.now += 1
    assert "too old" in (await office.refusal(setup, tickets[1]) or "")


async def test_a_used_ticket_stays_used_until_it_is_too_old(setup: Any) -> None:
    office = Office("token")
    ticket = office.issue()
    assert await office.refusal(setup, ticket) is None
    while "too old" not in (refusal := await office.refusal(setup, ticket) or ""):
        assert refusal == "its ticket was used before"
        office.now += 7


async def test_servers_with_one_token_and_store_take_each_others_tickets_once(setup: Any) -> None:
    store = MemoryStore()
    one, other = Office("token", store=store), Office("new", "token", store=store)
    ticket = one.issue()
    assert await other.refusal(setup, ticket) is None
    assert await one.refusal(setup, ticket) == "its ticket was used before"


async def test_a_token_that_is_no_longer_known_makes_no_ticket(setup: Any) -> None:
    assert "not made here" in (await Office("new").refusal(setup, Office("old").issue()) or "")


async def test_a_reusable_ticket_serves_every_socket_of_its_call(setup: Any) -> None:
    office = Office("token")
    ticket = office.issue(reusable=True)
    for _ in range(3):
        office.now += 3_600
        assert await office.refusal(setup, ticket) is None
    assert await office.refusal(setup, ticket, "CA2") is not None
    office.now += 3_600
    assert "too old" in (await office.refusal(setup, ticket) or "")
    single = office.issue()
    assert await office.refusal(setup, single.replace(".0.", ".1.")) is not None


async def test_none_at_all_is_refused_only_where_one_is_required(setup: Any) -> None:
    assert await Office("token").refusal(setup, None) is None
    refusal = await Office("token", required=True).refusal(setup, None) or ""
    assert "STUDIO_RELAY_REQUIRE_TICKET" in refusal
    office = Office("token", required=True)
    assert await office.refusal(setup, office.issue()) is None


@given(ticket=st.one_of(st.text(), st.from_regex(r"[0-9]{10}\.[01]\.[\w-]{22}\.[\w-]{43}", fullmatch=True)))
def test_no_made_up_ticket_is_right(ticket: str) -> None:
    frame = {"type": "setup", "sessionId": "VX1", "callSid": CALL, "customParameters": {"ticket": ticket}}
    refusal = asyncio.run(Office("token").tickets.refusal(parse(json.dumps(frame))))  # type: ignore[arg-type]
    assert "not made here" in (refusal or "")


@given(position=st.integers(0, 200), letter=st.sampled_from("Aa0.-_ \n"))
def test_no_changed_ticket_is_right(position: int, letter: str) -> None:
    office = Office("token")
    ticket = office.issue()
    at = position % len(ticket)
    changed = ticket[:at] + letter + ticket[at + 1 :]
    frame = {"type": "setup", "sessionId": "VX1", "callSid": CALL, "customParameters": {"ticket": changed}}
    refusal = asyncio.run(office.tickets.refusal(parse(json.dumps(frame))))  # type: ignore[arg-type]
    assert (refusal is None) == (changed == ticket)


@pytest.mark.parametrize("fault", ["raises", "hangs"])
async def test_a_store_that_is_gone_costs_no_call(setup: Any, fault: str, caplog: Any) -> None:
    class Gone(MemoryStore):
        async def add(self, key: str, value: dict[str, Any], ttl: float) -> bool:
            if fault == "hangs":
                await asyncio.Event().wait()
            raise StoreError("disk full")

    office = Office("token", store=Gone(), required=True)
    assert await office.refusal(setup, office.issue()) is None
    assert "whether a ticket was used before cannot be told" in caplog.text
    assert "not made here" in (await office.refusal(setup, "forged") or "")


# --- in the server ----------------------------------------------------------------------------------------


class Curious:
    """Keeps whatever an agent can see of a call."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @hookimpl
    def on_setup(self, call: Call, setup: Any) -> None:
        self.seen += [dict(call.parameters), dict(setup.custom_parameters), setup.raw]

    @hookimpl
    def on_prompt(self) -> str:
        return "Yes."


HEADERS = {"host": "relay.example.com"}


async def connected(server: Any, frame: Any) -> Any:
    headers = HEADERS | sign_upgrade("wss://relay.example.com/relay", server.token)
    socket = await server.server.connect(headers=headers)
    await socket.send(frame)
    return socket


async def test_a_call_with_its_ticket_is_served_and_nobody_sees_the_ticket(
    web: Any, setup_frame: Any, caplog: Any
) -> None:
    caplog.set_level(logging.DEBUG, logger="studio_relay")
    agent, watcher = Curious(), Curious()
    server = web(agent, watcher, require_ticket=True)
    parameters = (await server.post("/voice?tier=gold")).parameters
    socket = await connected(server, setup_frame | {"customParameters": parameters})
    await socket.prompt("hello")
    assert socket.words == "Yes."
    assert agent.seen[:2] == watcher.seen[:2] == [{"tier": "gold"}] * 2
    assert agent.seen[2]["customParameters"] == {"tier": "gold"}
    for text in (repr(agent.seen), repr(watcher.seen), caplog.text):
        assert parameters["ticket"] not in text
        assert parameters["ticket"].rpartition(".")[2] not in text


async def test_a_replayed_upgrade_is_refused_and_leaves_the_call_alone(web: Any, setup_frame: Any, caplog: Any) -> None:
    server = web(Curious())
    parameters = (await server.post("/voice")).parameters
    frame = setup_frame | {"customParameters": parameters}
    own = await connected(server, frame)
    for forged in (frame, frame | {"callSid": "CA2"}, frame | {"customParameters": {"ticket": "x"}}):
        socket = await connected(server, forged)
        assert socket.closed is not None
        assert socket.closed[0] == 1008
    assert own.closed is None
    await own.prompt("hello")
    assert own.words == "Yes."
    assert caplog.text.count("session refused: its ticket ") == 3


async def test_a_new_ticket_of_a_call_shows_that_its_old_socket_is_dead(web: Any, setup_frame: Any) -> None:
    """Half open: the network lost its close, and another server was told that the session failed."""
    server = web(Curious())
    first = await connected(server, setup_frame | {"customParameters": (await server.post("/voice")).parameters})
    again = setup_frame | {"sessionId": "VX" + "2" * 32}
    stranger = await connected(server, again)
    assert stranger.closed is not None
    second = await connected(server, again | {"customParameters": (await server.post("/voice")).parameters})
    await second.prompt("hello")
    assert second.words == "Yes."
    assert first.closed is not None


async def test_without_a_ticket_the_widget_is_served_unless_it_is_required(web: Any, setup_frame: Any) -> None:
    socket = await connected(web(Curious()), setup_frame)
    assert socket.closed is None
    socket = await connected(web(Curious(), require_ticket=True), setup_frame)
    assert socket.closed is not None


async def test_prompts_that_come_while_the_ticket_is_checked_are_answered(web: Any, setup_frame: Any) -> None:
    class Slow(MemoryStore):
        async def add(self, key: str, value: dict[str, Any], ttl: float) -> bool:
            await asyncio.sleep(0.5)
            return await super().add(key, value, ttl)

    server = web(Curious(), store=Slow())
    parameters = (await server.post("/voice")).parameters
    socket = await connected(server, setup_frame | {"customParameters": parameters})
    await socket.prompt("hello")
    assert socket.words == ""
    await asyncio.sleep(3)
    assert socket.words == "Yes."


async def test_who_hangs_up_while_the_ticket_is_checked_leaves_nothing_behind(web: Any, setup_frame: Any) -> None:
    class Stuck(MemoryStore):
        async def add(self, key: str, value: dict[str, Any], ttl: float) -> bool:
            await asyncio.Event().wait()
            return False

    server = web(Curious(), store=Stuck())
    parameters = (await server.post("/voice")).parameters
    socket = await connected(server, setup_frame | {"customParameters": parameters})
    await socket.disconnect()
    await asyncio.wait_for(socket.task, 30)
    assert len(server.server.relay.registry) == 0
