"""`GET /metrics`: who may read the figures of this process. What is counted is decided in `studio_relay.metrics`.

A proxy on this machine looks like this machine, so where there is a public URL only a token opens the page.
"""

from __future__ import annotations

import hmac
import logging
from typing import TYPE_CHECKING

from quart import Quart, Response, request

from studio_relay.server.forwarded import header_values
from studio_relay.server.insecure import local_refusal
from studio_relay.server.signature import SignedRequest
from studio_relay.story import Observer

if TYPE_CHECKING:
    from studio_relay.settings import Settings

log = logging.getLogger(__name__)


def observer_for(settings: Settings) -> Observer:
    """Who counts: nobody unless /metrics is switched on."""
    if not settings.serves_metrics:
        return Observer()
    from studio_relay.metrics import Metrics

    return Metrics()


def add_metrics_route(app: Quart, metrics: Observer, settings: Settings) -> None:
    """Serve what was counted at /metrics, to those who may read it; no route where nobody counts."""
    from studio_relay.metrics import CONTENT_TYPE, Metrics

    if not isinstance(metrics, Metrics):
        return

    async def page() -> Response:
        refusal = reading_refusal(SignedRequest.from_scope(request.scope), settings)
        if refusal is not None:
            log.warning("a request for /metrics was refused: %s", refusal)
            return Response(
                "The figures are not for everybody; the server's log says why.\n", 403, mimetype="text/plain"
            )
        return Response(metrics.exposition(), content_type=CONTENT_TYPE)

    app.add_url_rule("/metrics", "metrics", page)


def reading_refusal(asked: SignedRequest, settings: Settings) -> str | None:
    """Why somebody may not read the figures, in the operator's words; None when they may."""
    if settings.metrics_token is None:
        return local_refusal(asked.peer, asked.host, asked.headers, "/metrics without STUDIO_RELAY_METRICS_TOKEN")
    wanted = f"bearer {settings.metrics_token.get_secret_value()}"
    given = next(iter(header_values(asked.headers, "authorization")), "")
    scheme, _, token = given.partition(" ")
    if hmac.compare_digest(f"{scheme.lower()} {token.strip()}".encode(), wanted.encode()):
        return None
    return "expected the header Authorization: Bearer with STUDIO_RELAY_METRICS_TOKEN, found " + (
        "another token" if token else "none"
    )
