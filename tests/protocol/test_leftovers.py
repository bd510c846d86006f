"""Words that were on the wire when a caller cut a streaming reply: spoken with the next, apart, or dropped."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay.protocol.events import Prompted
from studio_relay.protocol.messages import Text
from studio_relay.protocol.session import Session


@dataclass
class Call:
    """A session after its setup, with an agent that streams; times are seconds since then."""

    events: bool = True
    session: Session = field(default_factory=Session)
    sent: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.receive(0.0, "setup", callSid="CA1")

    def receive(self, now: float, kind: str, **fields: Any) -> Any:
        (event,) = self.session.receive_text(json.dumps({"type": kind, **fields}), now)
        return event

    def info(self, now: float, name: str, value: str) -> None:
        if self.events:
            self.receive(now, "info", name=name, value=value)

    def stream(self, now: float, *tokens: str, every: float = 0.05, finish: bool = True) -> int:
        cycle = self.session.begin()
        for number, token in enumerate(tokens):
            self.session.say(cycle, token)
            self.drain(now + number * every)
        if finish:
            self.session.finish(cycle)
            self.drain(now + len(tokens) * every)
        return cycle

    def drain(self, now: float) -> None:
        while (text := self.session.next_text(now)) is not None:
            self.sent.append(json.loads(text))

    def played(self, now: float, value: str) -> None:
        self.info(now, "tokensPlayed", value)

    def cut(self, now: float, fragment: str) -> None:
        self.info(now, "clientSpeaking", "on")
        self.played(now, fragment)
        self.receive(now, "interrupt", utteranceUntilInterrupt=fragment, durationUntilInterruptMs=500)
        self.info(now + 0.002, "agentSpeaking", "off")
        self.drain(now + 0.002)

    def prompt(self, now: float, text: str = "stop") -> Prompted:
        event = self.receive(now, "prompt", voicePrompt=text, lang="en", last=True)
        assert isinstance(event, Prompted)
        return event

    @property
    def heard(self) -> list[str]:
        return [turn.text for turn in self.session.transcript.turns() if turn.who == "agent"]

    @property
    def done(self) -> bool:
        return self.session.playback.done(100.0)


STORY = [f"word{number} " for number in range(20)]  # streamed from 1.0 to 2.0 s


def a_cut_story() -> Call:
    """Five words were heard; the cut is reported at 2.0 s, and Twilio may have had any frame up to then."""
    call = Call()
    call.stream(1.0, *STORY, finish=False)
    call.info(1.4, "agentSpeaking", "on")
    call.cut(2.0, "word0 word1 word2 word3 word4")
    return call


def test_a_cycle_that_was_cut_while_open_is_closed_at_once() -> None:
    call = a_cut_story()
    assert call.sent[-1] == {"type": "text", "token": "", "last": True}
    assert [frame["last"] for frame in call.sent].count(True) == 1
    call.stream(3.0, "Yes?")
    assert call.sent[-1]["last"] is True
    assert "".join(frame["token"] for frame in call.sent[-2:]) == "Yes?"


def test_a_cycle_that_was_closed_when_it_was_cut_gets_no_second_closer() -> None:
    call = Call()
    call.stream(1.0, *STORY)
    call.cut(3.0, "word0")
    assert [frame["last"] for frame in call.sent].count(True) == 1


@pytest.mark.parametrize("first", range(6, 20))
def test_leftovers_and_the_next_reply_in_one_report(first: int) -> None:
    call = a_cut_story()
    call.info(2.5, "agentSpeaking", "on")
    call.stream(3.0, "Which ", "color?")
    call.played(4.0, "".join(STORY[first:]) + "Which color?")
    assert call.heard == [
        "word0 word1 word2 word3 word4 " + "".join(STORY[first:]).strip(),
        "Which color?",
    ]
    assert call.done


@pytest.mark.parametrize("first", [6, 12, 19])
def test_leftovers_reported_apart(first: int) -> None:
    call = a_cut_story()
    call.info(2.5, "agentSpeaking", "on")
    call.played(2.9, "".join(STORY[first:]).strip())
    call.info(2.9, "agentSpeaking", "off")
    call.stream(3.0, "Which ", "color?")
    assert not call.session.playback.done(3.1)
    call.info(3.4, "agentSpeaking", "on")
    call.played(4.0, "Which color?")
    assert call.heard[1] == "Which color?"
    assert call.heard[0] == "word0 word1 word2 word3 word4 " + "".join(STORY[first:]).strip()
    assert call.done


def test_leftovers_that_are_dropped() -> None:
    call = a_cut_story()
    call.stream(3.0, "Which ", "color?")
    call.info(3.4, "agentSpeaking", "on")
    call.played(4.0, "Which color?")
    assert call.heard == ["word0 word1 word2 word3 word4", "Which color?"]
    assert call.done


def test_leftovers_of_two_cut_replies_and_the_next() -> None:
    call = a_cut_story()
    call.stream(2.3, "One moment, ", "I am ", "looking ", "for it ", finish=False)
    call.cut(2.6, "")
    call.info(2.9, "agentSpeaking", "on")
    call.stream(3.2, "Which ", "color?")
    call.played(4.5, "word18 word19 One moment, I am looking for it Which color?")
    assert call.heard == [
        "word0 word1 word2 word3 word4 word18 word19",
        "One moment, I am looking for it ",
        "Which color?",
    ]
    assert call.done


def test_leftovers_that_are_cut_again() -> None:
    call = a_cut_story()
    call.info(2.3, "agentSpeaking", "on")
    call.cut(2.6, "word16 word17")
    call.stream(3.2, "Which ", "color?")
    call.info(3.5, "agentSpeaking", "on")
    call.played(4.5, "Which color?")
    assert call.heard == ["word0 word1 word2 word3 word4 word16 word17", "Which color?"]


@pytest.mark.parametrize(
    "told",
    [
        "word15 word16 word18 word19 Which color?",
        "word15 word16 word16 word17 word18 word19 Which color?",
        "word15 word16 um word18 word19 Which color?",
    ],
)
def test_words_missing_or_doubled_in_leftovers_do_not_cost_the_next_reply(told: str) -> None:
    call = a_cut_story()
    call.info(2.3, "agentSpeaking", "on")
    call.stream(3.0, "Which ", "color?")
    call.played(4.5, told)
    assert call.heard == [
        "word0 word1 word2 word3 word4 word15 word16 word17 word18 word19",
        "Which color?",
    ]
    assert call.done


def test_the_next_reply_may_begin_as_the_leftovers_did() -> None:
    """The same question again: what sounded before it was asked was the old one, what sounds later the new one."""
    for spoken in (True, False):
        call = Call()
        call.info(0.5, "agentSpeaking", "on")
        call.stream(1.9, "Which ", "color?", finish=False)
        call.cut(2.0, "Welcome.")
        if spoken:
            call.info(2.4, "agentSpeaking", "on")
            call.played(2.9, "Which color?")
            call.info(2.9, "agentSpeaking", "off")
        call.stream(3.5, "Which ", "color?")
        call.info(3.9, "agentSpeaking", "on")
        call.played(4.5, "Which color?")
        assert call.heard == ["Welcome.", "Which color?" if spoken else "", "Which color?"]
        assert call.done


def test_a_fragment_that_occurs_three_times_in_what_was_on_the_wire() -> None:
    call = Call()
    call.stream(1.0, *["No. ", "Yes. "] * 10, finish=False)
    call.info(1.4, "agentSpeaking", "on")
    call.cut(2.0, "No.")
    call.info(2.4, "agentSpeaking", "on")
    call.played(2.9, "Yes.")
    call.stream(3.0, "All ", "right.")
    call.played(3.4, " No.")
    call.played(3.9, " Yes.")
    call.played(4.5, "All right.")
    assert call.heard == ["No. Yes. No. Yes.", "All right."]
    assert call.done


@given(st.data())
def test_whatever_of_it_was_on_the_wire_the_next_reply_is_heard_whole(data: st.DataObject) -> None:
    words = data.draw(st.lists(st.sampled_from(["yes ", "no ", "well ", "wor", "ld ", "a ", "I see. "]), min_size=3))
    first = data.draw(st.integers(1, len(words)))
    cut = data.draw(st.integers(0, first - 1))
    answer = data.draw(st.lists(st.sampled_from(["Which ", "color ", "Please ", "go on. "]), min_size=2))
    reading = data.draw(st.sampled_from(["joined", "apart", "dropped"]))
    call = Call()
    call.stream(1.0, *words, every=0.3 / len(words), finish=False)
    call.info(1.35, "agentSpeaking", "on")
    call.cut(1.4, "".join(words[:cut]).strip())
    leftovers, reply = "".join(words[first:]), "".join(answer)
    if reading != "dropped" and leftovers.strip():
        call.info(1.8, "agentSpeaking", "on")
    if reading == "apart" and leftovers.strip():
        call.played(2.4, leftovers.rstrip())
        call.info(2.4, "agentSpeaking", "off")
    call.stream(2.5, *answer)
    if reading != "joined" or not leftovers.strip():
        call.info(2.8, "agentSpeaking", "on")
    call.played(4.0, leftovers + reply if reading == "joined" else reply)
    spoken = "" if reading == "dropped" else leftovers
    assert squeezed(call.heard[-1]) == squeezed(reply)
    assert squeezed(call.heard[0]) == squeezed("".join(words[:cut]) + spoken)
    assert call.done


def squeezed(text: str) -> str:
    return "".join(text.split())


# ------------------------------------------------------------------------------------ without events


def a_cut_story_in_widget_mode() -> Call:
    call = Call(events=False)
    call.stream(1.0, *STORY, finish=False)
    call.cut(2.0, "word0 word1 word2")
    return call


def test_without_events_a_second_interrupt_tells_what_of_the_leftovers_was_heard() -> None:
    call = a_cut_story_in_widget_mode()
    call.receive(2.8, "interrupt", utteranceUntilInterrupt="word17 word18", durationUntilInterruptMs=500)
    call.prompt(3.5)
    call.stream(3.6, "Which ", "color?")
    assert call.heard == ["word0 word1 word2 word17 word18", "Which color?"]
    assert all(turn.estimated for turn in call.session.transcript.turns() if turn.who == "agent")


def test_without_events_a_prompt_tells_that_no_leftovers_sounded() -> None:
    call = a_cut_story_in_widget_mode()
    assert call.session.playback.due(2.0) is not None
    call.prompt(2.7)
    assert call.session.playback.done(2.7)
    assert call.heard == ["word0 word1 word2"]


def test_without_events_no_prompt_at_all_tells_that_leftovers_were_played() -> None:
    call = a_cut_story_in_widget_mode()
    assert 2.0 < call.session.playback.leftovers_end < 8.0
    call.session.playback.unanswered(9.0)
    assert call.heard[0].startswith("word0 word1 word2 word1")
    assert call.heard[0].endswith("word19")


def test_without_events_words_too_few_for_their_time_came_after_others_that_were_withheld() -> None:
    call = a_cut_story_in_widget_mode()
    call.prompt(6.0, "stop it")
    assert call.heard[0].endswith("word19")


@pytest.mark.parametrize(("words", "spoken"), [("stop it", True), (" ".join(["word"] * 14), False)])
def test_without_events_what_was_assumed_gives_way_to_words_that_were_under_way(words: str, spoken: bool) -> None:
    call = a_cut_story_in_widget_mode()
    call.session.playback.unanswered(6.0)
    call.stream(6.0, "Could you say it again?")
    call.cut(6.4, "Could")
    call.prompt(7.5, words)
    assert call.heard[0].endswith("word19") is spoken


def test_without_events_a_reply_that_was_sent_long_ago_leaves_nothing_on_the_wire() -> None:
    call = Call(events=False)
    call.stream(1.0, *STORY)
    call.cut(4.0, "word0 word1 word2")
    assert call.session.playback.done(4.0)
    assert call.session.playback.leftovers_end == 4.0


# --------------------------------------------------------------------------------------- over speech


@pytest.mark.parametrize(
    ("interrupts", "over"), [(False, True), (True, False)], ids=["nothing interrupted", "the voice interrupted"]
)
def test_words_that_come_while_a_cycle_sounds_are_over_speech_unless_they_interrupted(
    interrupts: bool, over: bool
) -> None:
    call = Call()
    call.stream(1.0, *STORY)
    call.info(1.4, "agentSpeaking", "on")
    if interrupts:
        call.cut(2.0, "word0")
    assert call.prompt(2.6).prompt.over_speech is over
    assert call.receive(2.7, "dtmf", digit="1").dtmf.over_speech is over


@pytest.mark.parametrize("when", ["before it sounds", "after it", "over the greeting", "over leftovers"])
def test_words_at_other_times_are_not_over_speech(when: str) -> None:
    call = a_cut_story() if when == "over leftovers" else Call()
    if when in ("over the greeting", "over leftovers"):
        call.info(2.4, "agentSpeaking", "on")
    else:
        call.stream(1.0, "Hello.")
    if when == "after it":
        call.info(1.4, "agentSpeaking", "on")
        call.played(2.0, "Hello.")
        call.info(2.0, "agentSpeaking", "off")
    assert call.prompt(2.6).prompt.over_speech is False


@pytest.mark.parametrize(("interruptible", "over"), [(None, False), (False, True)])
def test_words_begun_in_a_pause_of_a_reply_are_over_speech_only_if_nothing_may_interrupt_it(
    interruptible: bool | None, over: bool
) -> None:
    call = Call()
    cycle = call.session.begin()
    for now, token in ((1.0, "One moment. "), (3.0, "Here it is: your parcel is late.")):
        call.session.send(cycle, Text(token=token, last=False, interruptible=interruptible))
        call.drain(now)
        call.info(now + 0.3, "agentSpeaking", "on")
        if now == 1.0:
            call.played(2.0, "One moment.")
            call.info(2.0, "agentSpeaking", "off")
            call.info(3.1, "clientSpeaking", "on")
    call.info(3.6, "clientSpeaking", "off")
    assert call.prompt(3.6).prompt.over_speech is over


def test_without_events_nothing_is_known_to_be_over_speech() -> None:
    call = Call(events=False)
    call.stream(1.0, *STORY)
    assert call.prompt(1.9).prompt.over_speech is False


def test_a_cut_before_the_first_word_invents_none_though_nothing_was_reported_yet() -> None:
    call = Call()
    call.stream(1.0, "Which size would you like?")
    call.info(1.5, "agentSpeaking", "on")
    call.receive(1.95, "interrupt", utteranceUntilInterrupt="", durationUntilInterruptMs=200)
    assert call.heard == [""]
