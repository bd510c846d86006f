"""Ports of this machine for servers in processes of their own."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

_START_SECONDS = 30


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def wait_until_it_listens(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    """Until connections are taken; AssertionError with the end of `output` where they never are."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"nobody listens on the port: {output.read_text()[-2000:]}")
