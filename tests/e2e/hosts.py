"""The hosts that serve our app, each started as its users start it, configured by the environment alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ports import free_ports, wait_until_it_listens

TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC_URL = "https://relay.example.com"
APP = "studio_relay.asgi:app"
HOSTS = {
    "serve": ["studio_relay", "serve", "--port", "{port}"],
    "hypercorn": ["hypercorn", APP, "--bind", "127.0.0.1:{port}"],
    "uvicorn": [
        "uvicorn", APP, "--port", "{port}", "--ws", "websockets-sansio", "--lifespan", "on", "--no-proxy-headers",
    ],
    "granian": ["granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}", APP],
}  # fmt: skip
_STOP_SECONDS = 10


@contextmanager
def running(host: str, folder: Path, agent: str, **settings: str) -> Iterator[int]:
    """The port of `host`, with the source `agent` installed from `folder`; stopped by its process when left."""
    _install(agent, folder)
    [port] = free_ports(1)
    command = [sys.executable, "-m", *(part.format(port=port) for part in HOSTS[host])]
    names = {name: value for name, value in os.environ.items() if not name.startswith(("STUDIO_RELAY_", "TWILIO_"))}
    environment = names | {
        "PYTHONPATH": str(folder),
        "TWILIO_AUTH_TOKEN": TOKEN,
        "STUDIO_RELAY_PUBLIC_URL": PUBLIC_URL,
        "STUDIO_RELAY_AGENT": "host",
        **settings,
    }
    with (folder / "output").open("w+b") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
        try:
            wait_until_it_listens(process, port, folder / "output")
            yield port
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(_STOP_SECONDS)
    written = (folder / "output").read_text()
    assert "Traceback" not in written, written[-3000:]
    assert TOKEN not in written


def _install(agent: str, folder: Path) -> None:
    (folder / "host_agent.py").write_text(agent)
    info = folder / "host_agent-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: host-agent\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[studio_relay.agents]\nhost = host_agent\n")
