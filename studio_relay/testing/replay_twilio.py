"""Replays a recording as Twilio: the recorded frames to a server, and what it answers against the recorded answers.

Compared is meaning: the text of each talk cycle and its flags, media, keys, languages, the handoff, the close.
Where a text is broken into tokens, and when they come, is the server's own affair. Of a masked recording, what was
hidden is compared by shape: a run of digits is a run of digits.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from studio_relay.recording.masking import Masker
from studio_relay.recording.reading import CloseLine, FrameLine, Recording, read_recording
from studio_relay.testing.clock import Clock
from studio_relay.testing.replay import Difference, ReplayReport, Timing
from studio_relay.testing.replay_order import check_order
from studio_relay.testing.signing import sign_upgrade
from studio_relay.testing.transport import Closed, Socket, Transport

ANSWER_SECONDS = 10.0
SPARE_MS = 300
"""So long behind the last frame a server may still say something, which is then extra."""


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What the server means by some messages: one talk cycle, or one other message; `line` is where it began."""

    line: int
    at_ms: int
    content: Mapping[str, Any]
    closed: bool = True


@dataclass(frozen=True, kw_only=True)
class _Sent:
    line: int
    at_ms: int
    message: Mapping[str, Any] | str


async def replay_as_twilio(
    path: str | Path,
    transport: Transport,
    url: str,
    *,
    auth_token: str | None = None,
    sign_as: str | None = None,
    headers: Mapping[str, str] | None = None,
    ignore_text: bool = False,
    speed: float = 1.0,
) -> ReplayReport:
    """Play Twilio's part of a recording to the server at `url`.

    Each recorded frame waits until the server has said what the recorded application said before it, at most
    10 s. `ignore_text` compares that something was said, not what. Raises RecordingError, UpgradeRefused,
    Unreachable.
    """
    recording = read_recording(Path(path))
    check_order(recording)
    clock = Clock(speed=speed)
    signed = {**sign_upgrade(url, auth_token, sign_as=sign_as), **(headers or {})}
    compared = {"frames": 0, "closes": 0, "callbacks": 0}
    timings: list[Timing] = []
    difference: Difference | None = None
    for session in recording.sessions:
        replay = _SessionReplay(recording, session, clock, ignore_text=ignore_text)
        await replay.run(await transport.connect(url, signed))
        difference = replay.difference
        timings += replay.timings
        compared["frames"] += replay.compared
        compared["closes"] += replay.closed
        if difference is not None:
            break
    return ReplayReport(
        recording=str(path),
        played_as="twilio",
        url=url,
        compared=compared,
        difference=difference,
        timings=timings,
        masked=bool(recording.masked),
    )


class _SessionReplay:
    """One session of the file played to one socket."""

    def __init__(self, recording: Recording, session: int, clock: Clock, *, ignore_text: bool) -> None:
        self.difference: Difference | None = None
        self.timings: list[Timing] = []
        self.compared = 0
        self.closed = 0
        self._session = session
        self._clock = clock
        self._ignore_text = ignore_text
        self._masked = bool(recording.masked)
        self._lines = [line for line in recording.of_session(session) if isinstance(line, FrameLine | CloseLine)]
        self._recorded: list[_Sent] = []
        self._answers: list[_Sent] = []
        self._news = asyncio.Event()
        self._over: Closed | None = None

    async def run(self, socket: Socket) -> None:
        """Play all lines, then compare."""
        reader = asyncio.create_task(self._read(socket))
        try:
            await self._play(socket)
        finally:
            await socket.close(1000, "Closing websocket session")
            await asyncio.wait({reader}, timeout=ANSWER_SECONDS)
            reader.cancel()
        self._compare()

    async def _play(self, socket: Socket) -> None:
        before = self._lines[0].ms
        for line in self._lines:
            if isinstance(line, CloseLine):
                await self._play_close(socket, line)
                return
            if line.dir == "out":
                self._recorded.append(_sent(line))
                continue
            await self._answered()
            await self._clock.sleep_ms(line.ms - before)
            before = line.ms
            text = json.dumps(line.frame, ensure_ascii=False) if line.frame is not None else line.raw or ""
            await socket.send_text(text)
        await self._answered()
        await self._clock.sleep_ms(SPARE_MS)

    async def _play_close(self, socket: Socket, line: CloseLine) -> None:
        await self._answered()
        await self._clock.sleep_ms(SPARE_MS)
        self.closed = 1
        if line.code == 1006:
            await socket.abort()
        elif self._over is not None:
            code = self._over.code
            self._parted(line.number, "close", "$.code", line.code, code)

    async def _read(self, socket: Socket) -> None:
        while not isinstance(frame := await socket.receive(), Closed):
            self._answers.append(_Sent(line=0, at_ms=self._clock.now_ms(), message=_decoded(frame)))
            self._news.set()
        self._over = frame
        self._news.set()

    async def _answered(self) -> None:
        """Wait until the server has meant as much as the recorded application had, and closed its cycles."""
        wanted = _meanings(self._recorded)
        try:
            async with asyncio.timeout(self._clock.seconds(ANSWER_SECONDS * 1000)):
                while self._over is None and not _as_far(_meanings(self._answers), wanted):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return

    # Comparing

    def _compare(self) -> None:
        expected, found = _meanings(self._recorded), _meanings(self._answers)
        if self._masked:
            expected, found = _masked(expected), _masked(found)
        for index, wanted in enumerate(expected):
            if index >= len(found):
                self._parted(wanted.line, "missing", "$", dict(wanted.content), None)
                return
            self._compare_one(wanted, found[index])
            if self.difference is not None:
                return
            self.compared += 1
            self._time(wanted, found[index])
        if len(found) > len(expected):
            last = self._lines[-1].number
            self._parted(last, "extra", "$", None, dict(found[len(expected)].content))

    def _compare_one(self, wanted: Meaning, found: Meaning) -> None:
        expected, actual = dict(wanted.content), dict(found.content)
        if expected.get("type") != actual.get("type"):
            self._parted(wanted.line, "order", "$.type", expected.get("type"), actual.get("type"))
            return
        if self._ignore_text:
            for content in (expected, actual):
                content.pop("text", None)
                content.pop("handoffData", None)
        if not wanted.closed or not found.closed:
            actual["text"], expected["text"] = _shorter(str(actual.get("text", "")), str(expected.get("text", "")))
        for name in sorted({*expected, *actual}):
            if expected.get(name) != actual.get(name):
                self._parted(wanted.line, "value", f"$.{name}", expected.get(name), actual.get(name))
                return

    def _time(self, wanted: Meaning, found: Meaning) -> None:
        recorded_from = self._recorded[0].at_ms
        replayed_from = self._answers[0].at_ms
        self.timings.append(
            Timing(
                what=str(wanted.content["type"]),
                recorded_ms=wanted.at_ms - recorded_from,
                replayed_ms=found.at_ms - replayed_from,
                line=wanted.line,
            )
        )

    def _parted(self, line: int, kind: Any, path: str, expected: Any, found: Any) -> None:
        if self.difference is None:
            self.difference = Difference(
                line=line, session=self._session, kind=kind, path=path, expected=expected, found=found
            )


