"""Each condition type against the rules of the reference, section 5.3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay.studio.conditions import MAX_PATTERN, evaluate
from studio_relay.studio.widgets import catalog

HOLDS = [
    ("equal_to", " Yes ", "yes"),
    ("not_equal_to", "no", "yes"),
    ("matches_any_of", "Yeah", "yes,yeah,yup"),
    ("matches_any_of", "one", "1, 1-, 1., one, um"),
    ("does_not_match_any_of", "nope", "yes,yeah"),
    ("contains", '{"reasonCode":"Person"}', "person"),
    ("contains", "Yes.", "yes"),
    ("does_not_contain", "abc", "d"),
    ("starts_with", " Hoot", "hoo"),
    ("does_not_start_with", "Hoot", "oot"),
    ("is_blank", "", "Is Blank"),
    ("is_blank", " \n\t", "Is Blank"),
    ("is_not_blank", "x", "Is Not Blank"),
    ("regex", "ABC 12", r"abc \d+"),
    ("regex", "xay b", "^(?=.*a)(?=.*b).*"),
    ("regex", "aa", "(?<one>a)\\k<one>"),
    ("less_than", "1", "2"),
    ("less_than", "-1.5", "-1"),
    ("greater_than", "10", "9"),
    ("is_before_time", "08:59", "09:00"),
    ("is_after_time", "17:00", "09:00"),
    ("is_before_date", "2026-11-20", "2026-11-21"),
    ("is_after_date", "2027-01-01", "2026-12-31"),
]
FAILS = [
    ("equal_to", "Yes.", "yes"),
    ("matches_any_of", "", "yes,,yeah"),
    ("matches_any_of", "a,b", "a,b"),
    ("regex", "abcd", "abc"),
    ("regex", "abc", "/abc/"),
    ("less_than", "2", "2"),
    ("greater_than", "2", "2"),
    ("less_than", "one", "2"),
    ("greater_than", "", "2"),
    ("greater_than", "1e9", "2"),
    ("is_before_time", "8:59", "09:00"),
    ("is_after_time", "25:00", "09:00"),
    ("is_before_date", "2026-02-30", "2026-12-01"),
    ("is_after_date", "tomorrow", "2026-12-01"),
]


@pytest.mark.parametrize(("kind", "subject", "value"), HOLDS)
def test_holds(kind: str, subject: str, value: str) -> None:
    assert evaluate(kind, subject, value).holds


@pytest.mark.parametrize(("kind", "subject", "value"), FAILS)
def test_does_not_hold(kind: str, subject: str, value: str) -> None:
    assert not evaluate(kind, subject, value).holds


@pytest.mark.parametrize(
    ("kind", "subject", "value", "words"),
    [
        ("regex", "a", "(", "cannot be read"),
        ("regex", "a", "a" * (MAX_PATTERN + 1), "longer than"),
        ("less_than", "x", "1", "subject is not a number"),
        ("less_than", "1", "x", "value is not a number"),
        ("is_before_time", "9", "09:00", "HH:MM"),
        ("is_after_date", "2026-01-01", "1.1.", "value is not of the form YYYY-MM-DD"),
        ("sounds_like", "a", "a", "unknown"),
    ],
)
def test_what_cannot_be_judged_is_false_and_says_why(kind: str, subject: str, value: str, words: str) -> None:
    verdict = evaluate(kind, subject, value)
    assert not verdict.holds
    assert verdict.note is not None
    assert words in verdict.note


def test_every_type_of_the_table_is_judged() -> None:
    assert all("unknown" not in (evaluate(kind, "1", "2").note or "") for kind in catalog().condition_types)
    assert len(catalog().condition_types) == 17


PAIRS = {
    "equal_to": "not_equal_to",
    "matches_any_of": "does_not_match_any_of",
    "contains": "does_not_contain",
    "starts_with": "does_not_start_with",
    "is_blank": "is_not_blank",
}


@given(st.sampled_from(sorted(PAIRS)), st.text(), st.text())
def test_a_negated_type_is_the_opposite(kind: str, subject: str, value: str) -> None:
    assert evaluate(kind, subject, value).holds is not evaluate(PAIRS[kind], subject, value).holds


@given(st.sampled_from(catalog().condition_types), st.text(), st.text(max_size=50))
def test_nothing_raises_and_blanks_around_do_not_count(kind: str, subject: str, value: str) -> None:
    assert evaluate(kind, subject, value) == evaluate(kind, f" {subject}\n", f"\t{value} ")


ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126))


@given(st.sampled_from(["equal_to", "contains", "starts_with", "matches_any_of"]), ASCII, ASCII)
def test_case_does_not_count(kind: str, subject: str, value: str) -> None:
    assert evaluate(kind, subject, value) == evaluate(kind, subject.upper(), value.lower())


@given(st.integers(), st.integers())
def test_numbers_compare_as_numbers(left: int, right: int) -> None:
    assert evaluate("less_than", str(left), str(right)).holds is (left < right)
    assert evaluate("greater_than", str(left), str(right)).holds is (left > right)
