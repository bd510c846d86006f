"""Fuzzed frames over sockets that die at random, in waves: every call ends once, and nothing is left over.

`python tests/bench/dying.py [SOCKETS] [FRAMES] [WAVES]`: by default 500 sockets send 60 frames each, three times.
A socket is reset, closed, half-closed or just left in the middle of a frame. 15 s after the last one, the server
must have as many tasks as before the first; the memory after the last wave is compared with that after the first,
without what calls that are over leave in the store for a quarter of an hour.
Exits with 1 where a mark is missed.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys

from harness import HERE, Server, server, setup
from serve_one import TOKEN
from twilio.request_validator import RequestValidator

sys.path.append(str(HERE.parent / "e2e"))
from wire import Wire, dial, frame, get_json

AT_ONCE = 100
QUIET_SECONDS, MEMORY_MARK = 15, 1.05
KINDS = ("prompt", "dtmf", "interrupt", "info", "error", "setup", "nonsense", "")
VALUES = ("5", "400", "", "x" * 3_000, None, -1, 1e308, True, [], {}, [[[[]]]], "\ud800", "\x00", "1", "#")


def fuzzed(rng: random.Random) -> bytes:
    """A frame: nearly right, wrong, broken, or no text at all."""
    fields = ("voicePrompt", "digit", "last", "utteranceUntilInterrupt", "durationUntilInterruptMs", "name", "value")
    message = {"type": rng.choice(KINDS)} | {name: rng.choice(VALUES) for name in rng.sample(fields, 4)}
    text = json.dumps(message).encode()
    match rng.randrange(20):
        case 0:
            text = text[: rng.randrange(len(text))]
        case 1 if rng.random() < 0.05:  # mostly no UTF-8: the host closes the socket
            text = rng.randbytes(rng.randrange(200))
        case 2:
            text = b"[" * rng.randrange(2_000)
        case 3:
            return frame(rng.randbytes(rng.randrange(100)), opcode=2)
        case 4:
            return frame(rng.randbytes(rng.randrange(100)), opcode=9)  # a ping
        case 5 | 6 | 7:
            text = b'{"type":"prompt","voicePrompt":"400","lang":"en","last":true}'
        case 8 | 9 | 10:
            text = b'{"type":"dtmf","digit":"1"}'
    return frame(text)


async def one_socket(running: Server, number: int, frames: int, places: asyncio.Semaphore) -> None:
    """A call that sends what it should not, and dies."""
    rng = random.Random(number)
    signature = RequestValidator(TOKEN).compute_signature(f"wss://127.0.0.1:{running.port}/relay", {})
    async with places:
        wire = await dial(running.port, headers={"X-Twilio-Signature": signature})
        try:
            wire.writer.write(frame(setup(number).encode()))
            for _ in range(frames):
                wire.writer.write(fuzzed(rng))
                if wire.writer.transport.is_closing():
                    break
                if rng.random() < 0.1:
                    await asyncio.sleep(rng.random() / 50)
            await die(wire, rng)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the server closed first: a frame that no text is may cost the socket


async def die(wire: Wire, rng: random.Random) -> None:
    match rng.randrange(5):
        case 0:
            wire.reset()
        case 1:
            wire.writer.write(frame((1000).to_bytes(2), opcode=8))
            await wire.reader.read(100)
        case 2:
            wire.writer.write(frame(b'{"type":"prompt"}')[:7])  # in the middle of a frame
        case 3:
            wire.writer.write_eof()
        case 4:
            await asyncio.sleep(rng.random() / 5)
            wire.reset()
    wire.writer.transport.abort()


async def census(running: Server) -> dict[str, int]:
    counts: dict[str, int] = await get_json(running.port, "/bench/census")
    return counts


async def run(running: Server, sockets: int, frames: int, waves: int) -> bool:
    before = await census(running)
    memory: list[int] = []
    for wave in range(waves):
        places = asyncio.Semaphore(AT_ONCE)
        numbers = range(wave * sockets, (wave + 1) * sockets)
        await asyncio.gather(*(one_socket(running, number, frames, places) for number in numbers))
        await asyncio.sleep(QUIET_SECONDS)
        after = await census(running)
        memory.append(running.memory_bytes() - after["stored_bytes"])
        print(f"  wave {wave + 1}: {sockets * frames} frames, RSS {memory[-1] / 2**20:.1f} MiB, {after}")
    left, growth = after["tasks"] - before["tasks"], memory[-1] / memory[0]
    missing, double = after["began"] - after["ended"], after["ended_twice"]
    print(f"  {after['ended']} sessions ended, {missing} did not, {double} twice; {left} tasks left")
    print(f"  RSS after the last wave / after the first: {growth:.3f} (mark: {MEMORY_MARK})")
    return not (missing or double or left or after["Connection"]) and growth <= MEMORY_MARK


def main() -> int:
    sockets, frames, waves = (int(given) for given in [*sys.argv[1:], *("500", "60", "3")[len(sys.argv) - 1 :]])
    fine = True
    for host in ("hypercorn", "uvicorn"):
        print(f"{sockets} sockets on {host}:")
        with server("counted", host) as running:
            fine &= asyncio.run(run(running, sockets, frames, waves))
    return not fine


if __name__ == "__main__":
    raise SystemExit(main())
