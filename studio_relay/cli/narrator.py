"""A call written to the terminal as it happens: who speaks, widget by widget. Decides nothing about the call."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from studio_relay.cli.printable import printable
from studio_relay.testing.twilio import LiveEvent

if TYPE_CHECKING:
    from rich.console import Console

    from studio_relay.studio.walk import Step

WIDTH = 78
_LABEL = 9
_HOLD_SECONDS = 0.2
_STYLES = {"agent": "cyan", "caller": "green", "keys": "green", "flow": "magenta", "widget": "bold", "note": "dim"}


class Narrator:
    """Writes labelled lines, wrapped at the terminal's width, and goes on where the same person goes on speaking.

    Call it with each LiveEvent, in the running loop. What the caller says is held for a moment, since the words
    it cuts off are reported just behind it.
    """

    def __init__(self, console: Console, *, show_caller: bool = True) -> None:
        self._console = console
        self._width = min(console.width, WIDTH)
        self._show_caller = show_caller
        self._label = ""  # of the open line
        self._column = 0
        self._space = False
        self._held: LiveEvent | None = None
        self._cut = False
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, event: LiveEvent) -> None:
        """Show one event."""
        if event.kind in ("caller", "digits"):
            self._hold(event)
        elif event.kind == "interrupted":
            self._cut = self._held is not None
        elif event.kind == "agent" and self._is_what_was_cut(event):
            self.say("agent", event.text + (" --" if self._cut else ""))
            self._release()
        else:
            self._release()
            self._show(event)

    def say(self, who: str, text: str) -> None:
        """Whole words of somebody; they join the line that is open, if it is theirs."""
        self.stream(who, f" {text} ")

    def stream(self, who: str, text: str) -> None:
        """Words of somebody in pieces that may end anywhere, within a word too."""
        for part in re.findall(r"\s+|\S+", text):
            if part.isspace():
                self._space = True
            elif word := printable(part).strip():
                self._put(who, word)

    def caller(self, event: LiveEvent) -> None:
        """What the caller does, where it is not on the screen already."""
        if self._show_caller:
            self._label = ""
            self.say("keys" if event.kind == "digits" else "caller", event.text)
            self._space = True

    def note(self, text: str) -> None:
        """A line of our own."""
        self.finish()
        self.say("note", text)
        self.finish()

    def heading(self, text: str) -> None:
        """A line at the margin."""
        self.finish()
        self._write(printable(text), _STYLES["widget"])
        self.finish()

    def step(self, step: Step) -> None:
        """The way on from a widget."""
        if step.event:
            self.note(f"-> {step.event}" + (f" ({step.condition})" if step.condition else ""))

    def finish(self) -> None:
        """Close the open line."""
        self._release()
        if self._column:
            self._console.print()
        self._label, self._column = "", 0

    def _is_what_was_cut(self, event: LiveEvent) -> bool:
        """No answer comes so soon: these words were heard before the caller began."""
        return self._held is not None and event.at_ms - self._held.at_ms < _HOLD_SECONDS * 1000

    def _show(self, event: LiveEvent) -> None:
        if event.kind == "widget":
            self.heading(f"[{event.text}]")
        elif event.kind in ("agent", "flow"):
            self.say(event.kind, event.text)
        elif event.kind == "closed":
            self.note(f"(session closed, {event.text})")

    def _hold(self, event: LiveEvent) -> None:
        self._release()
        self._held, self._cut = event, False
        self._timer = asyncio.get_running_loop().call_later(_HOLD_SECONDS, self._release)

    def _release(self) -> None:
        event, self._held = self._held, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if event is not None:
            self.caller(event)

    def _put(self, who: str, word: str) -> None:
        if who != self._label:
            self._open(who)
        elif self._space:
            if self._column + 1 + len(word) > self._width:
                self._new_line()
            else:
                self._write(" ", "")
        self._space = False
        self._write(word, _STYLES[who])

    def _open(self, who: str) -> None:
        if self._column:
            self._console.print()
        self._label, self._column = who, 0
        label = "" if who == "note" else who
        self._write(f"  {label}".ljust(_LABEL), "dim")

    def _new_line(self) -> None:
        self._console.print()
        self._column = 0
        self._write(" " * _LABEL, "")

    def _write(self, text: str, style: str) -> None:
        from rich.text import Text

        self._console.print(Text(text, style), end="", soft_wrap=True)
        self._column += len(text)


def terminal() -> Console:
    """Standard output as rich sees it: coloured on a terminal only, and silent once its reader has gone."""
    import os
    import sys

    from rich.console import Console

    class Terminal(Console):
        def on_broken_pipe(self) -> None:
            """As for `studio-relay demo | head`; rich would end the program in the middle of a call."""
            self.quiet = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    return Terminal(highlight=False, soft_wrap=True)
