"""A deployment with default settings: SIGTERM under live calls whose agents are in mid-sentence, SIGKILL after 30 s.

`python tests/bench/deploy.py [CALLS] [RUNS]`: 50 calls and one run of each mode by default. Every call must be handed
on, and the server must exit with 0 before it would be killed. Exits with 1 where a mark is missed.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "e2e"))
from leaving import leave

KILL_AFTER_SECONDS = 30


async def one_run(calls: int, *, full: bool) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        left = await leave(Path(folder), "serve", calls=calls, full=full, kill_after=KILL_AFTER_SECONDS)
    reasons = Counter(left.reasons)
    fine = reasons == {"relay-draining": calls} and left.code == 0
    mode = "full" if full else "widget"
    print(f"  {mode}: {dict(reasons)}, exit {left.code} after {left.seconds:.1f} s{'' if fine else '  MISSED'}")
    return fine


def main() -> int:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    print(f"{calls} calls, default settings:")
    results = [asyncio.run(one_run(calls, full=full)) for _ in range(runs) for full in (True, False)]
    return not all(results)


if __name__ == "__main__":
    raise SystemExit(main())
