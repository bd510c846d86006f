"""What Twilio makes of a message from the server."""

from __future__ import annotations

import pytest

from studio_relay.testing.validation import check_message


@pytest.mark.parametrize(
    "raw",
    [
        '{"type":"text","token":""}',
        '{"type":"text","token":" a","last":true,"lang":"sv-SE","interruptible":false,"preemptible":true}',
        '{"type":"play","source":"https://media.example.com/a.mp3","loop":0}',
        '{"type":"sendDigits","digits":"9ww1#*"}',
        '{"type":"language","ttsLanguage":"multi"}',
        '{"type":"end"}',
        '{"type":"end","handoffData":"{}"}',
    ],
)
def test_good_messages_are_obeyed(raw: str) -> None:
    checked = check_message(raw)
    assert (checked.fault, checked.lesson) == (None, None)


@pytest.mark.parametrize(
    "raw",
    [
        "this is not json",
        "[]",
        "null",
        '"text"',
        "{}",
        '{"type":7}',
        '{"type":"text"}',
        '{"type":"text","token":null}',
        '{"type":"text","token":"a","last":"true"}',
        '{"type":"text","token":"a","last":1}',
        '{"type":"play","source":"hold.mp3"}',
        '{"type":"play","source":"https://a.example/b","loop":1001}',
        '{"type":"play","source":"https://a.example/b","loop":true}',
        '{"type":"sendDigits","digits":""}',
        '{"type":"sendDigits","digits":"12A"}',
        '{"type":"language"}',
        '{"type":"language","ttsLanguage":5}',
        '{"type":"end","handoffData":{"reason":"x"}}',
        '{"type":"text","token":NaN}',
        '{"type":["text"]}',
        "[" * 100_000,
    ],
)
def test_bad_messages_are_refused(raw: str) -> None:
    assert check_message(raw).fault


def test_a_binary_frame_is_refused() -> None:
    assert check_message(b'{"type":"end"}').fault == "a binary frame"


@pytest.mark.parametrize(
    ("raw", "refused", "says"),
    [
        ('{"type":"interrupt"}', True, "preemptible"),
        ('{"type":"connected"}', True, "setup"),
        ('{"event":"media"}', True, "Media Streams"),
        ('{"type":"end","reason":"done"}', False, "handoffData"),
        ('{"type":"text","token":"a","voice":"b"}', False, "not known"),
        ('{"type":"config","interruptible":"none"}', False, "could not be verified"),
    ],
)
def test_old_inventions_are_answered_with_a_lesson(raw: str, refused: bool, says: str) -> None:
    checked = check_message(raw)
    assert bool(checked.fault) is refused
    assert says in (checked.lesson or "")
