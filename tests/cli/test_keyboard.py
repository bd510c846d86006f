"""What typed lines mean."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay.cli.keyboard import parse_line, read_steps
from studio_relay.errors import ScriptError
from studio_relay.testing.script import DropSocket, HangUp, Press, Say, Silence, TalkOver


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("my parcel is late\n", Say(line=1, text="my parcel is late")),
        ("/over no, wait", TalkOver(line=1, say="no, wait", after_words=2)),
        ("/press 123 #", Press(line=1, keys="123#")),
        ("/silence 2.5", Silence(line=1, seconds=2.5)),
        ("/silence", Silence(line=1, seconds=1)),
        ("  /hang ", HangUp(line=1)),
        ("/drop", DropSocket(line=1)),
        ("/help", None),
        ("   \n", None),
    ],
)
def test_lines(line: str, step: object) -> None:
    assert parse_line(line) == step


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/pres 1", "did you mean /press?"),
        ("/quit", "/help lists"),
        ("/over", "/over needs"),
        ("/press one", "/press takes keys"),
        ("/silence nan", "/silence takes seconds"),
        ("/silence 1e9", "/silence takes seconds"),
        ("/silence -1", "/silence takes seconds"),
    ],
)
def test_mistyped_lines(line: str, message: str) -> None:
    with pytest.raises(ScriptError, match=message):
        parse_line(line)


def test_a_text_is_read_with_its_lines() -> None:
    assert read_steps(["hello\n", "\n", "/hang\n"]) == (Say(line=1, text="hello"), HangUp(line=3))
    with pytest.raises(ScriptError, match="standard input:2: there is no /x"):
        read_steps(["hello", "/x"])


@given(st.text())
def test_any_line_is_a_step_or_a_message(line: str) -> None:
    with suppress(ScriptError):
        step = parse_line(line)
        assert step is None or step.line == 1
