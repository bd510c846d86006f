"""pytest fixtures to call an agent: in process, on virtual time, without a network, a key or a phone.

    def test_it_answers(caller):
        call = caller("hello")
        call.say("good morning").expect.heard("good morning")

Loaded by the `pytest11` entry point. Nothing happens in tests that ask for none of these fixtures.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from quart import Quart

    from studio_relay.plugins import Plugins
    from studio_relay.testing.asgi import AsgiTransport
    from studio_relay.testing.attributes import RelayAttributes
    from studio_relay.testing.conversation import Conversation, VirtualTime
    from studio_relay.testing.playback import Leftovers
    from studio_relay.testing.run import Run
    from studio_relay.testing.suite import SuiteResult

PUBLIC_URL = "https://relay.example.test"
SOCKET_URL = "wss://relay.example.test/relay"
UNDER_TEST = "under-test"
AUTH_TOKEN = "studio_relay_test_token"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class NetworkForbidden(RuntimeError):
    """A test of an agent reached for the network; use a stand-in for what it wants."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Our virtual clock is made of looptime, whose own pytest plugin fails every test without pytest-asyncio."""
    manager = config.pluginmanager
    looptime = manager.get_plugin("looptime_plugin")
    if looptime is not None and not manager.has_plugin("asyncio"):
        manager.unregister(looptime)


