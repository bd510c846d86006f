"""Acts out a caller script over a whole call: in a relay session, and where the flow itself speaks or listens.

What the script may say is in `script.py`; the phone line is `twilio.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from studio_relay.studio.outside import Gather, Gathered, HungUp
from studio_relay.testing.clock import Clock
from studio_relay.testing.hearing import Ears, Heard
from studio_relay.testing.rates import MeasuredRates
from studio_relay.testing.script import (
    DropSocket,
    HangUp,
    Hear,
    Press,
    Say,
    Script,
    SendRaw,
    Silence,
    Step,
    TalkOver,
)
from studio_relay.testing.speech import FINAL_MS, PARTIAL_MS
from studio_relay.testing.transcript import Turn
from studio_relay.testing.twilio import KEY_MS, LiveEvent, OnEvent, SimulatedCall, ignore_event


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing the script asked for, and whether it came true.

    `at_ms` is when it failed, None at the call's end; `hint` is what the line did that may be the reason.
    """

    line: int
    expect: str
    ok: bool
    expected: Any = None
    found: Any = None
    at_ms: int | None = None
    hint: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The entry of a run's `expectations`."""
        entry = {"line": self.line, "expect": self.expect, "ok": self.ok}
        optional = {"expected": self.expected, "found": self.found, "hint": self.hint}
        return entry | {name: value for name, value in optional.items() if value is not None}


