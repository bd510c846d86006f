"""What a caller can hear of a text, what is held back until then, and what stands between two utterances."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay.protocol.words import Lead, first_word, spaced

SILENT = {
    "nothing": "",
    "spaces": " \t\n\u00a0\u3000\u2028",
    "zero width": "\u200b\u200c\u200d\u2060\ufeff",
    "controls": "\x00\x07\x1b\x7f\x85",
    "direction": "\u200e\u202e\u2066\u061c",
    "punctuation": "...-!?¿,;:\"'()[]…—“”。、",
    "markup": "# * ** __ ~~ ``` > | --- === + <>",
    "combining marks": "\u0301\u0e31\u093f\u20dd",
    "variation selectors": "\ufe0f\U000e0100",
    "blank letters": "\u3164\uffa0\u115f\u1160\u2800",
    "emoji": "👍🏽 ❤️ 👩‍👩‍👧 🇸🇪",
    "lone surrogates and what replaces them": "\ud800\ufffd",
    "private and unassigned": "\ue000\u0378",
    "arrows": "→⇒",
}


@pytest.mark.parametrize("text", SILENT.values(), ids=SILENT)
def test_what_no_voice_says_is_no_word(text: str) -> None:
    assert first_word(text) == -1


@pytest.mark.parametrize(
    "word",
    [
        "a",
        "5",
        "É",
        "да",
        "はい",
        "ー",
        "好",
        "네",
        "ใช่",
        "نعم",
        "½",
        "①",
        "%",
        "％",
        "٪",
        "€",
        "＄",
        "&",
        "@",
        "×",
        "℃",
    ],
)
def test_letters_digits_and_signs_that_are_read_are_words(word: str) -> None:
    assert first_word(word) == 0
    assert first_word(f" …\u200b{word}") == 3


def test_ssml_is_the_text_it_is() -> None:
    assert first_word('<break time="1s"/>') == 1


@given(st.text())
def test_any_letter_or_digit_is_a_word_wherever_it_stands(text: str) -> None:
    at = first_word(text)
    assert at == -1 or not text[at].isspace()
    kinds = [unicodedata.category(character)[0] for character in text[: len(text) if at < 0 else at]]
    assert "N" not in kinds
    assert not set("abcABC019éß声") & set(text[: len(text) if at < 0 else at])


def test_what_comes_before_the_first_word_goes_out_with_it() -> None:
    lead = Lead()
    assert [lead.add(piece) for piece in (" ", "\n\n", "- ", "Hello", " ", "...")] == [
        "",
        "",
        "",
        " \n\n- Hello",
        " ",
        "...",
    ]


def test_blanks_without_end_are_not_kept() -> None:
    lead = Lead()
    for _ in range(10_000):
        assert lead.add(" " * 1_000) == ""
    assert lead.add(" " * 1_000 + "Hello") == " " * 64 + "Hello"


@given(st.lists(st.text(max_size=10)))
def test_nothing_goes_out_before_the_first_word_and_all_of_it_after(pieces: list[str]) -> None:
    lead = Lead()
    out = [lead.add(piece) for piece in pieces]
    whole = "".join(pieces)
    word = first_word(whole)
    assert "".join(out) == ("" if word < 0 else whole[max(0, word - 64) :])
    said = [piece for piece in out if piece]
    assert not said or first_word(said[0]) >= 0


@pytest.mark.parametrize(
    ("behind", "text", "said"),
    [
        ("A.", "B?", " B?"),
        ("A. ", "B?", "B?"),
        ("A.", " B?", " B?"),
        ("A.\n", "B?", "B?"),
        ("", "B?", "B?"),
        ("A.", "", ""),
        ("...", "B", " B"),
        ("1", "2", " 2"),
        ("네.", "좋아요.", " 좋아요."),
        ("да.", "нет", " нет"),
        ("你好。", "再见", "再见"),
        ("你好!", "再见", "再见"),
        ("はい。", "5つです", "5つです"),
        ("价格是 5", "好", "好"),
        ("5", "好", "好"),
        ("好。", "5", "5"),
        ("ครับ", "ได้", "ได้"),
        ("你好。", "Hello", " Hello"),
        ("Hello.", "你好", " 你好"),
    ],
)
def test_two_utterances_are_parted_by_a_space_where_their_script_has_one(behind: str, text: str, said: str) -> None:
    assert spaced(text, behind=behind) == said
