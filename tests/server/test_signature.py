"""Signatures: the published vectors, every way round them that must fail, and what a refusal says."""

from __future__ import annotations

import base64
import hashlib
import hmac
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay.errors import SignatureError
from studio_relay.server.signature import (
    SETTINGS_HEADER,
    SIGNATURE_HEADER,
    Matched,
    check_http,
    check_upgrade,
    form_fields,
)
from studio_relay.server.signed_urls import SignedRequest, http_urls, upgrade_urls

TOKEN = "studio_relay_test_token"
BASE = "https://relay.example.com"
PROXY = [ip_network("10.0.0.0/8")]
FORM = "application/x-www-form-urlencoded; charset=UTF-8"
ACTION = [
    ("AccountSid", "AC" + "0" * 32),
    ("CallSid", "CA" + "0" * 32),
    ("CallStatus", "in-progress"),
    ("From", "+15550100001"),
    ("To", "+15550100002"),
    ("Direction", "inbound"),
    ("ToState", ""),
    ("SessionId", "VX" + "0" * 32),
    ("SessionStatus", "ended"),
    ("SessionDuration", "8"),
    ("HandoffData", '{"reason":"transfer"}'),
]
JSON_BODY = b'{"event":"x","n":1}'
SHARED = {SETTINGS_HEADER: "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"}
KEYS = {"webhooks_sharedkey_1": TOKEN}


def sign(url: str, fields: list[tuple[str, str]] | None = None, token: str = TOKEN, algorithm: str = "sha1") -> str:
    """An independent signer, so that a fault of the library would show."""
    text = url + "".join(name + value for name, value in sorted(set(fields or [])))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), algorithm).digest()).decode()


def request(target: str = "/ws/voice", signature: str | None = None, **given: Any) -> SignedRequest:
    path, _, query = target.partition("?")
    headers = [(SIGNATURE_HEADER, signature)] if signature is not None else []
    headers += list(given.pop("headers", {}).items())
    return SignedRequest(
        **{"scheme": "ws", "host": "internal:8080", "raw_path": path, "query": query, "headers": headers, **given}
    )


def upgrade(target: str, signature: str | None, *, tokens: tuple[str, ...] = (TOKEN,), **given: Any) -> Matched:
    public_url = given.pop("public_url", BASE)
    proxies = given.pop("trusted_proxies", ())
    keys = given.pop("shared_keys", {})
    return check_upgrade(
        request(target, signature, **given),
        tokens=tokens, public_url=public_url, trusted_proxies=proxies, shared_keys=keys,
    )  # fmt: skip


def webhook(target: str, signature: str, body: bytes = b"", content_type: str = FORM, **given: Any) -> Matched:
    tokens = given.pop("tokens", (TOKEN,))
    public_url = given.pop("public_url", BASE)
    keys = given.pop("shared_keys", {})
    headers = {"Content-Type": content_type, **given.pop("headers", {})}
    signed = request(target, signature, scheme="http", headers=headers, **given)
    return check_http(signed, body, tokens=tokens, public_url=public_url, shared_keys=keys)


def refusal(check: Any, *args: Any, **given: Any) -> str:
    with pytest.raises(SignatureError) as caught:
        check(*args, **given)
    return str(caught.value)


HASH = "27ebfe91a318dc07829eec267640f3751e9a3cdc12079c47803ad76b3404b82e"
CLASSIC = {
    "CallSid": "CA1234567890ABCDE", "Caller": "+14158675310", "Digits": "1234", "From": "+14158675310",
    "To": "+18005551212",
}  # fmt: skip

