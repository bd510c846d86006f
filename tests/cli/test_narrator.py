"""How a call is written to the terminal."""

from __future__ import annotations

import asyncio
import io
from typing import Any

from rich.console import Console

from studio_relay.cli.narrator import Narrator
from studio_relay.testing.twilio import LiveEvent


class Screen:
    """A narrator and what it wrote."""

    def __init__(self, width: int = 40, **options: Any) -> None:
        self._file = io.StringIO()
        self.narrator = Narrator(Console(file=self._file, width=width, highlight=False), **options)

    def event(self, kind: Any, text: str = "", at_ms: int = 0) -> None:
        self.narrator(LiveEvent(at_ms=at_ms, kind=kind, text=text))

    @property
    def lines(self) -> list[str]:
        self.narrator.finish()
        return [line.rstrip() for line in self._file.getvalue().splitlines()]


async def test_words_of_one_speaker_share_lines_that_fit() -> None:
    screen = Screen(width=24)
    for words in ("One two three", "four five", "six"):
        screen.event("agent", words)
    assert screen.lines == ["  agent  One two three", "         four five six"]


async def test_pieces_may_end_within_a_word() -> None:
    screen = Screen()
    for piece in ("Hel", "lo", " the", "re", ".", " You"):
        screen.narrator.stream("agent", piece)
    assert screen.lines == ["  agent  Hello there. You"]


async def test_what_was_cut_stands_before_who_cut_it() -> None:
    screen = Screen()
    screen.event("agent", "We are open.", at_ms=0)
    screen.event("caller", "stop", at_ms=1000)
    screen.event("interrupted", at_ms=1000)
    screen.event("agent", "Is there", at_ms=1001)
    screen.event("agent", "All right.", at_ms=3000)
    assert screen.lines == ["  agent  We are open. Is there --", "  caller stop", "  agent  All right."]


async def test_the_caller_is_shown_soon_without_another_event() -> None:
    screen = Screen()
    screen.event("digits", "12#")
    async with asyncio.timeout(10):
        while screen.narrator._held is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert screen.lines == ["  keys   12#"]


async def test_what_is_on_the_screen_already_is_not_repeated() -> None:
    screen = Screen(show_caller=False)
    screen.event("caller", "typed")
    screen.event("agent", "Yes.", at_ms=5000)
    assert screen.lines == ["  agent  Yes."]


async def test_nothing_that_is_said_steers_the_terminal() -> None:
    screen = Screen()
    screen.event("agent", "red\x1b[31m \x9b2J \x07bell [bold]x[/bold]")
    screen.event("widget", "a\x1b]0;title\x07")
    assert all(line.isprintable() for line in screen.lines)
    assert "[bold]x[/bold]" in " ".join(screen.lines)
