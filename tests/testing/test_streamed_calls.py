"""Agents that stream, callers who interrupt them, and every reading of words on the wire: what is believed is true.

`python tests/bench/streamed_calls.py` makes more of these calls.
"""

from __future__ import annotations

import pytest
from streamed_calls import MOST_SILENCE_MS, Mode, StreamedCall, play, wrong_words

from studio_relay.protocol.playback import Playback
from studio_relay.protocol.session import Session
from studio_relay.turn_taking import LostWords

CALLS = 200
BATCH = 25


@pytest.mark.parametrize("first", range(0, CALLS, BATCH))
def test_the_history_is_what_was_played_and_nothing_that_interrupted_is_lost(first: int) -> None:
    problems = {seed: call.problems for seed in range(first, first + BATCH) if (call := play(seed, "full")).problems}
    assert problems == {}, f"seeds {list(problems)}"


def test_in_widget_mode_nearly_all_words_are_right_and_nobody_is_left_in_silence() -> None:
    calls = [play(seed, "widget") for seed in range(CALLS)]
    wrong, heard = wrong_words(calls)
    assert wrong <= 0.03 * heard, f"{wrong} of {heard} words"
    assert {call.seed: call.words for call in calls if call.words[0] > 0.25 * call.words[1]} == {}
    assert {call.seed: call.silences for call in calls if call.silences} == {}


@pytest.mark.parametrize("mode", ["full", "widget"])
def test_the_same_seed_is_the_same_call(mode: Mode) -> None:
    first, second = (play(5, mode).call.log for _ in "ab")
    assert first == second


# ------------------------------------------------------------------- these calls can fail: each part of it is needed


def broken(mode: Mode) -> list[StreamedCall]:
    return [call for seed in range(30) if (call := play(seed, mode)).problems or call.silences]


def test_without_a_look_at_leftovers_histories_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Playback, "_leftovers_sound", False)
    monkeypatch.setattr(Playback, "_place_late", lambda self, wanted: False)
    assert broken("full")


def test_without_a_closer_for_the_cycle_that_was_cut_replies_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    purge = Session._purge

    def without_closer(self: Session, cycle: object) -> None:
        cycle.closer = None  # type: ignore[attr-defined]
        purge(self, cycle)  # type: ignore[arg-type]

    monkeypatch.setattr(Session, "_purge", without_closer)
    assert {call.reading for call in broken("full")} >= {"dropped"}


def test_without_being_asked_again_callers_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LostWords, "interrupted", lambda self: None)
    assert max(wait for call in broken("widget") for wait in call.caller.waits) > MOST_SILENCE_MS
