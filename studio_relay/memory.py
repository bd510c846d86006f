"""What a call remembers over its sockets, as it lies in the session store; decides nothing."""

from __future__ import annotations

import asyncio
import logging
import time
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


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What lies in the store for a call, as `save` put it there."""

    agent: str
    sessions: Annotated[int, msgspec.Meta(ge=1)]
    began_at: Annotated[float, msgspec.Meta(ge=0, le=1e12)]
    turns: str
    state: dict[str, Any]


@dataclass(kw_only=True)
class Memory:
    """The earlier sessions of a call: how many, what was said, and the agent's state."""

    agent: str = ""
    sessions: int = 0
    began_at: float = field(default_factory=time.time)  # seconds since the epoch, at the first setup
    turns: tuple[Turn, ...] = ()
    state: dict[str, Any] = field(default_factory=dict)

    @classmethod
    async def load(cls, store: SessionStore, call_sid: str) -> Memory:
        """What is known of the call; nothing if it is new, or if the store fails, which is logged."""
        try:
            async with asyncio.timeout(_LOAD_SECONDS):
                kept = await store.get(call_sid)
                try:
                    return cls() if kept is None else cls._from(kept)
                except msgspec.MsgspecError:
                    await store.delete(call_sid)  # not ours, and in the way of what is
                    raise
        except Exception as error:
            log.error(
                "the store could not be read; the call starts without its history: %s",
                store_fault(error),
                extra=REPEATS,
            )
            return cls()

    @classmethod
    def _from(cls, kept: dict[str, Any]) -> Memory:
        found = msgspec.convert(kept, _Kept)
        return cls(
            agent=found.agent,
            sessions=found.sessions,
            began_at=found.began_at,
            turns=msgspec.json.decode(found.turns, type=tuple[Turn, ...]),
            state=found.state,
        )

    @property
    def elapsed_ms(self) -> int:
        """Milliseconds since the first setup of the call; 0 in its first session."""
        return max(0, round((time.time() - self.began_at) * 1000)) if self.sessions else 0

    @property
    def prompts(self) -> int:
        """How often the caller has spoken in earlier sessions."""
        return sum(turn.who == "caller" and not turn.digits for turn in self.turns)

    async def save(self, store: SessionStore, call: Call, *, ended: bool) -> None:
        """Keep the call as it is now. A store that fails, or a `call.state` that is not JSON, is logged.

        Not over what a later session has kept: a process that hung wakes up when its call is long elsewhere.
        """
        value = {
            "agent": call.agent,
            "sessions": call.session_number,
            "began_at": self.began_at,
            "turns": _encode(call.transcript).decode(),  # one text: a store need not look into each turn of a long call
            "state": call.state,
        }
        try:
            async with asyncio.timeout(_SAVE_SECONDS):
                kept = await store.get(call.call_sid)
                if kept is not None and kept["sessions"] > call.session_number:
                    return
                await store.put(call.call_sid, value, ENDED_SECONDS if ended else LIVE_SECONDS)
        except Exception as error:
            log.error("the conversation could not be stored; the call goes on: %s", store_fault(error), extra=REPEATS)


def store_fault(error: Exception) -> str:
    """What a store's failure may be called in a log: a strange store's own words may hold what callers said."""
    if isinstance(error, StoreError):
        return str(error)
    if isinstance(error, msgspec.MsgspecError):
        return "the entry is none of ours: something else wrote it"
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
