"""What was heard (design decision 7), what a key may not cut (20), and when the last words are over (8)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from studio_relay.protocol.events import Event, Interrupted
from studio_relay.protocol.messages import SendDigits, Text
from studio_relay.protocol.playback import SECONDS_PER_CHARACTER, START_SECONDS, Playback
from studio_relay.protocol.session import Session
from studio_relay.protocol.states import Playing
from studio_relay.protocol.transcript import HIDDEN_KEY, Turn

Heard = list[tuple[str, str | None]]  # text and, where more was sent, what


@dataclass
class Call:
    """A session after its setup; times are seconds since then."""

    session: Session = field(default_factory=Session)

    def __post_init__(self) -> None:
        self.receive(0.0, "setup", callSid="CA1")

    def receive(self, now: float, kind: str, **fields: Any) -> Event:
        (event,) = self.session.receive_text(json.dumps({"type": kind, **fields}), now)
        return event

    def on(self, now: float) -> None:
        self.receive(now, "info", name="agentSpeaking", value="on")

    def off(self, now: float) -> None:
        self.receive(now, "info", name="agentSpeaking", value="off")

    def played(self, now: float, *values: str) -> None:
        for value in values:
            self.receive(now, "info", name="tokensPlayed", value=value)

    def interrupt(self, now: float, fragment: str = "") -> Interrupted:
        event = self.receive(now, "interrupt", utteranceUntilInterrupt=fragment, durationUntilInterruptMs=100)
        assert isinstance(event, Interrupted)
        return event

    def key(self, now: float, digit: str = "1") -> int:
        return self.receive(now, "dtmf", digit=digit).number

    def say(self, now: float, *tokens: str, answers: int | None = None, preemptible: bool = False) -> int:
        cycle = self.session.begin(answers=answers)
        for token in tokens:
            if preemptible:
                self.session.send(cycle, Text(token=token, last=False, preemptible=True))
            else:
                self.session.say(cycle, token)
        self.session.finish(cycle)
        self.drain(now)
        return cycle

    def drain(self, now: float) -> None:
        while self.session.next_text(now) is not None:
            pass

    @property
    def playback(self) -> Playback:
        return self.session.playback

    @property
    def turns(self) -> list[Turn]:
        return list(self.session.transcript.turns())

    @property
    def heard(self) -> Heard:
        return [(turn.text, turn.sent) for turn in self.turns if turn.who == "agent"]


LONG = "Your parcel left the depot this morning. It will be with you before noon: the driver has your number."


# ------------------------------------------------------------------------------- heard, full mode


def test_segments_move_the_pointer_whatever_the_spaces() -> None:
    call = Call()
    call.say(1.0, "Your parcel", " left.", "  It will", "\ncome ", "at noon: sharp.")
    call.on(1.3)
    call.played(2.0, "Your parcel left.")
    assert call.heard == [("Your parcel left.", "Your parcel left.  It will\ncome at noon: sharp.")]
    call.played(3.0, " It will come at noon:")
    assert call.heard == [
        ("Your parcel left.  It will\ncome at noon:", "Your parcel left.  It will\ncome at noon: sharp.")
    ]
    call.played(4.0, " sharp.")
    assert call.heard == [("Your parcel left.  It will\ncome at noon: sharp.", None)]
    assert not call.turns[0].estimated


def test_a_fragment_reported_twice_counts_once() -> None:
    call = Call()
    call.say(1.0, LONG)
    call.on(1.3)
    call.played(3.0, "Your parcel left the depot this morning.")
    call.played(4.0, "It will be")
    event = call.interrupt(4.0, "It will be")
    assert event.heard == "Your parcel left the depot this morning. It will be"
    assert call.heard == [(event.heard, LONG)]
    assert not call.turns[0].estimated


def test_a_fragment_that_repeats_counts_once_too() -> None:
    call = Call()
    call.say(1.0, "No. No. No. No.")
    call.played(2.0, "No.")
    call.played(3.0, " No.")
    assert call.interrupt(3.0, "No.").heard == "No. No."


def test_an_interrupt_long_after_a_report_tells_a_new_fragment() -> None:
    call = Call()
    call.say(1.0, "No. No. No. No.")
    call.played(2.0, "No.")
    assert call.interrupt(2.6, "No.").heard == "No. No."


@pytest.mark.parametrize("first_report_of_all", [True, False])
def test_the_interrupt_may_come_before_its_twin(first_report_of_all: bool) -> None:
    call = Call()
    call.say(1.0, LONG)
    call.on(1.3)
    heard = "Your parcel left the"
    if not first_report_of_all:
        call.played(3.0, "Your parcel left the depot this morning.")
        heard = "Your parcel left the depot this morning. It will be"
    fragment = "It will be" if not first_report_of_all else heard
    assert call.interrupt(4.0, fragment).heard == heard
    call.played(4.0, fragment)
    call.off(4.002)
    assert call.heard == [(heard, LONG)]
    call.say(5.0, "It will be a red van.")
    call.on(5.3)
    call.played(6.0, "It will be a red van.")
    assert call.heard == [(heard, LONG), ("It will be a red van.", None)]


def test_a_report_behind_an_interrupt_that_told_nothing_still_counts() -> None:
    call = Call()
    call.say(1.0, LONG)
    call.played(3.0, "Your parcel left the depot this morning.")
    call.interrupt(4.0, "")
    call.played(4.001, "It will")
    call.off(4.002)
    call.played(9.0, "be with you")
    assert call.heard == [("Your parcel left the depot this morning. It will", LONG)]


def test_a_fragment_reported_twice_counts_once_where_the_network_holds_up_the_second() -> None:
    call = Call()
    call.say(1.0, "Yes, you are right.")
    call.say(1.1, "Yes, you are right.")
    call.on(1.3)
    call.played(2.0, "Yes, you", "Yes, you")  # and a duplicated frame
    call.interrupt(3.4, "Yes, you")
    assert [text for text, _ in call.heard] == ["Yes, you", ""]


def test_words_that_were_on_their_way_when_the_rest_was_cut_are_heard_all_the_same() -> None:
    call = Call()
    call.say(1.0, "Press zero for a person, ", "or tell me how I can help.", answers=1)
    call.on(1.3)
    call.played(2.0, "Press zero")
    call.interrupt(2.0, "Press zero")
    call.off(2.002)
    call.say(2.1, "Yes? How can I help?")
    call.on(2.9)  # Twilio takes what came too late for a talk cycle of its own
    call.played(3.5, "or tell me how I can help.")
    call.played(4.5, "Yes?")
    assert [text for text, _ in call.heard] == ["Press zero or tell me how I can help.", "Yes?"]


def test_an_interrupt_with_nothing_heard_leaves_a_turn_without_words() -> None:
    call = Call()
    call.say(0.5, "Hello.")
    call.played(1.5, "Hello.")
    call.say(2.0, LONG)
    event = call.interrupt(2.1, "")
    assert (event.heard, call.heard[1]) == ("", ("", LONG))


def test_only_the_interrupt_reports_the_fragment() -> None:
    call = Call()
    call.say(1.0, LONG)
    call.played(3.0, "Your parcel left the depot this morning.")
    assert call.interrupt(4.0, "It will be").heard == "Your parcel left the depot this morning. It will be"


def test_late_and_doubled_reports_change_nothing() -> None:
    call = Call()
    call.say(1.0, "One moment. Your parcel is here. ", "Anything else?")
    call.played(2.0, "One moment.", "One moment.")
    call.played(3.0, " Your parcel is here.")
    call.played(3.0, "One moment.", "", " \n", "never sent by us")
    assert call.heard[0][0] == "One moment. Your parcel is here."
    assert call.playback.greeting is None


def test_a_doubled_report_is_not_looked_for_further_on() -> None:
    call = Call()
    call.say(1.0, "One moment please. I am looking. One moment please.")
    call.played(2.0, "One moment please.", "One moment please.")
    assert call.heard[0][0] == "One moment please."


def test_repeated_words_are_counted_as_often_as_they_are_played() -> None:
    call = Call()
    call.say(1.0, "I heard:", " Stop. Stop. Stop.", " Bye.")
    call.played(2.0, "I heard:")
    for now, count in ((2.6, 1), (3.2, 2), (3.8, 3)):
        call.played(now, " Stop.")
        assert call.heard[0][0] == "I heard:" + " Stop." * count
    call.played(4.4, " Bye.")
    assert call.heard == [("I heard: Stop. Stop. Stop. Bye.", None)]


def test_one_report_may_span_two_cycles() -> None:
    call = Call()
    call.say(1.0, "Well, ")
    call.say(1.1, "hello there. How are you?")
    call.played(3.0, "Well, hello there.")
    assert call.heard == [("Well, ", None), ("hello there.", "hello there. How are you?")]
    call.played(4.0, " How are you?")
    assert call.heard[1] == ("hello there. How are you?", None)


def test_two_queued_cycles_are_cut_together() -> None:
    call = Call()
    call.say(1.0, "First answer. With more.")
    call.say(1.1, "Second answer.")
    call.played(2.0, "First answer.", " With")
    event = call.interrupt(2.0, "With")
    assert event.heard == "First answer. With"
    assert call.heard == [("First answer. With", "First answer. With more."), ("", "Second answer.")]


def test_text_that_sounds_otherwise_than_it_was_sent_loses_only_itself() -> None:
    call = Call()
    call.say(1.0, "Hello there. ", 'It costs <break time="1s"/> $5. ', "Is that all right? ", "Good.")
    call.played(2.0, "Hello there.")
    call.played(4.0, "It costs five dollars.")
    assert call.heard[0][0] == "Hello there."
    call.played(5.0, " Is that all right?")
    call.played(5.5, " Good.")
    assert call.heard[0][1] is None
    assert call.playback.done(5.5)


def test_control_characters_are_not_sent_and_lone_surrogates_are_not_compared() -> None:
    call = Call()
    call.say(1.0, "a\x07b \ud800c.", " d\u0085e.")
    call.played(2.0, "ab \ufffdc.", "de.")
    assert call.heard == [("ab \ufffdc. d e.", None)]
    assert call.playback.done(2.0)


# ------------------------------------------------------------------------------------- preemption


def test_preempted_speech_keeps_what_was_heard_of_it() -> None:
    call = Call()
    call.say(1.0, "Please hold. ", "I am still looking for it.", preemptible=True)
    call.on(1.3)
    call.played(2.0, "Please hold.")
    call.say(2.5, "Found it.")
    call.played(2.6, "I am still")
    call.played(3.5, "Found it.")
    call.off(3.5)
    assert call.heard == [
        ("Please hold. I am still", "Please hold. I am still looking for it."),
        ("Found it.", None),
    ]
    assert call.playback.done(3.5)


@pytest.mark.parametrize("by", ["report", "interrupt"])
def test_preempted_speech_does_not_take_the_same_words_of_what_preempted_it(by: str) -> None:
    call = Call()
    call.say(1.0, "Please hold. Please hold.", preemptible=True)
    call.on(1.3)
    call.played(2.0, "Please hold.")
    call.say(2.1, "Please hold. It is found.")
    if by == "report":
        call.played(3.2, "Please hold.")
    else:
        assert call.interrupt(3.2, "Please hold.").heard == "Please hold. Please hold."
    assert [text for text, _ in call.heard] == ["Please hold.", "Please hold."]


def test_preempted_before_a_word_of_it_sounded() -> None:
    call = Call()
    call.say(1.0, "Please hold.", preemptible=True)
    call.say(1.1, "Found it.")
    call.on(1.5)
    call.played(2.5, "Found it.")
    assert call.heard == [("", "Please hold."), ("Found it.", None)]


def test_a_filler_and_the_answer_in_one_cycle() -> None:
    for filler_heard in ("One moment,", "One moment, please."):
        call = Call()
        cycle = call.session.begin()
        call.session.send(cycle, Text(token="One moment, please. ", last=False, preemptible=True))
        call.drain(1.0)
        call.session.say(cycle, "Here it is.")
        call.session.finish(cycle)
        call.drain(3.0)
        call.played(3.1, filler_heard)
        call.played(4.0, "Here it is.")
        assert [text.strip() for text, _ in call.heard] == [filler_heard, "Here it is."]
        assert call.playback.done(4.0)


def test_what_was_estimated_of_a_filler_gives_way_to_the_first_report() -> None:
    call = Call()
    call.say(1.0, "One moment, please.", preemptible=True)
    call.say(1.2, "Found it.")
    call.played(2.3, "One moment,")
    call.played(3.0, "Found it.")
    assert call.heard == [("One moment,", "One moment, please."), ("Found it.", None)]
    assert not any(turn.estimated for turn in call.turns)


# --------------------------------------------------------------------------------------- greeting


def test_what_we_never_sent_before_our_first_word_is_the_greeting() -> None:
    call = Call()
    call.on(0.7)
    call.played(3.2, "Welcome to the desk.")
    call.off(3.2)
    call.say(5.0, "Yes?")
    call.played(6.0, "Yes?")
    assert call.heard == [("Welcome to the desk.", None), ("Yes?", None)]
    assert call.turns[0].at_ms == 700
    assert not call.turns[0].estimated


def test_without_speaker_events_too_and_before_what_was_sent_meanwhile() -> None:
    call = Call()
    call.say(0.0, "First the news.")
    call.played(3.2, "Welcome to the desk.")
    call.played(4.5, "First the news.")
    call.played(5.0, "And what nobody sent.")
    assert call.heard == [("Welcome to the desk.", None), ("First the news.", None)]


def test_only_the_first_text_that_is_not_ours_is_a_greeting_without_speaker_events() -> None:
    call = Call()
    call.say(0.0, "It is $5.")
    call.played(2.0, "Welcome.")
    call.played(4.0, "It is five dollars.")
    assert [text for text, _ in call.heard] == ["Welcome.", ""]


def test_a_greeting_in_segments_is_one_turn() -> None:
    call = Call()
    call.on(0.7)
    call.say(0.8, "Now then.")
    call.played(2.0, "Welcome.")
    call.played(3.0, " How can I help?")
    call.played(4.0, "Now then.")
    assert call.heard == [("Welcome. How can I help?", None), ("Now then.", None)]


@pytest.mark.parametrize("order", ["report first", "interrupt first"])
def test_an_interrupted_greeting_is_as_long_as_it_was_heard(order: str) -> None:
    call = Call()
    call.on(0.7)
    call.say(0.8, "Welcome to the news.")
    reports = [lambda: call.played(1.5, "Welcome to"), lambda: call.interrupt(1.5, "Welcome to")]
    for report in reports if order == "report first" else reversed(reports):
        report()
    call.off(1.502)
    assert call.heard == [("Welcome to", None), ("", "Welcome to the news.")]


# ------------------------------------------------------------------------------ keys and their digits


def test_a_key_cuts_the_greeting_and_its_answer_goes_on() -> None:
    call = Call()
    call.on(0.7)
    number = call.key(1.0, "9")
    call.say(1.0, "Nine", ".", answers=number)
    call.played(1.001, "Welcome")
    assert call.interrupt(1.001, "Welcome").cut == frozenset()
    call.off(1.003)
    assert not call.playback.done(1.003)
    call.on(1.4)
    call.played(2.0, "Nine.")
    call.off(2.0)
    assert call.heard == [("Welcome", None), ("Nine.", None)]
    assert call.playback.done(2.0)


def test_the_interrupt_of_a_key_may_be_late_where_events_tell_that_nobody_spoke() -> None:
    call = Call()
    call.say(1.0, LONG)
    call.on(1.3)
    number = call.key(2.0)
    call.say(2.1, "You pressed one.", answers=number)
    call.played(3.4, "Your parcel")
    assert call.interrupt(3.4, "Your parcel").before == number
    call.played(5.0, "You pressed one.")
    assert [text for text, _ in call.heard] == ["Your parcel", "You pressed one."]


@pytest.mark.parametrize("sound", ["agentSpeaking", "clientSpeaking"])
def test_an_interrupt_behind_a_voice_is_not_the_keys(sound: str) -> None:
    call = Call()
    call.on(0.3)
    number = call.key(2.0)
    call.receive(2.15, "info", name=sound, value="on")
    assert call.interrupt(2.15).before > number


def test_a_key_cuts_the_reply_before_and_its_answer_goes_on() -> None:
    call = Call()
    call.say(0.5, LONG)
    call.on(0.8)
    number = call.key(2.0)
    call.say(2.0, "Your parcel is number one.", answers=number)
    call.played(2.001, "Your parcel")
    assert call.interrupt(2.001, "Your parcel").heard == "Your parcel"
    call.off(2.003)
    call.on(2.4)
    call.played(4.0, "Your parcel is number one.")
    assert call.heard == [("Your parcel", LONG), ("Your parcel is number one.", None)]


def test_digits_play_in_their_turn() -> None:
    call = Call()
    call.say(1.0, "12 is your number.")
    cycle = call.session.begin()
    call.session.send(cycle, SendDigits(digits="12"))
    call.session.finish(cycle)
    call.drain(1.0)
    call.say(1.0, "12 it was.")
    call.on(1.3)
    call.played(2.0, "12 is your number.")
    call.off(2.0)
    call.played(3.0, "12")
    assert [turn.digits for turn in call.turns] == [None, "12", None]
    assert call.heard[2] == ("", "12 it was.")
    call.on(3.3)
    call.played(4.0, "12 it was.")
    assert call.playback.done(4.0)


def test_digits_that_sound_prove_that_the_speech_before_them_is_over() -> None:
    call = Call()
    call.say(1.0, "Hello.")
    call.say(1.1, "It is $5.")
    cycle = call.session.begin()
    call.session.send(cycle, SendDigits(digits="12"))
    call.session.finish(cycle)
    call.drain(1.2)
    call.played(2.0, "Hello.")
    call.played(3.0, "It is five dollars.")
    assert not call.playback.done(3.0)
    call.played(4.0, "12")
    assert call.playback.done(4.0)
    assert [text for text, _ in call.heard][:2] == ["Hello.", "It is $5."]


def test_digits_purged_by_a_barge_in_were_not_played() -> None:
    call = Call()
    call.say(1.0, LONG)
    cycle = call.session.begin()
    call.session.send(cycle, SendDigits(digits="12"))
    call.drain(1.0)
    call.played(2.0, "Your parcel")
    call.interrupt(2.0, "Your parcel")
    assert [turn.digits for turn in call.turns] == [None]
    assert call.playback.done(2.0)


def test_digits_that_answer_a_key_outlive_its_interrupt() -> None:
    call = Call()
    call.say(0.5, LONG)
    call.played(1.9, "Your parcel left the depot this morning.")
    cycle = call.session.begin(answers=call.key(2.0))
    call.session.send(cycle, SendDigits(digits="12"))
    call.session.finish(cycle)
    call.drain(2.0)
    call.interrupt(2.001, "")
    assert not call.playback.done(2.001)
    call.played(4.0, "12")
    assert call.playback.done(4.0)
    assert [turn.digits for turn in call.turns] == [None, "1", "12"]


def test_the_callers_keys_are_one_turn_until_the_agent_speaks() -> None:
    call = Call()
    for now, digit in ((1.0, "1"), (1.2, "2"), (3.0, "#")):
        call.key(now, digit)
    call.say(4.0, "Thanks.")
    call.key(5.0, "9")
    call.session.transcript.hide_keys = True
    call.key(5.1, "4")
    assert [turn.digits for turn in call.turns if turn.who == "caller"] == ["12#", "9" + HIDDEN_KEY]


def test_what_is_sent_at_the_instant_of_a_prompt_answers_it() -> None:
    call = Call()
    call.receive(2.0, "prompt", voicePrompt="Hello?")
    call.say(2.0, "Yes?")
    assert [turn.text for turn in call.turns] == ["Hello?", "Yes?"]


# ---------------------------------------------------------------------------- heard, widget mode


def test_a_fragment_is_found_and_all_before_it_was_heard() -> None:
    call = Call()
    call.say(1.0, LONG)
    event = call.interrupt(5.0, "It will be")
    assert event.heard == "Your parcel left the depot this morning. It will be"
    assert call.heard == [(event.heard, LONG)]
    assert call.turns[0].estimated


@pytest.mark.parametrize(("now", "times"), [(1.7, 1), (4.0, 4), (6.9, 8)])
def test_a_repeated_fragment_is_taken_near_the_predicted_point(now: float, times: int) -> None:
    """A segment of five characters takes about 0.6 s, after a start of 0.33 s."""
    call = Call()
    call.say(1.0, "Stop." + " Stop." * 9)
    assert abs(call.interrupt(now, "Stop.").heard.count("Stop.") - times) <= 1


def test_a_fragment_begins_a_segment_if_any_place_allows_it() -> None:
    call = Call()
    call.say(1.0, "We said the parcel comes, the parcel is late. The parcel is here, the end.")
    assert call.interrupt(3.0, "The parcel").heard.endswith("late. The parcel")
    call.say(5.0, "First of all, we said the parcel is late, the parcel is here.")
    assert call.interrupt(6.0, "the parcel is").heard.endswith("late, the parcel is")


@pytest.mark.parametrize("now", [1.0, 1.2, 2.0, 3.3, 4.0, 6.0])
def test_an_empty_fragment_cuts_at_the_predicted_point_behind_a_word(now: float) -> None:
    call = Call()
    call.say(1.0, LONG)
    heard = call.interrupt(now).heard
    assert LONG.startswith(heard)
    assert heard == "" or LONG[len(heard)] == " "
    expected = max(0.0, (now - 1.0 - 0.33)) * 17
    assert abs(len(heard) - expected) <= 14
    assert call.heard == [(heard, LONG)]
    assert call.turns[0].estimated


def test_what_is_not_in_our_words_cuts_at_the_predicted_point() -> None:
    call = Call()
    call.say(0.5, "Good morning.")
    call.interrupt(1.4, "Good morning.")
    call.say(2.0, LONG)
    heard = call.interrupt(4.0, "five dollars and").heard
    assert heard
    assert LONG.startswith(heard)


def test_words_before_our_own_are_the_greeting_by_estimate() -> None:
    call = Call()
    call.say(0.1, LONG)
    assert call.interrupt(1.5, "Welcome to the").heard == ""
    assert call.heard == [("Welcome to the", None), ("", LONG)]
    assert call.turns[0].estimated


def test_an_interrupted_greeting_before_we_said_anything() -> None:
    call = Call()
    call.interrupt(1.5, "Welcome to the")
    call.say(3.0, "Yes?")
    assert call.heard == [("Welcome to the", None), ("Yes?", None)]


def test_a_slow_voice_may_still_be_at_the_reply_before() -> None:
    call = Call()
    call.say(1.0, "This is a rather slow voice.")
    call.say(4.0, "Are you still there?")
    event = call.interrupt(4.1, "This is a rather slow")
    assert event.heard == "This is a rather slow"
    assert call.heard == [("This is a rather slow", "This is a rather slow voice."), ("", "Are you still there?")]


def test_a_pause_within_a_reply_delays_what_follows() -> None:
    call = Call()
    cycle = call.session.begin()
    call.session.say(cycle, "Let me look. ")
    call.drain(1.0)
    call.session.say(cycle, LONG)
    call.drain(9.0)
    assert call.interrupt(9.2).heard == "Let me look."
    assert call.heard == [("Let me look.", f"Let me look. {LONG}")]


def test_a_second_interrupt_cuts_only_what_came_since() -> None:
    call = Call()
    call.say(1.0, LONG)
    call.interrupt(3.0, "Your parcel")
    call.say(5.0, "Your parcel is here. Shall I go on?")
    assert call.interrupt(7.0, "Shall I").heard == "Your parcel is here. Shall I"
    assert call.interrupt(7.1, "Shall I").heard == ""
    assert [text for text, _ in call.heard] == ["Your parcel", "Your parcel is here. Shall I"]


def test_a_preemptible_filler_ends_with_the_answer() -> None:
    call = Call()
    call.say(1.0, LONG, preemptible=True)
    call.say(3.0, "Found it.")
    filler, answer = call.heard
    assert filler[1] == LONG
    assert 10 <= len(filler[0]) <= 50
    assert answer == ("Found it.", None)
    assert call.playback.due(3.0) == pytest.approx(3.0 + START_SECONDS + SECONDS_PER_CHARACTER * len("Found it."))


def test_a_filler_that_was_over_is_not_cut_by_the_answer() -> None:
    call = Call()
    call.say(1.0, "One moment.", preemptible=True)
    call.say(9.0, "Found it.")
    assert call.heard == [("One moment.", None), ("Found it.", None)]


def test_a_hang_up_ends_what_was_heard() -> None:
    call = Call()
    call.say(1.0, "Hello.")
    call.say(9.0, LONG)
    call.session.receive_close(1000, "", 11.0)
    hello, rest = call.heard
    assert hello == ("Hello.", None)
    assert rest[1] == LONG
    assert LONG.startswith(rest[0])
    assert 15 <= len(rest[0]) <= 45


def test_a_hang_up_when_all_is_over_cuts_nothing() -> None:
    call = Call()
    call.say(1.0, LONG)
    call.session.receive_close(1000, "", 30.0)
    assert call.heard == [(LONG, None)]


def test_without_played_text_speaker_events_leave_words_to_the_estimate() -> None:
    call = Call()
    call.say(1.0, LONG)
    call.on(1.3)
    assert call.interrupt(4.0, "It will be").heard == "Your parcel left the depot this morning. It will be"
    assert call.turns[0].estimated


# -------------------------------------------------------------------------------- due, no events


def test_nothing_said_is_over_at_once() -> None:
    assert Call().playback.done(0.0)


def test_without_events_the_estimate_counts_from_the_first_token() -> None:
    call = Call()
    call.say(1.0, "Good", "bye", ".")
    due = 1.0 + START_SECONDS + SECONDS_PER_CHARACTER * len("Goodbye.")
    assert call.playback.due(1.0) == pytest.approx(due)
    assert not call.playback.done(due - 0.01)
    assert call.playback.done(due + 0.01)
    assert not call.playback.certain


def test_cycles_behind_each_other_add_up_and_a_silence_starts_anew() -> None:
    call = Call()
    call.say(1.0, "x" * 100)
    call.say(3.0, "y" * 10)
    assert call.playback.due(3.0) == pytest.approx(1.0 + 0.6 + 0.065 * 110)
    call.say(20.0, "z" * 10)
    assert call.playback.due(20.0) == pytest.approx(20.0 + 0.6 + 0.065 * 10)


def test_tones_take_their_time_too() -> None:
    call = Call()
    cycle = call.session.begin()
    call.session.send(cycle, SendDigits(digits="1234#"))
    call.drain(1.0)
    due = call.playback.due(1.0)
    assert due is not None
    assert 2.9 <= due <= 4.0


def test_after_a_barge_in_nothing_is_left_to_wait_for() -> None:
    call = Call()
    call.say(1.0, LONG)
    call.interrupt(2.0, "Your parcel")
    assert call.playback.due(2.0) == 2.0


# ------------------------------------------------------------------------------- due, with events


def test_with_both_kinds_of_events_the_last_played_word_decides() -> None:
    call = Call()
    call.say(1.0, "One. Two.")
    call.on(1.3)
    assert call.playback.due(1.3) is None
    call.played(2.0, "One.")
    assert call.playback.due(100.0) is None
    call.played(3.0, " Two.")
    assert call.playback.done(3.0)
    call.off(3.0)
    assert call.playback.done(3.0)
    assert call.playback.state is Playing.IDLE


def test_of_two_queued_cycles_the_second_is_waited_for_though_sound_stopped_between() -> None:
    call = Call()
    call.say(1.0, "One.")
    call.say(1.1, "Two.")
    call.on(1.3)
    call.played(3.0, "One.")
    call.off(3.0)
    assert not call.playback.done(3.1)
    call.on(3.3)
    call.played(4.0, "Two.")
    assert call.playback.done(4.0)


def test_speech_after_silence_is_given_time_to_begin_but_not_for_ever() -> None:
    call = Call()
    call.on(0.7)
    call.played(3.0, "Welcome.")
    call.off(3.0)
    call.say(10.0, "Bye.")
    due = call.playback.due(10.0)
    assert due is not None
    assert 10.5 < due <= 14.5  # the network may be slow both ways
    call.on(10.4)
    assert call.playback.due(10.4) is None


def test_speaker_events_alone_end_with_the_sound() -> None:
    call = Call()
    call.say(1.0, "Good", "bye.")
    call.on(1.3)
    assert call.playback.due(60.0) is None
    call.off(2.0)
    assert call.playback.done(2.0)
    assert not call.playback.reported


@pytest.mark.parametrize("stops", [2.0, 6.0])
def test_speaker_events_alone_cannot_tell_whether_a_second_cycle_was_played(stops: float) -> None:
    call = Call()
    call.say(1.0, "Good.")
    call.on(1.3)
    call.say(1.5, "Bye.")
    call.off(stops)
    due = call.playback.due(stops)
    assert due is not None
    assert stops + 0.5 < due <= stops + 1.5
    call.on(stops + 0.3)
    assert call.playback.due(stops + 0.3) is None
    call.off(stops + 1.0)
    assert call.playback.done(stops + 2.5)


def test_speaker_events_alone_have_nothing_to_wait_for_behind_a_barge_in() -> None:
    call = Call()
    call.say(1.0, LONG)
    call.on(1.3)
    call.interrupt(2.0, "Your parcel")
    assert call.playback.done(2.0)


def test_speaker_events_alone_and_a_reply_that_was_still_streaming() -> None:
    call = Call()
    cycle = call.session.begin()
    call.session.say(cycle, "One. ")
    call.drain(1.0)
    call.on(1.3)
    call.session.say(cycle, "Two.")
    call.session.finish(cycle)
    call.drain(2.0)
    call.off(2.1)
    assert not call.playback.done(2.1)
    call.on(2.3)
    call.off(3.4)
    assert call.playback.done(3.4)


def test_speaker_events_alone_give_tones_their_time() -> None:
    call = Call()
    call.on(0.7)
    call.off(3.0)
    cycle = call.session.begin()
    call.session.send(cycle, SendDigits(digits="1234#"))
    call.drain(5.0)
    due = call.playback.due(5.0)
    assert due is not None
    assert due >= 5.0 + 2.2


def test_played_text_alone_ends_with_the_last_word() -> None:
    call = Call()
    call.say(1.0, "One. Two.")
    call.played(2.0, "One.")
    assert call.playback.due(2.0) is None
    call.played(3.0, " Two.")
    assert call.playback.done(3.0)


def test_played_text_alone_that_cannot_be_found_leaves_it_to_the_estimate() -> None:
    call = Call()
    call.say(1.0, "Hello. It is $5.")
    call.played(2.0, "Hello.")
    call.played(4.0, "It is five dollars.")
    assert call.playback.due(4.0) == pytest.approx(1.0 + 0.6 + 0.065 * len("Hello. It is $5."))


def test_events_that_stop_coming_leave_no_date() -> None:
    """Whoever waits has a limit of their own (END_WAIT_MAX_SECONDS)."""
    call = Call()
    call.say(1.0, LONG)
    call.on(1.3)
    call.played(3.0, "Your parcel left the depot this morning.")
    assert call.playback.due(1_000.0) is None
    assert not call.playback.done(1_000.0)


def test_unreadable_events_prove_nothing() -> None:
    call = Call()
    call.say(1.0, "Bye.")
    for name, value in [("agentSpeaking", "???"), ("agentSpeaking", True), ("tokensPlayed", None)]:
        call.receive(1.2, "info", name=name, value=value)
    call.receive(1.2, "info", name="roundTripDelayMs", value="120")
    call.receive(1.2, "info", name="clientSpeaking", value="on")
    assert not call.playback.certain


def test_nothing_is_left_after_a_barge_in_with_events() -> None:
    call = Call()
    call.say(1.0, LONG)
    call.on(1.3)
    call.played(2.0, "Your")
    call.interrupt(2.0, "Your")
    assert call.playback.done(2.0)
    call.off(2.002)
    assert call.playback.done(2.002)
