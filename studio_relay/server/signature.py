"""Whether a request was signed by Twilio for the address we are known by, and if not, what it was signed for.

Pure functions: no framework, no log, no settings. Signatures and secrets appear in no message and no repr.
The rules are those of Twilio's `X-Twilio-Signature`; what a query string does to a signed upgrade is not
verified on a live call, so both known forms are accepted.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, quote

from twilio.request_validator import HMAC_SHA1, HMAC_SHA256, RequestValidator

from studio_relay.errors import SignatureError
from studio_relay.server.forwarded import Headers, Network, forwarded, header_values

SIGNATURE_HEADER = "X-Twilio-Signature"
SETTINGS_HEADER = "X-Twilio-Webhooks-Signature-Settings"

Form = Literal["A", "B"]
"""A: the whole URL was signed. B: the URL without its query, then the query's names and values."""

Fields = Sequence[tuple[str, str]]
"""Form fields in order; names may repeat, blank values are kept."""

_MAX_FIELDS = 500
_UPGRADE = {"ws": "ws", "http": "ws", "wss": "wss", "https": "wss"}
_PLAIN_HTTP = {"ws": "http", "http": "http", "wss": "https", "https": "https"}


@dataclass(frozen=True, kw_only=True)
class SignedRequest:
    """What is signed of a request, and the way it came.

    `raw_path` and `query` are as sent, still percent-encoded, without the `?`. `root_path` is the part of
    `raw_path` that the ASGI host was told to mount us under (usually empty). `peer` is the address of the
    socket's other end, None when unknown.
    """

    scheme: str
    host: str
    raw_path: str
    query: str = field(default="", repr=False)
    root_path: str = ""
    peer: str | None = None
    headers: Headers = field(default=(), repr=False)

    @classmethod
    def from_scope(cls, scope: Mapping[str, Any]) -> SignedRequest:
        """The request of an ASGI `http` or `websocket` scope; never raises on odd bytes, which then fail to match."""
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        raw_path = scope.get("raw_path") or quote(scope["path"]).encode("ascii")
        client = scope.get("client")
        return cls(
            scheme=scope.get("scheme", "http"),
            host=next(iter(header_values(headers, "host")), ""),
            raw_path=raw_path.decode("latin-1").partition("?")[0],
            query=(scope.get("query_string") or b"").decode("latin-1"),
            root_path=scope.get("root_path") or "",
            peer=client[0] if client else None,
            headers=headers,
        )

    @property
    def mounted_path(self) -> str:
        """`raw_path` without `root_path`: the path below the public base."""
        below = self.raw_path.removeprefix(self.root_path)
        return below if not below or below.startswith("/") else self.raw_path


@dataclass(frozen=True, kw_only=True)
class Matched:
    """Which URL, in which form, made with which token; `token_index` is None for a shared key."""

    url: str
    form: Form
    token_index: int | None


def upgrade_urls(
    request: SignedRequest, *, public_url: str | None, trusted_proxies: Sequence[Network] = ()
) -> list[str]:
    """The URLs an upgrade may have been signed for, most trusted first, each also with `:443` if it has no port.

    `public_url` is `https://host[/prefix]`. Without one (allowed only on loopback) it is what was really asked.
    """
    return _candidates(request, public_url, trusted_proxies, _UPGRADE, asked=("ws", "wss"))


def http_urls(request: SignedRequest, *, public_url: str | None, trusted_proxies: Sequence[Network] = ()) -> list[str]:
    """As `upgrade_urls`, for an ordinary HTTP request."""
    return _candidates(request, public_url, trusted_proxies, _PLAIN_HTTP, asked=("http", "https"))


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
    for url in urls:
        for form, signed_url, fields in _upgrade_forms(url):
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


# --- candidates -------------------------------------------------------------------------------------------


def _candidates(
    request: SignedRequest,
    public_url: str | None,
    proxies: Sequence[Network],
    schemes: Mapping[str, str],
    asked: Sequence[str],
) -> list[str]:
    bases = []
    if public_url:
        bases.append(_url(schemes["https"], public_url.partition("://")[2].rstrip("/"), request.mounted_path))
    seen = forwarded(request.peer, request.headers, proxies)
    if seen and seen.proto in schemes:
        bases.append(_url(schemes[seen.proto], seen.host, request.raw_path))
    if not public_url:
        bases.extend(_url(scheme, request.host, request.raw_path) for scheme in asked)
    query = f"?{request.query}" if request.query else ""
    return list(dict.fromkeys(url + query for base in bases for url in _with_port(base)))


