"""Canaries: numbers, names, words, keys and secrets that must be found nowhere but in the call itself.

Simulated calls, in process and on a virtual clock, with an agent and extensions that fail in every way there is,
frames that are none, and requests that are refused. Afterwards logs, metrics, masked recordings, answered pages and
reprs are searched. In recordings words stay, since they are what a recording is for.

More calls than the suite has time for: `CANARY_CALLS=1000 pytest tests/test_canaries.py`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import random
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from studio_relay import PluginError, hookimpl
from studio_relay.log import JsonFormatter
from studio_relay.plugins import assemble, load_plugins, plugin
from studio_relay.server import loop_failures
from studio_relay.server.app import create_app
from studio_relay.settings import load_settings
from studio_relay.store import MemoryStore
from studio_relay.testing import (
    AsgiTransport,
    Identity,
    Line,
    RelayAttributes,
    ScriptedCaller,
    ScriptedRelay,
    UpgradeRefused,
    run_virtual,
)
from studio_relay.testing.clock import Clock
from studio_relay.testing.script import HangUp, Press, Say, Script, Silence, TalkOver
from studio_relay.testing.signing import sign_request, sign_upgrade

CALLS = int(os.environ.get("CANARY_CALLS", "50"))
SECONDS = 120
HOST = "relay.example.com"
RELAY = f"wss://{HOST}/relay"

TOKEN, OLD_TOKEN = "7d3f" * 8, "91ce" * 8
SECRETS = {
    "auth_token": TOKEN,
    "auth_tokens": [OLD_TOKEN],
    "shared_keys": {"key1": "shared-key-canary"},
    "api_secret": "api-secret-canary",
    "metrics_token": "metrics-token-canary",
}


@dataclass(frozen=True, kw_only=True)
class Canary:
    """What one caller brings. `spoken` are words, in what they say and in the reply."""

    number: str
    name: str
    spoken: str
    digits: str
    parameter: str

    @classmethod
    def of(cls, seed: int) -> Canary:
        draw = random.Random(f"canary {seed}")
        letters = "".join(draw.choice("bcdfghjklmnpqrstvwxz") for _ in range(9))
        digits = "".join(draw.choice("0123456789") for _ in range(21))
        return cls(
            number=f"+1{digits[:10]}",
            name=f"Name{letters}",
            spoken=f"word{letters[::-1]}",
            digits=digits[10:],
            parameter=f"value{letters[3:]}{letters[:3]}",
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """All but the words."""
        return self.number.removeprefix("+"), self.name, self.digits, self.parameter


# --- plugins that fail -------------------------------------------------------------------------------------


class Parameters(BaseModel):
    """A model whose validator repeats what it was given."""

    reference: str = ""

    @field_validator("reference")
    @classmethod
    def _no_value(cls, value: str) -> str:
        raise ValueError(f"{value} is not known")


def all_of(call: Any, prompt: Any = "") -> str:
    """Everything there is to leak."""
    said = getattr(prompt, "voice_prompt", prompt)
    return f"{call.from_} {call.parameters} {said} {[turn.text for turn in call.transcript]} {call.state}"


class Loud(Exception):
    """An exception whose repr and text hold it all."""


async def _raises(call: Any, prompt: Any) -> None:
    try:
        raise Loud(all_of(call, prompt))
    except Loud as error:
        raise ValueError(all_of(call, prompt)) from error


async def _raises_ours(call: Any, prompt: Any) -> None:
    raise PluginError(all_of(call, prompt))


async def _exits(call: Any, prompt: Any) -> None:
    sys.exit(all_of(call, prompt))


async def _hands_over_words(call: Any, prompt: Any) -> None:
    await call.end({"reasonCode": prompt.voice_prompt, "summary": all_of(call)})


async def _hands_over_a_list(call: Any, prompt: Any) -> None:
    await call.end({"reasonCode": "person", "who": [call.from_]})


async def _says_what_is_no_text(call: Any, prompt: Any) -> None:
    call.say(Loud(all_of(call, prompt)))


async def _sends_no_digits(call: Any, prompt: Any) -> None:
    call.send_digits(all_of(call, prompt))


async def _plays_no_url(call: Any, prompt: Any) -> None:
    call.play(all_of(call, prompt))


async def _speaks_no_language(call: Any, prompt: Any) -> None:
    call.set_language(tts=all_of(call, prompt))


async def _sends_raw(call: Any, prompt: Any) -> None:
    call.send_raw({"type": all_of(call, prompt)})


async def _keeps_what_is_no_json(call: Any, prompt: Any) -> None:
    call.state[call.from_] = {prompt.voice_prompt: object()}


async def _floods(call: Any, prompt: Any) -> None:
    for _ in range(1_000):
        call.say(f"{call.from_} {prompt.voice_prompt}")


async def _hangs(call: Any, prompt: Any) -> None:
    await asyncio.sleep(3_600)


FAILURES = (
    _raises, _raises_ours, _exits, _hands_over_words, _hands_over_a_list, _says_what_is_no_text, _sends_no_digits,
    _plays_no_url, _speaks_no_language, _sends_raw, _keeps_what_is_no_json, _floods, _hangs,
)  # fmt: skip


SIGNS = (
    "in _raises ", "in _raises_ours", "called sys.exit()", "handoff.reasonCode: expected", "handoff.who: expected",
    "sendDigits.digits: expected", "play.source: expected", "language.ttsLanguage: expected",
    "pieces wait for the extensions", "expected words within 10 s", "could not be stored",
    "expected JSON values to keep", "wraps failed in wrap_reply", "left out for the rest of this call",
    "frame refused", "(not a name)", "do not fit agent leaky", "code other", "refused with 403",
)  # fmt: skip
"""A piece of the log line that each way of failing leaves."""


@dataclass
class Found:
    """What was seen of the server on the way, by place."""

    reprs: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)


class Agent:
    """Every second answer fails, in the next way; keys are collected."""

    parameters_model = Parameters

    def __init__(self, found: Found) -> None:
        self.server: Any = None
        self._found = found
        self._turn = 0

    def _look(self, *things: Any) -> None:
        live = list(self.server.registry)
        stories = [one.conversation.story for one in live]
        sessions = [one.conversation.session for one in live]
        things = (*things, self.server, self.server.settings, self.server.desk, *live, *stories, *sessions)
        self._found.reprs += [f"{thing!r} {thing!s}" for thing in things]

    @hookimpl
    async def on_setup(self, call: Any, setup: Any) -> None:
        self._look(call, setup)
        if setup.session_id.endswith("0"):
            raise Loud(f"{setup.raw}")

    @hookimpl
    async def on_prompt(self, call: Any, prompt: Any) -> Any:
        self._look(call, prompt, call.transcript)
        self._turn += 1
        yield f"I heard {prompt.voice_prompt}."
        if self._turn % 2:
            await FAILURES[self._turn // 2 % len(FAILURES)](call, prompt)

    @hookimpl
    async def on_dtmf(self, call: Any, dtmf: Any) -> None:
        self._look(dtmf)
        call.state["keys"] = call.state.get("keys", "") + dtmf.digit
        if len(call.state["keys"]) == 11:
            raise Loud(call.state["keys"])

    @hookimpl
    async def on_interrupt(self, call: Any, interrupt: Any) -> None:
        self._look(interrupt)
        raise Loud(all_of(call, interrupt.utterance_until_interrupt))

    @hookimpl
    async def on_end(self, call: Any, end: Any) -> None:
        self._look(end)
        raise Loud(all_of(call, str(end.handoff)))


class Watches:
    """An extension that fails wherever it can."""

    @hookimpl
    async def on_partial_prompt(self, call: Any, prompt: Any) -> None:
        raise Loud(all_of(call, prompt))

    @hookimpl
    async def on_error(self, call: Any, message: Any) -> None:
        raise Loud(message.description)

    @hookimpl
    async def on_prompt(self, call: Any, prompt: Any) -> str:
        return all_of(call, prompt)


class Wraps:
    """An extension that fails at some replies."""

    def __init__(self) -> None:
        self._replies = 0

    @hookimpl
    async def wrap_reply(self, call: Any, reply: Any) -> Any:
        self._replies += 1
        async for piece in reply:
            if not self._replies % 7:
                raise Loud(f"{piece} {all_of(call)}")
            yield piece


class StoreOfAStranger(MemoryStore):
    """A store that fails now and then, and repeats what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self._puts = 0

    async def put(self, key: str, value: dict[str, Any], ttl: float) -> None:
        self._puts += 1
        await super().put(key, value, ttl)
        if not self._puts % 5:
            raise Loud(f"cannot keep {value}")


