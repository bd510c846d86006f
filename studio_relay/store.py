"""What must outlive a socket: values by key with a time to live, in memory or in an sqlite file.

What the values mean is not known here; they are JSON objects, copied on the way in and on the way out.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from studio_relay.errors import StoreError

LIVE_SECONDS = 4 * 3600.0
"""How long an entry of a live call is kept after it was last put."""

ENDED_SECONDS = 15 * 60.0
"""How long an entry is kept once its call has ended: late callbacks and flows still ask for it."""

Clock = Callable[[], float]
"""Seconds since the epoch; several processes on one file must agree, so never a monotonic clock."""

_PURGE_EVERY_SECONDS = 60.0
_APPLICATION_ID = 0x53524C59
_SCHEMA = 1
_BUSY_SECONDS = 2.0
_MAX_BATCH = 256


class SessionStore(Protocol):
    """Where calls are kept; every method raises `StoreError` when it cannot do its work."""

    async def get(self, key: str) -> dict[str, Any] | None:
        """A copy of the value, or None when there is none or its time is over."""

    async def put(self, key: str, value: dict[str, Any], ttl: float) -> None:
        """Keeps `value` (JSON values only) for `ttl` seconds (above 0), in place of what was there."""

    async def delete(self, key: str) -> None:
        """Forgets the key; no error when there is none."""

    async def close(self) -> None:
        """Finishes what was asked for and lets go of files; may be called twice."""


def open_store(url: str, *, clock: Clock = time.time) -> SessionStore:
    """The store of a `STUDIO_RELAY_STORE_URL`: `memory://`, or `sqlite:///PATH` (a fourth slash: absolute).

    Raises `StoreError` when the URL is not understood or the file cannot be used. Blocks: call it at start.
    """
    scheme, _, rest = url.partition("://")
    if url == "memory://":
        return MemoryStore(clock=clock)
    if scheme == "sqlite" and rest.startswith("/") and rest.strip("/") not in ("", ":memory:"):
        return SqliteStore(Path(rest[1:]), clock=clock)
    if scheme in ("redis", "rediss"):
        raise StoreError(
            "STUDIO_RELAY_STORE_URL: redis:// is not built in yet; use sqlite:///PATH, which several processes of "
            "one machine can share"
        )
    raise StoreError(
        f"STUDIO_RELAY_STORE_URL: expected memory:// or sqlite:///PATH, found {scheme[:20]!r} and what follows; "
        "for example sqlite:///relay.db, or sqlite:////var/lib/relay.db for an absolute path"
    )


# --- memory -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Entry:
    text: str
    expires: float


class MemoryStore:
    """Entries of this process, gone with it."""

    def __init__(self, *, clock: Clock = time.time) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._next_purge = 0.0

    async def get(self, key: str) -> dict[str, Any] | None:
        entry = self._entries.get(key)
        return _loaded(entry.text) if entry is not None and entry.expires > self._clock() else None

    async def put(self, key: str, value: dict[str, Any], ttl: float) -> None:
        self._purge()
        self._entries[key] = _Entry(text=_dumped(value), expires=_expiry(self._clock, ttl))

    async def delete(self, key: str) -> None:
        self._entries.pop(key, None)

    async def close(self) -> None:
        self._entries.clear()

    def _purge(self) -> None:
        now = self._clock()
        if now < self._next_purge:
            return
        self._entries = {key: entry for key, entry in self._entries.items() if entry.expires > now}
        self._next_purge = now + _PURGE_EVERY_SECONDS


# --- sqlite -----------------------------------------------------------------------------------------------

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
    """

    def __init__(self, path: Path, *, clock: Clock = time.time) -> None:
        self._path = path
        self._clock = clock
        self._next_purge = 0.0
        self._closed = False
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._connection = _opened(path)
        self._thread = threading.Thread(target=self._run, name="studio-relay-store", daemon=True)
        self._thread.start()

    async def get(self, key: str) -> dict[str, Any] | None:
        def select(connection: sqlite3.Connection) -> str | None:
            row = connection.execute(
                "SELECT value FROM entries WHERE key = ? AND expires > ?", (key, self._clock())
            ).fetchone()
            return row[0] if row else None

        text = await self._do(key, select, writes=False)
        return None if text is None else _loaded(text)

    async def put(self, key: str, value: dict[str, Any], ttl: float) -> None:
        row = (key, _dumped(value), _expiry(self._clock, ttl))

        def upsert(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO entries (key, value, expires) VALUES (?, ?, ?)", row)

        await self._do(key, upsert, writes=True)

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
            results = self._transact(jobs)
        except Exception as error:  # whatever it is, nobody may wait for ever
            for job in jobs:
                job.resolve(error=_explained(error, self._path))
            return
        for job, result in zip(jobs, results, strict=True):
            job.resolve(result)

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
            self._next_purge = now + _PURGE_EVERY_SECONDS


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
        raise _explained(error, path) if isinstance(error, sqlite3.Error) else error from None
    return connection


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
        connection.execute("CREATE INDEX entries_by_expiry ON entries (expires)")
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
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return StoreError(f"session store {path}: {_FAULTS.get(primary, f'{type(error).__name__}: {error}')}")


# --- values -----------------------------------------------------------------------------------------------


def _expiry(clock: Clock, ttl: float) -> float:
    if not ttl > 0:
        raise StoreError(f"expected a time to live above 0 s, found {ttl:g}")
    return clock() + ttl


def _dumped(value: dict[str, Any]) -> str:
    try:
        fault = _json_fault(value, "$")
        if fault is None:
            return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (ValueError, RecursionError):
        fault = "a value that is nested too deeply, within itself, or not a finite number"
    raise StoreError(f"expected JSON values to keep, found {fault}; put plain text, numbers, lists and dicts there")


def _json_fault(value: Any, path: str) -> str | None:
    """Where and what is not JSON; json.dumps itself would turn some keys into text without a word."""
    if value is None or isinstance(value, str | bool | int | float):
        return None
    if isinstance(value, list | tuple):
        faults = (_json_fault(item, f"{path}[{index}]") for index, item in enumerate(value))
        return next((fault for fault in faults if fault), None)
    if isinstance(value, dict):
        strange = next((key for key in value if not isinstance(key, str)), None)
        if strange is not None:
            return f"a key of type {type(strange).__name__} at {path}"
        return next((fault for key, item in value.items() if (fault := _json_fault(item, f"{path}.{key}"))), None)
    return f"{type(value).__name__} at {path}"


def _loaded(text: str) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(text)
    except ValueError:
        raise StoreError("the session store holds a value that is not JSON: something else wrote to it") from None
    return value
