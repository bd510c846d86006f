"""What the account says of itself: the token, the numbers, and the flows they lead to. Reads, and changes nothing.

Numbers are named by their SID; the numbers themselves are shown nowhere.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from studio_relay.server.doctor.finding import Finding, fail, ok, warn
from studio_relay.settings import Settings

if TYPE_CHECKING:
    import httpx

API = "https://api.twilio.com/2010-04-01"
STUDIO = "https://studio.twilio.com/v2"
_SECONDS = 10.0
_NUMBERS_READ = 1_000
_FLOW_URL = re.compile(r"https://webhooks\.twilio\.com/v1/Accounts/(AC[0-9a-fA-F]{32})/Flows/(FW[0-9a-fA-F]{32})")


async def look_at_account(settings: Settings) -> AsyncIterator[Finding]:
    """Every finding about the account; one, that there is nothing to ask with, where credentials are missing."""
    if settings.account_sid is None or not (settings.auth_token or settings.api_key):
        yield ok("account wiring", "not looked at: that needs TWILIO_ACCOUNT_SID with its auth token or an API key")
        return
    import httpx

    try:
        async with httpx.AsyncClient(timeout=_SECONDS) as client:
            async for finding in _look(_Account(client, settings), settings):
                yield finding
    except httpx.HTTPError as error:
        yield warn("account wiring", f"Twilio's API was not reached ({type(error).__name__})", "try again later")
    except _Refused as refused:
        yield refused.finding


class _Refused(Exception):
    """The API gave no answer to go on with; `finding` says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.what)
        self.finding = finding


class _Account:
    """GET requests to the API, as the account."""

    def __init__(self, client: httpx.AsyncClient, settings: Settings) -> None:
        assert settings.account_sid is not None
        self.sid = settings.account_sid
        self._client = client
        self._settings = settings

    async def get(self, url: str, *, with_token: bool = False, **query: str) -> Mapping[str, Any]:
        """The JSON object at `url`. Raises _Refused for any status but 200."""
        response = await self._client.get(url, params=query, auth=self._credentials(with_token))
        if response.status_code == 401:
            name = "TWILIO_AUTH_TOKEN" if with_token or not self._settings.api_key else "TWILIO_API_KEY"
            raise _Refused(
                fail("account", f"Twilio refuses {name} for this account", "copy both anew from Twilio's console")
            )
        if response.status_code != 200:
            raise _Refused(
                warn("account wiring", f"Twilio's API answers {response.status_code}", "may the key read this?")
            )
        try:
            found = response.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise _Refused(
                warn("account wiring", "Twilio's API answers with what is no JSON object", "try again later")
            )
        return found

    def _credentials(self, with_token: bool) -> tuple[str, str]:
        settings = self._settings
        if settings.api_key and settings.api_secret and not with_token:
            return settings.api_key, settings.api_secret.get_secret_value()
        assert settings.auth_token is not None
        return self.sid, settings.auth_token.get_secret_value()


async def _look(account: _Account, settings: Settings) -> AsyncIterator[Finding]:
    if settings.auth_token:
        yield _standing(await account.get(f"{API}/Accounts/{account.sid}.json", with_token=True))
    if settings.public_url is None:
        return
    page = await account.get(f"{API}/Accounts/{account.sid}/IncomingPhoneNumbers.json", PageSize=str(_NUMBERS_READ))
    numbers = [number for number in page.get("incoming_phone_numbers") or [] if isinstance(number, dict)]
    wired = False
    flows: dict[str, list[str]] = {}
    for number in numbers:
        target = str(number.get("voice_url") or "")
        if found := _FLOW_URL.match(target):
            flows.setdefault(found[2], []).append(_name(number))
        for finding in _number(number, target, settings.public_url):
            wired = True
            yield finding
    for flow, callers in flows.items():
        for finding in await _flow(account, flow, callers, settings.public_url):
            wired = True
            yield finding
    if not wired:
        yield warn(
            "numbers",
            f"none of the account's {len(numbers)} numbers leads here",
            f"let a number's voice URL be {settings.public_url}/voice, or a flow's relay widget name our wss URL",
        )


def _standing(account: Mapping[str, Any]) -> Finding:
    if account.get("status") != "active":
        return fail("account", f"it is {str(account.get('status'))[:20]}", "ask Twilio's support, or look at billing")
    if account.get("type") == "Trial":
        return warn(
            "account",
            "it is a trial: callers hear Twilio's notice first, and only verified numbers can be called",
            "upgrade it before you go live",
        )
    return ok("account", "TWILIO_AUTH_TOKEN belongs to it, and it is active")


def _name(number: Mapping[str, Any]) -> str:
    return str(number.get("sid") or "a number")[:34]


def _number(number: Mapping[str, Any], target: str, public_url: str) -> Iterator[Finding]:
    """What there is to say of a number whose voice URL is on our host."""
    if _host(target) != _host(public_url):
        return
    wanted = f"{public_url}/voice"
    bare = target.partition("?")[0]
    if not _leads_to(bare, wanted):
        yield fail("numbers", f"{_name(number)} calls {bare[:200]}", f"set its voice URL to {wanted}")
    elif number.get("voice_application_sid") or number.get("trunk_sid"):
        yield fail(
            "numbers",
            f"{_name(number)} has our voice URL, but its TwiML application or trunk wins",
            "take the application or trunk away from the number",
        )
    elif not number.get("voice_fallback_url"):
        yield warn(
            "numbers",
            f"{_name(number)} leads here, and has nothing to fall back on",
            "give it a fallback URL (a TwiML Bin that dials a person) for when this server is down",
        )
    else:
        yield ok("numbers", f"{_name(number)} leads here")


async def _flow(account: _Account, flow: str, callers: list[str], public_url: str) -> list[Finding]:
    """What there is to say of a flow that numbers lead to, if it mentions our host."""
    found = await account.get(f"{STUDIO}/Flows/{flow}")
    urls = {url for url in _urls(found.get("definition")) if _host(url) == _host(public_url)}
    return [_flow_url(flow, len(callers), url, public_url) for url in sorted(urls)]


def _flow_url(flow: str, numbers: int, url: str, public_url: str) -> Finding:
    relay, voice = f"wss{public_url.removeprefix('https')}/relay", f"{public_url}/voice"
    bare = url.partition("?")[0]
    if _leads_to(bare, relay) or _leads_to(bare, voice):
        return ok("flows", f"{flow}, on {numbers} number(s), names {bare}")
    wanted = relay if "relay" in bare else voice
    return fail("flows", f"{flow} names {bare[:200]}", f"write {wanted} there; it must be the same to the letter")


def _leads_to(url: str, route: str) -> bool:
    """Whether `url` is one of our routes, or that with an agent's name behind it; a slash alone is neither."""
    return url == route or re.fullmatch(re.escape(route) + "/[^/]+", url) is not None


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _urls(value: Any) -> Iterator[str]:
    """Every absolute URL that is a whole string somewhere in a flow's definition."""
    if isinstance(value, str):
        if re.match(r"(https?|wss?)://[^\s{}]+$", value):
            yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _urls(item)
    elif isinstance(value, list):
        for item in value:
            yield from _urls(item)