# --- calls -------------------------------------------------------------------------------------------------


async def scripted_call(transport: AsgiTransport, canary: Canary, seed: int) -> None:
    """A caller who speaks, presses keys and talks over the agent."""
    steps = (
        Say(line=1, text=f"I am {canary.spoken}"),
        Press(line=2, keys=canary.digits),
        TalkOver(line=3, say=f"no {canary.spoken}", after_words=1),
        Say(line=4, text=f"my card is {' '.join(canary.digits)}, {canary.spoken}"),
        Silence(line=5, seconds=15),
        HangUp(line=6),
    )
    caller = ScriptedCaller(Script(name=f"canary-{seed}", steps=steps, timeout=3.0), Clock())
    relay = ScriptedRelay(caller, Line(transport=transport, auth_token=TOKEN, seed=seed))
    attributes = RelayAttributes.full(url=RELAY, parameters=parameters(canary))
    await relay.connect(attributes, Identity.fresh(seed, from_=canary.number, caller_name=canary.name))


def parameters(canary: Canary) -> dict[str, str]:
    return {"reference": canary.parameter, "agent": canary.parameter, "who": canary.name}


async def rough_session(transport: AsgiTransport, canary: Canary, seed: int) -> None:
    """Frames that are none, errors that repeat what was said, types that nobody knows."""
    identity = Identity.fresh("rough", seed, from_=canary.number, caller_name=canary.name)
    setup = identity.setup(f"VX{seed:032x}", parameters(canary))
    said = f"{canary.number} {canary.spoken} {canary.digits}"  # a name that is spoken is a word, and recorded
    frames = [
        {"type": "prompt", "voicePrompt": said},
        setup,
        {"type": "prompt", "voicePrompt": said, "last": False},
        {"type": "error", "description": f"Invalid message: {said} 64107"},
        {"type": "error", "description": f"6{canary.digits[:4]} {said}"},
        {"type": said, "value": said},
        {"type": "dtmf", "digit": canary.digits},
        {"type": "prompt", "voicePrompt": [said]},
        {"type": "info", "name": said, "value": {said: said}},
        {"type": "interrupt", "utteranceUntilInterrupt": said, "durationUntilInterruptMs": canary.digits},
        {"type": "prompt", "voicePrompt": said, "last": True},
        {"event": said},
        setup | {"callSid": canary.digits},
    ]
    socket = await transport.connect(RELAY, sign_upgrade(RELAY, TOKEN))
    for frame in frames:
        await socket.send_text(json.dumps(frame))
    await socket.send_text(f"not JSON: {said}")
    await asyncio.sleep(30)
    await (socket.abort() if seed % 2 else socket.close(1000, said))


