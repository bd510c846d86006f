"""Finds what the caller's `setup` taught us in any text: names, numbers, parameter values, wherever they stand.

A value is found whole, within longer words too, as it is and as JSON or a URL writes it; and so is each of its words.
Letters are compared without case. Texts come from outside and may be made to be slow, so the search takes one step
for each character: it walks one tree of all values (Aho and Corasick), and looks words up.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

_MAX_CHARACTERS = 16_384
"""What values may take together, in all the ways they are written; a real `setup` is under 2 KB."""

_MIN_WITHIN = 3
"""A shorter value is found as a word of its own: within words it would be everywhere."""
_MIN_WORD = 3
_WORD = re.compile(r"\w+")


class KnownValues:
    """The values, each with what stands in for it. `is_full` once there are too many to be looked for."""

    def __init__(self) -> None:
        self.is_full = False
        self._whole: dict[str, str] = {}
        self._words: dict[str, str] = {}
        self._within: dict[str, str] = {}
        self._characters = 0
        self._tree: _Tree | None = None

    def learn(self, value: str, stand_in: str) -> None:
        """From now on `value` is replaced by `stand_in`."""
        plain = _folded(value.strip())
        if not plain or plain in self._whole or self.is_full:
            return
        self._whole[plain] = stand_in
        for word in _WORD.findall(plain):
            if len(word) >= _MIN_WORD or word == plain:
                self._words.setdefault(word, stand_in)
        for written in {way for cased in _cases(value.strip()) for way in _ways_to_write(cased)}:
            if len(written) >= _MIN_WITHIN or not written.isascii():
                self._within.setdefault(written, stand_in)
                self._characters += len(written)
        self._tree = None
        self.is_full = self._characters > _MAX_CHARACTERS

    def replaced(self, text: str) -> str:
        """`text` without any of the values."""
        if not self._whole:
            return text
        if (stand_in := self._whole.get(_folded(text.strip()))) is not None:
            return stand_in
        if self._tree is None:
            self._tree = _Tree(self._within)
        pieces, end = [], 0
        for start, until, stand_in in self._tree.found_in(_folded(text)):
            pieces += [self._without_words(text[end:start]), stand_in]
            end = until
        return "".join([*pieces, self._without_words(text[end:])])

    def __contains__(self, value: object) -> bool:
        return _folded(str(value)) in self._whole

    def _without_words(self, text: str) -> str:
        return _WORD.sub(lambda found: self._words.get(_folded(found[0]), found[0]), text)


class _Tree:
    """All values as one tree of characters; each node knows where to go on when the next character fits none."""

    def __init__(self, values: dict[str, str]) -> None:
        self._next: list[dict[str, int]] = [{}]
        self._back: list[int] = [0]
        self._longest: list[tuple[int, str] | None] = [None]
        for value, stand_in in values.items():
            self._longest[self._node_of(value)] = (len(value), stand_in)
        self._link()

    def found_in(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Where values stand, first to last, those that overlap as one: start, end and stand-in."""
        node, found = 0, deque[tuple[int, int, str]]()
        for end, character in enumerate(text, 1):
            while node and character not in self._next[node]:
                node = self._back[node]
            node = self._next[node].get(character, 0)
            if (longest := self._longest[node]) is not None:
                start, stand_in = end - longest[0], longest[1]
                while found and found[-1][1] > start:
                    start = min(start, found.pop()[0])
                found.append((start, end, stand_in))
        yield from found

    def _node_of(self, value: str) -> int:
        node = 0
        for character in value:
            if character not in self._next[node]:
                self._next[node][character] = len(self._next)
                self._next.append({})
                self._back.append(0)
                self._longest.append(None)
            node = self._next[node][character]
        return node

    def _link(self) -> None:
        waiting = deque(self._next[0].values())
        while waiting:
            node = waiting.popleft()
            for character, following in self._next[node].items():
                back = self._back[node]
                while back and character not in self._next[back]:
                    back = self._back[back]
                self._back[following] = self._next[back].get(character, 0)
                waiting.append(following)
            self._longest[node] = self._longest[node] or self._longest[self._back[node]]


def _cases(value: str) -> set[str]:
    """What is compared without case may be escaped with it, and some letters become two."""
    return {value, value.lower(), value.upper(), _folded(value)}


def _ways_to_write(value: str) -> set[str]:
    """As it is, as JSON within JSON may have it, and as URLs do; folded."""
    escaped = json.dumps(value)[1:-1]
    written = {value, json.dumps(value, ensure_ascii=False)[1:-1], escaped, json.dumps(escaped)[1:-1]}
    return {_folded(way) for way in (*written, quote(value, safe=""), quote(value), quote_plus(value))}


def _folded(text: str) -> str:
    """Without case, each character in its place."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(c if len(c.lower()) != 1 else c.lower() for c in text)