HTTP_VECTORS: dict[int, dict[str, Any]] = {
    1: {"target": "/myapp.php?foo=1&bar=2", "signature": "L/OH5YylLD5NRKLltdqwSvS0BnU=", "tokens": ("12345",),
        "public_url": "https://example.com", "body": urlencode(CLASSIC).encode()},
    2: {"target": "/connect-action", "signature": "dSe5qliYd81gKuaP97M5tu786sE=", "body": urlencode(ACTION).encode()},
    3: {"target": "/voice?CallSid=CA1&From=%2B15550100001", "signature": "TBGlxRKB7L4bkgBQASRYLPU03HU="},
    4: {"target": f"/hook?bodySHA256={HASH}", "signature": "lW3nPLxEfvpN7GqEFanRX0yQSH0=", "body": JSON_BODY,
        "content_type": "application/json"},
    12: {"target": "/voice", "signature": "J2E7Widh+G/vsDQwLLl+OGDjyeA=",
         "body": urlencode([("Body", "Grüße an Åsa"), ("Empty", "")]).encode()},
    13: {"target": "/x", "signature": "5ff4eusBNG88MXmatuWYtekd29I=", "body": b"k=b&k=a&k=b"},
    15: {"target": "/connect-action", "signature": "ykwdzn/Yuw53lQYGLXMqSFV/DOAD/Q1gcFRu63cHeYk=",
         "body": urlencode(ACTION).encode(), "headers": SHARED, "shared_keys": KEYS},
}  # fmt: skip
UPGRADE_VECTORS: dict[int, dict[str, Any]] = {
    5: {"target": "/ws/voice", "signature": "8eiQXd6+/9tA5dw95qUwI47j0Gs="},
    7: {"target": "/ws/voice/", "signature": "1tKrDcwcmUWg3XtNkyuHMlt9a8Y="},
    8: {"target": "/ws/voice?tenant=acme&token=abc123", "signature": "uEoMBXU28UZ4qydrQSGr6t11XGw="},
    9: {"target": "/ws/voice?tenant=acme&token=abc123", "signature": "kBxYf+ZhuWnAjyOq0hntp4OMeKM="},
    10: {"target": "/ws/voice", "signature": "s21ICM+mZZ6odAOst7YA+QLjog8="},
    11: {"target": "/ws/voice", "signature": "Hd3mTj7GGb3qewGEzSRjIp++Xe8=", "public_url": f"{BASE}:8443"},
    14: {"target": "/ws/voice", "signature": "zrgDyg8xarrtN05MPR6WXniXzntar/QvPPa4Ph4xW1w=", "headers": SHARED,
         "shared_keys": KEYS},
}  # fmt: skip
MATCHED_AS = {
    8: ("wss://relay.example.com/ws/voice?tenant=acme&token=abc123", "A"),
    9: ("wss://relay.example.com/ws/voice?tenant=acme&token=abc123", "B"),
    10: ("wss://relay.example.com:443/ws/voice", "A"),
}


@pytest.mark.parametrize("number", sorted(HTTP_VECTORS))
def test_http_vectors(number: int) -> None:
    matched = webhook(**HTTP_VECTORS[number])
    assert matched.form == "A"
    assert matched.token_index == (None if number == 15 else 0)


@pytest.mark.parametrize("number", sorted(UPGRADE_VECTORS))
def test_upgrade_vectors(number: int) -> None:
    matched = upgrade(**UPGRADE_VECTORS[number])
    if number in MATCHED_AS:
        assert (matched.url, matched.form) == MATCHED_AS[number]


def test_vector_6_is_not_accepted_as_5() -> None:
    reason = refusal(upgrade, "/ws/voice", "coNE1fTu13oJ1d9PtwDCaHCjuLU=")
    assert reason.startswith(
        "signed for https://relay.example.com/ws/voice, expected wss://relay.example.com/ws/voice; write wss://"
    )


def test_the_vectors_are_all_fifteen() -> None:
    assert sorted([*HTTP_VECTORS, *UPGRADE_VECTORS, 6]) == list(range(1, 16))


@pytest.mark.parametrize("vector", [*HTTP_VECTORS.values()])
def test_a_changed_byte_is_refused(vector: dict[str, Any]) -> None:
    for change in ({"body": vector.get("body", b"") + b"&x=1"}, {"target": vector["target"] + "x"}):
        with pytest.raises(SignatureError):
            webhook(**{**vector, **change})


def test_dropping_a_blank_changes_what_is_signed() -> None:
    without = urlencode([(name, value) for name, value in ACTION if value]).encode()
    with pytest.raises(SignatureError):
        webhook(**{**HTTP_VECTORS[2], "body": without})


# --- candidates -------------------------------------------------------------------------------------------