async def refused_requests(transport: AsgiTransport, canary: Canary, found: Found) -> None:
    """Upgrades and webhooks that are not signed as they must be, with everything in them."""
    query = f"name={canary.name}&number={canary.number}&{canary.digits}"
    for url, headers in (
        (RELAY, {}),
        (RELAY, sign_upgrade(RELAY, canary.digits)),
        (f"{RELAY}?{query}", sign_upgrade(f"ws://{HOST}/relay?{query}", TOKEN, sign_as=f"ws://{HOST}/relay?{query}")),
    ):
        with pytest.raises(UpgradeRefused) as refused:
            await transport.connect(url, headers)
        found.pages.append(refused.value.body)
    form = {"CallSid": canary.digits, "From": canary.number, "CallerName": canary.name, "SpeechResult": canary.spoken}
    for path in ("/voice", "/connect-action", "/metrics", "/nowhere", "/ready"):
        url = f"https://{HOST}{path}?{query}"
        for headers in ({}, {"Authorization": f"Bearer {canary.name}"}, sign_request(url, form, OLD_TOKEN[::-1])):
            for method, fields in (("POST", form), ("GET", None)):
                response = await transport.request(method, url, form=fields, headers=headers)
                if path != "/ready":
                    assert 400 <= response.status < 500
                found.pages.append(f"{response.headers} {response.text}")


