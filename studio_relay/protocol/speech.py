"""What was sent to be heard, and how much of it was: speeches, tones and the greeting; no clock, no decisions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from studio_relay.protocol.estimate import prefix_of, squeeze

NEVER = float("-inf")


@dataclass(slots=True, eq=False)
class Speech:
    """The text of one talk cycle as it was sent, and how much of it was heard.

    A cycle whose words may partly be preempted is made of several, each wholly `preemptible` or not at all.
    Positions count audible characters (see `estimate.py`). `pieces` and `times` hold one entry a frame.
    """

    cycle: int
    began: int
    sent_at: float = 0.0
    preemptible: bool = False
    protected: bool = False  # what is sent now goes out so that nothing may interrupt it
    followed_at: float = float("inf")  # when speech of another cycle came and ended this, if it is preemptible
    pieces: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    heard: int = 0  # a prefix, up to this position
    cut: bool = False
    cut_at: float = NEVER  # when a barge-in cut it
    late: list[tuple[int, int]] = field(default_factory=list)  # spans heard after the cut: they were on the wire then
    estimated: bool = False
    _protections: list[tuple[int, bool]] = field(default_factory=list)  # from which position on it was so, or not
    _text: str = ""
    _squeezed: str = ""
    _joined: int = 0  # how many pieces these two hold

    @property
    def text(self) -> str:
        """All that was sent."""
        self._join()
        return self._text

    @property
    def squeezed(self) -> str:
        """All that was sent, without white space."""
        self._join()
        return self._squeezed

    def _join(self) -> None:
        if self._joined != len(self.pieces):
            fresh = "".join(self.pieces[self._joined :])
            self._text += fresh
            self._squeezed += squeeze(fresh)
            self._joined = len(self.pieces)

    @property
    def reached(self) -> int:
        """The position up to which it was heard, words after a cut included."""
        return self.late[-1][1] if self.late else self.heard

    @property
    def pending(self) -> bool:
        """Whether some of it was not heard yet; cheap while it grows."""
        fresh = (self.pieces[index] for index in range(self._joined, len(self.pieces)))
        return self.reached < len(self._squeezed) or any(map(squeeze, fresh))

    def protect(self, protected: bool) -> None:
        """What is sent from now on may be interrupted by nothing, or it may."""
        self.protected = protected
        self._protections.append((len(self.squeezed), protected))

    def protected_at(self, position: int) -> bool:
        """Whether nothing may interrupt what stands at this position."""
        return next((on for start, on in reversed(self._protections) if start <= position), False)

    def hear(self, start: int, end: int) -> None:
        """What lies between these positions was heard: the next words, or after a cut words from further on."""
        if not self.late and start <= self.heard:
            self.heard = max(self.heard, end)
        elif self.late and start <= self.late[-1][1]:
            self.late[-1] = (self.late[-1][0], max(self.late[-1][1], end))
        else:
            self.late.append((start, end))

    def guess(self, heard: int) -> None:
        """By estimate, this much was heard."""
        self.heard = max(0, min(heard, len(self.squeezed)))
        self.estimated = True

    def heard_text(self) -> str:
        """The part of the sent text that was heard: a prefix of it, and what sounded after a cut all the same."""
        if not self.late and self.heard >= len(self.squeezed):
            return self.text
        return " ".join(filter(None, [prefix_of(self.text, self.heard), *map(self._between, self.late)]))

    def _between(self, span: tuple[int, int]) -> str:
        start, end = (len(prefix_of(self.text, position)) for position in span)
        return self.text[start:end].strip()

    def frames(self) -> Iterator[tuple[int, float]]:
        """For each frame: the position where it begins, and when it was sent."""
        position = 0
        for piece, sent_at in zip(self.pieces, self.times, strict=True):
            yield position, sent_at
            position += len(squeeze(piece))

    def forget_frames(self, before: float = float("inf")) -> None:
        """Forget where those frames began that were sent before this time: none of them can be looked for."""
        kept = bisect_left(self.times, before)
        if kept > 1:
            self._join()
            self.pieces[:kept] = ["".join(self.pieces[:kept])]
            del self.times[1:kept]
            self._joined = len(self.pieces)


@dataclass(slots=True, eq=False)
class Tones:
    """Digits in the playback queue, behind the first `behind` speeches."""

    digits: str
    sent_at: float
    began: int
    behind: int
    played: bool = False
    cut: bool = False

    @property
    def waiting(self) -> bool:
        """Whether they may still be played."""
        return not (self.played or self.cut)


@dataclass(slots=True, eq=False)
class Greeting:
    """Speech that is not ours: the `welcomeGreeting` of TwiML or widget."""

    text: str
    began_at: float
    estimated: bool = False
