"""A WebSocket client of raw sockets, for what no client library does: bursts, resets, frames of any kind."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import struct
from typing import Any

ACCOUNT = "AC" + "0" * 32


def frame(data: bytes, opcode: int = 1) -> bytes:
    """A frame as a client sends it, masked with zeros."""
    if len(data) < 126:
        size = bytes([0x80 | len(data)])
    elif len(data) < 65_536:
        size = bytes([0xFE]) + struct.pack("!H", len(data))
    else:
        size = bytes([0xFF]) + struct.pack("!Q", len(data))
    return bytes([0x80 | opcode]) + size + bytes(4) + data


def message(**fields: Any) -> bytes:
    """A frame that holds a message."""
    return frame(json.dumps(fields).encode())


def setup(number: int) -> bytes:
    """The first frame of call `number`."""
    return message(
        type="setup",
        sessionId=f"VX{number:032x}",
        callSid=f"CA{number:032x}",
        accountSid=ACCOUNT,
        **{"from": "+15550100001"},
        to="+15550100002",
        direction="inbound",
        customParameters={},
    )


class Wire:
    """An open WebSocket on a real socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def reset(self) -> None:
        """Vanish as a process does that was killed: RST, whatever is still on its way."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def dial(
    port: int, *, path: str = "/relay", headers: dict[str, str] | None = None, host: str = "127.0.0.1"
) -> Wire:
    """Open a WebSocket; ConnectionRefusedError with the status line where the upgrade is refused."""
    reader, writer = await asyncio.open_connection(host, port)
    wanted = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        **(headers or {}),
    }
    lines = ["GET /relay HTTP/1.1", *(f"{name}: {value}" for name, value in wanted.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 101 " not in head:
        writer.transport.abort()
        raise ConnectionRefusedError(head.partition(b"\r\n")[0].decode())
    return Wire(reader, writer)


async def get_json(port: int, path: str) -> Any:
    """What a GET is answered with, whatever its status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return json.loads(answer.partition(b"\r\n\r\n")[2].strip().splitlines()[-1])
