"""Behind the real nginx, set up as the README says: what is signed rightly is accepted, and nothing else.

nginx runs in a folder of its own, on loopback and free ports, with a certificate made for the test.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from ports import free_ports, wait_until_it_listens
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from studio_relay import SettingsError
from studio_relay.plugins import load_plugins
from studio_relay.server.app import create_app
from studio_relay.server.doctor.way import look_at_way
from studio_relay.server.hosting import hosted, listen
from studio_relay.settings import load_settings
from studio_relay.testing.signing import sign_request, sign_upgrade

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(NGINX is None or OPENSSL is None, reason="nginx or openssl is not installed here")

README = Path(__file__).parents[2] / "README.md"
TOKEN = "0123456789abcdef0123456789abcdef"
HOST = "relay.example.com"
PUBLIC = f"https://{HOST}"
PHONE = f"{PUBLIC}/phone"
RELAY = f"wss://{HOST}/relay"
TRUST = {"trusted_proxies": "127.0.0.0/8"}
SECONDS = 20


@dataclass(frozen=True, kw_only=True)
class Nginx:
    """A running nginx: ports of the README's server, of one that was set up carelessly, and of the relay behind."""

    tls: int
    plain: int
    careless: int
    relay: int

    def door(self, name: str) -> tuple[str, int]:
        """What is asked for through a door, as Twilio would, and the port on loopback where it is."""
        return {
            "nginx": (f"wss://{HOST}", self.tls),
            "nginx, a path taken away": (f"wss://{HOST}/phone", self.tls),
            "careless nginx": (f"ws://{HOST}", self.careless),
            "direct": (f"ws://127.0.0.1:{self.relay}", self.relay),
        }[name]


