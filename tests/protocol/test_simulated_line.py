"""A plain model of the caller's end of the line: what the session believes was heard, against what was."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from studio_relay.protocol.messages import Text
from studio_relay.protocol.session import Session
from studio_relay.protocol.transcript import Turn

WORDS = re.findall(
    r"\S+",
    """yes no okay thanks the a parcel order delivery tomorrow today morning number street please wait moment
    find found here is your will arrive at nine ten o'clock would you like anything else I can help with that let me
    check for you it was sent on Monday from our warehouse sorry about delay""",
)
STOCK = ["Stop.", "Yes.", "One moment, please.", "Let me check.", "Is that all right?", "Thank you.", "I see:"]
GREETING = "Welcome to the parcel desk. How can I help?"


def sentence(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return rng.choice(STOCK)
    words = [rng.choice(WORDS) for _ in range(rng.randint(2, 18))]
    if len(words) > 8 and rng.random() < 0.5:
        words[len(words) // 2] += ","
    return " ".join(words).capitalize() + rng.choice([".", ".", ".", "?", "!", ":"])


def reply(rng: random.Random, most: int = 7) -> str:
    return " ".join(sentence(rng) for _ in range(rng.randint(1, most)))


@dataclass
class Segment:
    """A clause on its way to the caller's ear."""

    text: str
    begins: float
    ends: float

    def begun_words(self, now: float) -> str:
        """What Twilio reports as heard: the words begun, at least one."""
        share = (now - self.begins) / (self.ends - self.begins)
        starts = [match for match in re.finditer(r"\S+", self.text) if match.start() <= share * len(self.text)]
        return self.text[: (starts or list(re.finditer(r"\S+", self.text)))[-1].end()].strip()


@dataclass
class Line:
    """One call. `events` says whether the TwiML subscribed to them (full mode) or a widget did not."""

    rng: random.Random
    events: bool
    session: Session = field(default_factory=Session)
    now: float = 0.0
    pace: float = 17.0  # characters a second, of this voice
    heard: list[str] = field(default_factory=list)  # by agent turn

    def frame(self, kind: str, **fields: Any) -> None:
        self.session.receive_text(json.dumps({"type": kind, **fields}), self.now)

    def info(self, name: str, value: str) -> None:
        if self.events:
            self.frame("info", name=name, value=value)

    def greet(self, *, cut: bool) -> None:
        greeting = Segment(GREETING, self.now + 0.7, self.now + 3.3)
        self.now = greeting.begins
        self.info("agentSpeaking", "on")
        if cut:
            self.now += self.rng.uniform(0.02, 2.5)
            self.heard.append(greeting.begun_words(self.now))
            self.barge_in(self.heard[-1])
        else:
            self.now = greeting.ends
            self.info("tokensPlayed", GREETING)
            self.info("agentSpeaking", "off")
            if self.events:
                self.heard.append(GREETING)
        self.now += self.rng.uniform(0.3, 3.0)

    def prompt(self) -> None:
        self.now += self.rng.uniform(0.3, 2.0)
        self.frame("prompt", voicePrompt="And then?", lang="en", last=True)
        self.now += self.rng.uniform(0.0, 1.5)

    def barge_in(self, fragment: str) -> None:
        self.info("clientSpeaking", "on")
        reports = [lambda: self.info("tokensPlayed", fragment), lambda: self.interrupt(fragment)]
        if self.rng.random() < 0.2:
            reports.reverse()
        for report in reports:
            report()
        self.now += 0.002
        self.info("agentSpeaking", "off")

    def interrupt(self, fragment: str) -> None:
        self.frame("interrupt", utteranceUntilInterrupt=fragment, durationUntilInterruptMs=15)

    def speak(self, text: str, *, cut: bool, hang_up: bool = False, preemptible: str = "") -> None:
        """The agent streams `text` while Twilio plays it; `cut` by the caller's voice somewhere, or by hanging up."""
        chunks = [chunk for chunk in (preemptible, text) if chunk]
        arrivals: list[tuple[float, int, str]] = []
        at = self.now
        for number, chunk in enumerate(chunks):
            for token in re.findall(r"\s*\S+", chunk):
                arrivals.append((at, number, token))
                at += self.rng.uniform(0, 0.06)
            at += self.rng.uniform(0.5, 2.5)
        plan = self.plan(chunks, arrivals)
        end = plan[-1][1].ends
        stop = self.rng.uniform(plan[0][1].begins + 0.01, end - 0.01) if cut else float("inf")
        self.play(chunks, arrivals, plan, stop, hang_up)

    def plan(self, chunks: list[str], arrivals: list[tuple[float, int, str]]) -> list[tuple[int, Segment]]:
        plan: list[tuple[int, Segment]] = []
        free = 0.0
        for number, chunk in enumerate(chunks):
            times = [at for at, of, token in arrivals if of == number for _ in token]
            final = number == len(chunks) - 1
            latest = float("inf") if final else next(at for at, of, _ in arrivals if of == number + 1)
            place = 0
            for text in clauses(chunk, self.rng):
                place += len(text)
                begins = max(free + 0.02, times[place - 1] + self.rng.uniform(0.2, 0.45))
                rate = min(25.0, max(10.0, self.pace * self.rng.uniform(0.8, 1.25)))
                segment = Segment(text, begins, begins + len(text) / rate)
                if begins >= latest:
                    break
                free = segment.ends
                if segment.ends > latest:  # preempted
                    heard = segment.begun_words(latest)
                    plan.append((number, Segment(heard, begins, latest)))
                    free = latest
                    break
                plan.append((number, segment))
        return plan

    def play(
        self,
        chunks: list[str],
        arrivals: list[tuple[float, int, str]],
        plan: list[tuple[int, Segment]],
        stop: float,
        hang_up: bool,
    ) -> None:
        cycles: dict[int, int] = {}
        heard = [""] * len(chunks)
        speaking = False
        moments = sorted(
            [(at, 2, index) for index, (at, _, _) in enumerate(arrivals)]
            + [(s.begins, 1, i) for i, (_, s) in enumerate(plan)]
            + [(s.ends, 0, i) for i, (_, s) in enumerate(plan)]
        )
        for at, kind, index in moments:
            if at >= stop:
                break
            self.now = max(self.now, at)
            if kind == 2:
                _, number, token = arrivals[index]
                if number not in cycles:
                    for earlier in cycles.values():
                        self.session.finish(earlier)
                    cycles[number] = self.session.begin()
                if number < len(chunks) - 1:
                    self.session.send(cycles[number], Text(token=token, last=False, preemptible=True))
                else:
                    self.session.say(cycles[number], token)
                if index == len(arrivals) - 1:
                    self.session.finish(cycles[number])
                while self.session.next_text(self.now) is not None:
                    pass
            elif kind == 1 and not speaking:
                speaking = True
                self.info("agentSpeaking", "on")
            elif kind == 0:
                number, segment = plan[index]
                heard[number] += segment.text
                self.info("tokensPlayed", segment.text)
        self.finish_turn(chunks, cycles, heard, plan, stop, hang_up)

    def finish_turn(
        self,
        chunks: list[str],
        cycles: dict[int, int],
        heard: list[str],
        plan: list[tuple[int, Segment]],
        stop: float,
        hang_up: bool,
    ) -> None:
        if stop < float("inf"):
            self.now = stop
            sounding = [(number, s) for number, s in plan if s.begins <= stop < s.ends]
            fragment = sounding[0][1].begun_words(stop) if sounding else ""
            if not hang_up:
                self.barge_in(fragment)
            if not (hang_up and self.events):
                for number, _ in sounding:
                    heard[number] += f" {fragment}"
        else:
            self.info("agentSpeaking", "off")
        self.heard += [text for number, text in enumerate(heard) if number in cycles]
        self.now += self.rng.uniform(0.2, 1.0)

    def close(self) -> None:
        self.session.receive_close(1000, "Closing websocket session", self.now)

    @property
    def agent_turns(self) -> list[Turn]:
        return [turn for turn in self.session.transcript.turns() if turn.who == "agent"]


