"""The words conformance cases are written in; `runner.py` acts them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Connect:
    """Dial. `signature` can be spoilt; `answer` is what the upgrade must be answered with."""

    signature: Literal["right", "wrong", "missing", "https"] = "right"
    answer: Literal["accepted", "refused"] = "accepted"
    same_call: bool = False  # the callSid of the connection before, as after a drop
    after_ms: int = 0  # a recovery takes Twilio more than a second
    setup: Mapping[str, Any] | None = field(default_factory=dict)  # changes to the usual setup; None sends none
    left_out: tuple[str, ...] = ()  # keys of the setup


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Twilio sends this frame."""

    content: Mapping[str, Any]
    times: int = 1


@dataclass(frozen=True, kw_only=True)
class Raw:
    """This text arrives, as it is."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The caller says something; the server must answer with speech and close the talk cycle."""

    text: str | None = None  # instead of the usual words
    frame: Mapping[str, Any] = field(default_factory=dict)  # changes to the prompt
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Settle:
    """Wait until the server has been silent for a moment; what it said before is set aside."""


@dataclass(frozen=True, kw_only=True)
class Quiet:
    """The server must send nothing for `ms`."""

    ms: int = 1000


@dataclass(frozen=True, kw_only=True)
class Ask:
    """The caller says something; go on with the server's first word."""


@dataclass(frozen=True, kw_only=True)
class NoMoreText:
    """After `grace_ms` no speech may come, for `ms`."""

    grace_ms: int = 500
    ms: int = 1500


@dataclass(frozen=True, kw_only=True)
class Open:
    """The socket must stay open for `ms`."""

    ms: int = 1000


@dataclass(frozen=True, kw_only=True)
class Drop:
    """The socket is gone without a close frame."""


@dataclass(frozen=True, kw_only=True)
class Close:
    """Twilio closes, as when the caller hangs up."""


@dataclass(frozen=True, kw_only=True)
class Farewell:
    """The caller says the words that make this server end; skipped if nobody told us them."""


Step = Connect | Frame | Raw | Probe | Settle | Quiet | Ask | NoMoreText | Open | Drop | Close | Farewell
