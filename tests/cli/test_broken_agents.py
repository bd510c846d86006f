"""An agent that is installed and cannot be loaded: every command that wants it tells why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studio_relay.cli.demo_server import demo_server
from studio_relay.cli.refusal import refused
from studio_relay.testing.relay import Line
from studio_relay.testing.transport import NetTransport, UpgradeRefused

pytestmark = pytest.mark.outside_plugins

WHY = "agent 'broken' of broken-agent is installed, but cannot be loaded: ModuleNotFoundError: No module named 'gone'"


@pytest.fixture(autouse=True)
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_agent.py").write_text("import gone")
    info = tmp_path / "broken_agent-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-agent\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[studio_relay.agents]\nbroken = broken_agent\n")
    monkeypatch.syspath_prepend(str(tmp_path))


def test_serve(run: Any) -> None:
    done = run("serve", "--insecure", "--agent", "broken")
    assert done.exit_code == 2
    assert WHY in done.stderr


def test_call() -> None:
    line = Line(transport=NetTransport("http://127.0.0.1:1"))
    told = str(refused(UpgradeRefused(404, "no such agent"), "ws://127.0.0.1:1/relay/broken", line))
    assert WHY in told


async def test_demo() -> None:
    async with demo_server("0" * 32, ["broken", "echo"], named=[]) as server:
        assert server.agent == "echo"
        assert server.broken == [WHY]
