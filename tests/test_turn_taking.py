"""Caller and agent speak at once: input over speech, interruptions without words, and barge-ins at the wrong moment."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any, get_args

import pytest

from studio_relay import Call, Dtmf, Handoff, Prompt, hookimpl
from studio_relay.testing.playback import Leftovers

AGAIN = "Sorry, I didn't catch that. Could you say it again, please?"
FINAL = '{"type":"prompt","voicePrompt":"%s","lang":"en-US","last":true}'


class Streamer:
    """Answers with a hundred words, one every `step` seconds, unless it is told otherwise; notes what it was asked."""

    def __init__(self, step: float = 0.04, words: int = 100) -> None:
        self.step, self.words = step, words
        self.prompts: list[str] = []
        self.over_speech: list[bool] = []
        self.histories: list[list[str]] = []
        self.generated = 0

    @hookimpl
    async def on_prompt(self, call: Call, prompt: Prompt) -> AsyncIterator[str]:
        self.prompts.append(prompt.voice_prompt)
        self.over_speech.append(prompt.over_speech)
        self.histories.append([m["content"] for m in call.history() if m["role"] == "assistant"])
        if "story" not in prompt.voice_prompt:
            yield "All right. "
            return
        for number in range(self.words):
            await asyncio.sleep(self.step)
            self.generated += 1
            yield f"word{number} "

    @hookimpl
    def on_dtmf(self, dtmf: Dtmf) -> str:
        self.prompts.append(dtmf.digit)
        self.over_speech.append(dtmf.over_speech)
        return f"Key {dtmf.digit}."


class Discloser(Streamer):
    """Reads terms that have to be heard whole, clause after clause."""

    @hookimpl
    async def on_prompt(self, call: Call, prompt: Prompt) -> None:
        self.prompts.append(prompt.voice_prompt)
        self.over_speech.append(prompt.over_speech)
        if "terms" not in prompt.voice_prompt:
            call.say("All right.")
            return
        for number in range(40):
            await asyncio.sleep(self.step)
            self.generated += 1
            call.say(f"Clause {number}.", interruptible=False)


# ----------------------------------------------------------------------------------- over speech


@pytest.mark.parametrize("step", [0.0, 0.04, 0.15])
def test_a_disclosure_is_played_whole_through_ten_murmurs_and_the_last_is_answered(caller: Any, step: float) -> None:
    agent = Discloser(step)
    call = caller(agent)
    call.say("read me the terms")
    for number in range(10):
        call.talk_over(f"uh-huh {number}", after_words=3).silence(0.7)
    call.silence(60)
    assert agent.generated == 40
    assert agent.prompts == ["read me the terms", "uh-huh 9"]
    assert agent.over_speech == [False, True]
    spoken = [turn.text for turn in call.transcript if turn.who == "agent"]
    assert " ".join(spoken[:-1]).split() == " ".join(f"Clause {number}." for number in range(40)).split()
    assert spoken[-1] == "All right."


def test_the_last_of_words_and_keys_over_speech_counts(caller: Any) -> None:
    agent = Discloser(0.05)
    call = caller(agent)
    call.say("read me the terms").talk_over("uh-huh", after_words=3).silence(1)
    call.talk_over(keys="7", after_words=12).silence(60)
    assert agent.prompts == ["read me the terms", "7"]
    assert agent.over_speech == [False, True]


def test_words_over_speech_go_to_a_hook_that_waits(caller: Any) -> None:
    answers: list[Any] = []

    class Asker:
        @hookimpl
        async def on_setup(self, call: Call) -> None:
            call.say("This call is recorded, and what you say may be used to train us.", interruptible=False)
            answers.append(await call.ask("Is that all right?"))

    caller(Asker()).talk_over("Yes, of course", after_words=4).silence(20)
    assert [answer.voice_prompt for answer in answers] == ["Yes, of course"]


def test_words_that_interrupted_replace_those_that_were_held(caller: Any) -> None:
    class Both(Discloser):
        @hookimpl
        async def on_prompt(self, call: Call, prompt: Prompt) -> None:
            self.prompts.append(prompt.voice_prompt)
            if len(self.prompts) > 1:
                return
            call.say("This has to be heard by everybody who calls us here.", interruptible=False)
            call.say("This may be cut off at any word by anybody who wants to.")

    agent = Both()
    call = caller(agent)
    call.say("terms").talk_over("uh-huh", after_words=3).silence(1.2)
    call.talk_over("enough of this", after_words=14).silence(20)
    assert agent.prompts == ["terms", "enough of this"]


def test_a_murmur_over_the_opening_words_is_answered_behind_them(caller: Any) -> None:
    class Opening(Streamer):
        @hookimpl
        async def on_setup(self, call: Call) -> None:
            for number in range(12):
                await asyncio.sleep(0.1)
                call.say(f"Opening {number}.", interruptible=False)

    agent = Opening()
    call = caller(agent)
    call.talk_over("hello", after_words=3).silence(30)
    assert agent.prompts == ["hello"]
    assert "Opening 11." in " ".join(turn.text for turn in call.transcript)


def test_a_key_that_interrupts_is_answered_at_once(caller: Any) -> None:
    agent = Streamer()
    call = caller(agent)
    call.say("a story").talk_over(keys="5", after_words=5)
    call.expect.heard("Key 5.")
    assert agent.over_speech == [False, True]  # so it was when the key came; the interrupt it caused came behind it


# ------------------------------------------------------------------- interruptions without words


@pytest.mark.parametrize("leftovers", get_args(Leftovers))
@pytest.mark.parametrize("step", [0.01, 0.05, 0.1])
@pytest.mark.parametrize("words", ["stop", "stop it", "no, I meant the other one"])
def test_in_widget_mode_nobody_who_interrupts_is_left_in_silence(
    caller: Any, leftovers: Leftovers, step: float, words: str
) -> None:
    agent = Streamer(step)
    call = caller(agent, widget=True, leftovers=leftovers)
    call.say("a story").talk_over(words, after_words=4).silence(30)
    assert agent.prompts[1:] == [words] or AGAIN in [turn.text for turn in call.transcript]


async def _interrupted(talk: Callable[..., Any], agent: Any, *, events: bool = False, **settings: Any) -> Any:
    line = talk(agent, **settings)
    await line.setup()
    if events:
        line.receive({"type": "info", "name": "agentSpeaking", "value": "off"})
    await line.prompt("a story")
    await asyncio.sleep(1)
    await line.interrupt("word0 word1")
    return line


@pytest.mark.looptime
@pytest.mark.parametrize("events", [True, False])
async def test_words_that_never_come_are_asked_for(talk: Any, events: bool) -> None:
    line = await _interrupted(talk, Streamer(), events=events)
    await asyncio.sleep(9)
    assert line.cycles[-1] == AGAIN
    assert line.frames[-1] == {"type": "text", "token": AGAIN, "last": True, "preemptible": True}


@pytest.mark.looptime
async def test_nobody_is_asked_while_somebody_speaks(talk: Any) -> None:
    line = await _interrupted(talk, Streamer(), events=True)
    line.receive({"type": "info", "name": "clientSpeaking", "value": "on"})
    await asyncio.sleep(20)
    assert AGAIN not in line.cycles
    line.receive({"type": "info", "name": "clientSpeaking", "value": "off"})
    await asyncio.sleep(1.9)
    assert AGAIN not in line.cycles
    await asyncio.sleep(2.2)
    assert AGAIN in line.cycles


@pytest.mark.looptime
async def test_a_caller_who_never_ceases_to_speak_is_asked_in_the_end(talk: Any) -> None:
    line = await _interrupted(talk, Streamer(), events=True)
    line.receive({"type": "info", "name": "clientSpeaking", "value": "on"})
    await asyncio.sleep(33)
    assert AGAIN in line.cycles


@pytest.mark.looptime
async def test_words_that_come_are_answered_and_nothing_is_asked(talk: Any) -> None:
    line = await _interrupted(talk, Streamer())
    await asyncio.sleep(1)
    await line.prompt("stop")
    await asyncio.sleep(20)
    assert line.cycles[-1] == "All right. "


@pytest.mark.looptime
async def test_a_key_that_interrupts_needs_no_words(talk: Any) -> None:
    class Silent(Streamer):
        @hookimpl
        def on_dtmf(self) -> None:
            return None

    line = talk(Silent())
    await line.setup()
    await line.prompt("a story")
    await asyncio.sleep(1)
    await line.press("1")
    await line.interrupt("word0")
    await asyncio.sleep(20)
    assert AGAIN not in line.cycles


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (None, []),
        ("Pardon?", ["Pardon?"]),
        ({"en": "What?", "es": "¿Cómo?"}, ["What?"]),
        ({"en-US": "Come again?", "en": "What?"}, ["Come again?"]),
        ({"es": "¿Cómo?"}, [AGAIN]),
    ],
)
async def test_an_agent_may_ask_in_its_own_words_or_handle_it_itself(talk: Any, own: Any, expected: list[str]) -> None:
    agent = Streamer()
    agent.say_again = own  # type: ignore[attr-defined]
    line = talk(agent)
    await line.setup(customParameters={"language": "en-US"})
    await line.prompt("a story")
    await asyncio.sleep(1)
    await line.interrupt("word0 word1")
    await asyncio.sleep(20)
    assert line.cycles[1:] == expected


@pytest.mark.looptime
async def test_an_agent_that_speaks_by_itself_is_not_spoken_over(talk: Any) -> None:
    class Own(Streamer):
        @hookimpl
        def on_interrupt(self, call: Call) -> None:
            call.say("I will be quiet, and I will listen to whatever you have to say to me, please go on.")

    line = await _interrupted(talk, Own())
    await asyncio.sleep(4)
    assert AGAIN not in line.cycles


@pytest.mark.looptime
async def test_a_noisy_line_is_asked_twice_at_most(talk: Any) -> None:
    line = await _interrupted(talk, Streamer())
    for _ in range(5):
        await asyncio.sleep(15)
        await line.interrupt("")
    await asyncio.sleep(15)
    assert line.cycles.count(AGAIN) == 2
    await line.prompt("a story")
    await asyncio.sleep(1)
    await line.interrupt("word0")
    await asyncio.sleep(15)
    assert line.cycles.count(AGAIN) == 3


@pytest.mark.looptime
async def test_a_hook_that_waits_for_words_gets_those_that_are_asked_for(talk: Any) -> None:
    answers: list[Any] = []

    class Asker:
        @hookimpl
        async def on_setup(self, call: Call) -> None:
            answers.append(await call.ask("What is your favorite color of all that you can think of?", timeout=8))

    line = talk(Asker())
    await line.setup()
    await asyncio.sleep(1)
    await line.interrupt("What is")
    await asyncio.sleep(7)
    assert AGAIN in line.cycles
    await asyncio.sleep(7)
    await line.prompt("red")
    assert [answer and answer.voice_prompt for answer in answers] == ["red"]


# --------------------------------------------------------------------- barge-ins at the wrong moment


@pytest.fixture(params=list(itertools.product(get_args(Leftovers), [0.01, 0.04, 0.1])), ids=str)
def streaming_call(request: pytest.FixtureRequest, caller: Any) -> tuple[Any, Streamer]:
    """A call to an agent that streams, under each reading of what becomes of words on the wire."""
    leftovers, step = request.param
    agent = Streamer(step)
    return caller(agent, leftovers=leftovers, seed=7), agent


def truth(call: Any) -> list[str]:
    """What the caller heard of each talk cycle, by the simulator."""
    frames = [line["frame"] for line in call.call.log if line["dir"] == "out" and "frame" in line]
    heard = call.call.end.playback.heard_by_frame()
    cycles, text = [], ""
    for number, frame in enumerate(frame for frame in frames if frame["type"] == "text"):
        text += f"{heard.get(number, '')} "
        if frame["last"]:
            cycles.append("".join(text.split()))
            text = ""
    return [cycle for cycle in [*cycles, "".join(text.split())] if cycle]


def check(call: Any, agent: Streamer, *prompts: str) -> None:
    """All prompts were answered, and the last history is what was heard before it."""
    call.silence(20).say("goodbye").silence(5)
    assert agent.prompts == [*prompts, "goodbye"]
    assert ["".join(text.split()) for text in agent.histories[-1]] == truth(call)[:-1]


def test_a_barge_in_before_the_first_word_is_played(streaming_call: tuple[Any, Streamer]) -> None:
    call, agent = streaming_call
    call.say("a story").talk_over("no", after_ms=0)
    check(call, agent, "a story", "no")


def test_a_barge_in_on_the_last_word(streaming_call: tuple[Any, Streamer]) -> None:
    call, agent = streaming_call
    agent.words = 6
    call.say("a story").talk_over("no", after_words=6)
    check(call, agent, "a story", "no")


def test_two_barge_ins_within_300_ms(streaming_call: tuple[Any, Streamer]) -> None:
    call, agent = streaming_call
    call.say("a story").talk_over(keys="1", after_words=4).silence(0.25).talk_over("stop", after_ms=0)
    call.silence(20).say("goodbye").silence(5)
    assert agent.prompts == ["a story", "1", "stop", "goodbye"]
    assert ["".join(text.split()) for text in agent.histories[-1]] == truth(call)[:-1]


def test_a_key_and_a_voice_at_once(streaming_call: tuple[Any, Streamer]) -> None:
    call, agent = streaming_call

    async def both() -> None:
        await call.call.talk_over(keys="1", after_words=4)
        call.call.say("stop it")

    call._do(both())
    call.say("a story")._do(both())
    call.silence(20).say("goodbye").silence(5)
    assert agent.prompts[-2:] == ["stop it", "goodbye"]
    assert ["".join(text.split()) for text in agent.histories[-1]] == truth(call)[:-1]


def test_several_barge_ins_in_a_row(streaming_call: tuple[Any, Streamer]) -> None:
    call, agent = streaming_call
    for number in range(5):
        call.say(f"story {number}").talk_over(f"no {number}", after_words=3 + number)
    check(call, agent, *(text for n in range(5) for text in (f"story {n}", f"no {n}")))


def test_a_model_that_never_stops(caller: Any) -> None:
    agent = Streamer(0.02, words=100_000)
    call = caller(agent)
    call.say("a story").talk_over("stop", after_words=30)
    check(call, agent, "a story", "stop")


def test_a_caller_who_speaks_only_over_the_agent(caller: Any) -> None:
    agent = Streamer()
    call = caller(agent)
    call.say("a story")
    for number in range(4):
        call.talk_over(f"a story {number}", after_words=4)
    check(call, agent, "a story", *(f"a story {number}" for number in range(4)))


def test_leftovers_longer_than_the_next_reply(caller: Any) -> None:
    agent = Streamer(0.01)
    call = caller(agent, leftovers="joined")
    call.say("a story").talk_over("stop", after_words=5)
    call.expect.heard("All right.")
    check(call, agent, "a story", "stop")


@pytest.mark.parametrize("kind", ["filler", "play"])
def test_a_barge_in_into_a_filler_or_a_sound(caller: Any, kind: str) -> None:
    class Filling(Streamer):
        @hookimpl
        async def on_prompt(self, call: Call, prompt: Prompt) -> None:
            self.prompts.append(prompt.voice_prompt)
            self.histories.append([m["content"] for m in call.history() if m["role"] == "assistant"])
            if "story" in prompt.voice_prompt and kind == "filler":
                call.say("One moment, I am looking for a story that is good enough for you.", preemptible=True)
            elif "story" in prompt.voice_prompt:
                call.play("https://media.example.com/story.mp3")
            else:
                call.say("All right.")

    agent = Filling()
    call = caller(agent)
    call.say("a story").talk_over("no thanks", after_ms=900)
    check(call, agent, "a story", "no thanks")


@pytest.mark.parametrize("step", [0.01, 0.04, 0.1])
@pytest.mark.parametrize("leftovers", get_args(Leftovers))
def test_a_goodbye_behind_leftovers_ends_when_it_was_heard(caller: Any, step: float, leftovers: Leftovers) -> None:
    class Leaver(Streamer):
        @hookimpl
        async def on_prompt(self, call: Call, prompt: Prompt) -> AsyncIterator[str]:
            if "story" not in prompt.voice_prompt:
                yield "Goodbye then."
                await call.end(Handoff(reason_code="done"))
                return
            for number in range(100):
                await asyncio.sleep(self.step)
                yield f"word{number} "

    call = caller(Leaver(step), leftovers=leftovers)
    call.say("a story").talk_over("stop", after_words=5).silence(40)
    call.expect.ended().handoff(reasonCode="done")
    assert truth(call)[-1] == "Goodbyethen."
    end = next(line["ms"] for line in reversed(call.call.log) if line.get("frame", {}).get("type") == "end")
    last_word = max(event.at_ms for event in call.call.end.played if event.name == "tokensPlayed")
    assert end + (call.call.setup_ms or 0) - last_word < 500


# --------------------------------------------------------------------- what the wire does not tell, or tells wrongly


def info(name: str, value: str) -> dict[str, str]:
    return {"type": "info", "name": name, "value": value}


def sounds(line: Any, *texts: str) -> None:
    """Twilio reports this speech from its first sound to its last."""
    line.receive(info("agentSpeaking", "on"))
    for text in texts:
        line.receive(info("tokensPlayed", text))
    line.receive(info("agentSpeaking", "off"))


class Noting:
    """Notes its prompts and does with each what `reply` does."""

    say_again = None

    def __init__(self, reply: Callable[[Call, str], Any]) -> None:
        self.reply = reply
        self.got: list[Any] = []

    @hookimpl
    async def on_prompt(self, call: Call, prompt: Prompt) -> Any:
        self.got.append(prompt.voice_prompt)
        return await self.reply(call, prompt.voice_prompt)


async def _held(talk: Any, reply: Callable[[Call, str], Any], first: str = "terms") -> tuple[Noting, Any]:
    """A line on which the answer to `first` sounds since half a second."""
    agent = Noting(reply)
    line = talk(agent)
    await line.setup()
    sounds(line, "Hi.")
    await line.prompt(first)
    await asyncio.sleep(0.3)
    line.receive(info("agentSpeaking", "on"))
    await asyncio.sleep(0.5)
    return agent, line


@pytest.mark.looptime
async def test_the_same_sentence_again_is_heard_where_nothing_tells_who_speaks(talk: Any) -> None:
    async def reply(call: Call, words: str) -> None:
        call.say("Sorry, nobody is free.")
        if words == "b":
            await call.end(Handoff(reason_code="done"))

    line = talk(Noting(reply))
    await line.setup()
    line.receive(info("tokensPlayed", "Hello."))
    await asyncio.sleep(1)
    await line.prompt("a")
    await asyncio.sleep(0.8)
    await line.interrupt("")
    await asyncio.sleep(1)
    await line.prompt("b")
    await asyncio.sleep(2)
    line.receive(info("tokensPlayed", "Sorry, nobody is free."))
    await asyncio.sleep(0.1)
    assert [end["reasonCode"] for end in line.ends] == ["done"]


@pytest.mark.looptime
async def test_a_lost_report_of_silence_does_not_mute_the_caller(talk: Any) -> None:
    async def reply(call: Call, words: str) -> str:
        return "One two three four five six seven."

    agent, line = await _held(talk, reply)
    await line.prompt("uh-huh")
    await asyncio.sleep(20)
    assert agent.got == ["terms", "uh-huh"]
    for number in range(3):
        await asyncio.sleep(30)
        await line.prompt(f"hello {number}")
    assert agent.got[2:] == ["hello 0", "hello 1", "hello 2"]


@pytest.mark.looptime
async def test_words_that_a_waiting_hook_took_replace_those_that_were_held(talk: Any) -> None:
    async def reply(call: Call, words: str) -> str | None:
        if words != "terms":
            return "Answered."
        call.say("These are the terms and they are long.", interruptible=False)
        await call.spoken()
        answer = await call.ask("Do you agree?")
        agent.got.append(answer and answer.voice_prompt)
        return "Thank you."

    agent, line = await _held(talk, reply)
    await line.prompt("uh-huh")
    agent.got.clear()
    line.receive(info("tokensPlayed", "These are the terms and they are long."))
    line.receive(info("agentSpeaking", "off"))
    await asyncio.sleep(0.5)
    sounds(line, "Do you agree?")
    await line.prompt("yes I do")
    sounds(line, "Thank you.")
    await asyncio.sleep(20)
    assert agent.got == ["yes I do"]


@pytest.mark.looptime
@pytest.mark.parametrize("code", [1000, 1006])
async def test_no_hook_begins_for_held_words_when_the_caller_is_gone(talk: Any, code: int) -> None:
    async def reply(call: Call, words: str) -> None:
        call.say("One two three four five six seven.", interruptible=False)

    agent, line = await _held(talk, reply)
    await line.prompt("uh-huh")
    await line.close(code)
    await asyncio.sleep(60)
    assert agent.got == ["terms"]


@pytest.mark.looptime
@pytest.mark.parametrize("options", [{}, {"lang": "en-US"}])
async def test_terms_that_nothing_may_interrupt_stay_so_whatever_is_said_behind_them(
    talk: Any, options: dict[str, str]
) -> None:
    async def reply(call: Call, words: str) -> None:
        call.say("These are the terms that have to be heard whole.", interruptible=False)
        call.say("Thanks.", **options)
        await call.spoken()

    agent = Noting(reply)
    line = talk(agent)
    await line.setup()
    sounds(line, "Hi.")
    await line.prompt("terms")
    line.receive(info("clientSpeaking", "on"))
    await asyncio.sleep(0.2)
    line.receive(info("agentSpeaking", "on"))
    await asyncio.sleep(0.6)
    line.receive(info("clientSpeaking", "off"))
    await line.prompt("uh-huh")
    assert agent.got == ["terms"]


@pytest.mark.looptime
async def test_what_may_be_interrupted_behind_the_terms_may_be_answered_in_its_pauses(talk: Any) -> None:
    async def reply(call: Call, words: str) -> None:
        if words != "terms":
            return
        call.say("Terms.", interruptible=False)
        for number in range(100):
            await asyncio.sleep(0.05)
            call.say(f"Word {number}.")

    agent, line = await _held(talk, reply)
    line.receive(info("tokensPlayed", "Terms. Word 0."))
    line.receive(info("agentSpeaking", "off"))
    await asyncio.sleep(0.2)
    line.receive(info("clientSpeaking", "on"))
    await asyncio.sleep(0.2)
    line.receive(info("agentSpeaking", "on"))
    await asyncio.sleep(0.6)
    line.receive(info("clientSpeaking", "off"))
    await line.prompt("wait a moment")
    assert agent.got == ["terms", "wait a moment"]


@pytest.mark.looptime
async def test_words_over_the_question_to_say_them_again_are_answered_at_once(talk: Any) -> None:
    agent = Streamer()
    line = await _interrupted(talk, agent, events=True)
    await asyncio.sleep(2.1)
    assert line.cycles[-1] == AGAIN
    line.receive(info("agentSpeaking", "on"))
    await asyncio.sleep(0.2)
    await line.prompt("stop")
    assert agent.prompts == ["a story", "stop"]


@pytest.mark.looptime
async def test_held_words_wait_for_a_hook_that_goes_on(talk: Any) -> None:
    async def reply(call: Call, words: str) -> str | None:
        if words != "terms":
            return "Answered."
        call.say("These are the terms.", interruptible=False)
        await call.spoken()
        await asyncio.sleep(9)
        return "Done."

    agent, line = await _held(talk, reply)
    await line.prompt("uh-huh")
    line.receive(info("tokensPlayed", "These are the terms."))
    line.receive(info("agentSpeaking", "off"))
    await asyncio.sleep(8)
    assert agent.got == ["terms"]
    await asyncio.sleep(2)
    sounds(line, "Done.")
    await asyncio.sleep(0.1)
    assert agent.got == ["terms", "uh-huh"]


@pytest.mark.looptime
async def test_a_hook_that_runs_puts_the_question_off_and_does_not_forget_it(talk: Any) -> None:
    class Slow(Streamer):
        @hookimpl
        async def on_dtmf(self) -> None:
            await asyncio.sleep(4)

    line = await _interrupted(talk, Slow(), events=True)
    await asyncio.sleep(0.5)
    await line.press("5")
    await asyncio.sleep(3)
    assert AGAIN not in line.cycles
    await asyncio.sleep(4)
    assert AGAIN in line.cycles
