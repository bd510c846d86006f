"""Reads recordings: JSON lines, one object a line, in the order they happened.

    {"ms":0,"dir":"note","format":1,"masked":true,"dialect":"twilio","recorder":"studio-relay 0.1.0"}
    {"ms":0,"dir":"handshake","session":1,"headers":{...}}      a socket was accepted; its first is the zero of `ms`
    {"ms":1,"dir":"in","session":1,"frame":{"type":"setup",...}}                       Twilio to the application
    {"ms":9,"dir":"in","session":1,"raw":"{nonsense","refused":"..."}                  a text that was not taken
    {"ms":9,"dir":"out","session":1,"frame":{"type":"text",...}}                       application to Twilio
    {"ms":9,"dir":"close","session":1,"code":1000,"reason":"..."}
    {"ms":9,"dir":"http","path":"/connect-action","form":{...}}  received; or "response": TwiML that was answered
    {"ms":9,"dir":"note",...}                                                          anything else worth telling

Tolerant: unknown keys are kept in `facts`, an unknown `dir` is a note, a last line cut off by a crash is left out,
a missing `session` is the latest one. Nothing is judged here: whether frames make sense is for the replay to say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from studio_relay.errors import RecordingError
from studio_relay.recording.filing import FORMAT
from studio_relay.recording.masking import SPEED_HEADER


@dataclass(frozen=True, kw_only=True)
class Line:
    """What every line has: `number` in the file from 1, `ms` after the first handshake (negative before it)."""

    number: int
    ms: int
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class FrameLine(Line):
    """A frame; `frame` is None when the text was not JSON or was refused, and then `raw` holds it."""

    dir: Literal["in", "out"]
    session: int
    frame: Mapping[str, Any] | None
    raw: str | None
    refused: str | None


@dataclass(frozen=True, kw_only=True)
class HandshakeLine(Line):
    """A socket was accepted."""

    session: int
    headers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class CloseLine(Line):
    """A socket was closed; `code` is None when it was not seen, 1006 when there was no close frame."""

    session: int
    code: int | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class HttpLine(Line):
    """A webhook: its `form` as received, or the `response` it was given."""

    path: str
    form: Mapping[str, str] | None
    response: str | None


@dataclass(frozen=True, kw_only=True)
class NoteLine(Line):
    """Anything else; see `facts`."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One call. `masked` and `dialect` are None when the file does not say; `truncated`: its last line was cut off."""

    path: Path
    lines: tuple[Line, ...]
    masked: bool | None
    dialect: str | None
    truncated: bool

    @property
    def sessions(self) -> tuple[int, ...]:
        """The numbers of the sessions, in the order of their first line."""
        return tuple(dict.fromkeys(line.session for line in self.lines if isinstance(line, _OF_SESSION)))

    @property
    def speed(self) -> float:
        """How much faster than a call the recorder's clock ran: a simulated call says so when it dials."""
        handshakes = (line for line in self.lines if isinstance(line, HandshakeLine))
        said = next((line.headers[SPEED_HEADER] for line in handshakes if SPEED_HEADER in line.headers), "1")
        return float(said) if re.fullmatch(r"\d{1,3}(\.\d{1,6})?", str(said)) and float(said) else 1.0

    def in_call_time(self) -> Recording:
        """The recording with its times as long as they were for the caller."""
        speed = self.speed
        lines = tuple(replace(line, ms=round(line.ms * speed)) for line in self.lines)
        return self if speed == 1.0 else replace(self, lines=lines)

    def of_session(self, session: int) -> tuple[HandshakeLine | FrameLine | CloseLine, ...]:
        """The lines of one socket."""
        return tuple(self._by_session.get(session, ()))

    @cached_property
    def _by_session(self) -> Mapping[int, Sequence[HandshakeLine | FrameLine | CloseLine]]:
        lines: dict[int, list[HandshakeLine | FrameLine | CloseLine]] = {}
        for line in self.lines:
            if isinstance(line, _OF_SESSION):
                lines.setdefault(line.session, []).append(line)
        return lines


_OF_SESSION = (HandshakeLine, FrameLine, CloseLine)
_MAX_MS = 366 * 24 * 60 * 60 * 1000


