"""What a start is warned about, whoever starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from studio_relay.plugins import load_plugins
from studio_relay.server.deployment import (
    several_processes_warning,
    start_warnings,
    unknown_address_warning,
    workers,
)
from studio_relay.settings import load_settings

TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC = "https://relay.example.com"


@pytest.mark.parametrize(
    ("environ", "argv", "found"),
    [
        ({"WEB_CONCURRENCY": "2"}, ["/bin/uvicorn", "app"], ("WEB_CONCURRENCY", 2)),
        ({"WEB_CONCURRENCY": "1"}, ["/bin/uvicorn", "app"], None),
        ({"WEB_CONCURRENCY": "many"}, [], None),
        ({"WEB_CONCURRENCY": "9" * 5_000}, [], None),
        ({"UVICORN_WORKERS": "3"}, [], ("UVICORN_WORKERS", 3)),
        ({"GRANIAN_WORKERS": "4"}, [], ("GRANIAN_WORKERS", 4)),
        ({}, ["/lib/uvicorn/__main__.py", "app", "--workers", "4"], ("--workers", 4)),
        ({}, ["gunicorn", "-w", "4", "app"], ("--workers", 4)),
        ({}, ["granian", "--workers=2"], ("--workers", 2)),
        ({"WEB_CONCURRENCY": "2"}, ["uvicorn", "app", "--workers", "1"], None),
        ({}, ["pytest", "-w", "4"], None),
        ({}, [], None),
    ],
)
def test_who_asks_for_several_processes(environ: Mapping[str, str], argv: list[str], found: Any) -> None:
    assert workers(environ, argv) == found


def test_several_processes_with_a_memory_each_are_warned_about() -> None:
    settings = load_settings(env_file=None, auth_token=TOKEN, public_url=PUBLIC)
    warning = several_processes_warning(settings, {"WEB_CONCURRENCY": "2"}, [])
    assert (warning or "").startswith("WEB_CONCURRENCY asks for 2 processes, and with STUDIO_RELAY_STORE_URL=memory://")
    shared = load_settings(env_file=None, auth_token=TOKEN, public_url=PUBLIC, store_url="sqlite:///x.db")
    assert several_processes_warning(shared, {"WEB_CONCURRENCY": "2"}, []) is None


def test_insecure_with_a_public_url_is_warned_about() -> None:
    settings = load_settings(env_file=None, insecure=True, public_url=PUBLIC)
    [warning] = start_warnings(settings, load_plugins())
    assert "STUDIO_RELAY_PUBLIC_URL is set, but with --insecure" in warning
    assert list(start_warnings(load_settings(env_file=None, insecure=True), load_plugins())) == []


def test_an_address_nobody_knows_is_warned_about() -> None:
    assert "STUDIO_RELAY_PUBLIC_URL is not set" in (
        unknown_address_warning(load_settings(env_file=None, auth_token=TOKEN)) or ""
    )
    assert unknown_address_warning(load_settings(env_file=None, auth_token=TOKEN, public_url=PUBLIC)) is None


def test_the_app_for_any_host_says_all_of_it(tmp_path: Path) -> None:
    names = {name: value for name, value in os.environ.items() if not name.startswith(("STUDIO_RELAY_", "TWILIO_"))}
    given = {"TWILIO_AUTH_TOKEN": TOKEN, "STUDIO_RELAY_PUBLICURL": PUBLIC, "WEB_CONCURRENCY": "2"}
    given["STUDIO_RELAY_AGENT"] = "echo"
    done = subprocess.run(
        [sys.executable, "-c", "import studio_relay.asgi"],
        cwd=tmp_path, env=names | given, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    said = [json.loads(line)["message"] for line in done.stderr.splitlines()]
    assert said[0] == "nobody reads the setting STUDIO_RELAY_PUBLICURL; did you mean STUDIO_RELAY_PUBLIC_URL?"
    assert said[1].startswith("STUDIO_RELAY_PUBLIC_URL is not set: only requests of this machine")
    assert said[2].startswith("WEB_CONCURRENCY asks for 2 processes")
    assert TOKEN not in done.stderr


# --- without a public URL ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "url", "status"),
    [
        ("127.0.0.1", "http://127.0.0.1/voice", 200),
        ("::1", "http://localhost/voice", 200),
        ("10.0.0.9", "http://127.0.0.1/voice", 403),
        ("127.0.0.1", "http://10.0.0.9/voice", 403),
    ],
)
async def test_without_a_public_url_only_this_machine_is_served(
    web: Any, peer: str, url: str, status: int, caplog: Any
) -> None:
    from studio_relay.testing.signing import sign_request

    server = web(object(), public_url=None)
    reply = await server.raw("POST", url, headers=sign_request(url, {}, server.token), peer=peer)
    assert reply.status == status
    assert ("STUDIO_RELAY_PUBLIC_URL is not set" in caplog.text) == (status == 403)