def test_candidates_come_most_trusted_first() -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "other.example.com:8443"}
    signed = request("/ws?a=%20b", peer="10.0.0.1", headers=headers)
    assert upgrade_urls(signed, public_url=f"{BASE}/voice/", trusted_proxies=PROXY) == [
        "wss://relay.example.com/voice/ws?a=%20b",
        "wss://relay.example.com:443/voice/ws?a=%20b",
        "wss://other.example.com:8443/ws?a=%20b",
        "wss://other.example.com/ws?a=%20b",
    ]
    assert http_urls(signed, public_url=BASE)[0] == "https://relay.example.com/ws?a=%20b"


def test_forwarded_headers_of_strangers_are_no_candidates() -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "other.example.com"}
    for peer in ("203.0.113.9", None):
        urls = upgrade_urls(request(peer=peer, headers=headers), public_url=BASE, trusted_proxies=PROXY)
        assert urls == ["wss://relay.example.com/ws/voice", "wss://relay.example.com:443/ws/voice"]


def test_without_a_public_url_it_is_what_was_asked() -> None:
    urls = upgrade_urls(request(host="localhost:8080"), public_url=None)
    assert urls == [
        "ws://localhost:8080/ws/voice",
        "ws://localhost/ws/voice",
        "wss://localhost:8080/ws/voice",
        "wss://localhost/ws/voice",
    ]


def test_a_port_in_an_ipv6_host_is_seen() -> None:
    assert upgrade_urls(request(host="[::1]:8080"), public_url=None)[:2] == [
        "ws://[::1]:8080/ws/voice",
        "ws://[::1]/ws/voice",
    ]
    assert upgrade_urls(request(host="[::1]"), public_url=None) == [
        "ws://[::1]/ws/voice",
        "ws://[::1]:80/ws/voice",
        "wss://[::1]/ws/voice",
        "wss://[::1]:443/ws/voice",
    ]


def test_a_prefix_that_the_proxy_takes_away_is_signed() -> None:
    signature = sign("wss://relay.example.com/voice/relay")
    assert upgrade("/relay", signature, public_url=f"{BASE}/voice").form == "A"


def test_a_prefix_the_host_mounts_us_under_is_not_doubled() -> None:
    signature = sign("wss://relay.example.com/voice/relay")
    assert upgrade("/voice/relay", signature, public_url=f"{BASE}/voice", root_path="/voice").form == "A"
    assert request("/voices/relay", root_path="/voice").mounted_path == "/voices/relay"


def test_the_path_stays_encoded() -> None:
    assert upgrade("/relay/caf%C3%A9%2Fx", sign("wss://relay.example.com/relay/caf%C3%A9%2Fx")).form == "A"


@pytest.mark.parametrize(("proto", "scheme"), [("https", "wss"), ("http", "ws"), ("wss", "wss")])
def test_a_trusted_proxy_is_believed(proto: str, scheme: str) -> None:
    headers = {"X-Forwarded-Proto": proto, "X-Forwarded-Host": "other.example.com", "X-Forwarded-For": "203.0.113.9"}
    given = {"trusted_proxies": PROXY, "headers": headers, "public_url": None}
    signature = sign(f"{scheme}://other.example.com/ws/voice")
    assert upgrade("/ws/voice", signature, peer="10.0.0.1", **given).url == f"{scheme}://other.example.com/ws/voice"
    with pytest.raises(SignatureError):
        upgrade("/ws/voice", signature, peer="203.0.113.9", **given)


# --- form B -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/relay?", "/relay?=", "/relay?=ab", "/relay?=a&=b"])
def test_a_query_without_names_opens_no_second_form(target: str) -> None:
    for signed in ("wss://relay.example.com/relay", "wss://relay.example.com/relayab"):
        if target != "/relay?" or signed != "wss://relay.example.com/relay":
            with pytest.raises(SignatureError):
                upgrade(target, sign(signed))


def test_form_b_counts_blanks_and_repeats() -> None:
    assert upgrade("/r?k=b&k=a&k=b&e=", sign("wss://relay.example.com/rekakb")).form == "B"


def test_form_b_is_for_upgrades_only() -> None:
    with pytest.raises(SignatureError):
        webhook("/r?a=b", sign("https://relay.example.com/r", [("a", "b")]))


def test_a_huge_query_is_refused_not_raised() -> None:
    assert "not signed" in refusal(upgrade, "/r?" + "a=b&" * 2_000, "x")


