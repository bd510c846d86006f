"""`studio-relay doctor`: what it prints and how it ends; what it finds is tested with the library."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC = "https://relay.example.com"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell with the settings of a server."""
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("STUDIO_RELAY_AGENT", "echo")


@pytest.mark.usefixtures("installed")
def test_each_line_says_what_to_do(run: Callable[..., Any]) -> None:
    done = run("doctor", "--offline")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0] == "ok    settings          each one is known and within its range"
    [place] = [index for index, line in enumerate(lines) if line.startswith("warn")]
    assert lines[place + 1].strip().startswith("-> set it")
    assert lines[-1] == "8 looked at: 0 wrong, 1 to mind"


@pytest.mark.usefixtures("installed")
def test_for_programs(run: Callable[..., Any]) -> None:
    report = json.loads(run("doctor", "--offline", "--json").output)
    assert (report["version"], report["ok"]) == (1, True)
    assert report["findings"][0] == {
        "level": "ok", "check": "settings", "what": "each one is known and within its range", "advice": "",
    }  # fmt: skip


def test_a_setting_that_stops_the_start_is_a_finding(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_RELAY_PORT", "many")
    done = run("doctor")
    assert done.exit_code == 1
    assert "fail  settings          STUDIO_RELAY_PORT: expected a whole number" in done.output
    assert "-> for example STUDIO_RELAY_PORT=8080" in done.output


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    "url",
    [
        "relay.example.com",
        "wss://relay.example.com",
        "http://[",
        "http://h?x=1",
        "http://",
        "http://h/#x",
        "http://user:hunter2@h",
        "http://:hunter2@h",
        "http://hunter2@h",
        "http://h:0",
    ],
)
def test_a_url_that_is_none(run: Callable[..., Any], url: str) -> None:
    done = run("doctor", "--url", url)
    assert done.exit_code == 2
    assert "--url: expected http(s)://host" in done.stderr
    assert "hunter2" not in done.output


@pytest.mark.usefixtures("installed")
def test_a_real_server(run: Callable[..., Any], server: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_RELAY_PUBLIC_URL", PUBLIC)
    base = server().replace("ws://", "http://").removesuffix("/relay")
    done = run("doctor", "--url", base)
    assert done.exit_code == 0, done.output
    assert f"accepted when signed for wss://{PUBLIC.removeprefix('https://')}/relay" in done.output
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", TOKEN[::-1])
    done = run("doctor", "--url", base)
    assert done.exit_code == 1
    assert "fail  signed upgrade" in done.output
    assert TOKEN not in done.output
