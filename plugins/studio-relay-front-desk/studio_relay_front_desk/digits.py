"""Telephone numbers as people say, type and hear them, in English; asks nobody anything."""

from __future__ import annotations

import re

_UNITS = {"zero": 0, "oh": 0, "o": 0, "nought": 0, "one": 1, "two": 2, "three": 3, "four": 4}
_UNITS |= {"five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_TIMES = {"double": 2, "triple": 3, "treble": 3}
_ZEROS = {"hundred": "00", "thousand": "000"}

# E.164 allows 15 digits and no zero in front; with calling code 1, area codes begin with 2 to 9.
_NUMBER = re.compile(r"\+(1[2-9]\d{9}|[2-9]\d{7,14})", re.ASCII)


def spoken_digits(text: str) -> str:
    """The digits in `text`, said as words or written: `five double oh` is `500`. A leading plus is kept.

    Words that are no digits are passed over.
    """
    words = re.findall(r"\+|\d+|[a-z]+", text.lower())
    digits, times = "", 1
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        if word in _TIMES:
            times = _TIMES[word]
        elif word in ("plus", "+") and not digits:
            digits = "+"
        elif word in _ZEROS:
            digits += _ZEROS[word] if before in _UNITS else ""
        elif (value := _digits_of(word, after)) is not None:
            digits += value[0] * (times - 1) + value
            times = 1
    return digits if digits != "+" else ""


def _digits_of(word: str, after: str) -> str | None:
    if word.isdigit():
        return word
    if word in _UNITS:
        return str(_UNITS[word])
    if word in _TEENS:
        return str(10 + _TEENS.index(word))
    if word in _TENS:
        tens = str(2 + _TENS.index(word))
        return tens if _UNITS.get(after) else tens + "0"
    return None


def normalised(digits: str, country_code: str) -> str | None:
    """The number as `+`, calling code and subscriber number; None when it cannot be one.

    This checks its form, not whether the number exists.
    """
    plain = re.sub(r"[^\d+]", "", digits)
    if plain.startswith("00"):
        plain = "+" + plain[2:]
    if not plain.startswith("+"):
        plain = _with_code(plain, country_code)
    return plain if _NUMBER.fullmatch(plain) else None


def _with_code(plain: str, country_code: str) -> str:
    if country_code == "1" and len(plain) == 11 and plain.startswith("1"):
        return "+" + plain
    return f"+{country_code}{plain.removeprefix('0')}"


def read_aloud(number: str) -> str:
    """A normalised number as it is read back, digit by digit in groups: `5 5 5, 0 1 0, 0 0 0 7`."""
    if number.startswith("+1"):
        return _spaced([number[2:5], number[5:8], number[8:]])
    return f"plus {_spaced(re.findall('[0-9]{1,3}', number))}"


def _spaced(groups: list[str]) -> str:
    return ", ".join(" ".join(group) for group in groups)
