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

COMMA_AT = 40
"""A comma this far into a segment ends it. Ends were seen at 17, 40 and 45 characters, none at 34 and 55: no law."""

MEDIA_MS = 3000
"""What a `play` of unknown length takes; not measured."""
MEDIA_SPREAD_MS = (1000, 8000)

START_SPREAD_MS = (160, 404)
SEGMENT_SPREAD_MS = 184
RATE_SPREAD = (0.8, 1.2)
"""One call is spoken up to 20 % faster or slower than the median."""
COMMA_SPREAD = (10, 70)

_INNER_STOP = re.compile(r"[.!?:;](?=\s+\S)")


class Rates(Protocol):
    """The times a playback queue asks for, in milliseconds."""

    def start_ms(self) -> int:
        """From the first token to sound."""

    def segment_ms(self, text: str) -> int:
        """How long `text` takes to speak as one segment. Asked again when a segment grows."""

    def comma_at(self) -> int:
        """From which character on a comma ends the segment. Asked again when a segment grows."""

    def media_ms(self, source: str) -> int:
        """How long the media of a `play` takes, where nobody has said so."""

    def begin_segment(self) -> None:
        """A new segment begins; what was drawn for the last one holds no longer."""


class MeasuredRates:
    """The recorded medians: the same text always takes the same time."""

    def start_ms(self) -> int:
        return START_MS

    def segment_ms(self, text: str) -> int:
        stops = len(_INNER_STOP.findall(text))
        return round(SEGMENT_MS + CHARACTER_MS * len(text) + INNER_STOP_MS * stops)

    def comma_at(self) -> int:
        return COMMA_AT

    def media_ms(self, source: str) -> int:
        return MEDIA_MS

    def begin_segment(self) -> None:
        """Nothing was drawn."""


class DrawnRates(MeasuredRates):
    """One pace a call; from the recorded spread, a deviation and the end at a comma for each segment.

    The same seed gives the same times.
    """

    def __init__(self, seed: object) -> None:
        self._seed = seed
        self._random = random.Random(repr(seed))
        self._pace = self._random.uniform(*RATE_SPREAD)
        self._deviation = 0.0
        self._comma_at = COMMA_AT
        self.begin_segment()

    def start_ms(self) -> int:
        return round(self._random.uniform(*START_SPREAD_MS))

    def segment_ms(self, text: str) -> int:
        return max(80, round(super().segment_ms(text) * self._pace + self._deviation))

    def comma_at(self) -> int:
        return self._comma_at

    def media_ms(self, source: str) -> int:
        """The same media always takes the same time in a call."""
        return random.Random(repr((self._seed, source))).randint(*MEDIA_SPREAD_MS)

    def begin_segment(self) -> None:
        self._comma_at = self._random.randint(*COMMA_SPREAD)
        self._deviation = max(-SEGMENT_SPREAD_MS, min(SEGMENT_SPREAD_MS, self._random.gauss(0, 100)))


def digits_ms(digits: str) -> int:
    """How long `sendDigits` takes to play `digits`."""
    return sum(WAIT_MS if digit == "w" else DIGIT_MS for digit in digits)
