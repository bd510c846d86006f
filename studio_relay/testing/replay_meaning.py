"""What a server means by the messages it sends: its talk cycles joined, everything else one by one.

Where a text is broken into tokens is the server's own affair. How far a reply had come when the caller cut it is a
matter of milliseconds, so a cut cycle is compared as far as both sides have it. Where it ends can be told in two
ways, since servers differ: by a `last: true` after the interrupt, or by the next thing the caller does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from studio_relay.recording.masking import Masker


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What the server means by some messages: one talk cycle, or one other message; `line` is where it began.

    A cycle is `closed` by its `last: true`, and `cut` where an interrupt came before that.
    """

    line: int
    at_ms: int
    content: Mapping[str, Any]
    closed: bool = True
    cut: bool = False

    @property
    def whole(self) -> bool:
        """Whether all of it was meant to be said."""
        return self.closed and not self.cut


class Meanings:
    """The meanings of one side, as its messages and the caller's frames come in. `all` holds them."""

    def __init__(self) -> None:
        self.all: list[Meaning] = []
        self._open = False
        self._pieces: list[str] = []

    def add(self, message: Mapping[str, Any] | str, *, line: int, at_ms: int) -> None:
        """The server sent this."""
        if isinstance(message, str):
            self._append({"type": "raw", "text": message}, line, at_ms)
        elif message.get("type") != "text":
            self._append(_plain(message), line, at_ms)
        elif self._open:
            self._join(message)
        elif message.get("token"):  # an empty closer by itself means nothing
            content = {name: value for name, value in message.items() if name not in ("token", "last")}
            self._append({**content, "text": ""}, line, at_ms, closed=False)
            self._pieces, self._open = [], True
            self._join(message)

    def caller(self, frame: Mapping[str, Any]) -> None:
        """Twilio sent this: an interrupt cuts the open cycle; the next prompt or key begins another."""
        if not self._open:
            return
        if frame.get("type") == "interrupt":
            self.all[-1] = replace(self.all[-1], cut=True)
        elif self.all[-1].cut and (frame.get("type") == "dtmf" or _is_final(frame)):
            self._close()

    @property
    def closed(self) -> int:
        """How many of them will not change any more."""
        return len(self.all) - self._open

    def finish(self) -> list[Meaning]:
        """All of them, an open cycle as far as it has come."""
        if self._open:
            self.all[-1] = self._joined()
        return self.all

    def _append(self, content: Mapping[str, Any], line: int, at_ms: int, *, closed: bool = True) -> None:
        if self._open:
            self.all[-1] = self._joined()
            self._open = False
        self.all.append(Meaning(line=line, at_ms=at_ms, content=_folded(content), closed=closed))

    def _join(self, message: Mapping[str, Any]) -> None:
        self._pieces.append(str(message.get("token") or ""))
        if message.get("last"):
            self._close()

    def _close(self) -> None:
        self.all[-1] = replace(self._joined(), closed=True)
        self._open = False

    def _joined(self) -> Meaning:
        cycle = self.all[-1]
        return replace(cycle, content=_folded({**cycle.content, "text": "".join(self._pieces)}))


def as_masked(meaning: Meaning, masker: Masker, *, keys: bool) -> Meaning:
    """As a masked recording has it: of what was hidden only the shape can be compared. One masker a side.

    `keys`: the caller pressed some, which are hidden, so any digit may be one that the server repeats.
    """
    content = dict(meaning.content)
    if content.get("type") == "text":
        content["text"] = masker.speech(content["text"])
        if keys or not meaning.whole:  # a number that was cut is too short to be hidden
            content["text"] = re.sub(r"\d", "0", content["text"])
    else:
        if "handoffData" in content and not isinstance(content["handoffData"], str):
            content["handoffData"] = json.dumps(content["handoffData"])
        content = _plain(masker.frame(content))
    return replace(meaning, content=content)


def _is_final(frame: Mapping[str, Any]) -> bool:
    return frame.get("type") == "prompt" and frame.get("last") is not False


def _plain(message: Mapping[str, Any]) -> dict[str, Any]:
    content = dict(message)
    if message.get("type") == "end" and isinstance(message.get("handoffData"), str):
        try:
            content["handoffData"] = json.loads(message["handoffData"])
        except ValueError:
            pass
    return content


def _folded(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: " ".join(value.split()) if name == "text" else value for name, value in content.items()}
