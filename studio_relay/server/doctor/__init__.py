"""Says what is wrong with an installation before a caller finds out; repairs nothing, prints nothing.

`examine` looks at what is on this machine, at the way from the public URL to the relay, and, where credentials
are there, at the account. No finding holds a secret or a telephone number.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from studio_relay.plugins import Plugins
from studio_relay.server.doctor.finding import Finding, Level
from studio_relay.settings import Settings

__all__ = ["Finding", "Level", "examine"]


async def examine(
    settings: Settings, plugins: Plugins, *, url: str | None = None, offline: bool = False
) -> AsyncIterator[Finding]:
    """Every finding, in the order in which one would look. Never raises for what is wrong outside.

    `url` is an http(s) base that is asked instead of the public one; `offline` asks nobody but this machine.
    """
    from studio_relay.server.doctor.account import look_at_account
    from studio_relay.server.doctor.here import look_here
    from studio_relay.server.doctor.way import look_at_way

    async for finding in look_here(settings, plugins):
        yield finding
    if offline:
        return
    async for finding in look_at_way(settings, url):
        yield finding
    async for finding in look_at_account(settings):
        yield finding
