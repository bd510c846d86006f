"""The way from the public URL to the relay: is it reached, and are signatures understood as Twilio makes them?"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from studio_relay.server.doctor.finding import Finding, fail, ok, warn
from studio_relay.server.signature import SIGNATURE_HEADER
from studio_relay.settings import Settings, is_loopback_host

if TYPE_CHECKING:
    import httpx

_SECONDS = 10.0
_SKEW_SECONDS = 5.0
_SWITCHING = 101
_MOST_BYTES = 100_000  # of a body; ours are far smaller
_EVERYWHERE = ("0.0.0.0", "::")  # compared with, not bound to
_ON_THE_WAY = ("via", "cf-ray", "x-served-by", "x-amz-cf-id", "ngrok-agent-ips", "fly-request-id")


@dataclass(frozen=True, kw_only=True)
class Way:
    """`door` is the http(s) base that is asked; `signed` the https base that Twilio's signature is for."""

    door: str
    signed: str

    @property
    def is_public(self) -> bool:
        """Whether strangers come this way too."""
        return not is_loopback_host(urlsplit(self.door).netloc)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back: a status (101: the upgrade was taken), or in `fault` why nothing did."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = field(default="", repr=False)
    fault: str = ""


async def look_at_way(settings: Settings, url: str | None) -> AsyncIterator[Finding]:
    """Fetch /health, then upgrade with and without a signature."""
    door = (url or settings.public_url or "").rstrip("/")
    if not door:
        yield warn(
            "public URL",
            "none: Twilio has no way to this server",
            "set STUDIO_RELAY_PUBLIC_URL=https://..., or give --url http://127.0.0.1:8080 to look at a local server",
        )
        return
    way = Way(door=door, signed=_signed_base(door, settings.public_url))
    if settings.public_url and way.signed != settings.public_url:
        yield warn(
            "public URL",
            f"asked at {door}, but STUDIO_RELAY_PUBLIC_URL is {settings.public_url}",
            "signatures are only right for the latter: paste that one into Twilio",
        )
    health = await fetch(f"{door}/health")
    reached = _health(door, health)
    yield reached
    if reached.level == "fail":
        yield await _own_answer(settings)
        return
    for finding in (*_met(health), *_clock(health)):
        yield finding
    async for finding in _upgrades(way, settings):
        yield finding
    if settings.signing_tokens:
        yield await _voice(way, settings)
    async for finding in _exposed(way):
        yield finding


def _signed_base(door: str, public_url: str | None) -> str:
    """A door without TLS is a side entrance: Twilio would have come to, and signed, the public one."""
    return door if door.startswith("https://") or public_url is None else public_url


# --- /health ----------------------------------------------------------------------------------------------