def _sent(line: FrameLine) -> _Sent:
    return _Sent(line=line.number, at_ms=line.ms, message=line.frame if line.frame is not None else line.raw or "")


def _decoded(frame: str | bytes) -> Mapping[str, Any] | str:
    try:
        message = json.loads(frame)
    except ValueError:
        message = None
    return message if isinstance(message, dict) else str(frame)


def _meanings(sent: Sequence[_Sent]) -> list[Meaning]:
    """The messages with their talk cycles joined; an empty closer by itself means nothing."""
    meanings: list[Meaning] = []
    open_cycle = False
    for one in sent:
        message = one.message
        if isinstance(message, str):
            meanings.append(Meaning(line=one.line, at_ms=one.at_ms, content={"type": "raw", "text": message}))
        elif message.get("type") != "text":
            meanings.append(Meaning(line=one.line, at_ms=one.at_ms, content=_plain(message)))
        elif open_cycle:
            meanings[-1] = _joined(meanings[-1], message)
            open_cycle = not meanings[-1].closed
        elif message.get("token"):
            meanings.append(_cycle(one, message))
            open_cycle = not meanings[-1].closed
    return [replace(meaning, content=_folded(meaning.content)) for meaning in meanings]


def _cycle(one: _Sent, message: Mapping[str, Any]) -> Meaning:
    content = {name: value for name, value in message.items() if name not in ("token", "last")}
    content["text"] = str(message.get("token") or "")
    return Meaning(line=one.line, at_ms=one.at_ms, content=content, closed=bool(message.get("last")))


def _joined(cycle: Meaning, message: Mapping[str, Any]) -> Meaning:
    text = f"{cycle.content['text']}{message.get('token') or ''}"
    return replace(cycle, content={**cycle.content, "text": text}, closed=bool(message.get("last")))


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


def _masked(meanings: Sequence[Meaning]) -> list[Meaning]:
    """As a masked recording has them: of what was hidden in one, only the shape can be compared."""
    masker = Masker()
    masked = []
    for meaning in meanings:
        content = dict(meaning.content)
        if content.get("type") == "text":
            content["text"] = masker.speech(content["text"])
        else:
            if "handoffData" in content and not isinstance(content["handoffData"], str):
                content["handoffData"] = json.dumps(content["handoffData"])
            content = _plain(masker.frame(content))
        masked.append(replace(meaning, content=content))
    return masked


def _as_far(found: Sequence[Meaning], wanted: Sequence[Meaning]) -> bool:
    if len(found) < len(wanted):
        return False
    return not wanted or len(found) > len(wanted) or found[len(wanted) - 1].closed or not wanted[-1].closed


def _shorter(one: str, other: str) -> tuple[str, str]:
    """Both up to the length of the shorter: a cycle that was cut says only how far it had come."""
    length = min(len(one), len(other))
    return one[:length], other[:length]
