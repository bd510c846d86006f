"""Who is on a simulated call: its ids and numbers, and the `setup` and action form made of them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ACCOUNT_SID = "AC" + "0" * 32
CALLER = "+15550100001"
CALLED = "+15550100002"


def make_sid(prefix: str, *seed: object) -> str:
    """`prefix` and 32 hex digits: always the same for the same seed, random without one."""
    if not seed:
        return prefix + secrets.token_hex(16)
    return prefix + hashlib.sha256(repr(seed).encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """One call as Twilio names it. Numbers are E.164 or `client:name`; statuses as `setup` writes them."""

    call_sid: str
    account_sid: str = ACCOUNT_SID
    from_: str = CALLER
    to: str = CALLED
    direction: str = "inbound"
    call_type: str = "PSTN"
    call_status: str = "RINGING"
    parent_call_sid: str = ""
    forwarded_from: str = ""
    caller_name: str = ""

    @classmethod
    def fresh(cls, *seed: object, **fields: str) -> Identity:
        """A call of its own; with a seed always the same one. `fields` are this class's."""
        return cls(**{"call_sid": make_sid("CA", *seed), **fields})

    def setup(self, session_id: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        """The `setup` frame: always thirteen keys, `no value` is an empty string."""
        return {
            "type": "setup",
            "sessionId": session_id,
            "callSid": self.call_sid,
            "parentCallSid": self.parent_call_sid,
            "from": self.from_,
            "to": self.to,
            "forwardedFrom": self.forwarded_from,
            "callerName": self.caller_name,
            "direction": self.direction,
            "callType": self.call_type,
            "callStatus": self.call_status,
            "accountSid": self.account_sid,
            "customParameters": dict(parameters),
        }

    def webhook(self, call_status: str) -> dict[str, str]:
        """The form fields every webhook of this call has."""
        return {
            "AccountSid": self.account_sid,
            "ApiVersion": "2010-04-01",
            "CallSid": self.call_sid,
            "CallStatus": call_status,
            "Called": self.to,
            "Caller": self.from_,
            "CalledCountry": "US",
            "CallerCountry": "US",
            "Direction": self.direction,
            "From": self.from_,
            "FromCountry": "US",
            "To": self.to,
            "ToCountry": "US",
        }
