"""Acts out conformance cases against a URL, a new call for each, and judges every message of the server.

It speaks the bare wire: no playback, no caller; a server is asked for no more than the cases say.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from studio_relay.testing.clock import Clock
from studio_relay.testing.conformance.cases import CASES, Case
from studio_relay.testing.conformance.report import Report, Verdict
from studio_relay.testing.conformance.steps import (
    Ask,
    Close,
    Connect,
    Drop,
    Farewell,
    Frame,
    NoMoreText,
    Open,
    Probe,
    Quiet,
    Raw,
    Settle,
    Step,
)
from studio_relay.testing.identity import Identity, make_sid
from studio_relay.testing.signing import sign_upgrade
from studio_relay.testing.transport import Closed, Socket, Transport, Unreachable, UpgradeRefused
from studio_relay.testing.validation import check_message

SETTLE_MS = 400
SETTLE_AT_MOST_MS = 30_000


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to reach the server, and what to say to it.

    `probe` is something every caller could say, and the server answers; `farewell` makes it end, None if nobody
    knows what would. `reply_seconds` is how long an answer may take.
    """

    auth_token: str | None = None
    sign_as: str | None = None
    account_sid: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    probe: str = "Hello, can you hear me?"
    farewell: str | None = None
    reply_seconds: float = 10.0


class _Failed(Exception):
    """The case failed; the text is what was found."""


def _unseen(verdict: Verdict) -> None:
    """Nobody watches."""


async def run_conformance(
    transport: Transport,
    url: str,
    options: Options | None = None,
    *,
    cases: Sequence[Case] = CASES,
    on_verdict: Callable[[Verdict], None] = _unseen,
) -> Report:
    """Ask the server at `url` every case, one after another; `on_verdict` is told each as it falls.

    Raises UpgradeRefused, Unreachable for a server that does not take a rightly signed upgrade: nothing can be asked.
    """
    chosen = options or Options()
    await _knock(transport, url, chosen)
    verdicts = []
    for case in cases:
        verdicts.append(await _judge(transport, url, chosen, case))
        on_verdict(verdicts[-1])
    return Report(url=url, verdicts=verdicts)


async def _knock(transport: Transport, url: str, options: Options) -> None:
    signed = {**sign_upgrade(url, options.auth_token, sign_as=options.sign_as), **options.headers}
    socket = await transport.connect(url, signed)
    await socket.close(1000, "Closing websocket session")


async def _judge(transport: Transport, url: str, options: Options, case: Case) -> Verdict:
    if "token" in case.needs and options.auth_token is None:
        return Verdict(case=case, result="skipped", detail="needs the auth token the server checks with")
    if "farewell" in case.needs and options.farewell is None:
        return Verdict(case=case, result="skipped", detail="needs the words that make this server end")
    line = _Line(transport, url, options)
    faults = []
    try:
        for step in case.steps:
            await line.act(step)
    except _Failed as failed:
        faults.append(str(failed))
    finally:
        await line.leave()
    faults += line.refused_messages()
    return Verdict(case=case, result="failed" if faults else "passed", detail="; ".join(faults))