def configuration(folder: Path, nginx: Nginx) -> str:
    """The README's nginx blocks with our ports; a second server that sets no header at all."""
    server, below = re.findall(r"```nginx\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    server = server.replace("listen 443 ssl;", f"listen 127.0.0.1:{nginx.tls} ssl;\nlisten 127.0.0.1:{nginx.plain};")
    server = re.sub(r"/etc/ssl/relay\.example\.com\.", f"{folder}/", server)
    server = server.replace("location / {", f"{below}\nlocation / {{")
    blocks = server.replace("127.0.0.1:8080", f"127.0.0.1:{nginx.relay}")
    assert "8080" not in blocks
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
        {"user root;" if os.getuid() == 0 else ""}
        daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
        events {{}}
        http {{
            access_log off; {temporary}
            {blocks}
            server {{
                listen 127.0.0.1:{nginx.careless};
                proxy_http_version 1.1;
                proxy_set_header Upgrade $http_upgrade;
                proxy_set_header Connection "upgrade";
                location / {{ proxy_pass http://127.0.0.1:{nginx.relay}; }}
            }}
        }}
    """


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """nginx, until the tests here are done."""
    folder = tmp_path_factory.mktemp("nginx")
    assert OPENSSL is not None
    assert NGINX is not None
    subprocess.run(
        [OPENSSL, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={HOST}",
         "-keyout", str(folder / "key"), "-out", str(folder / "pem")],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    tls, plain, careless, relay = free_ports(4)
    running = Nginx(tls=tls, plain=plain, careless=careless, relay=relay)
    (folder / "nginx.conf").write_text(configuration(folder, running))
    command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        wait_until_it_listens(process, careless, folder / "error.log")
        yield running
    finally:
        process.terminate()
        process.communicate(timeout=10)


@asynccontextmanager
async def relay(nginx: Nginx, **wanted: Any) -> AsyncIterator[None]:
    """Our server where nginx looks for it."""
    settings = load_settings(None, **({"auth_token": TOKEN, "agent": "echo", "port": nginx.relay} | wanted))
    async with asyncio.timeout(2 * SECONDS):
        async with hosted(create_app(settings, load_plugins(outside=False)), listen("127.0.0.1", nginx.relay)):
            yield


def trusting() -> ssl.SSLContext:
    """The certificate is the test's own."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@asynccontextmanager
async def upgraded(nginx: Nginx, door: str, headers: dict[str, str]) -> AsyncIterator[ClientConnection]:
    """A socket through a door."""
    base, port = nginx.door(door)
    async with asyncio.timeout(SECONDS):
        async with connect(
            f"{base}/relay",
            host="127.0.0.1",
            port=port,
            additional_headers=headers,
            compression=None,
            proxy=None,
            ssl=trusting() if base.startswith("wss") else None,
        ) as client:
            yield client


async def status_of(nginx: Nginx, door: str, signed: str | None, headers: dict[str, str] | None = None) -> int:
    """101, or the status of the refusal."""
    signature = {} if signed is None else sign_upgrade(signed, TOKEN, sign_as=signed)
    try:
        async with upgraded(nginx, door, signature | (headers or {})):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


FORGED = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "127.0.0.1"}


@pytest.mark.parametrize(
    ("server", "door", "signed", "headers", "status", "why"),
    [
        # The public URL decides, whatever is in between.
        ({"public_url": PUBLIC}, "nginx", RELAY, {}, 101, ""),
        ({"public_url": PUBLIC}, "careless nginx", RELAY, {}, 101, ""),
        ({"public_url": PUBLIC}, "direct", RELAY, {}, 101, ""),
        ({"public_url": PUBLIC}, "nginx", f"wss://{HOST}:443/relay", {}, 101, ""),
        ({"public_url": PUBLIC} | TRUST, "nginx", RELAY, {}, 101, ""),
        ({"public_url": PUBLIC}, "nginx", None, {}, 403, "no X-Twilio-Signature header"),
        ({"public_url": PUBLIC}, "direct", None, {}, 403, "no X-Twilio-Signature header"),
        ({"public_url": PUBLIC}, "nginx", f"https://{HOST}/relay", {}, 403, "write wss://"),
        ({"public_url": PUBLIC}, "nginx", f"ws://{HOST}/relay", {}, 403, "write wss://"),
        ({"public_url": PUBLIC}, "nginx", f"{RELAY}/", {}, 403, "slash at the end"),
        ({"public_url": PUBLIC}, "nginx", "wss://evil.example/relay", FORGED, 403, "not signed for"),
        ({"public_url": PUBLIC}, "direct", "wss://evil.example/relay", FORGED, 403, "signed for wss://evil.example"),
        # A path that the proxy takes away must stand in the public URL.
        ({"public_url": PHONE}, "nginx, a path taken away", f"wss://{HOST}/phone/relay", {}, 101, ""),
        ({"public_url": PHONE}, "nginx, a path taken away", RELAY, {}, 403, "must end in the path prefix"),
        ({"public_url": PUBLIC}, "nginx, a path taken away", f"wss://{HOST}/phone/relay", {}, 403, "not signed for"),
        (TRUST, "nginx, a path taken away", f"wss://{HOST}/phone/relay", {}, 403, "not signed for"),
        # Without one: what a trusted proxy tells, else the Host.
        (TRUST, "nginx", RELAY, {}, 101, ""),
        ({}, "nginx", RELAY, {}, 101, ""),
        (TRUST, "nginx", "wss://evil.example/relay", FORGED, 403, "not signed for"),
        ({}, "direct", "wss://evil.example/relay", FORGED, 403, "signed for wss://evil.example"),
        (TRUST, "careless nginx", RELAY, {}, 403, "not signed for"),
        ({}, "careless nginx", RELAY, {}, 403, "not signed for"),
        # Unsigned requests are served to this machine, and nginx is not this machine.
        ({"insecure": True, "auth_token": None}, "direct", None, {}, 101, ""),
        ({"insecure": True, "auth_token": None}, "nginx", None, {}, 403, "loopback names only"),
    ],
)
async def test_upgrades(
    nginx: Nginx,
    caplog: pytest.LogCaptureFixture,
    server: dict[str, Any],
    door: str,
    signed: str | None,
    headers: dict[str, str],
    status: int,
    why: str,
) -> None:
    caplog.set_level(logging.INFO)
    async with relay(nginx, **server):
        assert await status_of(nginx, door, signed, headers) == status
    refusals = [record.getMessage() for record in caplog.records if "refused with" in record.getMessage()]
    assert [why in refusal for refusal in refusals] == ([] if status == 101 else [True]), refusals
    assert TOKEN not in caplog.text


async def test_a_whole_call(nginx: Nginx) -> None:
    setup = {"type": "setup", "callSid": "CA1", "sessionId": "VX1", "accountSid": "AC1", "from": "+15550100001"}
    async with (
        relay(nginx, public_url=PUBLIC),
        upgraded(nginx, "nginx", sign_upgrade(RELAY, TOKEN)) as client,
    ):
        await client.send(json.dumps(setup))
        await client.send(json.dumps({"type": "prompt", "voicePrompt": "hello", "lang": "en-US", "last": True}))
        words, last = "", False
        while not last:
            frame = json.loads(await client.recv())
            words, last = words + frame["token"], frame["last"]
        assert "hello" in words


async def ask(nginx: Nginx, door: str, path: str, form: dict[str, str] | None = None, **headers: str) -> int:
    """The status of a GET, or of a POST with a form, through a door."""
    base, port = nginx.door(door)
    scheme = "https" if base.startswith("wss") else "http"
    prefix = base.partition("://")[2].partition("/")[2]
    async with httpx.AsyncClient(verify=trusting(), timeout=SECONDS, trust_env=False) as client:
        names = {"Host": HOST, **headers} if door != "direct" else headers
        url = f"{scheme}://127.0.0.1:{port}/{prefix}{path}" if prefix else f"{scheme}://127.0.0.1:{port}{path}"
        return (await client.request("POST" if form else "GET", url, data=form, headers=names)).status_code


@pytest.mark.parametrize(
    ("server", "door", "signed", "status"),
    [
        ({"public_url": PUBLIC}, "nginx", PUBLIC, 200),
        ({"public_url": PUBLIC}, "careless nginx", PUBLIC, 200),
        ({"public_url": PUBLIC}, "direct", PUBLIC, 200),
        ({"public_url": PHONE}, "nginx, a path taken away", PHONE, 200),
        ({"public_url": PHONE}, "nginx, a path taken away", PUBLIC, 403),
        ({"public_url": PUBLIC}, "nginx", f"http://{HOST}", 403),
        ({"public_url": PUBLIC}, "nginx", f"wss://{HOST}", 403),
        ({"public_url": PUBLIC}, "nginx", "https://evil.example", 403),
        (TRUST, "nginx", PUBLIC, 200),
        (TRUST, "careless nginx", PUBLIC, 403),
        (TRUST, "nginx, a path taken away", PHONE, 403),
        ({}, "nginx", PUBLIC, 200),
        ({}, "careless nginx", PUBLIC, 403),
    ],
)
async def test_webhooks(nginx: Nginx, server: dict[str, Any], door: str, signed: str, status: int) -> None:
    form = {"CallSid": "CA" + "1" * 32, "From": "+15550100001", "FromCity": ""}
    url = f"{signed}/voice"
    async with relay(nginx, **server):
        signature = sign_request(url, form, TOKEN, sign_as=url)
        assert await ask(nginx, door, "/voice", form, **signature) == status
        assert await ask(nginx, door, "/voice", form | {"From": "+15550100009"}, **signature) == 403
        assert await ask(nginx, door, "/voice", form) == 403


async def test_the_figures_are_not_public(nginx: Nginx) -> None:
    token = "a-token-for-prometheus"
    async with relay(nginx, metrics=True):
        assert await ask(nginx, "direct", "/metrics") == 200
        assert await ask(nginx, "nginx", "/metrics") == 404
        assert await ask(nginx, "nginx, a path taken away", "/metrics") == 403
    async with relay(nginx, public_url=PUBLIC, metrics_token=token):
        for door in ("direct", "nginx, a path taken away", "careless nginx"):
            assert await ask(nginx, door, "/metrics") == 403
            assert await ask(nginx, door, "/metrics", Authorization=f"Bearer {token}") == 200
    with pytest.raises(SettingsError, match="METRICS_TOKEN"):  # a careless nginx would make them public
        load_settings(None, auth_token=TOKEN, public_url=PUBLIC, metrics=True)


@pytest.mark.parametrize(
    ("theirs", "found"),
    [(PHONE, "accepted when signed for"), (PUBLIC, "it does not know the path prefix")],
)
async def test_the_doctor_comes_the_same_way(nginx: Nginx, theirs: str, found: str) -> None:
    ours = load_settings(None, auth_token=TOKEN, public_url=PHONE, port=nginx.relay)
    async with relay(nginx, public_url=theirs):
        findings = [finding async for finding in look_at_way(ours, f"http://127.0.0.1:{nginx.plain}/phone")]
    told = {finding.check: finding.what for finding in findings}
    assert "nginx" in told["way"]
    assert found in told["signed upgrade"]
    assert told["unsigned upgrade"] == "refused, as it must be"
    assert (told["voice URL"] == f"{PHONE}/voice leads to wss://{HOST}/phone/relay") is (theirs == PHONE)


async def test_the_doctor_minds_upgrades_that_are_not_passed_on(nginx: Nginx) -> None:
    ours = load_settings(None, auth_token=TOKEN, public_url=PUBLIC, port=nginx.relay)
    findings = [finding async for finding in look_at_way(ours, f"http://127.0.0.1:{nginx.plain}")]
    assert (findings[0].what.endswith("answers 502"), findings[0].level) == (True, "fail")
    findings = [finding async for finding in look_at_way(ours, f"https://127.0.0.1:{nginx.tls}")]
    assert [f.what for f in findings if "TLS certificate is not valid" in f.what]
