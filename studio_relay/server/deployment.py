"""What is worth a warning about the way a server is started: by its settings, and by what its host was told.

Nothing here stops a start. The same words under every host: `serve`, and `studio_relay.asgi:app`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

from studio_relay.plugins import Plugins
from studio_relay.settings import Settings, unknown_names

_VARIABLES = ("WEB_CONCURRENCY", "UVICORN_WORKERS", "GRANIAN_WORKERS")
_HOSTS = ("uvicorn", "gunicorn", "granian", "hypercorn")
_OPTION = re.compile(r"(?:^|\s)(?:--workers|-w)[=\s]?\s*([0-9]{1,6})(?=\s|$)")


def start_warnings(settings: Settings, plugins: Plugins) -> Iterator[str]:
    """What to tell at the start under any host."""
    names = [*plugins.agents, *(extension.name for extension in plugins.extensions)]
    for name, meant in unknown_names(plugins=names):
        hint = f"; did you mean {meant}?" if meant else ""
        yield f"nobody reads the setting {name}{hint}"
    if settings.insecure and settings.public_url is not None:
        yield (
            "STUDIO_RELAY_PUBLIC_URL is set, but with --insecure (STUDIO_RELAY_INSECURE=1) only this machine is "
            "served: Twilio's requests get 403. Remove one of the two"
        )


def unknown_address_warning(settings: Settings) -> str | None:
    """What to tell where a host of somebody else's has the socket, so that nobody knows where it listens."""
    if settings.public_url is not None or settings.insecure:
        return None
    return (
        "STUDIO_RELAY_PUBLIC_URL is not set: only requests of this machine to a loopback address are served. "
        "Set it to where Twilio reaches this server, such as https://relay.example.com"
    )


def several_processes_warning(settings: Settings, environ: Mapping[str, str], argv: Sequence[str]) -> str | None:
    """What to tell where several processes are started, and each would remember calls for itself alone."""
    found = workers(environ, argv)
    if found is None or not settings.store_url.startswith("memory:"):
        return None
    place, count = found
    return (
        f"{place} asks for {count} processes, and with STUDIO_RELAY_STORE_URL=memory:// each has its own memory: "
        "a call that reconnects to another one has lost its history. Set STUDIO_RELAY_STORE_URL=sqlite:///PATH, or run "
        "one process"
    )


def workers(environ: Mapping[str, str], argv: Sequence[str]) -> tuple[str, int] | None:
    """Who asks for more than one process, and for how many; None where nobody can be seen to."""
    if argv and any(part.startswith(_HOSTS) for part in PurePath(argv[0]).parts[-2:]):
        written = _OPTION.search(" ".join(argv[1:])[:10_000])
        if written is not None:  # it wins over the environment
            return ("--workers", int(written[1])) if int(written[1]) > 1 else None
    for name in _VARIABLES:
        count = environ.get(name, "").strip()
        if re.fullmatch("[0-9]{1,6}", count) and int(count) > 1:
            return name, int(count)
    return None
