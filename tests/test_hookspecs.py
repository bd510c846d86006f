"""The hookspecs are the reference: every hook is documented in one order, and has a test that is named for it."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from studio_relay import Call, Dtmf, ErrorMessage, Info, Interrupt, Prompt, Setup, Unknown, hookimpl, hookspecs
from studio_relay.call import SessionEnd
from studio_relay.testing.asgi import AsgiTransport

HOOKS = {name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, "studio_relay_spec")}
DESIGNED = {
    "on_startup": ("settings",),
    "on_shutdown": (),
    "on_setup": ("call", "setup"),
    "on_prompt": ("call", "prompt"),
    "on_dtmf": ("call", "dtmf"),
    "on_interrupt": ("call", "interrupt"),
    "on_end": ("call", "end"),
    "on_partial_prompt": ("call", "prompt"),
    "on_info": ("call", "message"),
    "on_error": ("call", "message"),
    "on_unknown": ("call", "message"),
    "wrap_reply": ("call", "reply"),
}


def test_the_hooks_are_those_of_the_design_and_no_other() -> None:
    assert {name: tuple(inspect.signature(spec).parameters) for name, spec in HOOKS.items()} == DESIGNED


@pytest.mark.parametrize("name", DESIGNED)
def test_every_hook_has_a_test_named_for_it(name: str) -> None:
    assert f"test_hook_{name}" in globals()


@pytest.mark.parametrize(("name", "spec"), HOOKS.items())
def test_docstrings_have_one_order(name: str, spec: Any) -> None:
    doc = inspect.getdoc(spec) or ""
    parameters = [re.escape(f":param {argument}: ") + r"\S" for argument in inspect.signature(spec).parameters]
    parts = [r"\ACalled [a-z].*?\.\n", *parameters, r":returns: \S", r"If it raises", r"\.\. versionadded:: \d+\.\d+\Z"]
    position = 0
    for part in parts:
        found = re.compile(part, re.DOTALL).search(doc, position)
        assert found, f"{name}: expected {part!r} after {doc[:position]!r}"
        position = found.end()


@pytest.mark.parametrize(("name", "spec"), HOOKS.items())
def test_every_argument_and_return_is_typed(name: str, spec: Any) -> None:
    signature = inspect.signature(spec)
    assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values())
    assert signature.return_annotation is not inspect.Signature.empty


@pytest.mark.parametrize(("name", "spec"), HOOKS.items())
def test_hooks_that_may_answer_say_what_a_reply_is(name: str, spec: Any) -> None:
    answers = inspect.signature(spec).return_annotation == "Reply"
    assert answers == (name in ("on_setup", "on_prompt", "on_dtmf"))
    assert answers == ("a Reply" in (inspect.getdoc(spec) or ""))


# --- one test for each hook: it is called with its arguments, at its moment -------------------------------


class Noting:
    """Every watching hook, with every argument."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @hookimpl
    def on_interrupt(self, call: Call, interrupt: Interrupt) -> None:
        self.seen.append((call, interrupt))

    @hookimpl
    def on_end(self, call: Call, end: SessionEnd) -> None:
        self.seen.append((call, end))

    @hookimpl
    def on_partial_prompt(self, call: Call, prompt: Prompt) -> None:
        self.seen.append((call, prompt))

    @hookimpl
    def on_info(self, call: Call, message: Info) -> None:
        self.seen.append((call, message))

    @hookimpl
    def on_error(self, call: Call, message: ErrorMessage) -> None:
        self.seen.append((call, message))

    @hookimpl
    def on_unknown(self, call: Call, message: Unknown) -> None:
        self.seen.append((call, message))


class Answering:
    """Every answering hook, with every argument."""

    @hookimpl
    async def on_setup(self, call: Call, setup: Setup) -> str:
        return f"{call.call_sid == setup.call_sid} "

    @hookimpl
    async def on_prompt(self, call: Call, prompt: Prompt) -> str:
        return f"{call.agent} {prompt.voice_prompt} {prompt.lang}"

    @hookimpl
    async def on_dtmf(self, call: Call, dtmf: Dtmf) -> str:
        return f"{call.agent} {dtmf.digit}"


