"""What `Run.explain()` tells of a script that failed, and of one that did not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from studio_relay import hookimpl
from studio_relay.testing import RelayAttributes


class Clerk:
    """Reads out a notice, answers, hands over."""

    @hookimpl
    async def on_prompt(self, call: Any, prompt: Any) -> AsyncIterator[str]:
        if "person" in prompt.voice_prompt:
            await call.end({"reasonCode": "person"})
        elif "notice" in prompt.voice_prompt:
            yield "This call is recorded, and it is a long notice that has to be heard to its end."
        else:
            yield f"You said {prompt.voice_prompt}."


def test_a_failure_stands_where_it_happened(caller: Any) -> None:
    script = """
steps:
  - say: one
  - hear: you said two
  - say: a person
expect:
  handoff: {reasonCode: sales}
timeout: 3
"""
    told = caller.run(Clerk(), script).explain().splitlines()
    assert told[0].endswith("0 of 2 expectations met; failed: line 4, line 7")
    said, failed = (
        next(n for n, line in enumerate(told) if "You said one." in line),
        told.index("> line 4, hear: you said two"),
    )
    assert failed == said + 1
    assert told[failed + 1] == ">     expected 'you said two', found 'you said one.'"
    assert [line for line in told if line.startswith("> line 7, handoff")]
    assert told.index("(session completed, close code 1000)") > failed


def test_a_run_that_is_ok_is_told_without_a_mark(caller: Any) -> None:
    run = caller.run(Clerk(), "steps: [{say: one}, {hear: said one}, {say: a person}]\nexpect: {status: ended}")
    assert run.ok
    told = run.explain().splitlines()
    assert told[0].endswith("2 of 2 expectations met")
    assert not [line for line in told if line.startswith(">")]
    assert told[-1].startswith('handoff: {"reasonCode": "person"')


NOTICE = """
steps:
  - say: the notice
  - talk_over: {after_words: 4, say: "Stop, a person please."}
  - hear: you said stop
timeout: 4
"""
LESSON = (
    'Twilio did not report what the caller said while the agent was speaking: reportInputDuringAgentSpeech is "none"'
)


def test_words_that_were_never_reported_explain_a_failure(caller: Any) -> None:
    quiet = RelayAttributes.full(interruptible="none", report_input_during_agent_speech="none")
    run = caller.run(Clerk(), NOTICE, attributes=quiet)
    assert not run.ok
    told = run.explain().splitlines()
    failed = told.index("> line 5, hear: you said stop")
    assert told[failed + 2] == f">     note: {LESSON}"
    assert [check.to_json()["hint"] for check in run.checks] == [LESSON]


def test_a_key_that_was_never_reported_explains_a_failure(caller: Any) -> None:
    run = caller.run(
        Clerk(),
        "steps: [{press: '5'}, {hear: five}]\ntimeout: 4",
        attributes=RelayAttributes.full(dtmf_detection=False),
    )
    assert ">     note: a key was pressed, but dtmfDetection is off: the server is not told" in run.explain()


def test_without_such_a_lesson_there_is_no_note(caller: Any) -> None:
    run = caller.run(Clerk(), "steps: [{say: one}, {hear: nothing of the kind}]\ntimeout: 4")
    assert not run.ok
    assert "note:" not in run.explain()
    assert "hint" not in run.checks[0].to_json()
