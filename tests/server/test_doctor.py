"""What the doctor finds: on this machine, on the way to a real server on loopback, and in an account that is faked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

from studio_relay import hookimpl
from studio_relay.plugins import Plugins, assemble, load_plugins, plugin
from studio_relay.server.app import create_app
from studio_relay.server.doctor import Finding, examine, here, way
from studio_relay.server.doctor.account import look_at_account
from studio_relay.server.doctor.here import look_here
from studio_relay.server.doctor.way import look_at_way
from studio_relay.server.hosting import hosted, listen
from studio_relay.settings import Settings, load_settings

TOKEN = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"
PUBLIC = "https://relay.example.com/pre"
SID = "AC" + "1" * 32
SECONDS = 20


class Quiet:
    """An agent that says nothing."""

    @hookimpl
    async def on_prompt(self) -> None:
        return None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that others cannot look into."""
    tmp_path.chmod(0o700)
    return tmp_path


def plugins() -> Plugins:
    return assemble(
        [*load_plugins(outside=False).agents.values(), plugin(Quiet(), name="quiet", kind="agent")],
    )


def settings(**wanted: Any) -> Settings:
    return load_settings(None, **({"auth_token": TOKEN, "agent": "quiet"} | wanted))


async def gather(findings: AsyncIterator[Finding]) -> list[Finding]:
    async with asyncio.timeout(SECONDS):
        return [finding async for finding in findings]


def of(findings: list[Finding], check: str, level: str | None = None) -> list[Finding]:
    return [found for found in findings if found.check == check and level in (None, found.level)]


def test_every_finding_that_is_not_ok_says_what_to_do() -> None:
    bad = settings(public_url="https://localhost/relay", record_dir=Path("/dev/null/recordings"), auth_token="x")
    findings = asyncio.run(gather(look_here(bad, plugins())))
    assert {found.level for found in findings} == {"ok", "warn", "fail"}
    assert all(found.advice for found in findings if found.level != "ok")
    assert not any(found.advice for found in findings if found.level == "ok")


# --- here -------------------------------------------------------------------------------------------------


async def test_a_sound_installation_has_nothing_to_mind(folder: Path) -> None:
    sound = settings(
        public_url=PUBLIC,
        account_sid=SID,
        store_url=f"sqlite:///{folder}/relay.db",
        record_dir=folder,
        max_calls=50,
    )
    findings = await gather(look_here(sound, plugins()))
    assert [found for found in findings if found.level != "ok"] == []


@pytest.mark.parametrize(
    ("wanted", "check", "level", "words"),
    [
        ({"auth_token": SID}, "auth token", "fail", "holds a SID"),
        ({"auth_token": "abc"}, "auth token", "warn", "32 hexadecimal"),
        ({"auth_tokens": ["x"]}, "auth token", "warn", "STUDIO_RELAY_AUTH_TOKENS"),
        ({"auth_token": None, "insecure": True}, "auth token", "warn", "unsigned"),
        ({"insecure": True, "public_url": PUBLIC}, "settings", "fail", "INSECURE"),
        ({}, "account", "warn", "TWILIO_ACCOUNT_SID"),
        ({"public_url": "https://127.0.0.1"}, "public URL", "fail", "this machine"),
        ({"public_url": "https://relay.example.com/relay"}, "public URL", "warn", "ends in relay"),
        ({"agent": "nobody"}, "agent", "fail", "nobody"),
        ({"public_url": PUBLIC}, "store", "warn", "memory"),
        ({"store_url": "sqlite:////dev/null/relay.db"}, "store", "fail", "sqlite"),
        ({"store_url": "redis://user:hunter2@host"}, "store", "fail", "redis"),
        ({"record_dir": Path("/dev/null/recordings")}, "recordings", "fail", "not a folder"),
        ({"max_frames_burst": 100}, "limits", "warn", "replay"),
        ({"hook_timeout_seconds": 30}, "limits", "warn", "silent for 30 s"),
        ({"max_reconnects": 5}, "limits", "warn", "5 times"),
        ({"require_ticket": True}, "limits", "warn", "widget"),
        ({"twiml": {"speech_timeout": "5"}}, "TwiML", "fail", "STUDIO_RELAY_TWIML__SPEECH_TIMEOUT"),
        ({"twiml": {"voice": "Joanna-Neural", "tts_provider": "Google"}}, "TwiML", "warn", "Joanna-Neural"),
        ({"max_calls": 1_000}, "limits", "warn", "may open 1024 files, and 1000 calls need 1100"),
    ],
)
async def test_what_is_wrong_is_found(
    monkeypatch: pytest.MonkeyPatch, wanted: dict[str, Any], check: str, level: str, words: str
) -> None:
    monkeypatch.setattr(here, "_open_files", lambda: 1024)
    findings = await gather(look_here(settings(**wanted), plugins()))
    matching = [found for found in of(findings, check, level) if words in found.what]
    assert len(matching) == 1, findings
    assert not any(secret in repr(findings) for secret in (TOKEN, "hunter2"))


