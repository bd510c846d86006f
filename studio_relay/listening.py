"""What a hook can wait for from the caller: the next words, or keys. Starts no hook and says nothing of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from studio_relay.errors import LocalProtocolError
from studio_relay.progress import Progress
from studio_relay.protocol.messages import Prompt, Text
from studio_relay.protocol.session import Session

# A caller who finishes with `#` presses it also behind the last digit that was asked for.
_CLOSING_KEY_SECONDS = 2.0


class Talk(Protocol):
    """What listening asks of the conversation."""

    session: Session
    progress: Progress

    def send(self, message: Text) -> None: ...
    async def flush(self) -> None: ...
    def waits(self) -> AbstractContextManager[None]: ...
    def refuse_if_over(self) -> None: ...


class Listener:
    """Who gets the caller's next words and keys: one ask() and one collect_digits() at a time."""

    __slots__ = ("_answer", "_closing_key", "_keys", "_loop", "_talk", "_typed_ahead")

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Prompt] | None = None
        self._keys: list[str] | None = None
        self._typed_ahead: list[str] = []
        self._closing_key: tuple[str, float] | None = None

    @property
    def expects_words(self) -> bool:
        """Whether ask() waits for words that have not come."""
        return self._answer is not None and not self._answer.done()

    def take_prompt(self, prompt: Prompt) -> bool:
        """Whether ask() was waiting for these words."""
        if not self.expects_words:
            return False
        assert self._answer is not None
        self._answer.set_result(prompt)
        return True

    def take_key(self, digit: str) -> bool:
        """Whether collect_digits() was waiting for this key, or has just had enough when this one closed the number."""
        if self._keys is not None:
            self._keys.append(digit)
            return True
        closing, self._closing_key = self._closing_key, None
        return closing is not None and closing[0] == digit and self._loop.time() <= closing[1]

    def type_ahead(self, digit: str) -> None:
        """Keep a key that nobody waits for while another wait goes on."""
        self._typed_ahead.append(digit)

    def forget(self) -> None:
        """Keys that were typed ahead belong to the reply that is over."""
        self._typed_ahead.clear()

    def stop(self) -> None:
        """The hook that waits was stopped: what the caller does next is not for it."""
        self._answer = None
        self._stop_collecting()

    async def ask(self, text: str, timeout: float) -> Prompt | None:
        """See Call.ask()."""
        self._talk.refuse_if_over()
        if self._answer is not None:
            raise LocalProtocolError("ask(): another ask() waits for the caller already; await that one first")
        self._answer = answer = self._loop.create_future()
        try:
            with self._talk.waits():
                self._talk.send(Text(token=text, last=False))
                await self._talk.flush()
                while not answer.done() and await self._silent_until(answer.done, timeout):
                    pass
                return answer.result() if answer.done() else None
        finally:
            if self._answer is answer:
                self._answer = None

    async def collect_digits(
        self, *, max_digits: int, min_digits: int, finish: str, timeout: float, secret: bool
    ) -> str | None:
        """See Call.collect_digits()."""
        self._talk.refuse_if_over()
        if self._keys is not None:
            raise LocalProtocolError("collect_digits(): another collect_digits() waits already; await that one first")
        self._keys, self._typed_ahead = keys, _ = self._typed_ahead, []
        self._talk.session.transcript.hide_keys = secret
        try:
            with self._talk.waits():
                await self._talk.flush()
                await self._talk.progress.until_quiet(lambda: bool(keys))
                digits = await self._gather(keys, max_digits, finish, timeout)
                return digits if len(digits) >= min_digits else None
        finally:
            if self._keys is keys:
                self._stop_collecting()
                self._typed_ahead = keys  # what was typed beyond it is for the next one

    async def _gather(self, keys: list[str], max_digits: int, finish: str, timeout: float) -> str:
        digits = ""
        while len(digits) < max_digits:
            await self._until(lambda: bool(keys), timeout)
            if not keys or (key := keys.pop(0)) == finish:
                return digits
            digits += key
        if keys[:1] == [finish]:
            del keys[0]
        elif not keys:
            self._closing_key = (finish, self._loop.time() + _CLOSING_KEY_SECONDS)
        return digits

    async def _silent_until(self, done: Callable[[], bool], timeout: float) -> bool:
        """Wait for `done` from the end of the speech on; True if there was more speech, so that time starts again."""
        progress = self._talk.progress
        await progress.until_quiet(done)
        lasting = not progress.is_quiet  # nothing tells when it ends
        await self._until(lambda: done() or not (lasting or progress.is_quiet), timeout)
        return not (lasting or done() or progress.closed or progress.is_quiet)

    async def _until(self, done: Callable[[], bool], timeout: float) -> None:
        deadline = self._loop.time() + timeout
        while not done() and not self._talk.progress.closed and self._loop.time() < deadline:
            await self._talk.progress.next(deadline)

    def _stop_collecting(self) -> None:
        self._keys = None
        self._talk.session.transcript.hide_keys = False