@pytest.mark.parametrize(
    ("target", "signed"),
    [
        ("/relay/sales?force=", "/relay/salesforce"),
        ("/relay/sales?x=%3Fa", "/relay/salesx"),
        ("/re?lay=", "/relay"),
        ("/?relay=", "/relay"),
        ("/re?lay=/agent", "/relay/agent"),
        ("/%72elay/sales?force=", "/%72elay/salesforce"),
        ("/phone/relay/sales?force=", "/phone/relay/salesforce"),
    ],
)
def test_form_b_opens_no_route_by_the_signature_of_another(target: str, signed: str) -> None:
    with pytest.raises(SignatureError):
        upgrade(target, sign(f"wss://relay.example.com{signed}"))


@pytest.mark.parametrize("name", ["1a", "-a", "a b", "é", "a/b", "a%00", "", "a:b"])
def test_form_b_needs_plain_names(name: str) -> None:
    target = "/relay?" + urlencode({name: "v", "ok": "w"})
    with pytest.raises(SignatureError):
        upgrade(target, sign("wss://relay.example.com/relay", [(name, "v"), ("ok", "w")]))


@pytest.mark.parametrize("name", ["a", "_a", "A.b-c_9"])
def test_form_b_takes_plain_names(name: str) -> None:
    assert upgrade(f"/relay?{name}=v", sign("wss://relay.example.com/relay", [(name, "v")])).form == "B"


# --- the matrix -------------------------------------------------------------------------------------------

PUBLIC = [BASE, f"{BASE}:443", f"{BASE}:8443", f"{BASE}/phone", f"{BASE}:8443/phone"]
QUERIES = ["", "tier=gold", "a=1&b=2", "b=2&a=1", "k=1&k=2", "a=%20b&c=", "b=&a"]
SIGNED_SCHEMES = ["wss", "https", "ws", "http"]
SIGNED_HOSTS = [
    "relay.example.com",
    "relay.example.com:443",
    "relay.example.com:80",
    "relay.example.com:8443",
    "RELAY.example.com",
    "other.example.com",
]


def acceptable(public_url: str, scheme: str, host: str, prefix: str, signed_query: str, query: str) -> bool:
    """The rule in other words: the URL as it is known, with its port, without it, with 443 where none is written."""
    known, _, known_prefix = public_url.removeprefix("https://").partition("/")
    hosts = {known, known.partition(":")[0]} | ({f"{known}:443"} if ":" not in known else set())
    return scheme == "wss" and host in hosts and prefix.strip("/") == known_prefix and signed_query == query


@pytest.mark.parametrize("public_url", PUBLIC)
@pytest.mark.parametrize("query", QUERIES)
def test_what_was_signed_is_accepted_in_no_other_form(public_url: str, query: str) -> None:
    wrong: list[str] = []
    for scheme in SIGNED_SCHEMES:
        for host in SIGNED_HOSTS:
            for prefix in ("", "/phone", "/other"):
                for signed_query in {query, "", "a=1&b=2", "b=2&a=1"}:
                    for token in (TOKEN, "another"):
                        mark = "?" if signed_query else ""
                        url = f"{scheme}://{host}{prefix}/relay{mark}{signed_query}"
                        target = "/relay" + ("?" if query else "") + query
                        expected = token == TOKEN and acceptable(public_url, scheme, host, prefix, signed_query, query)
                        try:
                            upgrade(target, sign(url, token=token), public_url=public_url)
                            accepted = True
                        except SignatureError:
                            accepted = False
                        if accepted != expected:
                            wrong.append(f"{url} for {public_url} and {target}: {accepted}")
    assert wrong == []


# --- the order of the query -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signed", "asked"),
    [("b=2&a=1", "a=1&b=2"), ("d=4&c=3&b=2&a=1", "a=1&b=2&c=3&d=4"), ("a=2&a=1", "a=1&a=2")],
)
def test_another_order_of_the_query_is_refused_and_named(signed: str, asked: str) -> None:
    reasons = [
        refusal(upgrade, f"/relay/x?{asked}", sign(f"wss://relay.example.com/relay/x?{signed}")),
        refusal(webhook, f"/voice?{asked}", sign(f"{BASE}/voice?{signed}")),
        refusal(webhook, f"/voice?{asked}", sign(f"{BASE}:443/voice?{signed}")),
    ]
    for reason in reasons:
        assert "with the query in another order" in reason
        assert reason.endswith("write the query sorted by name")
        assert "=1" not in reason


