"""The times a recorded call can be measured by, each with the range that was ever recorded.

A moment has two times, recorded and replayed; which frames there are, and their order, is judged elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from studio_relay.testing.replay import Timing

# What was measured on the recordings; not the simulator's own constants, which are judged by these.
FITTED_SEGMENT_MS = 356
FITTED_CHARACTER_MS = 44.0
WORST_SEGMENT_MS = 184
KEY_MS = 382
IDLE_KEYS_MS = 257
PAUSE_MS = 500

PREEMPTED_WITHIN_MS = 250
DIGITS_SLACK_MS = 60

RANGES: Mapping[str, tuple[int, int]] = {
    "twiml to greeting": (1112, 1358),
    "first token to speech": (252, 496),
    "cut to silence": (1, 3),
    "key to cut": (0, 2),
    "voice to cut": (0, 1),
    "text to preempted": (83, 113),
    "bad text to error": (74, 104),
    "bad text to close": (142, 172),
    "end to close": (77, 107),
    "last segment to silence": (0, 1),
    "voice end to final prompt": (0, 1),
    "end: close to action": (250, 1000),
    "drop: close to action": (1091, 1291),
    "malformed: close to action": (63, 263),
    "hang-up: close to action": (54, 1200),
}


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One line of the recording and when it happened in both."""

    line: int
    direction: Literal["twiml", "in", "out", "close", "action"]
    recorded_ms: int
    replayed_ms: int
    frame: Mapping[str, Any] | None = None
    replayed: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """What happened, in short: `agentSpeaking on`, `text`, `interrupt`."""
        if self.direction in ("twiml", "close", "action"):
            return self.direction
        if self.frame is None:
            return "raw"
        if self.frame["type"] == "info":
            speaker = str(self.frame["name"]).endswith("Speaking")
            return f"{self.frame['name']} {self.frame['value']}" if speaker else str(self.frame["name"])
        return str(self.frame["type"])


def measure(moments: Sequence[Moment]) -> list[Timing]:
    """All times one session can be measured by, in the order of the lines they end at."""
    finders = (_greeting, _replies, _segments, _digits, _preempted, _cuts, _ends_of_speech, _errors, _closing)
    found = [timing for finder in finders for timing in finder(moments)]
    return sorted(found, key=lambda timing: timing.line)


def _greeting(moments: Sequence[Moment]) -> Iterator[Timing]:
    twiml = next((m for m in moments if m.direction == "twiml"), None)
    first = next((m for m in moments if m.name in ("agentSpeaking on", "text")), None)
    if twiml is not None and first is not None and first.name == "agentSpeaking on":
        yield _between("twiml to greeting", twiml, first)


def _replies(moments: Sequence[Moment]) -> Iterator[Timing]:
    first_token: Moment | None = None
    closed = True
    for moment in moments:
        if moment.name == "text" and moment.frame is not None:
            first_token = moment if closed else first_token
            closed = bool(moment.frame.get("last"))
        elif moment.name == "agentSpeaking on" and first_token is not None:
            yield _between("first token to speech", first_token, moment)
            first_token = None


def _segments(moments: Sequence[Moment]) -> Iterator[Timing]:
    begun: Moment | None = None
    for index, moment in enumerate(moments):
        if moment.name == "agentSpeaking on":
            begun = moment
        elif moment.name == "tokensPlayed" and begun is not None:
            whole = not _is_cut(moments, index)
            if whole:
                text = str(moment.frame["value"]) if moment.frame else ""
                expected = round(FITTED_SEGMENT_MS + FITTED_CHARACTER_MS * len(text))
                limits = (expected - WORST_SEGMENT_MS, expected + WORST_SEGMENT_MS)
                yield _between("segment", begun, moment, limits)
            begun = moment if whole else None
        elif moment.name == "agentSpeaking off":
            begun = None


def _is_cut(moments: Sequence[Moment], index: int) -> bool:
    """Whether this `tokensPlayed` is a fragment: an interrupt follows, or a newer text went before."""
    return _interrupt_follows(moments, index) or _preempting(moments, index) is not None


def _interrupt_follows(moments: Sequence[Moment], index: int) -> bool:
    following = next((m for m in moments[index + 1 :] if m.direction == "in"), None)
    return following is not None and following.name == "interrupt"


