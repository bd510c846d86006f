"""The server's own host: hypercorn on a socket of ours, until it is told to stop. Knows no route and no call.

Any other ASGI host serves `studio_relay.asgi:app` as well; what it does when it stops is in `foreign_host.py`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from quart import Quart

from studio_relay.errors import PluginError, SettingsError

log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 262_144
"""Past it the host closes with 1009; `MAX_FRAME_BYTES` refuses frames long before."""
PING_SECONDS = 25.0

_LAST_WORDS_SECONDS = 1.0
"""What is left open after draining has so long. hypercorn's pings outlive their closed socket by up to PING_SECONDS."""


def listen(host: str, port: int, *, lost_after: float = 10.0) -> socket.socket:
    """A socket bound to `host` and `port`; 0 takes a free port. Raises SettingsError when it cannot be had.

    A peer that acknowledges nothing for `lost_after` seconds loses its connection, where the system can do that.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise SettingsError(f"STUDIO_RELAY_HOST: {host} is no address of this machine ({_reason(error)})") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _lose_silent_peers(listener, lost_after)
        listener.bind(address)
        listener.listen(100)
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"STUDIO_RELAY_PORT: cannot listen on {host}:{port} ({_reason(error)}); "
            "stop what uses it, or take another one: --port 8081, --port 0 for any"
        ) from None
    return listener


def _lose_silent_peers(listener: socket.socket, seconds: float) -> None:
    """Let the kernel end connections whose peer is gone without a word, or reads nothing. Linux only.

    What a listener is told counts for each connection it accepts. TCP_USER_TIMEOUT ends those with unacknowledged
    data, also where the peer acknowledges probes and takes no data; the probes find the peers to which nothing is
    being sent.
    """
    if not hasattr(socket, "TCP_USER_TIMEOUT"):
        return
    every = max(1, round(seconds / 2))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, every)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, every)


async def serve_on(
    app: Quart,
    listener: socket.socket,
    until: Callable[[], Awaitable[None]],
    *,
    ping_seconds: float | None = PING_SECONDS,
) -> None:
    """Serve `app` on `listener`; `until` is called once calls are taken, and its return stops the server.

    Takes the listener over. Raises PluginError when a plugin's on_startup fails.
    """
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from hypercorn.utils import LifespanFailureError

    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.websocket_max_message_size = MAX_MESSAGE_BYTES
    config.websocket_ping_interval = ping_seconds
    config.graceful_timeout = _LAST_WORDS_SECONDS
    config.include_server_header = False
    config.errorlog = _host_log()
    app.extensions["studio_relay"].is_ours = True
    loop = asyncio.get_running_loop()
    try:
        with _closing_at_once(loop):
            await serve(app, config, shutdown_trigger=until)
    except LifespanFailureError as error:
        raise PluginError(str(error).partition("'")[2].removesuffix("'")) from None


@asynccontextmanager
async def hosted(app: Quart, listener: socket.socket) -> AsyncIterator[None]:
    """Serve `app` on `listener` while the block runs, without pings: for callers in the same process."""
    up, left = asyncio.Event(), asyncio.Event()

    async def until() -> None:
        up.set()
        await left.wait()

    serving = asyncio.create_task(serve_on(app, listener, until, ping_seconds=None))
    starting = asyncio.create_task(up.wait())
    await asyncio.wait({serving, starting}, return_when=asyncio.FIRST_COMPLETED)
    starting.cancel()
    try:
        if not serving.done():
            yield
    finally:
        left.set()
        await serving


@contextmanager
def _closing_at_once(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let hypercorn go on to end its connections as soon as its listener is closed.

    It awaits `Server.wait_closed()` first, and from Python 3.12 on that waits until every connection is gone: with
    one live socket it never gets there (hypercorn's issue 308).
    """
    create_server = loop.create_server

    async def create(*args: Any, **options: Any) -> asyncio.Server:
        server = await create_server(*args, **options)
        server.wait_closed = _at_once  # type: ignore[method-assign]
        return server

    loop.create_server = create  # type: ignore[method-assign]
    try:
        yield
    finally:
        if vars(loop).get("create_server") is create:
            del loop.create_server


async def _at_once() -> None:
    """Nothing is waited for."""


def _host_log() -> logging.Logger:
    """hypercorn announces its address at level info; the command has said it already."""
    log = logging.getLogger("studio_relay.host")
    log.setLevel(logging.WARNING)
    return log


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
