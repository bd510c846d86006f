"""A hook that raises what ends other programs, or does not end when it is told to: contained, named, and answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from studio_relay import Call, Prompt, hookimpl
from studio_relay.hooks import guard_tasks
from studio_relay.settings import APOLOGIES

pytestmark = pytest.mark.looptime

APOLOGY = APOLOGIES["en"]


class Odd(BaseException):
    """As test tools and libraries for cancellation define them."""


ERRORS = [KeyboardInterrupt, SystemExit, GeneratorExit, Odd, asyncio.CancelledError, ValueError]


@pytest.fixture(params=ERRORS, ids=lambda error: error.__name__)
def error(request: pytest.FixtureRequest) -> type[BaseException]:
    found: type[BaseException] = request.param
    return found


def named(caplog: pytest.LogCaptureFixture, level: int = logging.ERROR) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


class Agent:
    """Answers "fail" by what it was made with, else with "Fine."."""

    def __init__(self, fail: Callable[[], Any]) -> None:
        self.fail = fail

    @hookimpl
    async def on_prompt(self, call: Call, prompt: Prompt) -> Any:
        if prompt.voice_prompt != "fail":
            return "Fine."
        made = self.fail()
        return await made if asyncio.iscoroutine(made) else made


def plainly(error: type[BaseException]) -> Any:
    raise error


async def later(error: type[BaseException]) -> Any:
    await asyncio.sleep(0)
    raise error


async def streaming(error: type[BaseException]) -> AsyncIterator[str]:
    yield "One "
    raise error


async def cleaning_up(error: type[BaseException]) -> AsyncIterator[str]:
    try:
        yield "One "
    finally:
        raise error


async def in_a_task_of_its_own(error: type[BaseException]) -> Any:
    await asyncio.get_running_loop().create_task(later(error))


async def in_a_task_group(error: type[BaseException]) -> Any:
    async with asyncio.TaskGroup() as group:
        group.create_task(later(error))
        await asyncio.sleep(10)


WAYS = [plainly, later, streaming, cleaning_up, in_a_task_of_its_own]


@pytest.mark.parametrize("way", WAYS)
async def test_whatever_a_reply_raises_costs_one_apology(talk: Any, way: Any, error: Any, caplog: Any) -> None:
    guard_tasks(asyncio.get_running_loop())
    line, other = talk(Agent(lambda: way(error))), talk(Agent(lambda: "never"))
    await line.setup()
    await other.setup(callSid="CA" + "9" * 32)
    began = asyncio.get_running_loop().time()
    await line.prompt("fail")
    assert line.cycles[-1].endswith(APOLOGY)
    assert asyncio.get_running_loop().time() - began < 0.1, "the caller waited"
    [message] = named(caplog)
    assert message.startswith("plugin agent failed in on_prompt: ")
    await line.prompt("again")
    await other.prompt("hello")
    assert (line.cycles[-1], other.cycles[-1]) == ("Fine.", "Fine.")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
async def test_what_a_task_group_lets_out_is_contained(talk: Any, error: Any, caplog: Any) -> None:
    guard_tasks(asyncio.get_running_loop())
    line = talk(Agent(lambda: in_a_task_group(error)))
    await line.setup()
    await line.prompt("fail")
    await asyncio.sleep(1)
    assert line.cycles[-1] == APOLOGY
    assert len(named(caplog)) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
async def test_a_task_that_is_left_behind_is_contained_and_named(talk: Any, error: Any, caplog: Any) -> None:
    from studio_relay.server.loop_failures import log_failure

    guard_tasks(asyncio.get_running_loop())
    asyncio.get_running_loop().set_exception_handler(log_failure)

    async def leaves() -> str:
        asyncio.get_running_loop().create_task(later(error))
        return "Fine."

    line = talk(Agent(leaves))
    await line.setup()
    await line.prompt("fail")
    await asyncio.sleep(1)
    assert line.cycles == ["Fine."]
    [message] = named(caplog)
    assert "on_prompt of agent" in message
    assert "test_containment.py" in message


class Watching:
    """An extension that fails in every watching hook."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    @hookimpl
    def on_setup(self) -> None:
        raise self.error

    @hookimpl
    async def on_prompt(self) -> None:
        raise self.error

    @hookimpl
    async def on_end(self) -> None:
        raise self.error


async def test_whatever_a_watcher_raises_is_named_and_nobody_else_notices(talk: Any, error: Any, caplog: Any) -> None:
    ended = []

    class Fine(Agent):
        @hookimpl
        def on_end(self) -> None:
            ended.append(True)

    line = talk(Fine(lambda: None), Watching(error))
    await line.setup()
    await line.prompt("hello")
    await line.close()
    assert line.cycles == ["Fine."]
    assert ended == [True]
    told = named(caplog)
    assert [message.partition(":")[0] for message in told] == [
        f"plugin extension-0 failed in {hook}" for hook in ("on_setup", "on_prompt", "on_end")
    ]


class Wrapping:
    def __init__(self, wrap: Callable[[AsyncIterator[str]], Any]) -> None:
        self.wrap = wrap

    @hookimpl
    def wrap_reply(self, reply: AsyncIterator[str]) -> Any:
        return self.wrap(reply)