def clauses(text: str, rng: random.Random) -> list[str]:
    """Cut behind stops and colons, sometimes behind a comma far enough in."""
    border = r"(?<=[.:!?])(?=\s)" + (r"|(?<=,)(?=\s)" if rng.random() < 0.3 else "")
    return [clause for clause in re.split(border, text) if clause]


def call(seed: int, *, events: bool, greeting: bool = True, preempt: bool = True) -> Line:
    rng = random.Random(seed)
    line = Line(rng, events, pace=rng.uniform(10, 25))
    line.frame("setup", callSid="CA1")
    if greeting and rng.random() < 0.7:
        line.greet(cut=rng.random() < 0.3)
    for _ in range(rng.randint(1, 6)):
        line.prompt()
        filler = rng.choice(["", "", reply(rng, 2)]) if preempt else ""
        line.speak(reply(rng), cut=rng.random() < 0.5, preemptible=filler)
    if rng.random() < 0.3:
        line.prompt()
        line.speak(reply(rng), cut=True, hang_up=True)
    line.close()
    return line


def squeezed(text: str) -> str:
    return "".join(text.split())


@hypothesis_settings(max_examples=300)
@given(st.integers(0, 2**32))
def test_with_events_the_transcript_is_what_was_played_to_the_letter(seed: int) -> None:
    line = call(seed, events=True)
    assert [squeezed(turn.text) for turn in line.agent_turns] == [squeezed(text) for text in line.heard]
    assert not any(turn.estimated for turn in line.agent_turns[1:])


def wrong_words(line: Line) -> tuple[int, int]:
    """How many heard words the transcript lacks or adds, and how many were heard."""
    believed = [len(turn.text.split()) for turn in line.agent_turns]
    heard = [len(text.split()) for text in line.heard]
    assert len(believed) == len(heard)
    return sum(abs(a - b) for a, b in zip(believed, heard, strict=True)), sum(heard)


@pytest.mark.parametrize(("preempt", "most"), [(False, 0.03), (True, 0.04)])
def test_without_events_at_least_97_percent_of_heard_words_are_right(preempt: bool, most: float) -> None:
    """Fillers that are preempted are reported by nothing at all: with many of them, one in a hundred more is wrong."""
    counts = [wrong_words(call(seed, events=False, preempt=preempt)) for seed in range(400)]
    wrong, heard = (sum(column) for column in zip(*counts, strict=True))
    assert wrong / heard <= most, f"{wrong} of {heard} words"


def test_without_events_all_is_marked_as_an_estimate() -> None:
    for seed in range(20):
        assert all(turn.estimated for turn in call(seed, events=False).agent_turns)
