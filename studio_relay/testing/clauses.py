"""How speech falls into clauses, and how much of one was heard after a time; no queue, no clock."""

from __future__ import annotations

import re

_STOP = re.compile(r"(?<![.!?:;…])[.!?:;…]++[\"'”’)\]]*+(?=\s)|[。！？]+|\n+")  # no run of stops is read twice
_STOP_AT_END = re.compile(r"[.!?:;…。！？][\"'”’)\]]*$")
_COMMA = re.compile(r",\s+")
_LAST_SPACE = re.compile(r"\s\S*$")


def heard_of(text: str, elapsed_ms: int, total_ms: int) -> str:
    """The whole words of `text` heard after `elapsed_ms` of `total_ms`, in proportion, the word begun too."""
    if total_ms <= 0 or elapsed_ms >= total_ms:
        return text.strip()
    position = len(text) * elapsed_ms / total_ms
    begun = [word.end() for word in re.finditer(r"\S+", text) if word.start() <= position]
    end = begun[-1] if begun else next((word.end() for word in re.finditer(r"\S+", text)), 0)
    return text[:end].strip()


def playable(rest: str, *, closed: bool) -> str:
    """What of `rest` could be spoken now: while its talk cycle is open, whole words only."""
    if closed or _STOP_AT_END.search(rest):
        return rest if rest.strip() else ""
    last_space = _LAST_SPACE.search(rest)
    return rest[: last_space.start()] if last_space and rest[: last_space.start()].strip() else ""


def first_clause(rest: str, *, closed: bool, comma_at: int) -> tuple[str, bool]:
    """The clause `rest` begins with, and whether it is whole; one that is not may still grow."""
    end = _clause_end(rest, comma_at)
    if end is None:
        return playable(rest, closed=closed), closed
    return (rest, True) if closed and not rest[end:].strip() else (rest[:end], True)


def _clause_end(text: str, comma_at: int) -> int | None:
    """Where the first clause of `text` ends: after a stop, or behind a comma that is far enough in."""
    begin = len(text) - len(text.lstrip())
    stop = next((stop.end() for stop in _STOP.finditer(text) if stop.end() > begin), None)
    comma = _COMMA.search(text, max(0, comma_at - 1))
    ends = [end for end in (stop, comma and comma.end()) if end is not None]
    return min(ends, default=None)
