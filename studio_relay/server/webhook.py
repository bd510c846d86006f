"""A webhook of Twilio's over HTTP: whether it is signed, what it says, and an answer whatever happens behind it.

Forms keep their blanks, JSON bodies are covered by `bodySHA256` (protocol reference, 5 and 6). What is answered is
decided in `voice.py` and `callbacks.py`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from quart import Response, request

from studio_relay.errors import SignatureError
from studio_relay.log import CALL, REPEATS, SESSION, shown
from studio_relay.server.answers import Answer, apology
from studio_relay.server.insecure import address_refusal, insecure_refusal
from studio_relay.server.signature import SignedRequest, check_http, form_fields, is_form
from studio_relay.server.signed_urls import http_urls
from studio_relay.server.visit import Visit
from studio_relay.settings import Settings

if TYPE_CHECKING:
    from studio_relay.server.app import Relay

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 262_144
"""Far above any webhook of Twilio's; a larger one gets 413."""

_REFUSED = "This request is not signed as it must be; the server's log says why."
_MAX_ID = 64
_MAX_UNSORTED = 100


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """One request. `base` is our own address as Twilio knows it, `https://host[/prefix]`; `fields` are Twilio's."""

    base: str
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    visit: Visit = field(default_factory=Visit)

    def text(self, name: str) -> str:
        """A field, blank if it is missing."""
        return self.fields.get(name, "").strip()

    def sid(self, name: str) -> str | None:
        """A field that holds an id; None when it is missing or cannot be one, which is logged."""
        given = self.text(name)
        if given.isascii() and given.isalnum() and len(given) <= _MAX_ID:
            return given
        log.warning("the webhook's %s is %s", name, "no id" if given else "missing")
        return None


Handler = Callable[[Webhook, "str | None"], Awaitable[Answer]]


async def respond(relay: Relay, handler: Handler, agent: str | None) -> Response:
    """Answer the current request: 403 if it is not Twilio's, else what `handler` says, and words if that fails."""
    asked = SignedRequest.from_scope(request.scope)
    body = await request.get_data(cache=False)
    assert isinstance(body, bytes)
    refusal = _refusal(relay.settings, asked, body)
    if refusal is not None:
        return _refuse(relay, refusal)
    hook = _read(relay.settings, asked, body, is_get=request.method in ("GET", "HEAD"))
    if _is_foreign(relay.settings, hook):
        return _refuse(relay, "it is of another account than TWILIO_ACCOUNT_SID", kind="account")
    _warn_of_order(relay, asked)
    CALL.set(hook.text("CallSid")[:_MAX_ID])
    SESSION.set(hook.text("SessionId")[:_MAX_ID])
    answer = await _answered(relay, handler, hook, agent)
    _record(relay, asked, hook, answer)
    return answer.to_response()


async def _answered(relay: Relay, handler: Handler, hook: Webhook, agent: str | None) -> Answer:
    try:
        return await handler(hook, agent)
    except Exception as error:  # whatever it is, somebody is on the line
        log.error("the request could not be answered as it should be: %s", type(error).__name__)
        log.debug("the failure in full", exc_info=error)
        return apology("internal-error", relay.settings, hook.visit.language)


def _record(relay: Relay, asked: SignedRequest, hook: Webhook, answer: Answer) -> None:
    call_sid = hook.text("CallSid")
    if relay.recorder is not None and call_sid:
        path = asked.mounted_path + (f"?{asked.query}" if asked.query else "")
        relay.recorder.http(call_sid, path, form=hook.fields)
        relay.recorder.http(call_sid, path, response=answer.twiml or "")


def _refusal(settings: Settings, asked: SignedRequest, body: bytes) -> str | None:
    if settings.insecure:
        return insecure_refusal(asked.peer, asked.host, asked.headers)
    if settings.public_url is None and (refusal := address_refusal(asked.peer, asked.server)):
        return refusal
    try:
        check_http(
            asked,
            body,
            tokens=settings.signing_tokens,
            public_url=settings.public_url,
            trusted_proxies=settings.trusted_proxies,
            shared_keys={name: key.get_secret_value() for name, key in settings.shared_keys.items()},
        )
    except SignatureError as error:
        return str(error)
    return None


