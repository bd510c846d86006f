"""Stores: the same promises kept by both, and what the file store does when the file is not as it should be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio_relay.errors import StoreError
from studio_relay.store import MemoryStore, SessionStore, open_store

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


async def test_one_of_many_who_add_at_once_is_told_so(store: SessionStore, clock: Clock) -> None:
    told = await asyncio.gather(*(store.add("CA1", {"n": number}, 10) for number in range(5)))
    assert told.count(True) == 1
    assert await store.get("CA1") == {"n": told.index(True)}
    clock.now += 9.5
    assert not await store.add("CA1", {}, 10)
    clock.now += 0.5
    assert await store.add("CA1", {"late": True}, 10)
    assert await store.get("CA1") == {"late": True}


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
