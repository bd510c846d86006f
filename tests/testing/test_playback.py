"""The playback queue: the timings and cuts that were recorded, without any recording."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay.testing.clauses import heard_of
from studio_relay.testing.playback import Leftovers, Playback, PlaybackEvent
from studio_relay.testing.rates import DrawnRates


def tell(queue: Playback, now: int, text: str, *, preemptible: bool = False, last: bool = True) -> list[PlaybackEvent]:
    events = []
    words = text.split(" ")
    for index, word in enumerate(words):
        token = (" " if index else "") + word
        closes = last and index == len(words) - 1
        events += queue.text(now, token, last=closes, preemptible=preemptible, interruptible="any")
    return events


def shown(events: list[PlaybackEvent]) -> list[tuple[str, str]]:
    return [(event.name, event.value) for event in events]


def test_a_greeting_is_one_segment_of_the_recorded_length() -> None:
    queue = Playback()
    queue.greet("This is the spike. Say something, or press a key.", at_ms=700, interruptible="any")
    on, played, off = queue.advance(10_000)
    assert (on.at_ms, off.at_ms) == (700, played.at_ms)
    assert 2561 <= played.at_ms - on.at_ms <= 2610


def test_segments_end_at_stops_and_keep_their_leading_space() -> None:
    queue = Playback()
    tell(queue, 0, "I heard: Stop. Stop. I am here now.")
    values = [event.value for event in queue.advance(60_000) if event.name == "tokensPlayed"]
    assert values == ["I heard:", " Stop.", " Stop.", " I am here now."]


def test_a_comma_far_into_a_segment_ends_it_and_keeps_its_space() -> None:
    queue = Playback()
    tell(queue, 0, "This reply is rather long before it has, a comma, and goes on after it without any stop")
    values = [event.value for event in queue.advance(60_000) if event.name == "tokensPlayed"]
    assert values[0] == "This reply is rather long before it has, "


def test_a_decimal_point_ends_no_segment() -> None:
    queue = Playback()
    tell(queue, 0, "That is 3.50 euro in all.")
    assert [e.value for e in queue.advance(60_000) if e.name == "tokensPlayed"] == ["That is 3.50 euro in all."]


def test_speech_starts_from_the_tokens_already_sent() -> None:
    queue = Playback()
    queue.text(0, "Let me see", last=False, preemptible=False, interruptible="any")
    on = queue.advance(300)
    assert shown(on) == [("agentSpeaking", "on")]
    queue.text(310, " about that.", last=True, preemptible=False, interruptible="any")
    assert shown(queue.advance(5000)) == [("tokensPlayed", "Let me see about that."), ("agentSpeaking", "off")]


def test_half_a_word_waits_for_its_other_half() -> None:
    queue = Playback()
    queue.text(0, "Hel", last=False, preemptible=False, interruptible="any")
    assert queue.advance(2000) == []
    queue.text(2000, "lo ", last=False, preemptible=False, interruptible="any")
    assert [(event.at_ms, event.value) for event in queue.advance(2000)] == [(2000, "on")]


def test_an_open_cycle_that_runs_dry_falls_silent_and_goes_on_later() -> None:
    queue = Playback()
    queue.text(0, "One moment. ", last=False, preemptible=False, interruptible="any")
    assert queue.advance(9000)[-1].value == "off"
    assert queue.unfinished
    queue.text(10_000, "Done.", last=True, preemptible=False, interruptible="any")
    assert shown(queue.advance(20_000)) == [
        ("agentSpeaking", "on"),
        ("tokensPlayed", " Done."),
        ("agentSpeaking", "off"),
    ]


def test_cycles_queue_without_a_gap() -> None:
    queue = Playback()
    tell(queue, 0, "First.")
    tell(queue, 10, "Second.")
    events = queue.advance(10_000)
    assert [value for _, value in shown(events)] == ["on", "First.", "Second.", "off"]


def test_preemptible_speech_is_cut_by_a_later_text_without_an_off() -> None:
    queue = Playback()
    tell(queue, 0, "A long filler that goes on and on and on.", preemptible=True)
    queue.advance(1000)
    cut = tell(queue, 1000, "Here it is.")
    assert [event.name for event in cut] == ["tokensPlayed"]
    assert "A long filler that goes on".startswith(cut[0].value)
    assert [value for _, value in shown(queue.advance(9000))] == ["Here it is.", "off"]


def test_preemptible_text_behind_a_plain_one_waits() -> None:
    queue = Playback()
    tell(queue, 0, "Plain words.")
    assert tell(queue, 300, "Marked.", preemptible=True) == []
    assert [e.value for e in queue.advance(9000) if e.name == "tokensPlayed"] == ["Plain words.", "Marked."]


def test_an_empty_closer_neither_speaks_nor_preempts() -> None:
    queue = Playback()
    tell(queue, 0, "A filler that is long enough.", preemptible=True)
    queue.advance(500)
    assert queue.text(500, "", last=True, preemptible=False, interruptible="any") == []
    assert [e.value for e in queue.advance(9000) if e.name == "tokensPlayed"] == ["A filler that is long enough."]


def test_a_barge_in_purges_the_queue_and_reports_the_fragment() -> None:
    queue = Playback()
    tell(queue, 0, "Sentence 1 of twelve: the fox. Sentence 2 of twelve: the dog.")
    tell(queue, 0, "Another cycle.")
    queue.advance(238 + 684)
    cut = queue.interrupt(238 + 684)
    assert cut.fragment == "Sentence 1 of"
    assert cut.duration_ms == 679
    assert queue.quiet
    assert queue.advance(60_000) == []
    assert [item.heard for item in queue.utterances] == ["Sentence 1 of", ""]


def test_text_after_a_barge_in_is_new_speech() -> None:
    queue = Playback()
    tell(queue, 0, "Hello there my friend.", last=False)
    queue.advance(400)
    queue.interrupt(400)
    tell(queue, 410, "Key 9.")
    assert [value for _, value in shown(queue.advance(9000))] == ["on", "Key 9.", "off"]


def test_digits_wait_for_silence_and_have_no_speaking_around_them() -> None:
    queue = Playback()
    tell(queue, 0, "Hold on.")
    queue.digits(300, "1234#")
    events = queue.advance(60_000)
    assert shown(events)[-2:] == [("agentSpeaking", "off"), ("tokensPlayed", "1234#")]
    assert events[-1].at_ms - events[-2].at_ms == 1910


def test_idle_digits_start_after_a_short_delay() -> None:
    queue = Playback()
    queue.digits(0, "1w")
    assert [(e.at_ms, e.value) for e in queue.advance(60_000)] == [(165 + 382 + 500, "1w")]


def test_an_uninterruptible_message_is_not_cut_by_anything() -> None:
    queue = Playback()
    queue.text(0, "Legal words.", last=True, preemptible=False, interruptible="none")
    queue.advance(400)
    assert not queue.interruptible_by("speech")
    assert not queue.interruptible_by("dtmf")


def test_the_moment_of_a_word_cuts_exactly_there() -> None:
    queue = Playback()
    tell(queue, 0, "One two three four five six seven.")
    queue.advance(300)
    moment = queue.word_moment(3)
    assert moment is not None
    assert queue.interrupt(moment).fragment == "One two three"


@given(text=st.text(min_size=1), share=st.floats(0, 1))
def test_what_was_heard_is_whole_words_of_the_text(text: str, share: float) -> None:
    heard = heard_of(text, round(share * 1000), 1000)
    assert text.lstrip().startswith(heard)
    assert heard.split() == text.split()[: len(heard.split())]


@given(
    tokens=st.lists(st.sampled_from(["Hello", " wor", "ld.", " ", "", ", and", " 3.", "50", "\n", "!"]), max_size=30),
    times=st.lists(st.integers(0, 900), min_size=30, max_size=30),
    seed=st.integers(0, 99),
)
def test_what_is_played_is_what_was_sent(tokens: list[str], times: list[int], seed: int) -> None:
    queue, now, played = Playback(rates=DrawnRates(seed)), 0, []
    for token, wait in zip(tokens, times, strict=False):
        now += wait
        played += queue.advance(now)
        queue.text(now, token, last=False, preemptible=False, interruptible="any")
    queue.text(now, "", last=True, preemptible=False, interruptible="any")
    played += queue.advance(now + 10_000_000)
    spoken = "".join(event.value for event in played if event.name == "tokensPlayed")
    assert "".join(spoken.split()) == "".join("".join(tokens).split())
    assert [e.at_ms for e in played] == sorted(e.at_ms for e in played)
    assert [e.value for e in played if e.name == "agentSpeaking"] == ["on", "off"] * (
        sum(e.name == "agentSpeaking" for e in played) // 2
    )
    assert queue.quiet


def cut_open_reply(leftovers: Leftovers) -> Playback:
    """A queue whose reply was cut after two words while it was still arriving; 31 characters of it came."""
    queue = Playback(leftovers=leftovers)
    tell(queue, 0, "One two three four five six sev", last=False)
    queue.advance(700)
    assert queue.interrupt(700).fragment == "One two three"
    return queue


def played(queue: Playback, now: int = 600_000) -> list[str]:
    return [event.value for event in queue.advance(now) if event.name == "tokensPlayed"]


def close(queue: Playback, now: int) -> None:
    queue.text(now, "", last=True, preemptible=False, interruptible="any")


@pytest.mark.parametrize("closer", [True, False])
def test_joined_leftovers_and_the_next_reply_are_one_stream(closer: bool) -> None:
    queue = cut_open_reply("joined")
    tell(queue, 710, "en eight nine", last=False)
    if closer:
        close(queue, 720)
    tell(queue, 900, " Good morning. And more.")
    assert played(queue) == ["en eight nine Good morning.", " And more."]
    assert [(item.sent, item.heard) for item in queue.utterances] == [
        ("One two three four five six sev", "One two three"),
        ("en eight nine Good morning. And more.", "en eight nine Good morning. And more."),
    ]


def test_joined_leftovers_that_are_being_spoken_take_the_next_reply_in() -> None:
    queue = cut_open_reply("joined")
    tell(queue, 710, "en eight nine", last=False)
    close(queue, 720)
    assert shown(queue.advance(1300)) == [("agentSpeaking", "on")]
    queue.text(1300, "te", last=False, preemptible=False, interruptible="any")  # shorter than what was begun
    queue.text(1310, "en. Good.", last=True, preemptible=False, interruptible="any")
    assert played(queue) == ["en eight nineteen.", " Good."]


def test_what_has_begun_to_be_spoken_is_spoken_whole_when_a_reopened_reply_stalls() -> None:
    queue = cut_open_reply("joined")
    tell(queue, 710, "en eight nine", last=False)
    close(queue, 720)
    queue.advance(1300)
    queue.text(1300, "te", last=False, preemptible=False, interruptible="any")
    events = queue.advance(9000)
    assert [event.value for event in events] == ["en eight nine", "off"]
    assert events[0].at_ms > 1300
    queue.text(9000, "en.", last=True, preemptible=False, interruptible="any")
    assert played(queue) == ["teen."]


def test_joined_leftovers_played_to_their_end_are_an_utterance_of_their_own() -> None:
    queue = cut_open_reply("joined")
    tell(queue, 710, "en eight nine", last=False)
    close(queue, 720)
    assert played(queue, 5000) == ["en eight nine"]
    tell(queue, 5000, "Good morning.")
    assert played(queue) == ["Good morning."]
    assert [item.sent for item in queue.utterances][1:] == ["en eight nine", "Good morning."]


def test_only_the_next_reply_joins_the_leftovers() -> None:
    queue = cut_open_reply("joined")
    tell(queue, 710, "en eight", last=False)
    close(queue, 720)
    tell(queue, 730, " Good")
    tell(queue, 740, " morning.")
    assert played(queue) == ["en eight Good", " morning."]


def test_a_reply_does_not_join_leftovers_over_what_waits_between_them() -> None:
    queue = cut_open_reply("joined")
    tell(queue, 710, "en eight", last=False)
    close(queue, 720)
    queue.digits(730, "1")
    tell(queue, 740, "Good morning.")
    assert played(queue) == ["en eight", "1", "Good morning."]


def test_the_words_of_a_disclosure_protect_the_leftovers_they_join() -> None:
    queue = cut_open_reply("joined")
    tell(queue, 710, "en eight", last=False)
    close(queue, 720)
    queue.text(730, " Legal words.", last=True, preemptible=False, interruptible="none")
    queue.advance(1200)
    assert queue.speaking
    assert not queue.interruptible_by("speech")


def test_apart_leftovers_are_an_utterance_of_their_own() -> None:
    queue = cut_open_reply("apart")
    tell(queue, 710, "en eight nine", last=False)
    close(queue, 720)
    tell(queue, 730, "Good morning.")
    assert played(queue) == ["en eight nine", "Good morning."]


def test_dropped_leftovers_are_not_spoken() -> None:
    queue = cut_open_reply("dropped")
    tell(queue, 710, "en eight nine", last=False)
    close(queue, 720)
    tell(queue, 730, "Good morning.")
    assert played(queue) == ["Good morning."]


def test_without_a_closer_the_next_reply_is_dropped_with_the_leftovers() -> None:
    queue = cut_open_reply("dropped")
    tell(queue, 710, "en eight nine", last=False)
    tell(queue, 730, "Good morning.")
    tell(queue, 740, "Hello?")
    assert played(queue) == ["Hello?"]


@pytest.mark.parametrize("leftovers", get_args(Leftovers))
def test_of_a_reply_that_was_closed_nothing_is_left_over(leftovers: Leftovers) -> None:
    queue = Playback(leftovers=leftovers)
    tell(queue, 0, "One two three four five six seven.")
    queue.advance(700)
    queue.interrupt(700)
    tell(queue, 710, "Good morning.")
    tell(queue, 720, "Again.")
    assert played(queue) == ["Good morning.", "Again."]


@pytest.mark.parametrize("leftovers", get_args(Leftovers))
def test_silence_cannot_be_cut_so_a_reply_that_ran_dry_leaves_nothing_over(leftovers: Leftovers) -> None:
    queue = Playback(leftovers=leftovers)
    tell(queue, 0, "One moment. ", last=False)
    queue.advance(9000)
    assert not queue.interruptible_by("speech")
    tell(queue, 9000, "Done.")
    assert played(queue) == [" Done."]


@pytest.mark.parametrize("leftovers", get_args(Leftovers))
def test_an_open_reply_that_a_newer_one_preempts_is_no_barge_in(leftovers: Leftovers) -> None:
    queue = Playback(leftovers=leftovers)
    tell(queue, 0, "A filler that goes on and on and", preemptible=True, last=False)
    queue.advance(900)
    queue.play(900, "https://media.example.com/a.mp3", loop=1, preemptible=False, interruptible="any")
    tell(queue, 910, "more words.")
    assert played(queue) == ["more words."]


@given(
    pieces=st.lists(st.sampled_from(["Hello", " wor", "ld.", " ", "", ", and", " 3.", "END", "CUT"]), max_size=40),
    waits=st.lists(st.integers(0, 700), min_size=40, max_size=40),
    leftovers=st.sampled_from(get_args(Leftovers)),
)
def test_every_character_heard_is_one_of_the_frame_that_brought_it(
    pieces: list[str], waits: list[int], leftovers: Leftovers
) -> None:
    queue, now, sent, told = Playback(leftovers=leftovers), 0, list[str](), list[PlaybackEvent]()
    for piece, wait in zip(pieces, waits, strict=False):
        now += wait
        told += queue.advance(now)
        if piece == "CUT":
            if queue.interruptible_by("speech"):
                fragment = queue.interrupt(now).fragment
                told += [PlaybackEvent(at_ms=now, name="tokensPlayed", value=fragment)]
        else:
            token = "" if piece == "END" else piece
            queue.text(now, token, last=piece == "END", preemptible=False, interruptible="any")
            sent.append(token)
    by_now = list(told)
    told += queue.advance(now + 10_000_000)
    heard = queue.heard_by_frame()
    assert all(sent[number].startswith(part) for number, part in heard.items())
    assert list(heard) == sorted(heard)
    assert squeezed(heard) == reported(told)
    assert squeezed(queue.heard_by_frame(now)) == reported(by_now)
    assert [e.at_ms for e in told] == sorted(e.at_ms for e in told)


def squeezed(heard: dict[int, str]) -> str:
    return "".join("".join(heard.values()).split())


def reported(events: list[PlaybackEvent]) -> str:
    return "".join("".join(event.value for event in events if event.name == "tokensPlayed").split())


def play_for(queue: Playback, source: str, *, loop: int = 1) -> int:
    """How long the media was audible."""
    queue.play(0, source, loop=loop, preemptible=False, interruptible="any")
    on, off = queue.advance(100_000_000)
    return off.at_ms - on.at_ms


def test_media_takes_as_long_as_it_is_whatever_its_url() -> None:
    short, long = "https://example.com/a.mp3", "https://media.example.com/" + "on-hold-" * 30 + ".mp3"
    assert play_for(Playback(), short) == play_for(Playback(), long) == 3000
    assert play_for(Playback(media_ms={long: 700}), long, loop=3) == 2100
    drawn = [play_for(Playback(rates=DrawnRates(seed)), short) for seed in range(20)]
    assert all(1000 <= ms <= 8000 for ms in drawn)
    assert len(set(drawn)) > 15
    assert play_for(Playback(rates=DrawnRates(3)), short) == drawn[3]
