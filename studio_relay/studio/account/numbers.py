"""Phone numbers of an account: where one leads, what stands in the way of pointing it elsewhere, what would change.

Asks and changes nothing itself: `api` does.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class NumberRecord:
    """A phone number of the account, as far as voice calls are concerned; "" where Twilio has nothing."""

    sid: str
    phone_number: str
    friendly_name: str = ""
    voice_url: str = ""
    voice_method: str = ""
    voice_fallback_url: str = ""
    voice_fallback_method: str = ""
    status_callback: str = ""
    status_callback_method: str = ""
    voice_application_sid: str = ""
    trunk_sid: str = ""
    api_version: str = ""
    voice: bool | None = None


def flow_url(account_sid: str, flow_sid: str) -> str:
    """The voice URL by which a number leads to a flow."""
    return f"https://webhooks.twilio.com/v1/Accounts/{account_sid}/Flows/{flow_sid}"
