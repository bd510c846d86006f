"""What a stranger who caught an upgrade tries on real servers with one store: nothing of it is accepted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from studio_relay.testing import NetTransport
from studio_relay.testing.identity import Identity
from studio_relay.testing.signing import SIGNATURE_HEADER, sign_upgrade
from studio_relay.testing.twilio import fetch_relay

TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC_URL = "https://relay.example.com"
RELAY_URL = "wss://relay.example.com/relay"
CAUGHT = sign_upgrade(RELAY_URL, TOKEN)
OWN, OTHER, LATER = (Identity.fresh(name) for name in ("own", "other", "later"))


@asynccontextmanager
async def socket(server: Any, headers: Mapping[str, str] = CAUGHT) -> AsyncIterator[ClientConnection]:
    url = f"ws://127.0.0.1:{server.port}/relay"
    async with asyncio.timeout(20), connect(url, additional_headers=headers, compression=None, proxy=None) as client:
        yield client


async def ticket(server: Any, identity: Identity) -> dict[str, str]:
    """The custom parameters that the server's TwiML gives a call."""
    transport = NetTransport(f"http://127.0.0.1:{server.port}")
    wanted = await fetch_relay(transport, f"{PUBLIC_URL}/voice", identity, auth_token=TOKEN)
    return dict(wanted.parameters)


async def closed_with(server: Any, setup: dict[str, Any]) -> int | None:
    """What a socket is closed with that begins with this setup and asks for something."""
    async with socket(server) as client:
        await client.send(json.dumps(setup))
        await client.send(json.dumps({"type": "prompt", "voicePrompt": "hello", "lang": "en-US", "last": True}))
        with pytest.raises(ConnectionClosed):
            assert await client.recv() is None, "it was answered"
        return client.close_code


async def test_nothing_forged_is_accepted(balanced: Any) -> None:
    async with balanced() as balancer:
        here, there = balancer.servers
        own, other = await ticket(here, OWN), await ticket(there, OTHER)
        genuine = OWN.setup("VX" + "1" * 32, own)
        doubled = OWN.setup("VX" + "2" * 32, {})
        async with socket(here) as caller:
            await caller.send(json.dumps(genuine))
            await told_of(balancer, OWN)
            forged = {
                "the same upgrade again": (here, genuine),
                "the same upgrade at another process": (there, genuine),
                "a used ticket in another session": (here, doubled | {"customParameters": own}),
                "a used ticket for another call": (there, LATER.setup("VX" + "3" * 32, own)),
                "another call's ticket": (here, LATER.setup("VX" + "4" * 32, other)),
                "a ticket made up": (there, LATER.setup("VX" + "5" * 32, {"ticket": "1.2.3"})),
                "a live call's id": (here, doubled),
                "a live call's ids with other numbers": (
                    here,
                    genuine | {"from": "+15550100009", "customParameters": {}},
                ),
                "a foreign account": (there, replace(LATER, account_sid="AC" + "1" * 32).setup("VX" + "6" * 32, {})),
            }
            codes = {name: await closed_with(server, setup) for name, (server, setup) in forged.items()}
            assert codes == dict.fromkeys(forged, 1008)
            for headers in ({}, {SIGNATURE_HEADER: "x"}, sign_upgrade(RELAY_URL, "f" * 32)):
                with pytest.raises(InvalidStatus) as refused:
                    async with socket(here, headers):
                        pass
                assert refused.value.response.status_code == 403
            await caller.send(json.dumps({"type": "prompt", "voicePrompt": "hello", "lang": "en-US", "last": True}))
            assert "number 1" in str(await caller.recv())
        assert {note["call"] for note in balancer.all_noted("setup")} == {OWN.call_sid}


async def told_of(balancer: Any, identity: Identity) -> None:
    """The agent has the call."""
    async with asyncio.timeout(10):
        while not any(note["call"] == identity.call_sid for note in balancer.all_noted("setup")):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
