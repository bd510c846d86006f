"""Replays a recording as Twilio: the recorded frames to a server, and what it answers against the recorded answers.

Compared is meaning: the text of each talk cycle and its flags, media, keys, languages, the handoff, the close; see
`replay_meaning.py`. When tokens come is the server's own affair. Of a masked recording, what was hidden is compared
by shape: a run of digits is a run of digits. The first difference ends the replay, wherever in the call it is.

The call is a new one. A server may know the recorded call, or have used up its ticket, so `callSid` and `sessionId`
are fresh and the ticket is left out; in what the server sends, the fresh ids are read as the recorded ones.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from studio_relay.recording.masking import Masker
from studio_relay.recording.reading import CloseLine, FrameLine, Recording, read_recording
from studio_relay.testing.clock import Clock
from studio_relay.testing.identity import ACCOUNT_SID, make_sid
from studio_relay.testing.replay import Difference, ReplayReport, Timing
from studio_relay.testing.replay_meaning import Meaning, Meanings, as_masked
from studio_relay.testing.replay_order import check_order
from studio_relay.testing.signing import sign_upgrade
from studio_relay.testing.transport import Closed, Socket, Transport
from studio_relay.ticket import TICKET

ANSWER_SECONDS = 10.0
"""A server that says nothing more for so long will not say it."""
ANSWER_MAX_SECONDS = 60.0
"""Nor will one that talks on for so long without coming to an end."""
DROPPED = (None, 1005, 1006)
"""How hosts tell of a socket that went without a close frame."""
SPARE_MS = 300
"""So long behind the last frame a server may still say something, which is then extra."""


async def replay_as_twilio(
    path: str | Path,
    transport: Transport,
    url: str,
    *,
    auth_token: str | None = None,
    sign_as: str | None = None,
    headers: Mapping[str, str] | None = None,
    account_sid: str | None = None,
    ignore_text: bool = False,
    speed: float = 1.0,
) -> ReplayReport:
    """Play Twilio's part of a recording to the server at `url`, up to the first difference.

    Each recorded frame waits until the server has said what the recorded application said before it. `account_sid`
    stands for the account of a masked recording. `ignore_text` compares that something was said, not what. Raises
    RecordingError, UpgradeRefused, Unreachable.
    """
    recording = read_recording(Path(path))
    check_order(recording)
    clock = Clock(speed=speed)
    signed = {**sign_upgrade(url, auth_token, sign_as=sign_as), **(headers or {})}
    compared = {"frames": 0, "closes": 0, "callbacks": 0}
    timings: list[Timing] = []
    difference: Difference | None = None
    names = _Names(recording, account_sid)
    for session, gap in _sessions(recording):
        await clock.sleep_ms(gap)
        replay = _SessionReplay(recording, session, clock, names, ignore_text=ignore_text)
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


def _sessions(recording: Recording) -> list[tuple[int, int]]:
    """The sessions, each with the milliseconds that passed between the one before and its own first line."""
    lines = [recording.of_session(session) for session in recording.sessions]
    gaps = [max(0, after[0].ms - before[-1].ms) for before, after in pairwise(lines)]
    return list(zip(recording.sessions, [0, *gaps], strict=True))


class _Names:
    """The ids of the recorded call, and those of the call that is made now."""

    def __init__(self, recording: Recording, account_sid: str | None) -> None:
        self._fresh: dict[str, str] = {}
        frames = [line.frame for line in recording.lines if isinstance(line, FrameLine) and line.frame]
        for setup in (frame for frame in frames if frame.get("type") == "setup"):
            for key in ("callSid", "sessionId"):
                self._replace(setup.get(key), lambda sid: make_sid(sid[:2]))
            if recording.masked:
                self._replace(setup.get("accountSid"), lambda sid: account_sid or ACCOUNT_SID)
        self._recorded = {fresh: recorded for recorded, fresh in self._fresh.items()}

    def _replace(self, sid: Any, by: Callable[[str], str]) -> None:
        if isinstance(sid, str) and re.fullmatch(r"[A-Z]{2}[0-9a-f]{32}", sid) and sid not in self._fresh:
            self._fresh[sid] = by(sid)

    def to_server(self, line: FrameLine) -> str:
        """The text of a recorded frame as it is sent now."""
        if line.frame is None:
            return line.raw or ""
        return _replaced(json.dumps(_without_ticket(line.frame), ensure_ascii=False), self._fresh)

    def from_server(self, text: str) -> str:
        """What the server sent, as it would have been sent to the recorded call."""
        return _replaced(text, self._recorded)


def _replaced(text: str, names: Mapping[str, str]) -> str:
    for name, other in names.items():
        text = text.replace(name, other)
    return text


def _without_ticket(frame: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters = frame.get("customParameters")
    if frame.get("type") != "setup" or not isinstance(parameters, Mapping):
        return frame
    return {**frame, "customParameters": {name: value for name, value in parameters.items() if name != TICKET}}


class _SessionReplay:
    """One session of the file played to one socket, until it is over or differs."""

    def __init__(self, recording: Recording, session: int, clock: Clock, names: _Names, *, ignore_text: bool) -> None:
        self.difference: Difference | None = None
        self.timings: list[Timing] = []
        self.compared = 0
        self.closed = 0
        self._session = session
        self._clock = clock
        self._names = names
        self._ignore_text = ignore_text
        self._maskers = (Masker(), Masker()) if recording.masked else None
        self._lines = [line for line in recording.of_session(session) if isinstance(line, FrameLine | CloseLine)]
        frames = [line.frame for line in recording.lines if isinstance(line, FrameLine) and line.frame]
        self._keys = any(frame.get("type") == "dtmf" for frame in frames)
        self._line = self._lines[0].number
        self._expected = self._all_expected()
        self._recorded = Meanings()
        self._answers = Meanings()
        self._news = asyncio.Event()
        self._over: Closed | None = None

    async def run(self, socket: Socket) -> None:
        """Play the lines, comparing what comes back."""
        reader = asyncio.create_task(self._read(socket))
        try:
            await self._play(socket)
        finally:
            await socket.close(1000, "Closing websocket session")
            await asyncio.wait({reader}, timeout=ANSWER_SECONDS)
            reader.cancel()
        if self.difference is None:
            self._compare_rest()

    async def _play(self, socket: Socket) -> None:
        before = self._lines[0].ms
        for line in self._lines:
            self._line = line.number
            if isinstance(line, CloseLine):
                return await self._play_close(socket, line)
            if line.dir == "out":
                _take(self._recorded, line)
                continue
            await self._answered()
            await self._pass(line.ms - before)
            before = line.ms
            if self._over is not None:
                self._parted(line.number, "close", "$", None, [self._over.code, self._over.reason])
            if self.difference is not None:
                return None
            self._answers.caller(line.frame or {})
            self._recorded.caller(line.frame or {})
            await socket.send_text(self._names.to_server(line))
        await self._answered()
        return await self._pass(SPARE_MS)

    async def _play_close(self, socket: Socket, line: CloseLine) -> None:
        await self._answered()
        await self._pass(SPARE_MS)
        if self.difference is not None:
            return
        self.closed = 1
        if self._over is not None:
            if self._over.code != line.code:
                self._parted(line.number, "close", "$.code", line.code, self._over.code)
        elif line.code in DROPPED:
            await socket.abort()

    async def _read(self, socket: Socket) -> None:
        while not isinstance(frame := await socket.receive(), Closed):
            message = _decoded(
                self._names.from_server(frame if isinstance(frame, str) else frame.decode("utf-8", "replace"))
            )
            self._answers.add(message, line=0, at_ms=self._clock.now_ms())
            self._compare_new()
            self._news.set()
        self._over = frame
        self._news.set()

    @property
    def _stopped(self) -> bool:
        return self._over is not None or self.difference is not None

    async def _pass(self, ms: float) -> None:
        """Let time go by, but no longer than there is anything to wait for."""
        deadline = self._clock.now_ms() + ms
        while not self._stopped and (left := deadline - self._clock.now_ms()) > 0:
            await self._wait_for_news(left)

    async def _answered(self) -> None:
        """Wait until the server has meant as much as the recorded application had; a difference if it does not."""
        began = self._clock.now_ms()
        while not self._stopped and not _as_far(self._answers, self._recorded):
            left = began + ANSWER_MAX_SECONDS * 1000 - self._clock.now_ms()
            if left <= 0 or not await self._wait_for_news(min(left, ANSWER_SECONDS * 1000)):
                self._compare_rest(so_far=True)
                return

    async def _wait_for_news(self, ms: float) -> bool:
        self._news.clear()
        try:
            async with asyncio.timeout(self._clock.seconds(ms)):
                return await self._news.wait()
        except TimeoutError:
            return False

    # Comparing

    def _all_expected(self) -> list[Meaning]:
        meanings = Meanings()
        for line in self._lines:
            if isinstance(line, FrameLine):
                _take(meanings, line)
        return meanings.finish()

    def _compare_new(self) -> None:
        """What the server has finished saying, against the same in the file."""
        while self.difference is None and self.compared < self._answers.closed:
            self._compare_next(self._answers.all[self.compared])

    def _compare_rest(self, *, so_far: bool = False) -> None:
        """What it has begun, too, and what it never said: of all in the file, or of what was recorded `so_far`."""
        wanted = len(self._recorded.all) if so_far else len(self._expected)
        for meaning in self._answers.finish()[self.compared :]:
            self._compare_next(meaning)
            if self.difference is not None:
                return
        if self.compared < wanted:
            missing = self._expected[self.compared]
            self._parted(missing.line, "missing", "$", dict(missing.content), None)
        elif so_far:
            unfinished = self._expected[wanted - 1]
            self._parted(unfinished.line, "missing", "$.last", True, None)

    def _compare_next(self, found: Meaning) -> None:
        if self.compared >= len(self._expected):
            self._parted(self._line, "extra", "$", None, dict(found.content))
            return
        wanted = self._expected[self.compared]
        if self._maskers is not None:
            here, there = self._maskers
            wanted = as_masked(wanted, here, keys=self._keys)
            found = as_masked(found, there, keys=self._keys)
        self._compare_one(wanted, found)
        if self.difference is None:
            self.compared += 1
            self._time(wanted, found)

    def _compare_one(self, wanted: Meaning, found: Meaning) -> None:
        expected, actual = dict(wanted.content), dict(found.content)
        if expected.get("type") != actual.get("type"):
            self._parted(wanted.line, "order", "$.type", expected.get("type"), actual.get("type"))
            return
        if self._ignore_text:
            for content in (expected, actual):
                content.pop("text", None)
                content.pop("handoffData", None)
        elif not (wanted.whole and found.whole):
            actual["text"], expected["text"] = _shorter(str(actual.get("text", "")), str(expected.get("text", "")))
        for name in sorted({*expected, *actual}):
            if expected.get(name) != actual.get(name):
                self._parted(wanted.line, "value", f"$.{name}", expected.get(name), actual.get(name))
                return

    def _time(self, wanted: Meaning, found: Meaning) -> None:
        recorded_from = self._expected[0].at_ms
        replayed_from = self._answers.all[0].at_ms
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


def _take(meanings: Meanings, line: FrameLine) -> None:
    if line.dir == "in":
        meanings.caller(line.frame or {})
    else:
        meanings.add(line.frame if line.frame is not None else line.raw or "", line=line.number, at_ms=line.ms)


def _decoded(text: str) -> Mapping[str, Any] | str:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        message = None
    return message if isinstance(message, dict) else text


def _as_far(found: Meanings, wanted: Meanings) -> bool:
    """Whether the server has come as far as the file had; a cycle that was cut need not come to its end."""
    count = len(wanted.all)
    if len(found.all) < count:
        return False
    if count == 0 or found.closed >= count or wanted.closed < count:
        return True
    return wanted.all[-1].cut or found.all[count - 1].cut


def _shorter(one: str, other: str) -> tuple[str, str]:
    """Both up to the length of the shorter: a cycle that was cut says only how far it had come."""
    length = min(len(one), len(other))
    return one[:length], other[:length]
