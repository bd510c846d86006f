"""A deployment: SIGTERM under live calls, in full mode and as Studio's widget starts them, on hosts that drain."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from leaving import AGENT, leave
from processes import running

CALLS = 5
EXIT = {"serve": 0, "uvicorn": -signal.SIGTERM}  # uvicorn raises the signal again when it is done


@pytest.mark.parametrize(("host", "full"), [("serve", True), ("serve", False), ("uvicorn", True)])
async def test_calls_in_mid_sentence_are_handed_on(tmp_path: Path, host: str, full: bool) -> None:
    left = await leave(tmp_path, host, calls=CALLS, full=full, kill_after=14, STUDIO_RELAY_SHUTDOWN_SECONDS="9")
    assert left.reasons == ["relay-draining"] * CALLS, left.output[-2000:]
    assert left.code == EXIT[host]
    assert f"{CALLS} calls had no pause in 1 s and are cut short" in left.output
    assert "Traceback" not in left.output


async def test_a_sentence_that_ends_is_heard_first(tmp_path: Path) -> None:
    left = await leave(tmp_path, "serve", calls=2, full=True, says="a short one")
    assert left.reasons == ["relay-draining"] * 2
    assert left.code == 0
    assert "had no pause" not in left.output
    assert "drained: 2 calls were handed on" in left.output


@pytest.mark.parametrize("host", ["hypercorn", "granian"])
async def test_a_host_that_cannot_drain_says_so(tmp_path: Path, host: str) -> None:
    with running(tmp_path, host, AGENT) as server:
        assert server.output.count("this host cannot drain: SIGTERM cuts live calls.") == 1
