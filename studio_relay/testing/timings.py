"""How long the caller waited in a run: for each first word, and in the longest silence."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from studio_relay.testing.session import TwilioEnd


@dataclass(frozen=True, kw_only=True)
class Timings:
    """`first_word_ms` holds, for each answer, the time from the caller's end to the agent's audible beginning.

    The caller's end is the final prompt, or the last key; `longest_silence_ms` is the longest time in a session
    in which neither made a sound.
    """

    total_ms: int
    first_word_ms: tuple[int, ...]
    longest_silence_ms: int

    def to_json(self) -> dict[str, Any]:
        """The `timings` of a run."""
        return {
            "total_ms": self.total_ms,
            "first_word_ms": list(self.first_word_ms),
            "longest_silence_ms": self.longest_silence_ms,
        }


def first_words(end: TwilioEnd) -> list[int]:
    """The waits for an answer in one session; a caller's end that no answer followed counts none."""
    finished = [at for at, sound in end.caller_sound if sound != "on"]
    began = [event.at_ms for event in end.played if event.name == "agentSpeaking" and event.value == "on"]
    waits = []
    for index, at in enumerate(finished):
        until = finished[index + 1] if index + 1 < len(finished) else None
        answer = next((start for start in began if start >= at), None)
        if answer is not None and (until is None or answer < until):
            waits.append(answer - at)
    return waits


def longest_silence(end: TwilioEnd, began_ms: int, ended_ms: int) -> int:
    """The longest time in one session in which nobody made a sound."""
    changes = [(began_ms, 0), (ended_ms, 0)]
    changes += [(event.at_ms, _change(event.value)) for event in end.played if event.name == "agentSpeaking"]
    changes += [(at, _change(sound)) for at, sound in end.caller_sound]
    changes.sort(key=lambda change: change[0])
    speaking, longest = 0, 0
    for (at, change), (following, _) in pairwise(changes):
        speaking = max(0, speaking + change)
        if not speaking:
            longest = max(longest, following - at)
    return longest


def _change(sound: str) -> int:
    return {"on": 1, "off": -1}.get(sound, 0)
