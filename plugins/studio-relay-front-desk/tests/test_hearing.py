"""What callers mean by what they say."""

from __future__ import annotations

import pytest
from studio_relay_front_desk.hearing import Heard, says_goodbye, wants_callback, wants_person


@pytest.mark.parametrize("said", ["A person, please", "let me talk to someone", "OPERATOR", "a real woman"])
def test_a_person_is_wanted(said: str) -> None:
    assert wants_person(said)


@pytest.mark.parametrize("said", ["my personal data", "a personal question", "opening hours"])
def test_no_person_is_wanted(said: str) -> None:
    assert not wants_person(said)


@pytest.mark.parametrize("said", ["Call me back", "can I get a callback?", "a call-back, please", "ring me later"])
def test_a_call_back_is_wanted(said: str) -> None:
    assert wants_callback(said)


@pytest.mark.parametrize("said", ["I called back in May", "back then"])
def test_no_call_back_is_wanted(said: str) -> None:
    assert not wants_callback(said)


@pytest.mark.parametrize(
    "said", ["No.", "no thanks", "No, thank you", "bye", "Good bye!", "that’s all", "nothing else"]
)
def test_goodbye(said: str) -> None:
    assert says_goodbye(said)


@pytest.mark.parametrize("said", ["no idea what that means", "all of it", "thank you"])
def test_not_yet_goodbye(said: str) -> None:
    assert not says_goodbye(said)


@pytest.mark.parametrize(
    ("heard", "yes", "no"),
    [
        (Heard(words="Yes, that's right"), True, False),
        (Heard(words="that's not right"), False, True),
        (Heard(words="that isn’t right"), False, True),
        (Heard(words="blue"), False, False),
        (Heard(keys="1"), True, False),
        (Heard(keys="2"), False, True),
        (Heard(), False, False),
    ],
)
def test_yes_and_no(heard: Heard, yes: bool, no: bool) -> None:
    assert (heard.yes, heard.no) == (yes, no)
