"""Stores: the same promises kept by both, and what the file store does when the file is not as it should be."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio_relay.errors import StoreError
from studio_relay.store import MemoryStore, SessionStore, SqliteStore, open_store

TIMEOUT = 20


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[SessionStore]:
    url = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/relay.db"}[request.param]
    opened = open_store(url, clock=clock)
    async with asyncio.timeout(TIMEOUT):
        yield opened
        await opened.close()


# --- both -------------------------------------------------------------------------------------------------


async def test_what_was_put_is_got(store: SessionStore) -> None:
    value = {"a": [1, 2.5, None, True, "ü\ud800"], "b": {"c": {}}}
    await store.put("CA1", value, 10)
    assert await store.get("CA1") == value
    assert await store.get("CA2") is None


async def test_a_later_put_replaces_value_and_time(store: SessionStore, clock: Clock) -> None:
    await store.put("CA1", {"n": 1}, 10)
    await store.put("CA1", {"n": 2}, 100)
    clock.now += 50
    assert await store.get("CA1") == {"n": 2}


async def test_expired_entries_are_not_returned(store: SessionStore, clock: Clock) -> None:
    await store.put("CA1", {}, 10)
    clock.now += 9.5
    assert await store.get("CA1") == {}
    clock.now += 0.5
    assert await store.get("CA1") is None


async def test_delete_forgets_and_does_not_mind(store: SessionStore) -> None:
    await store.put("CA1", {}, 10)
    await store.delete("CA1")
    await store.delete("CA1")
    assert await store.get("CA1") is None


async def test_values_are_copies_both_ways(store: SessionStore) -> None:
    value: dict[str, Any] = {"list": []}
    await store.put("CA1", value, 10)
    value["list"].append("later")
    got = await store.get("CA1")
    assert got == {"list": []}
    got["list"].append("later")
    assert await store.get("CA1") == {"list": []}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": {"b": [1, {2}]}}, r"set at \$\.a\.b\[1\]"),
        ({"a": b"x"}, r"bytes at \$\.a"),
        ({"a": {1: 2}}, r"a key of type int at \$\.a"),
        ({"a": float("nan")}, "not a finite number"),
    ],
)
async def test_only_json_is_kept(store: SessionStore, value: dict[str, Any], expected: str) -> None:
    with pytest.raises(StoreError, match=expected):
        await store.put("CA1", value, 10)
    assert await store.get("CA1") is None


async def test_a_value_within_itself_is_refused(store: SessionStore) -> None:
    value: dict[str, Any] = {}
    value["self"] = value
    with pytest.raises(StoreError, match="within itself"):
        await store.put("CA1", value, 10)


@pytest.mark.parametrize("ttl", [0, -1, float("nan")])
async def test_a_time_to_live_is_above_nothing(store: SessionStore, ttl: float) -> None:
    with pytest.raises(StoreError, match="above 0 s"):
        await store.put("CA1", {}, ttl)


async def test_close_may_be_called_twice(store: SessionStore) -> None:
    await store.close()
    await store.close()


# --- memory -----------------------------------------------------------------------------------------------


async def test_memory_does_not_grow_for_ever(clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    for number in range(500):
        await store.put(f"CA{number}", {}, 10)
        clock.now += 10
    assert len(store._entries) <= 8


# --- sqlite -----------------------------------------------------------------------------------------------


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
from studio_relay.store import SqliteStore

asyncio.run(SqliteStore(Path(sys.argv[1])).put("CA1", {"n": 1}, 100))
os._exit(9)
"""


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
from studio_relay.store import SqliteStore

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
    monkeypatch.setattr("studio_relay.store._BUSY_SECONDS", 0.05)
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


# --- URLs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "",
        "memory",
        "sqlite",
        "sqlite://relay.db",
        "sqlite:///",
        "sqlite:///:memory:",
        "mysql://u:canary@h",
        "memory://x",
    ],
)
def test_urls_that_are_not_understood(url: str) -> None:
    with pytest.raises(StoreError, match="STUDIO_RELAY_STORE_URL: expected memory:// or sqlite:///PATH") as caught:
        open_store(url)
    assert "canary" not in str(caught.value)


def test_redis_is_not_built_in() -> None:
    with pytest.raises(StoreError, match="not built in yet; use sqlite:///PATH"):
        open_store("redis://:canary@localhost")


async def test_three_slashes_are_relative_four_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url, path in (("sqlite:///a.db", tmp_path / "a.db"), (f"sqlite:///{tmp_path}/b.db", tmp_path / "b.db")):
        async with asyncio.timeout(TIMEOUT):
            await open_store(url).close()
        assert path.exists()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(value=st.dictionaries(st.text(), JSON, max_size=4))
@settings(deadline=None)
def test_any_json_comes_back_as_it_was(value: dict[str, Any]) -> None:
    async def there_and_back() -> dict[str, Any] | None:
        store = MemoryStore()
        await store.put("CA1", value, 10)
        return await store.get("CA1")

    assert asyncio.run(there_and_back()) == value
