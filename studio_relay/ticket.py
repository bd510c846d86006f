"""The custom parameters that are the server's own, and a setup without them; `server/tickets.py` makes tickets."""

from __future__ import annotations

import re

import msgspec

from studio_relay.protocol.messages import Setup

TICKET = "ticket"
"""Binds a session to the call our TwiML was made for. No agent sees it, and no other parameter can have this name."""


EARLIER = "relay-earlier-sessions"
"""How many sessions of the call our TwiML knows of: a reconnect says so itself, since the store may have lost them."""


def earlier_sessions(setup: Setup) -> int:
    """How many sessions came before this one, as far as our TwiML knew; 0 for the first, and for Studio's widget."""
    said = setup.custom_parameters.get(EARLIER, "")
    return int(said) if re.fullmatch("[0-9]{1,3}", said, re.ASCII) else 0


def without_ours(setup: Setup) -> Setup:
    """The setup as plugins may see it."""
    if not {TICKET, EARLIER} & setup.custom_parameters.keys():
        return setup
    parameters = {name: value for name, value in setup.custom_parameters.items() if name not in (TICKET, EARLIER)}
    raw = {**setup.raw, "customParameters": parameters}
    return msgspec.structs.replace(setup, custom_parameters=parameters, raw=raw)
