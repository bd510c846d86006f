"""How many frames a socket may send."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from studio_relay.server.limits import FrameBudget


def taken(budget: FrameBudget, at: float, count: int) -> int:
    return sum(budget.take(at) for _ in range(count))


def test_a_burst_at_once_and_not_one_more() -> None:
    budget = FrameBudget(per_second=100, burst=1000)
    assert taken(budget, 5.0, 1500) == 1000


def test_it_fills_again_at_its_rate_and_no_higher_than_the_burst() -> None:
    budget = FrameBudget(per_second=10, burst=20)
    assert taken(budget, 0.0, 50) == 20
    assert taken(budget, 0.5, 50) == 5
    assert taken(budget, 1000.0, 50) == 20


def test_a_steady_stream_at_the_rate_is_never_refused() -> None:
    budget = FrameBudget(per_second=100, burst=10)
    assert all(budget.take(step / 100) for step in range(1000))


@given(st.lists(st.floats(0, 2), max_size=200), st.integers(1, 50), st.integers(1, 50))
def test_never_more_than_burst_and_rate_allow(gaps: list[float], per_second: int, burst: int) -> None:
    budget, now, passed = FrameBudget(per_second, burst), 0.0, 0
    for gap in gaps:
        now += gap
        passed += budget.take(now)
    assert passed <= burst + now * per_second + 1e-6
