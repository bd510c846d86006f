"""Numbers as callers say and type them, and as they are read back."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from studio_relay_front_desk.digits import normalised, read_aloud, spoken_digits

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.mark.parametrize(
    ("said", "digits"),
    [
        ("555-010-0007", "5550100007"),
        ("My number is five five five, oh one oh, double zero oh seven, thanks", "5550100007"),
        ("plus four four twenty seventy nine", "+442079"),
        ("+1 (555) 010 0007", "+15550100007"),
        ("five fifty-five eight hundred", "555800"),
        ("fifteen nineteen twenty one", "151921"),
        ("triple 5 double oh", "55500"),
        ("hundred thanks", ""),
        ("plus", ""),
        ("", ""),
    ],
)
def test_spoken(said: str, digits: str) -> None:
    assert spoken_digits(said) == digits


@given(st.text(alphabet="0123456789", min_size=1, max_size=15))
def test_every_number_said_digit_by_digit_is_understood(digits: str) -> None:
    assert spoken_digits(" ".join(WORDS[int(digit)] for digit in digits)) == digits


@given(st.text())
def test_any_speech_gives_digits_or_nothing(said: str) -> None:
    digits = spoken_digits(said).removeprefix("+")
    assert digits == "" or digits.isdecimal()


@pytest.mark.parametrize(
    ("digits", "code", "number"),
    [
        ("5550100007", "1", "+15550100007"),
        ("15550100007", "1", "+15550100007"),
        ("+1 555 010 0007", "44", "+15550100007"),
        ("0015550100007", "44", "+15550100007"),
        ("02079460000", "44", "+442079460000"),
        ("2079460000", "44", "+442079460000"),
        ("+442079460000", "1", "+442079460000"),
        ("555010000", "1", None),
        ("55501000070", "1", None),
        ("0100007", "1", None),
        ("0000000000", "1", None),
        ("+10000000000", "44", None),
        ("1550100007", "1", None),
        ("+0123456789", "1", None),
        ("1234567890123456", "44", None),
        ("", "1", None),
        ("+", "1", None),
        ("5+5", "1", None),
    ],
)
def test_normalised(digits: str, code: str, number: str | None) -> None:
    assert normalised(digits, code) == number


@given(st.text(alphabet="+0123456789 -", max_size=20), st.sampled_from(["1", "44", "358"]))
def test_a_normalised_number_stays_as_it_is(digits: str, code: str) -> None:
    number = normalised(digits, code)
    assert number is None or (normalised(number, code) == number and len(number) <= 16)


def test_read_aloud() -> None:
    assert read_aloud("+15550100007") == "5 5 5, 0 1 0, 0 0 0 7"
    assert read_aloud("+442079460000") == "plus 4 4 2, 0 7 9, 4 6 0, 0 0 0"


@given(st.from_regex(r"\+(1[0-9]{10}|[1-9][0-9]{7,14})", fullmatch=True))
@example("+10000000000")
def test_what_is_read_aloud_is_understood_again(number: str) -> None:
    known = normalised(number, "1")
    assert known is None or normalised(spoken_digits(read_aloud(known)), "1") == known
