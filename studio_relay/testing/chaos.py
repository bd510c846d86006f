"""Random calls from a seed: a caller of many moods, a line with faults, speaking rates of the recorded spread.

The same seed is the same call. What a call must never do is checked here as far as the wire shows it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from studio_relay.testing.attributes import RelayAttributes
from studio_relay.testing.clock import Clock
from studio_relay.testing.faults import FaultPlan, FaultyTransport
from studio_relay.testing.identity import Identity
from studio_relay.testing.rates import DrawnRates
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
RELAYS_A_CALL = 3


@dataclass(frozen=True, kw_only=True)
class ChaosCall:
    """One random call: what the caller does, how the relay is set up, what goes wrong."""

    seed: int
    script: Script
    attributes: RelayAttributes
    plan: FaultPlan

    @classmethod
    def from_seed(cls, seed: int, *, mode: str | None = None, faults: bool = True) -> ChaosCall:
        """The call of this seed; `mode` is `full`, `widget`, or drawn too."""
        draw = random.Random(f"chaos {seed}")
        chosen = mode or draw.choice(("full", "widget"))
        attributes = RelayAttributes.full() if chosen == "full" else RelayAttributes(mode="widget")
        greeting = draw.choice(("", "Welcome to the line. One moment, please."))
        return cls(
            seed=seed,
            script=Script(name=f"chaos-{seed}", steps=_steps(draw), timeout=draw.choice((4.0, 12.0))),
            attributes=replace(attributes, welcome_greeting=greeting),
            plan=FaultPlan.from_seed(seed) if faults else FaultPlan(),
        )


@dataclass(frozen=True, kw_only=True)
class ChaosReport:
    """What came of a chaos call, as seen from Twilio's end."""

    chaos: ChaosCall
    sessions: Sequence[Session]

    @property
    def problems(self) -> list[str]:
        """What a server must never do, and this one did."""
        found = []
        for session in self.sessions:
            if session.call is None:
                continue
            if session.call.end.after_end:
                found.append(f"{len(session.call.end.after_end)} messages came behind `end`")
            found += [lesson for lesson in session.lessons if lesson.startswith("a message was refused")]
        return found

    @property
    def cut_goodbyes(self) -> int:
        """How many sessions ended before the caller had heard the last word."""
        return sum(lesson.startswith(CUT_BY_END) for session in self.sessions for lesson in session.lessons)

    @property
    def told(self) -> str:
        """What the server was told had been played, over all sessions; nothing in widget mode."""
        return "".join(_told(session) for session in self.sessions)

    @property
    def heard(self) -> str:
        """What the caller heard of the agent, over all sessions."""
        return " ".join(session.call.heard() for session in self.sessions if session.call)


async def run_chaos(line: Line, url: str, chaos: ChaosCall) -> ChaosReport:
    """Make the call over `line` (its rates are replaced by drawn ones); reconnects as its action URL asks."""
    clock = Clock()
    caller = ScriptedCaller(chaos.script, clock)
    troubled = replace(
        line,
        transport=FaultyTransport(line.transport, chaos.plan),
        rates=DrawnRates(chaos.seed),
        seed=("chaos", chaos.seed) if line.seed is None else line.seed,
    )
    relay = ScriptedRelay(caller, troubled)
    identity = Identity.fresh(chaos.seed)
    for _ in range(RELAYS_A_CALL):
        session = await relay.connect(replace(chaos.attributes, url=url), identity)
        if session.outcome.status != "failed" or caller.step is None:
            break
    return ChaosReport(chaos=chaos, sessions=relay.sessions)


def _told(session: Session) -> str:
    frames = [line.get("frame", {}) for line in session.call.log if line["dir"] == "in"] if session.call else []
    return "".join(frame["value"] for frame in frames if frame.get("name") == "tokensPlayed")


def _steps(draw: random.Random) -> tuple[Step, ...]:
    steps = [_step(draw, line) for line in range(1, draw.randrange(1, 9))]
    ending: list[Step] = [HangUp(line=99)] if draw.random() < 0.3 else []
    return tuple(steps + ending)


def _step(draw: random.Random, line: int) -> Step:
    match draw.choice(("say", "say", "say", "over", "over", "press", "silence", "drop")):
        case "over" if draw.random() < 0.8:
            return TalkOver(line=line, say=draw.choice(PHRASES), after_words=draw.randrange(1, 12))
        case "over":
            return TalkOver(line=line, keys=draw.choice(KEYS), after_ms=draw.randrange(3000))
        case "press":
            return Press(line=line, keys=draw.choice(KEYS))
        case "silence":
            return Silence(line=line, seconds=draw.uniform(0.1, 15))
        case "drop" if draw.random() < 0.4:
            return DropSocket(line=line)
    return Say(line=line, text=draw.choice(PHRASES))
