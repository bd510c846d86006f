"""CPU per streamed token, ours against a bare ASGI app, on hypercorn and uvicorn; and stale tokens after an interrupt.

`python tests/bench/stream.py [ROUNDS]`
"""

from __future__ import annotations

import asyncio
import json
import sys

from harness import Server, alternate, dial, prompt, server, setup

TOKENS = 20_000
REPLIES = 8


async def stream(server: Server) -> float:
    """Microseconds of server CPU per token."""
    async with dial(server) as line:
        await line.send(setup(1))
        await one_reply(line, 2_000)
        before = server.cpu_seconds()
        for _ in range(REPLIES):
            await one_reply(line, TOKENS)
        return (server.cpu_seconds() - before) * 1e6 / (TOKENS * REPLIES)


async def one_reply(line: object, tokens: int) -> None:
    await line.send(prompt(tokens))  # type: ignore[attr-defined]
    async for frame in line:  # type: ignore[attr-defined]
        if frame.endswith('"last":true}'):
            return


async def stale(server: Server) -> int:
    """How many tokens of a reply still arrive after an interrupt was sent into it."""
    async with dial(server) as line:
        await line.send(setup(2))
        await line.send(prompt(TOKENS))
        for _ in range(500):
            await line.recv()
        await line.send(
            json.dumps({"type": "interrupt", "utteranceUntilInterrupt": "word", "durationUntilInterruptMs": 9})
        )
        count = 0
        try:
            async with asyncio.timeout(10):
                while True:
                    async with asyncio.timeout(1):
                        await line.recv()
                    count += 1
        except TimeoutError:
            return count


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    for host in ("hypercorn", "uvicorn"):
        print(f"CPU per streamed token on {host} (us):")

        def measure(kind: str, host: str = host) -> float:
            with server(kind, host) as running:
                return asyncio.run(stream(running))

        _, median = alternate(rounds, measure)
        print(f"  median ratio {median:.3f} (mark: 1.3)")
        with server("ours", host) as running:
            counts = [asyncio.run(stale(running)) for _ in range(rounds)]
        print(f"  stale tokens after an interrupt: {counts} (mark: 100)")


if __name__ == "__main__":
    main()
