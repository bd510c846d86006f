"""How a script's text is compared with what was heard: without case, white space folded, as a part."""

from __future__ import annotations

import re
from dataclasses import dataclass


def fold(text: str) -> str:
    """`text` without the differences that do not count."""
    return " ".join(text.casefold().split())


@dataclass(frozen=True)
class TextPattern:
    """A part of a text, or a regular expression written `/…/`. Raises re.error when made of a broken one."""

    written: str

    def __post_init__(self) -> None:
        if self.is_regex:
            re.compile(self.written[1:-1])

    @property
    def is_regex(self) -> bool:
        """Whether it is written `/…/`."""
        return len(self.written) > 2 and self.written.startswith("/") and self.written.endswith("/")

    def end_in(self, folded: str) -> int | None:
        """Where its first occurrence in already folded text ends; None if there is none."""
        if self.is_regex:
            match = re.search(self.written[1:-1], folded, re.IGNORECASE)
            return match.end() if match else None
        wanted = fold(self.written)
        at = folded.find(wanted)
        return at + len(wanted) if at >= 0 else None

    def found_in(self, text: str) -> bool:
        """Whether `text` holds it."""
        return self.end_in(fold(text)) is not None

    def __str__(self) -> str:
        return self.written
