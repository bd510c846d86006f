"""Leaving without dropping a call: no new ones, the live ones are handed on; listens to no signal.

The budget is `shutdown_seconds`, counted from the signal to the exit of the process. In this order:
1. No more calls are taken, and `/ready` says so.
2. Each call ends at its first pause: the agent is not speaking, and owes the caller no answer. What its flow is
   given is the server's `relay-draining`, which connects it to another server.
3. `_ENDS_BEFORE` seconds before the deadline every call that is left ends, whatever it waits for.
4. `_LEAVES_BEFORE` seconds before it, we leave, even if a call is not wound up: the host ends its connections, and
   plugins run on_shutdown.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from studio_relay.registry import Live

if TYPE_CHECKING:
    from studio_relay.server.app import Relay

log = logging.getLogger(__name__)

_ENDS_BEFORE = 8.0  # time for Twilio to close, for on_end, for the store
_LEAVES_BEFORE = 2.5
_LOOK_EVERY_SECONDS = 0.05


async def drain(relay: Relay) -> int:
    """Take no more calls and hand on the live ones. Returns how many that were, when the host may end.

    That is when no call is left, or when `shutdown_seconds` would not be kept otherwise.
    """
    now, seconds = asyncio.get_running_loop().time, relay.settings.shutdown_seconds
    relay.leaves_by = now() + seconds
    patience = max(0.0, seconds - _ENDS_BEFORE)
    last_chance = now() + patience
    leaves_at = now() + max(seconds / 2, seconds - _LEAVES_BEFORE)
    relay.draining = True
    moved: set[Live] = set()
    if relay.registry:
        log.info("draining: %d calls are live; each ends at its first pause", len(relay.registry))
    while len(relay.registry) and now() < leaves_at:
        is_late = now() >= last_chance
        cut = [live for live in relay.registry if live not in moved and (is_late or live.conversation.at_pause)]
        for live in cut:
            moved.add(live)
            _move(live)
        if is_late and cut:
            log.warning("draining: %d calls had no pause in %g s and are cut short", len(cut), patience)
        await asyncio.sleep(_LOOK_EVERY_SECONDS)  # an event would cost every call; only one drain ever waits
    if len(relay.registry):
        log.error("draining: %d calls would not end", len(relay.registry))
    elif moved:
        log.info("drained: %d calls were handed on", len(moved))
    return len(moved)


def _move(live: Live) -> None:
    if live.setup is None:
        live.drop("the server is draining")
    else:
        live.context.run(live.conversation.drain)
