"""An extension that counts how often each session began and ended, and which did so more than once."""

from __future__ import annotations

from studio_relay import Call, SessionEnd, hookimpl

COUNTS = {"began": 0, "ended": 0, "ended_twice": 0}
_live: set[str] = set()


@hookimpl
async def on_setup(call: Call) -> None:
    """A session began."""
    COUNTS["began"] += 1
    _live.add(call.session_id)


@hookimpl
async def on_end(call: Call, end: SessionEnd) -> None:
    """A session ended."""
    COUNTS["ended"] += 1
    COUNTS["ended_twice"] += call.session_id not in _live
    _live.discard(call.session_id)
