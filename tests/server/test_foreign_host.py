"""Signals under a host that is not ours: uvicorn's wait until we have drained, all others are left alone."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from studio_relay import Prompt, hookimpl
from studio_relay.server.foreign_host import settle_in

pytestmark = pytest.mark.looptime


class Agent:
    """Streams for a minute."""

    @hookimpl
    async def on_prompt(self, prompt: Prompt) -> Any:
        for number in range(60):
            yield f"{number} "
            await asyncio.sleep(1)


class Host:
    """Handles signals as a method, as uvicorn does; notes which, and when."""

    def __init__(self) -> None:
        self.told: list[tuple[int, float]] = []

    def handle_exit(self, number: int, frame: Any) -> None:
        self.told.append((number, asyncio.get_running_loop().time()))


class Uvicorn(Host):
    __module__ = "uvicorn.server"


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def taking_signals(host: Host) -> Host:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, host.handle_exit)
    return host


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_uvicorn_hears_of_a_signal_when_the_calls_are_handed_on(
    serve: Any, setup_frame: Any, number: signal.Signals, caplog: Any
) -> None:
    host, server = taking_signals(Uvicorn()), serve(Agent())
    settle_in(server.relay)
    socket = await server.connect()
    await socket.send(setup_frame)
    await socket.prompt("go")
    began = asyncio.get_running_loop().time()
    signal.raise_signal(number)
    await asyncio.sleep(16)
    assert (host.told, socket.ends) == ([], [])
    await asyncio.sleep(1.5)
    assert len(socket.ends) == 1
    await socket.disconnect(1000)
    await asyncio.sleep(0.5)
    assert [told for told, _ in host.told] == [number]
    assert host.told[0][1] - began < 18
    assert "this host cannot drain" not in caplog.text


async def test_a_second_signal_goes_to_uvicorn_at_once(serve: Any, setup_frame: Any) -> None:
    host, server = taking_signals(Uvicorn()), serve(Agent())
    settle_in(server.relay)
    socket = await server.connect()
    await socket.send(setup_frame)
    await socket.prompt("go")
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    assert [told for told, _ in host.told] == [signal.SIGTERM]


async def test_the_signals_of_other_hosts_are_left_alone(serve: Any, caplog: Any) -> None:
    host = taking_signals(Host())
    settle_in(serve(Agent()).relay)
    assert signal.getsignal(signal.SIGTERM) == host.handle_exit
    assert caplog.text.count("this host cannot drain: SIGTERM cuts live calls.") == 1