def _warn_of_order(relay: Relay, asked: SignedRequest) -> None:
    """Tell once of each URL that somebody wrote with its query in an order that may cost a call."""
    # By GET, Twilio adds its own fields, which begin with a capital letter.
    names = tuple(name for name, _ in _pairs(asked.query) if not name[:1].isupper() and name != "bodySHA256")
    told = (asked.raw_path, names)
    if list(names) == sorted(names) or told in relay.unsorted or len(relay.unsorted) >= _MAX_UNSORTED:
        return
    relay.unsorted.add(told)
    log.warning(
        "the query of %s is not sorted by name: Twilio may ask for it in another order than it signs, and such a "
        "request gets 403. Write it in this order: %s",
        shown(asked.raw_path, 200),
        ", ".join(f"'{shown(name, 40)}'" for name in sorted(names)[:20]),
    )


def _refuse(relay: Relay, reason: str, *, kind: str = "signature") -> Response:
    relay.observer.refused(403, kind)
    alike = {"repeats": reason.partition("'")[0][:40]}  # others choose how often they ask
    log.warning("%s of '%s' refused with 403: %s", request.method, shown(request.path), reason, extra=alike)
    return Response(_REFUSED, 403, mimetype="text/plain")


def _is_foreign(settings: Settings, hook: Webhook) -> bool:
    given = hook.text("AccountSid")
    return settings.account_sid is not None and bool(given) and given != settings.account_sid


# --- reading ----------------------------------------------------------------------------------------------


def _read(settings: Settings, asked: SignedRequest, body: bytes, *, is_get: bool) -> Webhook:
    query = _pairs(asked.query)
    # By GET everything stands in the query; Twilio's own names begin with a capital letter.
    sent = [pair for pair in query if pair[0][:1].isupper()] if is_get else _body_pairs(asked, body)
    ours = [pair for pair in query if not pair[0][:1].isupper()] if is_get else query
    fields = _single(sent)
    account = settings.account_sid or fields.get("AccountSid")
    return Webhook(base=_base(settings, asked), fields=fields, visit=Visit.read(ours, account))


def _body_pairs(asked: SignedRequest, body: bytes) -> list[tuple[str, str]]:
    return _pairs(body) if is_form(asked) or not body else _json_pairs(body)


def _pairs(text: bytes | str) -> list[tuple[str, str]]:
    try:
        return form_fields(text)
    except SignatureError as error:
        log.warning("the webhook cannot be read: %s", error, extra=REPEATS)
        return []


def _json_pairs(body: bytes) -> list[tuple[str, str]]:
    """The members of a JSON object, at its top; values that are no text become JSON text, null becomes a blank."""
    try:
        pairs = json.loads(body, object_pairs_hook=_Pairs)
        if isinstance(pairs, _Pairs):
            return [(_unicode(name), _unicode(_as_text(value))) for name, value in pairs]
    except (ValueError, RecursionError):
        pass
    log.warning("the webhook cannot be read: expected a form, or a JSON object", extra=REPEATS)
    return []


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object, doubled ones too."""


def _unicode(text: str) -> str:
    """JSON may name half a character (a lone surrogate), which no URL and no file can hold."""
    return text.encode("utf-8", "replace").decode()


def _as_text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(_as_dicts(value), ensure_ascii=False, separators=(",", ":"))


def _as_dicts(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return {name: _as_dicts(member) for name, member in value}
    return [_as_dicts(member) for member in value] if isinstance(value, list) else value


def _single(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Fields by name; one that stands twice with two values says nothing."""
    fields: dict[str, str] = {}
    contradicted: set[str] = set()
    for name, value in pairs:
        if fields.setdefault(name, value) != value:
            contradicted.add(name)
    for name in contradicted:
        told = shown(name, 40)
        log.warning("the webhook's '%s' stands twice with different values; neither counts", told, extra=REPEATS)
        del fields[name]
    return fields


def _base(settings: Settings, asked: SignedRequest) -> str:
    """Our public address; where none is set, what was asked for, less the path."""
    if settings.public_url is not None:
        return settings.public_url
    url = http_urls(asked, public_url=None, trusted_proxies=settings.trusted_proxies)[0]
    return url.partition("?")[0].removesuffix(asked.mounted_path)
