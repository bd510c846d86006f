"""Peers that are gone without a word, or read nothing: `serve` ends their calls, and lets go of their sockets."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from processes import Running, running
from wire import dial, get_json, message, setup

from studio_relay.testing.signing import sign_upgrade

TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC_URL = "https://relay.example.com"
SECONDS = 30
OURS, THEIRS = "10.203.17.1", "10.203.17.2"

AGENT = '''
"""Talks for as long as it may, if it is asked to."""

from studio_relay import hookimpl


@hookimpl
async def on_prompt(call, prompt):
    for number in range(1_000_000):
        yield f"this is number {number} "
'''

# Opens two calls, one that is talked to and one that is idle, says so, and stays.
CALLER = f'''
import asyncio, sys
sys.path.append({str(Path(__file__).parent)!r})
from wire import dial, message, setup

async def main():
    headers = {{"X-Twilio-Signature": sys.argv[2]}}
    wires = [await dial(int(sys.argv[1]), host="{OURS}", headers=headers) for _ in range(2)]
    for number, wire in enumerate(wires):
        wire.writer.write(setup(number))
    wires[1].writer.write(message(type="prompt", voicePrompt="talk", last=True))
    await wires[1].reader.readexactly(1000)
    print("up", flush=True)
    while await wires[1].reader.read(65_536):
        pass

asyncio.run(main())
'''


def sockets(server: Running) -> int:
    """How many connections the server holds."""
    found = psutil.Process(server.process.pid).net_connections("tcp")
    return sum(one.status in ("ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT1", "CLOSING", "LAST_ACK") for one in found)


async def until_gone(server: Running) -> None:
    async with asyncio.timeout(SECONDS):
        while (await get_json(server.port, "/ready"))["calls"] or sockets(server):  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.1)


@pytest.mark.skipif(sys.platform != "linux", reason="TCP_USER_TIMEOUT is Linux's")
async def test_a_peer_that_reads_nothing_loses_its_socket(tmp_path: Path) -> None:
    with running(tmp_path, "serve", AGENT, STUDIO_RELAY_SEND_TIMEOUT_SECONDS="1") as server:
        wire = await dial(server.port)
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        wire.writer.write(setup(1) + message(type="prompt", voicePrompt="talk", last=True))
        async with asyncio.timeout(SECONDS):
            while '"call-ended"' not in server.output:  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.1)
        await until_gone(server)
        assert '"reason": "dropped"' in server.output
        wire.writer.transport.abort()


@contextmanager
def namespace() -> Iterator[str]:
    """A network of its own with one cable to ours. Skips where there is none to be had."""
    name, cable = "relay-lost-peers", "relay-lost-0"
    made = [
        f"ip netns add {name}",
        f"ip link add {cable} type veth peer name eth0 netns {name}",
        f"ip addr add {OURS}/30 dev {cable}",
        f"ip link set {cable} up",
        f"ip -n {name} addr add {THEIRS}/30 dev eth0",
        f"ip -n {name} link set eth0 up",
    ]
    if shutil.which("ip") is None:
        pytest.skip("there is no command `ip` here to make a network namespace with")
    try:
        for command in made:
            done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"no network namespace can be made here: {done.stderr.strip()}")
        yield name
    finally:
        for command in (f"ip link del {cable}", f"ip netns del {name}"):
            subprocess.run(command.split(), capture_output=True, check=False)


async def test_a_peer_that_stops_answering_on_tcp(tmp_path: Path) -> None:
    settings = {
        "STUDIO_RELAY_INSECURE": "0",
        "STUDIO_RELAY_HOST": "0.0.0.0",
        "STUDIO_RELAY_PUBLIC_URL": PUBLIC_URL,
        "STUDIO_RELAY_SEND_TIMEOUT_SECONDS": "1",
        "TWILIO_AUTH_TOKEN": TOKEN,
    }
    signature = sign_upgrade(f"{PUBLIC_URL.replace('https', 'wss')}/relay", TOKEN)["X-Twilio-Signature"]
    with namespace() as network, running(tmp_path, "serve", AGENT, **settings) as server:
        command = ["ip", "netns", "exec", network, sys.executable, "-c", CALLER, str(server.port), signature]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as caller:  # noqa: ASYNC220
            try:
                assert caller.stdout is not None
                assert await asyncio.to_thread(caller.stdout.readline) == "up\n"
                assert (await get_json(server.port, "/ready"))["calls"] == 2
                cut = ["ip", "-n", network, "link", "set", "eth0", "down"]
                await asyncio.to_thread(subprocess.run, cut, check=True)
                await until_gone(server)
            finally:
                caller.kill()
        assert server.output.count('"reason": "dropped"') == 2
        assert "Traceback" not in server.output