def test_more_than_four_pairs_are_not_tried_in_other_orders() -> None:
    reason = refusal(webhook, "/voice?a=1&b=2&c=3&d=4&e=5", sign(f"{BASE}/voice?e=5&d=4&c=3&b=2&a=1"))
    assert reason.startswith("not signed for")


# --- absolute form ----------------------------------------------------------------------------------------


def from_scope(raw_path: bytes, host: bytes = b"relay.example.com", signature: str = "x") -> SignedRequest:
    headers = [(b"host", host), (b"x-twilio-signature", signature.encode())]
    scope = {"scheme": "ws", "path": "/x", "raw_path": raw_path, "query_string": b"", "headers": headers}
    return SignedRequest.from_scope({**scope, "client": ("10.0.0.1", 1)})


@pytest.mark.parametrize("raw_path", [b"/relay", b"http://relay.example.com/relay", b"wss://RELAY.example.com/relay"])
def test_an_absolute_target_is_signed_as_its_path(raw_path: bytes) -> None:
    signed = from_scope(raw_path, signature=sign("wss://relay.example.com/relay"))
    assert (signed.raw_path, signed.host) == ("/relay", "relay.example.com")
    assert check_upgrade(signed, tokens=(TOKEN,), public_url=BASE).form == "A"
    assert check_upgrade(from_scope(raw_path, signature=sign("wss://relay.example.com/relay")), tokens=(TOKEN,),
                         public_url=None).form == "A"  # fmt: skip


def test_an_absolute_target_for_another_host_is_no_host() -> None:
    signed = from_scope(b"http://localhost/relay", b"relay.example.com")
    assert signed.host == "relay.example.com, localhost"
    assert from_scope(b"http://localhost").raw_path == "/"
    assert from_scope(b"*").raw_path == "*"


# --- tokens and keys --------------------------------------------------------------------------------------


def test_rotation_tries_every_token() -> None:
    signature = sign("wss://relay.example.com/ws/voice", token="new")
    assert upgrade("/ws/voice", signature, tokens=("old", "new")).token_index == 1


@pytest.mark.parametrize(
    "signature", [None, "", " ", "x", "ÿ", "8eiQXd6+/9tA5dw95qUwI47j0Gs", "8eiQXd6+/9tA5dw95qUwI47j0Gs=="]
)
def test_missing_and_wrong_signatures(signature: str | None) -> None:
    reason = refusal(upgrade, "/ws/voice", signature)
    assert ("no X-Twilio-Signature header" in reason) == (not (signature or "").strip())


def test_no_token_accepts_nothing() -> None:
    with pytest.raises(SignatureError):
        upgrade("/ws/voice", sign("wss://relay.example.com/ws/voice", token=""), tokens=())


def test_two_different_signatures_are_refused() -> None:
    headers = [(SIGNATURE_HEADER, sign("wss://relay.example.com/ws/voice")), (SIGNATURE_HEADER.lower(), "x")]
    signed = SignedRequest(scheme="ws", host="h", raw_path="/ws/voice", headers=headers)
    assert "2 different" in refusal(check_upgrade, signed, tokens=(TOKEN,), public_url=BASE)


SHA256_SIGNED = "zrgDyg8xarrtN05MPR6WXniXzntar/QvPPa4Ph4xW1w="


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("key=unknown,algorithm=HMAC_SHA256", "shared key unknown, which is not configured"),
        ("algorithm=HMAC_SHA256", "names no key="),
        ("key=,algorithm=HMAC_SHA256", "names no key="),
        ("key=webhooks_sharedkey_1,algorithm=HMAC_MD5", "signed with HMAC_MD5"),
        ("", "not signed for"),
        ("key=webhooks_sharedkey_1", "not signed for"),
        ("nonsense", "not signed for"),
    ],
)
def test_a_header_does_not_choose_what_is_accepted(settings: str, expected: str) -> None:
    given = {"headers": {SETTINGS_HEADER: settings}, "shared_keys": KEYS}
    assert expected in refusal(upgrade, "/ws/voice", SHA256_SIGNED, **given)


