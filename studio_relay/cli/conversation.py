"""A call held at the keyboard: what is typed is acted out at once, what the server sends is shown as it arrives."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from studio_relay.cli.keyboard import HELP, parse_line
from studio_relay.cli.listening import ListeningTransport
from studio_relay.cli.lost_words import lost_words
from studio_relay.cli.narrator import Narrator, terminal
from studio_relay.cli.refusal import refused
from studio_relay.errors import ScriptError
from studio_relay.testing.clock import Clock
from studio_relay.testing.hearing import Ears, Heard
from studio_relay.testing.identity import Identity
from studio_relay.testing.script import DropSocket, HangUp, Press, Say, Script, Silence, Step, TalkOver
from studio_relay.testing.twilio import LiveEvent, SimulatedCall, fetch_relay

if TYPE_CHECKING:
    from studio_relay.studio.outside import RelayOutcome
    from studio_relay.testing.attributes import RelayAttributes
    from studio_relay.testing.relay import Line

TURN_TIMEOUT_MS = 60_000
LAST_SILENCE_MS = 3_000


class KeyboardCall:
    """One call, driven line by line."""

    def __init__(self, call: SimulatedCall, narrator: Narrator) -> None:
        self.call = call
        self.dropped = False
        self._narrator = narrator
        self._ears = Ears(Heard(), call)

    async def obey(self, line: str) -> None:
        """Act out one typed line; a mistyped one only gets an explanation."""
        try:
            step = parse_line(line)
        except ScriptError as error:
            self._narrator.note(str(error))
            return
        if step is not None:
            await self._act(step)
        elif line.strip():
            for shown in HELP.splitlines():
                self._narrator.note(shown)

    async def finish(self) -> RelayOutcome:
        """There is nothing more to type: hear the agent out, hang up."""
        await self._ears.wait_for_silence(LAST_SILENCE_MS)
        self.call.hang_up()
        return await self.call.finished()

    async def _act(self, step: Step) -> None:
        match step:
            case Say() | Press():
                if await self._ears.wait_for_turn(TURN_TIMEOUT_MS):
                    text = step.text if isinstance(step, Say) else ""
                    await self._ears.speak(text, step.keys if isinstance(step, Press) else "")
            case TalkOver():
                await self.call.talk_over(step.say, after_words=step.after_words)
                await self._ears.until_said()
            case Silence():
                await self.call.silence(step.seconds)
            case HangUp():
                self.call.hang_up()
            case DropSocket():
                self.dropped = True
                await self.call.drop_socket()


async def converse(line: Line, url: str, script: Script, attributes: RelayAttributes, speed: float) -> bool:
    """Hold the call and show it. Returns False if it failed without being asked to."""
    typed = sys.stdin.isatty()
    narrator = Narrator(terminal(), show_caller=not typed)
    call = await _dial(line, url, script, attributes, speed, narrator)
    keyboard = KeyboardCall(call, narrator)
    try:
        if call.refusal is not None:
            raise refused(call.refusal, url, line)
        narrator.note(f"connected to {call.url}" + (", /help for help" if typed else ""))
        await _until_over(keyboard)
        outcome = await keyboard.finish()
    finally:
        await call.aclose()
    _tell(narrator, outcome, call)
    return outcome.status != "failed" or keyboard.dropped


async def _dial(
    line: Line, url: str, script: Script, attributes: RelayAttributes, speed: float, narrator: Narrator
) -> SimulatedCall:
    given = {"from_": script.call.from_, "to": script.call.to}
    identity = Identity.fresh(**{name: value for name, value in given.items() if value})
    if url.startswith("http"):
        attributes = await fetch_relay(line.transport, url, identity, auth_token=line.auth_token, headers=line.headers)
        url = attributes.url
    call = SimulatedCall(
        ListeningTransport(line.transport, lambda frame: _show_frame(narrator, frame)),
        url,
        attributes=replace(attributes, url=url, parameters={**attributes.parameters, **script.call.parameters}),
        identity=identity,
        auth_token=line.auth_token,
        sign_as=line.sign_as,
        headers=line.headers,
        clock=Clock(speed=speed),
        on_event=lambda event: _show_event(narrator, event),
    )
    await call.start()
    return call


async def _until_over(keyboard: KeyboardCall) -> None:
    """Obey line after line until there is none, or the session is over, whichever is first."""

    async def obey_all() -> None:
        async for line in _lines(sys.stdin):
            await keyboard.obey(line)

    obeying = asyncio.create_task(obey_all())
    ended = asyncio.create_task(keyboard.call.finished())
    await asyncio.wait({obeying, ended}, return_when=asyncio.FIRST_COMPLETED)
    for task in (obeying, ended):
        task.cancel()
    results = await asyncio.gather(obeying, ended, return_exceptions=True)
    if isinstance(results[0], Exception):
        raise results[0]


async def _lines(stream: TextIO) -> AsyncIterator[str]:
    """The lines of a stream that can only be waited for in a thread; it dies with the program."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        try:
            for line in stream:
                loop.call_soon_threadsafe(lines.put_nowait, line.rstrip("\r\n") + "\n")
            loop.call_soon_threadsafe(lines.put_nowait, "")
        except RuntimeError:
            return  # the loop has gone: the call was over first

    threading.Thread(target=read, daemon=True, name="studio-relay keyboard").start()
    while line := await lines.get():
        yield line


def _show_frame(narrator: Narrator, frame: str) -> None:
    """What the server sends, as it arrives."""
    try:
        message = json.loads(frame)
        kind = message["type"]
    except (ValueError, TypeError, KeyError, RecursionError):
        narrator.note("(the server sent what is not ConversationRelay)")
        return
    if kind == "text":
        narrator.stream("agent", str(message.get("token", "")))
        if message.get("last"):
            narrator.finish()
    elif kind == "end":
        narrator.note(f"(the agent ends the session: {message.get('handoffData') or 'no handoff'})")
    else:
        detail = message.get("source") or message.get("digits") or ""
        narrator.note(f"({kind} {detail})".replace(" )", ")"))


def _show_event(narrator: Narrator, event: LiveEvent) -> None:
    """What happens beside the server's words, which were shown when they arrived."""
    if event.kind == "interrupted":
        narrator.note("(the agent was cut off)")
    elif event.kind in ("caller", "digits"):
        narrator.caller(event)


def _tell(narrator: Narrator, outcome: RelayOutcome, call: SimulatedCall) -> None:
    code = f", close code {outcome.close_code}" if outcome.close_code else ""
    error = f", error {outcome.error_code}: {outcome.error_message}" if outcome.error_code else ""
    narrator.note(f"(session {outcome.status}{code}{error})")
    if lost := lost_words(call):
        narrator.note(f"lost: {lost}")
    for lesson in call.end.lessons:
        narrator.note(f"note: {lesson}")