def _url(scheme: str, host_and_prefix: str, path: str) -> str:
    return f"{scheme}://{host_and_prefix}{path}"


def _with_port(url: str) -> Iterator[str]:
    """`url`, and the same with `:443` when it writes no port: Twilio signs what is written in the TwiML."""
    yield url
    scheme, host, path = _split(url)
    if host and not _port(host):
        yield f"{scheme}://{host}:443{path}"


def _port(host: str) -> str:
    return host.rpartition("]")[2].partition(":")[2]


def _upgrade_forms(url: str) -> Iterator[tuple[Form, str, Fields]]:
    yield "A", url, ()
    bare, _, query = url.partition("?")
    fields = _query_fields(query)
    # Without a name nothing but values would be appended, and a signature for another path could pass.
    if any(name for name, _ in fields):
        yield "B", bare, fields


def _query_fields(query: str) -> Fields:
    try:
        return form_fields(query)
    except SignatureError:
        return ()


# --- body -------------------------------------------------------------------------------------------------


def _signed_fields(request: SignedRequest, body: bytes) -> Fields:
    if is_form(request):
        return form_fields(body)
    hashes = [value for name, value in _query_fields(request.query) if name == "bodySHA256"]
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
    for url in _wrong_urls(request, urls):
        if signer.match(url, fields) is not None:
            return f"signed for {_shown(url)}, expected {expected}; {_advice(url, urls[0])}"
    return (
        f"not signed for {expected}: the URL must be written exactly so in the TwiML or the widget, and "
        "TWILIO_AUTH_TOKEN must be the primary token of the account that calls"
    )


def _wrong_urls(request: SignedRequest, urls: Sequence[str]) -> Iterator[str]:
    """The usual mistakes, each with each: scheme, host, port, prefix, trailing slash, query."""
    paths = dict.fromkeys(slashed for path in (_split(urls[0])[2], request.raw_path) for slashed in _slashes(path))
    queries = dict.fromkeys((f"?{request.query}" if request.query else "", ""))
    for host in dict.fromkeys(_likely_hosts(request, urls)):
        for path in paths:
            for query in queries:
                yield from (f"{scheme}://{host}{path}{query}" for scheme in ("https", "http", "wss", "ws"))


def _likely_hosts(request: SignedRequest, urls: Sequence[str]) -> Iterator[str]:
    """Hosts that somebody may have written into the TwiML; those from headers are guesses, used in words only."""
    for url in urls:
        host = _split(url)[1]
        yield from (host, host.removesuffix(":443"), host if _port(host) else f"{host}:80")
    yield from (request.host, *header_values(request.headers, "x-forwarded-host")[-1:])


def _slashes(path: str) -> tuple[str, str]:
    return (path, path[:-1]) if path.endswith("/") else (path, f"{path}/")


def _advice(signed: str, expected: str) -> str:
    """The first difference, as an instruction."""
    was, want = _split(signed), _split(expected)
    if was[0] != want[0]:
        return f"write {want[0]}:// in the TwiML or the widget"
    if was[1] != want[1]:
        return "STUDIO_RELAY_PUBLIC_URL must name the host and port that Twilio calls"
    if was[2] == want[2]:
        return "the query was lost or added on the way: use <Parameter> instead"
    if was[2].rstrip("/") == want[2].rstrip("/"):
        return "the slash at the end must be the same"
    return "STUDIO_RELAY_PUBLIC_URL must end in the path prefix that Twilio calls and the proxy takes away"


def _split(url: str) -> tuple[str, str, str]:
    """Scheme, host with port, path; textual, so that no hostile host can make it raise."""
    scheme, _, rest = url.partition("?")[0].partition("://")
    host, slash, path = rest.partition("/")
    return scheme, host, slash + path


def _shown(url: str) -> str:
    """A URL for a log: values of the query are left out, since they may be secrets."""
    bare, mark, query = url.partition("?")
    names = "&".join(f"{name}=..." for name, _ in _query_fields(query)[:10])
    return _safe(f"{bare}{mark}{names}", limit=300)


def _safe(text: str, limit: int = 80) -> str:
    """Text from the network for a log line: printable ASCII, bounded."""
    return "".join(c if " " <= c <= "~" else "?" for c in text[:limit])