def test_a_shared_key_does_not_stand_for_the_auth_token() -> None:
    with pytest.raises(SignatureError):
        upgrade("/ws/voice", SHA256_SIGNED, headers=SHARED, shared_keys={"webhooks_sharedkey_1": "another"})


# --- bodies -----------------------------------------------------------------------------------------------


def test_a_body_that_nothing_covers_is_refused() -> None:
    reason = refusal(webhook, "/hook", sign(f"{BASE}/hook"), JSON_BODY, "application/json")
    assert "expected one bodySHA256" in reason


def test_a_hash_of_another_body_is_refused() -> None:
    vector = {**HTTP_VECTORS[4], "body": JSON_BODY + b" "}
    assert "does not fit the body" in refusal(webhook, **vector)


def test_two_hashes_are_refused() -> None:
    target = f"/hook?bodySHA256={HASH}&bodySHA256={'0' * 64}"
    assert "found 2" in refusal(webhook, target, sign(BASE + target), JSON_BODY, "application/json")


def test_a_body_without_content_type_is_not_taken_for_a_form() -> None:
    with pytest.raises(SignatureError):
        webhook("/x", "5ff4eusBNG88MXmatuWYtekd29I=", b"k=b&k=a&k=b", "")


def test_forms_keep_blanks_and_repeats() -> None:
    assert form_fields(b"a=&b=%C3%BC&b=1+2&c") == [("a", ""), ("b", "ü"), ("b", "1 2"), ("c", "")]
    with pytest.raises(SignatureError, match="at most 500"):
        form_fields(b"a=1&" * 501)


# --- explanations -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signed", "advice"),
    [
        ("https://relay.example.com/relay", "write wss://"),
        ("http://relay.example.com/relay", "write wss://"),
        ("ws://relay.example.com/relay", "write wss://"),
        ("https://relay.example.com/relay/", "write wss://"),
        ("https://relay.example.com:443/relay", "write wss://"),
        ("wss://relay.example.com/relay/", "slash at the end"),
        ("wss://relay.example.com:80/relay", "host and port"),
        ("wss://internal:8080/relay", "STUDIO_RELAY_PUBLIC_URL"),
    ],
)
def test_a_refusal_says_what_was_signed(signed: str, advice: str) -> None:
    reason = refusal(upgrade, "/relay", sign(signed))
    assert reason.startswith(f"signed for {signed}, expected wss://relay.example.com/relay; ")
    assert advice in reason


def test_a_prefix_too_much_or_too_little_is_named() -> None:
    reason = refusal(upgrade, "/relay", sign("wss://relay.example.com/relay"), public_url=f"{BASE}/voice")
    assert "signed for wss://relay.example.com/relay, expected wss://relay.example.com/voice/relay" in reason
    assert "path prefix" in reason


def test_a_written_443_is_as_good_as_none_both_ways() -> None:
    for signed in ("wss://relay.example.com/relay", "wss://relay.example.com:443/relay"):
        for public_url in (BASE, f"{BASE}:443"):
            assert upgrade("/relay", sign(signed), public_url=public_url).url == signed


def test_a_lost_query_is_named_without_its_values() -> None:
    reason = refusal(upgrade, "/relay?=x&token", sign("wss://relay.example.com/relay"), public_url=BASE)
    assert "canary" not in refusal(upgrade, "/relay?token=canary", "x")
    assert "the query was lost or added" in reason


def test_an_untrusted_forwarded_host_is_only_talked_about() -> None:
    headers = {"X-Forwarded-Host": "tunnel.example.com", "X-Forwarded-Proto": "https"}
    reason = refusal(upgrade, "/relay", sign("wss://tunnel.example.com/relay"), headers=headers, peer="127.0.0.1")
    assert "signed for wss://tunnel.example.com/relay" in reason


@pytest.mark.parametrize("host", ["RELAY.EXAMPLE.COM", "Relay.example.com", "Relay.Example.Com"])
def test_a_host_in_capitals_is_named(host: str) -> None:
    reason = refusal(upgrade, "/relay", sign(f"wss://{host}/relay"))
    assert reason == (
        f"signed for wss://{host}/relay, expected wss://relay.example.com/relay; "
        "write the host with the same small and capital letters as in STUDIO_RELAY_PUBLIC_URL"
    )
    public = BASE.replace("relay.", "Relay.")
    assert "capital letters" in refusal(upgrade, "/relay", sign("wss://relay.example.com/relay"), public_url=public)


