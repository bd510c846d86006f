"""The agent `front-desk`: greets, answers from its table, takes a number, hands over to a person, says goodbye.

It keeps in `call.state` what must outlive a lost connection: how often it knew no answer, and whether it was
taking a number.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from studio_relay import Call, Dtmf, Handoff, Info, Prompt, hookimpl
from studio_relay_front_desk.callback import NoNumber, take_number
from studio_relay_front_desk.hearing import listen, says_goodbye, wants_callback, wants_person
from studio_relay_front_desk.silence import SilenceWatch
from studio_relay_front_desk.table import FrontDeskSettings, Table, load_settings, load_table

_TURNS_IN_SUMMARY = 5
_GREETING_PATIENCE = 6.0  # seconds for a greeting that is not ours, whose end we may not be told
_GO_ON = "All right. How else can I help you?"


class FrontDeskHandoff(Handoff):
    """What the flow gets: why the session ended, and the number to call back, if one was taken."""

    reason_code: Literal["person", "callback", "done"]
    callback_number: str | None = None


class FrontDeskParameters(BaseModel):
    """The custom parameters that are read. `greeted`: the flow, or a welcome greeting, has greeted already."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    greeted: bool = False


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is said, and the handoff that ends the session behind it."""

    text: str
    handoff: FrontDeskHandoff | None = None


class Desk:
    """What all calls share: settings, table, and the watch over silence."""

    def __init__(self, settings: FrontDeskSettings) -> None:
        self.settings = settings
        self.table: Table = load_table(settings.table)
        self.silence = SilenceWatch(
            seconds=settings.silence_seconds, question="Are you still there?", give_up=_leave_in_silence
        )


class FrontDesk:
    """One instance answers all calls of a process. Without `settings` it reads the environment at start-up."""

    handoff_model: ClassVar[type[Handoff]] = FrontDeskHandoff
    parameters_model: ClassVar[type[BaseModel]] = FrontDeskParameters
    relay: ClassVar[Mapping[str, Any]] = {
        "dtmf_detection": True,
        "interruptible": "any",
        "events": "speaker-events tokens-played",
    }

    def __init__(self, settings: FrontDeskSettings | None = None) -> None:
        self._settings = settings
        self._opened: Desk | None = None

    def _desk(self) -> Desk:
        if self._opened is None:
            self._opened = Desk(self._settings or load_settings())
        return self._opened

    # ----------------------------------------------------------------------------------- hooks

    @hookimpl
    def on_startup(self) -> None:
        """Read settings and table: what is wrong with them stops the start, not a call."""
        self._desk()

    @hookimpl
    async def on_setup(self, call: Call) -> AsyncIterator[str]:
        """Greet, unless the flow has; after a lost connection go on where the call was."""
        greeted = _greeted(call.parameters)
        with self._desk().silence.held(call, patience=_GREETING_PATIENCE if greeted else 0.0):
            async for word in _speak(call, await self._opening(call, greeted)):
                yield word

    @hookimpl
    async def on_prompt(self, call: Call, prompt: Prompt) -> AsyncIterator[str]:
        """Answer what the caller said."""
        with self._desk().silence.held(call):
            async for word in _speak(call, await self._answer(call, prompt.voice_prompt)):
                yield word

    @hookimpl
    async def on_dtmf(self, call: Call, dtmf: Dtmf) -> AsyncIterator[str]:
        """Zero is a person; any other key may have cut our speech, so it gets a word too."""
        with self._desk().silence.held(call):
            async for word in _speak(call, _answer_key(call, dtmf.digit)):
                yield word

    @hookimpl
    async def on_interrupt(self, call: Call) -> None:
        """The caller made a sound: they are there."""
        self._desk().silence.restart(call)

    @hookimpl
    async def on_info(self, call: Call, message: Info) -> None:
        """Where Twilio tells who is speaking, long sentences of the caller are no silence."""
        if message.name == "clientSpeaking":
            silence = self._desk().silence
            (silence.pause if message.value == "on" else silence.restart)(call)

    @hookimpl
    async def on_end(self, call: Call) -> None:
        """Leave no timer behind."""
        self._desk().silence.forget(call)

    # ------------------------------------------------------------------------------- decisions

    async def _opening(self, call: Call, greeted: bool) -> Reply:
        if call.session_number == 1:
            hello = f"Hello, this is {self._desk().settings.company}. How can I help you?"
            return Reply(text="" if greeted else hello)
        if not call.state.get("taking_number"):
            return Reply(text="I am sorry, we were cut off. How can I help you?")
        call.say("I am sorry, we were cut off. ")
        return await self._call_back(call)

    async def _answer(self, call: Call, text: str) -> Reply:
        known = await self._known(call, text)
        if known is not None:
            call.state.pop("unknown", None)
            return known
        if call.state.pop("unknown", False):
            return await self._offer_person(call)
        call.state["unknown"] = True
        return Reply(text=f"I am sorry, I did not get that. You can ask about {self._desk().table.topics}.")

    async def _known(self, call: Call, text: str) -> Reply | None:
        if wants_person(text):
            return _to_person(call, "The caller asked for a person.")
        if wants_callback(text):
            return await self._call_back(call)
        if (found := self._desk().table.find(text)) is not None:
            return Reply(text=f"{found.says} Is there anything else?")
        return self._goodbye(call) if says_goodbye(text) else None

    async def _offer_person(self, call: Call) -> Reply:
        heard = await listen(call, "I am sorry, I cannot answer that. Would you like to talk to a person?")
        if heard.yes or heard.wants_person:
            return _to_person(call, "Two questions could not be answered.")
        if heard.no:
            return Reply(text=_GO_ON)
        return await self._known(call, heard.words) or _to_person(call, "Two questions could not be answered.")

    async def _call_back(self, call: Call) -> Reply:
        call.state["taking_number"] = True
        number = await take_number(call, self._desk().settings.country_code)
        call.state.pop("taking_number", None)
        if number is NoNumber.CANCELLED:
            return Reply(text=_GO_ON)
        if isinstance(number, NoNumber):
            return _to_person(call, f"No call back: {number.value}.")
        handoff = _handoff(call, "callback", "The caller wants to be called back.", number)
        return Reply(text="Thank you. We will call you back.", handoff=handoff)

    def _goodbye(self, call: Call) -> Reply:
        text = f"Thank you for calling {self._desk().settings.company}. Goodbye!"
        return Reply(text=text, handoff=_handoff(call, "done", "The caller said goodbye."))


def _answer_key(call: Call, digit: str) -> Reply:
    if digit == "0":
        return _to_person(call, "The caller pressed zero.")
    return Reply(text="Press zero for a person, or tell me how I can help.")


def _to_person(call: Call, why: str) -> Reply:
    return Reply(text="One moment, I will put you through to a person.", handoff=_handoff(call, "person", why))


async def _leave_in_silence(call: Call) -> None:
    call.say("I cannot hear you, so I will hang up now. Goodbye!")
    await call.end(_handoff(call, "done", "The caller was silent."))


async def _speak(call: Call, reply: Reply) -> AsyncIterator[str]:
    for word in _words(reply.text):
        yield word
    if reply.handoff is not None:
        await call.end(reply.handoff)


def _words(text: str) -> Iterator[str]:
    """Words with the white space behind them: speech begins with the first."""
    yield from re.findall(r"\S+\s*", text)


def _greeted(parameters: Mapping[str, str]) -> bool:
    """Custom parameters come from whoever wrote the flow: one that makes no sense is passed over."""
    try:
        return FrontDeskParameters.model_validate(dict(parameters)).greeted
    except ValidationError:
        return False


def _handoff(
    call: Call, reason: Literal["person", "callback", "done"], why: str, number: str | None = None
) -> FrontDeskHandoff:
    said = [" ".join(turn.text.split()) for turn in call.transcript if turn.who == "caller" and turn.text.strip()]
    summary = f"{why} Caller: {' / '.join(said[-_TURNS_IN_SUMMARY:])}" if said else why
    return FrontDeskHandoff(reason_code=reason, summary=summary, callback_number=number)
