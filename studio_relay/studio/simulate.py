"""The flow runner: runs a flow definition as Studio would; the caller, the relay and the clock are handed in.

How an execution goes from widget to widget stands in `execution`, what a widget does in `behaviour`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from studio_relay.errors import FlowError
from studio_relay.studio.context import call_of, first_context
from studio_relay.studio.execution import Execution, Subflows, World
from studio_relay.studio.flow import Flow, Widget, did_you_mean
from studio_relay.studio.liquid import DEFAULT_ZONE, TemplateClock
from studio_relay.studio.outside import Caller, Relay
from studio_relay.studio.walk import RelaySession, Step, Walk, WalkWarning
from studio_relay.studio.widgets import facts

__all__ = ["RelaySession", "Step", "Walk", "WalkWarning", "walk"]


async def walk(
    flow: Flow,
    *,
    call: Mapping[str, str],
    caller: Caller,
    relay: Relay,
    trigger: str = "incomingCall",
    clock: Callable[[], float] | None = None,
    on_step: Callable[[Step], None] | None = None,
    on_enter: Callable[[Widget], None] | None = None,
    now: datetime | None = None,
    zone: str = DEFAULT_ZONE,
    data: Mapping[str, Any] | None = None,
    subflows: Subflows | None = None,
    redirect: Relay | None = None,
) -> Walk:
    """Run `flow` from its trigger until the branch, the call or a limit ends it.

    `call` holds webhook parameters (`From`, `To`, ...; stand-ins for what is left out), `data` the `Parameters` of
    a REST start. `clock` gives seconds, the event loop's by default; `now` and `zone` are what the `date` filter
    sees. `subflows` finds a definition by SID; without one, Run Subflow needs an answer of the script. `redirect`
    runs the session behind a TwiML Redirect to our own voice URL (`.../voice/...`): its stage has that URL, and the
    query but for `return` as parameters. `on_enter` is told each widget as it is reached, `on_step` each step when
    it is over.

    Raises FlowError when a widget needs an answer that the script does not give.
    """
    events = tuple(t.event for t in flow.trigger.transitions)
    known = facts("trigger")
    if trigger not in events and known and trigger not in known.events:
        raise FlowError(f"{flow.name}: nothing starts a flow with {trigger!r}.{did_you_mean(trigger, known.events)}")
    world = World(
        caller=caller,
        relay=relay,
        clock=clock or asyncio.get_running_loop().time,
        template_clock=TemplateClock(now=now, zone=zone),
        subflows=subflows,
        redirect=redirect,
        on_step=on_step,
        on_enter=on_enter,
    )
    execution = Execution(flow, first_context(trigger, call, data or {}), world)
    execution.call = call_of(call) if trigger == "incomingCall" else dict(call)
    return await execution.walk(trigger)
