"""`studio_relay.asgi:app` for any ASGI host, configured by the environment alone."""

from __future__ import annotations

from studio_relay.errors import RelayError
from studio_relay.log import configure
from studio_relay.server.app import create_app
from studio_relay.settings import load_settings

try:
    _settings = load_settings()
    configure(_settings.log_level)
    app = create_app(_settings)
except RelayError as error:
    raise SystemExit(f"studio-relay: {error}") from None
