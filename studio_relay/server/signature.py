"""Whether a request was signed by Twilio for the address we are known by, and if not, what it was signed for.

Pure functions: no framework, no log, no settings. Signatures and secrets appear in no message and no repr.
The rules are those of Twilio's `X-Twilio-Signature`; what a query string does to a signed upgrade is not
verified on a live call, so both known forms are accepted.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl

from twilio.request_validator import HMAC_SHA1, HMAC_SHA256, RequestValidator

from studio_relay.errors import SignatureError
from studio_relay.server.forwarded import Network, header_values
from studio_relay.server.signed_urls import SignedRequest as SignedRequest
from studio_relay.server.signed_urls import (
    advice,
    http_urls,
    is_socket_route,
    reordered,
    upgrade_urls,
    wrong_urls,
)

SIGNATURE_HEADER = "X-Twilio-Signature"
SETTINGS_HEADER = "X-Twilio-Webhooks-Signature-Settings"

Form = Literal["A", "B"]
"""A: the whole URL was signed. B: the URL without its query, then the query's names and values."""

Fields = Sequence[tuple[str, str]]
"""Form fields in order; names may repeat, blank values are kept."""

_MAX_FIELDS = 500
_MAX_QUERY = 8_192
"""Characters of a query whose fields are looked at; of Twilio's URLs at most 4,000 are known."""
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_MAX_EXPLAINED = 8_192
"""Characters signed; an explanation signs some fifty times, and strangers must not make us work for nothing."""


@dataclass(frozen=True, kw_only=True)
class Matched:
    """Which URL, in which form, made with which token; `token_index` is None for a shared key."""

    url: str
    form: Form
    token_index: int | None


def check_upgrade(
    request: SignedRequest,
    *,
    tokens: Sequence[str],
    public_url: str | None,
    trusted_proxies: Sequence[Network] = (),
    shared_keys: Mapping[str, str] | None = None,
) -> Matched:
    """Returns what matched; raises `SignatureError`, whose text tells an operator what to change.

    `tokens` are the account's auth tokens, the primary one first; `shared_keys` maps a key id to its secret.
    """
    urls = upgrade_urls(request, public_url=public_url, trusted_proxies=trusted_proxies)
    signer = _Signer.of(request, tokens, shared_keys or {})
    query_fields = _query_fields(request.query)
    for url in urls:
        for form, signed_url, fields in _upgrade_forms(url, query_fields):
            index = signer.match(signed_url, fields)
            if index is not None:
                return Matched(url=url, form=form, token_index=signer.token_index(index))
    raise SignatureError(_explain(request, urls, signer, ()))


def check_http(
    request: SignedRequest,
    body: bytes = b"",
    *,
    tokens: Sequence[str],
    public_url: str | None,
    trusted_proxies: Sequence[Network] = (),
    shared_keys: Mapping[str, str] | None = None,
) -> Matched:
    """Checks a webhook with the exact bytes of its body; returns what matched, raises `SignatureError`.

    A form (`application/x-www-form-urlencoded`) is signed field by field: read it with `form_fields`. Any other
    body must be named by `bodySHA256` in the query, since nothing else would cover it.
    """
    urls = http_urls(request, public_url=public_url, trusted_proxies=trusted_proxies)
    signer = _Signer.of(request, tokens, shared_keys or {})
    fields = _signed_fields(request, body)
    for url in urls:
        index = signer.match(url, fields)
        if index is not None:
            return Matched(url=url, form="A", token_index=signer.token_index(index))
    raise SignatureError(_explain(request, urls, signer, fields))


