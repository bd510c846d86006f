"""`call.state` as it is kept: JSON text within a limit, made again only when something changed; stores nothing."""

from __future__ import annotations

import logging
import marshal
from typing import Any

from studio_relay.call import Call
from studio_relay.errors import StoreError
from studio_relay.store import dumped

log = logging.getLogger(__name__)


class StateText:
    """The state of one call, at most `limit` bytes. What does not fit is told once, and the last that did is kept."""

    __slots__ = ("_limit", "_mark", "_text", "_told")

    def __init__(self, limit: int, state: dict[str, Any]) -> None:
        self._limit = limit
        self._text = "{}"
        self._mark: bytes | None = None
        self._told = False
        if state:  # what an earlier session kept fits, whatever the limit is now
            self._text, self._mark = dumped(state), _mark(state)

    def of(self, call: Call) -> str:
        """The text to keep for `call` now."""
        mark = _mark(call.state)
        if mark is None or mark != self._mark:
            self._mark = mark
            self._renew(call)
        return self._text

    def _renew(self, call: Call) -> None:
        try:
            if not isinstance(call.state, dict):
                raise StoreError(f"call.state: expected a dict, got {type(call.state).__name__}")
            text = dumped(call.state, "call.state")
        except StoreError as error:
            return self._tell(call, str(error))
        except RuntimeError:  # a thread of the plugin's is changing it right now; the next time will do
            self._mark = None
            return None
        size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
        if size > self._limit:
            return self._tell(call, f"call.state: expected at most {self._limit:,} bytes of JSON, got {size:,}")
        self._text, self._told = text, False
        return None

    def _tell(self, call: Call, why: str) -> None:
        if not self._told:
            self._told = True
            log.error(
                "plugin %s: %s. The call goes on, and the last state that fitted is kept. Keep less there, or set "
                "STUDIO_RELAY_MAX_STATE_BYTES.",
                call.agent,
                why,
            )


def _mark(state: Any) -> bytes | None:
    """What differs if the state does, made many times as fast as JSON; None where only JSON can tell."""
    try:
        return marshal.dumps(state, 2)  # later versions write down who else refers to a value
    except ValueError:
        return None
