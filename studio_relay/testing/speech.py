"""How a caller's sentence reaches the recogniser: hypotheses that grow, revise themselves, and settle."""

from __future__ import annotations

import re

PARTIAL_MS = 240
"""Between partial prompts; recorded 190 to 280 ms mostly."""

FINAL_MS = 600
"""From the last partial to the final prompt with `speechTimeout="auto"`; recorded 96 to 837 ms."""

LONG_WORD = 7
_EDGES = re.compile(r"^\W+|(?<!\W)\W+$")
_BACKCHANNELS = frozenset(
    ["ah", "aha", "hm", "hmm", "mhm", "mm", "mm-hmm", "oh", "ok", "okay", "right", "uh-huh", "yeah", "yep", "yes"]
)


def hypotheses(text: str) -> list[str]:
    """What the recogniser believes, one after another: each the whole utterance so far, the last one `text`.

    A long word is first misheard as its beginning, and punctuation comes only in the end: both were recorded.
    """
    words = text.split()
    heard: list[str] = []
    for count, word in enumerate(words, start=1):
        before = [_EDGES.sub("", earlier) or earlier for earlier in words[: count - 1]]
        bare = _EDGES.sub("", word) or word
        if len(bare) >= LONG_WORD:
            heard.append(" ".join([*before, bare[: len(bare) // 2]]))
        heard.append(" ".join([*before, bare]))
    if heard and heard[-1] != text:
        heard.append(text)
    return [said[:1].upper() + said[1:] if text[:1].isupper() else said for said in heard]


def is_backchannel(text: str) -> bool:
    """Whether `text` only says "I am listening"; which words Twilio takes for that is not published."""
    return bool(words := text.split()) and all(_EDGES.sub("", word).lower() in _BACKCHANNELS for word in words)
