"""How long speech takes: the recorded medians, and what is drawn around them for a call."""

from __future__ import annotations

from typing import Any

from studio_relay.testing import DrawnRates, MeasuredRates
from studio_relay.testing.playback import Playback

LONG = "A sentence that is quite long enough for its beginning to count for little in the time that it takes to say"


def pace(seed: object) -> float:
    """How much slower than the median a call is, over many segments."""
    rates, total = DrawnRates(seed), 0
    for _ in range(200):
        rates.begin_segment()
        total += rates.segment_ms(LONG)
    return total / 200 / MeasuredRates().segment_ms(LONG)


def test_each_call_has_a_pace_of_its_own_up_to_a_fifth_off() -> None:
    paces = [pace(seed) for seed in range(60)]
    assert 0.79 < min(paces) < 0.86
    assert 1.14 < max(paces) < 1.21
    assert pace(7) == paces[7]


def segments(seed: int | None, text: str) -> list[str]:
    queue = Playback(rates=MeasuredRates() if seed is None else DrawnRates(seed))
    queue.text(0, text, last=True, preemptible=False, interruptible="any")
    return [event.value for event in queue.advance(600_000) if event.name == "tokensPlayed"]


def test_where_a_comma_ends_a_segment_is_drawn() -> None:
    at_17, at_34 = (
        "It is so warm now, and goes on for longer",
        "It is rather warm here this autumn, and goes on for longer",
    )
    for text in (at_17, at_34):
        counts = [len(segments(seed, text)) for seed in range(100)]
        assert 5 < counts.count(1) < 95
        assert counts.count(1) + counts.count(2) == 100
        assert len(segments(None, text)) == 1


def test_a_simulated_call_draws_its_pace_and_the_same_seed_is_the_same_call(caller: Any) -> None:
    def heard_at(seed: int) -> list[int]:
        call = caller("echo", seed=seed, welcome_greeting="Hello there.").say("good morning")
        call.expect.heard("good morning")
        return [event.at_ms for event in call.call.end.played]

    times = [heard_at(seed) for seed in (1, 2, 3, 1)]
    assert len({tuple(each) for each in times}) == 3
    assert times[0] == times[3]