@pytest.fixture
def relay_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of this machine, and no network but loopback, reaches the test."""
    for name in [name for name in os.environ if name.startswith(("STUDIO_RELAY_", "TWILIO_"))]:
        monkeypatch.delenv(name)
    connect = socket.socket.connect

    def only_here(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in _LOOPBACK:
            raise NetworkForbidden(f"a test tried to connect to {address[0]}: give the agent a stand-in for it")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_here)


@pytest.fixture
def relay(relay_environment: None) -> Callable[..., Quart]:
    """Makes the server: `relay(agent)`, an installed agent's name, a module, a class or an object.

    Further arguments: `extensions` (names or objects), and settings by field name. Other installed plugins stay
    out. Raises PluginError, SettingsError as the server would.
    """
    return make_app


@pytest.fixture
def virtual_time() -> Iterator[VirtualTime]:
    """The clock the simulated calls of one test run on."""
    from studio_relay.testing.conversation import VirtualTime

    time = VirtualTime()
    yield time
    time.close()


@pytest.fixture
def caller(relay_environment: None, virtual_time: VirtualTime, request: pytest.FixtureRequest) -> Iterator[Caller]:
    """Calls an agent: `caller(agent)` gives a conversation, `caller.run(agent, script)` acts out a script."""
    made = Caller(virtual_time, Path(request.node.path).parent)
    yield made
    made.close()


@pytest.fixture
def flow_suite(relay_environment: None, request: pytest.FixtureRequest) -> Callable[..., SuiteResult]:
    """Acts caller scripts out over their flows, as `studio-relay flow test` does, with `agent` as in `caller`.

        def test_flows(flow_suite):
            result = flow_suite("flows", min_coverage=90)
            assert result.ok, result.explain()

    Paths are files and folders as seen from the test's own. Without `agent` each relay's URL names one that is
    installed; an agent that is given answers all. Further arguments are those of `suite.run_suite`.
    """
    folder = Path(request.node.path).parent

    def run(*paths: str | Path, agent: Any = None, flow: str | Path | None = None, **options: Any) -> SuiteResult:
        from studio_relay.testing.suite import collect, run_suite

        suite = collect([folder / path for path in paths or ("",)], flow=None if flow is None else folder / flow)
        if agent is None or isinstance(agent, str):
            return run_suite(suite, agent=agent, **options)
        return run_suite(suite, agent=UNDER_TEST, plugins=_with_agent(agent), **options)

    return run


def _with_agent(agent: Any) -> Plugins:
    """The built-in plugins and this agent."""
    from studio_relay.plugins import assemble, load_plugins, plugin

    found = load_plugins(outside=False)
    return assemble([*found.agents.values(), plugin(agent, name=UNDER_TEST, kind="agent")], found.failures)


class Caller:
    """Somebody who calls agents, and ASGI apps. Each agent gets a server of its own in this process.

    With `streaming` set, agents are made to stream as a model does; see `streaming.py`.
    """

    def __init__(self, time: VirtualTime, folder: Path) -> None:
        self.streaming = False
        self._time = time
        self._folder = folder
        self._transports: list[AsgiTransport] = []
        self._conversations: list[Conversation] = []

    def __call__(
        self,
        target: Any,
        *,
        attributes: RelayAttributes | None = None,
        widget: bool = False,
        url: str = SOCKET_URL,
        seed: object = 1,
        leftovers: Leftovers = "joined",
        media_ms: Mapping[str, int] | None = None,
        **changes: Any,
    ) -> Conversation:
        """Call `target`: an agent's name, module, class or object, or an ASGI app.

        The relay has everything recorded calls had (events, keys, partials); `widget=True` makes it Studio's
        widget, `changes` are fields of `RelayAttributes`. The same `seed` is the same call. `leftovers` is what becomes
        of the words that are on the wire when a reply is cut off: `joined` (spoken together with the next reply),
        `apart` or `dropped`. `media_ms` says how long what the agent plays takes, by its URL.
        """
        from studio_relay.testing.conversation import Conversation
        from studio_relay.testing.identity import Identity, make_sid
        from studio_relay.testing.twilio import SimulatedCall

        transport = self._transport(target)
        wanted = _attributes(attributes, widget, changes)

        def make() -> SimulatedCall:
            return SimulatedCall(
                transport,
                url,
                attributes=wanted,
                identity=Identity.fresh(seed),
                session_id=make_sid("VX", seed, len(self._conversations)),
                auth_token=AUTH_TOKEN,
                leftovers=leftovers,
                media_ms=media_ms,
            )

        conversation = Conversation(self._time, make)
        self._conversations.append(conversation)
        return conversation

    def run(
        self,
        target: Any,
        script: str | Path,
        *,
        voice: bool = False,
        leftovers: Leftovers = "joined",
        **options: Any,
    ) -> Run:
        """Act out a caller script, its text or its file, against `target`; `options` go to `run_call`.

        With `voice` the call comes to the server's `/voice` first, as for a number without Studio: then a socket
        that drops is connected again. With a `flow` in the script the flow is walked, from the file's folder.
        """
        from studio_relay.testing.relay import Line
        from studio_relay.testing.run import run_call, run_flow
        from studio_relay.testing.script import load_script, parse_script

        read = load_script(self._folder / script) if isinstance(script, Path) else parse_script(script)
        line = Line(transport=self._transport(target), auth_token=AUTH_TOKEN, leftovers=leftovers, seed=1)
        if read.flow_path is None:
            url = f"{PUBLIC_URL}/voice" if voice else SOCKET_URL
            return self._time.run(run_call(line, url, read, **options))
        from studio_relay.studio.flow import load_flow

        return self._time.run(run_flow(load_flow(read.flow_path), read, line, **options))

    def close(self) -> None:
        """End all calls and stop the servers; raises what an app raised."""
        for conversation in self._conversations:
            self._time.run(conversation.call.aclose())
        failures: list[BaseException] = []
        for transport in self._transports:
            self._time.run(transport.__aexit__(None, None, None))
            failures += transport.failures
        if failures:
            raise failures[0]

    def _transport(self, target: Any) -> AsgiTransport:
        from studio_relay.testing.asgi import AsgiTransport

        known = next((transport for transport in self._transports if transport.app is target), None)
        if known is not None:
            return known
        transport = AsgiTransport(target if _is_app(target) else make_app(self._agent(target)))
        self._time.run(transport.__aenter__())
        self._transports.append(transport)
        return transport

    def _agent(self, target: Any) -> Any:
        from studio_relay.testing.streaming import Streaming

        return Streaming(target) if self.streaming else target


def make_app(agent: Any = None, *, extensions: tuple[Any, ...] = (), **settings: Any) -> Quart:
    """A server with `agent` and no other plugin than those named; see the `relay` fixture."""
    from studio_relay.plugins import assemble, load_plugins, plugin
    from studio_relay.server.app import create_app
    from studio_relay.settings import load_settings

    names = [thing for thing in (agent, *extensions) if isinstance(thing, str)]
    found = load_plugins(only=names) if names else load_plugins(outside=False)
    agents = dict(found.agents)
    answering = agent if isinstance(agent, str) else _name(agent) if agent is not None else "echo"
    if agent is not None and not isinstance(agent, str):
        agents[answering] = plugin(agent, name=answering, kind="agent")
    loaded = [*agents.values(), *found.extensions]
    for number, extension in enumerate(extension for extension in extensions if not isinstance(extension, str)):
        loaded.append(plugin(extension, name=f"extension-{number}", kind="extension"))
    given = {"agent": answering, "auth_token": AUTH_TOKEN, "public_url": PUBLIC_URL, **settings}
    return create_app(load_settings(env_file=None, **given), assemble(loaded, found.failures))


def _name(agent: Any) -> str:
    """What an agent is called that is no name itself: an installed one that streams is called as it was installed."""
    from studio_relay.testing.streaming import Streaming

    installed = agent.installed_name if isinstance(agent, Streaming) else None
    return installed or UNDER_TEST


def _attributes(given: RelayAttributes | None, widget: bool, changes: dict[str, Any]) -> RelayAttributes:
    from dataclasses import replace

    from studio_relay.testing.attributes import RelayAttributes

    if given is not None:
        return replace(given, **changes)
    return RelayAttributes(mode="widget", **changes) if widget else RelayAttributes.full(**changes)


def _is_app(target: Any) -> bool:
    """Whether `target` is an ASGI app: callable, no class or module, and takes three arguments."""
    import inspect

    if isinstance(target, str | type) or not callable(target):
        return False
    try:
        return len(inspect.signature(target).parameters) == 3
    except (TypeError, ValueError):
        return False