async def webhooks(transport: AsgiTransport, canary: Canary, seed: int) -> None:
    """The end of a session, signed and strange."""
    form = Identity.fresh(seed, from_=canary.number).webhook("in-progress") | {
        "SessionId": f"VX{seed:032x}",
        "SessionStatus": ("ended", "failed", "another")[seed % 3],
        "HandoffData": json.dumps({"reasonCode": "person", "who": canary.name, "summary": canary.spoken}),
        "ErrorCode": ("64105", "99999")[seed % 2],
        "ErrorMessage": canary.spoken,
    }
    url = f"https://{HOST}/connect-action"
    await transport.request("POST", url, form=form, headers=sign_request(url, form, TOKEN))


async def all_calls(recordings: Path, found: Found) -> None:
    agent = Agent(found)
    chosen = [
        *load_plugins(outside=False).agents.values(),
        plugin(agent, name="leaky", kind="agent"),
        plugin(Watches(), name="watches", kind="extension"),
        plugin(Wraps(), name="wraps", kind="extension"),
    ]
    settings = load_settings(
        None,
        public_url=f"https://{HOST}",
        agent="leaky",
        agent_from_parameters=True,
        record_dir=recordings,
        api_key="SK" + "5" * 32,
        allow_raw_messages=True,
        **SECRETS,
    )
    app = create_app(settings, assemble(chosen), store=StoreOfAStranger())
    agent.server = app.extensions["studio_relay"]
    transport = AsgiTransport(app)
    async with transport:
        for seed in range(CALLS):
            canary = Canary.of(seed)
            await scripted_call(transport, canary, seed)
            await rough_session(transport, canary, seed)
            await refused_requests(transport, canary, found)
            await webhooks(transport, canary, seed)
        bearer = {"Authorization": f"Bearer {SECRETS['metrics_token']}"}
        page = await transport.request("GET", f"https://{HOST}/metrics", headers=bearer)
        assert page.status == 200
        found.metrics.append(page.text)
    assert not transport.failures, transport.failures[:1]


# --- the search --------------------------------------------------------------------------------------------


class Kept(logging.Handler):
    """Every line as it would be written."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What anybody logs at level info and above."""
    kept = Kept()
    loggers = [logging.getLogger(), logging.getLogger("studio_relay")]
    before = [(one.level, one.propagate) for one in loggers]
    for one in loggers:
        one.setLevel(logging.INFO)
        one.addHandler(kept)
        one.propagate = False
    yield kept.lines
    for one, (level, propagate) in zip(loggers, before, strict=True):
        one.removeHandler(kept)
        one.setLevel(level)
        one.propagate = propagate


