"""Which requests are this machine's own: served unsigned with `--insecure`, and shown what is not for everybody.

A tunnel or proxy on this machine makes loopback public, and so does a web page that makes a browser ask. Both leave
traces in the headers, and a request with any trace is refused. A raw TCP tunnel (`ssh -R`, `ngrok tcp`, socat) leaves
none if its user also sends `Host: localhost`: it cannot be told from this machine.

Signatures are no concern of this module, and nothing here is consulted unless a setting is on.
"""

from __future__ import annotations

from studio_relay.server.forwarded import Headers, parse_address
from studio_relay.settings import is_loopback_host

PROXY_HEADERS = frozenset(
    {
        # any proxy
        "forwarded", "via", "x-real-ip", "x-client-ip", "client-ip", "x-cluster-client-ip", "true-client-ip",
        "x-original-host", "x-original-url", "x-original-uri", "x-original-forwarded-for", "x-host", "x-proxyuser-ip",
        "x-request-start", "x-scheme", "x-script-name", "x-remote-ip", "x-remote-addr", "proxy-connection",
        "x-envoy-external-address", "x-envoy-original-path", "x-envoy-expected-rq-timeout-ms",
        # content networks and clouds
        "cdn-loop", "fastly-client-ip", "fastly-ssl", "x-akamai-edgescape", "akamai-origin-hop", "x-azure-ref",
        "x-azure-clientip", "x-azure-socketip", "x-azure-fdid", "x-arr-ssl", "x-arr-log-id", "x-appengine-user-ip",
        "x-cloud-trace-context", "x-google-real-ip", "x-amzn-trace-id", "x-amz-cf-id", "cloudfront-viewer-address",
        "x-vercel-id", "x-nf-client-connection-ip", "x-nf-request-id", "x-render-origin-server", "x-railway-edge",
        "rndr-id", "do-connecting-ip", "x-koyeb-backend", "x-replit-user-id",
        # tunnels
        "x-pagekite-port", "x-localtunnel", "x-tunnel-id", "x-zrok-share", "zrok-interstitial", "x-exposed-by",
        "x-ms-proxy", "x-pinggy-no-screen",
    }
)  # fmt: skip
"""Names by which proxies, load balancers and tunnels give themselves away; no client on this machine sends them."""

PROXY_PREFIXES = (
    "x-forwarded", "cf-", "tailscale-", "fly-", "ngrok-", "x-ngrok-", "x-tunnel-", "x-zrok-",
    "x-bore-", "x-pagekite-", "x-amzn-", "x-amz-cf-", "cloudfront-", "x-azure-", "x-ms-", "x-arr-", "x-goog-",
    "x-appengine-", "x-envoy-", "x-vercel-", "x-nf-", "x-akamai-", "fastly-", "x-heroku-", "x-railway-", "x-cdn-",
)  # fmt: skip

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def address_refusal(peer: str | None, server: str | None) -> str | None:
    """Why a request is refused where STUDIO_RELAY_PUBLIC_URL is not set; None when it is this machine's own business.

    Only `serve` knows where it listens; under another host the addresses of each socket tell.
    """
    address = parse_address(peer)
    if address is not None and address.is_loopback and server is not None and is_loopback_host(server):
        return None
    return (
        "STUDIO_RELAY_PUBLIC_URL is not set, and without it only requests of this machine to a loopback address are "
        "served; set it to where Twilio reaches this server, such as https://relay.example.com"
    )


def insecure_refusal(peer: str | None, host: str, headers: Headers) -> str | None:
    """Why an unsigned request is refused; None when it may be served."""
    return local_refusal(peer, host, headers, "--insecure")


def local_refusal(peer: str | None, host: str, headers: Headers, what: str) -> str | None:
    """Why a request is not taken for this machine's own; None when it is. `what` is named as the one who asks.

    `peer` is the address of the socket's other end, `host` the `Host` header; several of them, or a list in one, are no
    loopback name.
    """
    address = parse_address(peer)
    if address is None or not address.is_loopback:
        return f"{what} serves callers on this machine only, and this one is not"
    hosts = [host, *(value for name, value in headers if name.lower() == "host")]
    foreign_host = next((name for name in hosts if not is_loopback_host(name)), None)
    if foreign_host is not None:
        return f"{what} serves loopback names only, expected Host: localhost, found {_quoted(foreign_host)}"
    proxy_header = next((name for name, _ in headers if _names_a_proxy(name)), None)
    if proxy_header is not None:
        return f"{what} serves direct requests only, and this one has the header {_quoted(proxy_header)}"
    origins = [value for name, value in headers if name.lower() == "origin"]
    foreign = next((origin for origin in origins if not _same_origin(origin, host)), None)
    if foreign is not None:
        return f"{what} serves its own pages only, expected Origin http://{host}, found {_quoted(foreign)}"
    return None


def _names_a_proxy(name: str) -> bool:
    return name.lower() in PROXY_HEADERS or name.lower().startswith(PROXY_PREFIXES)


def _same_origin(origin: str, host: str) -> bool:
    scheme, mark, origin_host = origin.strip().lower().partition("://")
    port = _DEFAULT_PORTS.get(scheme)
    if not mark or port is None:
        return False
    return origin_host.removesuffix(port) == host.strip().lower().removesuffix(port)


def _quoted(text: str) -> str:
    """Text from the network for a log line: printable ASCII, bounded."""
    return ascii(text[:80])
