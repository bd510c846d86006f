"""How much one socket may send."""

from __future__ import annotations


class FrameBudget:
    """A token bucket: `burst` frames at once, `per_second` in the long run. Time is passed in, in seconds."""

    __slots__ = ("_at", "_burst", "_left", "_per_second")

    def __init__(self, per_second: int, burst: int) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._left = self._burst
        self._at = float("-inf")

    def take(self, now: float) -> bool:
        """Count a frame; False when it is one too many."""
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
