"""Random calls from a seed: a caller of many moods, a line with faults, speaking rates of the recorded spread.

The same seed is the same call. What a call must never do is checked here as far as the wire shows it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from studio_relay.testing.attributes import RelayAttributes
from studio_relay.testing.clock import Clock
from studio_relay.testing.faults import FaultPlan, FaultyTransport
from studio_relay.testing.identity import Identity
from studio_relay.testing.playback import Leftovers
from studio_relay.testing.relay import Line, ScriptedCaller, ScriptedRelay, Session
from studio_relay.testing.script import DropSocket, HangUp, Press, Say, Script, Silence, Step, TalkOver
from studio_relay.testing.session import CUT_BY_END

PHRASES = (
    "Hello?",
    "Yes.",
    "No.",
    "When are you open?",
    "Where are you, and how do I get there by bus?",
    "What does it cost?",
    "Could you repeat that, please?",
    "I want to talk to a person.",
    "Please call me back.",
    "Five five five, zero one zero, zero zero zero seven.",
    "hm",
    "uh-huh",
    "My parcel is late, it was promised for Tuesday, and nobody answers my letters.",
    "Thank you, goodbye.",
)
KEYS = ("0", "1", "9#", "5550100007#", "*", "12w34#")
WORDS_HEARD = (1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 11)
"""After so many words a caller barges in: mostly so early that an agent that streams is still at it."""
RELAYS_A_CALL = 3


@dataclass(frozen=True, kw_only=True)
class ChaosCall:
    """One random call: what the caller does, how the relay is set up, what goes wrong, what becomes of cut replies."""

    seed: int
    script: Script
    attributes: RelayAttributes
    plan: FaultPlan
    leftovers: Leftovers = "joined"

    @classmethod
    def from_seed(
        cls, seed: int, *, mode: str | None = None, faults: bool = True, leftovers: Leftovers | None = None
    ) -> ChaosCall:
        """The call of this seed; `mode` (`full`, `widget`) and `leftovers` are drawn too where they are not given."""
        draw = random.Random(f"chaos {seed}")
        chosen = mode or draw.choice(("full", "widget"))
        attributes = RelayAttributes.full() if chosen == "full" else RelayAttributes(mode="widget")
        greeting = draw.choice(("", "Welcome to the line. One moment, please."))
        return cls(
            seed=seed,
            script=Script(name=f"chaos-{seed}", steps=_steps(draw), timeout=draw.choice((4.0, 12.0))),
            attributes=replace(attributes, welcome_greeting=greeting),
            plan=FaultPlan.from_seed(seed) if faults else FaultPlan(),
            leftovers=leftovers if leftovers is not None else _leftovers(seed),
        )


@dataclass(frozen=True, kw_only=True)
class ChaosReport:
    """What came of a chaos call, as seen from Twilio's end. `delivered` are the frames that reached the server."""

    chaos: ChaosCall
    sessions: Sequence[Session]
    delivered: Sequence[Sequence[str]] = ()

    @property
    def problems(self) -> list[str]:
        """What a server must never do, and this one did."""
        return broken_rules(self.sessions)

    @property
    def cut_goodbyes(self) -> list[str]:
        """The ids of the sessions that ended before the caller had heard the last word."""
        return [
            session.call.end.session_id
            for session in self.sessions
            if session.call and any(lesson.startswith(CUT_BY_END) for lesson in session.lessons)
        ]

    @property
    def set_up(self) -> list[str]:
        """The ids of the sessions whose `setup` reached the server."""
        return [frame["sessionId"] for frame in self._frames() if frame["type"] == "setup"]

    @property
    def heard(self) -> str:
        """What the caller heard of the server's words (not of the greeting), over all sessions."""
        spoken = [item for s in self.sessions if s.call for item in s.call.end.playback.utterances]
        return " ".join(item.heard for item in spoken if item.kind == "speech")

    def _frames(self) -> Iterator[dict[str, Any]]:
        return (json.loads(text) for texts in self.delivered for text in texts)


def broken_rules(sessions: Sequence[Session]) -> list[str]:
    """What a server must never do, whatever the line does, and this one did; as far as the wire shows it."""
    found = []
    for session in sessions:
        if session.call is None:
            continue
        if session.call.end.after_end:
            found.append(f"{len(session.call.end.after_end)} messages came behind `end`")
        found += [lesson for lesson in session.lessons if lesson.startswith("a message was refused")]
    return found


def troubled(line: Line, seed: int, plan: FaultPlan | None = None, *, speed: float = 1.0) -> Line:
    """`line` with the faults of the seed (or of `plan`), and ids, delay and speaking rate that are the seed's."""
    return replace(
        line,
        transport=FaultyTransport(line.transport, FaultPlan.from_seed(seed) if plan is None else plan, speed=speed),
        seed=("chaos", seed) if line.seed is None else line.seed,
    )


async def run_chaos(line: Line, url: str, chaos: ChaosCall) -> ChaosReport:
    """Make the call over `line`, whose leftovers are the chaos call's; a lost session is tried again, twice."""
    caller = ScriptedCaller(chaos.script, Clock())
    faulty = replace(troubled(line, chaos.seed, chaos.plan), leftovers=chaos.leftovers)
    relay = ScriptedRelay(caller, faulty)
    identity = Identity.fresh(chaos.seed)
    for _ in range(RELAYS_A_CALL):
        session = await relay.connect(replace(chaos.attributes, url=url), identity)
        if session.outcome.status != "failed" or caller.step is None:
            break
    assert isinstance(faulty.transport, FaultyTransport)
    return ChaosReport(chaos=chaos, sessions=relay.sessions, delivered=faulty.transport.delivered)


def random_steps(seed: int) -> tuple[Step, ...]:
    """What the caller of this seed does, where nobody wrote a script."""
    return ChaosCall.from_seed(seed, mode="full").script.steps


def _leftovers(seed: int) -> Leftovers:
    reading: Leftovers = random.Random(f"leftovers {seed}").choice(get_args(Leftovers))
    return reading


def _steps(draw: random.Random) -> tuple[Step, ...]:
    steps = [_step(draw, line) for line in range(1, draw.randrange(1, 9))]
    ending: list[Step] = [HangUp(line=99)] if draw.random() < 0.3 else []
    return tuple(steps + ending)


def _step(draw: random.Random, line: int) -> Step:
    match draw.choice(("say", "say", "say", "over", "over", "press", "silence", "drop")):
        case "over" if draw.random() < 0.8:
            return TalkOver(line=line, say=draw.choice(PHRASES), after_words=draw.choice(WORDS_HEARD))
        case "over":
            return TalkOver(line=line, keys=draw.choice(KEYS), after_ms=draw.randrange(3000))
        case "press":
            return Press(line=line, keys=draw.choice(KEYS))
        case "silence":
            return Silence(line=line, seconds=draw.uniform(0.1, 15))
        case "drop" if draw.random() < 0.4:
            return DropSocket(line=line)
    return Say(line=line, text=draw.choice(PHRASES))
