"""What a network and an unlucky Twilio do to a call: faults as data, seeded and shrinkable, and a transport with them.

A WebSocket keeps its order, so a late frame holds up those behind it. Which calls to trouble is in `chaos.py`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from studio_relay.testing.clock import Clock
from studio_relay.testing.transport import Closed, Response, Socket, Transport

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

FaultKind = Literal["late", "slow", "duplicate", "junk", "second-setup", "drop", "callback"]

KINDS: tuple[FaultKind, ...] = ("late", "slow", "duplicate", "junk", "second-setup", "drop", "callback")
CALLBACKS = ("before-close", "twice", "never")
MAX_DELAY_MS = 1500
MAX_FRAME = 60
LATE_CLOSE_MS = 3000

JUNK = (
    "",
    "null",
    "[]",
    "{nonsense",
    '{"type":7}',
    '{"event":"media","media":{"payload":"AAAA"}}',
    '{"type":"connected","callSid":"CA1"}',
    '{"type":"weather","degrees":21}',
    '{"type":"prompt"}',
    '{"type":"prompt","voicePrompt":null,"last":true}',
    '{"type":"dtmf"}',
    '{"type":"info","name":"tokensPlayed"}',
    '{"type":"info","name":"roundTripDelayMs","value":"148"}',
    '{"type":"error","description":"Invalid message received, code: 64107, x"}',
    '{"type":"prompt","voicePrompt":"\\ud800","lang":"en","last":false}',
    "[" * 2000,
)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that goes wrong. `frame` counts frames to the server from 0 (`setup`).

    `late` holds that frame and all behind it up for `ms`; `slow` does the same to the server's `frame`-th
    message; `junk` puts `text` behind the frame; `drop` ends the socket behind it; `callback` is what happens to
    the action request (`text`: before-close, twice, never).
    """

    kind: FaultKind
    frame: int = 0
    ms: int = 0
    text: str = ""

    def __str__(self) -> str:
        return (
            f"{self.kind}@{self.frame}"
            + (f"+{self.ms}ms" if self.ms else "")
            + (f" {self.text[:40]}" * bool(self.text))
        )


@dataclass(frozen=True)
class FaultPlan:
    """All faults of one call; the empty plan is a perfect line."""

    faults: tuple[Fault, ...] = ()

    @classmethod
    def from_seed(cls, seed: int, *, kinds: tuple[FaultKind, ...] = KINDS) -> FaultPlan:
        """The faults of this seed, always the same: none to five of them."""
        draw = random.Random(f"faults {seed}")
        return cls(tuple(_drawn(draw, kinds) for _ in range(draw.randrange(6))))

    def shrink(self, fails: Callable[[FaultPlan], bool]) -> FaultPlan:
        """The fewest of these faults with which `fails(plan)` is still true, found by leaving out one at a time."""
        plan, tried = self, 0
        while tried < len(plan.faults):
            smaller = FaultPlan(plan.faults[:tried] + plan.faults[tried + 1 :])
            if fails(smaller):
                plan, tried = smaller, 0
            else:
                tried += 1
        return plan

    def of(self, kind: FaultKind) -> list[Fault]:
        """The faults of one kind."""
        return [fault for fault in self.faults if fault.kind == kind]

    def __str__(self) -> str:
        return ", ".join(str(fault) for fault in self.faults) or "no faults"


def _drawn(draw: random.Random, kinds: tuple[FaultKind, ...]) -> Fault:
    kind = draw.choice(kinds)
    text = draw.choice(JUNK) if kind == "junk" else draw.choice(CALLBACKS) if kind == "callback" else ""
    delay = draw.randrange(1, MAX_DELAY_MS) if kind in ("late", "slow") else 0
    return Fault(kind=kind, frame=draw.randrange(MAX_FRAME), ms=delay, text=text)


def fault_plans(*, kinds: tuple[FaultKind, ...] = KINDS) -> SearchStrategy[FaultPlan]:
    """A hypothesis strategy of plans; it shrinks towards fewer, earlier and shorter faults."""
    from hypothesis import strategies as st

    frame, delay = st.integers(0, MAX_FRAME), st.integers(1, MAX_DELAY_MS)

    def one(kind: FaultKind) -> SearchStrategy[Fault]:
        texts = {"junk": JUNK, "callback": CALLBACKS}.get(kind, ("",))
        wait = delay if kind in ("late", "slow") else st.just(0)
        return st.builds(Fault, kind=st.just(kind), frame=frame, ms=wait, text=st.sampled_from(texts))

    return st.lists(st.one_of([one(kind) for kind in kinds]), max_size=5).map(lambda faults: FaultPlan(tuple(faults)))


