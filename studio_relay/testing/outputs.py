"""What Twilio does in a session, as data: frames, the close, a reconnect, the callback; and the caller's turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["ended", "completed", "failed"]


@dataclass(frozen=True, kw_only=True)
class Send:
    """A frame from Twilio to the server."""

    at_ms: int
    frame: dict[str, Any]
    segment: str = ""  # what the fragment in this frame was cut from


@dataclass(frozen=True, kw_only=True)
class Close:
    """The socket's end; Twilio closes it itself unless `lost`."""

    at_ms: int
    code: int
    reason: str
    lost: bool = False


@dataclass(frozen=True, kw_only=True)
class Reconnect:
    """Twilio dials the same URL again (`applicationReconnect`)."""

    at_ms: int


@dataclass(frozen=True, kw_only=True)
class Callback:
    """The end of the session: the request to the `action` URL, if there is one."""

    at_ms: int
    status: Status
    form: dict[str, str]


Output = Send | Close | Reconnect | Callback


@dataclass(frozen=True, kw_only=True)
class CallerTurn:
    """What the caller said or pressed, and when."""

    at_ms: int
    text: str = ""
    digits: str | None = None
