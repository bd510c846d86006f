"""How long Twilio takes to speak: the constants measured on recorded calls, or a seeded spread around them.

It knows no queue and no clock. Nine calls of one morning were recorded: strong for order, weak for numbers.
"""

from __future__ import annotations

import random
import re
from typing import Protocol

LINK_MS = 92
"""From a frame leaving the server to its effect being seen there: `end` to close, bad text to error."""

START_MS = 238
"""From the first token's arrival at Twilio to audible speech; with the link 330, the recorded median."""

SEGMENT_MS = 356
CHARACTER_MS = 44.0
INNER_STOP_MS = 70
"""The pause at a full stop inside a segment; brings the 49-character greeting to its 2,561-2,610 ms."""

DIGITS_START_MS = 165
DIGIT_MS = 382
WAIT_MS = 500
"""`w` in `sendDigits` is a pause of half a second."""

MEDIA_MS = 3000
"""What a `play` of unknown length takes; not measured."""

START_SPREAD_MS = (160, 404)
SEGMENT_SPREAD_MS = 184
RATE_SPREAD = (0.9, 1.12)

_INNER_STOP = re.compile(r"[.!?:;](?=\s+\S)")


class Rates(Protocol):
    """The times a playback queue asks for, in milliseconds."""

    def start_ms(self) -> int:
        """From the first token to sound."""

    def segment_ms(self, text: str) -> int:
        """How long `text` takes to speak as one segment. Asked again when a segment grows."""

    def begin_segment(self) -> None:
        """A new segment begins; what was drawn for the last one holds no longer."""


class MeasuredRates:
    """The recorded medians: the same text always takes the same time."""

    def start_ms(self) -> int:
        return START_MS

    def segment_ms(self, text: str) -> int:
        stops = len(_INNER_STOP.findall(text))
        return round(SEGMENT_MS + CHARACTER_MS * len(text) + INNER_STOP_MS * stops)

    def begin_segment(self) -> None:
        """Nothing was drawn."""


class DrawnRates(MeasuredRates):
    """Drawn from the recorded spread: one pace a call, one deviation a segment. Same seed, same times."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._pace = self._random.uniform(*RATE_SPREAD)
        self._deviation = 0.0
        self.begin_segment()

    def start_ms(self) -> int:
        return round(self._random.uniform(*START_SPREAD_MS))

    def segment_ms(self, text: str) -> int:
        return max(80, round(super().segment_ms(text) * self._pace + self._deviation))

    def begin_segment(self) -> None:
        self._deviation = max(-SEGMENT_SPREAD_MS, min(SEGMENT_SPREAD_MS, self._random.gauss(0, 100)))


def digits_ms(digits: str) -> int:
    """How long `sendDigits` takes to play `digits`."""
    return sum(WAIT_MS if digit == "w" else DIGIT_MS for digit in digits)