def _preempting(moments: Sequence[Moment], index: int) -> Moment | None:
    """The first token that cut the segment ending here short: sent since the segment before, near its end."""
    newer: Moment | None = None
    for moment in reversed(moments[:index]):
        if moment.name in ("tokensPlayed", "agentSpeaking on"):
            break
        newer = moment if moment.name == "text" else newer
    near = newer is not None and moments[index].recorded_ms - newer.recorded_ms < PREEMPTED_WITHIN_MS
    speaking = any(m.name == "agentSpeaking off" for m in moments[index + 1 :])
    return newer if near and speaking else None


def _preempted(moments: Sequence[Moment]) -> Iterator[Timing]:
    for index, moment in enumerate(moments):
        text = _preempting(moments, index) if moment.name == "tokensPlayed" else None
        if text is not None and not _interrupt_follows(moments, index):
            yield _between("text to preempted", text, moment)


def _digits(moments: Sequence[Moment]) -> Iterator[Timing]:
    for index, sent in enumerate(moments):
        if sent.name != "sendDigits" or sent.frame is None:
            continue
        after = moments[index + 1 :]
        played = next((m for m in after if m.frame and m.frame.get("value") == sent.frame["digits"]), None)
        if played is None:
            continue
        offs = [m for m in after if m.name == "agentSpeaking off" and m.line < played.line]
        begun, delay = (offs[-1], 0) if offs else (sent, IDLE_KEYS_MS)
        keys = str(sent.frame["digits"])
        expected = delay + sum(PAUSE_MS if key == "w" else KEY_MS for key in keys)
        yield _between("digits", begun, played, (expected - DIGITS_SLACK_MS, expected + DIGITS_SLACK_MS))


def _cuts(moments: Sequence[Moment]) -> Iterator[Timing]:
    cause: Moment | None = None
    interrupt: Moment | None = None
    for moment in moments:
        if moment.name in ("dtmf", "clientSpeaking on"):
            cause = moment
        elif moment.name == "interrupt":
            interrupt = moment
            if cause is not None:
                yield _between("key to cut" if cause.name == "dtmf" else "voice to cut", cause, moment)
            yield from _heard_for(moment)
        elif moment.name == "agentSpeaking off" and interrupt is not None:
            yield _between("cut to silence", interrupt, moment)
            interrupt = None


def _heard_for(moment: Moment) -> Iterator[Timing]:
    """The duration an interrupt reports is a time too; the replay's stands in `replayed`."""
    recorded = (moment.frame or {}).get("durationUntilInterruptMs")
    replayed = (moment.replayed or {}).get("durationUntilInterruptMs")
    if isinstance(recorded, int) and isinstance(replayed, int):
        yield Timing(
            what="reported until interrupt",
            recorded_ms=recorded,
            replayed_ms=replayed,
            line=moment.line,
            low_ms=recorded - 2,
            high_ms=recorded + 2,
        )


def _ends_of_speech(moments: Sequence[Moment]) -> Iterator[Timing]:
    for before, moment in pairwise(moments):
        if moment.name == "agentSpeaking off" and before.name == "tokensPlayed":
            yield _between("last segment to silence", before, moment)
        elif moment.name == "prompt" and before.name == "clientSpeaking off":
            yield _between("voice end to final prompt", before, moment)


def _errors(moments: Sequence[Moment]) -> Iterator[Timing]:
    bad = next((m for m in moments if m.name == "raw"), None)
    error = next((m for m in moments if m.name == "error"), None)
    if bad is not None and error is not None:
        yield _between("bad text to error", bad, error)


def _closing(moments: Sequence[Moment]) -> Iterator[Timing]:
    names = {moment.name: moment for moment in reversed(moments)}
    close, action = names.get("close"), names.get("action")
    if close is None:
        return
    ending = "hang-up"
    if "end" in names:
        ending = "end"
        yield _between("end to close", names["end"], close)
    elif close.frame and close.frame["code"] == 1007 and "raw" in names:
        ending = "malformed"
        yield _between("bad text to close", names["raw"], close)
    elif close.frame and close.frame["code"] == 1006:
        ending = "drop"
    if action is not None:
        yield _between(f"{ending}: close to action", close, action)


def _between(what: str, begun: Moment, moment: Moment, limits: tuple[int, int] | None = None) -> Timing:
    low, high = limits or RANGES[what]
    return Timing(
        what=what,
        recorded_ms=moment.recorded_ms - begun.recorded_ms,
        replayed_ms=moment.replayed_ms - begun.replayed_ms,
        line=moment.line,
        low_ms=low,
        high_ms=high,
    )
