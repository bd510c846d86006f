"""What became of a request whose answer was lost: the account is looked at, and what was found is said.

Nothing is done a second time here. Each function is handed the error of the request, and raises it again where it is
plain that nothing was done; Stopped where what was asked for is not there, or nobody knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from studio_relay.errors import AccountError
from studio_relay.studio.account.api import Account, FlowRecord
from studio_relay.studio.account.change import Wanted
from studio_relay.studio.account.sameness import kept_otherwise

Found = TypeVar("Found")


class Stopped(Exception):
    """A step was not done, or nobody knows; the message says why."""

    def __init__(self, message: str, *, unknown: bool = False) -> None:
        super().__init__(message)
        self.unknown = unknown


def look_for_flow(account: Account, error: AccountError, wanted: Wanted) -> FlowRecord:
    """The flow that was to be made, if it is there."""
    made = _looked(error, lambda: [account.flow(sid) for sid in namesakes(account, wanted)])
    if not made:
        raise Stopped(f"{error}\nLooked: there is no flow {wanted.name!r}; it was not made.")
    if len(made) == 1 and _has_all(made[0], wanted):
        return made[0]
    sids = ", ".join(flow.sid for flow in made)
    raise Stopped(f"{error}\nLooked: there is now {sids}, which is not what was sent.", unknown=True)


def look_for_revision(
    account: Account, error: AccountError, sid: str, wanted: Wanted, *, status: str, before: int
) -> FlowRecord:
    """The revision that was to be saved over revision `before`, if it is there."""
    newest = _looked(error, lambda: account.flow(sid))
    if newest.revision == before:
        raise Stopped(f"{error}\nLooked: the flow is at revision {before} as before; nothing was saved.")
    if _has_all(newest, wanted) and newest.status == status:
        return newest
    raise Stopped(
        f"{error}\nLooked: the flow was at revision {before} and is at {newest.revision} ({newest.status}), "
        "which is not what was sent.",
        unknown=True,
    )


def look_for_name(account: Account, error: AccountError, sid: str, name: str) -> FlowRecord:
    """The flow, if it is called so now."""
    newest = _looked(error, lambda: account.flow(sid))
    if newest.friendly_name != name:
        raise Stopped(f"{error}\nLooked: it is still called {newest.friendly_name!r}.")
    return newest


def look_for_test_users(account: Account, error: AccountError, sid: str, users: Sequence[str]) -> tuple[str, ...]:
    """The flow's test users, if they are these."""
    now = _looked(error, lambda: account.test_users(sid))
    if set(now) != set(users):
        raise Stopped(f"{error}\nLooked: the flow has {len(now)} test users, not those asked for.")
    return now


def namesakes(account: Account, wanted: Wanted) -> tuple[str, ...]:
    """The SIDs of the flows that are called as this one is to be."""
    return tuple(flow.sid for flow in account.flows() if flow.friendly_name == wanted.name)


def _looked(error: AccountError, look: Callable[[], Found]) -> Found:
    if not error.unknown:
        raise error
    try:
        return look()
    except AccountError as fault:
        raise Stopped(f"{error}\nLooking failed too: {fault}", unknown=True) from None


def _has_all(found: FlowRecord, wanted: Wanted) -> bool:
    """Whether it holds all that was sent; Twilio may add to it."""
    return not kept_otherwise(wanted.definition, found.definition)
