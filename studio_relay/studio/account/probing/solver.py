"""The whole investigation: from a way to ask a validator to the facts about the relay widget. Knows no network."""

from __future__ import annotations

from collections.abc import Callable

from studio_relay.studio.account.probing.asker import Ask, Asker
from studio_relay.studio.account.probing.calibration import calibrate
from studio_relay.studio.account.probing.details import (
    ask_rare_events,
    find_events,
    find_required,
    find_shapes,
    find_values,
)
from studio_relay.studio.account.probing.facts import Facts, conclude
from studio_relay.studio.account.probing.inquiry import Inquiry
from studio_relay.studio.account.probing.keys import WORTH_ASKING, ask_types, find_keys

MOST_REQUESTS = 60


def solve(ask: Ask, *, most: int = MOST_REQUESTS, progress: Callable[[int, int], None] | None = None) -> Facts:
    """Ask at most `most` times and conclude. `ask` is handed a definition and returns the validator's verdict.

    `progress` is told after each request how many were sent and how many may be. What the answers leave open stays
    undetermined. Raises AccountError where nothing can be learnt, and whatever `ask` raises.
    """
    inquiry = Inquiry(asker=Asker(ask, most=most, progress=progress))
    calibrate(inquiry)
    find_keys(inquiry)
    find_events(inquiry)
    find_required(inquiry)
    find_shapes(inquiry)
    if inquiry.asker.names != "all":
        ask_types(inquiry, at_least=WORTH_ASKING)
        find_values(inquiry)
        ask_types(inquiry, at_least=0)
        ask_rare_events(inquiry)
    inquiry.note_optional()
    return conclude(inquiry)
