"""Text of strangers on our terminal: what servers, flows and scripts say, without what would steer it."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with a blank for everything that is no printable character."""
    return "".join(character if character.isprintable() else " " for character in text)
