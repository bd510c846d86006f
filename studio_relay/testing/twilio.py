"""Plays Twilio's end of one phone call against a server, over any transport, on any clock.

What Twilio does is decided in `session.py`; this module connects it to a socket, to time, and to a caller. A frame for
the server is logged when Twilio sends it; `downlink.py` hands it over when the line has brought it there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from studio_relay.recording.masking import SPEED_HEADER
from studio_relay.studio.outside import RelayOutcome
from studio_relay.testing.attributes import AttributesRefused, RelayAttributes
from studio_relay.testing.clock import Clock
from studio_relay.testing.downlink import Delivered, Downlink
from studio_relay.testing.identity import Identity, make_sid
from studio_relay.testing.line_delay import LineDelay
from studio_relay.testing.outputs import Callback, Close, Output, Reconnect, Send
from studio_relay.testing.playback import Leftovers
from studio_relay.testing.rates import DrawnRates, Rates
from studio_relay.testing.session import TwilioEnd
from studio_relay.testing.signing import sign_request, sign_upgrade
from studio_relay.testing.transcript import Turn, merge_turns
from studio_relay.testing.transport import Closed, Response, Socket, Transport, Unreachable, UpgradeRefused

SETUP_MS = 461
"""From the TwiML answer to `setup`; the recorded median."""

KEY_MS = 380
"""Between keys pressed in a row, as recorded."""


@dataclass(frozen=True, kw_only=True)
class LiveEvent:
    """Something worth showing while a call runs; `agent` is words as they are heard."""

    at_ms: int
    kind: Literal["connected", "agent", "caller", "digits", "interrupted", "closed", "flow", "widget"]
    text: str = ""


OnEvent = Callable[[LiveEvent], None]


def ignore_event(event: LiveEvent) -> None:
    """Nobody watches."""


class SimulatedCall:
    """One ConversationRelay session of a simulated call.

    `url` is what TwiML or the widget names, or a path; with `auth_token` the upgrade is signed over its `wss://`
    form, or over `sign_as`. `leftovers` is what becomes of the words that are on the wire when a reply is cut; see
    `playback.py`. The line's delay and the speaking rate are drawn from the call's SID, unless there are a `line_delay`
    and `rates`.

    `start` dials, the caller's actions follow, `finished` gives the outcome. `log` holds what was sent on either side,
    at the time of the sender; `delivered` what reached the server, and when.
    """

    def __init__(
        self,
        transport: Transport,
        url: str,
        *,
        attributes: RelayAttributes | None = None,
        identity: Identity | None = None,
        session_id: str | None = None,
        auth_token: str | None = None,
        sign_as: str | None = None,
        headers: Mapping[str, str] | None = None,
        rates: Rates | None = None,
        media_ms: Mapping[str, int] | None = None,
        leftovers: Leftovers = "joined",
        line_delay: LineDelay | None = None,
        clock: Clock | None = None,
        on_event: OnEvent = ignore_event,
    ) -> None:
        self.transport = transport
        self.url = url
        self.clock = clock or Clock()
        self.attributes = attributes or RelayAttributes()
        self.identity = identity or Identity.fresh()
        self.refusal: UpgradeRefused | Unreachable | None = None
        self.action_response: Response | None = None
        self.line_delay = line_delay or LineDelay.drawn(self.identity.call_sid)
        self.delivered: list[Delivered] = []
        self.end = TwilioEnd(
            attributes=self.attributes,
            identity=self.identity,
            session_id=session_id or make_sid("VX"),
            answered_ms=self.clock.now_ms(),
            rates=rates or DrawnRates(self.identity.call_sid),
            media_ms=media_ms or {},
            leftovers=leftovers,
            delay=self.line_delay.to_twilio,
        )
        self.started_ms = self.clock.now_ms()
        self.setup_ms: int | None = None
        self.log: list[dict[str, Any]] = []
        self._auth_token = auth_token
        self._sign_as = sign_as
        self._headers = dict(headers or {})
        self._on_event = on_event
        self._socket: Socket | None = None
        self._downlink: Downlink | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._outcome: asyncio.Future[RelayOutcome] = asyncio.get_running_loop().create_future()
        self._heard_shown = 0

    async def start(self) -> None:
        """Dial: upgrade, `setup`, greeting. A server that refuses makes the outcome `failed`, nothing is raised."""
        await self.clock.sleep_ms(SETUP_MS)
        await self._connect()
        await self._flush()
        self._spawn(self._pump())

    # What the caller does

    def say(self, text: str) -> int:
        """Say `text`, beginning now; returns when it will be over, in milliseconds of the clock."""
        self._on_event(LiveEvent(at_ms=self.now_ms, kind="caller", text=text))
        until = self.end.say(self.now_ms, text)
        self._wake.set()
        return until

    async def press(self, keys: str) -> None:
        """Press `keys` one after another; `w` waits half a second."""
        self._on_event(LiveEvent(at_ms=self.now_ms, kind="digits", text=keys))
        for index, key in enumerate(keys):
            if index:
                await self.clock.sleep_ms(KEY_MS)
            if key == "w":
                await self.clock.sleep_ms(500)
            else:
                self.end.press(self.now_ms, key)
                self._wake.set()

    async def talk_over(
        self, text: str = "", *, after_words: int | None = None, after_ms: int | None = None, keys: str = ""
    ) -> bool:
        """Wait until the agent has said so many words, or spoken so long, then say `text` or press `keys`.

        Returns False if the agent stopped before that; the caller speaks all the same.
        """
        over = await self._reached(after_words=after_words, after_ms=after_ms)
        if keys:
            await self.press(keys)
        else:
            self.say(text)
        return over

    async def silence(self, seconds: float) -> None:
        """Say nothing for so long."""
        await self.clock.sleep_ms(seconds * 1000)

    def hang_up(self) -> None:
        """Put the phone down: close 1000, `completed`."""
        self.end.hang_up(self.now_ms)
        self._wake.set()

    async def drop_socket(self) -> None:
        """Let the network drop the socket, without a close frame: `failed`, 64105. What was sent still arrives."""
        await self._flush()
        if self._downlink is not None:
            self._downlink.drop()
        self._socket = None
        self.end.lose(self.now_ms)
        self._wake.set()

    async def send_raw(self, text: str) -> None:
        """Put any text on the wire as if Twilio had sent it."""
        self._log("in", raw=text)
        if self._downlink is not None:
            self._downlink.send(text)

    # What can be waited for

    @property
    def now_ms(self) -> int:
        """The clock's time."""
        return self.clock.now_ms()

    @property
    def over(self) -> bool:
        """Whether the session has ended; its action callback may still be on its way."""
        return self.end.state == "over"

    def heard(self, since: int = 0) -> str:
        """What the caller heard of the agent, from item `since` of `end.played` on."""
        spoken = [event.value for event in self.end.played[since:] if event.name == "tokensPlayed"]
        return " ".join(" ".join(spoken).split())

    async def wait_until(self, holds: Callable[[], bool], *, timeout_ms: float) -> bool:
        """Wait until `holds()`, asked after every change; False if it did not in time or the session ended."""
        deadline = self.now_ms + timeout_ms
        while not holds():
            left = deadline - self.now_ms
            if left <= 0 or self._outcome.done():
                return False
            await self.next_change(left)
        return True

    async def finished(self) -> RelayOutcome:
        """How the session ended, once the action callback is done."""
        outcome = await asyncio.shield(self._outcome)
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=10)
        return outcome

    async def aclose(self) -> None:
        """Leave nothing running, whatever state the call is in."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        if self._downlink is not None:
            await self._downlink.abort()

    def following(self) -> SimulatedCall:
        """The next session of this call, not dialled yet: as TwiML without a greeting begins it after a drop."""
        return SimulatedCall(
            self.transport,
            self.url,
            attributes=replace(self.attributes, welcome_greeting=""),
            identity=replace(self.identity, call_status="IN_PROGRESS"),
            session_id=make_sid("VX", self.end.session_id),
            auth_token=self._auth_token,
            sign_as=self._sign_as,
            headers=self._headers,
            rates=self.end.rates,
            media_ms=self.end.media_ms,
            leftovers=self.end.leftovers,
            line_delay=self.line_delay,
            clock=self.clock,
            on_event=self._on_event,
        )

    def transcript(self) -> list[Turn]:
        """What was said and heard, in order."""
        return merge_turns(self.end.playback.utterances, self.end.caller_turns, 0)

    # The inside

    def _upgrade_headers(self) -> dict[str, str]:
        speed = {} if self.clock.speed == 1.0 else {SPEED_HEADER: f"{self.clock.speed:g}"}
        return sign_upgrade(self.url, self._auth_token, sign_as=self._sign_as) | speed | self._headers

    async def _connect(self) -> None:
        headers = self._upgrade_headers()
        try:
            socket = await self.transport.connect(self.url, headers)
        except (UpgradeRefused, Unreachable) as error:
            self.refusal = error
            self.end.refuse(self.now_ms, "Unable to connect to WebSocket URL")
            return
        await self._learn_of_upgrade()
        self._take(socket)
        self.setup_ms = self.now_ms
        self.end.open(self.now_ms)
        self._on_event(LiveEvent(at_ms=self.now_ms, kind="connected", text=self.end.session_id))

    async def _reconnect(self) -> None:
        headers = self._upgrade_headers()
        try:
            socket = await self.transport.connect(self.url, headers)
        except (UpgradeRefused, Unreachable) as error:
            self.refusal = error
            self.end.drop(self.now_ms)
            return
        await self._learn_of_upgrade()
        self._take(socket)
        self.end.reopen(self.now_ms)

    async def _learn_of_upgrade(self) -> None:
        """The server's 101 crosses the line too."""
        await self.clock.sleep_ms(self.line_delay.to_twilio.arrival(self.now_ms) - self.now_ms)

    def _take(self, socket: Socket) -> None:
        self._socket = socket
        self._downlink = Downlink(socket, self.line_delay.to_server, self.clock, self.delivered.append)
        self._spawn(self._downlink.run())
        self._spawn(self._read(socket))

    async def _read(self, socket: Socket) -> None:
        while not isinstance(frame := await socket.receive(), Closed):
            if socket is self._socket:
                self._log_out(frame)
                self.end.receive(self.now_ms, frame)
                self._wake.set()
        if socket is self._socket:
            self.end.left(self.now_ms, frame.code, frame.reason)
            self._wake.set()

    async def _pump(self) -> None:
        while not self._outcome.done():
            self._wake.clear()
            await self._flush()
            await self._sleep_until(self.end.next_at())

    async def _flush(self) -> None:
        for output in self.end.advance(self.now_ms):
            await self._deliver(output)
        self._show_heard()
        self._note_change()

    async def _sleep_until(self, at: int | None) -> None:
        if self._outcome.done():
            return
        seconds = None if at is None else self.clock.seconds(at - self.now_ms)
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _deliver(self, output: Output) -> None:
        match output:
            case Send(frame=frame):
                self._log("in", frame=frame)
                if frame["type"] == "interrupt":
                    self._on_event(LiveEvent(at_ms=output.at_ms, kind="interrupted"))
                if self._downlink is not None:
                    self._downlink.send(json.dumps(frame, ensure_ascii=False), frame)
            case Close(code=code, reason=reason):
                self._log("close", code=code, reason=reason)
                self._on_event(LiveEvent(at_ms=output.at_ms, kind="closed", text=f"{code} {reason}".strip()))
                if self._downlink is not None:
                    self._downlink.drop() if output.lost else self._downlink.close(code, reason)
            case Reconnect():
                await self._reconnect()
            case Callback():
                await self._call_back(output)

    async def _call_back(self, callback: Callback) -> None:
        url = self.attributes.action_url
        if url:
            self._log("http", path=url, form=callback.form)
            signature = sign_request(url, callback.form, self._auth_token)
            try:
                self.action_response = await self.transport.request(
                    self.attributes.action_method, url, form=callback.form, headers=signature
                )
                self._log("http", path=url, response=self.action_response.text)
            except Unreachable as error:
                self.end.lessons.append(f"the action URL did not answer: {error}")
        if not self._outcome.done():
            self._outcome.set_result(self._outcome_of(callback))
        self._note_change()

    def _outcome_of(self, callback: Callback) -> RelayOutcome:
        closed = next((line["ms"] for line in reversed(self.log) if line["dir"] == "close"), None)
        lasted = 0 if closed is None else closed + (self.setup_ms or 0) - self.started_ms
        return RelayOutcome(
            status=callback.status,
            session_id=self.end.session_id,
            duration_ms=lasted,
            close_code=self.end.close_code,
            handoff_data=self.end.handoff_data,
            error_code=callback.form.get("ErrorCode"),
            error_message=callback.form.get("ErrorMessage"),
        )

    async def _reached(self, *, after_words: int | None, after_ms: int | None) -> bool:
        playback = self.end.playback
        if not await self.wait_until(lambda: playback.speaking, timeout_ms=10_000):
            return False
        if after_ms is not None:
            began = next(e.at_ms for e in reversed(self.end.played) if e.value == "on")
            await self.clock.sleep_ms(began + after_ms - self.now_ms)
            return playback.speaking
        while playback.speaking:
            moment = playback.word_moment(after_words or 1)
            if moment is not None:
                await self.clock.sleep_ms(moment - self.now_ms)
                return playback.speaking
            await self.next_change(60_000)
        return False

    async def next_change(self, timeout_ms: float) -> None:
        """Wait for anything to happen, at most `timeout_ms`."""
        changed = self._changed
        try:
            async with asyncio.timeout(self.clock.seconds(timeout_ms)):
                await changed.wait()
        except TimeoutError:
            pass

    def _note_change(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _show_heard(self) -> None:
        for event in self.end.played[self._heard_shown :]:
            if event.name == "tokensPlayed":
                self._on_event(LiveEvent(at_ms=event.at_ms, kind="agent", text=event.value))
        self._heard_shown = len(self.end.played)

    def _log_out(self, frame: str | bytes) -> None:
        try:
            decoded = json.loads(frame)
        except ValueError:
            decoded = None
        if isinstance(decoded, dict):
            self._log("out", frame=decoded)
        else:
            self._log("out", raw=frame if isinstance(frame, str) else frame.decode("utf-8", "replace"))

    def _log(self, direction: str, **content: Any) -> None:
        zero = self.setup_ms if self.setup_ms is not None else self.started_ms
        self.log.append({"ms": self.now_ms - zero, "dir": direction, "session": 1, **content})


async def fetch_relay(
    transport: Transport,
    voice_url: str,
    identity: Identity,
    *,
    auth_token: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> RelayAttributes:
    """Ask a server for its TwiML as Twilio does when a call comes in. Raises AttributesRefused, Unreachable."""
    form = identity.webhook("ringing")
    signature = sign_request(voice_url, form, auth_token)
    answer = await transport.request("POST", voice_url, form=form, headers={**signature, **(headers or {})})
    where = voice_url.partition("?")[0]
    if answer.status != 200:
        raise AttributesRefused(f"{where}: expected 200 and TwiML, found status {answer.status}", code="11200")
    try:
        return RelayAttributes.from_twiml(answer.text).answered_by(voice_url)
    except AttributesRefused as error:
        raise error.found_in(f"the TwiML of {where}") from None
