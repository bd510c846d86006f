"""Where speech has got to by the measured speaking rate, for when Twilio reports nothing; keeps no state.

All positions count audible characters: those that are neither white space nor control characters.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

# A fit over recorded segments: 356 ms + 44 ms a character; the first token is heard 330 ms later (recordings).
_START = 0.33
_SEGMENT = 0.356
_CHARACTER = 0.044
_SEGMENT_END = re.compile(r"[.:!?…](?=\s|$)|[。！？]")
_JITTER = 0.05
_SHORTEST_START, _LONGEST_START = 0.16, 0.404
_COMMA = re.compile(r",(?=\s)")
_AUDIBLE = re.compile(r"[^\s\x00-\x1f\x7f-\x9f]")
_INAUDIBLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


class Chunk(NamedTuple):
    """Text that was sent without a pause, from `sent_at` (seconds) on."""

    text: str
    sent_at: float


def squeeze(text: str) -> str:
    """`text` without what is not compared with what was played: white space and control characters."""
    words = "".join(text.split())
    return words if words.isprintable() else _INAUDIBLE.sub("", words)


def prefix_of(text: str, length: int) -> str:
    """The shortest prefix of `text` with `length` audible characters; all of it if it has no more."""
    if length <= 0:
        return ""
    last = next(islice(_AUDIBLE.finditer(text), length - 1, length), None)
    return text if last is None else text[: last.end()]


def position(chunks: Iterable[Chunk], now: float) -> int:
    """How many audible characters should have been heard by `now`, at the usual rate."""
    free, heard = float("-inf"), 0
    for chunk in chunks:
        free = max(free, chunk.sent_at + _START)
        for segment in segments(chunk.text):
            needs = _SEGMENT + _CHARACTER * len(segment)
            size = len(squeeze(segment))
            if now < free + needs:
                return heard + max(0, int(size * (now - free) / needs))
            free += needs
            heard += size
    return heard


def seconds(text: str) -> float:
    """How long `text` takes to be spoken at the usual rate, from the moment it is sent."""
    return _START + sum(_SEGMENT + _CHARACTER * len(segment) for segment in segments(text))


@dataclass(slots=True)
class RoundTrip:
    """How long a frame and what comes of it take over the wire, both ways together; narrowed by what is seen.

    The recordings give 92 ms in all; lines of 20 to 200 ms each way are taken for possible.
    """

    shortest: float = 0.04
    longest: float = 0.4
    seen: float | None = None

    @property
    def seconds(self) -> float:
        """The likeliest value."""
        likely = (self.shortest + self.longest) / 2 if self.seen is None else self.seen
        return min(max(likely, self.shortest), self.longest)

    def seconds_to_sound(self, *, out_of_silence: bool) -> float:
        """How soon after words were sent a report can say that they sound, at the earliest."""
        on_the_wire = self.shortest if self.seen is None else max(self.seconds - _JITTER, 0.0)
        return on_the_wire + (_SHORTEST_START if out_of_silence else 0.0)

    def began(self, seconds: float) -> None:
        """Speech sent into silence was cut, and that was reported so long after, less the time for which it sounded.

        The rest is the wire and what Twilio needs to begin: 160 to 404 ms from the first token to its sound.
        """
        longest, shortest = seconds - _SHORTEST_START, seconds - _LONGEST_START
        if shortest <= self.longest and longest >= self.shortest:
            self.longest, self.shortest = min(self.longest, longest), max(self.shortest, shortest)


def segments(text: str) -> Iterator[str]:
    """The clauses Twilio speaks one by one: text up to a full stop, colon or the like."""
    start = 0
    for match in _SEGMENT_END.finditer(text):
        yield text[start : match.end()]
        start = match.end()
    if text[start:].strip():
        yield text[start:]


def find(fragment: str, texts: Sequence[str], near: int) -> int | None:
    """Where `fragment` ends in `texts`, at the occurrence nearest to `near`; None if it does not occur.

    Twilio reports the beginning of a segment, so one that begins where a segment may is taken before any other.
    """
    whole = "".join(squeeze(text) for text in texts)
    wanted = squeeze(fragment)
    if not wanted or wanted not in whole:
        return None
    for starts in (_starts(texts, _SEGMENT_END), _starts(texts, _COMMA), _word_starts(texts), range(len(whole))):
        ends = [start + len(wanted) for start in starts if whole.startswith(wanted, start)]
        if ends:
            return min(ends, key=lambda end: abs(end - near))
    return None


def word_end(texts: Iterable[str], length: int) -> int:
    """The last end of a word at or before `length` audible characters."""
    ends = [0]
    for text in texts:
        for word in text.split():
            ends.append(ends[-1] + len(squeeze(word)))
    return ends[bisect_right(ends, length) - 1]


def _starts(texts: Iterable[str], border: re.Pattern[str]) -> Iterator[int]:
    """Where a text begins, or goes on behind a `border`."""
    at = 0
    for text in texts:
        start = 0
        for end in (*(match.end() for match in border.finditer(text)), len(text)):
            yield at
            at += len(squeeze(text[start:end]))
            start = end


def _word_starts(texts: Iterable[str]) -> Iterator[int]:
    at = 0
    for text in texts:
        for word in text.split():
            yield at
            at += len(squeeze(word))
