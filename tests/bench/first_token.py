"""Time from a prompt to the first token of its answer, ours against a bare ASGI app; p50, median of block ratios.

`python tests/bench/first_token.py [BLOCKS]`: prompts go to both servers in turns, 100 each a block.

Both servers stay on one core and the caller on another, then all on one.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

from harness import CORES, dial, prompt, server, setup

PROMPTS = 100


async def first_token(line: object) -> float:
    """Milliseconds from a prompt of one token to its first frame."""
    began = time.perf_counter()
    await line.send(prompt(1))  # type: ignore[attr-defined]
    frame = await line.recv()  # type: ignore[attr-defined]
    took = (time.perf_counter() - began) * 1e3
    while not frame.endswith('"last":true}'):
        frame = await line.recv()  # type: ignore[attr-defined]
    return took


async def compare(host: str, blocks: int, *, together: bool) -> None:
    with server("ours", host) as ours, server("bare", host) as bare:
        if together:
            for one in (ours, bare):
                one.process.cpu_affinity(CORES[:1])
        ratios, ours_p50, bare_p50 = [], [], []
        for block in range(blocks):
            # A call has a limit of 500 turns, so each block is a call of its own.
            async with dial(ours) as our_line, dial(bare) as bare_line:
                await our_line.send(setup(block))
                await bare_line.send(setup(block))
                times: tuple[list[float], list[float]] = ([], [])
                for _ in range(PROMPTS):
                    times[0].append(await first_token(our_line))
                    times[1].append(await first_token(bare_line))
            ours_p50.append(statistics.median(times[0]))
            bare_p50.append(statistics.median(times[1]))
            ratios.append(ours_p50[-1] / bare_p50[-1])
    print(
        f"first token on {host}{', all on one core' if together else ''}: "
        f"ours {statistics.median(ours_p50):.3f} ms, bare {statistics.median(bare_p50):.3f} ms, "
        f"median ratio {statistics.median(ratios):.3f} (mark: 1.5)"
    )


def main() -> None:
    blocks = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    for host in ("hypercorn", "uvicorn"):
        for together in (False, True) if len(CORES) > 1 else (False,):
            asyncio.run(compare(host, blocks, together=together))


if __name__ == "__main__":
    main()
