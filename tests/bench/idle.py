"""Memory of an idle call, ours against a bare ASGI app.

`python tests/bench/idle.py [CALLS]`
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack

from harness import Server, dial, server, setup

WARM = 200


async def per_call(server: Server, calls: int) -> float:
    """KiB of resident memory for each further idle call."""
    async with AsyncExitStack() as lines:

        async def open_calls(first: int, count: int) -> None:
            for number in range(first, first + count):
                line = await lines.enter_async_context(dial(server))
                await line.send(setup(number))
            await asyncio.sleep(1)

        await open_calls(0, WARM)
        before = server.memory_bytes()
        await open_calls(WARM, calls)
        return (server.memory_bytes() - before) / calls / 1024


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    for host in ("hypercorn", "uvicorn"):
        kib = {}
        for kind in ("bare", "ours"):
            with server(kind, host) as running:
                kib[kind] = asyncio.run(per_call(running, calls))
        print(
            f"idle call on {host}: ours {kib['ours']:.1f} KiB, bare {kib['bare']:.1f} KiB, "
            f"above it {kib['ours'] - kib['bare']:.1f} KiB (mark: 24)"
        )


if __name__ == "__main__":
    main()
