"""Which requests are this machine's own: served unsigned with `--insecure`, and shown what is not for everybody.

Signatures are no concern of this module, and nothing here is consulted unless a setting is on.
"""

from __future__ import annotations

from studio_relay.server.forwarded import Headers, parse_address
from studio_relay.settings import is_loopback_host

_PROXY_HEADERS = ("forwarded", "via", "x-real-ip")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def insecure_refusal(peer: str | None, host: str, headers: Headers) -> str | None:
    """Why an unsigned request is refused; None when it may be served."""
    return local_refusal(peer, host, headers, "--insecure")


def local_refusal(peer: str | None, host: str, headers: Headers, what: str) -> str | None:
    """Why a request is not taken for this machine's own; None when it is. `what` is named as the one who asks.

    Served is only what comes from this machine, for this machine, through nothing: a tunnel makes loopback
    public, and a web page can make a browser ask (DNS rebinding, cross-site WebSockets).
    `peer` is the address of the socket's other end, `host` the `Host` header.
    """
    address = parse_address(peer)
    if address is None or not address.is_loopback:
        return f"{what} serves callers on this machine only, and this one is not"
    if not is_loopback_host(host):
        return f"{what} serves loopback names only, expected Host: localhost, found {_quoted(host)}"
    proxy_header = next((name for name, _ in headers if _names_a_proxy(name)), None)
    if proxy_header is not None:
        return f"{what} serves direct requests only, and this one has the header {_quoted(proxy_header)}"
    origins = [value for name, value in headers if name.lower() == "origin"]
    foreign = next((origin for origin in origins if not _same_origin(origin, host)), None)
    if foreign is not None:
        return f"{what} serves its own pages only, expected Origin http://{host}, found {_quoted(foreign)}"
    return None


def _names_a_proxy(name: str) -> bool:
    return name.lower() in _PROXY_HEADERS or name.lower().startswith("x-forwarded-")


def _same_origin(origin: str, host: str) -> bool:
    scheme, mark, origin_host = origin.strip().lower().partition("://")
    port = _DEFAULT_PORTS.get(scheme)
    if not mark or port is None:
        return False
    return origin_host.removesuffix(port) == host.strip().lower().removesuffix(port)


def _quoted(text: str) -> str:
    """Text from the network for a log line: printable ASCII, bounded."""
    return ascii(text[:80])
