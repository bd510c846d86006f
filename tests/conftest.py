"""What every test starts from: an environment without our settings, and no event loop left lying about."""

from __future__ import annotations

import asyncio
import os

import pytest

# On Python 3.11 pytest-asyncio asks for "the current loop" before its first test, which makes one that nobody
# closes; with warnings as errors it fails some later, innocent test. Saying that there is none prevents it.
asyncio.set_event_loop(None)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine the tests run on reaches a test."""
    for name in [name for name in os.environ if name.startswith(("STUDIO_RELAY_", "TWILIO_"))]:
        monkeypatch.delenv(name)
