"""`studio-relay serve`: the server on hypercorn, until a signal; what it serves is in `studio_relay.server`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import asyncio

    from studio_relay.plugins import Plugins
    from studio_relay.server.app import Relay
    from studio_relay.settings import Settings

log = logging.getLogger(__name__)

_FORCED_SECONDS = 2.0  # what stopping may take after a second signal


@click.command("serve")
@click.option("--host", metavar="ADDRESS", help="Where to listen.  [default: 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(0, 65_535), help="Port to listen on, 0 for a free one.  [default: PORT, else 8080]"
)
@click.option("--agent", metavar="NAME", help="The agent that answers, where several are installed.")
@click.option("--insecure", is_flag=True, help="Serve unsigned requests, from this very machine only.")
@click.option("--json", "as_json", is_flag=True, help="Say where it listens as one line of JSON.")
@click.pass_context
def command(
    ctx: click.Context, host: str | None, port: int | None, agent: str | None, insecure: bool, as_json: bool
) -> None:
    """Answer calls until stopped, then leave without dropping any.

    Settings come from the environment and a .env file; the options win. After the first SIGTERM or Ctrl-C no
    more calls are taken, each live one is handed on at its first pause, and the server is gone within
    STUDIO_RELAY_SHUTDOWN_SECONDS. A second one cuts them off at once.
    """
    import asyncio

    from studio_relay.cli.announcement import announcement
    from studio_relay.cli.errors import INTERRUPTED
    from studio_relay.log import configure
    from studio_relay.plugins import load_plugins
    from studio_relay.server.app import create_app
    from studio_relay.server.hosting import listen, serve_on
    from studio_relay.settings import load_settings, share_env_file

    settings = load_settings(host=host, port=port, agent=agent, insecure=insecure or None)
    configure(settings.log_level)
    share_env_file()
    plugins = load_plugins()
    _warn(settings, plugins)
    app = create_app(settings, plugins)
    relay: Relay = app.extensions["studio_relay"]
    listener = listen(settings.host, settings.port, lost_after=settings.send_timeout_seconds)
    said = announcement(app, relay, listener.getsockname()[1])

    async def serve() -> bool:
        signals = _signals()
        forced = False

        async def until() -> None:
            nonlocal forced
            click.echo(said.to_json_line() if as_json else str(said))
            forced = await _until_stopped(relay, signals)

        await serve_on(app, listener, until)
        return forced

    if asyncio.run(serve()):
        ctx.exit(INTERRUPTED)


def _signals() -> asyncio.Semaphore:
    """Counts the requests to stop; from here on they end nothing by themselves."""
    import asyncio
    import signal

    signals = asyncio.Semaphore(0)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, signals.release)
    return signals


async def _until_stopped(relay: Relay, signals: asyncio.Semaphore) -> bool:
    """Wait for a signal, then drain; True when a second signal cut that short."""
    import asyncio

    from studio_relay.server.drain import drain

    await signals.acquire()
    _end_process_after(relay.settings.shutdown_seconds)
    leaving, again = asyncio.create_task(drain(relay)), asyncio.create_task(signals.acquire())
    await asyncio.wait({leaving, again}, return_when=asyncio.FIRST_COMPLETED)
    forced = not leaving.done()
    for task in (leaving, again):
        task.cancel()
    if forced:
        relay.leaves_by = asyncio.get_running_loop().time() + _FORCED_SECONDS
        log.warning("a second signal: %d calls are cut off, and Twilio asks what to do with them", len(relay.registry))
    else:
        leaving.result()
    return forced


def _end_process_after(seconds: float) -> None:
    """The last resort: a plugin that heeds no cancellation must not make the platform kill the process."""
    import os
    import threading

    def end() -> None:
        log.error("the server did not stop within STUDIO_RELAY_SHUTDOWN_SECONDS (%g s); the process is ended", seconds)
        logging.shutdown()
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def _warn(settings: Settings, plugins: Plugins) -> None:
    from studio_relay.server.deployment import start_warnings

    for warning in start_warnings(settings, plugins):
        log.warning("%s", warning)
