"""The file store: what survives, who shares, and what it says when the file is not as it should be."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from studio_relay.errors import StoreError
from studio_relay.sqlite_store import SqliteStore
from studio_relay.store import open_store

TIMEOUT = 20


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def rows(path: Path) -> int:
    connection = sqlite3.connect(path)
    count: int = connection.execute("SELECT count(*) FROM entries").fetchone()[0]
    connection.close()
    return count


async def test_a_file_outlives_its_process(tmp_path: Path) -> None:
    async with asyncio.timeout(TIMEOUT):
        first = SqliteStore(tmp_path / "relay.db")
        await first.put("CA1", {"n": 1}, 100)
        await first.close()
        second = SqliteStore(tmp_path / "relay.db")
        assert await second.get("CA1") == {"n": 1}
        await second.close()


CRASHER = """
import asyncio, os, sys
from pathlib import Path
from studio_relay.sqlite_store import SqliteStore

asyncio.run(SqliteStore(Path(sys.argv[1])).put("CA1", {"n": 1}, 100))
os._exit(9)
"""


async def test_of_two_on_one_file_that_add_at_once_one_is_told_so(tmp_path: Path) -> None:
    stores = [SqliteStore(tmp_path / "relay.db") for _ in range(2)]
    async with asyncio.timeout(TIMEOUT):
        for number in range(50):
            told = await asyncio.gather(*(store.add(f"ticket:{number}", {}, 100) for store in stores))
            assert sorted(told) == [False, True]
        for store in stores:
            await store.close()


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """The file of a process that died after its put had returned."""
    path = tmp_path / "relay.db"
    assert subprocess.run([sys.executable, "-c", CRASHER, str(path)], timeout=TIMEOUT).returncode == 9
    return path


async def test_without_a_close_nothing_that_was_put_is_lost(crashed: Path) -> None:
    path = crashed
    async with asyncio.timeout(TIMEOUT):
        store = SqliteStore(path)
        assert await store.get("CA1") == {"n": 1}
        await store.close()


async def test_expired_rows_leave_the_file(tmp_path: Path, clock: Clock) -> None:
    async with asyncio.timeout(TIMEOUT):
        store = SqliteStore(tmp_path / "relay.db", clock=clock)
        for number in range(10):
            await store.put(f"CA{number}", {}, 10)
        clock.now += 1_000
        await store.put("CA-last", {}, 10)
        await store.close()
    assert rows(tmp_path / "relay.db") == 1


async def test_many_at_once_are_all_kept(tmp_path: Path) -> None:
    async with asyncio.timeout(TIMEOUT):
        store = SqliteStore(tmp_path / "relay.db")
        await asyncio.gather(*(store.put(f"CA{n}", {"n": n}, 100) for n in range(1_000)))
        got = await asyncio.gather(*(store.get(f"CA{n}") for n in range(1_000)))
        await store.close()
    assert got == [{"n": n} for n in range(1_000)]


async def test_what_was_asked_before_close_is_done(tmp_path: Path) -> None:
    async with asyncio.timeout(TIMEOUT):
        store = SqliteStore(tmp_path / "relay.db")
        puts = [asyncio.ensure_future(store.put(f"CA{n}", {}, 100)) for n in range(600)]
        await asyncio.sleep(0)
        await store.close()
        await asyncio.gather(*puts)
        with pytest.raises(StoreError, match="has been closed"):
            await store.get("CA1")
    assert rows(tmp_path / "relay.db") == 600


async def test_a_cancelled_caller_hurts_nobody(tmp_path: Path) -> None:
    async with asyncio.timeout(TIMEOUT):
        store = SqliteStore(tmp_path / "relay.db")
        put = asyncio.ensure_future(store.put("CA1", {}, 100))
        await asyncio.sleep(0)
        put.cancel()
        await store.put("CA2", {}, 100)
        assert await store.get("CA1") == {}
        await store.close()


async def test_a_key_with_a_lone_surrogate_is_refused(tmp_path: Path) -> None:
    async with asyncio.timeout(TIMEOUT):
        store = SqliteStore(tmp_path / "relay.db")
        with pytest.raises(StoreError, match="lone surrogate"):
            await store.get("\ud800")
        assert await store.get("ü") is None
        await store.close()


def file_modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


@pytest.mark.skipif(os.name != "posix", reason="file modes are a POSIX matter")
async def test_only_the_owner_may_read_the_files(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        async with asyncio.timeout(TIMEOUT):
            store = SqliteStore(tmp_path / "relay.db")
            await store.put("CA1", {}, 100)
            modes = file_modes(tmp_path)
            await store.close()
    finally:
        os.umask(old)
    assert modes == {"relay.db": 0o600, "relay.db-wal": 0o600, "relay.db-shm": 0o600}


WRITER = """
import asyncio, sys
from pathlib import Path
from studio_relay.sqlite_store import SqliteStore

