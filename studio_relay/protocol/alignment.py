"""Where in what we sent the words lie that Twilio reports; keeps no state and decides nothing.

Twilio plays frames in the order they were sent, each at most once, and purges whole frames. So a report is a
stretch of the sent text without a gap: the rest of a speech, those behind it, the beginning of one more. What
is not known is where it begins. After a barge-in that is the first frame which was still on the wire when
Twilio cut: any frame may be it. All positions count audible characters, as in `estimate.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from studio_relay.protocol.estimate import squeeze
from studio_relay.protocol.speech import Speech

# A frame takes 20 to 200 ms each way: what was sent before that was with Twilio when it cut...
WIRE_SECONDS = 0.5
# ...unless the network held up the report of the cut.
SLOW_WIRE_SECONDS = 10.0
# Text that sounds out of order must be this long to be looked for: "Yes." is found anywhere.
FINDABLE_CHARACTERS = 8
# Words are looked for this far on, in characters, where some are missing or doubled in a report.
_ROUGH_REACH = 200
_ROUGH_LONGEST = 1_000


class Span(NamedTuple):
    """A stretch of one speech."""

    speech: Speech
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Place:
    """A position in what was sent, with the speeches that Twilio would play behind it."""

    speech: Speech
    start: int
    later: Sequence[Speech]

    def follow(self, wanted: str) -> list[Span]:
        """The spans that `wanted` covers if it begins here; none if other words were sent."""
        spans: list[Span] = []
        if not self.speech.squeezed.startswith(wanted[:1], self.start):
            return spans  # as nearly always, where many places are tried
        for speech, start in ((self.speech, self.start), *((speech, speech.reached) for speech in self.later)):
            taken = min(len(wanted), len(speech.squeezed) - start)
            if not speech.squeezed.startswith(wanted[:taken], start) or not (taken or spans):
                return []
            if taken:
                spans.append(Span(speech, start, start + taken))
            wanted = wanted[taken:]
            if not wanted:
                return spans
        return []

    def follow_end(self, wanted: str) -> list[Span]:
        """The spans of the longest end of `wanted` that begins here and is no accident; none if there is none."""
        rest = len(self.speech.squeezed) - self.start
        least = min(FINDABLE_CHARACTERS, rest)
        for length in range(min(len(wanted) - 1, _ROUGH_LONGEST), least - 1, -1):
            if length and (spans := self.follow(wanted[-length:])):
                return spans
        return []


def live_places(speeches: Sequence[Speech]) -> Iterator[Place]:
    """Where speech that was not cut goes on: at the oldest words, or behind those that were skipped."""
    return (Place(speech, speech.heard, speeches[index + 1 :]) for index, speech in enumerate(speeches))


def leftover_places(speeches: Sequence[Speech], cut_at: float) -> Iterator[Place]:
    """Where the words of cut speech may go on that were on the wire at the last cut: the likely frames first."""
    cut = [(index, speech) for index, speech in enumerate(speeches) if speech.cut]
    for likely in (True, False):
        for index, speech in cut:
            for position, sent_at in speech.frames():
                if position >= speech.reached and (sent_at >= cut_at - WIRE_SECONDS) is likely:
                    yield Place(speech, position, speeches[index + 1 :])


def find_roughly(value: str, speeches: Sequence[Speech]) -> list[Span]:
    """The span of one cut speech in which the words of `value` come in this order, if most of them do."""
    words = [squeeze(word) for word in value[:_ROUGH_LONGEST].split()]
    for speech in speeches:
        spans = _walk(words, speech)
        if 2 * sum(end - start for start, end in spans) > sum(map(len, words)):
            return [Span(speech, spans[0][0], spans[-1][1])]
    return []


def _walk(words: Sequence[str], speech: Speech) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    position = speech.reached
    for word in words:
        reach = position + _ROUGH_REACH if found else len(speech.squeezed)
        start = speech.squeezed.find(word, position, reach) if word else -1
        if start >= 0:
            position = start + len(word)
            found.append((start, position))
    return found