@pytest.mark.parametrize("place", ["call", "piece", "clean-up"])
async def test_whatever_wrap_reply_raises_is_its_own_fault(talk: Any, place: str, error: Any, caplog: Any) -> None:
    async def pieces(reply: AsyncIterator[str]) -> AsyncIterator[str]:
        try:
            async for piece in reply:
                if place == "piece":
                    raise error
                yield piece
        finally:
            if place == "clean-up":
                raise error

    def wrap(reply: AsyncIterator[str]) -> AsyncIterator[str]:
        if place == "call":
            raise error
        return pieces(reply)

    line = talk(Agent(lambda: None), Wrapping(wrap))
    await line.setup()
    await line.prompt("hello")
    await asyncio.sleep(1)
    assert line.words.endswith(APOLOGY)
    [message] = named(caplog)
    assert message.startswith("plugin extension-0 failed in wrap_reply: ")
    assert "test_containment.py" in message


async def test_a_wrap_reply_that_hangs_is_not_blamed_on_the_agent(talk: Any, caplog: Any) -> None:
    async def hang(reply: AsyncIterator[str]) -> AsyncIterator[str]:
        async for piece in reply:
            await asyncio.sleep(1_000)
            yield piece

    line = talk(Agent(lambda: None), Wrapping(hang))
    await line.setup()
    await line.prompt("hello")
    await asyncio.sleep(15)
    assert line.words == APOLOGY
    [message] = named(caplog)
    assert message.startswith("plugin extension-0 failed in wrap_reply: ")


# --- where it failed ---------------------------------------------------------------------------------------


async def test_the_last_frame_in_the_plugin_s_own_code_is_named(talk: Any, caplog: Any) -> None:
    import json

    def deep_in_a_library() -> Any:
        return json.loads("{")

    line = talk(Agent(deep_in_a_library))
    await line.setup()
    await line.prompt("fail")
    [message] = named(caplog)
    assert "JSONDecodeError at test_containment.py" in message
    assert "in deep_in_a_library" in message


async def test_an_error_of_ours_says_where_the_plugin_asked_for_it(talk: Any, caplog: Any) -> None:
    class Speaks:
        @hookimpl
        async def on_prompt(self, call: Call) -> None:
            call.play("not a URL")

    line = talk(Speaks())
    await line.setup()
    await line.prompt("hello")
    [message] = named(caplog)
    assert "play.source: expected" in message
    assert "at test_containment.py" in message
    assert "in on_prompt" in message


# --- cancellation ------------------------------------------------------------------------------------------


class Stopped:
    """Speaks for long; what it does when it is stopped is told to it."""

    def __init__(self, stop: Callable[[], Any]) -> None:
        self.stop = stop

    @hookimpl
    async def on_prompt(self, prompt: Prompt) -> AsyncIterator[str]:
        if prompt.voice_prompt == "next":
            yield "Fine."
            return
        yield "One "
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            await self.stop()


async def heeds() -> None:
    raise asyncio.CancelledError


async def heeds_after_a_moment() -> None:
    await asyncio.sleep(0.5)
    raise asyncio.CancelledError


async def ends_as_if_nothing_happened() -> None:
    pass


async def stays() -> None:
    await asyncio.sleep(30)
    raise asyncio.CancelledError


async def stays_and_goes_on() -> None:
    await asyncio.sleep(30)


async def fails() -> None:
    raise ValueError("words of a caller")


async def breaks_out() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("stop", "found"),
    [
        (heeds, []),
        (heeds_after_a_moment, []),
        (ends_as_if_nothing_happened, ["plugin agent: on_prompt caught its cancellation"]),
        (stays, ["plugin agent: on_prompt was cancelled and still runs 1 s later"]),
        (stays_and_goes_on, ["plugin agent: on_prompt was cancelled and still runs 1 s later"]),
        (fails, ["plugin agent failed in on_prompt while it was being cancelled: ValueError at test_containment.py"]),
        (breaks_out, ["plugin agent failed in on_prompt while it was being cancelled: on_prompt of agent raised Key"]),
    ],
)
async def test_a_hook_that_does_not_end_well_when_it_is_stopped_is_named(
    talk: Any, stop: Any, found: list[str], caplog: Any
) -> None:
    line = talk(Stopped(stop))
    await line.setup()
    await line.prompt("long")
    await line.prompt("next")
    await asyncio.sleep(60)
    assert line.cycles[-1] == "Fine."
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [message[: len(start)] for message, start in zip(told, found, strict=True)] == found
    assert "words of a caller" not in caplog.text


async def test_a_hook_that_speaks_on_after_it_was_stopped_is_named(talk: Any, caplog: Any) -> None:
    class Stubborn:
        @hookimpl
        async def on_prompt(self, prompt: Prompt) -> AsyncIterator[str]:
            try:
                yield "One "
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                pass
            if prompt.voice_prompt == "long":
                yield "still here"

    line = talk(Stubborn())
    await line.setup()
    await line.prompt("long")
    await line.prompt("next")
    assert "still here" not in line.words
    [message] = named(caplog, logging.WARNING)
    assert message.startswith("plugin agent: on_prompt caught its cancellation")


async def test_a_watcher_and_a_wrapper_that_fail_on_their_way_out_are_named(talk: Any, caplog: Any) -> None:
    class Hangs:
        @hookimpl
        async def on_setup(self) -> None:
            try:
                await asyncio.sleep(100)
            finally:
                raise ValueError

        @hookimpl
        async def wrap_reply(self, reply: AsyncIterator[str]) -> AsyncIterator[str]:
            try:
                async for piece in reply:
                    await asyncio.sleep(100)
                    yield piece
            finally:
                raise ValueError

    line = talk(Agent(lambda: None), Hangs())
    await line.setup()
    await line.prompt("hello")
    await asyncio.sleep(1)
    await line.prompt("hello again")
    await asyncio.sleep(15)
    late = [message for message in named(caplog) if "while it was being cancelled" in message]
    assert {message.partition(" while")[0] for message in late} == {
        "plugin extension-0 failed in on_setup",
        "plugin extension-0 failed in wrap_reply",
    }
