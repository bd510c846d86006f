"""How long frames are under way between Twilio and a server: drawn for a call, or always the same.

Frames of one direction never overtake each other. It knows no clock and no socket: times are passed in.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Protocol

from studio_relay.testing.rates import LINK_MS

SHORTEST_MS = 20
LONGEST_MS = 200
JITTER_MS = 15
"""A frame takes this much more or less than the call's own delay, at most; assumed."""


class Delay(Protocol):
    """The delay of one direction."""

    @property
    def longest_ms(self) -> int:
        """No frame takes longer."""

    def arrival(self, sent_ms: int) -> int:
        """When a frame arrives that is sent now; asked once for each frame, in order."""


@dataclass(frozen=True)
class FixedDelay:
    """Every frame takes `ms`."""

    ms: int = 0

    @property
    def longest_ms(self) -> int:
        return self.ms

    def arrival(self, sent_ms: int) -> int:
        return sent_ms + self.ms


class DrawnDelay:
    """One delay from 20 to 200 ms for the call, and a little jitter for each frame. Same seed, same delays."""

    longest_ms = LONGEST_MS

    def __init__(self, seed: object) -> None:
        self._random = random.Random(repr(seed))
        self._own_ms = self._random.uniform(SHORTEST_MS, LONGEST_MS)
        self._before = 0

    def arrival(self, sent_ms: int) -> int:
        drawn = round(self._own_ms + self._random.uniform(-JITTER_MS, JITTER_MS))
        due = sent_ms + max(SHORTEST_MS, min(LONGEST_MS, drawn))
        self._before = max(due, min(self._before, sent_ms + LONGEST_MS))
        return self._before


@dataclass(frozen=True, kw_only=True)
class LineDelay:
    """Both directions of the line of one session."""

    to_server: Delay
    to_twilio: Delay

    @classmethod
    def drawn(cls, seed: object) -> LineDelay:
        """The delays of the call with this seed."""
        return cls(to_server=DrawnDelay(("to server", seed)), to_twilio=DrawnDelay(("to Twilio", seed)))

    @classmethod
    def measured(cls) -> LineDelay:
        """As recorded calls are replayed: times are the server's, so all of the delay is on the way to Twilio."""
        return cls.fixed(to_twilio=LINK_MS)

    @classmethod
    def fixed(cls, *, to_server: int = 0, to_twilio: int = 0) -> LineDelay:
        """Milliseconds that every frame takes, for tests of exact times."""
        return cls(to_server=FixedDelay(to_server), to_twilio=FixedDelay(to_twilio))
