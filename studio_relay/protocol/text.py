"""What text may look like on its way to Twilio: free of control characters, and cut only between graphemes."""

from __future__ import annotations

import re
import unicodedata

from studio_relay.protocol.words import first_word

# Control characters, and those that only turn the direction of text, are no speech: they break synthesizers, and
# make a log or a transcript read otherwise than it was spoken. Joiners (U+200C, U+200D) stay: scripts and emoji
# need them. Tab and newline stay.
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_UNSENT = re.compile("\r\n?|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f]")

_ZWJ = "\u200d"
_VIRAMA = 9  # the combining class of what binds two consonants into one sign
_SARA_AM = "\u0e33\u0eb3"  # Thai and Lao vowels that are letters, and belong to the one before
_SOUND_MARKS = "\uff9e\uff9f"  # likewise, of half-width kana
_PREFIXED = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\U000110bd\U000110cd\U000111c2\U000111c3]")
_EXTENDS = re.compile("[\u200c\u200d\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")  # joiners, skin tones, tags
_REGIONAL = re.compile("[\U0001f1e6-\U0001f1ff]")
_JAMO_FIRST = re.compile("[\u1100-\u115f\ua960-\ua97c]")
_JAMO_LATER = re.compile("[\u1160-\u11ff\ud7b0-\ud7fb]")
_HANGUL = re.compile("[\u1100-\u11ff\ua960-\ua97c\uac00-\ud7a3\ud7b0-\ud7fb]")


def is_sendable(text: str) -> bool:
    """Whether `text` can be sent as it is."""
    return text.isprintable() or not (_UNSENT.search(text) or _LONE_SURROGATE.search(text))


def sendable(text: str) -> str:
    """Return `text` without control characters and marks of direction, lone surrogates replaced by U+FFFD.

    A control character that is white space leaves a space, or a newline, so that no two words become one.
    """
    if text.isprintable():
        return text
    if _LONE_SURROGATE.search(text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _UNSENT.sub(_substitute, text)


def _substitute(match: re.Match[str]) -> str:
    if match[0].startswith("\r"):
        return "\n"
    return " " if match[0].isspace() else ""


def split(text: str, max_bytes: int) -> list[str]:
    """Return `text` in pieces of at most `max_bytes` UTF-8 bytes, cut behind white space where there is any.

    No grapheme is cut unless it is longer than that by itself; a character never is.
    """
    pieces: list[str] = []
    start = 0
    while True:
        window = text[start : start + max_bytes]
        end = start + max(1, len(window.encode()[:max_bytes].decode("utf-8", "ignore")))
        if end >= len(text):
            return [*pieces, text[start:]]
        cut = _last_cut(text, start, end)
        pieces.append(text[start:cut])
        start = cut


def _last_cut(text: str, start: int, end: int) -> int:
    """Where to cut in `start` < cut <= `end`: behind a word, else between graphemes, else between characters."""
    word = max(0, first_word(text[start:end]))
    for cut in range(end, start + word, -1):
        if text[cut - 1].isspace() and is_border(text, cut, start):
            return cut
    return next((cut for cut in range(end, start, -1) if is_border(text, cut, start)), end)


def is_border(text: str, at: int, start: int = 0) -> bool:
    """Whether `text` may be cut before index `at`: where one grapheme ends, `start` being such a place too.

    The rules of Unicode's annex 29 that do not need its tables; where they are coarser, they cut less.
    """
    before, after = text[at - 1], text[at]
    if (before, after) == ("\r", "\n") or before == _ZWJ or _PREFIXED.match(before):
        return False
    if unicodedata.category(after).startswith("M") or _EXTENDS.match(after) or after in _SARA_AM + _SOUND_MARKS:
        return False
    if unicodedata.combining(before) == _VIRAMA and after.isalpha():
        return False
    if _JAMO_LATER.match(after) or (_JAMO_FIRST.match(before) and _HANGUL.match(after)):
        return not _HANGUL.match(before)
    if _REGIONAL.match(after):
        return _regional_before(text, at, start) % 2 == 0
    return True


def _regional_before(text: str, at: int, start: int) -> int:
    """How many regional indicators stand right before `at`: two make a flag."""
    first = at
    while first > start and _REGIONAL.match(text[first - 1]):
        first -= 1
    return at - first