class _Line:
    """The call, or calls, of one case."""

    def __init__(self, transport: Transport, url: str, options: Options) -> None:
        self._transport = transport
        self._url = url
        self._options = options
        self._clock = Clock()
        self._socket: Socket | None = None
        self._reader: asyncio.Task[None] | None = None
        self._identity = Identity.fresh()
        self._setup: dict[str, Any] = {}
        self._messages: list[str | bytes] = []
        self._times: list[int] = []
        self._taken = 0
        self._closed: Closed | None = None
        self._news = asyncio.Event()

    async def act(self, step: Step) -> None:
        match step:
            case Connect():
                await self._connect(step)
            case Frame(content=content, times=times):
                frame = self._setup if content == {"type": "setup"} else dict(content)
                for _ in range(times):
                    await self._send(frame)
            case Raw(text=text):
                await self._send_text(text)
            case Probe():
                await self._probe(step)
            case Ask():
                await self._send(self._prompt(self._options.probe))
                await self._until(lambda: bool(self._spoken()), "an answer to the caller")
            case Settle():
                await self._settle()
            case Quiet(ms=ms):
                await self._quiet(ms)
            case NoMoreText():
                await self._no_more_text(step)
            case Open(ms=ms):
                await self._clock.sleep_ms(ms)
                self._still_open()
            case Drop():
                await self._end(abort=True)
            case Close():
                await self._end(abort=False)
            case Farewell():
                await self._farewell()

    def refused_messages(self) -> list[str]:
        """The first message of the server that Twilio would not take, or that follows its `end`."""
        ended = False
        for raw in self._messages:
            if ended:
                return [f"a message came behind `end`: {raw[:80]!r}"]
            checked = check_message(raw)
            if checked.fault:
                return [f"Twilio would refuse a message ({checked.fault}): {raw[:80]!r}"]
            ended = checked.message.get("type") == "end"
        return []

    async def leave(self) -> None:
        """Hang up, whatever state the call is in."""
        if self._socket is not None:
            await self._end(abort=False)

    # Connecting

    async def _connect(self, step: Connect) -> None:
        await self._clock.sleep_ms(step.after_ms)
        headers = {**self._signature(step), **self._options.headers}
        try:
            self._socket = await self._transport.connect(self._url, headers)
        except UpgradeRefused as refused:
            if step.answer == "accepted":
                raise _Failed(f"the upgrade was answered with {refused.status}") from None
            return
        except Unreachable as error:
            raise _Failed(str(error)) from None
        self._closed, self._messages, self._times, self._taken = None, [], [], 0
        self._reader = asyncio.create_task(self._read(self._socket))
        if step.answer == "refused":
            raise _Failed("the upgrade was accepted")
        await self._introduce(step)

    def _signature(self, step: Connect) -> dict[str, str]:
        options = self._options
        if step.signature == "missing":
            return {}
        if step.signature == "wrong":
            return sign_upgrade(self._url, "not the token", sign_as=options.sign_as)
        if step.signature == "https":
            https = (options.sign_as or self._url).replace("wss://", "https://").replace("ws://", "https://")
            return sign_upgrade(https, options.auth_token, sign_as=https)
        return sign_upgrade(self._url, options.auth_token, sign_as=options.sign_as)

    async def _introduce(self, step: Connect) -> None:
        account = {"account_sid": self._options.account_sid} if self._options.account_sid else {}
        if not step.same_call:
            self._identity = Identity.fresh(**account)
        full = self._identity.setup(make_sid("VX"), {})
        self._setup = {name: value for name, value in full.items() if name not in step.left_out}
        if step.setup is not None:
            await self._send({**self._setup, **step.setup})

    async def _read(self, socket: Socket) -> None:
        while not isinstance(frame := await socket.receive(), Closed):
            self._messages.append(frame)
            self._times.append(self._clock.now_ms())
            self._news.set()
        self._closed = frame
        self._news.set()

    async def _end(self, *, abort: bool) -> None:
        socket, self._socket = self._socket, None
        if socket is None:
            return
        await (socket.abort() if abort else socket.close(1000, "Closing websocket session"))
        if self._reader is not None:
            await asyncio.wait({self._reader}, timeout=5)
            self._reader.cancel()

    # Talking

    async def _send(self, frame: dict[str, Any]) -> None:
        await self._send_text(json.dumps(frame))

    async def _send_text(self, text: str) -> None:
        self._still_open()
        assert self._socket is not None
        await self._socket.send_text(text)

    def _prompt(self, text: str) -> dict[str, Any]:
        return {"type": "prompt", "voicePrompt": text, "lang": "en-US", "last": True}

    async def _probe(self, step: Probe) -> None:
        prompt = {**self._prompt(step.text or self._options.probe), **step.frame}
        await self._send({name: value for name, value in prompt.items() if name not in step.left_out})
        await self._until(lambda: bool(self._spoken()), "an answer to the caller")
        await self._until(self._cycle_closed, "`last: true` behind the answer")

    async def _farewell(self) -> None:
        await self._send(self._prompt(self._options.farewell or ""))
        await self._until(lambda: any(m.get("type") == "end" for m in self._fresh()), "`end`")
        await self._clock.sleep_ms(SETTLE_MS)
        self._still_open()

    def _fresh(self) -> list[dict[str, Any]]:
        """The messages since the last settling, as far as they are JSON objects."""
        return [dict(check_message(raw).message) for raw in self._messages[self._taken :]]

    def _spoken(self) -> list[dict[str, Any]]:
        return [m for m in self._fresh() if m.get("type") == "play" or (m.get("type") == "text" and m.get("token"))]

    def _cycle_closed(self) -> bool:
        speech = [message for message in self._fresh() if message.get("type") in ("text", "play", "end")]
        return bool(speech) and (speech[-1]["type"] != "text" or speech[-1].get("last") is True)

    # Waiting

    async def _until(self, holds: Any, what: str) -> None:
        deadline = self._clock.now_ms() + self._options.reply_seconds * 1000
        while not holds():
            self._still_open()
            if not await self._wait(deadline - self._clock.now_ms()):
                raise _Failed(f"expected {what} within {self._options.reply_seconds:g} s")

    async def _wait(self, ms: float) -> bool:
        """Wait for something to arrive; False if nothing did."""
        self._news.clear()
        try:
            async with asyncio.timeout(self._clock.seconds(ms)):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def _settle(self) -> None:
        deadline = self._clock.now_ms() + SETTLE_AT_MOST_MS
        while self._clock.now_ms() < deadline and self._closed is None and await self._wait(SETTLE_MS):
            pass
        self._still_open()
        self._taken = len(self._messages)

    async def _quiet(self, ms: int) -> None:
        before = len(self._messages)
        await self._clock.sleep_ms(ms)
        self._still_open()
        if len(self._messages) > before:
            raise _Failed(f"it sent {self._messages[before][:80]!r}")

    async def _no_more_text(self, step: NoMoreText) -> None:
        await self._clock.sleep_ms(step.grace_ms)
        before = len(self._messages)
        await self._clock.sleep_ms(step.ms)
        late = [check_message(raw).message for raw in self._messages[before:]]
        if any(message.get("type") == "text" and message.get("token") for message in late):
            raise _Failed(f"speech came more than {step.grace_ms} ms after the interrupt")
        self._taken = len(self._messages)

    def _still_open(self) -> None:
        if self._closed is not None:
            raise _Failed(f"the server closed the socket: {self._closed.code} {self._closed.reason}".strip())
