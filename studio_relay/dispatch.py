"""From the events of a session to the hooks of its plugins, and from hooks to words: one `Conversation` a session.

It owns the order of things: on_setup before anything else, at most one reply at a time, who hears a key. It
knows no socket and no host; `server/connection.py` feeds it frames and sends what it has to say.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from studio_relay.blame import log_failure, place_of
from studio_relay.call import Call, Reason, SessionEnd
from studio_relay.errors import CallEnded, LocalProtocolError, PluginError
from studio_relay.floor import Floor
from studio_relay.handoff import Handoff, as_handoff, server_handoff
from studio_relay.keeping import Keeper
from studio_relay.listening import Listener
from studio_relay.log import REPEATS_IN_CALL
from studio_relay.memory import Memories
from studio_relay.plugins import Hook, Plugin, Plugins
from studio_relay.progress import Progress
from studio_relay.protocol.events import (
    Ended,
    ErrorReported,
    Event,
    Informed,
    Interrupted,
    PartlyPrompted,
    Pressed,
    Prompted,
    Refused,
    SetupRepeated,
    Started,
    UnknownReceived,
)
from studio_relay.protocol.messages import Outgoing, Prompt, Raw, Setup, Text, check
from studio_relay.protocol.session import Session, SessionOptions
from studio_relay.protocol.transcript import Turn
from studio_relay.replies import CURRENT, Reply
from studio_relay.settings import PluginSettings
from studio_relay.store import SessionStore
from studio_relay.story import Observer, Story
from studio_relay.ticket import earlier_sessions, without_ours
from studio_relay.turn_taking import HeldInput, Input, LostWords
from studio_relay.voice import Voice, WrappedVoice, Writer
from studio_relay.watching import Audience, Watcher
from studio_relay.wrapping import Chain

log = logging.getLogger(__name__)

_FAILURES_ALLOWED = 2  # replies in a row; then the session ends with relay-agent-failed
_ERRORS_ALLOWED = 5  # frames of ours that Twilio refused in a row: our encoder is broken
_HANDOVER_SECONDS = 3.0  # what a call waits for the end of its earlier socket
_GREETING_SECONDS = 5.0  # what a greeting takes that nobody reports; it is spoken by Twilio, and only once
_ENDED = "the call is ending: nothing more can be said after end()"


@dataclass(frozen=True, kw_only=True)
class Dispatcher:
    """What the conversations of a process share."""

    plugins: Plugins
    settings: PluginSettings
    store: SessionStore
    default_agent: Plugin
    observer: Observer = field(default_factory=Observer)

    @cached_property
    def wraps(self) -> list[Hook]:
        """The hooks that wrap what agents say, in their order."""
        return [plugin.hooks["wrap_reply"] for plugin in self.plugins.extensions if "wrap_reply" in plugin.hooks]

    @cached_property
    def memories(self) -> Memories:
        """What calls remember over their sockets."""
        return Memories(self.store)

    def choose(self, path_agent: Plugin | None, parameters: Mapping[str, str]) -> Plugin:
        """The agent that answers: by path, by the custom parameter `agent` where allowed, else the default."""
        if path_agent is not None:
            return path_agent
        wanted = parameters.get("agent") if self.settings.agent_from_parameters else None
        if wanted:
            found = self.plugins.agent(wanted)
            if found is not None:
                return found
            # What a parameter holds is nobody's business in a log, unless it names something of ours.
            why = self.plugins.absence(wanted) if self.plugins.is_broken(wanted) else "one that is not installed"
            log.warning("the custom parameter agent names %s; %s answers", why, self.default_agent.name)
        return self.default_agent


class Conversation:
    """One session: give it frames with receive(), send what next_text() holds, and tell it when the socket closes."""

    def __init__(self, desk: Dispatcher, *, path_agent: Plugin | None = None) -> None:
        settings = desk.settings
        self.session = Session(
            SessionOptions(
                max_frame_bytes=settings.max_frame_bytes,
                max_token_bytes=settings.max_token_bytes,
                outbound_queue=settings.outbound_queue,
                allow_raw=settings.allow_raw_messages,
            )
        )
        self.call: Call | None = None
        self.admit: Callable[[Setup], Awaitable[str | None]] = _anybody  # why a session is refused, or None
        self.writer: Writer | None = None  # sends what session.next_text() holds
        self.on_refusal: Callable[[str], None] = lambda why: None  # the session must be turned away
        self.reason: Reason | None = None  # why it ends, where that is our doing
        self.story = Story(desk.observer)
        self._desk = desk
        self._settings = settings
        self._path_agent = path_agent
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._predecessor: Conversation | None = None
        self._followed = False  # a newer socket of the call has taken over
        self._kept = asyncio.Event()  # what the call remembers is in the store
        self._earlier: tuple[Turn, ...] = ()  # what was said in earlier sessions of the call
        self._keeper: Keeper | None = None
        self._agent: Plugin | None = None
        self._audience = Audience()
        self._starting: asyncio.Task[None] | None = None
        self._held: list[Event] = []  # what came before the agent was ready
        self._remarks: set[WrappedVoice] = set()  # said outside any reply, and not past the extensions yet
        self._listener = Listener(self)
        self._floor = Floor(self._listener.stop)
        self.progress = Progress(
            self.session, held_back=lambda: bool(self._remarks), patience=settings.end_wait_max_seconds
        )
        self._over_speech = HeldInput(self._all_played, self._take_input, self._spawn)
        self._lost_words = LostWords(self.session.playback, self._ask_again)
        self._cut_before = 0  # the newest barge-in cut what answers events before this number
        self._turns = 0
        self._failures = 0
        self._ending: asyncio.Task[None] | None = None
        self._greeted_by = 0.0  # until then Twilio may be greeting, without a word to us
        self._leaving = False  # the server is: end waits for nothing
        self._caller_speaks = False  # words of a prompt came, and not yet its last
        self._handoff: dict[str, Any] | None = None
        self._limit_timer: asyncio.TimerHandle | None = None
        self._own_tasks: set[asyncio.Task[Any]] = set()

    def follow(self, other: Conversation) -> None:
        """Go on from where `other`, an earlier socket of the same call, has got to; that one keeps nothing more."""
        self._predecessor = other
        other._followed = True

    # ------------------------------------------------------------------------- from the socket

    def receive(self, frame: str | bytes) -> str | None:
        """Take a frame and act on it at once; hooks run in tasks of their own. Returns why it was refused, if so."""
        refused, now = None, self._loop.time()
        for event in self.session.receive_text(frame, now):
            if isinstance(event, Prompted):
                self.story.prompted(now)
            refused = self._take(event)
        self.progress.happened()
        return refused

    @property
    def backlog(self) -> int:
        """How many events wait for the agent to be ready; the reader stops while they are too many."""
        return len(self._held)

    async def closed(self, code: int | None, reason: str = "") -> None:
        """The socket is gone. Runs on_end of every plugin, once, and keeps what a reconnect needs."""
        self.progress.closed = True
        self._lost_words.stop()
        self._over_speech.drop()
        self.progress.happened()
        for ended in self.session.receive_close(code, reason, self._loop.time()):
            assert isinstance(ended, Ended)
            if ended.had_setup:
                await self._close(code, ended.end_sent)

    def _take(self, event: Event) -> str | None:
        """Act on an event; why it was refused, if it was."""
        if isinstance(event, Refused):
            self.story.frame_refused()
            if event.first:
                log.warning("frame refused: %s", event.reason, extra=REPEATS_IN_CALL)
            return event.reason
        if isinstance(event, Started):
            self._admit(event)
        elif self.call is None:
            self._held.append(event)
        else:
            self._dispatch(event, self.call)
        return None

    def _admit(self, event: Started) -> None:
        self.story.began(self._loop.time())
        self._greeted_by = self._loop.time() + _GREETING_SECONDS
        self._starting = self._spawn(self._begin(event.setup, self.admit(event.setup)), "start")

    # ------------------------------------------------------------------------------- the start

    async def _begin(self, setup: Setup, admission: Awaitable[str | None]) -> None:
        try:
            refusal = await admission
            if refusal is None:
                await self._start(without_ours(setup), earlier_sessions(setup))
            else:
                self._refuse(without_ours(setup), refusal)
        except (Exception, KeyboardInterrupt, SystemExit) as error:  # nobody is left where no agent ever answers
            log.error("the session could not begin: %s %s", type(error).__name__, place_of(error))
            log.debug("the failure in full", exc_info=error)
            self.reason = "dropped"
            self.on_refusal("internal error")

    def _refuse(self, setup: Setup, refusal: str) -> None:
        self.reason = "refused"
        log.warning("session refused: %s", refusal)
        # No agent hears of a session that may be forged; those who watch do, at its end.
        self._audience = self._gather_audience()
        self.call = Call(self, setup, agent="")
        self.on_refusal(refusal)

    async def _start(self, setup: Setup, earlier_sessions: int) -> None:
        await self._await_predecessor()
        memory = await self._desk.memories.load(setup.call_sid)
        self._earlier = memory.turns
        agent = self._agent = self._desk.choose(self._path_agent, setup.custom_parameters)
        self.session.transcript.offset_ms = memory.elapsed_ms
        self._turns = memory.prompts
        call = Call(
            self,
            setup,
            agent=agent.name,
            session_number=(memory.sessions or earlier_sessions) + 1,
            language=setup.custom_parameters.get("language", ""),
            state=memory.state,
        )
        self.story.answered_by(agent.name, call.session_number)
        self._audience = self._gather_audience(agent)
        agent.check_parameters(setup.custom_parameters)
        left = self._settings.call_max_seconds - memory.elapsed_ms / 1000
        self._limit_timer = self._loop.call_later(max(0.0, left), self._hit_limit)
        self.call = call
        self._keeper = Keeper(
            memory, self._desk.memories, call, self._spawn, max_state_bytes=self._settings.max_state_bytes
        )
        if earlier_sessions and not memory.sessions:
            log.warning("the call is connected again, and nothing is known of its earlier sessions; the caller is told")
            self._server_says(self._settings.start_again_for(call.language))
        self._audience.extensions("on_setup", call=call, setup=setup)
        self._open(call, setup, agent)
        held, self._held = self._held, []
        for event in held:
            self._dispatch(event, call)
        self.progress.happened()

    async def _await_predecessor(self) -> None:
        other, self._predecessor = self._predecessor, None
        if other is not None:
            try:
                await asyncio.wait_for(other._kept.wait(), _HANDOVER_SECONDS)
            except TimeoutError:
                log.warning("the earlier socket of this call is not wound up yet; what it did last is not known here")

    def _open(self, call: Call, setup: Setup, agent: Plugin) -> None:
        hook = agent.hooks.get("on_setup")
        if hook is not None:
            arguments = {"call": call, "setup": setup}
            reply = self._new_reply(hook, arguments, 0, may_be_silent=True, must_begin=True)
            self._floor.open(reply, call.call_sid)

    # ------------------------------------------------------------------------------ the events

    def _dispatch(self, event: Event, call: Call) -> None:
        match event:
            case Prompted():
                self._caller_speaks = False
                self._keep_soon()
                self._lost_words.came()
                self._audience.extensions("on_prompt", call=call, prompt=event.prompt)
                self._prompted(event, call)
            case Pressed():
                self._audience.extensions("on_dtmf", call=call, dtmf=event.dtmf)
                self._pressed(event, call)
            case Interrupted():
                self._keep_soon()
                self._interrupted(event)
                self._audience.all("on_interrupt", call=call, interrupt=event.interrupt)
            case PartlyPrompted():
                self._lost_words.sounds()
                self._caller_speaks = True
                self._audience.all("on_partial_prompt", call=call, prompt=event.prompt)
            case Informed():
                self._informed(event)
                self._audience.all("on_info", call=call, message=event.info)
            case ErrorReported():
                self._errored(event)
                self._audience.all("on_error", call=call, message=event.error)
            case UnknownReceived():
                if event.first:
                    log.info("message of an unknown type passed on: %s", _type_name(event.message.type))
                self._audience.all("on_unknown", call=call, message=event.message)
            case SetupRepeated():
                log.warning("a second setup on the same socket changed nothing")

    def _informed(self, event: Informed) -> None:
        match event.info.name:
            case "tokensPlayed":
                self._keep_soon()
                self._lost_words.sounds()
            case "agentSpeaking":
                self._lost_words.sounds()
            case "clientSpeaking":
                self._lost_words.caller_sounds(event.info.value == "on")

    def _take_input(self, event: Input) -> None:
        assert self.call is not None
        if isinstance(event, Prompted):
            self._prompted(event, self.call)
        else:
            self._pressed(event, self.call)

    def _is_over_speech(self, event: Input) -> bool:
        """Whether it came while a talk cycle sounded that nothing has interrupted, and that still does."""
        message = event.prompt if isinstance(event, Prompted) else event.dtmf
        playback = self.session.playback
        return message.over_speech and playback.sounding and self._loop.time() < playback.sounds_until

    async def _all_played(self, dropped: Callable[[], bool]) -> bool:
        """Wait until no hook runs, all that was said has been played, and no interrupting words are to come."""
        while not (self.progress.closed or dropped()):
            silent = self.progress.is_quiet or self._loop.time() >= self.session.playback.sounds_until
            if silent and self._floor.is_empty and not self._lost_words.expected:
                return True
            await self.progress.next(self.session.playback.sounds_until)
        return False

    def _prompted(self, event: Prompted, call: Call) -> None:
        if self._listener.take_prompt(event.prompt):
            self._over_speech.drop()
            self._answered(event.number)
        elif self._ending is not None:
            pass  # it stands in the transcript
        elif self._floor.is_empty and not event.prompt.over_speech:
            self._answer(event, call)
        elif self._floor.waiting is not None:
            pass  # likewise
        elif self._floor.is_opening:
            self._held = [held for held in self._held if not isinstance(held, Prompted)]
            self._held.append(event)  # of the prompts that come meanwhile the last counts
        elif self._is_over_speech(event):
            self._over_speech.hold(event)
        else:
            self._answer(event, call)

    def _pressed(self, event: Pressed, call: Call) -> None:
        if self._listener.take_key(event.dtmf.digit):
            self._over_speech.drop()
            self._answered(event.number)
        elif self._floor.waiting is not None:
            self._listener.type_ahead(event.dtmf.digit)
        elif self._ending is not None:
            pass
        elif self._floor.is_opening:
            self._held.append(event)
        elif self._hook("on_dtmf") is not None and self._is_over_speech(event):
            self._over_speech.hold(event)
        else:
            self._key(event, call)

    def _answer(self, event: Prompted, call: Call) -> None:
        self._turns += 1
        if self._turns > self._settings.max_turns:
            self._hit_limit()
            return
        self._listener.forget()
        self._over_speech.drop()
        hook = self._hook("on_prompt")
        if hook is None:
            self._floor.stop_all()
        else:
            reply = self._new_reply(hook, {"call": call, "prompt": event.prompt}, event.number)
            self._floor.start(reply, call.call_sid)

    def _key(self, event: Pressed, call: Call) -> None:
        hook = self._hook("on_dtmf")
        if hook is not None:
            arguments = {"call": call, "dtmf": event.dtmf}
            reply = self._new_reply(hook, arguments, event.number, tentative=True, may_be_silent=True)
            self._floor.start_for_key(reply, call.call_sid)

    def _interrupted(self, event: Interrupted) -> None:
        self.story.barged_in()
        self._cut_before = event.before
        self._floor.interrupt(event.before)
        self.wake()  # the talk cycle that was cut is closed
        for voice in [voice for voice in self._remarks if voice.answers < event.before]:
            voice.stop(CallEnded(_ENDED), drop=True)
        if self._floor.opening is not None and self._floor.opening.settled:
            self._opened()
        if event.before == event.number:
            self._lost_words.interrupted()
        else:
            self._over_speech.release(key=event.before)

    def _ask_again(self) -> bool:
        """The caller interrupted and no words came: they are asked for. False while a hook may still have an answer."""
        if self.call is None or self._ending is not None:
            return True
        self.session.playback.unanswered(self._loop.time())
        if not self._floor.is_empty and not self._listener.expects_words:
            return False
        sentence = self._settings.say_again_for(self.call.language)
        own = self._agent.say_again(self.call.language, sentence) if self._agent else sentence
        if self._over_speech.release() or own is None:
            return True
        log.info("the caller interrupted and no words followed; they are asked to say it again")
        self._lost_words.asked()
        self._server_says(own, preemptible=True)  # words that were under way all the same are answered at once
        return True

    def _errored(self, event: ErrorReported) -> None:
        code = self.story.twilio_reported(event.error.code)
        log.warning("Twilio reports an error, code %s", code)
        log.debug("the error in full: %.500s", event.error.description)
        if event.in_a_row >= _ERRORS_ALLOWED and self._ending is None:
            log.error("Twilio refused %d frames in a row; the session is ended", event.in_a_row)
            self._floor.stop_all()
            self._end_for("relay-agent-failed", "ended", cut=True)

    # ----------------------------------------------------------------------------- the replies

    def _hook(self, name: str) -> Hook | None:
        return self._agent.hooks.get(name) if self._agent else None

    def _new_reply(self, hook: Hook, arguments: Mapping[str, Any], answers: int, **options: bool) -> Reply:
        return Reply(
            self,
            hook,
            arguments,
            self._voice(answers),
            piece_seconds=self._settings.hook_timeout_seconds,
            whole_seconds=self._settings.reply_max_seconds,
            **options,
        )

    def _voice(self, answers: int) -> Voice:
        if not self._desk.wraps:
            return Voice(self, answers)
        return WrappedVoice(self, answers, Chain(self._desk.wraps, self.call), limit=self._settings.outbound_queue)

    def reply_speaks(self, reply: Reply) -> None:
        """A key's hook has something to say: it replaces the reply that runs."""
        self._floor.take(reply)

    def reply_settled(self, reply: Reply, failure: BaseException | None) -> None:
        """A reply is over by itself."""
        self._floor.settle(reply)
        if failure is not None:
            self.story.hook_failed(*log_failure(reply.hook, failure))
            self._apologise()
        elif reply.voice.spoke:
            self._failures = 0
        if reply is self._floor.opening:
            self._opened()
        self._keep_soon()
        self.progress.happened()

    def _opened(self) -> None:
        self._floor.opening = None
        held, self._held = self._held, []
        for event in held:
            if isinstance(event, Prompted) and self.call:
                self._prompted(event, self.call)
            elif isinstance(event, Pressed) and self.call:
                self._pressed(event, self.call)

    def _apologise(self) -> None:
        """Speak the configured sentence; the second time in a row the session ends."""
        if self.progress.closed or self._ending is not None or self.call is None:
            return
        self._failures += 1
        self._server_says(self._settings.apology_for(self.call.language))
        if self._failures >= _FAILURES_ALLOWED:
            self._end_for("relay-agent-failed", "ended")

    def _server_says(self, sentence: str, *, preemptible: bool | None = None) -> None:
        """The server's own words are not wrapped: they must be heard when a wrapping extension fails."""
        voice = Voice(self, self._latest())
        try:
            voice.put(_plain(Text(token=sentence, last=False, preemptible=preemptible)))
        except LocalProtocolError as error:
            log.warning("the configured sentence could not be spoken: %s", error)
        voice.stop(CallEnded(_ENDED), drop=False)

    def _hit_limit(self) -> None:
        if self._ending is not None or self.progress.closed or self.call is None:
            return
        log.warning("the call reached its limit of turns or seconds and is ended")
        self._floor.stop_all()
        self._server_says(self._settings.apology_for(self.call.language))
        self._end_for("relay-limit", "limit")

    # -------------------------------------------------------------- what a Call asks (call.Line)

    def send(self, message: Outgoing | Raw) -> None:
        """Queue a message: within the running reply, or as a talk cycle of its own behind it."""
        check(message, dialect=self.session.dialect)  # here, and not only when the extensions have passed it on
        if threading.get_ident() != self._thread:
            self._send_from_thread(message)
        else:
            self._send(_plain(message))

    def _send_from_thread(self, message: Outgoing | Raw) -> None:
        """Plain hooks run in threads; sessions belong to their loop."""

        reply = CURRENT.get()

        async def on_loop() -> None:
            if reply is not None and reply.voice.wire is self:
                reply.put(_plain(message))  # also when it is over: the thread of a hook cannot be stopped
            else:
                self._send(_plain(message))

        asyncio.run_coroutine_threadsafe(on_loop(), self._loop).result(timeout=30)

    def _send(self, item: str | Outgoing | Raw) -> None:
        if self._ending is not None or self.progress.closed:
            raise CallEnded(_ENDED)
        reply = self._speaking_reply()
        if reply is not None:
            reply.put(item)
            return
        voice = self._voice(self._latest())
        voice.put(item)
        if isinstance(voice, WrappedVoice):
            self._remarks.add(voice)
            self._spawn(self._finish_remark(voice), "remark")
        else:
            voice.stop(CallEnded(_ENDED), drop=False)

    async def _finish_remark(self, voice: Voice) -> None:
        seconds = self._settings.hook_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                await voice.flush()
        except TimeoutError:
            log.error("%s held back for %g s what was said; it is not spoken", voice.holder or "wrap_reply", seconds)
            self.story.hook_failed(voice.holder.plugin if voice.holder else "", "wrap_reply")
            self._apologise()
        except PluginError as error:
            log.error("%s", error)
            self.story.hook_failed(error.plugin, error.hook or "wrap_reply")
            self._apologise()
        finally:
            self._remarks.discard(voice)
            voice.stop(CallEnded(_ENDED), drop=False)
            self.progress.happened()

    def _speaking_reply(self) -> Reply | None:
        """The reply whose hook is speaking here, if it is one of this call's and not over."""
        reply = CURRENT.get()
        if reply is None or reply.voice.wire is not self:
            return None
        if reply.settled and asyncio.current_task() is not reply.task:
            return None  # a task the hook left behind speaks for itself
        return reply

    def turns(self) -> Sequence[Turn]:
        """The transcript of the call, earlier sessions first."""
        return (*self._earlier, *self.session.transcript.turns())

    async def spoken(self, timeout: float | None) -> bool:
        """See Call.spoken()."""
        is_cut = self._watch_for_cut()
        with self._pauses():
            await self.flush()
            return await self.progress.until_heard(is_cut, None if timeout is None else self._loop.time() + timeout)

    def _watch_for_cut(self) -> Callable[[], bool]:
        """Whether a barge-in from now on cuts what is being said here; the one that a key causes spares its answer."""
        reply = self._speaking_reply()
        answers = reply.voice.answers if reply is not None else self._latest()
        spared = max(answers, self._cut_before)
        return lambda: self._cut_before > spared

    async def ask(self, text: str, timeout: float) -> Prompt | None:
        """See Call.ask()."""
        return await self._listener.ask(text, timeout)

    async def collect_digits(
        self, *, max_digits: int, min_digits: int, finish: str, timeout: float, secret: bool
    ) -> str | None:
        """See Call.collect_digits()."""
        return await self._listener.collect_digits(
            max_digits=max_digits, min_digits=min_digits, finish=finish, timeout=timeout, secret=secret
        )

    async def end(self, handoff: Handoff | Mapping[str, Any] | None) -> None:
        """See Call.end()."""
        with self.waits():
            if self._ending is None and not self.progress.closed:
                self.refuse_if_over()
                model = self._agent.handoff_model if self._agent else None
                data = None if handoff is None else as_handoff(handoff, model)
                text = None if data is None else data.to_wire(self._settings.max_handoff_bytes)
                await self._flush_last_words()
                self._begin_end(text, but=self._speaking_reply())
            if self._ending is not None:
                await asyncio.wait({self._ending})

    async def _flush_last_words(self) -> None:
        """A wrapping extension that fails or hangs must not cost the flow its handoff."""
        reply = self._speaking_reply()
        try:
            async with asyncio.timeout(self._settings.hook_timeout_seconds):
                await self.flush()
        except (PluginError, TimeoutError) as error:
            culprit = reply.voice.holder if reply is not None else None
            log.error("the last words could not be spoken: %s", culprit or error)
            blamed = culprit.plugin if culprit else getattr(error, "plugin", "")
            self.story.hook_failed(blamed, "wrap_reply")
            if reply is not None:
                reply.voice.stop(CallEnded(_ENDED), drop=False)
            self._server_says(self._settings.apology_for(self.call.language if self.call else None))

    # --------------------------------------------------------------------------------- the end

    def _begin_end(self, text: str | None, *, but: Reply | None = None, cut: bool = False) -> None:
        if self._ending is not None or self.progress.closed:
            return
        self._handoff = None if text is None else _parsed(text)
        self.reason = self.reason or "ended"
        self._floor.stop_all(but=but, drop=False)
        if but is not None:
            but.voice.stop(CallEnded(_ENDED), drop=False)
        is_cut = self._watch_for_cut() if not cut else lambda: True
        self._ending = self._spawn(self._end_when_quiet(text, is_cut), "end")

    def _end_for(self, code: str, reason: Reason, *, cut: bool = False) -> None:
        self.reason = reason
        self._begin_end(server_handoff(code).to_wire(self._settings.max_handoff_bytes), cut=cut)

    @property
    def at_pause(self) -> bool:
        """Whether nobody would be cut off now: all that was said is heard, and the agent owes the caller no answer."""
        owed = self.call is None or self._held or not (self._floor.is_empty or self._floor.waiting)
        owed = owed or self._over_speech.holds or self._lost_words.expected
        if owed or self._caller_speaks or self._ending is not None or not self.progress.is_quiet:
            return False
        greeted = self.story.turns or self.story.session_number > 1 or self._loop.time() >= self._greeted_by
        return bool(greeted)

    def drain(self) -> None:
        """End the session for a server that is leaving, now: an end that waits for the last words waits no longer."""
        self._leaving = True
        self.progress.happened()
        if self._ending is None and not self.progress.closed:
            self._floor.stop_all()
            self._end_for("relay-draining", "draining", cut=True)

    async def _end_when_quiet(self, text: str | None, is_cut: Callable[[], bool]) -> None:
        """The last words are heard out, unless the caller cuts them: then what is unsaid is dropped."""
        waits_for = self._loop.time() + self._settings.end_wait_max_seconds
        await self.progress.until_heard(lambda: self._leaving or is_cut(), waits_for)
        if not self.progress.closed:
            self.session.end(text)
            self.story.left(self._loop.time())
            self.wake()

    async def _close(self, code: int | None, end_sent: bool) -> None:
        self.story.closed(self._loop.time())
        if self._starting is not None:
            await asyncio.wait({self._starting}, timeout=self._settings.on_end_timeout_seconds)
            await asyncio.sleep(0)  # on_setup, asked for just before, has begun
        self._floor.close()
        for voice in list(self._remarks):
            voice.stop(CallEnded(_ENDED), drop=True)
        if self._limit_timer is not None:
            self._limit_timer.cancel()
        reason = self._why(code, end_sent)
        ended = reason not in ("dropped", "draining")  # else the call goes on elsewhere, or soon
        await self._keep(ended=ended)
        self._kept.set()
        end = SessionEnd(reason=reason, close_code=code, handoff=self._handoff if end_sent else None)
        await self._run_on_end(end)
        if not self._followed:
            await self._keep(ended=ended)
        self._tell(end)
        for task in list(self._own_tasks):
            task.cancel()

    def _tell(self, end: SessionEnd) -> None:
        """One line of the log tells what the session was like; of the handoff only its code."""
        self.story.silent(self.session.playback.longest_stall)
        self.story.ended(end.reason)
        handoff = None if end.handoff is None else end.handoff.get("reasonCode")
        told = {"event": "call-ended", "reason": end.reason, "close_code": end.close_code, "handoff": handoff}
        log.info("call ended: %s", end.reason, extra={"fields": told | self.story.to_json()})

    def _why(self, code: int | None, end_sent: bool) -> Reason:
        if self.reason is not None and (end_sent or self.reason != "ended"):
            return self.reason
        return "hangup" if code == 1000 else "dropped"

    async def _run_on_end(self, end: SessionEnd) -> None:
        if self.call is not None:
            await self._audience.say_goodbye(self.call, end, self._settings.on_end_timeout_seconds)

    def _gather_audience(self, *agents: Plugin) -> Audience:
        limit, seconds = self._settings.inbound_queue, self._settings.hook_timeout_seconds
        plugins = (*self._desk.plugins.extensions, *agents)
        return Audience(tuple(Watcher(plugin, seconds=seconds, limit=limit, story=self.story) for plugin in plugins))

    def _keep_soon(self) -> None:
        if self._keeper is not None and not self.progress.closed:
            self._keeper.soon()

    async def _keep(self, *, ended: bool) -> None:
        """Keep what must outlive the socket; of a session that was refused nothing."""
        if self._keeper is not None:
            self._keeper.stop()
            await self._keeper.keep(ended=ended)

    # ------------------------------------------------------------------------------ small parts

    def wake(self) -> None:
        """There is something new to send, or to wait for."""
        if self.writer is not None:
            self.writer.wake()
        self.progress.happened()

    def begins(self, now: float) -> None:
        """A talk cycle begins, at `now` in loop time."""
        self.story.speaks(now)
        self._lost_words.stop()
        if self._keeper is not None and self.call is not None and self.call.state:
            self._keeper.now()

    async def flush(self) -> None:
        """Close the talk cycle of the reply that speaks here: what it has said is to be heard now."""
        reply = self._speaking_reply()
        if reply is not None:
            await reply.voice.flush()

    def waits(self) -> AbstractContextManager[None]:
        """While the hook that speaks here waits for the caller, its deadlines stand still."""
        reply = self._speaking_reply()
        return nullcontext() if reply is None else reply.waits()

    def _pauses(self) -> AbstractContextManager[None]:
        reply = self._speaking_reply()
        return nullcontext() if reply is None else reply.pauses()

    def refuse_if_over(self) -> None:
        """A hook that goes on after it was stopped takes no prompts and keys from its successor."""
        reply = self._speaking_reply()
        if reply is not None and reply.settled and reply.voice.over is not None:
            raise reply.voice.over

    def _answered(self, number: int) -> None:
        """What the waiting hook says from now on answers event `number`."""
        reply = self._floor.waiting
        if reply is not None:
            reply.voice.answers = number

    def _latest(self) -> int:
        return self.session.number

    def _spawn(self, work: Any, what: str) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = self._loop.create_task(work, name=f"studio-relay {what}")
        self._own_tasks.add(task)
        task.add_done_callback(self._own_tasks.discard)
        return task


async def _anybody(setup: Setup) -> str | None:
    """Where nobody checks who calls."""
    return None


def _type_name(name: str) -> str:
    """The type of a message if it looks like one: nothing else that Twilio passes on may reach the log."""
    return name if len(name) <= 40 and name.replace("_", "").replace("-", "").isalpha() else "(not a name)"


def _plain(message: Outgoing | Raw) -> str | Outgoing | Raw:
    """Text without options as it is: the common case, and the cheap one."""
    if isinstance(message, Text) and (message.lang, message.interruptible, message.preemptible) == (None, None, None):
        return message.token
    return message


def _parsed(text: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(text)
    return parsed
