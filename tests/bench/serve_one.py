"""Serve one app for a benchmark: `serve_one.py ours|watched|counted|bare|quart HOST`.

HOST is hypercorn or uvicorn. It prints its port, and stops on SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import sys
from collections import Counter
from typing import Any

TOKEN = "studio_relay_bench_token"


def make_app(kind: str, port: int) -> Any:
    """The app to measure; imports only what it needs, for the start-up benchmark."""
    if kind == "bare":
        from bare_app import app

        return app
    if kind == "quart":
        from quart import Quart

        bare = Quart("bare")

        @bare.websocket("/relay")
        async def relay() -> None:
            pass

        return bare
    if kind == "counted":
        import bench_witness

        return our_app(port, bench_witness)
    return watched(our_app(port)) if kind == "watched" else our_app(port)


def watched(app: Any) -> Any:
    """Count the text that goes out between an interrupt that came in and the next prompt."""
    import bench_agent

    async def watching(scope: Any, receive: Any, send: Any) -> None:
        interrupted = False

        async def watched_receive() -> Any:
            nonlocal interrupted
            event = await receive()
            if text := event.get("text"):
                interrupted = json.loads(text)["type"] == "interrupt"
            return event

        async def watched_send(event: Any) -> None:
            if interrupted and event["type"] == "websocket.send":
                bench_agent.COUNTS["stale"] += 1
            await send(event)

        await app(scope, watched_receive, watched_send)

    return watching


def our_app(port: int, *extensions: Any) -> Any:
    import bench_agent

    from studio_relay.plugins import assemble, load_plugins, plugin
    from studio_relay.server.app import create_app
    from studio_relay.settings import load_settings

    logging.getLogger("studio_relay").setLevel("ERROR")
    settings = load_settings(
        env_file=None, auth_token=TOKEN, public_url=f"https://127.0.0.1:{port}", agent="bench", max_calls=20_000
    )
    installed = load_plugins(outside=False)
    agent = plugin(bench_agent, name="bench", kind="agent")
    watching = [plugin(one, name=one.__name__, kind="extension") for one in extensions]
    app = create_app(settings, assemble([*installed.agents.values(), *installed.extensions, *watching, agent]))
    app.add_url_rule("/bench/census", "census", census)
    return app


async def census() -> str:
    """How many calls, sessions and tasks live in this process, and what on_end and late words have counted."""
    import gc

    import bench_agent
    from quart import current_app

    from studio_relay import Call
    from studio_relay.dispatch import Conversation
    from studio_relay.protocol.session import Session
    from studio_relay.server.connection import Connection

    gc.collect()
    kinds = Counter(type(thing) for thing in gc.get_objects())
    live = {kind.__name__: kinds[kind] for kind in (Call, Session, Conversation, Connection)}
    witness = getattr(sys.modules.get("bench_witness"), "COUNTS", {})
    entries = current_app.extensions["studio_relay"].store._entries.values()
    stored = sum(len(entry.text) for entry in entries)  # what calls that are over leave behind for a quarter of an hour
    tasks = len(asyncio.all_tasks())
    return json.dumps({**live, "tasks": tasks, "stored_bytes": stored, **bench_agent.COUNTS, **witness})


def main() -> None:
    kind, host = sys.argv[1:3]
    # With the protocol named, asyncio switches Nagle's algorithm off, as hosts do on sockets of their own.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    port = listener.getsockname()[1]
    app = make_app(kind, port)
    asyncio.run({"hypercorn": on_hypercorn, "uvicorn": on_uvicorn}[host](app, listener, port))


async def on_hypercorn(app: Any, listener: socket.socket, port: int) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.accesslog = config.errorlog = None
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    asyncio.get_running_loop().call_later(0, lambda: print(port, flush=True))
    await serve(app, config, shutdown_trigger=stop.wait)  # type: ignore[arg-type]


async def on_uvicorn(app: Any, listener: socket.socket, port: int) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,
        ws="websockets-sansio",
        log_level="critical",
        proxy_headers=False,
        loop="asyncio",
        ws_per_message_deflate=False,
    )
    asyncio.get_running_loop().call_later(0, lambda: print(port, flush=True))
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    main()
