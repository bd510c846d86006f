"""What `studio-relay call` says of words that Twilio kept from the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studio_relay import Call, Prompt, hookimpl
from studio_relay.cli.lost_words import lost_words
from studio_relay.cli.outcome import outcome_lines
from studio_relay.testing import RelayAttributes

DISCLOSURE = "This call is recorded and the recording is kept for a year. " * 3


class Discloses:
    """Nothing may interrupt what it says, as far as it is concerned."""

    @hookimpl
    async def on_prompt(self, call: Call, prompt: Prompt) -> None:
        call.say(DISCLOSURE, interruptible=False)


def test_words_over_speech_are_named_with_the_time_and_the_remedy(caller: Any) -> None:
    talk = caller(Discloses(), widget=True).say("hello")
    talk.talk_over("stop it", after_words=5).talk_over("wait", after_words=12).silence(20).hang_up()
    told = lost_words(talk.call)
    assert told.startswith('"stop it" at ')
    assert ', "wait" at ' in told
    assert "hello" not in told
    assert "the agent was still speaking, so the server was never told" in told
    assert told.endswith("studio-relay flow configure --shape redirect.")


def test_in_full_mode_the_remedy_is_an_attribute(caller: Any) -> None:
    talk = caller(Discloses(), report_input_during_agent_speech="none").say("hello")
    talk.talk_over("stop it", after_words=5).silence(20).hang_up()
    assert lost_words(talk.call).endswith("Set report_input_during_agent_speech in your TwiML to hear it.")


@pytest.mark.parametrize("widget", [True, False])
def test_nothing_is_lost_where_everything_arrived(caller: Any, widget: bool) -> None:
    talk = caller("echo", widget=widget).say("one two three four five six")
    talk.talk_over("stop it", after_words=3).silence(5).say("again").say("again").hang_up()
    assert lost_words(talk.call) == ""


def test_words_that_the_end_of_the_call_overtook_are_not_called_lost(caller: Any) -> None:
    talk = caller(Discloses(), widget=True).say("hello")
    talk.silence(1)
    talk.call.hang_up()
    assert lost_words(talk.silence(5).call) == ""


def test_a_run_tells_it_once(caller: Any, tmp_path: Path) -> None:
    script = tmp_path / "s.yaml"
    script.write_text(
        "steps:\n  - say: hello\n  - talk_over: {after_words: 5, say: stop it}\n  - silence: 20\n  - hang_up\n"
    )
    run = caller.run(Discloses(), script, attributes=RelayAttributes(mode="widget"))
    lines = list(outcome_lines(run, width=500))
    [line] = [line for line in lines if line.startswith("lost")]
    assert '"stop it" at ' in line
