"""The hosts that serve our app to Twilio: signed calls for a public URL, configured by the environment alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import processes

TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC_URL = "https://relay.example.com"


@contextmanager
def running(host: str, folder: Path, agent: str, **settings: str) -> Iterator[processes.Running]:
    """Run `host` with `agent`, the source of a module. What it writes holds no traceback and no token."""
    public = {"STUDIO_RELAY_INSECURE": "0", "STUDIO_RELAY_PUBLIC_URL": PUBLIC_URL, "TWILIO_AUTH_TOKEN": TOKEN}
    with processes.running(folder, host, agent, **public, **settings) as server:
        yield server
    assert "Traceback" not in server.output, server.output[-3000:]
    assert TOKEN not in server.output
