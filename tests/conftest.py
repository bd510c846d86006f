"""What every test gets: a clean environment, no outside plugins, no network; and a conversation without a server."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from ipaddress import ip_address
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from studio_relay import plugins as plugins_module
from studio_relay.dispatch import Conversation, Dispatcher
from studio_relay.plugins import BUILT_IN, Plugins, assemble, load_plugins, plugin
from studio_relay.settings import PluginSettings
from studio_relay.store import MemoryStore, SessionStore

if TYPE_CHECKING:
    from stand_in import StandIn

# On Python 3.11 pytest's async plugins ask for "the current loop" around sync tests too, which makes one that
# nobody closes; with warnings as errors it fails some later, innocent test. Saying that there is none prevents it.
asyncio.set_event_loop(None)

SETUP: dict[str, Any] = {
    "type": "setup",
    "sessionId": "VX00000000000000000000000000000001",
    "callSid": "CA00000000000000000000000000000001",
    "accountSid": "AC00000000000000000000000000000000",
    "from": "+15550100001",
    "to": "+15550100002",
    "direction": "inbound",
    "callType": "PSTN",
    "callStatus": "RINGING",
    "customParameters": {},
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "outside_plugins: plugins that are installed may be loaded in this test")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No setting of the machine reaches a test, and none that a test makes reaches the next."""
    before = dict(os.environ)
    for name in before:
        if name.upper().startswith(("STUDIO_RELAY_", "TWILIO_")):
            monkeypatch.delenv(name)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A command that a test runs in this process sets up the log, with streams that are gone afterwards."""
    loggers = [logging.getLogger(name) for name in ("", "studio_relay", "asyncio", "py.warnings")]
    before = [(list(one.handlers), one.level, one.propagate) for one in loggers]
    yield
    for one, (handlers, level, propagate) in zip(loggers, before, strict=True):
        one.handlers, one.propagate = handlers, propagate
        one.setLevel(level)


@pytest.fixture(autouse=True)
def no_outside_plugins(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what comes with studio-relay is found, unless a test is marked `outside_plugins`."""
    if request.node.get_closest_marker("outside_plugins"):
        return
    entries = plugins_module._entries

    def own_entries(*arguments: Any) -> list[Any]:
        return [entry for entry in entries(*arguments) if entry.dist is not None and entry.dist.name == BUILT_IN]

    monkeypatch.setattr(plugins_module, "_entries", own_entries)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but this machine can be reached."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            raise AssertionError(f"a test tried to reach {address[0]}; tests reach this machine only")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Talk:
    """A conversation as its socket sees it: frames go in, what is sent is kept in `frames`.

    While `reading` is false nothing is taken from the conversation, as by a client that does not read.
    """

    def __init__(self, desk: Dispatcher) -> None:
        self.conversation = Conversation(desk)
        self.frames: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.reading = True
        self._loop = asyncio.get_running_loop()
        self._words = asyncio.Event()
        self.conversation.writer = self
        self._task = self._loop.create_task(self._write())

    # What a conversation asks of whoever writes (voice.Writer).

    @property
    def busy(self) -> bool:
        return not self.reading

    def time(self) -> float:
        return self._loop.time()

    def wake(self) -> None:
        self._words.set()

    async def transmit(self, text: str) -> None:
        self.frames.append(json.loads(text))
        self.times.append(self._loop.time())

    async def _write(self) -> None:
        session = self.conversation.session
        while True:
            while self.reading and (text := session.next_text(self._loop.time())) is not None:
                await self.transmit(text)
            self.conversation.progress.happened()
            self._words.clear()
            await self._words.wait()

    def stop(self) -> None:
        self._task.cancel()

    def receive(self, frame: dict[str, Any] | str | bytes) -> None:
        """Hand over one frame and let nothing else happen."""
        self.conversation.receive(json.dumps(frame) if isinstance(frame, dict) else frame)

    async def settle(self) -> None:
        """Let everything happen that needs no time."""
        for _ in range(60):
            await asyncio.sleep(0)

    async def setup(self, **fields: Any) -> None:
        self.receive(SETUP | fields)
        await self.settle()

    async def prompt(self, text: str, *, last: bool = True) -> None:
        self.receive({"type": "prompt", "voicePrompt": text, "lang": "en-US", "last": last})
        await self.settle()

    async def press(self, digits: str) -> None:
        for digit in digits:
            self.receive({"type": "dtmf", "digit": digit})
        await self.settle()

    async def interrupt(self, heard: str = "") -> None:
        self.receive({"type": "interrupt", "utteranceUntilInterrupt": heard, "durationUntilInterruptMs": "100"})
        await self.settle()

    async def close(self, code: int | None = 1000) -> None:
        await self.conversation.closed(code)
        await self.settle()

    @property
    def words(self) -> str:
        """All that was sent to be spoken."""
        return "".join(frame["token"] for frame in self.frames if frame["type"] == "text")

    @property
    def cycles(self) -> list[str]:
        """The talk cycles that were closed, and what was sent of an open one."""
        cycles = [""]
        for frame in self.frames:
            if frame["type"] == "text":
                cycles[-1] += frame["token"]
                cycles += [""] if frame["last"] else []
        return cycles if cycles[-1] else cycles[:-1]

    @property
    def ends(self) -> list[Any]:
        """The handoffs of every `end` that was sent; None for one without."""
        ends = [frame for frame in self.frames if frame["type"] == "end"]
        return [json.loads(end["handoffData"]) if "handoffData" in end else None for end in ends]


def _make_talk(
    agent: Any, *extensions: Any, store: SessionStore | None = None, desk: Dispatcher | None = None, **settings: Any
) -> Talk:
    if desk is not None:
        return Talk(desk)
    agents = [plugin(agent, name="agent", kind="agent")]
    others = [plugin(e, name=f"extension-{i}", kind="extension") for i, e in enumerate(extensions)]
    plugins = assemble([*agents, *others])
    shared = {"settings": PluginSettings(**settings), "store": store or MemoryStore()}
    return Talk(Dispatcher(plugins=plugins, default_agent=plugins.agents["agent"], **shared))


@pytest.fixture
def make_talk() -> Callable[..., Talk]:
    """Makes a conversation on a loop of the test's own, which also closes it."""
    return _make_talk


@pytest.fixture
async def talk() -> AsyncIterator[Callable[..., Talk]]:
    """Makes conversations with an agent and extensions, given as objects or classes; `desk` is another's, to share."""
    made: list[Talk] = []

    def make(agent: Any, *extensions: Any, **options: Any) -> Talk:
        made.append(_make_talk(agent, *extensions, **options))
        return made[-1]

    yield make
    for one in made:
        await one.conversation.closed(None)
        one.stop()


@pytest.fixture
def setup_frame() -> dict[str, Any]:
    """A setup of a synthetic call."""
    return dict(SETUP)


@pytest.fixture
def built_in() -> Plugins:
    """The plugins that come with studio-relay."""
    return load_plugins(outside=False)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that requests to Twilio's API would have waited."""
    import time

    from studio_relay.studio.account import http

    waited: list[float] = []
    monkeypatch.setattr(http, "time", SimpleNamespace(sleep=waited.append, time=time.time))
    return waited


@pytest.fixture
def twilio(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> Iterator[StandIn]:
    """A stand-in for Twilio's API instead of the network, with an account whose credentials are in the environment."""
    from stand_in import StandIn, mounted

    stand_in = StandIn()
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", stand_in.account.sid)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", stand_in.account.secrets[""])
    yield from mounted(stand_in)
