"""A call held at the keyboard: what is typed is acted out at once, what the server sends is shown as it arrives.

A call may have several sessions: where one is over, the answer of its action URL may begin the next, as in scripts.
A line is taken off the keyboard when it is acted out, so what a session leaves undone is said in the next.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
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
from studio_relay.testing.relay import Session
from studio_relay.testing.script import DropSocket, HangUp, Press, Say, Script, Silence, Step, TalkOver
from studio_relay.testing.twilio import LiveEvent, SimulatedCall, fetch_relay
from studio_relay.testing.voice import MAX_SESSIONS, asked_again

if TYPE_CHECKING:
    from studio_relay.studio.outside import RelayOutcome
    from studio_relay.testing.attributes import RelayAttributes
    from studio_relay.testing.relay import Line

TURN_TIMEOUT_MS = 60_000
LAST_SILENCE_MS = 3_000


class Keyboard:
    """The lines that are typed. They can only be waited for in a thread; it dies with the program."""

    def __init__(self, stream: TextIO) -> None:
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self._current: str | None = None
        loop = asyncio.get_running_loop()

        def read() -> None:
            try:
                for line in stream:
                    loop.call_soon_threadsafe(self._lines.put_nowait, line.rstrip("\r\n") + "\n")
                loop.call_soon_threadsafe(self._lines.put_nowait, "")
            except RuntimeError:
                return  # the loop has gone: the call was over first

        threading.Thread(target=read, daemon=True, name="studio-relay keyboard").start()

    async def line(self) -> str:
        """The next line, the same one until it is taken; empty for ever once there are no more."""
        if self._current is None:
            self._current = await self._lines.get()
        return self._current

    def take(self) -> None:
        """The line is acted out."""
        self._current = None


class KeyboardSession:
    """One session of the call, driven line by line."""

    def __init__(self, call: SimulatedCall, keyboard: Keyboard, narrator: Narrator) -> None:
        self.call = call
        self.dropped = False
        self._keyboard = keyboard
        self._narrator = narrator
        self._ears = Ears(Heard(), call)

    async def obey(self) -> None:
        """Act out line after line until there is none, or the session is over."""
        while not self.call.over and (line := await self._keyboard.line()):
            if not self.call.over:
                await self._obey(line)

    async def finish(self) -> RelayOutcome:
        """There is nothing more to type: hear the agent out, hang up."""
        await self._ears.wait_for_silence(LAST_SILENCE_MS)
        self.call.hang_up()
        return await self.call.finished()

    async def _obey(self, line: str) -> None:
        """One line; a mistyped one only gets an explanation."""
        try:
            step = parse_line(line)
        except ScriptError as error:
            self._keyboard.take()
            self._narrator.note(str(error))
            return
        if step is not None:
            await self._act(step)
            return
        self._keyboard.take()
        if line.strip():
            for shown in HELP.splitlines():
                self._narrator.note(shown)

    async def _act(self, step: Step) -> None:
        if isinstance(step, Say | Press):
            if not await self._ears.wait_for_turn(TURN_TIMEOUT_MS):
                return  # the session is over; the line is left for the next one
            self._keyboard.take()
            text = step.text if isinstance(step, Say) else ""
            await self._ears.speak(text, step.keys if isinstance(step, Press) else "")
            return
        self._keyboard.take()
        match step:
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
    keyboard, clock = Keyboard(sys.stdin), Clock(speed=speed)
    identity = _identity(script)
    wanted = await _first_relay(line, url, identity, script, attributes)
    for number in range(1, MAX_SESSIONS + 1):
        call = _session(line, wanted, identity, clock, narrator)
        session = KeyboardSession(call, keyboard, narrator)
        try:
            await call.start()
            if call.refusal is not None:
                raise refused(call.refusal, call.url, line)
            if number == 1:
                narrator.note(f"connected to {call.url}" + (", /help for help" if typed else ""))
            else:
                narrator.note(f"(connected again: session {number} of this call)")
            await _until_over(session)
            outcome = await session.finish()
        finally:
            await call.aclose()
        _tell(narrator, outcome, call)
        following = _following(narrator, outcome, call) if number < MAX_SESSIONS else None
        if following is None:
            break
        wanted, identity = following, replace(identity, call_status="IN_PROGRESS")
    return outcome.status != "failed" or session.dropped


def _identity(script: Script) -> Identity:
    given = {"from_": script.call.from_, "to": script.call.to}
    return Identity.fresh(**{name: value for name, value in given.items() if value})


async def _first_relay(
    line: Line, url: str, identity: Identity, script: Script, attributes: RelayAttributes
) -> RelayAttributes:
    if url.startswith("http"):
        attributes = await fetch_relay(line.transport, url, identity, auth_token=line.auth_token, headers=line.headers)
        url = attributes.url
    return replace(attributes, url=url, parameters={**attributes.parameters, **script.call.parameters})


def _session(
    line: Line, wanted: RelayAttributes, identity: Identity, clock: Clock, narrator: Narrator
) -> SimulatedCall:
    return SimulatedCall(
        ListeningTransport(line.transport, lambda frame: _show_frame(narrator, frame)),
        wanted.url,
        attributes=wanted,
        identity=identity,
        auth_token=line.auth_token,
        sign_as=line.sign_as,
        headers=line.headers,
        clock=clock,
        rates=line.rates,
        leftovers=line.leftovers,
        line_delay=line.line_delay,
        on_event=lambda event: _show_event(narrator, event),
    )


def _following(narrator: Narrator, outcome: RelayOutcome, call: SimulatedCall) -> RelayAttributes | None:
    """The relay that the action URL's answer begins; a line that dropped and stays so is explained."""
    session = Session(widget="relay", url=call.url, outcome=outcome, call=call)
    following = asked_again(session)
    for lesson in session.lessons:
        narrator.note(f"note: {lesson}")
    if outcome.status != "failed":
        return following
    if following is not None:
        narrator.note("(the line dropped; the TwiML of the action URL connects it again)")
    elif not call.attributes.action_url:
        narrator.note(
            "(the line dropped and stays so: this call has no action URL. To try a reconnect, call the http:// or "
            "https:// address of your TwiML, such as .../voice)"
        )
    else:
        narrator.note("(the line dropped and stays so: the action URL answered without a new <ConversationRelay>)")
    return following


async def _until_over(session: KeyboardSession) -> None:
    """Obey line after line until there is none, or the session is over, whichever is first."""
    obeying = asyncio.create_task(session.obey())
    ended = asyncio.create_task(session.call.finished())
    await asyncio.wait({obeying, ended}, return_when=asyncio.FIRST_COMPLETED)
    for task in (obeying, ended):
        task.cancel()
    results = await asyncio.gather(obeying, ended, return_exceptions=True)
    if isinstance(results[0], Exception):
        raise results[0]


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