class FaultyTransport:
    """A transport over which the plan's faults happen, counted anew on each socket; drops happen once.

    `speed` is that of the call: its milliseconds are those of the faults. `delivered` holds, for each socket, the
    frames that reached the server, without duplicates and junk: what is on its way when a socket is gone is lost.
    """

    def __init__(self, transport: Transport, plan: FaultPlan, *, speed: float = 1.0) -> None:
        self._transport = transport
        self.delivered: list[list[str]] = []
        self._plan = plan
        self._speed = speed
        self._dropped = False

    async def connect(self, url: str, headers: Mapping[str, str]) -> Socket:
        """See `Transport.connect`."""
        plan = self._plan
        if self._dropped:
            plan = FaultPlan(tuple(fault for fault in plan.faults if fault.kind != "drop"))
        socket = await self._transport.connect(url, headers)
        self._dropped = True
        self.delivered.append([])
        return _FaultySocket(socket, plan, Clock(speed=self._speed), self.delivered[-1])

    async def request(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """See `Transport.request`; a callback may come twice, or never."""
        unlucky = {fault.text for fault in self._plan.of("callback")}
        if "never" in unlucky:
            return Response(status=504)
        if "twice" in unlucky:
            await self._transport.request(method, url, form=form, headers=headers)
        return await self._transport.request(method, url, form=form, headers=headers)


class _FaultySocket:
    """One socket with faults; a pump sends each frame when it is due."""

    def __init__(self, socket: Socket, plan: FaultPlan, clock: Clock, delivered: list[str]) -> None:
        self._socket = socket
        self._delivered = delivered
        self._plan = plan
        self._clock = clock
        self._sent = 0
        self._received = 0
        self._free_ms = 0
        self._setup = ""
        self._lost = False
        self._queue: asyncio.Queue[tuple[int, str | None, bool]] = asyncio.Queue()
        self._pump = asyncio.create_task(self._send_all())

    async def send_text(self, text: str) -> None:
        self._setup = self._setup or text
        number, self._sent = self._sent, self._sent + 1
        self._put(number, text, own=True)
        for line in self._extra(number, text):
            self._put(number, line)
        if any(fault.frame == number for fault in self._plan.of("drop")):
            self._put(number, None)

    def _extra(self, number: int, text: str) -> list[str]:
        lines: list[str] = []
        for fault in self._plan.faults:
            if fault.frame == number:
                extra = {"duplicate": text, "junk": fault.text, "second-setup": self._setup}.get(fault.kind)
                lines += [] if extra is None else [extra]
        return lines

    def _put(self, number: int, line: str | None, *, own: bool = False) -> None:
        delay = sum(fault.ms for fault in self._plan.of("late") if fault.frame == number)
        self._free_ms = max(self._free_ms, self._clock.now_ms() + delay)
        self._queue.put_nowait((self._free_ms, line, own))

    async def _send_all(self) -> None:
        while True:
            due, line, own = await self._queue.get()
            await self._clock.sleep_ms(due - self._clock.now_ms())
            if line is None:
                self._lost = True
                await self._socket.abort()
                return
            await self._socket.send_text(line)
            if own:
                self._delivered.append(line)

    async def receive(self) -> str | bytes | Closed:
        frame = await self._socket.receive()
        if isinstance(frame, Closed):
            return Closed(code=1006) if self._lost else frame
        number, self._received = self._received, self._received + 1
        await self._clock.sleep_ms(sum(fault.ms for fault in self._plan.of("slow") if fault.frame == number))
        return frame

    async def close(self, code: int, reason: str = "") -> None:
        if any(fault.text == "before-close" for fault in self._plan.of("callback")):
            await self._clock.sleep_ms(LATE_CLOSE_MS)
        else:
            await self._clock.sleep_ms(self._free_ms - self._clock.now_ms())
        self._pump.cancel()
        await self._socket.close(code, reason)

    async def abort(self) -> None:
        self._pump.cancel()
        await self._socket.abort()
