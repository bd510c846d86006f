"""The one-time ticket that binds a session to the call our own TwiML was made for.

A signed upgrade proves the account, not the call, and the signature of a fixed URL is the same for ever. So `/voice`
puts a ticket into its custom parameters: random, good for minutes, for one call, made with the auth token; that it
was used is kept in the store. Who is let in without one is decided here too.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence

from studio_relay.log import REPEATS
from studio_relay.memory import store_fault
from studio_relay.protocol.messages import Setup
from studio_relay.store import LIVE_SECONDS, SessionStore
from studio_relay.ticket import TICKET

log = logging.getLogger(__name__)

TICKET_SECONDS = 600
"""From TwiML to `setup` takes a second; a queue in between may take minutes."""

_STORE_SECONDS = 1.0  # the caller hears nothing meanwhile
_FORM = re.compile(r"([0-9]{10,12})\.([01])\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})", re.ASCII)


class Tickets:
    """Makes and checks the tickets of one server; several servers with one auth token and store take each other's.

    With `reusable` a ticket serves all the sockets of its call: where Twilio itself connects again
    (`applicationReconnect`), it brings the same parameters.
    """

    def __init__(
        self, tokens: Sequence[str], store: SessionStore, *, required: bool, clock: Callable[[], float] = time.time
    ) -> None:
        # Without a token (--insecure) tickets bind calls all the same, and protect nothing; nothing else does either.
        self._keys = [hashlib.sha256(b"studio-relay ticket " + token.encode()).digest() for token in tokens or ("",)]
        self._store = store
        self._required = required
        self._clock = clock

    def issue(self, call_sid: str, *, reusable: bool = False) -> str:
        """A new ticket for this call."""
        expires = int(self._clock() + (LIVE_SECONDS if reusable else TICKET_SECONDS))
        head = f"{expires}.{int(reusable)}.{secrets.token_urlsafe(16)}"
        return f"{head}.{_sealed(self._keys[0], head, call_sid)}"

    async def refusal(self, setup: Setup) -> str | None:
        """Why a session is refused; None when it may begin, and then its ticket is used up."""
        ticket = setup.custom_parameters.get(TICKET)
        if ticket is None:
            return _MISSING if self._required else None
        found = _FORM.fullmatch(ticket)
        if found is None or not self._is_ours(ticket, setup.call_sid):
            return f"its {TICKET} was not made here for this call; no other custom parameter may be called {TICKET}"
        if int(found[1]) <= self._clock():
            return f"its {TICKET} is too old: it was made more than {TICKET_SECONDS // 60} minutes ago"
        if found[2] == "1":
            return None
        return await self._use(found[3], seconds=int(found[1]) - self._clock())

    def _is_ours(self, ticket: str, call_sid: str) -> bool:
        head, _, seal = ticket.rpartition(".")
        return any(hmac.compare_digest(_sealed(key, head, call_sid), seal) for key in self._keys)

    async def _use(self, name: str, *, seconds: float) -> str | None:
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                is_first = await self._store.add(f"ticket:{name}", {}, seconds + 1)
        except Exception as error:
            # The ticket itself is right; a store that is gone must not cost every call.
            log.error("whether a ticket was used before cannot be told: %s", store_fault(error), extra=REPEATS)
            return None
        return None if is_first else _USED


def _sealed(key: bytes, head: str, call_sid: str) -> str:
    digest = hmac.new(key, f"{head} {call_sid}".encode(errors="replace"), hashlib.sha256).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")


_MISSING = f"it has no {TICKET}, and STUDIO_RELAY_REQUIRE_TICKET is set: only our own TwiML leads here, not the widget"
_USED = f"its {TICKET} was used before"
