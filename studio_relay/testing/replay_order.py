"""Whether a recording can have happened at all: asked before anything is replayed, so that nobody is dialled in vain.

What each line must look like by itself is read in `studio_relay.recording.reading`.
"""

from __future__ import annotations

from typing import NoReturn

from studio_relay.errors import RecordingError
from studio_relay.recording.reading import CloseLine, FrameLine, HandshakeLine, Recording

_CLOCK_SLIPS_MS = 1000
"""Recorders put lines down a moment late; more than this is another order."""
_SETUP = '{"type":"setup",…}'


def check_order(recording: Recording) -> None:
    """Raise RecordingError, with the line and what to write instead, for an order that no call has."""
    if not recording.sessions:
        _refuse(recording, 1, f"no session: expected an `in` line with {_SETUP} as its frame")
    for session in recording.sessions:
        _check_session(recording, session)


def _check_session(recording: Recording, session: int) -> None:
    setup, closed, before = None, None, None
    for line in recording.of_session(session):
        if before is not None and line.ms < before.ms - _CLOCK_SLIPS_MS:
            back = f'"ms" goes back from {before.ms} (line {before.number}) to {line.ms}'
            _refuse(recording, line.number, f"{back}; put the lines in the order of time")
        before = line
        if isinstance(line, CloseLine):
            if closed is not None:
                _refuse(recording, line.number, f"session {session} was closed in line {closed} already; remove one")
            closed = line.number
        elif isinstance(line, FrameLine) and line.dir == "in":
            if closed is not None:
                _refuse(recording, line.number, f"a frame of Twilio behind the close in line {closed}; move it before")
            setup = setup or _introduced(recording, line)
        elif isinstance(line, HandshakeLine) and setup is not None:
            _refuse(recording, line.number, f"a second handshake in session {session}; give it the next number")
    if setup is None:
        number = before.number if before else 1
        _refuse(recording, number, f"session {session} has no `setup`: its first `in` frame must be {_SETUP}")


def _introduced(recording: Recording, line: FrameLine) -> int | None:
    """The line of the setup; texts that were refused may come before it."""
    if line.frame is None:
        return None
    kind = line.frame.get("type")
    if kind != "setup":
        _refuse(recording, line.number, f"expected {_SETUP} as the first `in` frame of a session, found `{kind}`")
    return line.number


def _refuse(recording: Recording, number: int, message: str) -> NoReturn:
    raise RecordingError(f"{recording.path}, line {number}: {message}", line=number)