def form_fields(body: bytes | str) -> list[tuple[str, str]]:
    """The fields of a form body, blanks and repeats kept; raises `SignatureError` past 500 fields."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    try:
        return parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise SignatureError(f"expected a form of at most {_MAX_FIELDS} fields, found more") from None


def is_form(request: SignedRequest) -> bool:
    """Whether the body is sent as an HTML form, which is how Twilio sends webhooks."""
    kinds = header_values(request.headers, "content-type")
    return bool(kinds) and kinds[0].partition(";")[0].strip().lower() == "application/x-www-form-urlencoded"


def _upgrade_forms(url: str, fields: Fields) -> Iterator[tuple[Form, str, Fields]]:
    yield "A", url, ()
    bare = url.partition("?")[0]
    if fields and all(_FIELD_NAME.fullmatch(name) for name, _ in fields) and not _reads_as_a_route(bare, fields):
        yield "B", bare, fields


def _reads_as_a_route(bare: str, fields: Fields) -> bool:
    """Form B is signed without separators, so `/relay/sales?force=` is signed as `/relay/salesforce` is."""
    return is_socket_route(bare + "".join(name + value for name, value in sorted(set(fields))))


def _query_fields(query: str) -> Fields:
    if len(query) > _MAX_QUERY:
        return ()
    try:
        return form_fields(query)
    except SignatureError:
        return ()


# --- body -------------------------------------------------------------------------------------------------


def _signed_fields(request: SignedRequest, body: bytes) -> Fields:
    if is_form(request):
        return form_fields(body)
    hashes = [value for name, value in _query_fields(request.query[-_MAX_QUERY:]) if name == "bodySHA256"]
    if body or hashes:
        _check_body_hash(body, hashes)
    return ()


def _check_body_hash(body: bytes, hashes: Sequence[str]) -> None:
    if len(hashes) != 1:
        raise SignatureError(
            f"expected one bodySHA256 in the query of a request whose body is not a form, found {len(hashes)}; "
            "without it the body is not signed"
        )
    if not _same(hashlib.sha256(body).hexdigest(), hashes[0]):
        raise SignatureError("bodySHA256 does not fit the body: it was changed on the way, perhaps by a proxy")


# --- signature --------------------------------------------------------------------------------------------


class _FieldMap(dict[str, list[str]]):
    """Fields by name, in the shape from which the validator reads repeated names."""

    def __init__(self, fields: Fields) -> None:
        super().__init__()
        for name, value in fields:
            self.setdefault(name, []).append(value)

    def getlist(self, name: str) -> list[str]:
        return self[name]


class _Signer:
    """The secrets one request may have been signed with, and the signature it carries."""

    def __init__(self, given: str, secrets: Sequence[str], algorithm: str, *, shared: bool) -> None:
        self._given = given
        self._validators = [RequestValidator(secret) for secret in secrets]
        self._algorithm = algorithm
        self._shared = shared

    @classmethod
    def of(cls, request: SignedRequest, tokens: Sequence[str], shared_keys: Mapping[str, str]) -> _Signer:
        given = _the_signature(request)
        settings = _signature_settings(request)
        key = settings.get("key")
        algorithm = settings.get("algorithm", HMAC_SHA1).upper()
        if algorithm not in (HMAC_SHA1, HMAC_SHA256):
            raise SignatureError(
                f"signed with {_safe(algorithm)}, expected {HMAC_SHA1} or {HMAC_SHA256} in {SETTINGS_HEADER}"
            )
        if key is not None:
            return cls(given, [_shared_secret(key, shared_keys)], algorithm, shared=True)
        # The caller must not choose the hash that is used with the auth token.
        if algorithm != HMAC_SHA1:
            raise SignatureError(f"{SETTINGS_HEADER} asks for {algorithm} and names no key=: only shared keys use it")
        return cls(given, tokens, algorithm, shared=False)

    def match(self, url: str, fields: Fields) -> int | None:
        """The index of the secret that makes the given signature, or None. Every secret is tried."""
        mapped = _FieldMap(fields)
        found = None
        for index, validator in enumerate(self._validators):
            if _same(_computed(validator, url, mapped, self._algorithm), self._given) and found is None:
                found = index
        return found

    def token_index(self, index: int) -> int | None:
        return None if self._shared else index


def _the_signature(request: SignedRequest) -> str:
    wanted = SIGNATURE_HEADER.lower()
    given = {value.strip() for name, value in request.headers if name.lower() == wanted}
    if not given - {""}:
        raise SignatureError(
            f"no {SIGNATURE_HEADER} header: the request does not come from Twilio, or a proxy removed it"
        )
    if len(given) > 1:
        raise SignatureError(f"{len(given)} different {SIGNATURE_HEADER} headers, expected one")
    return given.pop()


def _signature_settings(request: SignedRequest) -> dict[str, str]:
    """`key=<id>,algorithm=<name>` of the settings header; empty when it is absent."""
    pairs = (part.partition("=") for part in header_values(request.headers, SETTINGS_HEADER))
    return {name.strip(): value.strip() for name, _, value in pairs if value.strip()}


def _shared_secret(key: str, shared_keys: Mapping[str, str]) -> str:
    if key not in shared_keys:
        raise SignatureError(
            f"signed with shared key {_safe(key)}, which is not configured here; "
            "add it to STUDIO_RELAY_SHARED_KEYS or sign with the auth token"
        )
    return shared_keys[key]


def _computed(validator: RequestValidator, url: str, fields: _FieldMap, algorithm: str) -> str:
    return str(validator.compute_signature(url, fields, algorithm))


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode("utf-8", "replace"), right.encode("utf-8", "replace"))


# --- explanations -----------------------------------------------------------------------------------------


def _explain(request: SignedRequest, urls: Sequence[str], signer: _Signer, fields: Fields) -> str:
    """What a refused request was signed for, if that can be found out. Nothing found here is ever accepted."""
    expected = _shown(urls[0])
    size = len(urls[0]) + sum(len(name) + len(value) for name, value in fields)
    if size <= _MAX_EXPLAINED:
        for url in wrong_urls(request, urls):
            if signer.match(url, fields) is not None:
                return f"signed for {_shown(url)}, expected {expected}; {advice(url, urls[0])}"
        for url in (other for one in urls for other in reordered(one)):
            if signer.match(url, fields) is not None:
                return (
                    f"signed for {_shown(url)}, but asked for with the query in another order ({expected}); "
                    "write the query sorted by name"
                )
    return (
        f"not signed for {expected}: the URL must be written exactly so in the TwiML or the widget, and no proxy may "
        "take away a prefix or the query. If both are right, the token is wrong: TWILIO_AUTH_TOKEN must be the "
        "primary auth token of the account that calls"
    )


def _shown(url: str) -> str:
    """A URL for a log: values of the query are left out, since they may be secrets, and names that are numbers."""
    bare, mark, query = url.partition("?")
    query = query[:1_000]
    names = "&".join(f"{re.sub('[0-9]{4,}', '...', name)}=..." for name, _ in _query_fields(query)[:10])
    return _safe(f"{bare}{mark}{names}", limit=300)


def _safe(text: str, limit: int = 80) -> str:
    """Text from the network for a log line: printable ASCII, bounded."""
    return "".join(c if " " <= c <= "~" else "?" for c in text[:limit])