class ScriptedCaller:
    """One caller with one script; implements `studio_relay.studio.outside.Caller`.

    The steps go on from widget to widget. `checks` holds what came of the `hear` steps, `turns` the conversation
    outside relay sessions, `warnings` what could not be done as written.
    """

    def __init__(self, script: Script, clock: Clock, *, on_event: OnEvent = ignore_event) -> None:
        self.script = script
        self.clock = clock
        self.checks: list[Check] = []
        self.turns: list[Turn] = []
        self.warnings: list[str] = []
        self.hung_up = False
        self._on_event = on_event
        self._at = 0
        self._step_since_ms: int | None = None
        self._silence_left_ms: float | None = None
        self.heard = Heard()
        self._heard_ms = 0
        self._call: SimulatedCall | None = None
        self._rates = MeasuredRates()

    # The steps

    @property
    def step(self) -> Step | None:
        """What the script wants next; None when it is through, or the caller gave up."""
        if self.hung_up or self._at >= len(self.script.steps):
            return None
        return self.script.steps[self._at]

    def leftovers(self) -> None:
        """The call is over: what was never reached becomes a failed check or a warning."""
        for step in self.script.steps[self._at :]:
            name = _name(step)
            if isinstance(step, Hear):
                self._check(step, ok=False, found=self.heard.rest() or "the call was over before")
            else:
                self.warnings.append(f"line {step.line}: `{name}` was never reached, the call was over before")
        self._at = len(self.script.steps)

    def _done(self) -> None:
        self._at += 1
        self._step_since_ms = None
        self._silence_left_ms = None

    def _since(self) -> int:
        if self._step_since_ms is None:
            self._step_since_ms = self.clock.now_ms()
        return self._step_since_ms

    def _check(self, step: Hear, *, ok: bool, found: str | None = None, at_ms: int | None = None) -> None:
        hint = self._call.end.why_unheard(self._heard_ms) if self._call is not None and not ok else None
        self._heard_ms = self.clock.now_ms() if ok else self._heard_ms
        expected = None if ok else str(step.text)
        self.checks.append(
            Check(
                line=step.line,
                expect=f"hear: {step.text}",
                ok=ok,
                expected=expected,
                found=found,
                at_ms=at_ms,
                hint=hint or None,
            )
        )

    def _matched(self, step: Hear) -> bool:
        """Whether what was heard since the last match, or the caller's last words, holds the text; then go on."""
        if not self.heard.take(step.text):
            return False
        self._check(step, ok=True)
        self._done()
        return True

    def _gives_up(self, step: Hear) -> None:
        self._check(step, ok=False, found=self.heard.rest() or "nothing", at_ms=self.clock.now_ms())
        self._done()
        self.hung_up = True

    @property
    def _timeout_ms(self) -> float:
        return self.script.timeout * 1000

    # Where the flow itself speaks and listens

    async def hear(self, text: str) -> None:
        """The flow speaks; see `outside.Caller.hear`."""
        self._still_there()
        now = self.clock.now_ms()
        self.turns.append(Turn(at_ms=now, who="flow", text=" ".join(text.split())))
        self._on_event(LiveEvent(at_ms=now, kind="flow", text=text))
        await self.clock.sleep_ms(self._rates.segment_ms(text))
        self.heard.add(text)
        while isinstance(step := self.step, Hear) and self._matched(step):
            pass
        if isinstance(self.step, HangUp):
            self._hang_up()

    async def gather(self, wanted: Gather) -> Gathered:
        """The flow listens; see `outside.Caller.gather`."""
        self._still_there()
        deadline = self.clock.now_ms() + wanted.timeout * 1000
        while (step := self.step) is not None:
            match step:
                case Hear():
                    if not self._matched(step):
                        return await self._gather_nothing(step, deadline)
                case Silence():
                    if not await self._keep_silent(step, deadline):
                        return Gathered()
                case HangUp():
                    self._hang_up()
                case Say() | Press() | TalkOver():
                    return await self._answer_gather(step, wanted)
                case DropSocket() | SendRaw():
                    self.warnings.append(f"line {step.line}: `{_name(step)}` needs a relay, the flow is gathering")
                    self._done()
        await self.clock.sleep_ms(deadline - self.clock.now_ms())
        return Gathered()

    def answer(self, widget: str) -> Mapping[str, Any] | None:
        """What the outside world does at `widget`; see `outside.Caller.answer`."""
        return self.script.answers.get(widget)

    def _still_there(self) -> None:
        if self.hung_up:
            raise HungUp

    def _hang_up(self) -> None:
        self._done()
        self.hung_up = True
        raise HungUp

    async def _gather_nothing(self, step: Hear, deadline: float) -> Gathered:
        since = self._since()
        await self.clock.sleep_ms(deadline - self.clock.now_ms())
        if self.clock.now_ms() - since >= self._timeout_ms:
            self._gives_up(step)
            raise HungUp
        return Gathered()

    async def _keep_silent(self, step: Silence, deadline: float) -> bool:
        left = self._silence_left_ms if self._silence_left_ms is not None else step.seconds * 1000
        now = self.clock.now_ms()
        if now + left > deadline:
            self._silence_left_ms = left - (deadline - now)
            await self.clock.sleep_ms(deadline - now)
            return False
        await self.clock.sleep_ms(left)
        self._done()
        return True

    async def _answer_gather(self, step: Say | Press | TalkOver, wanted: Gather) -> Gathered:
        keys = step.keys if isinstance(step, Press | TalkOver) else ""
        text = step.text if isinstance(step, Say) else step.say if isinstance(step, TalkOver) else ""
        self.heard.react()
        now = self.clock.now_ms()
        self._done()
        if keys:
            self.turns.append(Turn(at_ms=now, who="caller", text="", digits=keys))
            self._on_event(LiveEvent(at_ms=now, kind="digits", text=keys))
            await self.clock.sleep_ms(KEY_MS * len(keys))
            return Gathered(digits=_gathered_digits(keys, wanted))
        self.turns.append(Turn(at_ms=now, who="caller", text=text))
        self._on_event(LiveEvent(at_ms=now, kind="caller", text=text))
        await self.clock.sleep_ms(PARTIAL_MS * len(text.split()) + FINAL_MS)
        return Gathered(speech=text)

    # In a relay session

    async def act(self, call: SimulatedCall) -> None:
        """Do the script's steps in `call` until it is over or they are; then be silent, and hang up at last."""
        ears, self._call = Ears(self.heard, call), call
        while not call.over and (step := self.step) is not None:
            if not await self._act_step(ears, step):
                break
        if not call.over:
            await ears.wait_for_silence(0 if self.hung_up else self._timeout_ms)
            call.hang_up()
        ears.listen()
        while isinstance(step := self.step, Hear) and self._matched(step):
            pass

    async def _act_step(self, ears: Ears, step: Step) -> bool:
        """One step; False once the caller gives up. A session that ends meanwhile leaves the step to be done."""
        call = ears.call
        match step:
            case Hear():
                return await self._wait_to_hear(ears, step)
            case Say() | Press():
                if await ears.wait_for_turn(self._timeout_ms):
                    self.heard.react()
                    self._done()
                    await ears.speak(step.text if isinstance(step, Say) else "", _keys_of(step))
            case TalkOver():
                self._done()
                over = await call.talk_over(
                    step.say, keys=step.keys, after_words=step.after_words, after_ms=step.after_ms
                )
                if not over:
                    self.warnings.append(f"line {step.line}: `talk_over` came when the agent was not speaking")
                ears.listen()
                self.heard.react()
                await ears.until_said()
            case Silence():
                self._done()
                await call.wait_until(lambda: call.over, timeout_ms=step.seconds * 1000)
            case HangUp():
                self._done()
                self.hung_up = True
                call.hang_up()
            case DropSocket():
                self._done()
                await call.drop_socket()
            case SendRaw():
                self._done()
                await call.send_raw(step.text)
        return True

    async def _wait_to_hear(self, ears: Ears, step: Hear) -> bool:
        since = self._since()
        while True:
            ears.listen()
            if self._matched(step):
                return True
            if ears.call.over:
                return True
            left = max(since, ears.last_agent_sound_ms()) + self._timeout_ms - self.clock.now_ms()
            if left <= 0:
                self._gives_up(step)
                return False
            await ears.call.next_change(left)


def _name(step: Step) -> str:
    names: dict[type, str] = {
        Hear: "hear",
        Say: "say",
        Press: "press",
        TalkOver: "talk_over",
        Silence: "silence",
        HangUp: "hang_up",
        DropSocket: "drop_socket",
        SendRaw: "send_raw",
    }
    return names[type(step)]


def _keys_of(step: Say | Press) -> str:
    return step.keys if isinstance(step, Press) else ""


def _gathered_digits(keys: str, wanted: Gather) -> str:
    digits = keys.replace("w", "")
    if wanted.finish_on_key and wanted.finish_on_key in digits:
        digits = digits[: digits.index(wanted.finish_on_key)]
    return digits[: wanted.number_of_digits] if wanted.number_of_digits else digits
