"""What trusted proxies say, and what is not believed."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay.server.forwarded import Forwarded, forwarded, header_values, is_trusted, parse_address

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def seen(proto: str, host: str) -> Forwarded:
    return Forwarded(proto=proto, host=host)


def headers(for_: str = "", proto: str = "", host: str = "") -> list[tuple[str, str]]:
    pairs = [("X-Forwarded-For", for_), ("x-forwarded-proto", proto), ("X-FORWARDED-HOST", host)]
    return [("Host", "internal:8080"), *((name, value) for name, value in pairs if value)]


@pytest.mark.parametrize(
    ("case", "sent", "expected"),
    [
        ("one proxy", headers("203.0.113.5", "https", "relay.example.com"), seen("https", "relay.example.com")),
        ("it appends to what the caller invented", headers("10.1.1.1, 203.0.113.5", "http, https", "evil, good"),
         seen("https", "good")),
        ("two trusted proxies, both append", headers("203.0.113.5, 10.0.0.2", "https, http", "outer, inner"),
         seen("https", "outer")),
        ("two trusted and an invented first value", headers("1.1.1.1, 203.0.113.5, 10.0.0.2",
         "http, https, http", "evil, outer, inner"), seen("https", "outer")),
        ("the second replaces instead of appending", headers("203.0.113.5, 10.0.0.2", "https", "outer"),
         seen("https", "outer")),
        ("no forwarded host: the proxy kept Host", headers("203.0.113.5", "https"), seen("https", "internal:8080")),
        ("no forwarded proto: nothing is known", headers("203.0.113.5", "", "relay.example.com"), None),
        ("upper case", headers("203.0.113.5", "HTTPS", "r"), seen("https", "r")),
        ("no X-Forwarded-For", headers("", "http, https", "evil, good"), seen("https", "good")),
        ("an address with a port", headers("203.0.113.5, 10.0.0.2:4711", "https, http", "outer, inner"),
         seen("https", "outer")),
        ("a name is no address", headers("10.0.0.3, unknown", "http, https", "evil, good"), seen("https", "good")),
    ],
)  # fmt: skip
def test_the_outermost_trusted_proxy_is_believed(
    case: str, sent: list[tuple[str, str]], expected: Forwarded | None
) -> None:
    assert forwarded("10.0.0.1", sent, TRUSTED) == expected, case


def test_repeated_headers_are_one_list() -> None:
    sent = [("X-Forwarded-Proto", "http"), ("X-Forwarded-Proto", "https"), ("Host", "h")]
    assert forwarded("10.0.0.1", sent, TRUSTED) == seen("https", "h")
    assert header_values(sent, "x-forwarded-proto") == ["http", "https"]


@pytest.mark.parametrize("peer", ["203.0.113.5", "127.0.0.1", "", None, "not an address", "unix:"])
def test_an_untrusted_peer_is_not_believed(peer: str | None) -> None:
    assert forwarded(peer, headers("10.0.0.1", "https", "h"), TRUSTED) is None


def test_nobody_is_trusted_by_default() -> None:
    assert forwarded("10.0.0.1", headers("10.0.0.1", "https", "h"), []) is None


@pytest.mark.parametrize("address", ["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.1:80", "[fd00::1]:80", "fd00::1"])
def test_ways_to_write_a_trusted_address(address: str) -> None:
    assert is_trusted(address, TRUSTED)


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_none(text: str) -> None:
    parsed = parse_address(text)
    assert parsed is None or str(parsed)
