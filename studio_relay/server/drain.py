"""Leaving without dropping a call: no new ones, the live ones finish or are moved; listens to no signal.

What a call that is moved hands to its flow is the server's `relay-draining` (design.md, section 6).
"""

from __future__ import annotations

import asyncio
import logging

from studio_relay.registry import Registry
from studio_relay.server.app import Relay

log = logging.getLogger(__name__)

_LOOK_EVERY_SECONDS = 0.05


async def drain(relay: Relay) -> int:
    """Take no more calls, give the live ones `drain_timeout_seconds`, then move them. Returns how many were moved.

    Returns when every socket is closed, or when the ends of the last calls have had all the time they may take.
    """
    settings = relay.settings
    relay.draining = True
    log.info("draining: %d calls are live", len(relay.registry))
    await _empty(relay.registry, settings.drain_timeout_seconds)
    moved = _move(relay.registry)
    if moved:
        log.warning("draining: %d calls did not finish in %g s and are moved", moved, settings.drain_timeout_seconds)
    longest_end = settings.end_wait_max_seconds + settings.close_timeout_seconds + settings.on_end_timeout_seconds
    if not await _empty(relay.registry, longest_end):
        log.error("draining: %d calls would not end", len(relay.registry))
    return moved


def _move(registry: Registry) -> int:
    lives = list(registry)
    for live in lives:
        if live.setup is None:
            live.drop("the server is draining")
        else:
            live.conversation.drain()
    return len(lives)


async def _empty(registry: Registry, seconds: float) -> bool:
    """Wait until no call is live; False if that took longer than `seconds`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while len(registry) and loop.time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_EVERY_SECONDS)  # an event would cost every call; only one drain ever waits
    return not len(registry)
