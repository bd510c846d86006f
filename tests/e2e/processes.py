"""Servers in processes of their own, with an agent that a test brings along."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ports import free_ports, wait_until_it_listens

APP = "studio_relay.asgi:app"
HOSTS: dict[str, list[str]] = {
    "serve": ["studio_relay", "serve", "--port", "{port}"],
    "hypercorn": ["hypercorn", APP, "--bind", "127.0.0.1:{port}"],
    "uvicorn": [
        "uvicorn", APP, "--port", "{port}", "--ws", "websockets-sansio", "--lifespan", "on", "--no-proxy-headers",
        "--no-access-log", "--ws-per-message-deflate", "false", "--ws-max-size", "262144",
    ],
    "granian": ["granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}", APP],
}  # fmt: skip
_STOP_SECONDS = 10


class Running:
    """A server that takes connections."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, output: Path) -> None:
        self.process = process
        self.port = port
        self._output = output

    @property
    def output(self) -> str:
        """What it has written so far."""
        return self._output.read_text()


@contextmanager
def running(
    folder: Path, host: str, agent: str, *, command: Sequence[str] = (), python: str = sys.executable, **settings: str
) -> Iterator[Running]:
    """Run `host`, or `command`, with `agent`, the source of a module, for unsigned calls of this machine.

    Stopped by its process when the block is left.
    """
    (folder / "brought.py").write_text(agent)
    info = folder / "brought-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brought\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[studio_relay.agents]\nbrought = brought\n")
    [port] = free_ports(1)
    names = {name: value for name, value in os.environ.items() if not name.startswith(("STUDIO_RELAY_", "TWILIO_"))}
    own = {"PYTHONPATH": str(folder), "STUDIO_RELAY_INSECURE": "1", "STUDIO_RELAY_AGENT": "brought"}
    whole = [python, "-m", *(part.format(port=port) for part in (command or HOSTS[host]))]
    output = folder / "output"
    with output.open("w+b") as written:
        process = subprocess.Popen(whole, cwd=folder, env=names | own | settings, stdout=written, stderr=written)
        try:
            wait_until_it_listens(process, port, output)
            yield Running(process, port, output)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(_STOP_SECONDS)