@pytest.mark.parametrize("header", ["X-Forwarded-Prefix", "X-Script-Name"])
def test_a_prefix_that_a_proxy_took_away_is_named_where_it_says_so(header: str) -> None:
    reason = refusal(upgrade, "/relay", sign("wss://relay.example.com/phone/relay"), headers={header: "/phone/"})
    assert reason.startswith("signed for wss://relay.example.com/phone/relay, expected wss://relay.example.com/relay; ")
    assert reason.endswith(
        "STUDIO_RELAY_PUBLIC_URL must end in the path prefix that Twilio calls and the proxy takes away"
    )


def test_a_wrong_token_is_named() -> None:
    reason = refusal(upgrade, "/relay", sign("wss://relay.example.com/relay", token="another"))
    assert "the token is wrong: TWILIO_AUTH_TOKEN must be the primary auth token of the account that calls" in reason


def test_what_is_unknowable_is_said_in_general() -> None:
    reason = refusal(upgrade, "/relay", sign("wss://other.example.com/relay"))
    assert reason.startswith("not signed for wss://relay.example.com/relay: ")
    assert "TWILIO_AUTH_TOKEN" in reason


def test_http_refusals_explain_too() -> None:
    fields = urlencode(ACTION).encode()
    reason = refusal(webhook, "/connect-action", sign("http://relay.example.com/connect-action", ACTION), fields)
    assert reason.startswith("signed for http://relay.example.com/connect-action, expected https://relay")


def test_a_stranger_cannot_make_us_explain_a_huge_request() -> None:
    for size, expected in ((7_000, "signed for https://"), (9_000, "not signed for wss://")):
        target = "/relay?a=" + "x" * size
        assert refusal(upgrade, target, sign(f"{BASE}{target}")).startswith(expected)


def test_signature_and_token_are_never_shown() -> None:
    signature = sign("wss://relay.example.com/ws/voice")
    signed = request("/other", signature)
    text = refusal(check_upgrade, signed, tokens=(TOKEN,), public_url=BASE) + repr(signed)
    assert signature not in text
    assert TOKEN not in text


# --- wild input -------------------------------------------------------------------------------------------

SCOPE_BYTES = st.binary(max_size=40)


@given(path=SCOPE_BYTES, query=SCOPE_BYTES, host=SCOPE_BYTES, signature=SCOPE_BYTES, proto=SCOPE_BYTES)
def test_any_scope_is_refused_with_one_printable_line(
    path: bytes, query: bytes, host: bytes, signature: bytes, proto: bytes
) -> None:
    headers = [(b"host", host), (b"x-twilio-signature", signature), (b"x-forwarded-proto", proto)]
    scope = {"scheme": "ws", "path": "/x", "raw_path": path, "query_string": query, "headers": headers}
    signed = SignedRequest.from_scope({**scope, "client": ("10.0.0.1", 1)})
    for public_url in (BASE, None):
        given = {"tokens": (TOKEN,), "public_url": public_url, "trusted_proxies": PROXY}
        assert refusal(check_upgrade, signed, **given).isprintable()


def test_a_scope_is_read_as_the_hosts_write_it() -> None:
    headers = [(b"host", b"h:1"), (b"x-twilio-signature", b"s")]
    scope = {"scheme": "wss", "path": "/é", "query_string": b"a=b", "headers": headers, "client": None}
    signed = SignedRequest.from_scope(scope)
    assert (signed.scheme, signed.host, signed.raw_path, signed.query, signed.peer) == (
        "wss",
        "h:1",
        "/%C3%A9",
        "a=b",
        None,
    )
    assert SignedRequest.from_scope({**scope, "raw_path": b"/a?b"}).raw_path == "/a"


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=6))
def test_any_form_signed_by_an_independent_signer_is_accepted(fields: list[tuple[str, str]]) -> None:
    fields = [(n.encode("utf-8", "replace").decode(), v.encode("utf-8", "replace").decode()) for n, v in fields]
    assert webhook("/x", sign(f"{BASE}/x", fields), urlencode(fields).encode()).token_index == 0


def test_hash_of_the_vector_is_the_hash_of_the_body() -> None:
    assert hashlib.sha256(JSON_BODY).hexdigest() == HASH
