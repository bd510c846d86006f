"""The session store in an sqlite file, which outlives the process and may be shared by several on one machine.

What a store promises is told in `store`; which URL leads here, too.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio_relay.errors import StoreError
from studio_relay.store import PURGE_EVERY_SECONDS, Clock, dumped, expiry, loaded

log = logging.getLogger(__name__)

_APPLICATION_ID = 0x53524C59
_SCHEMA = 1
_BUSY_SECONDS = 2.0
_MAX_BATCH = 256
_ROW = "INTO entries (key, value, expires) VALUES (?, ?, ?)"

_Work = Callable[[sqlite3.Connection], str | None]


@dataclass(frozen=True, kw_only=True)
class _Job:
    """One statement, and the future of whoever waits for it."""

    work: _Work
    writes: bool
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[str | None]

    def resolve(self, result: str | None = None, error: StoreError | None = None) -> None:
        try:
            self.loop.call_soon_threadsafe(self._set, result, error)
        except RuntimeError:
            pass  # the loop that asked is gone; the work is done all the same

    def _set(self, result: str | None, error: StoreError | None) -> None:
        if self.done.done():
            return
        if error is not None:
            self.done.set_exception(error)
        else:
            self.done.set_result(result)


class SqliteStore:
    """Entries in a file that outlives the process and may be shared by several on one machine.

    One thread owns the connection; whatever was asked for meanwhile is done in one transaction. A commit is safe
    against a crash of the process; a power cut may lose the last ones (WAL, `synchronous=NORMAL`).
    A file that is deleted or replaced meanwhile is noticed, since others would look for our entries in vain.
    """

    def __init__(self, path: Path, *, clock: Clock = time.time) -> None:
        self._path = path
        self._clock = clock
        self._next_purge = 0.0
        self._closed = False
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._connection = _opened(path)
        self._file = _identity(path)
        self._thread = threading.Thread(target=self._run, name="studio-relay-store", daemon=True)
        self._thread.start()

    async def get(self, key: str) -> dict[str, Any] | None:
        def select(connection: sqlite3.Connection) -> str | None:
            row = connection.execute(
                "SELECT value FROM entries WHERE key = ? AND expires > ?", (key, self._clock())
            ).fetchone()
            return row[0] if row else None

        text = await self._do(key, select, writes=False)
        return None if text is None else loaded(text)

    async def put(self, key: str, value: dict[str, Any], ttl: float) -> None:
        row = (key, dumped(value), expiry(self._clock, ttl))

        def upsert(connection: sqlite3.Connection) -> None:
            connection.execute(f"INSERT OR REPLACE {_ROW}", row)

        await self._do(key, upsert, writes=True)

    async def add(self, key: str, value: dict[str, Any], ttl: float) -> bool:
        row = (key, dumped(value), expiry(self._clock, ttl))

        def insert(connection: sqlite3.Connection) -> str | None:
            connection.execute("DELETE FROM entries WHERE key = ? AND expires <= ?", (key, self._clock()))
            return key if connection.execute(f"INSERT OR IGNORE {_ROW}", row).rowcount else None

        return await self._do(key, insert, writes=True) is not None

    async def delete(self, key: str) -> None:
        def remove(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM entries WHERE key = ?", (key,))

        await self._do(key, remove, writes=True)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    async def _do(self, key: str, work: _Work, *, writes: bool) -> str | None:
        if self._closed:
            raise StoreError(f"the session store {self._path} has been closed; nothing more can be kept")
        if not key.isascii() and key != key.encode("utf-8", "replace").decode():
            raise StoreError("expected a key of valid Unicode, found a lone surrogate")
        loop = asyncio.get_running_loop()
        job = _Job(work=work, writes=writes, loop=loop, done=loop.create_future())
        self._jobs.put(job)
        return await job.done

    # From here on everything runs in the store's thread.

    def _run(self) -> None:
        going_on = True
        while going_on:
            batch = self._next_batch()
            going_on = None not in batch
            jobs = [job for job in batch if job is not None]
            if jobs:
                self._serve(jobs)
        self._connection.close()

    def _next_batch(self) -> list[_Job | None]:
        batch = [self._jobs.get()]
        while batch[-1] is not None and len(batch) < _MAX_BATCH:
            try:
                batch.append(self._jobs.get_nowait())
            except queue.Empty:
                break
        return batch

    def _serve(self, jobs: Sequence[_Job]) -> None:
        try:
            if _identity(self._path) != self._file:
                self._reopen()
            results = self._transact(jobs)
        except Exception as error:  # whatever it is, nobody may wait for ever
            for job in jobs:
                job.resolve(error=_explained(error, self._path))
            return
        for job, result in zip(jobs, results, strict=True):
            job.resolve(result)

    def _reopen(self) -> None:
        """Live calls are put anew as they go on; what else was kept is gone with the file."""
        connection = _opened(self._path)
        self._connection.close()
        self._connection, self._file = connection, _identity(self._path)
        log.error("session store %s: the file was deleted or replaced; it is opened anew", self._path)

    def _transact(self, jobs: Sequence[_Job]) -> list[str | None]:
        writes = any(job.writes for job in jobs)
        # A deferred transaction that turns into a writing one can fail at once, without waiting for its turn.
        self._connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
        try:
            if writes:
                self._purge()
            results = [job.work(self._connection) for job in jobs]
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return results

    def _purge(self) -> None:
        now = self._clock()
        if now >= self._next_purge:
            self._connection.execute("DELETE FROM entries WHERE expires <= ?", (now,))
            self._next_purge = now + PURGE_EVERY_SECONDS


def _opened(path: Path) -> sqlite3.Connection:
    _create_private(path)
    connection = None
    try:
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        _prepare(connection, path)
        _use_wal(connection)
    except (sqlite3.Error, StoreError) as error:
        if connection is not None:
            connection.close()
        raise _explained(error, path) from None
    return connection


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file lies there; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _create_private(path: Path) -> None:
    """Makes the file readable by its owner alone; sqlite gives its `-wal` and `-shm` files the same mode."""
    if not path.parent.is_dir():
        raise StoreError(
            f"session store {path}: the directory {path.parent} does not exist; create it, or write four slashes "
            "(sqlite:////...) for an absolute path"
        )
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreError(
            f"session store {path}: expected a file this user can read and write, found: {error.strerror}"
        ) from None


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Makes the table in an empty file; refuses a file of somebody else's, or of a later version."""
    connection.execute("BEGIN IMMEDIATE")
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    schema = connection.execute("PRAGMA user_version").fetchone()[0]
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if owner != _APPLICATION_ID and not (empty and owner == 0):
        raise StoreError(f"session store {path}: this is a database of another program; give a path of its own")
    if schema > _SCHEMA:
        raise StoreError(
            f"session store {path}: written by a later version (schema {schema}, expected {_SCHEMA}); "
            "update studio-relay, or give another path"
        )
    if empty:
        connection.execute(
            "CREATE TABLE entries (key TEXT PRIMARY KEY, value TEXT NOT NULL, expires REAL NOT NULL) WITHOUT ROWID"
        )
        connection.execute("CREATE INDEX entries_byexpiry ON entries (expires)")
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {_SCHEMA}")
    connection.execute("COMMIT")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Lets others read while one writes. The switch does not wait for its turn by itself, so it is tried again."""
    connection.execute("PRAGMA synchronous = NORMAL")
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


_FAULTS = {
    sqlite3.SQLITE_BUSY: f"another process has held it for {_BUSY_SECONDS:g} s; see what it does, or give another path",
    sqlite3.SQLITE_LOCKED: "another process holds it; see what it does, or give another path",
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written; free some space or see the system's log",
    sqlite3.SQLITE_NOTADB: "expected an sqlite database, found another kind of file; give another path",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; move it away, a new one will be made",
    sqlite3.SQLITE_READONLY: "it cannot be written; see the rights of the file and of its directory",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; see the rights of the file and of its directory",
}


def _explained(error: Exception, path: Path) -> StoreError:
    if isinstance(error, StoreError):
        return error
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return StoreError(f"session store {path}: {_FAULTS.get(primary, f'{type(error).__name__}: {error}')}")
