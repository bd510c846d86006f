"""What one session was like: told in the log when it begins, with counts and times at its end.

Holds no word, number or digit of a call. Noted once for each reply or event, never for each token.
"""

from __future__ import annotations

import logging
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studio_relay.call import Reason

log = logging.getLogger(__name__)

# Twilio's codes of a relay, and of fetching a webhook; by others the other end could fill log and metrics.
_CODES = {39001, *range(64101, 64123), *range(11200, 11300)}


class Observer:
    """Who counts over all calls of a process. This one counts nothing; `metrics.Metrics` does."""

    def session_began(self, story: Story) -> None:
        """An agent was chosen for a session."""

    def session_ended(self, story: Story, reason: Reason) -> None:
        """A session that had a setup is over."""

    def first_word(self, agent: str, seconds: float) -> None:
        """From a final prompt to the first text that went out, in seconds."""

    def barged_in(self, agent: str) -> None:
        """The caller spoke over the agent."""

    def hook_failed(self, plugin: str, hook: str) -> None:
        """A hook raised, hung, or returned what it must not."""

    def twilio_reported(self, code: str) -> None:
        """Twilio sent an `error` message; `code` is a known one, `other` or `none`."""

    def send_abandoned(self) -> None:
        """The host did not finish a send or a close; its connection was given up."""

    def refused(self, status: int, kind: str) -> None:
        """A request was answered with a refusal; `kind` is one of a few words, never text from outside."""


class Story:
    """One session as it is remembered; times are loop time in seconds."""

    __slots__ = (
        "_asked_at", "_began_at", "_ended_at", "_observer", "agent", "barge_ins", "first_words", "hook_failures",
        "longest_silence", "refused_frames", "session_number", "turns", "twilio_errors",
    )  # fmt: skip

    def __init__(self, observer: Observer) -> None:
        self.agent = ""
        self.session_number = 0  # 0 until an agent was chosen
        self.turns = 0  # final prompts
        self.barge_ins = 0
        self.refused_frames = 0
        self.first_words: list[float] = []  # seconds from a final prompt to the first text sent
        self.longest_silence = 0.0  # while the caller waited for words
        self.hook_failures: dict[str, int] = {}
        self.twilio_errors: dict[str, int] = {}
        self._observer = observer
        self._began_at = self._ended_at = 0.0
        self._asked_at: float | None = None

    def began(self, now: float) -> None:
        """The setup came."""
        self._began_at = now

    def answered_by(self, agent: str, session_number: int) -> None:
        """An agent was chosen."""
        self.agent = agent
        self.session_number = session_number
        told = {"event": "call-began", "agent": agent, "session_number": session_number}
        log.info("call began", extra={"fields": told})
        self._observer.session_began(self)

    def prompted(self, now: float) -> None:
        """The caller said something, and waits for an answer."""
        self.turns += 1
        self._asked_at = now

    def speaks(self, now: float) -> None:
        """A talk cycle begins: its first words go out."""
        if self._asked_at is None:
            return
        seconds = now - self._asked_at
        self._asked_at = None
        self.first_words.append(seconds)
        self.silent(seconds)
        self._observer.first_word(self.agent, seconds)

    def silent(self, seconds: float) -> None:
        """The caller heard nothing for so long, although it was our turn."""
        self.longest_silence = max(self.longest_silence, seconds)

    def barged_in(self) -> None:
        """The caller spoke over the agent."""
        self.barge_ins += 1
        self._observer.barged_in(self.agent)

    def frame_refused(self) -> None:
        """A frame of Twilio's was not taken."""
        self.refused_frames += 1

    def hook_failed(self, plugin: str, hook: str) -> None:
        """A hook of a plugin failed."""
        name = f"{plugin}.{hook}"
        self.hook_failures[name] = self.hook_failures.get(name, 0) + 1
        self._observer.hook_failed(plugin, hook)

    def twilio_reported(self, code: int | None) -> str:
        """Twilio sent an `error` message; returns the code as it may be shown."""
        name = str(code) if code in _CODES else "other" if code else "none"
        self.twilio_errors[name] = self.twilio_errors.get(name, 0) + 1
        self._observer.twilio_reported(name)
        return name

    def left(self, now: float) -> None:
        """`end` goes out: who still waited for an answer waits no longer for ours."""
        if self._asked_at is not None:
            self.silent(now - self._asked_at)
            self._asked_at = None

    def closed(self, now: float) -> None:
        """The socket is gone."""
        self.left(now)
        self._ended_at = now

    def ended(self, reason: Reason) -> None:
        """Everybody has been told."""
        self._observer.session_ended(self, reason)

    @property
    def seconds(self) -> float:
        """From the setup to the close."""
        return self._ended_at - self._began_at

    def to_json(self) -> dict[str, Any]:
        """The counts and times as the log tells them."""
        waits = self.first_words
        return {
            "agent": self.agent,
            "session_number": self.session_number,
            "seconds": round(self.seconds, 3),
            "turns": self.turns,
            "barge_ins": self.barge_ins,
            "first_word_p50_ms": round(median(waits) * 1000) if waits else None,
            "first_word_max_ms": round(max(waits) * 1000) if waits else None,
            "longest_silence_ms": round(self.longest_silence * 1000),
            "refused_frames": self.refused_frames,
            "hook_failures": self.hook_failures,
            "twilio_errors": self.twilio_errors,
        }
