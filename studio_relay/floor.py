"""Who has the floor in a call, and for how long: at most one reply speaks, within its deadlines.

What replaces a reply waits until that has cleaned up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from studio_relay.replies import Reply


class Floor:
    """The replies of a conversation that are not over.

    `opening` is on_setup's, `running` the one that may speak, and keys whose on_dtmf has said nothing yet wait
    beside it. `released` is called when a reply that waits for the caller is stopped.
    """

    __slots__ = ("_cleaning", "_keyed", "_loop", "_released", "_timer", "opening", "running")

    def __init__(self, released: Callable[[], None]) -> None:
        self.opening: Reply | None = None
        self.running: Reply | None = None
        self._keyed: list[Reply] = []
        self._cleaning: set[asyncio.Task[None]] = set()  # hooks that were stopped, and clean up behind themselves
        self._released = released
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None  # one for all replies of the call: most are over long before

    @property
    def replies(self) -> list[Reply]:
        """All replies that are not settled."""
        if self.is_empty:
            return []
        candidates = (self.opening, self.running, *self._keyed)
        return [reply for reply in candidates if reply is not None and not reply.settled]

    @property
    def is_empty(self) -> bool:
        """Whether nobody speaks, which is so when most prompts come."""
        return self.opening is None and not self._keyed and (self.running is None or self.running.settled)

    @property
    def waiting(self) -> Reply | None:
        """The reply whose hook waits for the caller in ask() or collect_digits()."""
        return None if self.is_empty else next((reply for reply in self.replies if reply.waiting), None)

    @property
    def is_opening(self) -> bool:
        """Whether on_setup is still running: nothing else starts before it is done."""
        return self.opening is not None and not self.opening.settled

    def open(self, reply: Reply, label: str) -> None:
        """Begin `reply`, before which no other starts."""
        self.opening = reply
        self._begin(reply, label)

    def start(self, reply: Reply, label: str) -> None:
        """Begin `reply` in place of all others, once those have cleaned up."""
        if not self.is_empty:
            self.stop_all()
        self.running = reply
        before, self._cleaning = self._cleaning, set()
        self._begin(reply, label, before)

    def start_for_key(self, reply: Reply, label: str) -> None:
        """Begin the reply to a key beside the one that runs; keys are answered in their order."""
        after = [earlier.decided for earlier in self._keyed if earlier.decided is not None]
        self._keyed.append(reply)
        self._begin(reply, label, after)

    def _begin(self, reply: Reply, label: str, after: Collection[asyncio.Future[Any]] = ()) -> None:
        reply.start(label, after=after)
        if self._timer is None:
            self._timer = self._loop.call_at(reply.due(self._loop.time()), self._check_deadlines)

    def _check_deadlines(self) -> None:
        now = self._loop.time()
        for reply in self.replies:
            reply.check_deadlines(now)
        due = min((reply.due(now) for reply in self.replies), default=None)
        self._timer = None if due is None else self._loop.call_at(due, self._check_deadlines)

    def take(self, reply: Reply) -> None:
        """A key's hook has something to say: it replaces the reply that runs."""
        self.settle(reply)
        if self.running is not None and self.running is not reply:
            self.stop(self.running)
        self.running = reply

    def settle(self, reply: Reply) -> None:
        """`reply` is decided: it waits beside the running one no longer."""
        if reply in self._keyed:
            self._keyed.remove(reply)

    def interrupt(self, before: int) -> None:
        """The caller barged in: what answers events before number `before` is over, but for a hook that waits."""
        for reply in self.replies:
            if reply.voice.answers >= before:
                continue
            if reply.waiting:
                reply.voice.cut()
            else:
                self.stop(reply)

    def stop_all(self, *, but: Reply | None = None, drop: bool = True) -> None:
        """Stop every reply, `but` this one; `drop` takes back what was not sent yet."""
        for reply in self.replies:
            if reply is not but:
                self.stop(reply, drop=drop)
        self._keyed = [reply for reply in self._keyed if not reply.settled]

    def close(self) -> None:
        """The call is over."""
        self.stop_all()
        if self._timer is not None:
            self._timer.cancel()

    def stop(self, reply: Reply, *, drop: bool = True) -> None:
        """Stop `reply`; what the caller does next is for its successor, even before it has cleaned up."""
        task = reply.task
        if reply.waiting:
            self._released()
        reply.stop(drop=drop)
        if task is not None:
            self._cleaning.add(task)
            task.add_done_callback(self._cleaning.discard)