def leaks(text: str, canaries: Callable[[Canary], tuple[str, ...]]) -> set[str]:
    """Which canaries sing in `text`, in any case, and digits also when they are written in groups."""
    text = text.lower()
    close = re.sub(r"(?<=\d)[ .,\-()]+(?=\d)", "", text)
    wanted = {word.lower(): word for seed in range(CALLS) for word in canaries(Canary.of(seed))}
    runs = {run for source in (text, close) for run in re.findall(r"[a-z]+|[0-9]+", source)}
    lengths = sorted(set(map(len, wanted)))
    parts = {run[at : at + length] for run in runs for length in lengths for at in range(len(run) - length + 1)}
    signatures = [sign_upgrade(RELAY, token)["X-Twilio-Signature"] for token in (TOKEN, OLD_TOKEN)]
    secrets = (TOKEN, OLD_TOKEN, "shared-key-canary", "api-secret-canary", "metrics-token-canary", *signatures)
    return {wanted[part] for part in parts & wanted.keys()} | {one for one in secrets if one.lower() in text}


def everything(canary: Canary) -> tuple[str, ...]:
    return (*canary.secrets, canary.spoken)


def test_canaries_sing_nowhere(tmp_path: Path, log: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    found = Found()
    run_virtual(all_calls(tmp_path, found))
    written = capfd.readouterr()
    recorded = [path.read_text() for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    assert len(log) > 10 * CALLS
    assert sum('"event": "call-ended"' in line for line in log) == 2 * CALLS
    assert [sign for sign in SIGNS if not any(sign in line for line in log)] == []
    assert len(found.reprs) > 10 * CALLS
    assert len(recorded) >= 2 * CALLS
    for place, texts in {
        "log": log,
        "metrics": found.metrics,
        "pages": found.pages,
        "reprs": found.reprs,
        "output": [written.out, written.err],
    }.items():
        assert not (leaked := leaks("\n".join(texts), everything)), f"{place}: {leaked}: {first(texts, leaked)}"
    whole = "\n".join(recorded)
    assert not (leaked := leaks(whole, lambda canary: canary.secrets)), f"recordings: {first(recorded, leaked)}"
    keys = re.findall(r'"type":\s*"dtmf".{0,80}?"digit":\s*"(.)"', whole)
    assert keys
    assert set(keys) <= {"0", "#", "*"}


def first(texts: list[str], leaked: set[str]) -> str:
    """The first place where one sings."""
    for text in texts:
        for line in text.splitlines():
            if leaks(line, lambda canary: tuple(leaked)):
                return line[:600]
    return "?"


def test_the_search_finds_what_is_there() -> None:
    canary = Canary.of(3)
    assert leaks(f"...{canary.name}...", everything) == {canary.name}
    assert leaks(" ".join(canary.digits), everything) == {canary.digits}
    assert leaks(TOKEN, everything) == {TOKEN}
    assert leaks("nothing", everything) == set()


async def test_a_task_that_nobody_waits_for_tells_where_it_failed(caplog: pytest.LogCaptureFixture) -> None:
    canary = Canary.of(1)

    async def fails() -> None:
        raise Loud(canary.spoken)

    caplog.set_level(logging.INFO)
    asyncio.get_running_loop().set_exception_handler(loop_failures.log_failure)
    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    del task
    gc.collect()
    assert "a background task failed: Loud at test_canaries.py" in caplog.text
    assert canary.spoken not in caplog.text


async def test_a_request_that_fails_tells_where_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    canary = Canary.of(1)
    app = create_app(load_settings(None, insecure=True, agent="echo"), load_plugins(outside=False))

    async def fails() -> str:
        raise Loud(f"{canary.spoken} {canary.number}")

    app.add_url_rule("/fails", "fails", fails)
    caplog.set_level(logging.INFO)
    response = await app.test_client().get("/fails")
    page = await response.get_data(as_text=True)
    assert response.status_code == 500
    assert "a request failed: Loud at test_canaries.py" in caplog.text
    assert leaks(page + caplog.text, everything) == set()
