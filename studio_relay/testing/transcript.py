"""The conversation as it was heard, from either end of the phone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from studio_relay.testing.outputs import CallerTurn
from studio_relay.testing.utterance import Utterance

Who = Literal["agent", "caller", "flow"]


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One turn. `text` is what was heard, `sent` stands only when more was sent; `flow` is Studio's own speech."""

    at_ms: int
    who: Who
    text: str
    sent: str | None = None
    digits: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The entry of a run's `transcript`; what is absent is left out."""
        entry = {"at_ms": self.at_ms, "who": self.who, "text": self.text}
        optional = {"sent": self.sent, "digits": self.digits}
        return entry | {name: value for name, value in optional.items() if value is not None}


def merge_turns(utterances: Iterable[Utterance], caller: Iterable[CallerTurn], offset_ms: int) -> list[Turn]:
    """Both sides of one session in order of time; keys pressed in a row are one turn.

    Keys and media that were never played are no turns; words that were not heard are, with what was sent.
    """
    turns = [_agent_turn(item, offset_ms) for item in utterances if item.sent.strip() and _shows(item)]
    for said in caller:
        digits = said.digits
        turns.append(Turn(at_ms=said.at_ms + offset_ms, who="caller", text=said.text, digits=digits))
    return _join_keys(sorted(turns, key=lambda turn: turn.at_ms))


def _shows(item: Utterance) -> bool:
    return item.started_ms is not None or item.kind not in ("digits", "media")


def _agent_turn(item: Utterance, offset_ms: int) -> Turn:
    at = (item.started_ms if item.started_ms is not None else item.ready_ms) + offset_ms
    if item.kind == "digits":
        return Turn(at_ms=at, who="agent", text="", digits=item.sent)
    if item.kind == "media":
        return Turn(at_ms=at, who="agent", text=f"[{item.sent}]")
    heard, sent = " ".join(item.heard.split()), " ".join(item.sent.split())
    return Turn(at_ms=at, who="agent", text=heard, sent=sent if sent != heard else None)


def _join_keys(turns: list[Turn]) -> list[Turn]:
    joined: list[Turn] = []
    for turn in turns:
        before = joined[-1] if joined else None
        if before and before.who == turn.who == "caller" and before.digits and turn.digits:
            digits = before.digits + turn.digits
            joined[-1] = Turn(at_ms=before.at_ms, who="caller", text="", digits=digits)
        else:
            joined.append(turn)
    return joined