def test_recordings_that_anybody_can_read(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    findings = asyncio.run(gather(look_here(settings(record_dir=tmp_path, record_full=True), plugins())))
    assert [found.what for found in of(findings, "recordings", "warn")] == [
        "numbers, names and keys are recorded as they are",
        f"every user of this machine can look into {tmp_path}",
    ]


async def test_a_name_that_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_RELAY_PUBLIC_URI", PUBLIC)
    [finding] = of(await gather(look_here(settings(), plugins())), "settings")
    assert (finding.level, finding.advice) == ("warn", "did you mean STUDIO_RELAY_PUBLIC_URL?")


# --- the way ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def server(**wanted: Any) -> AsyncIterator[str]:
    """A real server on loopback; its http base."""
    listener = listen("127.0.0.1", 0)
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with hosted(create_app(settings(**wanted), plugins()), listener):
        yield base


async def test_a_server_that_is_set_up_as_this_shell_is() -> None:
    async with server(public_url=PUBLIC) as base:
        findings = await gather(look_at_way(settings(public_url=PUBLIC), base))
    assert [found for found in findings if found.level != "ok"] == []
    [signed] = of(findings, "signed upgrade")
    assert signed.what == "accepted when signed for wss://relay.example.com/pre/relay"
    assert of(findings, "unsigned upgrade")[0].what == "refused, as it must be"
    assert of(findings, "voice URL")[0].what == f"{PUBLIC}/voice leads to wss://relay.example.com/pre/relay"


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        ({"public_url": "https://relay.example.com"}, "it does not know the path prefix"),
        ({}, "it takes the proxy's name for it for its own"),
        ({"public_url": PUBLIC, "auth_token": OTHER}, "refused with 403"),
        ({"public_url": "https://other.example.com"}, "refused with 403"),
    ],
)
async def test_a_server_that_expects_another_signature(theirs: dict[str, Any], words: str) -> None:
    async with server(**theirs) as base:
        findings = await gather(look_at_way(settings(public_url=PUBLIC), base))
    [signed] = of(findings, "signed upgrade")
    assert signed.level == "fail"
    assert words in signed.what
    assert PUBLIC in signed.advice
    assert of(findings, "voice URL", "fail")
    assert TOKEN not in repr(findings)


async def test_a_token_that_is_being_rotated() -> None:
    async with server(public_url=PUBLIC, auth_token=OTHER) as base:
        findings = await gather(look_at_way(settings(public_url=PUBLIC, auth_tokens=[OTHER]), base))
    [signed] = of(findings, "signed upgrade")
    assert (signed.level, "STUDIO_RELAY_AUTH_TOKENS" in signed.what) == ("warn", True)


async def test_an_insecure_server_on_this_machine() -> None:
    async with server(insecure=True, auth_token=None) as base:
        findings = await gather(look_at_way(settings(insecure=True, auth_token=None), base))
    assert [found.level for found in of(findings, "unsigned upgrade")] == ["ok"]


async def test_without_any_url_there_is_nothing_to_ask() -> None:
    [finding] = await gather(look_at_way(settings(), None))
    assert (finding.level, finding.check) == ("warn", "public URL")


async def test_nothing_listens() -> None:
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    listener.close()
    findings = await gather(look_at_way(settings(public_url=PUBLIC, port=port), f"http://127.0.0.1:{port}"))
    assert "nothing listens there" in findings[0].what
    assert "does not answer either" in findings[1].what


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (httpx.Response(301, headers={"Location": "https://www.example.com/"}), "redirected"),
        (httpx.Response(404), "answers 404"),
        (httpx.Response(502), "answers 502"),
        (httpx.Response(401), "answers 401"),
        (httpx.Response(200, text="<html>Visit site</html>"), "it is not this server"),
        (httpx.Response(200, json={"ok": True, "more": 1}), "it is not this server"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"), "TLS certificate"),
        (httpx.ConnectError("[Errno -2] Name or service not known"), "cannot be resolved"),
        (httpx.ReadTimeout("timed out"), "no answer within"),
    ],
)
async def test_what_stands_before_the_relay(respx_mock: respx.MockRouter, response: Any, words: str) -> None:
    route = respx_mock.get(f"{PUBLIC}/health")
    route.mock(side_effect=response) if isinstance(response, Exception) else route.mock(return_value=response)
    respx_mock.get("http://127.0.0.1:8080/health").mock(return_value=httpx.Response(200, json={"ok": True}))
    first, second = await gather(look_at_way(settings(public_url=PUBLIC), None))
    assert first.level == "fail"
    assert words in first.what
    assert first.advice
    assert "proxy, the tunnel or the name" in second.what


