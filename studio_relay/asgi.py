"""`studio_relay.asgi:app` for any ASGI host, configured by the environment alone."""

from __future__ import annotations

import logging
import os
import sys

from studio_relay.errors import RelayError
from studio_relay.log import configure
from studio_relay.plugins import load_plugins
from studio_relay.server.app import create_app
from studio_relay.server.deployment import several_processes_warning, start_warnings, unknown_address_warning
from studio_relay.settings import load_settings, share_env_file

try:
    _settings = load_settings()
    configure(_settings.log_level)
    share_env_file()
    _plugins = load_plugins()
    _warnings = [
        *start_warnings(_settings, _plugins),
        unknown_address_warning(_settings),
        several_processes_warning(_settings, os.environ, sys.argv),
    ]
    for _warning in filter(None, _warnings):
        logging.getLogger(__name__).warning("%s", _warning)
    app = create_app(_settings, _plugins)
except RelayError as error:
    raise SystemExit(f"studio-relay: {error}") from None
