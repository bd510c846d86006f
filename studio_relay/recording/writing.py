"""Writes recordings: one file a call, lines in the order they happened, masked, on a thread of its own.

The event loop only puts work on a queue (1 to 2 us a frame); parsing, masking (some 20 us) and the disk are the
thread's, which under a burst can keep the loop waiting for one switch of the interpreter (5 ms) at a time.
A disk that fails costs the recording, never the call. What lines mean is told in `reading`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from studio_relay.errors import RecordingError
from studio_relay.recording.filing import Desk, SessionLines

_log = logging.getLogger(__name__)

_MAX_WAITING = 100_000
"""Lines that may wait for the thread; a disk that hangs must not fill the memory."""

_MAX_UNSAVED = 1_000
"""Lines after which the files are written even though more wait."""

_MAX_RAW = 65_536
"""Characters kept of a text that was too long to be taken."""


class Recorder:
    """All recordings of a process. Its methods return at once, from any thread; nothing is lost at `close`."""

    def __init__(
        self,
        folder: Path,
        *,
        full: bool = False,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Makes `folder` if needed; raises `RecordingError` when it cannot be written.

        `full` leaves numbers, names and digits as they are. `clock` gives seconds (the event loop's, so that a
        virtual clock is obeyed), `wall` the time for file names.
        """
        _prepare(folder)
        self._clock = clock
        self._desk = Desk(folder, full=full, wall=wall)
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lost = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="studio-relay-recorder", daemon=True)
        self._thread.start()

    def open_session(self, headers: Sequence[tuple[str, str]], *, path: str) -> SessionRecording:
        """To be called when a socket was accepted. Of `headers` only harmless values are kept."""
        session = SessionLines(self._desk)
        recording = SessionRecording(self, session)
        at = self._clock()
        self._put(lambda: session.handshake(at, tuple(headers), path))
        return recording

    def http(
        self, call_sid: str, path: str, *, form: Mapping[str, str] | None = None, response: str | None = None
    ) -> None:
        """A webhook of a call (`form`) or what it was answered with (`response`, TwiML)."""
        at = self._clock()
        copied = dict(form) if form is not None else None
        self._put(lambda: self._desk.http(at, call_sid, path, copied, response))

    async def flush(self) -> None:
        """Returns when all that was recorded so far is in its files."""
        loop, saved = asyncio.get_running_loop(), asyncio.Event()

        def save() -> None:
            self._desk.save()
            loop.call_soon_threadsafe(saved.set)

        if not self._closed:
            self._work.put(save)
            await saved.wait()

    async def close(self) -> None:
        """Writes what is waiting and finishes every file; may be called twice."""
        if not self._closed:
            self._closed = True
            self._work.put(None)
        await asyncio.to_thread(self._thread.join)

    def _put(self, work: Callable[[], None]) -> None:
        if self._closed:
            return
        if self._work.qsize() >= _MAX_WAITING:
            self._lost += 1
            return
        if self._lost:
            _log.warning("recording is too slow: %d lines lost", self._lost)
            self._lost = 0
        self._work.put(work)

    def _run(self) -> None:
        unsaved = 0
        while (work := self._work.get()) is not None:
            _guarded(work)
            unsaved += 1
            if self._work.empty() or unsaved >= _MAX_UNSAVED:
                _guarded(self._desk.save)
                unsaved = 0
        _guarded(self._desk.finish)


class SessionRecording:
    """One socket's part of a recording. The file is known, and begun, once `setup` has come in."""

    def __init__(self, recorder: Recorder, session: SessionLines) -> None:
        self._recorder = recorder
        self._session = session

    def inbound(self, frame: str | bytes, *, refused: str | None = None) -> None:
        """A frame as it arrived; `refused` says why the parser or a limit did not take it."""
        text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
        at = self._recorder._clock()
        self._recorder._put(lambda: self._session.inbound(at, text[:_MAX_RAW], refused))

    def outbound(self, text: str) -> None:
        """A text frame as it was sent."""
        at = self._recorder._clock()
        self._recorder._put(lambda: self._session.outbound(at, text))

    def note(self, **facts: Any) -> None:
        """What was decided here; JSON values, no caller's words."""
        at = self._recorder._clock()
        self._recorder._put(lambda: self._session.note(at, facts))

    def close(self, code: int | None, reason: str = "") -> None:
        """The socket's end; `code` is None when it is not known."""
        at = self._recorder._clock()
        self._recorder._put(lambda: self._session.close(at, code, reason))


def _prepare(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RecordingError(
            f"STUDIO_RELAY_RECORD_DIR: expected a folder that can be written, found {folder}: {error.strerror}"
        ) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RecordingError(f"STUDIO_RELAY_RECORD_DIR: the folder {folder} cannot be written; see its rights")


def _guarded(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception as error:  # a line that cannot be written must not end the thread
        _log.warning("a line could not be recorded: %s", type(error).__name__)
