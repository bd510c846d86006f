"""Text as it goes out: nothing that is no speech, and no grapheme in two pieces."""

from __future__ import annotations

import json
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from studio_relay.protocol.messages import Text, dump
from studio_relay.protocol.session import Session, SessionOptions
from studio_relay.protocol.text import is_border, is_sendable, sendable, split

ANY_TEXT = st.text(st.characters(codec=None))  # lone surrogates included
TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u206a\u206f"
WILD = st.text(
    st.characters(codec=None)
    | st.sampled_from("\x00\x07\x0b\x0c\r\n\t\x1b\x1f\x7f\x85\x9f\u200b\u200c\u200d\ud83d\ude00ab ")
    | st.sampled_from(TURNING),
    max_size=20,
)
# One of each kind of grapheme that has a place where it could be cut.
GRAPHEMES = {
    "accent": "e\u0301",
    "many accents": "o\u0308\u0332\u20dd",
    "vowel sign": "\u0915\u093f",
    "conjunct": "\u0915\u094d\u0937",
    "thai sara am": "\u0e19\u0e49\u0e33",
    "family": "👩\u200d👩\u200d👧\u200d👦",
    "skin": "👍🏽",
    "heart": "❤\ufe0f",
    "keycap": "1\ufe0f\u20e3",
    "flag": "🇸🇪",
    "flag of tags": "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "jamo": "\u1112\u1161\u11ab",
    "syllable and jamo": "\uac00\u11a8",
    "half-width kana": "ｶﾞ",
    "line end": "\r\n",
    "joined letters": "\u06cc\u200c",
    "space with accent": " \u0301",
    "number sign": "\u0600\u0661",
}


@given(WILD)
@example("a\r\nb\rc\x0bd\x1fe\x00f\u202eg\u200dh")
def test_what_is_sent_holds_no_control_and_turns_no_text(text: str) -> None:
    sent = sendable(text)
    sent.encode()
    assert is_sendable(sent)
    assert not [c for c in sent if (unicodedata.category(c) == "Cc" and c not in "\t\n") or c in TURNING]
    assert sendable(sent) == sent
    assert is_sendable(text) == (sent == text)


@given(WILD)
def test_nothing_else_is_taken_away(text: str) -> None:
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    kept = [c for c in whole if not (unicodedata.category(c) == "Cc" or c in TURNING)]
    assert [c for c in sendable(text) if c not in "\t\n "] == [c for c in kept if c != " "]


def test_words_stay_apart_where_a_control_character_parted_them() -> None:
    assert sendable("a\r\nb\rc\x0bd\x0ce\x1ff\x85g\th\ni\x07j") == "a\nb\nc d e f g\th\nij"


def test_joiners_and_the_break_between_words_stay() -> None:
    for text in ("👩\u200d👧", "\u0645\u06cc\u200c\u062e", "\u0e01\u200b\u0e02", "a\u00adb"):
        assert sendable(text) == text


def tokens(session: Session) -> list[str]:
    return [json.loads(text)["token"] for text in iter(lambda: session.next_text(0.0), None)]


def open_session(**options: int) -> tuple[Session, int]:
    session = Session(SessionOptions(**options))
    session.receive_text('{"type":"setup","callSid":"CA1"}', 0.0)
    return session, session.begin()


@given(WILD)
def test_no_way_to_the_wire_lets_a_control_character_through(text: str) -> None:
    session, cycle = open_session()
    session.say(cycle, text)
    session.send(cycle, Text(token=text, last=False, lang="en"))
    sent = tokens(session)
    straight = session.speak(cycle, text, 0.0)
    if straight is not None:
        assert is_sendable(text)
        sent.append(json.loads(straight)["token"])
    assert sent == [sendable(text)] * len(sent)
    assert all(sent)  # a frame that would be empty is none
    assert session.playback.speeches[:1] == [] or session.playback.speeches[0].text == "".join(sent)
    assert json.loads(dump(Text(token=text, last=True)))["token"] == sendable(text)


def test_a_frame_with_nothing_left_in_it_is_not_sent() -> None:
    session, cycle = open_session()
    for token in ("", "\x00", "\u202e\x07"):
        session.say(cycle, token)
        session.send(cycle, Text(token=token, last=False, lang="sv-SE"))
        assert session.speak(cycle, token, 0.0) is None
    assert session.waiting == 0
    session.say(cycle, "Hi")
    assert tokens(session) == ["Hi"]


@pytest.mark.parametrize("text", ["\x1b", "a\x08b", "\x7f"])
def test_ascii_too_has_control_characters_and_they_do_not_go_straight_out(text: str) -> None:
    session, cycle = open_session()
    assert session.speak(cycle, text, 0.0) is None


@pytest.mark.parametrize("text", ["word ", "\n", "a\n\tb", "å", "声", "👍", "a\u200db"])
def test_what_needs_no_cleaning_goes_straight_out(text: str) -> None:
    session, cycle = open_session()
    straight = session.speak(cycle, text, 0.0)
    assert straight is not None
    assert json.loads(straight)["token"] == text


# ------------------------------------------------------------------------------------------ splitting


@pytest.mark.parametrize("grapheme", GRAPHEMES.values(), ids=GRAPHEMES)
def test_no_grapheme_is_cut(grapheme: str) -> None:
    size = len(grapheme.encode())
    for limit in (size, size + 1, 2 * size + 1, 3 * size):
        for text in (grapheme * 7, f"x{grapheme * 5}y", f"{'x' * (limit - 1)}{grapheme}"):
            pieces = split(text, limit)
            assert "".join(pieces) == text
            assert all(len(piece.encode()) <= limit for piece in pieces)
            assert sum(piece.count(grapheme) for piece in pieces) == text.count(grapheme)


@given(
    st.lists(st.sampled_from([*GRAPHEMES.values(), "a", "word ", "声", "네", "🇸🇪🇳🇴"]), max_size=40), st.integers(25, 60)
)
def test_any_text_of_graphemes_is_cut_between_them(graphemes: list[str], limit: int) -> None:
    text = "".join(graphemes)
    pieces = split(text, limit)
    assert "".join(pieces) == text
    at = 0
    for piece in pieces[:-1]:
        at += len(piece)
        if any(len(part.encode()) > limit for part in _runs(text)):
            return  # neighbors that make one grapheme, longer than a frame
        assert is_border(text, at)


def _runs(text: str) -> list[str]:
    borders = [0, *(at for at in range(1, len(text)) if is_border(text, at)), len(text)]
    return [text[start:end] for start, end in pairwise(borders)]


@pytest.mark.parametrize("one", ["a" + "\u0301" * 5_000, "👩" + "\u200d👩" * 2_000, "\u1100" * 5_000, "\x00" * 5_000])
def test_a_grapheme_longer_than_a_frame_is_cut_between_characters(one: str) -> None:
    pieces = split(one, 4_096)
    assert "".join(pieces) == one
    assert len(pieces) < 10
    assert all(len(piece.encode()) <= 4_096 for piece in pieces)


@given(st.text(max_size=200), st.integers(1, 20))
def test_splitting_ends_and_loses_nothing(text: str, limit: int) -> None:
    pieces = split(text, limit)
    assert "".join(pieces) == text
    assert all(len(piece.encode()) <= limit or len(piece) == 1 for piece in pieces)


def test_words_are_kept_whole_and_the_first_piece_has_one() -> None:
    assert split("one two three", 9) == ["one two ", "three"]
    assert split("one\u3000two", 7) == ["one\u3000", "two"]
    assert split("  - onetwothree four", 10) == ["  - onetwo", "three four"]
