"""Without signatures, only this machine, directly, is served."""

from __future__ import annotations

import pytest

from studio_relay.server.insecure import insecure_refusal

HOST = "localhost:8080"


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.1.2.3"])
@pytest.mark.parametrize("host", ["localhost", HOST, "127.0.0.1:8080", "[::1]:8080", "LocalHost"])
def test_this_machine_is_served(peer: str, host: str) -> None:
    assert insecure_refusal(peer, host, [("user-agent", "x")]) is None


@pytest.mark.parametrize("origin", [f"http://{HOST}", f"HTTP://{HOST.upper()}"])
def test_its_own_pages_are_served(origin: str) -> None:
    assert insecure_refusal("127.0.0.1", HOST, [("Origin", origin)]) is None


def test_default_ports_are_the_same_origin() -> None:
    assert insecure_refusal("127.0.0.1", "localhost", [("Origin", "http://localhost:80")]) is None


@pytest.mark.parametrize("peer", ["10.0.0.1", "203.0.113.5", None, "", "unix"])
def test_another_machine_is_refused(peer: str | None) -> None:
    assert "this machine" in (insecure_refusal(peer, HOST, []) or "")


@pytest.mark.parametrize(
    "host",
    [
        "relay.example.com",
        "",
        "10.0.0.1:8080",
        "localhost.example.com",
        "abc.tunnel.example",
        "localhost, abc.tunnel.example",
        "localhost,localhost",
        "localhost localhost",
        "localhost@abc.example",
        "localhost/abc.example",
        "[::1",
        "[::1]x",
        "[::1]:8080:1",
        "localhost:80:80",
        "localhost:abc.example",
    ],
)
def test_another_name_is_refused(host: str) -> None:
    assert "loopback names only" in (insecure_refusal("127.0.0.1", host, []) or "")


@pytest.mark.parametrize(
    "header",
    [
        "Forwarded", "X-Forwarded-For", "x-forwarded-proto", "X-Forwarded-Anything", "Via", "X-Real-IP",
        "Cf-Connecting-Ip", "CF-Ray", "Cf-Visitor", "Cdn-Loop", "Cf-Warp-Tag-Id", "Tailscale-User-Login",
        "Tailscale-Headers-Info", "Fly-Client-IP", "Fly-Request-Id", "Ngrok-Skip-Browser-Warning",
        "Ngrok-Agent-Ips", "X-Request-Start", "X-Amzn-Trace-Id", "X-Amz-Cf-Id", "X-Azure-Ref", "X-ARR-SSL",
        "X-MS-Original-Url", "X-Cloud-Trace-Context", "X-Envoy-External-Address", "True-Client-IP", "X-Client-IP",
        "Fastly-Client-IP", "X-Vercel-Id", "X-Original-Host",
    ],
)  # fmt: skip
def test_a_proxied_request_is_refused(header: str) -> None:
    assert header in (insecure_refusal("127.0.0.1", HOST, [(header, "")]) or "")


def test_a_second_host_header_is_refused() -> None:
    headers = [("Host", "localhost"), ("host", "abc.tunnel.example")]
    assert "found 'abc.tunnel.example'" in (insecure_refusal("127.0.0.1", "localhost", headers) or "")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3000", "", "file://", "http://"])
def test_a_foreign_page_is_refused(origin: str) -> None:
    assert "own pages only" in (insecure_refusal("127.0.0.1", HOST, [("Origin", origin)]) or "")


def test_the_reason_is_one_printable_line() -> None:
    reason = insecure_refusal("127.0.0.1", "evil\n\x1b[31m" * 50, []) or ""
    assert reason.isprintable()
    assert len(reason) < 500
