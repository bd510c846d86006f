"""The line that tells what a session was like: right, and without a word of anybody."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from studio_relay import hookimpl
from studio_relay.log import JsonFormatter
from studio_relay.metrics import Metrics
from studio_relay.story import Story


class Slow:
    """Takes its time: a second to the first word, and four between two sentences."""

    @hookimpl
    async def on_prompt(self, call: Any, prompt: Any) -> Any:
        if prompt.voice_prompt == "bye":
            await call.end({"reasonCode": "person", "summary": "Anna, 555 0100"})
            return
        if prompt.voice_prompt == "break":
            raise ValueError("Anna said 555 0100")
        await asyncio.sleep(1)
        yield "Ten chars."
        await asyncio.sleep(4)
        yield " And more."


class Breaks:
    """An extension that fails at once."""

    @hookimpl
    async def on_partial_prompt(self, call: Any) -> None:
        raise RuntimeError("Anna")


class BreaksReplies:
    """An extension that cannot wrap."""

    @hookimpl
    async def wrap_reply(self, call: Any, reply: Any) -> Any:
        async for _ in reply:
            raise RuntimeError("Anna")
        yield ""


def told(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """The one line that tells of the end."""
    [record] = [record for record in caplog.records if getattr(record, "fields", {}).get("event") == "call-ended"]
    line: dict[str, Any] = json.loads(JsonFormatter().format(record))
    return line


@pytest.mark.looptime(start=0)
async def test_the_end_of_a_call_is_one_line_that_tells_its_story(
    talk: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    call = talk(Slow(), Breaks())
    await call.setup()
    await call.prompt("hello", last=False)
    await call.prompt("hello")
    await asyncio.sleep(20)
    call.receive("not JSON")
    call.receive({"type": "error", "description": "64107 Anna pressed 4111111111111111"})
    await call.interrupt("Ten")
    await call.prompt("bye")
    await asyncio.sleep(10)
    await call.close(1000)
    line = told(caplog)
    assert (line["agent"], line["reason"], line["close_code"], line["handoff"]) == ("agent", "ended", 1000, "person")
    assert (line["session_number"], line["turns"], line["barge_ins"], line["refused_frames"]) == (1, 2, 1, 1)
    assert line["first_word_p50_ms"] == line["first_word_max_ms"] == 1000
    assert line["longest_silence_ms"] == 4000 - 600 - 10 * 65  # in mid-reply; behind our `end` it is not ours
    assert line["hook_failures"] == {"extension-0.on_partial_prompt": 1}
    assert 30 <= line["seconds"] <= 31
    assert not any(word in json.dumps(line) for word in ("Anna", "555", "4111", "hello", "Ten"))


@pytest.mark.looptime(start=0)
async def test_a_stall_within_a_reply_is_a_silence(talk: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    call = talk(Slow())
    await call.setup()
    await call.prompt("hello")
    await asyncio.sleep(20)
    await call.close()
    assert told(caplog)["longest_silence_ms"] == 4000 - 600 - 10 * 65


@pytest.mark.looptime(start=0)
async def test_the_plugin_that_failed_is_blamed_and_not_the_one_it_wrapped(
    talk: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    call = talk(Slow(), BreaksReplies())
    await call.setup()
    await call.prompt("hello")
    await asyncio.sleep(5)
    await call.close()
    assert told(caplog)["hook_failures"] == {"extension-0.wrap_reply": 1}
    assert "plugin extension-0 failed in wrap_reply" in caplog.text
    assert "Anna" not in caplog.text


async def test_a_session_that_is_turned_away_is_told_too(
    talk: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    call = talk(Slow())

    async def refuse(setup: Any) -> str:
        return "it is not ours"

    call.conversation.admit = refuse
    await call.setup()
    await call.close(1008)
    line = told(caplog)
    assert (line["agent"], line["session_number"], line["reason"]) == ("", 0, "refused")


async def test_a_socket_without_a_setup_has_no_story(
    talk: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    call = talk(Slow())
    await call.close(1000)
    assert "call ended" not in caplog.text


def test_codes_that_twilio_does_not_have_are_not_repeated() -> None:
    metrics = Metrics()
    story = Story(metrics)
    for code in (64107, 64105, 31_415, None, 4111111111111111):
        story.twilio_reported(code)
    assert story.to_json()["twilio_errors"] == {"64107": 1, "64105": 1, "other": 2, "none": 1}
    assert b"4111" not in metrics.exposition()