async def fetch(url: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """GET, or POST where there is a form, without following redirects."""
    import httpx

    method = "GET" if form is None else "POST"
    try:
        async with (
            asyncio.timeout(_SECONDS),  # httpx has one between two pieces only
            httpx.AsyncClient(timeout=_SECONDS, follow_redirects=False) as client,
            client.stream(method, url, data=form, headers=headers) as response,
        ):
            return await _answer_of(response)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        return Answer(fault=_network_fault(error))


async def _own_answer(settings: Settings) -> Finding:
    """Where the public way fails: does a server on this machine answer at all?"""
    local = f"http://{'127.0.0.1' if settings.host in _EVERYWHERE else settings.host}:{settings.port}"
    if _is_ours((await fetch(f"{local}/health")).body):
        return ok("reach", f"{local}/health answers, so it is the proxy, the tunnel or the name that fails")
    return warn("reach", f"{local}/health does not answer either", "start it: studio-relay serve; or it runs elsewhere")


async def _answer_of(response: httpx.Response) -> Answer:
    body = b""
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > _MOST_BYTES:
            break
    return Answer(
        status=response.status_code, headers=dict(response.headers), body=body[:_MOST_BYTES].decode("utf-8", "replace")
    )


_NOT_HTTP = ("RemoteProtocolError", "ReadError", "DecodingError", "InvalidMessage")


def _network_fault(error: BaseException) -> str:
    text = f"{error} {error.__cause__ or ''}".lower()
    if "certificate" in text:
        return "its TLS certificate is not valid for that name"
    if "[ssl" in text:
        return "what answers there does not speak TLS"
    if "name or service" in text or "nodename" in text or "resolution" in text or "no address" in text:
        return "its name cannot be resolved"
    if "refused" in text or "connect call failed" in text or "all connection attempts" in text:
        return "nothing listens there"
    if "timeout" in type(error).__name__.lower() or "timed out" in text:
        return f"no answer within {_SECONDS:g} s"
    if type(error).__name__ in _NOT_HTTP:
        return f"what answers there is no web server, or wants TLS ({type(error).__name__})"
    return f"the connection failed ({type(error).__name__})"


def _health(door: str, answer: Answer) -> Finding:
    if answer.fault:
        return fail("reach", f"{door}/health: {answer.fault}", _fault_advice(answer.fault))
    if 300 <= answer.status < 400:
        return fail(
            "reach",
            f"{door}/health is redirected to {answer.headers.get('location', '?')[:100]}",
            "Twilio follows no redirect of an upgrade: make the final URL the public one",
        )
    if answer.status != 200:
        return fail("reach", f"{door}/health answers {answer.status}", _status_advice(answer.status))
    if not _is_ours(answer.body):
        return fail(
            "reach",
            f"{door}/health answers 200, but it is not this server that does",
            "another site, or a page that the proxy or tunnel puts before it: point it at the relay",
        )
    return ok("reach", f"{door}/health answers")


def _is_ours(body: str) -> bool:
    try:
        return bool(json.loads(body) == {"ok": True})
    except ValueError:
        return False


def _fault_advice(fault: str) -> str:
    if "certificate" in fault:
        return "Twilio refuses it too: renew it, and serve its whole chain"
    if "resolved" in fault:
        return "check the name in STUDIO_RELAY_PUBLIC_URL and its DNS entry"
    if "TLS" in fault:
        return "give the port of the proxy or tunnel that ends TLS, with https://; the relay itself is asked by http://"
    return "is the server running, and do proxy and firewall lead to its port?"


def _status_advice(status: int) -> str:
    if status in (502, 503, 504):
        return "the proxy does not reach the relay: is it running, and is its port in the proxy's configuration?"
    if status in (401, 403, 407):
        return "something before the relay wants a login; Twilio has none: let /relay and /voice through"
    if status == 404:
        return "check the path prefix: the proxy must take it away, and STUDIO_RELAY_PUBLIC_URL must end in it"
    return "look at the proxy's log"


def _met(answer: Answer) -> Iterator[Finding]:
    seen = [answer.headers["server"]] if "server" in answer.headers else []
    seen += [f"{name}: {answer.headers[name]}" for name in _ON_THE_WAY if name in answer.headers]
    shown = ", ".join("".join(c for c in text[:60] if " " <= c <= "~") for text in seen)
    yield ok("way", f"met on the way: {shown}" if shown else "no proxy names itself on the way")


def _clock(answer: Answer) -> Iterator[Finding]:
    try:
        there = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except (TypeError, ValueError):
        return
    skew = time.time() - there
    if abs(skew) > _SKEW_SECONDS:
        yield warn(
            "clock",
            f"this machine's clock and the server's are {abs(skew):.0f} s apart",
            "let both follow NTP: what is kept for calls has a time of day",
        )
    else:
        yield ok("clock", "agrees with the server's")


# --- upgrades ---------------------------------------------------------------------------------------------


async def upgrade(url: str, signature: str | None) -> Answer:
    """Ask for the upgrade as Twilio does; one that is taken is closed at once, before any call begins."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidHandshake, InvalidStatus

    headers = {} if signature is None else {SIGNATURE_HEADER: signature}
    attempt = connect(url, additional_headers=headers, compression=None, proxy=None, open_timeout=_SECONDS)
    try:
        async with _without_redirects(attempt):
            return Answer(status=_SWITCHING)
    except InvalidStatus as refused:
        return Answer(status=refused.response.status_code, headers=dict(refused.response.headers.raw_items()))
    except (InvalidHandshake, OSError, TimeoutError) as error:
        return Answer(fault=_network_fault(error))


def _without_redirects(attempt: Any) -> Any:
    attempt.process_redirect = lambda error: error
    return attempt


def sign(url: str, token: str, form: Mapping[str, str] | None = None) -> str:
    """The signature of a webhook, over its URL and form; that of an upgrade has no form."""
    from twilio.request_validator import RequestValidator

    return str(RequestValidator(token).compute_signature(url, dict(form or {})))


async def _upgrades(way: Way, settings: Settings) -> AsyncIterator[Finding]:
    url = _websocket(way.door) + "/relay"
    unsigned = await upgrade(url, None)
    if settings.signing_tokens:
        yield await _signed_upgrade(way, url, settings)
    if unsigned.status != _SWITCHING:
        if unsigned.status == 403:
            yield ok("unsigned upgrade", "refused, as it must be")
    elif way.is_public:
        yield fail(
            "unsigned upgrade",
            "accepted: whoever finds the URL talks to your agent, at your expense",
            "set TWILIO_AUTH_TOKEN where the server runs, without STUDIO_RELAY_INSECURE",
        )
    else:
        yield ok("unsigned upgrade", "accepted from this machine, which STUDIO_RELAY_INSECURE allows")


async def _signed_upgrade(way: Way, url: str, settings: Settings) -> Finding:
    signed_url = _websocket(way.signed) + "/relay"
    for place, token in enumerate(settings.signing_tokens):
        answer = await upgrade(url, sign(signed_url, token))
        if answer.status == _SWITCHING and place == 0:
            return ok("signed upgrade", f"accepted when signed for {signed_url}")
        if answer.status == _SWITCHING:
            return warn(
                "signed upgrade",
                "accepted only with a token of STUDIO_RELAY_AUTH_TOKENS, not with the first",
                "the server knows another TWILIO_AUTH_TOKEN than this shell: set the account's primary one there",
            )
        if answer.status != 403:
            return _no_upgrade(answer)
    return await _why_refused(way, url, signed_url, settings)


def _no_upgrade(answer: Answer) -> Finding:
    check = "signed upgrade"
    if answer.fault:
        return fail(check, f"not answered: {answer.fault}", _fault_advice(answer.fault))
    if 300 <= answer.status < 400:
        return fail(check, "redirected, which Twilio does not follow", "make the final URL the public one")
    if answer.status == 404:
        return fail(check, "there is no /relay", "is it studio-relay that answers, and is the path prefix right?")
    if answer.status == 503:
        return warn(check, "refused with 503: the server is draining or full", "GET /ready says which; try again")
    if answer.status >= 500:
        return fail(check, f"answered {answer.status}", _status_advice(answer.status))
    return fail(
        check,
        f"answered {answer.status} instead of 101: the proxy does not pass upgrades on",
        "nginx wants proxy_http_version 1.1 and the headers Upgrade and Connection; see the README",
    )


async def _why_refused(way: Way, url: str, signed_url: str, settings: Settings) -> Finding:
    """Sign what the server may take itself for; what it then accepts tells how it was misled."""
    token = settings.signing_tokens[0]
    for candidate, cause in _misunderstandings(way, signed_url, settings):
        if (await upgrade(url, sign(candidate, token))).status == _SWITCHING:
            return fail(
                "signed upgrade",
                f"refused when signed for {signed_url}, accepted for {candidate}: {cause}",
                f"set STUDIO_RELAY_PUBLIC_URL={way.signed} where the server runs",
            )
    return fail(
        "signed upgrade",
        f"refused with 403 when signed for {signed_url}",
        f"the server's log says why: it has another token, or another STUDIO_RELAY_PUBLIC_URL than {way.signed}",
    )


def _misunderstandings(way: Way, signed_url: str, settings: Settings) -> Iterator[tuple[str, str]]:
    """URLs for which a server that is set up wrongly would accept a signature, each with what is wrong."""
    scheme, _, rest = signed_url.partition("://")
    host, _, path = rest.partition("/")
    if path != "relay":
        yield f"{scheme}://{host}/relay", "it does not know the path prefix"
    yield f"ws://{host}/{path}", "it believes it is reached without TLS"
    yield f"ws://{host}/relay", "it believes it is reached without TLS, and without the path prefix"
    bare = host.rpartition("]")[2].partition(":")[0]
    if bare and bare != host:
        yield f"{scheme}://{bare}/{path}", "it does not know the port"
    inner = {urlsplit(way.door).netloc, f"127.0.0.1:{settings.port}", f"localhost:{settings.port}"} - {host}
    for name in sorted(inner):
        for prefix in dict.fromkeys((path, "relay")):
            yield f"wss://{name}/{prefix}", "it takes the proxy's name for it for its own"


# --- /voice -----------------------------------------------------------------------------------------------


async def _voice(way: Way, settings: Settings) -> Finding:
    """Ask for TwiML as for a call without an id, of which nothing is kept."""
    form = {"AccountSid": settings.account_sid or "AC" + "0" * 32}
    url, relay = f"{way.signed}/voice", f"{_websocket(way.signed)}/relay"
    answers = [
        await fetch(f"{way.door}/voice", form, {SIGNATURE_HEADER: sign(url, token, form)})
        for token in settings.signing_tokens
    ]
    answer = next((one for one in answers if one.status == 200), answers[0])
    if answer.status != 200:
        what = answer.fault or f"answers {answer.status}"
        return fail("voice URL", f"{url}, signed as Twilio signs it: {what}", "the server's log says why")
    named = re.search(r"<ConversationRelay [^>]*?url=\"([^\"]*)\"", answer.body)
    if named is None:
        return warn("voice URL", f"{url} answers without a relay", "the server drains, or its log says why")
    if named[1].rstrip("/") != relay:
        return fail(
            "voice URL",
            f"its TwiML leads to {named[1][:200]}, and Twilio's way is {relay}",
            f"set STUDIO_RELAY_PUBLIC_URL={way.signed} where the server runs",
        )
    return ok("voice URL", f"{url} leads to {relay}")


# --- what strangers should not see ------------------------------------------------------------------------


async def _exposed(way: Way) -> AsyncIterator[Finding]:
    if not way.is_public:
        return
    for path, advice in (
        ("/metrics", "set STUDIO_RELAY_METRICS_TOKEN where the server runs"),
        ("/console/", "unset STUDIO_RELAY_CONSOLE where the server runs"),
    ):
        if (await fetch(way.door + path)).status == 200:
            yield fail("exposure", f"{way.door}{path} is open to everybody", advice)


def _websocket(base: str) -> str:
    return "ws" + base.removeprefix("http")
