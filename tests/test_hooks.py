"""One hook of one plugin: threads, deadlines, and hooks that block, on the real clock where threads are."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import Any

import pytest

from studio_relay import Call, Prompt, hookimpl
from studio_relay.errors import LocalProtocolError, PluginError
from studio_relay.hooks import HookTimeout, abandon, call_hook, is_text_stream, within
from studio_relay.plugins import Hook
from studio_relay.watchdog import Watchdog

WHO: ContextVar[str] = ContextVar("who", default="")


def hook(function: Any, *arguments: str) -> Hook:
    return Hook(plugin="mine", name="on_prompt", function=function, arguments=arguments)


@pytest.fixture(autouse=True)
async def deadline() -> AsyncIterator[None]:
    """No test here waits for longer than this."""
    timer = asyncio.get_running_loop().call_later(20, asyncio.get_running_loop().stop)
    yield
    timer.cancel()


async def until(happened: Callable[[], bool]) -> None:
    """Threads have real time, so this is looked at again and again."""
    async with asyncio.timeout(5):
        while not happened():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


# --- calling ----------------------------------------------------------------------------------------------


async def test_only_the_arguments_it_names_are_given() -> None:
    assert await call_hook(hook(lambda b: b, "b"), {"a": 1, "b": 2}) == 2
    assert await call_hook(hook(lambda: "none"), {"a": 1}) == "none"


async def test_a_plain_function_runs_in_a_thread_with_its_context() -> None:
    WHO.set("caller")

    def function() -> tuple[str, bool]:
        return WHO.get(), threading.current_thread() is threading.main_thread()

    assert await call_hook(hook(function), {}) == ("caller", False)


async def test_an_async_function_runs_on_the_loop() -> None:
    async def function() -> str:
        return threading.current_thread().name

    assert await call_hook(hook(function), {}) == threading.main_thread().name


@pytest.mark.looptime
async def test_on_a_virtual_clock_plain_functions_run_inline() -> None:
    assert await call_hook(hook(lambda: threading.current_thread() is threading.main_thread()), {}) is True


async def test_a_stream_is_handed_over_as_it_is() -> None:
    async def stream() -> AsyncIterator[str]:
        yield "a"

    result = await call_hook(hook(stream), {})
    assert is_text_stream(result)
    assert [piece async for piece in result] == ["a"]


async def test_a_plain_function_may_return_an_awaitable() -> None:
    async def later() -> str:
        return "later"

    assert await call_hook(hook(lambda: later()), {}) == "later"


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), StopIteration("x"), asyncio.CancelledError()])
async def test_what_a_plain_function_raises_arrives(error: BaseException) -> None:
    def function() -> None:
        raise error

    expected = RuntimeError if isinstance(error, StopIteration) else type(error)
    with pytest.raises(expected):
        await call_hook(hook(function), {})


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_sys_exit_ends_a_hook_and_not_the_process(asynchronous: bool) -> None:
    def plain() -> None:
        raise SystemExit(2)

    async def coroutine() -> None:
        raise SystemExit(2)

    with pytest.raises(PluginError, match=r"on_prompt of mine called sys.exit\(\)"):
        await call_hook(hook(coroutine if asynchronous else plain), {})


# --- deadlines --------------------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_an_answer_in_time() -> None:
    async def work() -> str:
        await asyncio.sleep(4.9)
        return "in time"

    assert await within(5, work(), name="work") == "in time"


@pytest.mark.looptime
async def test_a_late_answer_raises_though_the_work_does_not_heed_its_cancellation() -> None:
    done = []

    async def stubborn() -> None:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            await asyncio.sleep(100)
            done.append(asyncio.get_running_loop().time())

    with pytest.raises(HookTimeout, match="work: expected an answer within 5 s"):
        await within(5, stubborn(), name="work")
    assert asyncio.get_running_loop().time() == 5
    await asyncio.sleep(101)
    assert done == [105]


@pytest.mark.looptime
async def test_work_that_cancels_itself_has_failed() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(PluginError, match="work was cancelled by its own code"):
        await within(5, work(), name="work")


@pytest.mark.looptime
async def test_whoever_waits_may_be_cancelled() -> None:
    cancelled = []

    async def work() -> None:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    waiting = asyncio.get_running_loop().create_task(within(50, work(), name="work"))
    await asyncio.sleep(1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0)
    assert cancelled == [True]


@pytest.mark.looptime
async def test_an_abandoned_task_may_fail_unseen(caplog: Any) -> None:
    async def work() -> None:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            raise ValueError from None

    task = asyncio.get_running_loop().create_task(work())
    await asyncio.sleep(0)
    abandon(task)
    del task
    await asyncio.sleep(1)
    assert caplog.records == []


# --- a plain hook that blocks: others do not notice -------------------------------------------------------


async def test_a_plain_hook_that_blocks_holds_up_nobody(talk: Any) -> None:
    release = threading.Event()

    class Agent:
        @hookimpl
        def on_prompt(self, prompt: Prompt) -> str:
            if prompt.voice_prompt == "block":
                release.wait(15)
            return f"You said {prompt.voice_prompt}."

    try:
        blocked, other = talk(Agent()), talk(Agent())
        for line in (blocked, other):
            line.receive({"type": "setup", "callSid": str(id(line)), "sessionId": "V", "accountSid": "A"})
        await blocked.prompt("block")
        await other.prompt("hello")
        await until(lambda: bool(other.words))
        assert other.words == "You said hello."
        assert blocked.words == ""
    finally:
        release.set()


async def test_a_plain_hook_that_blocks_is_given_up_and_what_it_says_later_is_not_heard(talk: Any) -> None:
    release, said = threading.Event(), threading.Event()
    errors: list[Exception] = []

    class Agent:
        @hookimpl
        def on_prompt(self, call: Call) -> str:
            call.say("One moment. ")
            release.wait(15)
            try:
                call.say("Too late.")
            except LocalProtocolError as error:
                errors.append(error)
            said.set()
            return "Too late as well."

    line = talk(Agent(), hook_timeout_seconds=0.2)
    try:
        line.receive({"type": "setup", "callSid": "C", "sessionId": "V", "accountSid": "A"})
        await line.prompt("go")
        await until(lambda: "something went wrong" in line.words)
        release.set()
        await until(said.is_set)
        await line.settle()
    finally:
        release.set()
    assert line.words.startswith("One moment. ")
    assert "Too late" not in line.words
    assert len(errors) == 1


async def test_a_plain_hook_says_in_order_and_joins_its_reply(talk: Any) -> None:
    class Agent:
        @hookimpl
        def on_prompt(self, call: Call) -> str:
            call.say("One ")
            call.say("two ")
            return "three."

    line = talk(Agent())
    line.receive({"type": "setup", "callSid": "C", "sessionId": "V", "accountSid": "A"})
    await line.prompt("go")
    await until(lambda: "three." in line.words)
    assert line.cycles == ["One two three."]


async def test_a_thread_of_ones_own_speaks_for_itself(talk: Any) -> None:
    line = talk(type("Agent", (), {"on_prompt": hookimpl(lambda self: None)})())
    line.receive({"type": "setup", "callSid": "C", "sessionId": "V", "accountSid": "A"})
    await line.settle()
    call = line.conversation.call
    thread = threading.Thread(target=lambda: call.say("From outside."), daemon=True)
    thread.start()
    await until(lambda: bool(line.words))
    assert line.cycles == ["From outside."]


# --- an async hook that blocks the loop: it is named ------------------------------------------------------


async def test_an_async_hook_that_blocks_the_loop_is_named_with_its_stack(talk: Any) -> None:
    blocked = threading.Event()

    class Agent:
        @hookimpl
        async def on_prompt(self, call: Call) -> None:
            named_within_two_seconds(blocked)

    def named_within_two_seconds(event: threading.Event) -> None:
        event.wait(2.0)  # blocks the loop until the watchdog speaks, and no longer than it may take

    records: list[logging.LogRecord] = []

    class Speaks(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)
            blocked.set()

    handler = Speaks(level=logging.ERROR)
    logging.getLogger("studio_relay.watchdog").addHandler(handler)
    watchdog = Watchdog()
    watchdog.start()
    line = talk(Agent())
    try:
        line.receive({"type": "setup", "callSid": "C", "sessionId": "V", "accountSid": "A"})
        await line.prompt("go")
        assert blocked.is_set(), "nothing was named within 2 s"
    finally:
        watchdog.stop()
        logging.getLogger("studio_relay.watchdog").removeHandler(handler)
    [record] = records
    assert "blocked" in record.getMessage()
    assert "on_prompt of agent" in record.getMessage()
    assert "named_within_two_seconds" in record.getMessage()


@pytest.mark.looptime
async def test_the_watchdog_rests_on_a_virtual_clock() -> None:
    before = threading.active_count()
    watchdog = Watchdog()
    watchdog.start()
    assert threading.active_count() == before
    watchdog.stop()
