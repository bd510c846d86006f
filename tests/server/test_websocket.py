"""The socket as the relay needs it, over the ASGI calls of a host."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection

from studio_relay.server.websocket import Closed, Socket


class Host:
    """What a host gives an application: events to receive, and a place to send to."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.events = [{"type": "websocket.connect"}, *events]
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        return self.events.pop(0)

    async def send(self, event: dict[str, Any]) -> None:
        self.sent.append(event)


async def accepted(*events: dict[str, Any]) -> tuple[Socket, Host]:
    host = Host(*events)
    socket = Socket(host.receive, host.send)
    await socket.accept()
    return socket, host


@pytest.mark.parametrize(
    ("event", "frame"),
    [
        ({"text": "words"}, "words"),
        ({"text": "words", "bytes": None}, "words"),
        ({"text": "", "bytes": None}, ""),
        ({"bytes": b"words"}, b"words"),
        ({"bytes": b"words", "text": None}, b"words"),
        ({"bytes": b""}, b""),  # uvicorn
        ({"bytes": b"", "text": None}, b""),  # hypercorn
        ({"bytes": None, "text": None}, ""),
    ],
)
async def test_frames_of_any_kind(event: dict[str, Any], frame: str | bytes) -> None:
    socket, _ = await accepted({"type": "websocket.receive", **event})
    assert await socket.receive() == frame


async def test_the_close_is_told_again_and_again() -> None:
    socket, _ = await accepted({"type": "websocket.disconnect", "code": 1000, "reason": "bye"})
    assert await socket.receive() == Closed(1000, "bye")
    assert await socket.receive() == Closed(1000, "bye")


@pytest.mark.parametrize("event", [{}, {"code": None}, {"code": None, "reason": None}])
async def test_a_host_that_does_not_tell_the_code(event: dict[str, Any]) -> None:
    socket, _ = await accepted({"type": "websocket.disconnect", **event})
    assert await socket.receive() == Closed(None, "")


@pytest.mark.parametrize(("frame", "fits"), [("x" * 262_144, True), ("€" * 87_381, True), ("€" * 87_382, False)])
async def test_messages_are_measured_in_bytes(frame: str, fits: bool) -> None:
    socket, host = await accepted({"type": "websocket.receive", "text": frame})
    received = await socket.receive()
    assert received == (frame if fits else Closed(1009))
    assert [event.get("code") for event in host.sent[1:]] == ([] if fits else [1009])


async def test_it_closes_once() -> None:
    socket, host = await accepted()
    await socket.close(1008, "why")
    await socket.close(1000, "again")
    assert host.sent[1:] == [{"type": "websocket.close", "code": 1008, "reason": "why"}]
    assert await socket.receive() == Closed(1008, "why")


async def test_it_does_not_answer_a_close() -> None:
    socket, host = await accepted({"type": "websocket.disconnect", "code": 1000})
    await socket.receive()
    await socket.close(1000, "")
    assert [event["type"] for event in host.sent] == ["websocket.accept"]


async def test_text_goes_out_as_text() -> None:
    socket, host = await accepted()
    await socket.send("words")
    assert host.sent[-1]["type"] == "websocket.send"
    assert host.sent[-1]["text"] == "words"
    assert host.sent[-1].get("bytes") is None


class HypercornStream:
    """As much of hypercorn's stream as carries the close it loses."""

    def __init__(self) -> None:
        self.connection = Connection(ConnectionType.SERVER)
        self.host = Host({"type": "websocket.disconnect", "code": 1006})

    async def app_send(self, event: dict[str, Any]) -> None:
        await self.host.send(event)


@pytest.mark.parametrize(
    ("closes", "expected"),
    [
        ([CloseConnection(1000, "Closing websocket session")], Closed(1000, "Closing websocket session")),
        ([CloseConnection(4000)], Closed(4000, "")),
        ([], Closed(1006, "")),
    ],
)
async def test_the_close_hypercorn_loses_is_noted_where_it_passes(
    closes: list[CloseConnection], expected: Closed
) -> None:
    stream, peer = HypercornStream(), Connection(ConnectionType.CLIENT)
    socket = Socket(stream.host.receive, stream.app_send)
    await socket.accept()
    for close in closes:
        stream.connection.receive_data(peer.send(close))
    assert len(list(stream.connection.events())) == len(closes)
    async with asyncio.timeout(5):
        assert await socket.receive() == expected