async def endless(writer: asyncio.StreamWriter, piece: bytes, pause: float) -> None:
    """An answer that never ends, until nobody reads it any more."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
    try:
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
    except ConnectionError:
        pass


@pytest.mark.parametrize(
    ("answer", "scheme", "words"),
    [
        (b"", "http", "no answer within"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "http", "no web server, or wants TLS (RemoteProtocolError)"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", "http", "no web server"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "https", "does not speak TLS"),
        (b"drip", "http", "no answer within"),
        (b"flood", "http", "it is not this server"),
    ],
)
async def test_whatever_answers_there_is_met_in_time(
    answer: bytes, scheme: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way, "_SECONDS", 0.5)
    done = asyncio.Event()
    talks: list[asyncio.Task[Any] | None] = []

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.current_task())
        await reader.read(1)
        if answer in (b"drip", b"flood"):
            await endless(writer, *((b"{", 0.05) if answer == b"drip" else (b"x" * 50_000, 0)))
        elif answer:
            writer.write(answer)
        else:
            await done.wait()
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as stranger:
        base = f"{scheme}://127.0.0.1:{stranger.sockets[0].getsockname()[1]}"
        [finding, *_] = of(await gather(look_at_way(settings(port=1), base)), "reach")
        done.set()
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(*filter(None, talks))
    assert finding.level == "fail"
    assert words in finding.what
    assert finding.advice


@pytest.mark.parametrize(
    ("answer", "level", "words"),
    [
        ("426 Upgrade Required", "fail", "does not pass upgrades on"),
        ("200 OK", "fail", "does not pass upgrades on"),
        ("404 Not Found", "fail", "there is no /relay"),
        ("503 Service Unavailable", "warn", "draining or full"),
        ("502 Bad Gateway", "fail", "answered 502"),
        ("500 Internal Server Error", "fail", "answered 500"),
        ("302 Found\r\nLocation: wss://elsewhere.example/", "fail", "redirected"),
    ],
)
async def test_a_proxy_that_answers_the_upgrade_itself(answer: str, level: str, words: str) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        head = "200 OK" if b"/health" in request else answer
        body = '{"ok": true}' if b"/health" in request else ""
        writer.write(f"HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    proxy = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with proxy:
        base = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        findings = await gather(look_at_way(settings(public_url=PUBLIC), base))
    [signed] = of(findings, "signed upgrade")
    assert signed.level == level
    assert words in signed.what


async def test_offline_asks_nobody(respx_mock: respx.MockRouter) -> None:
    findings = await gather(examine(settings(public_url=PUBLIC, account_sid=SID), plugins(), offline=True))
    assert {found.check for found in findings}.isdisjoint({"reach", "account wiring", "signed upgrade"})
    assert not respx_mock.calls


# --- the account ------------------------------------------------------------------------------------------

ACCOUNT = f"https://api.twilio.com/2010-04-01/Accounts/{SID}.json"
NUMBERS = f"https://api.twilio.com/2010-04-01/Accounts/{SID}/IncomingPhoneNumbers.json"
FLOW = "FW" + "2" * 32
FLOW_URL = f"https://webhooks.twilio.com/v1/Accounts/{SID}/Flows/{FLOW}"
NUMBER = {"sid": "PN" + "3" * 32, "phone_number": "+15550100002", "friendly_name": "Front desk"}


@pytest.fixture
def account(respx_mock: respx.MockRouter) -> Callable[..., None]:
    """Fakes an account with numbers and one flow."""

    def fake(*voice_urls: str, definition: Any = None, **fields: Any) -> None:
        respx_mock.get(ACCOUNT).mock(
            return_value=httpx.Response(200, json={"status": "active", "type": "Full"} | fields.pop("account", {}))
        )
        numbers = [NUMBER | {"voice_url": url} | fields for url in voice_urls]
        respx_mock.get(NUMBERS).mock(return_value=httpx.Response(200, json={"incoming_phone_numbers": numbers}))
        if definition is not None:
            respx_mock.get(f"https://studio.twilio.com/v2/Flows/{FLOW}").mock(
                return_value=httpx.Response(200, json={"definition": definition})
            )

    return fake


async def wiring(**wanted: Any) -> list[Finding]:
    findings = await gather(look_at_account(settings(**({"public_url": PUBLIC, "account_sid": SID} | wanted))))
    assert not any(secret in repr(findings) for secret in (TOKEN, "+1555", "Front desk"))
    return findings


async def test_without_credentials_nobody_is_asked(respx_mock: respx.MockRouter) -> None:
    [finding] = await gather(look_at_account(settings(public_url=PUBLIC)))
    assert finding.level == "ok"
    assert not respx_mock.calls


async def test_a_number_that_leads_here(account: Callable[..., None]) -> None:
    account(f"{PUBLIC}/voice", "https://elsewhere.example/voice", voice_fallback_url="https://handler.example/sorry")
    assert [(found.level, found.check) for found in await wiring()] == [("ok", "account"), ("ok", "numbers")]


@pytest.mark.parametrize(
    ("url", "fields", "level", "words"),
    [
        ("https://relay.example.com/voice", {}, "fail", "calls https://relay.example.com/voice"),
        ("http://relay.example.com/pre/voice", {}, "fail", "calls http://"),
        (f"{PUBLIC}/relay", {}, "fail", "calls"),
        (f"{PUBLIC}/voice/", {}, "fail", "calls"),
        (f"{PUBLIC}/voice/front-desk?return=x", {}, "warn", "nothing to fall back on"),
        (f"{PUBLIC}/voice", {"voice_application_sid": "AP1"}, "fail", "wins"),
        ("https://[", {}, "warn", "none of the account's 1 numbers"),
        ("", {}, "warn", "none of the account's 1 numbers"),
    ],
)
async def test_a_number_that_is_wired_wrongly(
    account: Callable[..., None], url: str, fields: dict[str, str], level: str, words: str
) -> None:
    account(url, **fields)
    _, finding = await wiring()
    assert (finding.check, finding.level) == ("numbers", level)
    assert words in finding.what


@pytest.mark.parametrize(
    ("url", "level"),
    [
        ("wss://relay.example.com/pre/relay", "ok"),
        ("wss://relay.example.com/pre/relay/front-desk", "ok"),
        ("https://relay.example.com/pre/voice?return=x", "ok"),
        ("ws://relay.example.com/pre/relay", "fail"),
        ("wss://relay.example.com/relay", "fail"),
        ("wss://relay.example.com/pre/relay2", "fail"),
        ("wss://relay.example.com/pre/relay/", "fail"),
    ],
)
async def test_a_flow_that_a_number_leads_to(account: Callable[..., None], url: str, level: str) -> None:
    account(
        FLOW_URL, definition={"states": [{"name": "relay", "properties": {"url": url}}, {"x": "wss://other.example"}]}
    )
    _, finding = await wiring()
    assert (finding.check, finding.level) == ("flows", level)
    assert FLOW in finding.what


@pytest.mark.parametrize(
    ("fields", "level"), [({"status": "suspended"}, "fail"), ({"type": "Trial"}, "warn"), ({"status": None}, "fail")]
)
async def test_an_account_that_is_not_fit(account: Callable[..., None], fields: dict[str, Any], level: str) -> None:
    account(account=fields)
    assert (await wiring())[0].level == level


async def test_a_token_of_another_account(respx_mock: respx.MockRouter) -> None:
    respx_mock.get(ACCOUNT).mock(return_value=httpx.Response(401, json={"code": 20003}))
    [finding] = await wiring()
    assert (finding.level, "TWILIO_AUTH_TOKEN" in finding.what) == ("fail", True)


@pytest.mark.parametrize("answer", [httpx.Response(500), httpx.Response(200, text="x"), httpx.Response(200, json=[])])
async def test_an_api_that_answers_strangely(respx_mock: respx.MockRouter, answer: httpx.Response) -> None:
    respx_mock.get(ACCOUNT).mock(return_value=answer)
    [finding] = await wiring()
    assert finding.level == "warn"


async def test_an_api_that_is_not_reached(respx_mock: respx.MockRouter) -> None:
    respx_mock.get(ACCOUNT).mock(side_effect=httpx.ConnectTimeout("x"))
    [finding] = await wiring()
    assert (finding.level, "ConnectTimeout" in finding.what) == ("warn", True)


async def test_an_api_key_reads_the_wiring_and_the_token_proves_itself(
    account: Callable[..., None], respx_mock: respx.MockRouter
) -> None:
    account(f"{PUBLIC}/voice")
    await wiring(api_key="SK" + "4" * 32, api_secret="an-api-secret")
    users = [httpx.BasicAuth(*pair)._auth_header for pair in ((SID, TOKEN), ("SK" + "4" * 32, "an-api-secret"))]
    assert [call.request.headers["Authorization"] for call in respx_mock.calls] == users
