"""Servers in processes of their own, and callers that measure them; the figures are ratios within one run."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import websockets
from serve_one import TOKEN
from twilio.request_validator import RequestValidator

HERE = Path(__file__).parent
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    process: psutil.Process
    port: int

    def cpu_seconds(self) -> float:
        """CPU time of the whole process so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def memory_bytes(self) -> int:
        """Resident memory of the process."""
        return int(self.process.memory_info().rss)


@contextmanager
def server(kind: str, host: str) -> Iterator[Server]:
    """Start `kind` (ours, bare) on `host` (hypercorn, uvicorn); stopped by pid.

    Where there are two cores, servers stay on one and whoever calls them on the other. Left to itself the scheduler
    gives one server the caller's core and its warm cache, and the other a core that it must wake first: that alone
    made the same code 1.16 times the bare app in one run and 1.55 times in the next.
    """
    command = [sys.executable, str(HERE / "serve_one.py"), kind, host]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            running = Server(psutil.Process(process.pid), port)
            if len(CORES) > 1:
                running.process.cpu_affinity([CORES[1]])
                os.sched_setaffinity(0, CORES[:1])
            yield running
        finally:
            process.terminate()
            process.wait(timeout=30)


def dial(server: Server) -> Any:
    """Connect as Twilio does: signed, without compression."""
    signed = f"wss://127.0.0.1:{server.port}/relay"
    signature = RequestValidator(TOKEN).compute_signature(signed, {})
    return websockets.connect(
        signed.replace("wss://", "ws://", 1),
        compression=None,
        max_queue=None,
        ping_interval=None,
        additional_headers={"X-Twilio-Signature": signature},
    )


def setup(number: int) -> str:
    """The first frame of call `number`."""
    return json.dumps(
        {
            "type": "setup",
            "sessionId": f"VX{number:032}",
            "callSid": f"CA{number:032}",
            "parentCallSid": "",
            "from": "+15550100001",
            "to": "+15550100002",
            "forwardedFrom": "",
            "callerName": "",
            "direction": "inbound",
            "callType": "PSTN",
            "callStatus": "RINGING",
            "accountSid": f"AC{0:032}",
            "customParameters": {},
        }
    )


def prompt(tokens: int) -> str:
    """Ask for `tokens` tokens."""
    return json.dumps({"type": "prompt", "voicePrompt": str(tokens), "lang": "en-US", "last": True})


def alternate(rounds: int, measure: Callable[[str], float]) -> tuple[list[float], float]:
    """Measure ours and bare in turns; returns the ratios of the rounds and their median."""
    ratios = []
    for number in range(rounds):
        order = ("ours", "bare") if number % 2 else ("bare", "ours")
        values = {kind: measure(kind) for kind in order}
        ratios.append(values["ours"] / values["bare"])
        print(f"  round {number + 1}: ours {values['ours']:.2f}, bare {values['bare']:.2f}, ratio {ratios[-1]:.3f}")
    return ratios, statistics.median(ratios)
