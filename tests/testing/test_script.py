"""Caller scripts: every word of them, and what is said about a wrong one."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay.errors import ScriptError
from studio_relay.testing.script import (
    DropSocket,
    HangUp,
    Hear,
    Press,
    Say,
    SendRaw,
    Silence,
    TalkOver,
    load_script,
    parse_script,
)

WHOLE = """\
flow: front_desk.json
call: {from: "+15550100001", parameters: {tier: gold}}
answers:
  person: {event: callCompleted, DialCallStatus: completed}
steps:
  - hear: how can I help
  - say: no
  - talk_over: {after_words: 3, say: "No. A person, please."}
  - talk_over: {after_ms: 250, press: 0#}
  - press: 0123
  - silence: 1.5s
  - send_raw: "{}"
  - drop_socket
  - hang_up:
expect:
  handoff: {reasonCode: person}
  path: [Trigger, ..., person]
  not_hear: [error, sorry]
  hear: /good ?bye/
  variables: {count: 1}
  status: ended
timeout: 300ms
"""


def test_the_whole_vocabulary() -> None:
    script = parse_script(WHOLE)
    assert script.flow == "front_desk.json"
    assert script.call.from_ == "+15550100001"
    assert script.call.parameters == {"tier": "gold"}
    assert script.answers["person"] == {"event": "callCompleted", "DialCallStatus": "completed"}
    assert [type(step) for step in script.steps] == [
        Hear,
        Say,
        TalkOver,
        TalkOver,
        Press,
        Silence,
        SendRaw,
        DropSocket,
        HangUp,
    ]
    assert [step.line for step in script.steps] == list(range(6, 15))
    assert script.steps[1] == Say(line=7, text="no")
    assert script.steps[4] == Press(line=10, keys="0123")
    assert script.steps[5] == Silence(line=11, seconds=1.5)
    assert [(e.kind, e.line) for e in script.expect] == [
        ("handoff", 16),
        ("path", 17),
        ("not_hear", 18),
        ("not_hear", 18),
        ("hear", 19),
        ("variables", 20),
        ("status", 21),
    ]
    assert script.timeout == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("steps:\n  - sya: hello", 2, "did you mean `say`"),
        ("stpes: []", 1, "did you mean `steps`"),
        ("steps:\n  - silence: soon", 2, "300ms"),
        ("steps:\n  - say: a\n  - press: abc", 3, "0-9"),
        ("steps:\n  - say: a\n    hear: b", 2, "one step"),
        ("steps:\n  - say", 2, "needs something"),
        ("steps:\n  - say:", 2, "found nothing"),
        ("steps:\n  say: a", 2, "a list"),
        ("steps:\n  - talk_over: {say: a, press: 1}", 2, "either"),
        ("steps:\n  - talk_over: {after_words: 1, after_ms: 1, say: a}", 2, "not both"),
        ("steps:\n  - talk_over: {after_words: few, say: a}", 2, "whole number"),
        ("steps:\n  - hear: /(/", 2, "regular expression"),
        ("steps:\n  - say: a\nexpect: {status: end}", 3, "did you mean `ended`"),
        ("steps:\n  - say: a\nexpect: {says: b}", 3, "unknown key `says`"),
        ("steps:\n  - say: a\nexpect:\n  hear: b\n  not_hear: B", 5, "can never hold"),
        ("steps:\n  - hear: good bye\nexpect:\n  not_hear: bye", 4, "line 2 waits"),
        ("steps:\n  - say: a\nexpect:\n  handoff: {a: b}\n  status: failed", 5, "can never hold"),
        ("steps:\n  - say: a\nsteps:\n  - say: b", 3, "twice"),
        ("answers:\n  person: completed\nsteps: [hang_up]", 2, "needs an `event`"),
        ("steps: [\n", 2, "not YAML"),
        ("", 1, "empty"),
        ("- say: a", 1, "found a list"),
        ("flow: a.json", None, "found neither"),
    ],
)
def test_a_wrong_script_is_told_where_and_what(text: str, line: int | None, says: str) -> None:
    with pytest.raises(ScriptError, match=says) as wrong:
        parse_script(text, "front.yaml")
    assert wrong.value.line == line
    assert str(wrong.value).startswith("front.yaml" + (f":{line}: " if line else ": "))


def test_a_script_knows_its_folder(tmp_path: Path) -> None:
    (tmp_path / "late.yaml").write_text("flow: front.json\nsteps: [hang_up]\n", encoding="utf-8")
    script = load_script(tmp_path / "late.yaml")
    assert script.name == "late"
    assert script.flow_path == tmp_path / "front.json"


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"none\.yaml"):
        load_script(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScriptError, match="UTF-8"):
        load_script(tmp_path / "bytes.yaml")


@given(st.text())
def test_any_text_is_a_script_or_a_script_error(text: str) -> None:
    with contextlib.suppress(ScriptError):
        parse_script(text)


@pytest.mark.parametrize(
    "text", ["&a [*a]", "steps: &a [*a]", "answers: {x: {event: a, b: &b [*b]}}\nsteps: [hang_up]"]
)
def test_a_script_that_contains_itself_is_refused(text: str) -> None:
    with pytest.raises(ScriptError):
        parse_script(text)
