"""Reading and running a flow pulls in nothing heavy; it is on the way of every `flow` command."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("liquid", "yaml", "pydantic", "quart", "twilio", "httpx", "rich", "pluggy", "websockets", "hypercorn")


@pytest.mark.parametrize("module", ["flow", "simulate", "coverage", "diff", "diagram", "lint", "explore", "configure"])
def test_a_module_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, studio_relay.studio.{module}; print(*[n for n in {HEAVY!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []
