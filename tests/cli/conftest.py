"""Runs `studio-relay` in process or as a program of its own, in an empty folder, without the machine's settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

SECONDS = 30


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith(("STUDIO_RELAY_", "TWILIO_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run() -> Callable[..., Result]:
    """`run("serve", "--port", "0")`: the command in this process; bugs raise, what users cause does not."""
    from studio_relay.cli import program

    def run(*arguments: str, **options: object) -> Result:
        return CliRunner(catch_exceptions=False).invoke(program, list(arguments), **options)

    return run


@pytest.fixture
def program() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command as a process of its own."""

    def program(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "studio_relay", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, **options)

    return program


@pytest.fixture
def environment() -> Callable[..., Mapping[str, str]]:
    """The environment of this test with some variables set."""
    return lambda **variables: {**os.environ, **variables}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """`studio-relay serve` on a free port, echo answers unless asked; returns the URL of its relay.

    The same arguments and settings give the same server, which runs until the last test.
    """
    started: list[subprocess.Popen[str]] = []
    folder = tmp_path_factory.mktemp("servers")

    def server(*arguments: str, **variables: str) -> str:
        own = {k: v for k, v in os.environ.items() if k.startswith(("STUDIO_RELAY_", "TWILIO_"))}
        settings = {"STUDIO_RELAY_AGENT": "echo", **own, **variables}
        return start(arguments, tuple(sorted(settings.items())))

    @cache
    def start(arguments: tuple[str, ...], settings: tuple[tuple[str, str], ...]) -> str:
        command = [sys.executable, "-m", "studio_relay", "serve", "--port", "0", "--json", *arguments]
        environment = {**os.environ, **dict(settings)}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment, cwd=folder
        )
        started.append(process)
        assert process.stdout is not None
        url: str = json.loads(process.stdout.readline())["local_relay_url"]
        return url

    yield server
    for process in started:
        process.kill()
        process.communicate(timeout=SECONDS)
