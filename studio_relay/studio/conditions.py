"""The conditions of a Split widget, `reference: Studio, condition types`; where a subject comes from is `simulate`'s.

Every comparison trims both sides and ignores case. Rules that Twilio does not document are marked unverified.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from functools import cache

MAX_PATTERN = 1_000
"""Longest regular expression tried, in characters; a longer one matches nothing."""

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)", re.ASCII)
_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a condition holds, and what a person should know about how it was decided."""

    holds: bool
    note: str | None = None


def evaluate(kind: str, subject: str, value: str) -> Verdict:
    """Judge the condition `kind` on two rendered texts. An unknown kind never holds, with a note."""
    test = _TESTS.get(kind)
    if test is None:
        return Verdict(holds=False, note=f"condition type {kind!r} is unknown; it was taken as false")
    return test(subject.strip(), value.strip())


def parts_of(value: str) -> list[str]:
    """The alternatives of a `matches_any_of` value; there is no way to write one with a comma in it.

    That empty parts count for nothing is our inference.
    """
    return [part.strip() for part in value.split(",") if part.strip()]


def _same(subject: str, value: str) -> Verdict:
    return Verdict(holds=subject.lower() == value.lower())


def _any_of(subject: str, value: str) -> Verdict:
    return Verdict(holds=subject.lower() in (part.lower() for part in parts_of(value)))


def _contains(subject: str, value: str) -> Verdict:
    return Verdict(holds=value.lower() in subject.lower())


def _starts_with(subject: str, value: str) -> Verdict:
    return Verdict(holds=subject.lower().startswith(value.lower()))


def _is_blank(subject: str, value: str) -> Verdict:
    """The editor stores filler text ("Is Blank") as the value; it means nothing."""
    return Verdict(holds=subject == "")


def _regex(subject: str, value: str) -> Verdict:
    if len(value) > MAX_PATTERN:
        return Verdict(holds=False, note=f"the regular expression is longer than {MAX_PATTERN} characters")
    try:
        pattern = _compiled(value)
    except (re.error, RecursionError, OverflowError) as error:
        return Verdict(holds=False, note=f"the regular expression cannot be read ({error}); it matches nothing")
    return Verdict(holds=pattern.fullmatch(subject) is not None)


@cache
def _compiled(value: str) -> re.Pattern[str]:
    """Studio's dialect is Java's, as far as can be seen; named groups are the one difference in common use."""
    named = re.sub(r"\(\?<(?=[A-Za-z])", "(?P<", value)
    return re.compile(re.sub(r"\\k<(\w+)>", r"(?P=\1)", named), re.IGNORECASE)


def _less_than(subject: str, value: str) -> Verdict:
    return _numbers(subject, value, lambda left, right: left < right)


def _greater_than(subject: str, value: str) -> Verdict:
    return _numbers(subject, value, lambda left, right: left > right)


def _numbers(subject: str, value: str, compare: Callable[[Decimal, Decimal], bool]) -> Verdict:
    """Decimal comparison of texts; Twilio warns that a text "1" may fail and should be cast with `plus: 0`."""
    for what, text in (("subject", subject), ("value", value)):
        if not _NUMBER.fullmatch(text):
            return Verdict(holds=False, note=f"the {what} is not a number, so the comparison is false")
    return Verdict(holds=compare(Decimal(subject), Decimal(value)))


def _before_time(subject: str, value: str) -> Verdict:
    return _moments(subject, value, _time_of, "HH:MM", before=True)


def _after_time(subject: str, value: str) -> Verdict:
    return _moments(subject, value, _time_of, "HH:MM", before=False)


def _before_date(subject: str, value: str) -> Verdict:
    return _moments(subject, value, _date_of, "YYYY-MM-DD", before=True)


def _after_date(subject: str, value: str) -> Verdict:
    return _moments(subject, value, _date_of, "YYYY-MM-DD", before=False)


def _moments(subject: str, value: str, read: Callable[[str], float | None], form: str, *, before: bool) -> Verdict:
    """Strict comparison; that a malformed moment makes it false is our inference."""
    left, right = read(subject), read(value)
    if left is None or right is None:
        what = "subject" if left is None else "value"
        return Verdict(holds=False, note=f"the {what} is not of the form {form}, so the comparison is false")
    return Verdict(holds=left < right if before else left > right)


def _time_of(text: str) -> float | None:
    if not _TIME.fullmatch(text):
        return None
    moment = time.fromisoformat(text)
    return moment.hour * 60.0 + moment.minute


def _date_of(text: str) -> float | None:
    if not _DATE.fullmatch(text):
        return None
    try:
        return float(date.fromisoformat(text).toordinal())
    except ValueError:
        return None


def _not(test: Callable[[str, str], Verdict]) -> Callable[[str, str], Verdict]:
    def negated(subject: str, value: str) -> Verdict:
        return Verdict(holds=not test(subject, value).holds)

    return negated


_TESTS: Mapping[str, Callable[[str, str], Verdict]] = {
    "equal_to": _same,
    "not_equal_to": _not(_same),
    "matches_any_of": _any_of,
    "does_not_match_any_of": _not(_any_of),
    "contains": _contains,
    "does_not_contain": _not(_contains),
    "starts_with": _starts_with,
    "does_not_start_with": _not(_starts_with),
    "is_blank": _is_blank,
    "is_not_blank": _not(_is_blank),
    "regex": _regex,
    "less_than": _less_than,
    "greater_than": _greater_than,
    "is_before_time": _before_time,
    "is_after_time": _after_time,
    "is_before_date": _before_date,
    "is_after_date": _after_date,
}
