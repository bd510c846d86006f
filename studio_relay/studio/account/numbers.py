"""Phone numbers of an account: where one leads, what stands in the way of pointing it elsewhere, what would change.

Asks and changes nothing itself: `api` does. No message holds a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from studio_relay.errors import AccountError

API_VERSION = "2010-04-01"
"""What a number must have to lead to a flow (error 81019 else)."""


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


@dataclass(frozen=True, kw_only=True)
class Change:
    """One field of a number that is to have another value; `field` is the API's name in snake_case."""

    field: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.field}: {self.before or 'nothing'} -> {self.after or 'nothing'}"


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where a number is to lead. A `fallback_url` or `status_callback` of None stays as it is; "" takes it away."""

    voice_url: str
    fallback_url: str | None = None
    status_callback: str | None = None


def flow_url(account_sid: str, flow_sid: str) -> str:
    """The voice URL by which a number leads to a flow."""
    return f"https://webhooks.twilio.com/v1/Accounts/{account_sid}/Flows/{flow_sid}"


def flow_of(number: NumberRecord) -> str | None:
    """The SID of the flow that a number leads to, None if it leads to none."""
    pattern = r"https?://webhooks\.twilio\.com/v1/Accounts/AC[0-9a-fA-F]{32}/Flows/(FW[0-9a-fA-F]{32})/?(\?.*)?"
    found = re.fullmatch(pattern, number.voice_url)
    return found[1] if found and not owner(number) else None


def owner(number: NumberRecord) -> str:
    """The trunk or application that has the number's calls; "" if they go by its URLs."""
    return number.trunk_sid or number.voice_application_sid


def find_number(numbers: Iterable[NumberRecord], wanted: str) -> NumberRecord:
    """The number of this SID, or written so with whatever blanks and marks. Raises AccountError."""
    numbers = list(numbers)
    digits = re.sub(r"[\s().-]", "", wanted)
    found = [n for n in numbers if (wanted and wanted in (n.sid, n.friendly_name)) or digits == n.phone_number]
    if len(found) == 1:
        return found[0]
    if found:
        raise AccountError(f"{len(found)} numbers have this name: {', '.join(n.sid for n in found)}. Say the SID.")
    form = "" if re.fullmatch(r"\+[1-9]\d{6,14}|PN[0-9a-fA-F]{32}", digits) else " Write it as +15550100001 or its SID."
    raise AccountError(f"the number you name is none of the account's {len(numbers)}.{form} `number list` shows them.")


def check_url(option: str, url: str) -> None:
    """Raise AccountError for what Twilio cannot fetch, or should not."""
    try:
        fine = bool(re.fullmatch(r"https://[^\s{}]+", url) and url.isprintable() and urlsplit(url).hostname)
    except ValueError:
        fine = False
    if fine:
        return
    hint = ""
    if url.startswith(("wss:", "ws:")):
        hint = " A number fetches TwiML first: name https://HOST/voice of the server, or a flow with a relay widget."
    raise AccountError(f"{option}: expected an https:// URL, found {url[:200]!r}.{hint}")


def refuse_if_owned(number: NumberRecord) -> None:
    """Raise AccountError where the number's own URLs count for nothing, saying what to do instead."""
    owned_by = owner(number)
    if owned_by.startswith("TK"):
        raise AccountError(
            f"{number.sid}: belongs to the SIP trunk {owned_by}, which takes its calls whatever URL it has; nothing "
            "was changed. Take the number off the trunk first (console, Elastic SIP Trunking, the trunk, Numbers), "
            "or choose another number."
        )
    if owned_by:
        raise AccountError(
            f"{number.sid}: the TwiML application {owned_by} answers its calls whatever URL it has; nothing was "
            "changed. Set the application's own voice URL, or give the number a webhook instead of the application "
            "(console, Phone Numbers, the number, Voice) and repeat this."
        )
    if number.voice is False:
        raise AccountError(f"{number.sid}: cannot take calls, Twilio says; nothing was changed. Choose another number.")


def changes(number: NumberRecord, destination: Destination) -> tuple[Change, ...]:
    """What is to change for the number to lead there, in the order in which it is shown."""
    wanted: dict[str, str] = {"voice_url": destination.voice_url, "voice_method": "POST"}
    if destination.fallback_url is not None:
        wanted["voice_fallback_url"] = destination.fallback_url
    if destination.fallback_url:
        wanted["voice_fallback_method"] = "POST"
    if destination.status_callback is not None:
        wanted["status_callback"] = destination.status_callback
    if destination.status_callback:
        wanted["status_callback_method"] = "POST"
    wanted["api_version"] = API_VERSION
    return tuple(_differing(number, wanted))


def still_missing(number: NumberRecord, wanted: Iterable[Change]) -> tuple[Change, ...]:
    """Which of the changes a number does not show that was fetched since."""
    return tuple(_differing(number, {change.field: change.after for change in wanted}))


def remarks(number: NumberRecord, destination: Destination) -> Iterator[str]:
    """What to know about a number that leads there."""
    fallback = number.voice_fallback_url if destination.fallback_url is None else destination.fallback_url
    if not fallback:
        yield (
            "it has no fallback URL: if the flow or server does not answer, or Twilio is busy, callers hear an error. "
            "--fallback-url URL names a TwiML Bin that dials a person"
        )
    elif urlsplit(fallback).hostname == urlsplit(destination.voice_url).hostname:
        yield "its fallback URL is on the host that it is to stand in for: name one elsewhere"


def _differing(number: NumberRecord, wanted: Mapping[str, str]) -> Iterator[Change]:
    for field, after in wanted.items():
        before = getattr(number, field)
        if before != after:
            yield Change(field=field, before=before, after=after)
