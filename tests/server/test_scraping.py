"""/metrics: absent unless asked for, and never public through a proxy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from studio_relay import SettingsError, hookimpl
from studio_relay.settings import load_settings

TOKEN = "0123456789abcdef0123456789abcdef"
READER = "a-token-for-prometheus"


class Echo:
    """Says what it hears."""

    @hookimpl
    async def on_prompt(self, prompt: Any) -> Any:
        yield prompt.voice_prompt


async def get(server: Any, *, headers: dict[str, str] | None = None, peer: str = "127.0.0.1") -> tuple[int, str]:
    """The status and body of GET /metrics."""
    client = server.app.test_client()
    names = {"Host": "localhost:8080"} | (headers or {})
    response = await client.get("/metrics", headers=names, scope_base={"client": (peer, 50_000)})
    return response.status_code, await response.get_data(as_text=True)


async def test_there_is_none_unless_asked_for(serve: Callable[..., Any]) -> None:
    status, _ = await get(serve(Echo()))
    assert status == 404


async def test_a_call_is_counted(serve: Callable[..., Any], setup_frame: dict[str, Any]) -> None:
    server = serve(Echo(), metrics=True)
    socket = await server.connect()
    await socket.send(setup_frame)
    await socket.prompt("hello")
    status, body = await get(server)
    assert status == 200
    assert 'studio_relay_calls_live{agent="agent"} 1.0' in body
    assert 'studio_relay_first_word_seconds_count{agent="agent"} 1.0' in body
    await socket.disconnect(1000)
    _, body = await get(server)
    assert 'studio_relay_calls_live{agent="agent"} 0.0' in body
    assert 'studio_relay_calls_total{agent="agent",reason="hangup"} 1.0' in body
    assert "+1555" not in body


async def test_refusals_are_counted_by_kind(serve: Callable[..., Any]) -> None:
    server = serve(Echo(), auth_token=TOKEN, metrics=True)
    await server.connect()
    await server.connect("/relay/nobody", headers={"x-twilio-signature": "wrong"})
    _, body = await get(server)
    assert 'studio_relay_refusals_total{reason="signature",status="403"} 2.0' in body


@pytest.mark.parametrize(
    ("headers", "peer"),
    [
        ({}, "10.0.0.9"),
        ({"Host": "relay.example.com"}, "127.0.0.1"),
        ({"X-Forwarded-For": "203.0.113.9"}, "127.0.0.1"),
        ({"Forwarded": "for=203.0.113.9"}, "127.0.0.1"),
        ({"Origin": "https://evil.example"}, "127.0.0.1"),
    ],
)
async def test_without_a_token_only_this_machine_reads(
    serve: Callable[..., Any], headers: dict[str, str], peer: str
) -> None:
    status, body = await get(serve(Echo(), metrics=True), headers=headers, peer=peer)
    assert status == 403
    assert "studio_relay_" not in body


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {READER}", 200),
        (f"bearer {READER}", 200),
        ("Bearer another-token-for-it", 403),
        (f"Basic {READER}", 403),
        (READER, 403),
        ("Bearer", 403),
        ("Bearer \u00fcber", 403),
        (None, 403),
    ],
)
async def test_a_token_opens_it_from_anywhere(
    serve: Callable[..., Any], caplog: pytest.LogCaptureFixture, authorization: str | None, status: int
) -> None:
    server = serve(Echo(), metrics_token=READER, auth_token=TOKEN, public_url="https://relay.example.com")
    headers = {"X-Forwarded-For": "203.0.113.9"} | ({"Authorization": authorization} if authorization else {})
    found, _ = await get(server, headers=headers, peer="10.0.0.9")
    assert found == status
    assert READER not in caplog.text


def test_behind_a_proxy_a_token_is_needed() -> None:
    with pytest.raises(SettingsError, match="STUDIO_RELAY_METRICS_TOKEN: not set"):
        load_settings(None, metrics=True, auth_token=TOKEN, public_url="https://relay.example.com")


def test_a_short_token_is_refused_without_being_shown() -> None:
    with pytest.raises(SettingsError, match="at least 16") as refused:
        load_settings(None, auth_token=TOKEN, metrics_token="short")
    assert "short" not in str(refused.value)
    assert READER not in repr(load_settings(None, auth_token=TOKEN, metrics_token=READER))
