"""500 simultaneous calls in waves, each interrupted once: nothing stale, nothing left over, no growing memory.

`python tests/bench/waves.py [CALLS] [WAVES]`: the server runs in a process of its own and counts what lives in it.
"""

from __future__ import annotations

import asyncio
import json
import sys

from harness import Server, dial, prompt, server, setup

TOKENS = 5_000


async def one_call(running: Server, number: int, together: asyncio.Barrier) -> str:
    """A call with a reply that is interrupted, and another that is not; returns what went wrong, or nothing."""
    async with dial(running) as line:
        await line.send(setup(number))
        await line.send(prompt(TOKENS))
        await line.recv()
        await together.wait()
        await line.send(json.dumps({"type": "interrupt", "utteranceUntilInterrupt": "word"}))
        await asyncio.sleep(0.2)  # for what would still go out
        await line.send(json.dumps({"type": "prompt", "voicePrompt": "7", "last": True}))
        words = 0
        async with asyncio.timeout(120):
            async for frame in line:
                message = json.loads(frame)
                words += len(message["token"].split())
                if message["last"]:
                    break
    return "" if words < TOKENS else f"call {number}: the interrupt stopped nothing ({words} words)"


async def wave(running: Server, number: int, calls: int) -> list[str]:
    together = asyncio.Barrier(calls)
    first = number * calls
    results = await asyncio.gather(
        *(one_call(running, first + index, together) for index in range(calls)), return_exceptions=True
    )
    return [str(result) for result in results if result]


async def run(running: Server, calls: int, waves: int) -> None:
    memory = []
    for number in range(waves):
        faults = await wave(running, number, calls)
        await asyncio.sleep(1.5)
        counts = await count(running)
        memory.append(running.memory_bytes())
        print(
            f"  wave {number + 1}: {calls} calls, faults {len(faults)} {faults[:2]}, "
            f"RSS {memory[-1] / 2**20:.1f} MiB, {counts}"
        )
    if waves >= 5:
        print(f"  RSS after wave 5 / wave 2: {memory[4] / memory[1]:.3f} (mark: 1.05)")


async def count(running: Server) -> str:
    """What the server says of itself; see `/bench/census` in serve_one.py."""
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(b"GET /bench/census HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.decode().rpartition("\r\n\r\n")[2]


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    waves = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    for host in ("hypercorn", "uvicorn"):
        print(f"{calls} simultaneous calls on {host}:")
        with server("watched", host) as running:
            asyncio.run(run(running, calls, waves))


if __name__ == "__main__":
    main()
