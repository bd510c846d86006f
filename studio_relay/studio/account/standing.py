"""How a flow stands in the account before it is changed, and whether Twilio would take the change; plans nothing."""

from __future__ import annotations

from studio_relay.errors import AccountError
from studio_relay.studio.account.api import Account, FlowRecord
from studio_relay.studio.account.change import PUBLISHED, FlowChange, Ordered, Standing
from studio_relay.studio.account.refusals import quoted

_MOST_PROBLEMS = 20


def standing(account: Account, newest: FlowRecord, ordered: Ordered) -> Standing:
    """What the account has of a flow, as far as the change needs to know."""
    users = account.test_users(newest.sid) if ordered.test_users is not None else ()
    return Standing(newest=newest, live=_live(account, newest), test_users=users)


def _live(account: Account, newest: FlowRecord) -> FlowRecord | None:
    if newest.status == PUBLISHED:
        return newest
    try:
        return account.revision(newest.sid, "LatestPublished")
    except AccountError as error:
        if error.status == 404:
            return None
        raise


def check_at_twilio(account: Account, change: FlowChange) -> None:
    """Ask Twilio about the definition, if it is to be saved. Raises AccountError, a line for each problem."""
    if not {"create", "save", "publish"} & set(change.steps):
        return
    wanted = change.wanted
    problems = account.validate(friendly_name=wanted.name, status=wanted.status, definition=wanted.definition)
    if problems:
        lines = [f"Twilio refuses it: {quoted(str(problem))}" for problem in problems[:_MOST_PROBLEMS]]
        more = len(problems) - _MOST_PROBLEMS
        raise AccountError("\n".join([*lines, *([f"... and {more} more"] if more > 0 else [])]), problems=problems)
