"""What callers mean by what they say, in English and by key words; and asking for speech or keys at once."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from studio_relay import Call

ANSWER_SECONDS = 6.0
"""Silence after a question, and between two keys, that counts as no answer."""

_PERSON = re.compile(
    r"\b(person|human|someone|somebody|operator|representative|manager|receptionist|staff|real (man|woman|people))\b"
)
_CALLBACK = re.compile(r"\b(call ?-?backs?|(call|ring|phone) (me|us) (back|later)|(give|get) (me|us)? ?a call ?back)\b")
_GOODBYE = re.compile(
    r"\b(good ?-?bye|bye|no,? (many )?thank(s| you)|nothing( else)?|that('s| is| will be|'ll be) (all|it|everything))\b"
)
_ONLY_NO = re.compile(r"\W*(no|nope|nah)\W*")
_YES = re.compile(r"\b(yes|yeah|yep|yup|sure|correct|right|okay|ok|please|exactly|fine)\b")
_NO = re.compile(r"\b(no|nope|nah|not|wrong|isn't|incorrect|don't)\b")
_CANCEL = re.compile(r"\b(never ?mind|forget it|cancel|no,? thank(s| you))\b")


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What came back to a question: words, or keys, or neither."""

    words: str = ""
    keys: str = ""

    @property
    def yes(self) -> bool:
        """A clear yes; 1 is the key for it."""
        return self.keys == "1" or (_has(_YES, self.words) and not _has(_NO, self.words))

    @property
    def no(self) -> bool:
        """A no; 2 is the key for it."""
        return self.keys == "2" or _has(_NO, self.words)

    @property
    def wants_person(self) -> bool:
        """Zero is the key for a person."""
        return self.keys == "0" or wants_person(self.words)

    @property
    def cancels(self) -> bool:
        """The caller has thought better of it."""
        return _has(_CANCEL, self.words)


async def listen(call: Call, question: str) -> Heard:
    """Ask, and take what comes first: words, or keys up to `#` or a pause. Neither: an empty Heard."""
    spoken = asyncio.create_task(_words(call, question))
    typed = asyncio.create_task(_keys(call))
    try:
        for first in asyncio.as_completed((spoken, typed)):
            if (heard := await first) != Heard():
                return heard
        return Heard()
    finally:
        spoken.cancel()
        typed.cancel()
        await asyncio.gather(spoken, typed, return_exceptions=True)


async def _words(call: Call, question: str) -> Heard:
    prompt = await call.ask(question, timeout=ANSWER_SECONDS)
    return Heard(words=prompt.voice_prompt if prompt else "")


async def _keys(call: Call) -> Heard:
    return Heard(keys=await call.collect_digits(max_digits=15, timeout=ANSWER_SECONDS) or "")


def wants_person(text: str) -> bool:
    """Whether a person is asked for."""
    return _has(_PERSON, text)


def wants_callback(text: str) -> bool:
    """Whether a call back is asked for."""
    return _has(_CALLBACK, text)


def says_goodbye(text: str) -> bool:
    """Whether the caller needs nothing more; a bare no answers `anything else?`."""
    return _has(_GOODBYE, text) or bool(_ONLY_NO.fullmatch(text.lower()))


def _has(pattern: re.Pattern[str], text: str) -> bool:
    return bool(pattern.search(text.lower().replace("’", "'")))