def read_recording(path: Path) -> Recording:
    """Reads a recording; raises `RecordingError` with the line when it cannot be understood."""
    try:
        texts = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise RecordingError(f"{path}: expected a recording to read, found: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RecordingError(f"{path}: expected JSON lines in UTF-8, found other bytes") from None
    reader = _Reader(path)
    truncated = not all(reader.read(number, text, last=number == len(texts)) for number, text in enumerate(texts, 1))
    if not reader.lines:
        raise RecordingError(f"{path}: expected JSON lines of a recorded call, found none")
    return Recording(
        path=path, lines=tuple(reader.lines), masked=reader.masked, dialect=reader.dialect, truncated=truncated
    )


class _Reader:
    """Lines so far, and what later lines take from earlier ones."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._session = 0
        self.lines: list[Line] = []
        self.masked: bool | None = None
        self.dialect: str | None = None

    def read(self, number: int, text: str, *, last: bool) -> bool:
        """Takes one line of the file; False when it is the last one and was cut off."""
        if not text.strip():
            return True
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            if last:
                return False
            raise self._wrong(number, "expected one JSON object", text[:40]) from None
        if not isinstance(values, dict):
            raise self._wrong(number, "expected a JSON object", type(values).__name__)
        self.lines.append(self._line(number, values))
        return True

    def _line(self, number: int, values: dict[str, Any]) -> Line:
        ms = self._take(number, values, "ms", (int, float), required=True)
        if not abs(ms) <= _MAX_MS:  # neither infinite nor no number at all
            raise self._wrong(number, f'expected "ms" of at most {_MAX_MS:,}', f"{type(ms).__name__} beyond it")
        kind = self._take(number, values, "dir", (str,), required=True)
        place = {"number": number, "ms": round(ms), "facts": values}
        if kind in ("in", "out"):
            return self._frame(number, kind, values, place)
        if kind == "handshake":
            session = self._number(number, values, self._session + 1)
            headers = self._take(number, values, "headers", (dict,)) or {}
            return HandshakeLine(**place, session=session, headers=headers)
        if kind == "close":
            session = self._number(number, values, self._session or 1)
            code = self._take(number, values, "code", (int,))
            return CloseLine(
                **place, session=session, code=code, reason=self._take(number, values, "reason", (str,)) or ""
            )
        if kind == "http":
            return self._http(number, values, place)
        return self._note(number, values, place)

    def _frame(self, number: int, kind: Literal["in", "out"], values: dict[str, Any], place: dict[str, Any]) -> Line:
        frame = self._take(number, values, "frame", (dict,))
        raw = self._take(number, values, "raw", (str,))
        if (frame is None) == (raw is None):
            raise self._wrong(number, 'expected either "frame" or "raw"', "both" if frame is not None else "none")
        session = self._number(number, values, self._session or 1)
        refused = self._take(number, values, "refused", (str,))
        return FrameLine(**place, dir=kind, session=session, frame=frame, raw=raw, refused=refused)

    def _http(self, number: int, values: dict[str, Any], place: dict[str, Any]) -> Line:
        path = self._take(number, values, "path", (str,), required=True)
        form = self._take(number, values, "form", (dict,))
        return HttpLine(**place, path=path, form=form, response=self._take(number, values, "response", (str,)))

    def _note(self, number: int, values: dict[str, Any], place: dict[str, Any]) -> Line:
        written = self._take(number, values, "format", (int,))
        if written is not None and written > FORMAT:
            raise self._wrong(number, f"expected format {FORMAT}; update studio-relay", f"format {written}")
        self.masked = values["masked"] if isinstance(values.get("masked"), bool) else self.masked
        self.dialect = values["dialect"] if isinstance(values.get("dialect"), str) else self.dialect
        return NoteLine(**place)

    def _number(self, number: int, values: dict[str, Any], default: int) -> int:
        given = self._take(number, values, "session", (int,))
        self._session = default if given is None else int(given)
        return self._session

    def _take(
        self, number: int, values: dict[str, Any], key: str, types: tuple[type, ...], *, required: bool = False
    ) -> Any:
        value = values.get(key)
        if value is None and not required:
            return None
        if not isinstance(value, types) or isinstance(value, bool):
            expected = " or ".join(kind.__name__ for kind in types)
            raise self._wrong(number, f'expected "{key}" of type {expected}', type(value).__name__)
        return value

    def _wrong(self, number: int, expected: str, found: object) -> RecordingError:
        return RecordingError(f"{self._path}, line {number}: {expected}, found {repr(found)[:100]}", line=number)