async def main(path, name):
    store = SqliteStore(Path(path))
    for number in range(100):
        await store.put(f"{name}-{number}", {"n": number}, 1000)
        assert await store.get(f"{name}-{number}") == {"n": number}
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


def test_several_processes_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "relay.db"
    running = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in "abcd"]
    try:
        assert [process.wait(timeout=60) for process in running] == [0, 0, 0, 0]
    finally:
        for process in running:
            process.kill()
    assert rows(path) == 400


async def test_a_fault_of_any_kind_reaches_who_waits(tmp_path: Path) -> None:
    def broken() -> float:
        raise OverflowError("clock")

    async with asyncio.timeout(TIMEOUT):
        store = SqliteStore(tmp_path / "relay.db", clock=broken)
        with pytest.raises(StoreError, match="OverflowError"):
            await store.delete("CA1")
        await store.close()


async def test_a_lock_that_stays_is_explained_and_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio_relay.sqlite_store._BUSY_SECONDS", 0.05)
    async with asyncio.timeout(TIMEOUT):
        store = SqliteStore(tmp_path / "relay.db")
        other = sqlite3.connect(tmp_path / "relay.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process has held it"):
            await store.put("CA1", {}, 100)
        assert await store.get("CA1") is None
        other.execute("ROLLBACK")
        other.close()
        await store.put("CA1", {}, 100)
        await store.close()


async def test_a_full_disk_is_explained_and_passes(tmp_path: Path) -> None:
    async with asyncio.timeout(TIMEOUT):
        store = SqliteStore(tmp_path / "relay.db")
        store._connection.execute("PRAGMA max_page_count = 5")
        with pytest.raises(StoreError, match="the disk is full; free some space"):
            await store.put("CA1", {"text": "x" * 100_000}, 100)
        store._connection.execute("PRAGMA max_page_count = 5000")
        await store.put("CA1", {}, 100)
        await store.close()


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "relay.db").write_text("these are not the bytes of a database, however long one looks at them" * 20)
    with pytest.raises(StoreError, match="expected an sqlite database"):
        SqliteStore(tmp_path / "relay.db")


def test_a_database_of_another_program(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "relay.db")
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    with pytest.raises(StoreError, match="another program"):
        SqliteStore(tmp_path / "relay.db")


async def test_a_later_schema(tmp_path: Path) -> None:
    await SqliteStore(tmp_path / "relay.db").close()
    later = sqlite3.connect(tmp_path / "relay.db")
    later.execute("PRAGMA user_version = 2")
    later.close()
    with pytest.raises(StoreError, match=r"schema 2, expected 1"):
        SqliteStore(tmp_path / "relay.db")


def test_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist; create it, or write four slashes"):
        open_store(f"sqlite:///{tmp_path}/none/relay.db")


def test_a_directory_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="expected a file"):
        open_store(f"sqlite:///{tmp_path}")


def empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


async def test_a_file_that_is_deleted_is_made_anew_so_that_others_find_what_is_put(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "relay.db"
    async with asyncio.timeout(TIMEOUT):
        first = SqliteStore(path)
        await first.put("CA1", {"n": 1}, 100)
        empty(tmp_path)
        await first.put("CA2", {"n": 2}, 100)
        assert "the file was deleted or replaced" in caplog.text
        second = SqliteStore(path)
        assert (await second.get("CA1"), await second.get("CA2")) == (None, {"n": 2})
        await second.put("CA3", {"n": 3}, 100)
        assert await first.get("CA3") == {"n": 3}
        await first.close()
        await second.close()
    assert len(caplog.records) == 1


async def test_a_folder_that_is_gone_is_told_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    async with asyncio.timeout(TIMEOUT):
        store = SqliteStore(folder / "relay.db")
        folder.rename(tmp_path / "elsewhere")
        with pytest.raises(StoreError, match=r"the directory .* does not exist"):
            await store.put("CA1", {"n": 1}, 100)
        folder.mkdir()
        await store.put("CA1", {"n": 1}, 100)
        assert await store.get("CA1") == {"n": 1}
        await store.close()


async def test_a_file_replaced_by_another_kind_is_told(tmp_path: Path) -> None:
    path = tmp_path / "relay.db"
    async with asyncio.timeout(TIMEOUT):
        store = SqliteStore(path)
        empty(tmp_path)
        path.write_bytes(b"words of somebody else" * 100)
        with pytest.raises(StoreError, match="expected an sqlite database, found another kind of file"):
            await store.get("CA1")
        await store.close()
