"""The recordings judge the simulated Twilio, and notice when one of its rules is broken. Optional corpus."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from studio_relay.testing import playback, rates, session, validation
from studio_relay.testing.playback import Cut, Playback, PlaybackEvent
from studio_relay.testing.replay_application import replay_as_application
from studio_relay.testing.session import TwilioEnd

FOLDER = Path(__file__).parents[2].parent / "shared" / "recordings"
FILES = sorted(FOLDER.glob("*.jsonl"))

pytestmark = pytest.mark.skipif(not FILES, reason="the optional corpus of recorded calls is not here")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_simulator_is_what_was_recorded(path: Path) -> None:
    report = replay_as_application(path)
    assert str(report.difference) == "None"
    assert report.compared["closes"] == report.compared["callbacks"] == 1
    assert [str(timing) for timing in report.timings if not timing.within] == []


Mutate = Callable[[pytest.MonkeyPatch], Any]


def _constant(module: Any, name: str, value: Any) -> Mutate:
    return lambda patch: patch.setattr(module, name, value)


def _reply_to(kind: str, change: Callable[[Any], Any]) -> Mutate:
    """Change what one method returns."""

    def mutate(patch: pytest.MonkeyPatch) -> None:
        original = getattr(Playback, kind)
        patch.setattr(Playback, kind, lambda self, *args, **options: change(original(self, *args, **options)))

    return mutate


def _sent(change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Mutate:
    """Change, or leave out, frames on their way."""

    def mutate(patch: pytest.MonkeyPatch) -> None:
        original = TwilioEnd._send

        def send(self: TwilioEnd, at: int, frame: dict[str, Any], segment: str = "") -> None:
            changed = change(frame)
            if changed is not None:
                original(self, at, changed, segment)

        patch.setattr(TwilioEnd, "_send", send)

    return mutate


def _without(key: str) -> Mutate:
    return _sent(lambda frame: {name: value for name, value in frame.items() if name != key})


def _never(name: str) -> Mutate:
    return lambda patch: patch.setattr(TwilioEnd, name, lambda self, *args, **options: None)


def _no_speaking_gap(events: list[PlaybackEvent]) -> list[PlaybackEvent]:
    return [event for event in events if event.value != "off"]


MUTANTS: dict[str, Mutate] = {
    "setup lacks a key": _without("forwardedFrom"),
    "speech starts late": _constant(rates, "START_MS", 600),
    "speech is too fast": _constant(rates, "CHARACTER_MS", 35.0),
    "segments have no start-up": _constant(rates, "SEGMENT_MS", 100),
    "segments end at stops only": _constant(rates, "COMMA_AT", 1000),
    "segments end at every comma": _constant(rates, "COMMA_AT", 1),
    "fragments are whole segments": lambda patch: patch.setattr(playback, "heard_of", lambda text, *_: text.strip()),
    "fragments keep their space": lambda patch: patch.setattr(playback, "heard_of", lambda text, *_: text[:8]),
    "a barge-in purges nothing": lambda patch: patch.setattr(
        Playback, "interrupt", lambda self, now: Cut(fragment="", duration_ms=0)
    ),
    "nothing is preempted": lambda patch: patch.setattr(Playback, "_preempt", lambda self, now: []),
    "the agent never stops speaking": _reply_to("advance", _no_speaking_gap),
    "a key is no barge-in": lambda patch: patch.setattr(Playback, "interruptible_by", lambda self, by: by != "dtmf"),
    "nothing interrupts": lambda patch: patch.setattr(Playback, "interruptible_by", lambda self, by: False),
    "keys are not told": _sent(lambda frame: None if frame["type"] == "dtmf" else frame),
    "errors do not echo": _sent(
        lambda frame: {**frame, "description": "Invalid message"} if frame["type"] == "error" else frame
    ),
    "nine errors close": _constant(session, "MALFORMED_LIMIT", 9),
    "eleven errors close": _constant(session, "MALFORMED_LIMIT", 11),
    "twenty errors close": _constant(session, "MALFORMED_LIMIT", 20),
    "durations are text": _sent(
        lambda frame: {**frame, "durationUntilInterruptMs": "684"} if frame["type"] == "interrupt" else frame
    ),
    "the language is not shortened": lambda patch: patch.setattr(
        TwilioEnd, "_prompt_language", lambda self: self.transcription_language
    ),
    "no final prompt": _never("final"),
    "digits are slow": _constant(rates, "DIGIT_MS", 500),
    "digits do not wait": lambda patch: patch.setattr(Playback, "digits", lambda self, now, digits: None),
    "end does not close": lambda patch: patch.setattr(TwilioEnd, "_end", lambda self, at, data: None),
    "the link is slow": _constant(session, "LINK_MS", 200),
    "the callback is late": _constant(
        session, "CALLBACK_MS", {"ended": 1678, "completed": 2282, "dropped": 2191, "malformed": 1163}
    ),
    "the greeting comes at once": _constant(session, "GREETING_MS", 100),
    "any digits are sent": lambda patch: patch.setitem(validation._RULES, "sendDigits", {}),  # type: ignore[index]
}


def _noticed() -> bool:
    reports = [replay_as_application(path) for path in FILES]
    return any(report.difference or not all(t.within for t in report.timings) for report in reports)


def test_broken_rules_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    missed = []
    for name, mutate in MUTANTS.items():
        with monkeypatch.context() as patch:
            mutate(patch)
            if not _noticed():
                missed.append(name)
    # Controls: which comma ends a segment follows no rule and is taken from the file; nothing has a bad sendDigits.
    assert missed == ["segments end at stops only", "segments end at every comma", "any digits are sent"]
