"""Which URLs a request may have been signed for, and which ones people write by mistake.

Only URLs, from what the request and the settings say: no secrets, no signatures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any
from urllib.parse import quote, unquote

from studio_relay.server.forwarded import Headers, Network, forwarded, header_values

_UPGRADE = {"ws": "ws", "http": "ws", "wss": "wss", "https": "wss"}
_PLAIN_HTTP = {"ws": "http", "http": "http", "wss": "https", "https": "https"}
_DEFAULT_PORTS = {"ws": "80", "http": "80", "wss": "443", "https": "443"}
_MAX_PAIRS = 4
"""Queries of more pairs are not tried in other orders: five have 120."""
_SOCKET_ROUTE = re.compile(r"/relay(?:/[^/]*)?\Z")
_PREFIX_HEADERS = ("x-forwarded-prefix", "x-script-name")


@dataclass(frozen=True, kw_only=True)
class SignedRequest:
    """What is signed of a request, and the way it came.

    `host` is the `Host` header. Several of them, and the host of an absolute-form target (`GET http://host/relay`)
    that differs from it, are joined by commas: such a text is no host, and nothing is served or signed for it.
    `raw_path` and `query` are as sent, still percent-encoded, without the `?`. `root_path` is the part of
    `raw_path` that the ASGI host was told to mount us under (usually empty). `peer` is the address of the
    socket's other end and `server` that of ours, None when unknown.
    """

    scheme: str
    host: str
    raw_path: str
    query: str = field(default="", repr=False)
    root_path: str = ""
    peer: str | None = None
    server: str | None = None
    headers: Headers = field(default=(), repr=False)

    @classmethod
    def from_scope(cls, scope: Mapping[str, Any]) -> SignedRequest:
        """The request of an ASGI `http` or `websocket` scope; never raises on odd bytes, which then fail to match."""
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        raw_path = scope.get("raw_path") or quote(scope["path"]).encode("ascii")
        authority, path = _target(raw_path.decode("latin-1").partition("?")[0])
        hosts = header_values(headers, "host")
        if authority and authority.lower() not in map(str.lower, hosts):
            hosts.append(authority)
        client, server = scope.get("client"), scope.get("server")
        return cls(
            scheme=scope.get("scheme", "http"),
            host=", ".join(hosts),
            raw_path=path,
            query=(scope.get("query_string") or b"").decode("latin-1"),
            root_path=scope.get("root_path") or "",
            peer=client[0] if client else None,
            server=server[0] if server else None,
            headers=headers,
        )

    @property
    def mounted_path(self) -> str:
        """`raw_path` without `root_path`: the path below the public base."""
        below = self.raw_path.removeprefix(self.root_path)
        return below if not below or below.startswith("/") else self.raw_path


def upgrade_urls(
    request: SignedRequest, *, public_url: str | None, trusted_proxies: Sequence[Network] = ()
) -> list[str]:
    """The URLs an upgrade may have been signed for, most trusted first.

    Twilio signs a URL with its port or without it: each that writes a port comes without it too, and each that writes
    none comes with the default port of its scheme. No other port does.

    `public_url` is `https://host[/prefix]`. Without one (allowed only on loopback) it is what was really asked.
    """
    return _candidates(request, public_url, trusted_proxies, _UPGRADE, asked=("ws", "wss"))


def http_urls(request: SignedRequest, *, public_url: str | None, trusted_proxies: Sequence[Network] = ()) -> list[str]:
    """As `upgrade_urls`, for an ordinary HTTP request."""
    return _candidates(request, public_url, trusted_proxies, _PLAIN_HTTP, asked=("http", "https"))


def wrong_urls(request: SignedRequest, urls: Sequence[str]) -> Iterator[str]:
    """The usual mistakes, each with each: scheme, host, port, prefix, trailing slash, query."""
    paths = dict.fromkeys(slashed for path in (_split(urls[0])[2], request.raw_path) for slashed in _slashes(path))
    queries = dict.fromkeys((f"?{request.query}" if request.query else "", ""))
    for host in dict.fromkeys(_likely_hosts(request, urls)):
        for path in paths:
            for query in queries:
                yield from (f"{scheme}://{host}{path}{query}" for scheme in _SCHEMES)
    scheme, host, path = _split(urls[0])
    for query in queries:
        for spelling in dict.fromkeys((host.lower(), host.upper(), host.capitalize(), host.title())):
            yield from (f"{other}://{spelling}{path}{query}" for other in _SCHEMES)
        for prefix in _likely_prefixes(request):
            yield f"{scheme}://{host}{prefix}{request.raw_path}{query}"


def reordered(url: str) -> Iterator[str]:
    """`url` with its query in every other order, if it has at most four pairs; for words only, never to accept."""
    bare, _, query = url.partition("?")
    pairs = query.split("&")
    if 1 < len(pairs) <= _MAX_PAIRS:
        orders = permutations(pairs)
        next(orders)  # as it came
        yield from dict.fromkeys(f"{bare}?{'&'.join(order)}" for order in orders)


def is_socket_route(text: str) -> bool:
    """Whether a text, read as a plain URL, leads to a relay of ours: below whatever prefix, whatever the agent."""
    path = unquote(_split(re.split("[?#]", text, maxsplit=1)[0])[2])
    return _SOCKET_ROUTE.search(path) is not None


_SCHEMES = ("https", "http", "wss", "ws")


def _likely_prefixes(request: SignedRequest) -> Iterator[str]:
    """Prefixes that a proxy says it took away; guesses, used in words only."""
    for name in _PREFIX_HEADERS:
        for value in header_values(request.headers, name)[:1]:
            if value.startswith("/"):
                yield value.rstrip("/")


def _likely_hosts(request: SignedRequest, urls: Sequence[str]) -> Iterator[str]:
    """Hosts that somebody may have written into the TwiML; those from headers are guesses, used in words only."""
    for url in urls:
        host = _split(url)[1]
        yield from (host, host.removesuffix(":443"), host if _port(host) else f"{host}:80")
    yield from (request.host, *header_values(request.headers, "x-forwarded-host")[-1:])


def _slashes(path: str) -> tuple[str, str]:
    return (path, path[:-1]) if path.endswith("/") else (path, f"{path}/")


def advice(signed: str, expected: str) -> str:
    """The first difference, as an instruction."""
    was, want = _split(signed), _split(expected)
    if was[0] != want[0]:
        return f"write {want[0]}:// in the TwiML or the widget"
    if was[1] != want[1] and was[1].lower() == want[1].lower():
        return "write the host with the same small and capital letters as in STUDIO_RELAY_PUBLIC_URL"
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
    return list(dict.fromkeys(url + query for base in bases for url in _with_ports(base)))


def _url(scheme: str, host_and_prefix: str, path: str) -> str:
    return f"{scheme}://{host_and_prefix}{path}"


def _with_ports(url: str) -> Iterator[str]:
    """`url`; the same without its port; or, if it writes none, with the default port of its scheme."""
    yield url
    scheme, host, path = _split(url)
    port = _port(host)
    if port:
        yield f"{scheme}://{host.removesuffix(f':{port}')}{path}"
    elif host:
        yield f"{scheme}://{host}:{_DEFAULT_PORTS[scheme]}{path}"


def _target(raw: str) -> tuple[str, str]:
    """Host and path of a request target; in absolute form (`http://host/path`) it names a host, else "" """
    if raw.startswith("/"):
        return "", raw
    scheme, mark, rest = raw.partition("://")
    if not mark or not scheme.isalpha():
        return "", raw
    authority, slash, path = rest.partition("/")
    return authority, slash + path or "/"


def _port(host: str) -> str:
    return host.rpartition("]")[2].partition(":")[2]
