"""What must outlive a socket: values by key with a time to live; the memory store, and the way to any store.

What the values mean is not known here; they are JSON objects, copied on the way in and on the way out.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from studio_relay.errors import StoreError

LIVE_SECONDS = 4 * 3600.0
"""How long an entry of a live call is kept after it was last put."""

ENDED_SECONDS = 15 * 60.0
"""How long an entry is kept once its call has ended: late callbacks and flows still ask for it."""

Clock = Callable[[], float]
"""Seconds since the epoch; several processes on one file must agree, so never a monotonic clock."""

PURGE_EVERY_SECONDS = 60.0
"""How often, at most, expired entries are swept out."""


class SessionStore(Protocol):
    """Where calls are kept; every method raises `StoreError` when it cannot do its work."""

    async def get(self, key: str) -> dict[str, Any] | None:
        """A copy of the value, or None when there is none or its time is over."""

    async def put(self, key: str, value: dict[str, Any], ttl: float) -> None:
        """Keeps `value` (JSON values only) for `ttl` seconds (above 0), in place of what was there."""

    async def add(self, key: str, value: dict[str, Any], ttl: float) -> bool:
        """put() where there is no value, or its time is over; of many who ask at once, one is told True."""

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
        from studio_relay.sqlite_store import SqliteStore

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
        return loaded(entry.text) if entry is not None and entry.expires > self._clock() else None

    async def put(self, key: str, value: dict[str, Any], ttl: float) -> None:
        self._purge()
        self._entries[key] = _Entry(text=dumped(value), expires=expiry(self._clock, ttl))

    async def add(self, key: str, value: dict[str, Any], ttl: float) -> bool:
        entry = self._entries.get(key)
        if entry is not None and entry.expires > self._clock():
            return False
        await self.put(key, value, ttl)
        return True

    async def delete(self, key: str) -> None:
        self._entries.pop(key, None)

    async def close(self) -> None:
        self._entries.clear()

    def _purge(self) -> None:
        now = self._clock()
        if now < self._next_purge:
            return
        self._entries = {key: entry for key, entry in self._entries.items() if entry.expires > now}
        self._next_purge = now + PURGE_EVERY_SECONDS


# --- values -----------------------------------------------------------------------------------------------

_PLAIN = frozenset((str, int, bool, type(None)))
_MOST_NESTED = 100  # deeper ones are looked at slowly


def expiry(clock: Clock, ttl: float) -> float:
    """When a value put now is over; raises `StoreError` unless `ttl` is above 0."""
    if not ttl > 0:
        raise StoreError(f"expected a time to live above 0 s, found {ttl:g}")
    return clock() + ttl


def dumped(value: dict[str, Any], path: str = "$") -> str:
    """The value as JSON text; raises `StoreError` naming what is not JSON, and where, below `path`."""
    try:
        fault = None if _is_json(value, _MOST_NESTED) else _json_fault(value, path)
        if fault is None:
            return _text_of(value)
    except (ValueError, RecursionError):
        fault = "a value that is nested too deeply, within itself, or not a finite number"
    raise StoreError(f"expected JSON values to keep, found {fault}; put plain text, numbers, lists and dicts there")


def _text_of(value: dict[str, Any]) -> str:
    """msgspec is many times as fast for a long call; it refuses lone surrogates and huge numbers, which are JSON."""
    try:
        return msgspec.json.encode(value).decode()
    except (UnicodeError, OverflowError):
        return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _is_json(value: Any, levels: int) -> bool:
    """Whether the value is surely JSON. It runs at every save of a call, so it builds no path and tells no fault."""
    kind = type(value)
    if kind in _PLAIN:
        return True
    if levels == 0:
        return False
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str or not (type(item) in _PLAIN or _is_json(item, levels - 1)):
                return False
        return True
    if kind is list or kind is tuple:
        return all(type(item) in _PLAIN or _is_json(item, levels - 1) for item in value)
    return kind is float and math.isfinite(value)


def _json_fault(value: Any, path: str) -> str | None:
    """Where and what is not JSON; json.dumps itself would turn some keys into text without a word."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"what is not a finite number at {path}"
    if value is None or isinstance(value, str | bool | int | float):
        return None
    if isinstance(value, list | tuple):
        faults = (_json_fault(item, f"{path}[{index}]") for index, item in enumerate(value))
        return next((fault for fault in faults if fault), None)
    if isinstance(value, dict):
        strange = next((key for key in value if not isinstance(key, str)), None)
        if strange is not None:
            return f"a key of type {type(strange).__name__} at {path}"
        return next((fault for key, item in value.items() if (fault := _json_fault(item, _below(path, key)))), None)
    return f"{type(value).__name__} at {path}"


def _below(path: str, key: str) -> str:
    """The path of a member. A key that is no plain name may be what a caller said."""
    return f"{path}.{key}" if len(key) <= 40 and key.isidentifier() and not key[-4:].isdigit() else f"{path}[...]"


def loaded(text: str) -> dict[str, Any]:
    """The value of a text that `dumped` made."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        value = _loaded_slowly(text)
    if not isinstance(value, dict):
        raise StoreError("the session store holds a value that is no JSON object: something else wrote to it")
    return value


def _loaded_slowly(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise StoreError("the session store holds a value that is not JSON: something else wrote to it") from None
