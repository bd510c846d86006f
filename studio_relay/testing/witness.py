"""A chaos call against an agent in this process, and whether the server kept the rules: its view against Twilio's.

Random calls themselves are made in `chaos.py`; this module holds what only somebody inside the server can see.
"""

from __future__ import annotations

import difflib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from studio_relay import Call, hookimpl
from studio_relay.protocol.transcript import Turn
from studio_relay.testing.asgi import AsgiTransport
from studio_relay.testing.chaos import ChaosCall, ChaosReport, run_chaos
from studio_relay.testing.clock import run_virtual
from studio_relay.testing.relay import Line


class Witness:
    """An extension that remembers, by session, what the server took for heard and how often it ended."""

    def __init__(self) -> None:
        self.ends: list[str] = []
        self.spoken: dict[str, list[Turn]] = {}
        self._earlier = 0
        self._at_barge_in: dict[str, int] = {}

    @hookimpl
    def on_interrupt(self, call: Call) -> None:
        """The caller cut whatever had been said by now."""
        self._at_barge_in[call.session_id] = len(_spoken(call.transcript))

    @hookimpl
    def on_end(self, call: Call) -> None:
        """The session is over: its turns are those that the sessions before it had not."""
        self.ends.append(call.session_id)
        turns = _spoken(call.transcript)
        self.spoken[call.session_id] = turns[self._earlier :]
        self._earlier = len(turns)

    def cut_by_caller(self, session_id: str) -> bool:
        """Whether the caller's barge-in came after the last words of the session were sent."""
        return bool(self.spoken.get(session_id)) and self._at_barge_in.get(session_id) == self._earlier


@dataclass(frozen=True, kw_only=True)
class Testimony:
    """What came of one chaos call, from both ends. `raised` is what the app raised or logged as an error."""

    report: ChaosReport
    witness: Witness
    raised: Sequence[str] = field(default=())

    @property
    def problems(self) -> list[str]:
        """Every rule that the server broke, in words; estimated words are judged by `words` instead."""
        return [*self.raised, *self.report.problems, *self._ends(), *self._transcripts(), *self._goodbyes()]

    @property
    def words(self) -> tuple[int, int]:
        """How many of the agent's words, heard or taken for heard, both ends agree on, and of how many."""
        greeting = " ".join(self.report.chaos.attributes.welcome_greeting.split())
        believed = [turn.text for turns in self.witness.spoken.values() for turn in turns]
        ours = " ".join(text for text in believed if not greeting.startswith(" ".join(text.split()))).split()
        heard = self.report.heard.split()
        matcher = difflib.SequenceMatcher(None, ours, heard, autojunk=False)
        return sum(block.size for block in matcher.get_matching_blocks()), max(len(ours), len(heard))

    def _ends(self) -> Iterator[str]:
        if sorted(self.witness.ends) != sorted(set(self.report.set_up)):
            yield f"on_end ran {len(self.witness.ends)} times for {len(set(self.report.set_up))} sessions"

    def _transcripts(self) -> Iterator[str]:
        for session_id, told in _told(self.report):
            turns = self.witness.spoken.get(session_id, [])
            believed = "".join(turn.text for turn in turns)
            if told and _squeezed(believed) != _squeezed(told):
                yield f"the transcript has {believed!r}, played was {told!r}"
            if any(turn.estimated == bool(told) for turn in turns if turn.text):
                yield "a turn is marked as an estimate that is none" if told else "an estimate is not marked as one"

    def _goodbyes(self) -> Iterator[str]:
        if self.report.chaos.attributes.mode == "widget":
            return  # when the last words are over is an estimate there
        for session in self.report.cut_goodbyes:
            if not self.witness.cut_by_caller(session):
                yield "`end` came before the caller had heard the last word"


def play_chaos(agent: Any, chaos: ChaosCall) -> Testimony:
    """Make the call to `agent` (a name, module, class or object) on virtual time; raises nothing of the server's."""
    from studio_relay.testing.pytest_plugin import AUTH_TOKEN, SOCKET_URL, make_app

    witness = Witness()
    app = make_app(agent, extensions=(witness,))
    errors = _Errors()

    async def main() -> tuple[ChaosReport, list[BaseException]]:
        async with AsgiTransport(app) as transport:
            report = await run_chaos(Line(transport=transport, auth_token=AUTH_TOKEN), SOCKET_URL, chaos)
        return report, transport.failures

    logging.getLogger("studio_relay").addHandler(errors)
    try:
        report, failures = run_virtual(main())
    finally:
        logging.getLogger("studio_relay").removeHandler(errors)
    return Testimony(report=report, witness=witness, raised=[*map(repr, failures), *errors.messages])


class _Errors(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def _told(report: ChaosReport) -> Iterator[tuple[str, str]]:
    """By session, what the server was told had been played."""
    for texts in report.delivered:
        frames = [json.loads(text) for text in texts]
        setups = [frame["sessionId"] for frame in frames if frame["type"] == "setup"]
        if setups:
            yield setups[0], "".join(f["value"] for f in frames if f.get("name") == "tokensPlayed")


def _spoken(turns: Sequence[Turn]) -> list[Turn]:
    return [turn for turn in turns if turn.who == "agent" and turn.digits is None]


def _squeezed(text: str) -> str:
    return "".join(text.split())
