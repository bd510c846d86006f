"""One thing a caller is to hear, and how much of it was heard, frame by frame; `playback.py` says when it is played."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Interruptible = Literal["none", "dtmf", "speech", "any"]


@dataclass(kw_only=True)
class Utterance:
    """One item of the queue: a talk cycle, the greeting, media, or digits, and how much of it was heard.

    `heard` is always the beginning of `sent`: whole segments, and the fragment of the one that was cut. `frames` says
    which `text` frame brought which part of `sent`: pairs of a frame's number and its length, in order.
    """

    kind: Literal["speech", "greeting", "media", "digits"]
    sent: str = ""
    heard: str = ""
    started_ms: int | None = None
    lang: str | None = None
    closed: bool = False
    cut: bool = False
    leftover: bool = False  # words of a cut reply that were on the wire, and no word of another
    preemptible: bool = False
    interruptible: Interruptible = "any"
    ready_ms: int = 0
    taken: int = 0  # characters of `sent` that have begun to be played
    media_ms: int = 0
    frames: list[tuple[int, int]] = field(default_factory=list)
    heard_log: list[tuple[int, int]] = field(default_factory=list)  # when so many characters had been heard

    def hear(self, at_ms: int, text: str) -> None:
        """More of it was heard."""
        self.heard += text
        self.heard_log.append((at_ms, len(self.heard)))

    def heard_until(self, until_ms: int | None) -> str:
        """What of it had been heard by then, that time included; all by default."""
        if until_ms is None:
            return self.heard
        return self.heard[: max((length for at, length in self.heard_log if at <= until_ms), default=0)]

    @property
    def rest(self) -> str:
        """What of it has not begun to be played."""
        return self.sent[self.taken :]

    @property
    def over(self) -> bool:
        """Whether nothing more of it can ever be played."""
        return self.cut or (self.closed and not self.rest.strip())
