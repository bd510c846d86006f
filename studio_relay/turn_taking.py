"""Whose turn it is where caller and agent speak at once: input over speech, and interruptions without words.

Theory of operation.

* **Input over speech.** A caller who speaks over a reply usually interrupts it: `interrupt` comes first, then the
  words. Where Twilio was told that nothing may interrupt (one message, a language's back-channel, the TwiML), the
  words may come alone. They are no reason to stop: a murmur must not end a disclosure that has to be heard
  whole. They wait until the hook is through and all has been played: its next question must not be answered by a
  murmur over the last. Only the last words count, as with prompts that come before the agent is ready. A key is
  reported *before* the interrupt it causes, so it waits too, and is let go by that interrupt.
* **Interruptions without words.** Twilio cuts at the first sound of a voice. While it speaks what was on the wire
  then (see `protocol/playback.py`), it may withhold the words, and Studio's widget cannot ask for them. The caller
  has spoken and waits; the agent was stopped and waits. So where no words follow an interrupt, two seconds after
  everybody has fallen silent, the caller is asked to say them again. Where nothing tells who speaks and nothing was
  on the wire, no words can be lost: the caller may simply speak for longer, and is given more time.

Nothing here speaks or starts a hook: the conversation does, when it is told to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from studio_relay.protocol.events import Pressed, Prompted
from studio_relay.protocol.playback import Playback
from studio_relay.protocol.states import Playing

Input: TypeAlias = "Prompted | Pressed"

_WORDS_FOLLOW_SECONDS = 2.0
_LONG_WORDS_SECONDS = 5.0  # where the caller may be speaking all the while, and nothing tells
_SPEAKING_MAX_SECONDS = 30.0  # the report that somebody has stopped speaking may be lost
_MOST_IN_A_ROW = 2  # a noisy line interrupts again and again


class HeldInput:
    """The last words or key that came over speech. Once `played` returns true they are given to `answer`."""

    __slots__ = ("_answer", "_input", "_played", "_spawn", "_waiting")

    def __init__(
        self,
        played: Callable[[Callable[[], bool]], Coroutine[Any, Any, bool]],
        answer: Callable[[Input], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
    ) -> None:
        self._played = played
        self._answer = answer
        self._spawn = spawn
        self._input: Input | None = None
        self._waiting = False

    @property
    def holds(self) -> bool:
        """Whether something is still to be answered."""
        return self._input is not None

    def hold(self, given: Input) -> None:
        """Keep this, in place of what was held."""
        self._input = given
        if not self._waiting:
            self._waiting = True
            self._spawn(self._wait(), "input over speech")

    def drop(self) -> None:
        """Newer words count."""
        self._input = None

    def release(self, key: int | None = None) -> bool:
        """Answer what is held now; with `key` only if it is the key with this number. False if there is nothing."""
        held = self._input
        if held is None or (key is not None and not (isinstance(held, Pressed) and held.number == key)):
            return False
        self._input = None
        self._answer(held)
        return True

    async def _wait(self) -> None:
        played = await self._played(lambda: self._input is None)
        self._waiting = False
        if played:
            self.release()


class LostWords:
    """Notices that an interrupt was followed by no words, and calls `lost` then, again while it returns false."""

    __slots__ = ("_caller_speaks", "_in_a_row", "_loop", "_lost", "_patience", "_playback", "_since", "_timer")

    def __init__(self, playback: Playback, lost: Callable[[], bool]) -> None:
        self._playback = playback
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0
        self._patience = 0.0
        self._in_a_row = 0
        self._caller_speaks = False

    @property
    def expected(self) -> bool:
        """Whether the caller has interrupted and the words are still to come."""
        return self._timer is not None

    def interrupted(self) -> None:
        """A voice has cut the speech."""
        now = self._loop.time()
        certain, leftovers = self._playback.certain, self._playback.leftovers_end > now
        self._since = now if certain else self._playback.leftovers_end
        self._patience = _WORDS_FOLLOW_SECONDS if certain or leftovers else _LONG_WORDS_SECONDS
        self._arm(self._since + self._patience)

    def caller_sounds(self, on: bool) -> None:
        """The caller began or ceased to speak, as far as Twilio tells."""
        self._caller_speaks = on
        self.sounds()

    def sounds(self) -> None:
        """Somebody speaks, or has just stopped."""
        if self._timer is not None:
            self._since = max(self._since, self._loop.time())

    def asked(self) -> None:
        """The caller is asked to say them again."""
        self._in_a_row += 1

    def came(self) -> None:
        """The words are there."""
        self._in_a_row = 0
        self._caller_speaks = False
        self.stop()

    def stop(self) -> None:
        """Nobody need wait for words any more: they came, or the agent has gone on by itself."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, at: float) -> None:
        self.stop()
        self._timer = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        now, due = self._loop.time(), self._since + self._patience
        speaking = self._caller_speaks or self._playback.state is Playing.SPEAKING
        if now < due:
            self._arm(due)
        elif speaking and now < self._since + _SPEAKING_MAX_SECONDS:
            self._arm(min(now + self._patience, self._since + _SPEAKING_MAX_SECONDS))
        else:
            self._timer = None
            if self._in_a_row < _MOST_IN_A_ROW and not self._lost():
                self._arm(now + self._patience)
