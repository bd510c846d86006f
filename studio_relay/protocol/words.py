"""Which text has a word in it, and how the words of two utterances are put one after the other."""

from __future__ import annotations

import re
import unicodedata

# Letters and digits of any script. Not the letters that are blank (Hangul fillers), nor the line that only stretches
# Arabic ones.
_LETTER_OR_DIGIT = re.compile("[^\\W_\u115f\u1160\u3164\uffa0\u0640]")
_LETTER = re.compile("[^\\W\\d_\u115f\u1160\u3164\uffa0\u0640]")
# Signs that are read aloud though they are no letters. Currency and mathematics are (see `_is_read`); "#" and "*"
# are not: they are what headings and lists are marked with, as "<", ">", "=", "|" and "~" are among mathematics.
_READ_ALOUD = frozenset("%‰‱٪&@§¶°©®")
_MARKUP = frozenset("<>=|~+")
# The scripts that put no space between words or sentences.
_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u312f"
    "\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua9e0-\ua9ff\uaa60-\uaa7f\uf900-\ufaff\uff66-\uff9f"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff]"
)
_LEAD = 64  # characters before the first word that are kept: more is no spacing


def first_word(text: str) -> int:
    """Return where the first character stands that a caller can hear, or -1 if there is none.

    White space, punctuation, marks and invisible characters are silent. So is an emoji: some voices skip it and some
    say its name, and an answer that may be silence is no answer. SSML counts as the text it is.
    """
    found = _LETTER_OR_DIGIT.search(text)
    end = found.start() if found else len(text)
    sign = next((at for at, character in enumerate(text[:end]) if _is_read(character)), None)
    return sign if sign is not None else found.start() if found else -1


def _is_read(sign: str) -> bool:
    """Whether a character that is neither letter nor digit is read aloud: "€", "×", "℃"."""
    if sign.isascii() and not sign.isprintable():
        return False
    plain = unicodedata.normalize("NFKC", sign)  # "℃" is "°C", "％" is "%"
    if _LETTER_OR_DIGIT.search(plain) or not _READ_ALOUD.isdisjoint(plain):
        return True
    kind = unicodedata.category(sign)
    return kind == "Sc" or (kind == "Sm" and plain not in _MARKUP and "ARROW" not in unicodedata.name(sign, ""))


class Lead:
    """Holds back what comes before the first word, so that it goes out with that word or never."""

    __slots__ = ("_held", "over")

    def __init__(self) -> None:
        self.over = False  # there was a word: text goes out as it comes
        self._held = ""

    def begin(self) -> None:
        """Begin again: what is held back is dropped, and the next word is a first one."""
        self.over = False
        self._held = ""

    def add(self, text: str) -> str:
        """Return what may go out now that `text` has come: nothing, or a word with what stands before it."""
        if self.over:
            return text
        if not self._held and "0" <= text[:1] <= "z" and text[0].isalnum():  # as nearly every reply begins
            self.over = True
            return text
        text = "".join((self._held, text))
        word = first_word(text)
        self.over = word >= 0
        self._held = "" if self.over else text[-_LEAD:]
        return text[max(0, word - _LEAD) :] if self.over else ""


def spaced(text: str, *, behind: str) -> str:
    """Return `text` as it is said right behind another utterance: with a space where one belongs and none is."""
    if not text or not behind or text[0].isspace() or behind[-1].isspace():
        return text
    last = next((letter for letter in reversed(behind) if _LETTER.match(letter)), "")
    first = found[0] if (found := _LETTER.search(text)) else last
    without = _WITHOUT_SPACES.match(last or first) and _WITHOUT_SPACES.match(first)
    return text if without else f" {text}"