@pytest.mark.looptime
async def test_hook_on_setup(talk: Any) -> None:
    line = talk(Answering())
    await line.setup()
    assert line.words == "True "


@pytest.mark.looptime
async def test_hook_on_prompt(talk: Any) -> None:
    line = talk(Answering())
    await line.setup()
    await line.prompt("hello")
    assert line.cycles[-1] == "agent hello en-US"


@pytest.mark.looptime
async def test_hook_on_dtmf(talk: Any) -> None:
    line = talk(Answering())
    await line.setup()
    await line.press("7")
    assert line.cycles[-1] == "agent 7"


async def noted(talk: Any, frame: dict[str, Any] | None) -> list[Any]:
    agent, extension = Noting(), Noting()
    line = talk(agent, extension)
    await line.setup()
    if frame is None:
        await line.close(1000)
    else:
        line.receive(frame)
        await line.settle()
    assert len(agent.seen) == len(extension.seen) == 1
    call, message = agent.seen[0]
    assert call is line.conversation.call
    assert extension.seen[0][1] == message
    return [message]


@pytest.mark.looptime
async def test_hook_on_interrupt(talk: Any) -> None:
    frame = {"type": "interrupt", "utteranceUntilInterrupt": "one two", "durationUntilInterruptMs": "460"}
    [message] = await noted(talk, frame)
    assert (message.utterance_until_interrupt, message.duration_until_interrupt_ms) == ("one two", 460)


@pytest.mark.looptime
async def test_hook_on_end(talk: Any) -> None:
    assert await noted(talk, None) == [SessionEnd(reason="hangup", close_code=1000)]


@pytest.mark.looptime
async def test_hook_on_partial_prompt(talk: Any) -> None:
    [message] = await noted(talk, {"type": "prompt", "voicePrompt": "my par", "lang": "en", "last": False})
    assert (message.voice_prompt, message.last) == ("my par", False)


@pytest.mark.looptime
async def test_hook_on_info(talk: Any) -> None:
    [message] = await noted(talk, {"type": "info", "name": "roundTripDelayMs", "value": "120"})
    assert (message.name, message.value) == ("roundTripDelayMs", "120")


@pytest.mark.looptime
async def test_hook_on_error(talk: Any) -> None:
    [message] = await noted(talk, {"type": "error", "description": "Invalid message received: {}"})
    assert message.description.startswith("Invalid message")


@pytest.mark.looptime
async def test_hook_on_unknown(talk: Any) -> None:
    [message] = await noted(talk, {"type": "novelty", "extra": 5})
    assert (message.type, message.raw["extra"]) == ("novelty", 5)


@pytest.mark.looptime
async def test_hook_wrap_reply(talk: Any) -> None:
    class Signing:
        @hookimpl
        async def wrap_reply(self, call: Call, reply: AsyncIterator[str]) -> AsyncIterator[str]:
            async for piece in reply:
                yield piece
            yield f" Yours, {call.agent}."

    line = talk(Answering(), Signing())
    await line.setup()
    await line.prompt("hello")
    assert line.cycles[-1] == "agent hello en-US Yours, agent."


async def startup_and_shutdown() -> list[Any]:
    from studio_relay import create_app
    from studio_relay.plugins import assemble, plugin
    from studio_relay.settings import load_settings

    seen: list[Any] = []

    class Agent(Answering):
        @hookimpl
        def on_startup(self, settings: Any) -> None:
            seen.append(settings.max_calls)

        @hookimpl
        def on_shutdown(self) -> None:
            seen.append("down")

    settings = load_settings(None, insecure=True, agent="agent", max_calls=7)
    async with AsgiTransport(create_app(settings, assemble([plugin(Agent(), name="agent", kind="agent")]))):
        seen.append("serving")
    return seen


@pytest.mark.looptime
async def test_hook_on_startup() -> None:
    assert (await startup_and_shutdown())[:2] == [7, "serving"]


@pytest.mark.looptime
async def test_hook_on_shutdown() -> None:
    assert (await startup_and_shutdown())[-2:] == ["serving", "down"]
