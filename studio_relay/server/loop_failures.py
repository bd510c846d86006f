"""What the event loop reports of failures that nobody waited for; hides the words of callers, under every host."""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
from typing import Any

from studio_relay.blame import origin_of, place_of
from studio_relay.errors import PluginError
from studio_relay.log import REPEATS

try:
    import resource  # here: when it is needed there is no file descriptor left to load it with
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

log = logging.getLogger(__name__)


def log_failure(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A task that nobody waited for has failed: a plugin's, mostly. Its words may be a caller's: level debug only.

    Stopping cancels connections that are left, and asyncio's streams (3.11) report each as a failure; a handshake that
    fails is the peer's affair.
    """
    error = context.get("exception")
    if isinstance(error, asyncio.CancelledError | ssl.SSLError):
        return
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        log.error(
            "no file descriptor is left, so no connection can be accepted; the limit is %s (ulimit -n). "
            "Raise it, or lower STUDIO_RELAY_MAX_CALLS.",
            _most_files(),
            extra=REPEATS,
        )
        return
    what = _told(error) if error is not None else str(context.get("message"))
    log.error("a background task failed: %s", what, extra={"repeats": what})
    log.debug("the failure in full", exc_info=error)


def _told(error: BaseException) -> str:
    """What it was and where; a PluginError of ours says which hook had made the task."""
    what = str(error) if isinstance(error, PluginError) and error.plugin else type(error).__name__
    return f"{what} {place_of(origin_of(error))}"


def _most_files() -> str:
    return "the system's" if resource is None else str(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
