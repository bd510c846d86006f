"""What a line typed at the keyboard means; the steps are those of caller scripts. Acts nothing out."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from studio_relay.errors import ScriptError
from studio_relay.testing.script import DropSocket, HangUp, Press, Say, Silence, Step, TalkOver

HELP = """\
TEXT          say it, once the agent has stopped
/over TEXT    say it while the agent is speaking
/press 123#   press keys
/silence 2    say nothing for so many seconds
/hang         hang up
/drop         let the network drop the socket
/help         this"""

COMMANDS = ("/over", "/press", "/silence", "/hang", "/drop", "/help")
MAX_SILENCE_SECONDS = 600.0
_OVER_AFTER_WORDS = 2
_KEYS = re.compile(r"[0-9*#w]+$")


def parse_line(text: str, number: int = 1) -> Step | None:
    """The step that line `number` asks for; None for an empty one and for `/help`. Raises ScriptError."""
    words = text.strip()
    if not words.startswith("/"):
        return Say(line=number, text=words) if words else None
    name, _, rest = words.partition(" ")
    rest = rest.strip()
    match name:
        case "/over" if rest:
            return TalkOver(line=number, say=rest, after_words=_OVER_AFTER_WORDS)
        case "/press" if _KEYS.match(rest.replace(" ", "")):
            return Press(line=number, keys=rest.replace(" ", ""))
        case "/silence":
            return Silence(line=number, seconds=_seconds(rest, number))
        case "/hang":
            return HangUp(line=number)
        case "/drop":
            return DropSocket(line=number)
        case "/help":
            return None
    raise ScriptError(_fault(name), line=number)


def read_steps(lines: Iterable[str]) -> tuple[Step, ...]:
    """All steps of a text that is not typed but piped. Raises ScriptError with the line."""
    steps = []
    for number, line in enumerate(lines, 1):
        try:
            step = parse_line(line, number)
        except ScriptError as error:
            raise ScriptError(f"standard input:{number}: {error}", line=number) from None
        if step is not None:
            steps.append(step)
    return tuple(steps)


def _seconds(text: str, number: int) -> float:
    try:
        seconds = float(text or "1")
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_SILENCE_SECONDS:
        raise ScriptError(f"/silence takes seconds from 0 to {MAX_SILENCE_SECONDS:g}, as in /silence 2", line=number)
    return seconds


def _fault(name: str) -> str:
    if name == "/over":
        return "/over needs what is said, as in /over Wait a moment"
    if name == "/press":
        return "/press takes keys of 0-9 * # (w waits half a second), as in /press 123#"
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    return f"there is no {name}; " + (f"did you mean {near[0]}?" if near else "/help lists what there is")
