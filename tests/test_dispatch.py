"""The eight rules of the plugin API and its deadlines, driven without a server on a virtual clock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic import BaseModel

from studio_relay import Call, CallEnded, Dtmf, Handoff, Interrupt, Prompt, SessionEnd, Setup, hookimpl
from studio_relay.errors import HandoffError, LocalProtocolError, QueueFull, StoreError

pytestmark = pytest.mark.looptime

APOLOGY = "I'm sorry, something went wrong on our side. Please hold on."
EVENTS = {"type": "info", "name": "agentSpeaking", "value": "off"}


class Replying:
    """An agent whose on_prompt is `reply`. After an interrupt without words it is silent: nothing else goes out."""

    say_again = None

    def __init__(self, reply: Callable[..., Any]) -> None:
        self.reply = reply
        self.ends: list[Any] = []

    @hookimpl
    async def on_prompt(self, call: Call, prompt: Prompt) -> Any:
        answer = self.reply(call, prompt)
        return await answer if asyncio.iscoroutine(answer) else answer

    @hookimpl
    def on_end(self, call: Call, end: Any) -> None:
        self.ends.append(end)


async def pieces(*texts: Any, every: float = 0.0) -> AsyncIterator[Any]:
    for text in texts:
        if every:
            await asyncio.sleep(every)
        yield text


# --- 1. the reply -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        lambda call, prompt: "Yes indeed.",
        lambda call, prompt: pieces("Yes ", "indeed."),
        lambda call, prompt: call.say("Yes indeed."),
    ],
)
async def test_a_reply_is_text_a_stream_or_said(talk: Any, reply: Any) -> None:
    line = talk(Replying(reply))
    await line.setup()
    await line.prompt("hello")
    assert line.cycles == ["Yes indeed."]


async def test_none_is_deliberate_silence(talk: Any) -> None:
    line = talk(Replying(lambda call, prompt: None))
    await line.setup()
    for _ in range(3):
        await line.prompt("hello")
    assert line.frames == []


async def _raises(call: Call, prompt: Prompt) -> str:
    raise ValueError("the caller's words")


async def _hangs(call: Call, prompt: Prompt) -> str:
    await asyncio.Event().wait()
    return "never"


async def _exits(call: Call, prompt: Prompt) -> str:
    raise SystemExit(3)


async def _cancelled(call: Call, prompt: Prompt) -> str:
    raise asyncio.CancelledError


async def _stream_that_raises() -> AsyncIterator[str]:
    yield ""
    raise RuntimeError("broken")


async def _stream_that_exits() -> AsyncIterator[str]:
    raise SystemExit
    yield ""


async def _empty_for_ever() -> AsyncIterator[str]:
    while True:
        yield ""
        await asyncio.sleep(0.5)


BROKEN = {
    "raises": _raises,
    "hangs": _hangs,
    "calls sys.exit": _exits,
    "is cancelled by itself": _cancelled,
    "number": lambda call, prompt: 5,
    "bytes": lambda call, prompt: b"words",
    "list": lambda call, prompt: ["words"],
    "empty text": lambda call, prompt: "",
    "no pieces": lambda call, prompt: pieces(),
    "empty pieces": lambda call, prompt: pieces("", ""),
    "wrong piece": lambda call, prompt: pieces(7),
    "stream raises": lambda call, prompt: _stream_that_raises(),
    "stream calls sys.exit": lambda call, prompt: _stream_that_exits(),
    "empty pieces for ever": lambda call, prompt: _empty_for_ever(),
}


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN)
async def test_the_configured_sentence_replaces_a_broken_reply(talk: Any, reply: Any, caplog: Any) -> None:
    line = talk(Replying(reply))
    await line.setup()
    await line.prompt("hello")
    await asyncio.sleep(15)
    assert line.cycles == [APOLOGY]
    [failure] = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert "plugin agent failed in on_prompt" in failure
    assert "the caller's words" not in failure


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN)
async def test_the_second_broken_reply_in_a_row_ends_the_session(talk: Any, reply: Any) -> None:
    agent = Replying(reply)
    line = talk(agent)
    await line.setup()
    for _ in range(2):
        await line.prompt("hello")
        await asyncio.sleep(15)
    await asyncio.sleep(15)
    assert line.cycles == [APOLOGY, APOLOGY]
    assert line.ends == [{"reasonCode": "relay-agent-failed", "version": 1, "summary": ""}]
    await line.close()
    assert [(end.reason, end.handoff["reasonCode"]) for end in agent.ends] == [("ended", "relay-agent-failed")]


async def test_failures_count_in_a_row_only(talk: Any) -> None:
    def reply(call: Call, prompt: Prompt) -> str:
        if prompt.voice_prompt == "bad":
            raise ValueError
        return "Fine."

    line = talk(Replying(reply))
    await line.setup()
    for said in ("bad", "good", "bad", "good"):
        await line.prompt(said)
    assert line.cycles == [APOLOGY, "Fine.", APOLOGY, "Fine."]
    assert line.ends == []


async def test_the_sentence_is_spoken_in_the_language_of_the_call(talk: Any) -> None:
    line = talk(Replying(_raises), apologies={"es": "Un momento."})
    await line.setup(customParameters={"language": "es-MX"})
    await line.prompt("hola")
    assert line.cycles == ["Un momento."]


async def test_a_stream_that_never_waits_does_not_hold_the_loop(talk: Any) -> None:
    async def empty() -> AsyncIterator[str]:
        for _ in range(100_000):
            yield ""
        yield "Done."

    line = talk(Replying(lambda call, prompt: empty()))
    await line.setup()
    await line.prompt("go")
    await asyncio.sleep(1)
    assert line.words == ""
    await asyncio.sleep(5)
    assert line.words == "Done."


async def test_a_hook_that_ends_the_call_without_a_word_has_not_failed(talk: Any, caplog: Any) -> None:
    async def goodbye(call: Call) -> AsyncIterator[str]:
        await call.end({"reasonCode": "done"})
        return
        yield ""

    line = talk(Replying(lambda call, prompt: goodbye(call)))
    await line.setup()
    await line.prompt("bye")
    assert line.ends == [{"reasonCode": "done", "version": 1, "summary": ""}]
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


# --- 2. order ---------------------------------------------------------------------------------------------


class SlowToOpen:
    """on_setup takes two seconds; what hooks were started is noted."""

    def __init__(self, seconds: float = 2.0, words: str | None = "Welcome.") -> None:
        self.seconds = seconds
        self.words = words
        self.started: list[str] = []

    @hookimpl
    async def on_setup(self, call: Call, setup: Setup) -> str | None:
        self.started.append("setup")
        await asyncio.sleep(self.seconds)
        return self.words

    @hookimpl
    async def on_prompt(self, call: Call, prompt: Prompt) -> str:
        self.started.append(prompt.voice_prompt)
        return f"You said {prompt.voice_prompt}."

    @hookimpl
    async def on_dtmf(self, call: Call, dtmf: Dtmf) -> str:
        self.started.append(dtmf.digit)
        return f"Key {dtmf.digit}."


async def test_of_the_prompts_that_come_during_on_setup_the_last_counts(talk: Any) -> None:
    agent = SlowToOpen()
    line = talk(agent)
    await line.setup()
    await line.prompt("one")
    await line.prompt("two")
    assert agent.started == ["setup"]
    await asyncio.sleep(3)
    assert agent.started == ["setup", "two"]
    assert line.cycles == ["Welcome.", "You said two."]


async def test_keys_that_come_during_on_setup_wait_for_it(talk: Any) -> None:
    agent = SlowToOpen()
    line = talk(agent)
    await line.setup()
    await line.press("12")
    assert agent.started == ["setup"]
    await asyncio.sleep(3)
    assert agent.started == ["setup", "1", "2"]
    assert line.cycles[0] == "Welcome."
    assert line.cycles[-1] == "Key 2."


async def test_a_prompt_waits_until_on_setup_has_timed_out(talk: Any) -> None:
    agent = SlowToOpen(seconds=1000)
    line = talk(agent)
    await line.setup()
    await line.prompt("hello")
    await asyncio.sleep(9.9)
    assert agent.started == ["setup"]
    await asyncio.sleep(1)
    assert agent.started == ["setup", "hello"]
    assert line.cycles == [APOLOGY, "You said hello."]


class Welcoming(SlowToOpen):
    """on_setup speaks for a long time."""

    @hookimpl
    async def on_setup(self, call: Call, setup: Setup) -> AsyncIterator[str]:  # type: ignore[override]
        self.started.append("setup")
        for number in range(100):
            yield f"{number} "
            await asyncio.sleep(1)


async def test_a_key_that_cuts_the_welcome_is_answered(talk: Any) -> None:
    line = talk(Welcoming())
    await line.setup()
    await asyncio.sleep(2)
    line.receive({"type": "dtmf", "digit": "1"})
    await asyncio.sleep(0.001)
    await line.interrupt("0")
    await asyncio.sleep(5)
    assert line.cycles[-1].endswith("Key 1.")
    assert "3 " not in line.words


async def test_a_prompt_before_the_barge_in_that_cuts_the_welcome_is_answered(talk: Any) -> None:
    line = talk(Welcoming())
    await line.setup()
    await line.prompt("hello")
    await line.interrupt("0")
    await asyncio.sleep(4)
    assert line.words.endswith("You said hello.")


async def test_a_new_prompt_replaces_the_running_reply(talk: Any) -> None:
    cancelled = []

    async def count(prompt: Prompt) -> AsyncIterator[str]:
        try:
            for number in range(100):
                yield f"{prompt.voice_prompt}{number} "
                await asyncio.sleep(1)
        except asyncio.CancelledError:
            cancelled.append(prompt.voice_prompt)
            raise

    line = talk(Replying(lambda call, prompt: count(prompt)))
    await line.setup()
    await line.prompt("a")
    await asyncio.sleep(1.5)
    await line.prompt("b")
    await asyncio.sleep(1.5)
    assert cancelled == ["a"]
    assert line.cycles == ["a0 a1 ", "b0 b1 "]


async def test_the_next_reply_waits_a_second_for_the_cleanup_of_the_last(talk: Any) -> None:
    log = []

    async def reply(call: Call, prompt: Prompt) -> str:
        log.append(f"start {prompt.voice_prompt}")
        try:
            await asyncio.sleep(0.5 if prompt.voice_prompt == "c" else 100)
        except asyncio.CancelledError:
            await asyncio.sleep({"a": 0.5, "b": 50}[prompt.voice_prompt])
            log.append(f"clean {prompt.voice_prompt}")
        return "Late."

    line = talk(Replying(reply))
    await line.setup()
    await line.prompt("a")
    await line.prompt("b")
    await asyncio.sleep(0.6)
    assert log == ["start a", "clean a", "start b"]
    await line.prompt("c")
    await asyncio.sleep(2)
    assert log == ["start a", "clean a", "start b", "start c"]
    assert line.cycles == ["Late."]


async def test_a_barge_in_waits_for_nobody_and_the_next_reply_for_its_cleanup(talk: Any) -> None:
    log = []

    async def reply(call: Call, prompt: Prompt) -> None:
        log.append(f"start {prompt.voice_prompt}")
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(0.5)
            log.append(f"clean {prompt.voice_prompt}")

    line = talk(Replying(reply))
    await line.setup()
    await line.prompt("a")
    await line.interrupt()
    await line.prompt("b")
    await asyncio.sleep(0.6)
    assert log == ["start a", "clean a", "start b"]


async def test_partial_prompts_start_no_turn(talk: Any) -> None:
    seen = []

    class Agent(SlowToOpen):
        @hookimpl
        def on_partial_prompt(self, prompt: Prompt) -> None:
            seen.append(prompt.voice_prompt)

    agent = Agent(seconds=0)
    line = talk(agent)
    await line.setup()
    await line.prompt("my par", last=False)
    await line.prompt("my parcel", last=False)
    assert seen == ["my par", "my parcel"]
    assert agent.started == ["setup"]


async def test_a_key_without_an_answer_lets_the_reply_go_on(talk: Any) -> None:
    class Agent:
        @hookimpl
        async def on_prompt(self) -> AsyncIterator[str]:
            for number in range(4):
                yield f"{number} "
                await asyncio.sleep(1)

        @hookimpl
        async def on_dtmf(self, dtmf: Dtmf) -> AsyncIterator[str]:
            await asyncio.sleep(0.1)
            if dtmf.digit == "9":
                yield "Nine."

    line = talk(Agent())
    await line.setup()
    await line.prompt("count")
    await line.press("1")
    await asyncio.sleep(1.5)
    assert line.words == "0 1 "
    await line.press("9")
    await asyncio.sleep(3)
    assert line.cycles == ["0 1 ", "Nine."]


async def test_keys_begin_in_order_though_their_hooks_take_their_time(talk: Any) -> None:
    typed = []

    class Agent:
        @hookimpl
        async def on_dtmf(self, dtmf: Dtmf) -> None:
            await asyncio.sleep(0.5 if dtmf.digit == "1" else 0)
            typed.append(dtmf.digit)

    line = talk(Agent())
    await line.setup()
    await line.press("123")
    await asyncio.sleep(1)
    assert typed == ["1", "2", "3"]


# --- 3. say() ---------------------------------------------------------------------------------------------


async def test_say_inside_the_running_reply_joins_its_talk_cycle(talk: Any) -> None:
    async def reply(call: Call) -> AsyncIterator[str]:
        yield "One "
        call.say("two ")
        yield "three."

    line = talk(Replying(lambda call, prompt: reply(call)))
    await line.setup()
    await line.prompt("go")
    assert line.cycles == ["One two three."]


async def test_say_from_elsewhere_is_a_cycle_of_its_own_behind_the_open_one(talk: Any) -> None:
    calls: list[Call] = []

    async def reply(call: Call) -> AsyncIterator[str]:
        calls.append(call)
        yield "One "
        await asyncio.sleep(1)
        yield "two."

    line = talk(Replying(lambda call, prompt: reply(call)))
    await line.setup()
    await line.prompt("go")
    calls[0].say("By the way.")
    await line.settle()
    assert line.words == "One "
    await asyncio.sleep(2)
    assert line.cycles == ["One two.", "By the way."]


async def test_a_task_the_hook_left_behind_speaks_for_itself(talk: Any) -> None:
    tasks = []

    async def later(call: Call) -> None:
        await asyncio.sleep(2)
        call.say("Later.")

    def reply(call: Call, prompt: Prompt) -> str:
        tasks.append(asyncio.get_running_loop().create_task(later(call)))
        return "Now."

    line = talk(Replying(reply))
    await line.setup()
    await line.prompt("go")
    await asyncio.sleep(3)
    assert line.cycles == ["Now.", "Later."]


async def test_what_a_stopped_hook_says_is_not_heard(talk: Any) -> None:
    errors = []

    async def stubborn(call: Call, prompt: Prompt) -> str:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            try:
                call.say("I insist.")
            except LocalProtocolError as error:
                errors.append(error)
            try:
                await call.collect_digits(max_digits=1)
            except LocalProtocolError as error:
                errors.append(error)
            try:
                await call.ask("Well?")
            except LocalProtocolError as error:
                errors.append(error)
            try:
                await call.end()
            except LocalProtocolError as error:
                errors.append(error)
        return "And again."

    line = talk(Replying(stubborn))
    await line.setup()
    await line.prompt("go")
    await line.interrupt()
    await asyncio.sleep(20)
    assert line.frames == []
    assert len(errors) == 4
    assert all("this reply is over" in str(error) for error in errors)


@pytest.mark.parametrize("wrapped", [False, True])
async def test_saying_too_much_at_once_is_refused(talk: Any, wrapped: bool) -> None:
    class Wrapping:
        @hookimpl
        def wrap_reply(self, reply: AsyncIterator[str]) -> AsyncIterator[str]:
            return reply

    said = []

    async def reply(call: Call, prompt: Prompt) -> None:
        for number in range(20):
            call.say(f"{number} ")
            said.append(number)
        with pytest.raises(QueueFull):
            call.say("One too many.")

    line = talk(Replying(reply), *([Wrapping()] if wrapped else []), outbound_queue=20)
    await line.setup()
    line.reading = False
    await line.prompt("go")
    assert said == list(range(20))


async def test_a_stream_waits_for_a_slow_reader(talk: Any) -> None:
    made = []

    async def reply() -> AsyncIterator[str]:
        for number in range(1000):
            made.append(number)
            yield f"{number} "

    line = talk(Replying(lambda call, prompt: reply()), outbound_queue=20)
    await line.setup()
    line.reading = False
    await line.prompt("go")
    await asyncio.sleep(30)
    assert len(made) == 20
    line.reading = True
    line.wake()
    await asyncio.sleep(1)
    assert len(made) == 1000
    assert len(line.cycles) == 1


# --- 4. waiting hooks, barge-in, end() ------------------------------------------------------------------------


async def test_ask_takes_the_next_prompt_and_starts_no_hook(talk: Any) -> None:
    async def reply(call: Call, prompt: Prompt) -> AsyncIterator[str]:
        answer = await call.ask("What colour?")
        yield f"So {answer.voice_prompt}." if answer else "Silence."

    line = talk(Replying(lambda call, prompt: reply(call, prompt)))
    await line.setup()
    await line.prompt("go")
    await asyncio.sleep(3)
    await line.prompt("blue")
    assert line.cycles == ["What colour?", "So blue."]


async def test_ask_counts_silence_from_the_end_of_the_speech(talk: Any) -> None:
    answered = []

    async def reply(call: Call, prompt: Prompt) -> None:
        started = asyncio.get_running_loop().time()
        answer = await call.ask("x" * 1000, timeout=3)
        answered.append((answer, asyncio.get_running_loop().time() - started))

    line = talk(Replying(reply))
    await line.setup()
    await line.prompt("go")
    await asyncio.sleep(200)
    [(answer, seconds)] = answered
    assert answer is None
    assert 0.6 + 65 + 3 <= seconds < 0.6 + 65 + 3.5


async def test_a_barge_in_while_waiting_stops_the_speech_and_not_the_wait(talk: Any) -> None:
    async def asking(call: Call) -> AsyncIterator[str]:
        yield "Let me see. "
        answer = await call.ask("What colour is your very long and winding parcel?")
        yield f"So {answer and answer.voice_prompt}."

    line = talk(Replying(lambda call, prompt: asking(call)))
    await line.setup()
    await line.prompt("go")
    await asyncio.sleep(1.5)
    await line.interrupt("Let me see.")
    await line.prompt("blue")
    assert line.cycles[-1] == "So blue."
    assert line.conversation.call.transcript[1].text == "Let me see."


async def test_a_wrapped_question_is_cut_by_a_barge_in(talk: Any) -> None:
    class Slow:
        @hookimpl
        async def wrap_reply(self, reply: AsyncIterator[str]) -> AsyncIterator[str]:
            async for piece in reply:
                for word in piece.split():
                    yield f"{word} "
                    await asyncio.sleep(1)

    async def asking(call: Call) -> AsyncIterator[str]:
        answer = await call.ask("one two three four five")
        yield f"So {answer and answer.voice_prompt}."

    line = talk(Replying(lambda call, prompt: asking(call)), Slow())
    await line.setup()
    await line.prompt("go")
    await asyncio.sleep(1.5)
    await line.interrupt("one")
    await asyncio.sleep(3)
    assert line.words == "one two "
    await line.prompt("blue")
    await asyncio.sleep(5)
    assert line.words == "one two So blue. "


async def test_a_wrapped_remark_is_cut_by_a_barge_in(talk: Any) -> None:
    class Slow:
        @hookimpl
        async def wrap_reply(self, reply: AsyncIterator[str]) -> AsyncIterator[str]:
            async for piece in reply:
                for word in piece.split():
                    yield f"{word} "
                    await asyncio.sleep(1)

    line = talk(Replying(lambda call, prompt: None), Slow())
    await line.setup()
    line.conversation.call.say("one two three four five")
    await asyncio.sleep(1.5)
    await line.interrupt("one")
    await asyncio.sleep(10)
    assert line.words == "one two "


async def test_keys_while_digits_are_collected_start_no_hook(talk: Any) -> None:
    seen = []

    class Watching:
        @hookimpl
        def on_dtmf(self, dtmf: Dtmf) -> None:
            seen.append(dtmf.digit)

    class Agent(SlowToOpen):
        @hookimpl
        async def on_prompt(self, call: Call) -> AsyncIterator[str]:  # type: ignore[override]
            yield "Your number?"
            digits = await call.collect_digits(max_digits=10)
            yield f"Got {digits}."

    agent = Agent(seconds=0, words=None)
    line = talk(agent, Watching())
    await line.setup()
    await line.prompt("go")
    await line.press("12")
    await asyncio.sleep(4)
    await line.press("3#")
    assert line.cycles == ["Your number?", "Got 123."]
    assert agent.started == ["setup"]
    assert seen == ["1", "2", "3", "#"]


@pytest.mark.parametrize(
    ("typed", "options", "expected"),
    [
        ("1234", {"max_digits": 4}, "1234"),
        ("12#", {"max_digits": 4}, "12"),
        ("12", {"max_digits": 4}, "12"),
        ("#", {"max_digits": 4}, None),
        ("", {"max_digits": 4}, None),
        ("12", {"max_digits": 4, "min_digits": 3}, None),
        ("1*2#", {"max_digits": 9, "finish": "*"}, "1"),
        ("12#3", {"max_digits": 4, "finish": ""}, "12#3"),
        ("", {"max_digits": 4, "min_digits": 0}, ""),
    ],
)
async def test_collect_digits(talk: Any, typed: str, options: dict[str, Any], expected: str | None) -> None:
    got = []

    async def reply(call: Call, prompt: Prompt) -> None:
        got.append(await call.collect_digits(**options))

    line = talk(Replying(reply))
    await line.setup()
    await line.prompt("go")
    await line.press(typed)
    await asyncio.sleep(6)
    assert got == [expected]


async def test_keys_typed_while_ask_waits_are_kept_for_collect_digits(talk: Any) -> None:
    async def reply(call: Call) -> AsyncIterator[str]:
        await call.ask("Your name?")
        digits = await call.collect_digits(max_digits=3)
        yield f"Got {digits}."

    line = talk(Replying(lambda call, prompt: reply(call)))
    await line.setup()
    await line.prompt("go")
    await line.press("12")
    await line.prompt("Ann")
    await line.press("3")
    assert line.cycles[-1] == "Got 123."


async def test_keys_typed_ahead_do_not_outlive_the_reply_that_waited(talk: Any) -> None:
    async def reply(call: Call, prompt: Prompt) -> AsyncIterator[str]:
        if prompt.voice_prompt == "one":
            await call.ask("Your name?")
            yield "Thanks."
        else:
            yield f"Got {await call.collect_digits(max_digits=3)}."

    line = talk(Replying(lambda call, prompt: reply(call, prompt)))
    await line.setup()
    await line.prompt("one")
    await line.press("12")
    await line.prompt("Ann")
    await line.prompt("two")
    await line.press("3#")
    assert line.cycles[-1] == "Got 3."


async def test_ask_and_collect_digits_at_once(talk: Any) -> None:
    async def reply(call: Call) -> AsyncIterator[str]:
        asked, typed = await asyncio.gather(call.ask("Say or type it."), call.collect_digits(max_digits=2, timeout=20))
        yield f"{asked and asked.voice_prompt} {typed}"

    line = talk(Replying(lambda call, prompt: reply(call)), reply_max_seconds=60)
    await line.setup()
    await line.prompt("go")
    await asyncio.sleep(4)
    await line.press("1")
    await asyncio.sleep(1)
    await line.prompt("yes")
    await asyncio.sleep(10)
    await line.press("2")
    assert line.cycles == ["Say or type it.", "yes 12"]


@pytest.mark.parametrize("name", ["ask", "collect_digits"])
async def test_two_waits_of_one_kind_are_refused(talk: Any, name: str) -> None:
    errors = []

    async def reply(call: Call, prompt: Prompt) -> None:
        waits = {"ask": lambda: call.ask("?"), "collect_digits": lambda: call.collect_digits(max_digits=1)}
        results = await asyncio.gather(waits[name](), waits[name](), return_exceptions=True)
        errors.extend(r for r in results if isinstance(r, Exception))

    line = talk(Replying(reply))
    await line.setup()
    await line.prompt("go")
    await asyncio.sleep(20)
    assert [type(error) for error in errors] == [LocalProtocolError]


async def test_a_barge_in_stops_the_reply_and_nothing_more_goes_out(talk: Any) -> None:
    heard = []

    class Agent:
        say_again = None

        @hookimpl
        async def on_prompt(self) -> AsyncIterator[str]:
            for number in range(50):
                yield f"{number} "
                await asyncio.sleep(0.1)

        @hookimpl
        def on_interrupt(self, call: Call, interrupt: Interrupt) -> None:
            heard.append((interrupt.utterance_until_interrupt, call.transcript[-1].text))

    line = talk(Agent())
    await line.setup()
    await line.prompt("count")
    await asyncio.sleep(1)
    sent = line.words
    await line.interrupt("0 1 2")
    await asyncio.sleep(10)
    assert line.words == sent
    assert heard == [("0 1 2", "0 1 2")]


@pytest.mark.parametrize("slow", [0.0, 0.1])
async def test_the_answer_to_a_key_survives_the_interrupt_that_key_causes(talk: Any, slow: float) -> None:
    class Agent:
        @hookimpl
        async def on_prompt(self) -> AsyncIterator[str]:
            for number in range(50):
                yield f"{number} "
                await asyncio.sleep(0.1)

        @hookimpl
        async def on_dtmf(self, dtmf: Dtmf) -> AsyncIterator[str]:
            await asyncio.sleep(slow)
            yield f"Key {dtmf.digit}, "
            await asyncio.sleep(1)
            yield "yes."

    line = talk(Agent())
    await line.setup()
    await line.prompt("count")
    await asyncio.sleep(1)
    line.receive({"type": "dtmf", "digit": "5"})
    await asyncio.sleep(0.001)
    await line.interrupt("0 1 2")
    await asyncio.sleep(5)
    assert line.words.endswith("Key 5, yes.")


async def test_digits_collected_survive_the_interrupt_their_key_causes(talk: Any) -> None:
    async def reply(call: Call) -> AsyncIterator[str]:
        yield "Type three digits, please, whenever you are ready."
        digits = await call.collect_digits(max_digits=3)
        yield f"Got {digits}."

    line = talk(Replying(lambda call, prompt: reply(call)))
    await line.setup()
    await line.prompt("go")
    for digit in "123":
        line.receive({"type": "dtmf", "digit": digit})
        await asyncio.sleep(0.001)
        await line.interrupt("Type three")
        await asyncio.sleep(0.3)
    await asyncio.sleep(3)
    assert line.words.endswith("Got 123.")


async def test_end_waits_for_the_last_words_and_goes_out_once(talk: Any) -> None:
    async def reply(call: Call) -> AsyncIterator[str]:
        yield "Goodbye."
        await call.end({"reasonCode": "done", "summary": "All fine"})
        await call.end({"reasonCode": "other"})

    line = talk(Replying(lambda call, prompt: reply(call)))
    await line.setup()
    await line.prompt("bye")
    assert line.ends == []
    await asyncio.sleep(0.6 + 8 * 0.065 - 0.01)
    assert line.ends == []
    await asyncio.sleep(0.02)
    assert line.ends == [{"reasonCode": "done", "version": 1, "summary": "All fine"}]


async def test_a_hook_that_ends_and_goes_on_has_not_failed(talk: Any, caplog: Any) -> None:
    async def reply(call: Call) -> AsyncIterator[str]:
        yield "Goodbye."
        await call.end()
        yield "One more thing."

    agent = Replying(lambda call, prompt: reply(call))
    line = talk(agent)
    await line.setup()
    await line.prompt("bye")
    await asyncio.sleep(5)
    assert line.cycles == ["Goodbye."]
    assert line.ends == [None]
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]
    await line.close()
    assert [(end.reason, end.close_code, end.handoff) for end in agent.ends] == [("ended", 1000, None)]


async def test_nothing_can_be_said_once_end_was_asked_for(talk: Any) -> None:
    line = talk(Replying(lambda call, prompt: "A long sentence that takes its time."))
    await line.setup()
    await line.prompt("go")
    call = line.conversation.call
    ending = asyncio.get_running_loop().create_task(call.end())
    await line.settle()
    with pytest.raises(CallEnded):
        call.say("Wait!")
    await line.prompt("hello?")
    await asyncio.sleep(5)
    assert ending.done()
    assert line.cycles == ["A long sentence that takes its time."]
    assert line.ends == [None]


async def test_a_barge_in_does_not_undo_end(talk: Any) -> None:
    async def reply(call: Call) -> AsyncIterator[str]:
        yield "Goodbye, and thank you very much for calling us today."
        await call.end({"reasonCode": "done"})

    line = talk(Replying(lambda call, prompt: reply(call)))
    await line.setup()
    await line.prompt("bye")
    await asyncio.sleep(0.5)
    await line.interrupt("Goodbye")
    assert [end["reasonCode"] for end in line.ends] == ["done"]


async def test_a_barge_in_does_not_undo_end_while_words_are_wrapped(talk: Any) -> None:
    class Slow:
        @hookimpl
        async def wrap_reply(self, reply: AsyncIterator[str]) -> AsyncIterator[str]:
            async for piece in reply:
                await asyncio.sleep(2)
                yield piece

    async def reply(call: Call) -> AsyncIterator[str]:
        yield "Goodbye, and thank you very much for calling us today."
        await call.end({"reasonCode": "done"})

    line = talk(Replying(lambda call, prompt: reply(call)), Slow())
    await line.setup()
    await line.prompt("bye")
    await asyncio.sleep(1)
    await line.interrupt("")
    await asyncio.sleep(1)
    assert [end["reasonCode"] for end in line.ends] == ["done"]
    assert line.words == ""


@pytest.mark.parametrize("hook", ["on_setup", "on_dtmf", "on_prompt", "on_info"])
async def test_end_from_any_hook(talk: Any, hook: str) -> None:
    async def ending(call: Call) -> None:
        await call.end({"reasonCode": "done"})

    agent = type("Agent", (), {hook: staticmethod(hookimpl(ending))})
    line = talk(agent())
    await line.setup()
    await line.prompt("hello")
    await line.press("1")
    line.receive({"type": "info", "name": "roundTripDelayMs", "value": "120"})
    await asyncio.sleep(3)
    assert [end["reasonCode"] for end in line.ends] == ["done"]


async def test_end_from_a_task_in_the_background_lets_out_what_was_queued(talk: Any) -> None:
    async def reply(call: Call) -> AsyncIterator[str]:
        for number in range(50):
            yield f"{number} "
            await asyncio.sleep(0.5)

    line = talk(Replying(lambda call, prompt: reply(call)))
    await line.setup()
    await line.prompt("count")
    await asyncio.sleep(0.7)
    await asyncio.wait_for(line.conversation.call.end(), 30)
    await asyncio.sleep(10)
    assert line.cycles == ["0 1 "]
    assert line.ends == [None]


async def test_a_bad_handoff_ends_nothing(talk: Any) -> None:
    class Model(Handoff):
        reason_code: str
        count: int

    class Agent(Replying):
        handoff_model = Model

    errors = []

    async def reply(call: Call, prompt: Prompt) -> str:
        try:
            await call.end({"reasonCode": "done", "count": "many"})
        except HandoffError as error:
            errors.append(str(error))
        return "Still here."

    line = talk(Agent(reply))
    await line.setup()
    await line.prompt("go")
    assert "count" in errors[0]
    assert line.cycles == ["Still here."]
    assert line.ends == []


@pytest.mark.parametrize("code", ["relay-draining", "relay-limit", "relay-made-up"])
async def test_a_reserved_code_ends_nothing(talk: Any, code: str) -> None:
    errors = []

    async def reply(call: Call, prompt: Prompt) -> str:
        for handoff in ({"reasonCode": code}, Handoff(reason_code=code)):
            try:
                await call.end(handoff)
            except HandoffError as error:
                errors.append(str(error))
        return "Still here."

    line = talk(Replying(reply))
    await line.setup()
    await line.prompt("go")
    assert ["reserved for the server" in error for error in errors] == [True, True]
    assert line.cycles == ["Still here."]
    assert line.ends == []


async def test_a_bad_handoff_that_the_hook_does_not_catch_is_its_failure(talk: Any) -> None:
    async def reply(call: Call, prompt: Prompt) -> None:
        await call.end({"reasonCode": "NOT A CODE"})

    line = talk(Replying(reply))
    await line.setup()
    await line.prompt("go")
    assert line.cycles == [APOLOGY]
    assert line.ends == []


async def test_end_waits_no_longer_than_its_limit(talk: Any) -> None:
    async def reply(call: Call, prompt: Prompt) -> AsyncIterator[str]:
        yield "word " * 2000
        await call.end()

    line = talk(Replying(lambda call, prompt: reply(call, prompt)), end_wait_max_seconds=7)
    await line.setup()
    await line.prompt("go")
    await asyncio.sleep(6.9)
    assert line.ends == []
    await asyncio.sleep(0.2)
    assert line.ends == [None]


# --- 5. wrap_reply ----------------------------------------------------------------------------------------


class Upper:
    @hookimpl
    async def wrap_reply(self, reply: AsyncIterator[str]) -> AsyncIterator[str]:
        async for piece in reply:
            yield piece.upper()


class Bracket:
    def __init__(self, marks: str) -> None:
        self.marks = marks

    @hookimpl
    async def wrap_reply(self, reply: AsyncIterator[str]) -> AsyncIterator[str]:
        yield self.marks[0]
        async for piece in reply:
            yield piece
        yield self.marks[1]


async def test_all_speech_of_plugins_is_wrapped(talk: Any) -> None:
    async def reply(call: Call) -> AsyncIterator[str]:
        yield "one "
        call.say("two ")
        await call.ask("three?", timeout=1)
        yield "four"

    line = talk(Replying(lambda call, prompt: reply(call)), Upper())
    await line.setup()
    await line.prompt("go")
    await asyncio.sleep(5)
    line.conversation.call.say("five")
    await line.settle()
    assert line.cycles == ["ONE TWO THREE?", "FOUR", "FIVE"]


async def test_the_first_by_pluggy_order_is_nearest_the_wire(talk: Any) -> None:
    class First(Bracket):
        @hookimpl(tryfirst=True)
        async def wrap_reply(self, reply: AsyncIterator[str]) -> AsyncIterator[str]:
            yield "<"
            async for piece in reply:
                yield piece
            yield ">"

    line = talk(Replying(lambda call, prompt: "word"), First(""), Bracket("()"), Bracket("[]"))
    await line.setup()
    await line.prompt("go")
    assert line.cycles == ["<[(word)]>"]


async def test_flags_and_other_messages_keep_their_place_among_wrapped_words(talk: Any) -> None:
    async def reply(call: Call) -> AsyncIterator[str]:
        yield "one "
        call.say("two ", preemptible=True)
        call.play("https://example.com/a.wav")
        yield "three"

    line = talk(Replying(lambda call, prompt: reply(call)), Upper())
    await line.setup()
    await line.prompt("go")
    assert [(f["type"], f.get("token"), f.get("preemptible")) for f in line.frames] == [
        ("text", "ONE ", None),
        ("text", "TWO ", True),
        ("play", None, None),
        ("text", "THREE", None),
    ] or [f["type"] for f in line.frames] == ["text", "text", "play", "text", "text"]
    assert line.cycles == ["ONE TWO THREE"]


async def test_an_extension_that_stops_early_drops_the_rest(talk: Any) -> None:
    class Short:
        @hookimpl
        async def wrap_reply(self, reply: AsyncIterator[str]) -> AsyncIterator[str]:
            async for piece in reply:
                yield piece
                return

    line = talk(Replying(lambda call, prompt: pieces("one ", "two ", "three ", every=0.1)), Short())
    await line.setup()
    await line.prompt("go")
    await asyncio.sleep(2)
    assert line.cycles == ["one "]


class Wrapping:
    def __init__(self, fault: str) -> None:
        self.fault = fault

    @hookimpl
    def wrap_reply(self, reply: AsyncIterator[str]) -> Any:
        if self.fault == "raises at once":
            raise ValueError
        if self.fault == "returns nothing":
            return None
        return self.stream(reply)

    async def stream(self, reply: AsyncIterator[str]) -> AsyncIterator[Any]:
        async for piece in reply:
            if self.fault == "raises":
                raise ValueError("secret")
            if self.fault == "yields what is not text":
                yield 5
            if self.fault == "hangs":
                await asyncio.Event().wait()
            if self.fault == "calls sys.exit":
                raise SystemExit
            yield piece


FAULTS = ["raises at once", "returns nothing", "raises", "yields what is not text", "hangs", "calls sys.exit"]


@pytest.mark.parametrize("fault", FAULTS)
async def test_where_wrapping_fails_nothing_unwrapped_is_spoken(talk: Any, fault: str, caplog: Any) -> None:
    line = talk(Replying(lambda call, prompt: pieces("my ", "secret ", every=0.1)), Wrapping(fault))
    await line.setup()
    await line.prompt("go")
    await asyncio.sleep(12)
    assert line.cycles == [APOLOGY]
    assert "extension-0" in caplog.text


@pytest.mark.parametrize("fault", FAULTS)
async def test_where_wrapping_a_remark_fails_nothing_unwrapped_is_spoken(talk: Any, fault: str, caplog: Any) -> None:
    line = talk(Replying(lambda call, prompt: None), Wrapping(fault))
    await line.setup()
    line.conversation.call.say("my secret")
    await asyncio.sleep(12)
    assert line.cycles == [APOLOGY]
    assert "extension-0" in caplog.text


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_handoff_is_not_lost_where_wrapping_fails(talk: Any, fault: str) -> None:
    async def reply(call: Call) -> AsyncIterator[str]:
        yield "my secret"
        await call.end({"reasonCode": "done"})

    line = talk(Replying(lambda call, prompt: reply(call)), Wrapping(fault))
    await line.setup()
    await line.prompt("go")
    await asyncio.sleep(30)
    assert line.cycles == [APOLOGY]
    assert [end["reasonCode"] for end in line.ends] == ["done"]


# --- 6. deadlines -----------------------------------------------------------------------------------------


async def test_ten_seconds_to_the_first_piece(talk: Any) -> None:
    line = talk(Replying(lambda call, prompt: pieces("late", every=10.1)))
    await line.setup()
    await line.prompt("go")
    await asyncio.sleep(20)
    assert line.cycles == [APOLOGY]
    assert line.times == [10.0]


async def test_a_reply_whose_deadlines_stand_still_holds_up_nobody_elses(talk: Any) -> None:
    async def reply(call: Call, prompt: Prompt) -> None:
        if prompt.voice_prompt == "first":
            call.say("word " * 40)
            await call.spoken()
        await asyncio.Event().wait()

    line = talk(Replying(reply), reply_max_seconds=2)
    await line.setup()
    await line.prompt("first")
    await asyncio.sleep(3)
    await line.prompt("second")
    await asyncio.sleep(20)
    assert line.cycles[-1] == APOLOGY
    assert line.times[-1] == pytest.approx(5)


async def test_ten_seconds_between_pieces(talk: Any) -> None:
    async def reply() -> AsyncIterator[str]:
        yield "One "
        await asyncio.sleep(9.9)
        yield "two "
        await asyncio.sleep(10.1)
        yield "three"

    line = talk(Replying(lambda call, prompt: reply()))
    await line.setup()
    await line.prompt("go")
    await asyncio.sleep(40)
    assert line.cycles == ["One two ", APOLOGY]
    assert line.times[-1] == pytest.approx(19.9)


async def test_two_minutes_over_all(talk: Any) -> None:
    async def reply() -> AsyncIterator[str]:
        while True:
            yield "and "
            await asyncio.sleep(5)

    line = talk(Replying(lambda call, prompt: reply()))
    await line.setup()
    await line.prompt("go")
    await asyncio.sleep(200)
    assert line.cycles[-1] == APOLOGY
    assert line.times[-1] == 120


async def test_a_hook_that_ignores_its_cancellation_is_left_behind(talk: Any) -> None:
    async def stubborn(call: Call, prompt: Prompt) -> str:
        while True:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                if prompt.voice_prompt == "again":
                    raise
        return ""

    line = talk(Replying(stubborn))
    await line.setup()
    await line.prompt("go")
    await asyncio.sleep(11)
    assert line.cycles == [APOLOGY]
    await line.prompt("again")
    await asyncio.sleep(11)
    assert line.cycles == [APOLOGY, APOLOGY]
    for task in asyncio.all_tasks():
        if "on_prompt" in task.get_name():
            coroutine: Any = task.get_coro()
            coroutine.close()


async def test_time_spent_waiting_for_the_caller_does_not_count(talk: Any) -> None:
    async def reply(call: Call) -> AsyncIterator[str]:
        for number in range(6):
            answer = await call.ask(f"Question {number}?", timeout=30)
            assert answer is None
        yield "Enough."

    line = talk(Replying(lambda call, prompt: reply(call)))
    await line.setup()
    await line.prompt("go")
    await asyncio.sleep(300)
    assert line.cycles[-1] == "Enough."


async def test_time_spent_until_all_was_spoken_does_not_count(talk: Any) -> None:
    spoken = []

    async def reply(call: Call) -> AsyncIterator[str]:
        yield "word " * 100
        spoken.append(await call.spoken())
        yield "And that was all."

    line = talk(Replying(lambda call, prompt: reply(call)))
    await line.setup()
    await line.prompt("go")
    await asyncio.sleep(60)
    assert spoken == [True]
    assert line.cycles[-1] == "And that was all."


async def test_five_seconds_for_on_end(talk: Any, caplog: Any) -> None:
    class Agent:
        @hookimpl
        async def on_end(self) -> None:
            await asyncio.sleep(1000)

    line = talk(Agent())
    await line.setup()
    started = asyncio.get_running_loop().time()
    await line.close()
    assert asyncio.get_running_loop().time() - started == pytest.approx(5)
    assert "plugin agent failed in on_end" in caplog.text


# --- 7. per session, per call -----------------------------------------------------------------------------


class Counting:
    def __init__(self) -> None:
        self.log: list[str] = []

    @hookimpl
    def on_setup(self) -> None:
        self.log.append("setup")

    @hookimpl
    def on_end(self, end: Any) -> None:
        self.log.append(end.reason)


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, "hangup"), (1006, "dropped"), (1001, "dropped"), (None, "dropped")]
)
async def test_on_setup_and_on_end_once_for_each_session(talk: Any, code: int | None, reason: str) -> None:
    agent, extension = Counting(), Counting()
    line = talk(agent, extension)
    await line.setup()
    line.receive({"type": "setup", "sessionId": "VX2", "callSid": "CA2"})
    await line.close(code)
    await line.close(1006)
    assert agent.log == extension.log == ["setup", reason]


async def test_a_socket_without_a_setup_has_no_hooks(talk: Any) -> None:
    agent = Counting()
    line = talk(agent)
    await line.prompt("hello")
    await line.close()
    assert agent.log == []


async def test_a_socket_that_closes_at_once_still_has_both_hooks(talk: Any) -> None:
    agent = Counting()
    line = talk(agent)
    line.receive({"type": "setup", "sessionId": "VX1", "callSid": "CA1", "accountSid": "AC1", "from": "a", "to": "b"})
    await line.close(1006)
    assert agent.log == ["setup", "dropped"]


async def test_hooks_are_told_of_the_end_though_one_is_cancelled(talk: Any) -> None:
    class Cancelling:
        @hookimpl
        async def on_end(self) -> None:
            raise asyncio.CancelledError

    agent = Counting()
    line = talk(agent, Cancelling())
    await line.setup()
    await line.close()
    assert agent.log == ["setup", "hangup"]


async def test_a_running_reply_is_cancelled_when_the_socket_closes(talk: Any) -> None:
    ended = []

    async def reply(call: Call, prompt: Prompt) -> str:
        try:
            await call.ask("Still there?")
        finally:
            ended.append("cleaned")
        return "never"

    line = talk(Replying(reply))
    await line.setup()
    await line.prompt("go")
    await line.close(1006)
    assert ended == ["cleaned"]


# --- 8. set aside -----------------------------------------------------------------------------------------


async def test_an_extension_that_failed_three_times_is_left_out(talk: Any, caplog: Any) -> None:
    seen = []

    class Failing(Upper):
        @hookimpl
        async def on_prompt(self, prompt: Prompt) -> None:
            seen.append(prompt.voice_prompt)
            raise ValueError("a secret")

    line = talk(Replying(lambda call, prompt: "Fine."), Failing())
    await line.setup()
    for number in range(5):
        await line.prompt(str(number))
    assert seen == ["0", "1", "2"]
    assert line.cycles == ["FINE."] * 5  # wrap_reply never is
    assert "extension-0 failed three times" in caplog.text
    assert "a secret" not in "".join(r.getMessage() for r in caplog.records if r.levelno > logging.DEBUG)


async def test_an_extension_that_hangs_holds_up_nobody(talk: Any) -> None:
    class Hanging:
        @hookimpl
        async def on_prompt(self) -> None:
            await asyncio.Event().wait()

    line = talk(Replying(lambda call, prompt: "Fine."), Hanging())
    await line.setup()
    for _ in range(5):
        await line.prompt("go")
    assert line.cycles == ["Fine."] * 5
    await line.close()


async def test_what_an_extension_returns_is_not_spoken(talk: Any, caplog: Any) -> None:
    class Talkative:
        @hookimpl
        async def on_prompt(self) -> str:
            return "Me too!"

    line = talk(Replying(lambda call, prompt: "Fine."), Talkative())
    await line.setup()
    await line.prompt("go")
    assert line.cycles == ["Fine."]
    assert "an extension watches" in caplog.text


async def test_a_flood_of_events_for_a_slow_extension_is_named_once(talk: Any, caplog: Any) -> None:
    class Slow:
        @hookimpl
        async def on_info(self) -> None:
            await asyncio.sleep(9)

    agent = Slow()
    line = talk(agent, inbound_queue=8)
    await line.setup()
    for number in range(200):
        line.receive({"type": "info", "name": "tokensPlayed", "value": str(number)})
    await line.settle()
    assert len([r for r in caplog.records if r.levelno >= logging.ERROR]) == 1
    await line.close()


# --- limits -----------------------------------------------------------------------------------------------


async def test_max_turns(talk: Any) -> None:
    agent = Replying(lambda call, prompt: "Fine.")
    line = talk(agent, max_turns=2)
    await line.setup()
    for _ in range(3):
        await line.prompt("go")
    await asyncio.sleep(15)
    assert line.cycles == ["Fine.", "Fine.", APOLOGY]
    assert [end["reasonCode"] for end in line.ends] == ["relay-limit"]
    await line.close()
    assert [end.reason for end in agent.ends] == ["limit"]


async def test_call_max_seconds(talk: Any) -> None:
    agent = Replying(lambda call, prompt: pieces("and ", "and ", "and ", every=5))
    line = talk(agent, call_max_seconds=8)
    await line.setup()
    await line.prompt("go")
    await asyncio.sleep(30)
    assert line.cycles == ["and ", APOLOGY]
    assert [end["reasonCode"] for end in line.ends] == ["relay-limit"]
    await line.close()
    assert [end.reason for end in agent.ends] == ["limit"]


async def test_frames_that_twilio_refuses_in_a_row_end_the_session(talk: Any) -> None:
    line = talk(Replying(lambda call, prompt: "word " * 50))
    await line.setup()
    await line.prompt("go")
    for _ in range(5):
        line.receive({"type": "error", "description": "64107: Invalid message received"})
    await line.settle()
    assert [end["reasonCode"] for end in line.ends] == ["relay-agent-failed"]


# --- the store --------------------------------------------------------------------------------------------


class FailingStore:
    def __init__(self, fault: str) -> None:
        self.fault = fault

    async def get(self, key: str) -> dict[str, Any] | None:
        await self._fail()
        return {"unknown": "shape"} if self.fault == "strange value" else None

    async def put(self, key: str, value: dict[str, Any], ttl: float) -> None:
        await self._fail()

    async def delete(self, key: str) -> None:
        await self._fail()

    async def close(self) -> None:
        pass

    async def _fail(self) -> None:
        if self.fault == "hangs":
            await asyncio.Event().wait()
        if self.fault == "fails":
            raise StoreError("the disk is full")
        if self.fault == "breaks":
            raise RuntimeError("a bug")


@pytest.mark.parametrize("fault", ["fails", "breaks", "hangs", "strange value"])
async def test_a_call_goes_on_though_its_store_does_not(talk: Any, fault: str, caplog: Any) -> None:
    agent = Replying(lambda call, prompt: "Fine.")
    line = talk(agent, store=FailingStore(fault))
    await line.setup()
    await line.prompt("go")
    await asyncio.sleep(20)
    assert line.cycles == ["Fine."]
    async with asyncio.timeout(60):
        await line.close()
    assert len(agent.ends) == 1
    assert [r for r in caplog.records if r.levelno >= logging.ERROR]


async def test_state_that_is_not_json_is_named_and_hurts_nobody(talk: Any, caplog: Any) -> None:
    def reply(call: Call, prompt: Prompt) -> str:
        call.state["when"] = object()
        return "Fine."

    line = talk(Replying(reply))
    await line.setup()
    await line.prompt("go")
    assert line.cycles == ["Fine."]
    await asyncio.sleep(5)
    assert "object at call.state.when" in caplog.text


# --- leaving nothing behind -----------------------------------------------------------------------------------


async def test_nothing_runs_on_after_the_socket_has_closed(talk: Any) -> None:
    async def reply(call: Call) -> AsyncIterator[str]:
        yield "One "
        await call.ask("Two?")

    line = talk(Replying(lambda call, prompt: reply(call)), Wrapping("hangs"))
    await line.setup()
    await line.prompt("go")
    line.conversation.call.say("By the way.")
    await line.settle()
    await line.close(1006)
    line.stop()
    await line.settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_key_that_replaces_a_waiting_reply_may_wait_itself(talk: Any) -> None:
    class Agent:
        @hookimpl
        async def on_prompt(self, call: Call) -> AsyncIterator[str]:
            await asyncio.sleep(0.5)
            answer = await call.ask("First?")
            yield f"First {answer and answer.voice_prompt}."

        @hookimpl
        async def on_dtmf(self, call: Call) -> AsyncIterator[str]:
            await asyncio.sleep(1)
            call.say("Hm. ")
            answer = await call.ask("Second?")
            yield f"Second {answer and answer.voice_prompt}."

    line = talk(Agent())
    await line.setup()
    await line.prompt("go")
    await line.press("1")
    await asyncio.sleep(4)
    await line.prompt("blue")
    assert line.words.endswith("Second blue.")


async def test_a_key_that_replaces_a_reply_that_collects_may_collect_itself(talk: Any) -> None:
    class Agent:
        @hookimpl
        async def on_prompt(self, call: Call) -> AsyncIterator[str]:
            await asyncio.sleep(0.5)
            yield f"First {await call.collect_digits(max_digits=9)}."

        @hookimpl
        async def on_dtmf(self, call: Call) -> AsyncIterator[str]:
            await asyncio.sleep(1)
            call.say("Hm. ")
            yield f"Second {await call.collect_digits(max_digits=2, secret=True)}."

    line = talk(Agent())
    await line.setup()
    await line.prompt("go")
    await line.press("1")
    await asyncio.sleep(3)
    await line.press("98")
    assert line.words.endswith("Second 98.")
    assert "98" not in "".join(turn.digits or "" for turn in line.conversation.call.transcript)


async def test_the_key_that_closes_a_number_starts_no_hook(talk: Any) -> None:
    pressed = []

    class Typing:
        @hookimpl
        async def on_prompt(self, call: Call) -> str:
            digits = await call.collect_digits(max_digits=3)
            return f"Got {digits}."

        @hookimpl
        async def on_dtmf(self, dtmf: Dtmf) -> None:
            pressed.append(dtmf.digit)

    line = talk(Typing())
    await line.setup()
    await line.prompt("my number")
    for digit in "123#":
        await line.press(digit)
    await asyncio.sleep(3)
    await line.press("#")
    assert (line.cycles, pressed) == (["Got 123."], ["#"])


async def test_a_refused_session_is_told_to_those_who_watch_and_to_no_agent(talk: Any) -> None:
    ends = []

    class Watching:
        @hookimpl
        def on_end(self, call: Call, end: SessionEnd) -> None:
            ends.append((call.call_sid, end.reason))

    class Answering(Watching):
        @hookimpl
        def on_setup(self) -> None:
            raise AssertionError("no session began")

    line = talk(Answering(), Watching())

    async def forged(setup: Any) -> str:
        return "it is forged"

    line.conversation.admit = forged
    await line.setup()
    await line.close(1008)
    assert ends == [(line.conversation.call.call_sid, "refused")]


async def test_parameters_that_do_not_fit_the_agents_model_are_named_and_the_call_goes_on(
    talk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Tier(BaseModel):
        tier: int

    class Asking:
        parameters_model = Tier

        @hookimpl
        def on_prompt(self) -> str:
            return "Yes."

    line = talk(Asking())
    await line.setup(customParameters={"tier": "gold-4711"})
    await line.prompt("hello")
    assert line.cycles == ["Yes."]
    assert "tier: Input should be a valid integer" in caplog.text
    assert "4711" not in caplog.text


async def test_keys_typed_beyond_a_number_are_for_the_next_one(talk: Any) -> None:
    async def two_numbers(call: Call) -> AsyncIterator[str]:
        first = await call.collect_digits(max_digits=2)
        yield f"First {first}, second {await call.collect_digits(max_digits=2)}."

    line = talk(Replying(lambda call, prompt: two_numbers(call)))
    await line.setup()
    await line.prompt("numbers")
    for digit in "12#34#":
        line.conversation.receive(f'{{"type":"dtmf","digit":"{digit}"}}')
    await asyncio.sleep(1)
    assert line.cycles == ["First 12, second 34."]


# --- a pause, for a server that is leaving ------------------------------------------------------------------


async def test_an_interruption_whose_words_are_to_come_is_no_pause(talk: Any) -> None:
    line = talk(Replying(lambda call, prompt: "A rather long answer."))
    await line.setup()
    await line.prompt("tell me")
    await line.interrupt("A rather")
    assert not line.conversation.at_pause
    await line.prompt("hello")
    await asyncio.sleep(5)
    assert line.conversation.at_pause
