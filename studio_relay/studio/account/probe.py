"""Asking an account's FlowValidate what it knows about the relay widget; it saves nothing in the account.

How to ask, and what follows from the answers, is `probing`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from studio_relay.errors import AccountError
from studio_relay.studio.account.api import Account
from studio_relay.studio.account.probing.facts import Facts
from studio_relay.studio.account.probing.solver import MOST_REQUESTS, solve
from studio_relay.studio.account.probing.words import Complaint, Verdict, place

_REFUSALS = (400, 422)


def probe(account: Account, *, most: int = MOST_REQUESTS, progress: Callable[[int, int], None] | None = None) -> Facts:
    """What the account's validator says about the relay widget, in at most `most` requests. Raises AccountError."""
    return solve(lambda definition: ask(account, definition), most=most, progress=progress)


def ask(account: Account, definition: Mapping[str, Any]) -> Verdict:
    """FlowValidate's verdict about a definition. Raises AccountError for everything but a verdict."""
    try:
        problems = account.validate(friendly_name="studio-relay probe", status="draft", definition=definition)
    except AccountError as error:
        if error.status not in _REFUSALS:
            raise
        return Verdict(valid=False, reason=str(error))
    complaints = tuple(Complaint(path=problem.path, message=problem.message) for problem in problems)
    reason = complaints[0].message if complaints else ""
    return Verdict(valid=not problems, complaints=tuple(filter(_is_the_validators, complaints)), reason=reason)


def _is_the_validators(complaint: Complaint) -> bool:
    """Whether these are the validator's words; ours, for a refusal without a reason, teach nothing."""
    if complaint.path or place(complaint) is not None:
        return True
    return not re.match(r"POST https?://|Twilio says that", complaint.message)
