"""What of a hook's words is spoken: nothing before the first word, no empty piece, and utterances apart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from studio_relay import Call, Dtmf, Prompt, hookimpl

pytestmark = pytest.mark.looptime

APOLOGY = "I'm sorry, something went wrong on our side. Please hold on."
BLANKS = ["", " ", "\n\n", "\u200b", "\u202e", "\x00", "...", "-", "👍", "\u3164", "\ufe0f"]


class Agent:
    """An agent whose on_prompt is `reply`, with the call alone."""

    def __init__(self, reply: Callable[[Call], Any], key: Callable[[Call], Any] | None = None) -> None:
        self.reply = reply
        self.key = key or (lambda call: None)

    @hookimpl
    async def on_prompt(self, call: Call, prompt: Prompt) -> Any:
        answer = self.reply(call)
        return await answer if asyncio.iscoroutine(answer) else answer

    @hookimpl
    async def on_dtmf(self, call: Call, dtmf: Dtmf) -> Any:
        answer = self.key(call)
        return await answer if asyncio.iscoroutine(answer) else answer


class Through:
    """An extension that changes nothing."""

    @hookimpl
    async def wrap_reply(self, reply: AsyncIterator[str]) -> AsyncIterator[str]:
        async for piece in reply:
            yield piece


class Labels:
    """An extension that puts words of its own around what is said."""

    @hookimpl
    async def wrap_reply(self, reply: AsyncIterator[str]) -> AsyncIterator[str]:
        yield "Bot: "
        async for piece in reply:
            yield piece


class Hushes:
    """An extension that lets nothing through but a blank."""

    @hookimpl
    async def wrap_reply(self, reply: AsyncIterator[str]) -> AsyncIterator[str]:
        async for _ in reply:
            yield " "


async def pieces(*texts: Any, every: float = 0.0) -> AsyncIterator[Any]:
    for text in texts:
        if every:
            await asyncio.sleep(every)
        yield text


async def said_and_nothing_yielded(call: Call, *texts: str) -> AsyncIterator[str]:
    for text in texts:
        call.say(text)
    return
    yield ""


def tokens(line: Any) -> list[str]:
    return [frame["token"] for frame in line.frames if frame["type"] == "text" and frame["token"]]


# --- the first word -----------------------------------------------------------------------------------------

WORDLESS: dict[str, Callable[[Call], Any]] = {
    "pieces": lambda call: pieces(*BLANKS),
    "pieces, slowly": lambda call: pieces(*BLANKS, every=0.5),
    "one blank": lambda call: pieces(" "),
    "nothing and None": lambda call: pieces(None, "", None),
    "returned": lambda call: " \n",
    "returned, punctuation": lambda call: "...",
    "said": lambda call: said_and_nothing_yielded(call, " ", "\u200b"),
    "said with options": lambda call: _said_in_spanish(call),
    "language alone": lambda call: _language_alone(call),
}


async def _said_in_spanish(call: Call) -> AsyncIterator[str]:
    call.say(" ", lang="es-ES", preemptible=True)
    yield "\n"


async def _language_alone(call: Call) -> AsyncIterator[str]:
    call.set_language(tts="en-GB")
    yield " "


@pytest.mark.parametrize("extensions", [[], [Through()], [Labels()]], ids=["bare", "wrapped", "labelled"])
@pytest.mark.parametrize("reply", WORDLESS.values(), ids=WORDLESS)
async def test_a_reply_without_a_word_fails_and_the_second_ends_the_session(
    talk: Any, reply: Any, extensions: list[Any]
) -> None:
    line = talk(Agent(reply), *extensions)
    await line.setup()
    await line.prompt("hello")
    await asyncio.sleep(15)
    assert tokens(line) == [APOLOGY]
    assert line.ends == []
    await line.prompt("hello")
    await asyncio.sleep(30)
    assert tokens(line) == [APOLOGY, APOLOGY]
    assert [end["reasonCode"] for end in line.ends] == ["relay-agent-failed"]


async def test_blanks_without_end_time_out_as_no_words_do(talk: Any) -> None:
    async def blanks() -> AsyncIterator[str]:
        while True:
            yield " "
            await asyncio.sleep(0.1)

    line = talk(Agent(lambda call: blanks()), hook_timeout_seconds=4)
    await line.setup()
    await line.prompt("hello")
    await asyncio.sleep(3.9)
    assert line.frames == []
    await asyncio.sleep(1)
    assert tokens(line) == [APOLOGY]


@pytest.mark.parametrize("extensions", [[], [Through()]], ids=["bare", "wrapped"])
@pytest.mark.parametrize("every", [0.0, 0.05])
async def test_blanks_before_the_first_word_go_out_with_it_and_later_ones_as_they_come(
    talk: Any, every: float, extensions: list[Any]
) -> None:
    given = ["", " ", None, "\n\n", "\u200b", "- ", "Good", " ", "\n", "morning", "...", "."]
    line = talk(Agent(lambda call: pieces(*given, every=every)), *extensions)
    await line.setup()
    await line.prompt("hello")
    await asyncio.sleep(2)
    assert tokens(line) == [" \n\n\u200b- Good", " ", "\n", "morning", "...", "."]
    assert line.frames[-1] == {"type": "text", "token": "", "last": True}


async def test_no_talk_cycle_of_a_dialog_begins_with_blanks(talk: Any) -> None:
    async def reply(call: Call) -> AsyncIterator[str]:
        yield " Who "
        await call.ask("is it?")
        yield " "
        await call.ask("")
        yield "\n"
        yield "Good."

    line = talk(Agent(reply))
    await line.setup()
    for words in ("hello", "me", "me again"):
        await line.prompt(words)
        await asyncio.sleep(5)
    assert line.cycles == [" Who is it?", "\nGood."]


async def test_a_blank_behind_a_sound_waits_for_the_first_word_too(talk: Any) -> None:
    async def reply(call: Call) -> AsyncIterator[str]:
        call.set_language(tts="es-ES")
        yield " "
        call.play("https://media.example.com/a.mp3")
        yield "\n"
        yield "Hola."

    line = talk(Agent(reply))
    await line.setup()
    await line.prompt("hello")
    assert [frame.get("token", frame["type"]) for frame in line.frames] == ["language", "play", " \nHola."]


async def test_a_sound_file_is_something_to_hear(talk: Any) -> None:
    async def reply(call: Call) -> AsyncIterator[str]:
        call.play("https://media.example.com/a.mp3")
        yield " "

    line = talk(Agent(reply))
    await line.setup()
    await line.prompt("hello")
    assert [frame["type"] for frame in line.frames] == ["play"]


@pytest.mark.parametrize("extensions", [[], [Labels()]], ids=["bare", "labelled"])
async def test_a_blank_said_outside_a_reply_sends_nothing(talk: Any, extensions: list[Any]) -> None:
    line = talk(Agent(lambda call: None), *extensions)
    await line.setup()
    line.conversation.call.say(" ")
    line.conversation.call.say("\u200b", lang="sv-SE")
    await line.settle()
    assert line.frames == []


async def test_silence_on_purpose_stays_silence_though_blanks_were_said(talk: Any) -> None:
    line = talk(Agent(lambda call: call.say(" ")))
    await line.setup()
    await line.prompt("hello")
    assert line.frames == []


async def test_an_extension_that_leaves_no_word_silences_the_agent_on_its_own_account(talk: Any) -> None:
    line = talk(Agent(lambda call: pieces("One ", "two.")), Hushes())
    await line.setup()
    await line.prompt("hello")
    assert line.frames == []


@pytest.mark.parametrize(
    "key", [lambda call: pieces(" ", "\n"), lambda call: " ", lambda call: call.say(" "), lambda call: pieces(None)]
)
async def test_a_key_answered_with_blanks_lets_the_reply_go_on(talk: Any, key: Any) -> None:
    line = talk(Agent(lambda call: pieces("One ", "two ", "three.", every=1), key))
    await line.setup()
    await line.prompt("count")
    await asyncio.sleep(1.5)
    await line.press("5")
    await asyncio.sleep(5)
    assert line.cycles == ["One two three."]


async def test_a_key_takes_the_line_with_its_first_word(talk: Any) -> None:
    line = talk(
        Agent(lambda call: pieces("One ", "two ", "three.", every=1), lambda call: pieces(" ", "Stopped.", every=1))
    )
    await line.setup()
    await line.prompt("count")
    await asyncio.sleep(0.5)
    await line.press("5")
    await asyncio.sleep(5)
    assert line.cycles == ["One two ", " Stopped."] or line.cycles == ["One ", " Stopped."]


# --- pieces that are nothing --------------------------------------------------------------------------------


@pytest.mark.parametrize("extensions", [[], [Through()]], ids=["bare", "wrapped"])
async def test_none_and_empty_pieces_are_skipped(talk: Any, extensions: list[Any]) -> None:
    line = talk(Agent(lambda call: pieces(None, "Good ", None, "", "morning.", None)), *extensions)
    await line.setup()
    for _ in range(3):
        await line.prompt("hello")
    assert line.cycles == ["Good morning."] * 3


async def test_none_from_an_extension_is_skipped(talk: Any) -> None:
    class Wraps:
        @hookimpl
        async def wrap_reply(self, reply: AsyncIterator[str]) -> AsyncIterator[Any]:
            yield None
            async for piece in reply:
                yield piece
                yield None

    line = talk(Agent(lambda call: pieces("Good ", "morning.")), Wraps())
    await line.setup()
    await line.prompt("hello")
    assert line.cycles == ["Good morning."]


@pytest.mark.parametrize("piece", [0, False, b"", [], 7, b"words"])
async def test_any_other_piece_is_a_failure_even_an_empty_one(talk: Any, piece: Any) -> None:
    line = talk(Agent(lambda call: pieces(piece, "Good morning.")))
    await line.setup()
    await line.prompt("hello")
    assert line.cycles == [APOLOGY]


async def test_none_for_ever_does_not_hold_the_loop(talk: Any) -> None:
    line = talk(Agent(lambda call: pieces(*[None] * 100_000, "Done.")))
    await line.setup()
    await line.prompt("hello")
    await asyncio.sleep(1)
    assert line.words == ""
    await asyncio.sleep(5)
    assert line.words == "Done."


# --- utterances one after the other ---------------------------------------------------------------------------


async def heard(talk: Any, reply: Callable[[Call], Any], *extensions: Any) -> tuple[str, str]:
    """What was sent of a reply, and what the history says of it."""
    line = talk(Agent(reply), *extensions)
    await line.setup()
    await line.prompt("hello")
    await asyncio.sleep(20)
    history = line.conversation.call.history()
    return line.words, " | ".join(turn["content"] for turn in history if turn["role"] == "assistant")


@pytest.mark.parametrize("extensions", [[], [Through()]], ids=["bare", "wrapped"])
async def test_say_and_ask_are_spoken_apart(talk: Any, extensions: list[Any]) -> None:
    async def reply(call: Call) -> None:
        call.say("A.")
        await call.ask("B?", timeout=1)

    assert await heard(talk, reply, *extensions) == ("A. B?", "A. B?")


async def test_every_utterance_is_parted_from_the_next(talk: Any) -> None:
    async def reply(call: Call) -> str:
        call.say("A.")
        call.say("B.", lang="en-GB")
        call.say("")
        call.say("C. ")
        call.say("D.\n")
        call.set_language(tts="en-US")
        call.say("E.", interruptible=False)
        return "F."

    assert await heard(talk, reply) == ("A. B. C. D.\nE. F.",) * 2


async def test_the_pieces_of_a_stream_are_left_as_they_are(talk: Any) -> None:
    async def reply(call: Call) -> AsyncIterator[str]:
        yield "un"
        yield "believ"
        call.say("able.")
        yield "B"
        yield "C"
        call.say("D.")
        call.say("E.")

    assert await heard(talk, reply) == ("unbelievable.BCD. E.",) * 2


async def test_scripts_without_spaces_get_none(talk: Any) -> None:
    async def reply(call: Call) -> None:
        call.say("你好。")
        await call.ask("你是谁?", timeout=1)

    assert await heard(talk, reply) == ("你好。你是谁?",) * 2


async def test_nothing_is_added_around_sounds(talk: Any) -> None:
    async def reply(call: Call) -> str:
        call.say("A.")
        call.play("https://media.example.com/a.mp3")
        call.say("B.")
        call.send_digits("1")
        return "C."

    line = talk(Agent(reply))
    await line.setup()
    await line.prompt("hello")
    assert tokens(line) == ["A.", "B.", "C."]


async def test_nothing_is_added_to_the_next_talk_cycle_nor_behind_what_may_be_preempted(talk: Any) -> None:
    async def reply(call: Call) -> str:
        call.say("One moment.", preemptible=True)
        call.say("A.")
        await call.spoken()
        return "B."

    line = talk(Agent(reply))
    await line.setup()
    await line.prompt("hello")
    await asyncio.sleep(20)
    assert tokens(line) == ["One moment.", "A.", "B."]
    assert line.cycles == ["One moment.A.", "B."]


async def test_a_barge_in_ends_what_the_next_utterance_would_follow(talk: Any) -> None:
    async def reply(call: Call) -> None:
        await call.ask("A?")
        call.say("B.")

    line = talk(Agent(reply))
    await line.setup()
    await line.prompt("hello")
    await line.interrupt("A")
    await line.prompt("yes")
    assert tokens(line) == ["A?", "B."]
