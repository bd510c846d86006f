"""What a call remembers over its sockets, as it lies in the session store; decides nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from studio_relay.call import Call
from studio_relay.errors import StoreError
from studio_relay.log import REPEATS
from studio_relay.protocol.transcript import Turn
from studio_relay.store import ENDED_SECONDS, LIVE_SECONDS, SessionStore

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode

_LOAD_SECONDS = 1.5  # the caller waits for that
_SAVE_SECONDS = 3.0
_MOST_UNTAKEN = 1_000  # calls; what is held of more is let go of, the oldest first


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What lies in the store for a call, as `save` put it there."""

    agent: str
    sessions: Annotated[int, msgspec.Meta(ge=1)]
    began_at: Annotated[float, msgspec.Meta(ge=0, le=1e12)]
    turns: str
    state: dict[str, Any] | str  # text; an earlier version kept the values themselves


@dataclass(kw_only=True)
class Memory:
    """The earlier sessions of a call: how many, what was said, and the agent's state."""

    agent: str = ""
    sessions: int = 0
    began_at: float = field(default_factory=time.time)  # seconds since the epoch, at the first setup
    turns: tuple[Turn, ...] = ()
    state: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, kept: dict[str, Any]) -> Memory:
        """What a value of the store says. Raises msgspec.MsgspecError if it is none of ours."""
        found = msgspec.convert(kept, _Kept)
        state = found.state
        return cls(
            agent=found.agent,
            sessions=found.sessions,
            began_at=found.began_at,
            turns=msgspec.json.decode(found.turns, type=tuple[Turn, ...]),
            state=msgspec.json.decode(state, type=dict[str, Any]) if isinstance(state, str) else state,
        )

    @property
    def elapsed_ms(self) -> int:
        """Milliseconds since the first setup of the call; 0 in its first session."""
        return max(0, round((time.time() - self.began_at) * 1000)) if self.sessions else 0

    @property
    def prompts(self) -> int:
        """How often the caller has spoken in earlier sessions."""
        return sum(turn.who == "caller" and not turn.digits for turn in self.turns)


class Memories:
    """What calls remember, in the store of a process.

    The store may be locked, full or gone. What it has not taken yet is held here, so that a session of this process
    that follows goes on from there. That costs nothing while the store works, since what it took is let go of.
    """

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._untaken: OrderedDict[str, _Untaken] = OrderedDict()

    async def load(self, call_sid: str) -> Memory:
        """What is known of the call; nothing if it is new, or if the store fails, which is logged."""
        here = self._here(call_sid)
        try:
            async with asyncio.timeout(_LOAD_SECONDS):
                kept = await self._store.get(call_sid)
                try:
                    there = Memory() if kept is None else Memory.of(kept)
                except msgspec.MsgspecError:
                    await self._store.delete(call_sid)  # not ours, and in the way of what is
                    raise
        except Exception as error:
            where = "what this process knows of it" if here is not None else "its history"
            log.error(
                "the store could not be read; the call starts %s %s: %s",
                "with" if here is not None else "without",
                where,
                store_fault(error),
                extra=REPEATS,
            )
            return here or Memory()
        return there if here is None or there.sessions > here.sessions else here

    async def save(self, memory: Memory, call: Call, state: str, *, ended: bool) -> None:
        """Keep the call, which began with `memory`, as it is now. A store that fails is logged.

        Not over what a later session has kept: a process that hung wakes up when its call is long elsewhere.
        """
        value = {
            "agent": call.agent,
            "sessions": call.session_number,
            "began_at": memory.began_at,
            "turns": _encode(call.transcript).decode(),  # one text: a store need not look into each turn of a long call
            "state": state,
        }
        untaken = self._hold(call.call_sid, value, ENDED_SECONDS if ended else LIVE_SECONDS)
        try:
            async with asyncio.timeout(_SAVE_SECONDS):
                kept = await self._store.get(call.call_sid)
                if kept is None or not kept["sessions"] > call.session_number:
                    await self._store.put(call.call_sid, value, untaken.seconds)
        except Exception as error:
            log.error("the conversation could not be stored; the call goes on: %s", store_fault(error), extra=REPEATS)
        else:
            if self._untaken.get(call.call_sid) is untaken:
                del self._untaken[call.call_sid]

    def _hold(self, call_sid: str, value: dict[str, Any], seconds: float) -> _Untaken:
        untaken = _Untaken(value=value, seconds=seconds, until=time.time() + seconds)
        self._untaken[call_sid] = untaken
        self._untaken.move_to_end(call_sid)
        if len(self._untaken) > _MOST_UNTAKEN:
            self._untaken.popitem(last=False)
        return untaken

    def _here(self, call_sid: str) -> Memory | None:
        untaken = self._untaken.get(call_sid)
        return Memory.of(untaken.value) if untaken is not None and untaken.until > time.time() else None


@dataclass(frozen=True, kw_only=True)
class _Untaken:
    """A value that the store has not taken yet, how long it would keep it, and until when that is."""

    value: dict[str, Any]
    seconds: float
    until: float


def store_fault(error: Exception) -> str:
    """What a store's failure may be called in a log: a strange store's own words may hold what callers said."""
    if isinstance(error, StoreError):
        return str(error)
    if isinstance(error, msgspec.MsgspecError):
        return "the entry is none of ours: something else wrote it"
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
