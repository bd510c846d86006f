"""Two real `studio-relay serve` with one store, behind a balancer of our own; what goes wrong is each test's business.

The balancer does what any of them does: asks every server whether it is ready, sends new connections to one that is,
and cuts those to a server that answers no more.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ports import free_ports

from studio_relay.testing import NetTransport, Run, parse_script, run_call
from studio_relay.testing.relay import Line

TOKEN = "0123456789abcdef0123456789abcdef"
ACCOUNT = "AC" + "0" * 32
PUBLIC_URL = "https://relay.example.com"
START_SECONDS, STOP_SECONDS, PROBE_EVERY_SECONDS = 30, 30, 0.15

DESK = '''
"""Counts what it hears over all sessions of a call, hands over to a person, and writes down what happens to it."""

import json
import os
from typing import Literal

from studio_relay import Handoff, hookimpl

relay = {"welcome_greeting": "Hello. How can I help?"}


class Person(Handoff):
    reason_code: Literal["person"] = "person"


handoff_model = Person


def note(what, call, **fields):
    with open(os.environ["DESK_LOG"], "a") as file:
        line = {"what": what, "call": call.call_sid, "session": call.session_id, "number": call.session_number}
        file.write(json.dumps(line | fields) + chr(10))


@hookimpl
def on_setup(call):
    note("setup", call, history=[turn.text for turn in call.transcript])
    return None if call.session_number == 1 else "I am back."


@hookimpl
async def on_prompt(call, prompt):
    call.state["heard"] = call.state.get("heard", 0) + 1
    if "person" in prompt.voice_prompt:
        call.say("I connect you.")
        await call.end(Person(summary=f"heard {call.state['heard']}"))
        return None
    return f"That was number {call.state['heard']}."


@hookimpl
def on_end(call, end):
    note("end", call, reason=end.reason)
'''


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("e2e", "by hand, with tests/e2e as an argument")
    group.addoption("--points", type=int, default=4, help="Outages at random moments, of a call each.")
    group.addoption("--restart-calls", type=int, default=20, help="Live calls under a rolling restart.")


class Server:
    """A `studio-relay serve`, as a process."""

    def __init__(self, folder: Path, **settings: str) -> None:
        [self.port] = free_ports(1)
        self.ready = False
        self.lines: set[asyncio.StreamWriter] = set()
        self._folder, self._settings = folder, settings
        self.output = folder / f"server-{self.port}.log"

    def start(self) -> None:
        names = {name: value for name, value in os.environ.items() if not name.startswith(("STUDIO_RELAY_", "TWILIO_"))}
        environment = names | {
            "PYTHONPATH": str(self._folder),
            "DESK_LOG": str(self._folder / "desk.jsonl"),
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "STUDIO_RELAY_PUBLIC_URL": PUBLIC_URL,
            "STUDIO_RELAY_STORE_URL": f"sqlite:///{self._folder / 'store.db'}",
            "STUDIO_RELAY_AGENT": "desk",
            **self._settings,
        }
        command = [sys.executable, "-m", "studio_relay", "serve", "--port", str(self.port)]
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(command, cwd=self._folder, env=environment, stdout=output, stderr=output)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    async def exited(self) -> int:
        """Its exit status."""
        async with asyncio.timeout(STOP_SECONDS):
            return await asyncio.to_thread(self.process.wait, STOP_SECONDS)

    def kill(self) -> None:
        self.process.kill()  # a stopped process too
        self.process.wait(STOP_SECONDS)

    def cut(self) -> None:
        for line in self.lines:
            line.transport.abort()

    async def probe(self, seconds: float) -> None:
        """Ask /ready; no answer at all cuts what is connected."""
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    writer.write(b"GET /ready HTTP/1.1\r\nHost: balancer\r\nConnection: close\r\n\r\n")
                    self.ready = b" 200 " in await reader.readline()
                finally:
                    writer.transport.abort()
        except (OSError, TimeoutError):
            self.ready = False
            self.cut()


class Balancer:
    """One address for several servers. `refuse` upgrades are answered with 502, as when a server went that moment."""

    def __init__(self, servers: list[Server], folder: Path, *, probe_seconds: float) -> None:
        self.servers = servers
        self.refuse = 0
        self.upgrades = 0
        self.port = 0
        self._folder, self._probe_seconds = folder, probe_seconds
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def first_ready(self) -> Server:
        return next(server for server in self.servers if server.ready)

    async def wait_until_ready(self, *servers: Server) -> None:
        async with asyncio.timeout(START_SECONDS):
            while not all(server.ready for server in servers):
                dead = [server for server in servers if server.process.poll() is not None]
                assert not dead, dead[0].output.read_text()[-2000:]
                await asyncio.sleep(PROBE_EVERY_SECONDS)

    async def watch(self, server: Server) -> None:
        while True:
            await server.probe(self._probe_seconds)
            await asyncio.sleep(PROBE_EVERY_SECONDS)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._relay(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readline()
        if first.startswith(b"GET /relay"):
            self.upgrades += 1
            if self.refuse:
                self.refuse -= 1
                writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
                return
        for server in sorted(self.servers, key=lambda server: not server.ready):
            try:
                beyond, onwards = await asyncio.open_connection("127.0.0.1", server.port)
            except OSError:
                continue
            break
        else:
            return
        server.lines.add(writer)
        try:
            onwards.write(first)
            ways = [asyncio.ensure_future(_copy(reader, onwards)), asyncio.ensure_future(_copy(beyond, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if not ways[0].done():  # the server's last words are out
                ways[0].cancel()
            await asyncio.wait(ways, timeout=5)
            ways[1].cancel()
        finally:
            server.lines.discard(writer)
            onwards.transport.abort()

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=5)

    # ------------------------------------------------------------------------------ calls through it

    async def call(self, script: str, *, seed: object, speed: float, seconds: float = 60) -> Run:
        """A call as Twilio makes it; everything it does goes through the balancer."""
        line = Line(transport=NetTransport(f"http://127.0.0.1:{self.port}"), auth_token=TOKEN, seed=seed)
        async with asyncio.timeout(seconds):
            return await run_call(line, f"{PUBLIC_URL}/voice", parse_script(script), speed=speed)

    def all_noted(self, what: str) -> list[dict[str, Any]]:
        """What the agents wrote down of all calls."""
        log = (self._folder / "desk.jsonl").read_text().splitlines()
        return [note for note in map(json.loads, log) if note["what"] == what]

    def noted(self, run: Run, what: str) -> list[dict[str, Any]]:
        """What the agents wrote down of a call, whichever process they were in."""
        call = run.sessions[0].call
        assert call is not None
        return [note for note in self.all_noted(what) if note["call"] == call.identity.call_sid]


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


def _install_desk(folder: Path) -> None:
    (folder / "desk.py").write_text(DESK)
    (folder / "desk.jsonl").touch()
    info = folder / "desk-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: desk\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[studio_relay.agents]\ndesk = desk\n")


@pytest.fixture
def balanced(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Balancer]]:
    """Makes a balancer and its two servers, ready; they are gone, process by process, when the block is left."""

    @asynccontextmanager
    async def make(*, probe_seconds: float = 0.6, **settings: str) -> AsyncIterator[Balancer]:
        _install_desk(tmp_path)
        balancer = Balancer([Server(tmp_path, **settings) for _ in range(2)], tmp_path, probe_seconds=probe_seconds)
        listener = await asyncio.start_server(balancer.take, "127.0.0.1", 0, backlog=200)
        balancer.port = listener.sockets[0].getsockname()[1]
        watching = [asyncio.create_task(balancer.watch(server)) for server in balancer.servers]
        try:
            for server in balancer.servers:
                server.start()
            await balancer.wait_until_ready(*balancer.servers)
            yield balancer
        finally:
            for watch in watching:
                watch.cancel()
            listener.close()
            await balancer.close()
            for server in balancer.servers:
                server.kill()
        for server in balancer.servers:
            written = server.output.read_text()
            assert "Traceback" not in written, written[-3000:]
            assert TOKEN not in written

    return make


@pytest.fixture
def spoken() -> Callable[[Run], str]:
    """What the caller of a run heard."""
    return lambda run: " ".join(turn.text for turn in run.transcript if turn.who == "agent")


@pytest.fixture
def longest_silence_ms() -> Callable[[Run], int]:
    """The longest time of a run in which nobody made a sound, also between its sessions."""

    def longest(run: Run) -> int:
        calls = [session.call for session in run.sessions if session.call and session.call.setup_ms is not None]
        sounds = [(calls[0].setup_ms or 0, 0)]
        for call in calls:
            sounds += [(e.at_ms, 1 if e.value == "on" else -1) for e in call.end.played if e.name == "agentSpeaking"]
            sounds += [(at, {"on": 1, "off": -1}.get(sound, 0)) for at, sound in call.end.caller_sound]
            sounds.append((call.started_ms + _duration(run, call), 0))
        speaking = silent = 0
        for (at, change), (following, _) in pairwise(sorted(sounds, key=lambda sound: sound[0])):
            speaking = max(0, speaking + change)
            silent = max(silent, 0 if speaking else following - at)
        return silent

    return longest


def _duration(run: Run, call: Any) -> int:
    return next(session.outcome.duration_ms for session in run.sessions if session.call is call)
