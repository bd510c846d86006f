"""Time from the start of the process to the open port, ours against a bare Quart app on hypercorn.

`python tests/bench/startup.py [ROUNDS]`
"""

from __future__ import annotations

import statistics
import sys
import time

from harness import server


def start(kind: str) -> float:
    """Seconds until the server says that it listens."""
    began = time.perf_counter()
    with server(kind, "hypercorn"):
        return time.perf_counter() - began


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    ratios = [start("ours") / start("quart") for _ in range(rounds)]
    print(
        f"start-up on hypercorn: ours / bare Quart = {', '.join(f'{ratio:.2f}' for ratio in ratios)}; "
        f"median {statistics.median(ratios):.2f} (mark: 3)"
    )


if __name__ == "__main__":
    main()
