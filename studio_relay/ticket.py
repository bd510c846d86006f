"""The custom parameter that is the server's own, and a setup without it. Tickets are made in `server/tickets.py`."""

from __future__ import annotations

import msgspec

from studio_relay.protocol.messages import Setup

TICKET = "ticket"
"""Binds a session to the call our TwiML was made for. No agent sees it, and no other parameter can have this name."""


def without_ticket(setup: Setup) -> Setup:
    """The setup as plugins may see it."""
    if TICKET not in setup.custom_parameters:
        return setup
    parameters = {name: value for name, value in setup.custom_parameters.items() if name != TICKET}
    raw = {**setup.raw, "customParameters": parameters}
    return msgspec.structs.replace(setup, custom_parameters=parameters, raw=raw)
