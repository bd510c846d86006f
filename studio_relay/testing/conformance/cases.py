"""The conformance cases: data only, each with the section of the protocol reference it stands on.

`certainty` says what the rule rests on: Twilio's documentation, recorded calls, Twilio's own SDK, or our inference.
What Twilio was never seen to send (bad JSON and the like) is a `should`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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

Certainty = Literal["documented", "recorded", "sdk", "inferred"]
Level = Literal["must", "should"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing a server must (or should) do. `rule` is a section of the protocol reference, and its gist."""

    id: str
    title: str
    rule: str
    certainty: Certainty
    steps: tuple[Step, ...]
    level: Level = "must"
    needs: tuple[Literal["token", "farewell"], ...] = ()


HELLO = (Connect(), Settle())
OLD_SETUP = ("parentCallSid", "forwardedFrom", "callerName", "callType", "callStatus", "customParameters")


def _survives(
    identifier: str, title: str, rule: str, certainty: Certainty, *steps: Step, level: Level = "must"
) -> Case:
    """After these steps the socket is open and the next prompt is answered."""
    return Case(
        id=identifier,
        title=title,
        rule=rule,
        certainty=certainty,
        level=level,
        steps=(*HELLO, *steps, Settle(), Probe()),
    )


def _info(name: str, value: object) -> Frame:
    return Frame(content={"type": "info", "name": name, "value": value})


def _interrupt(**fields: object) -> Frame:
    return Frame(content={"type": "interrupt", **fields})


CASES: tuple[Case, ...] = (
    Case(
        id="upgrade-plain",
        title="takes an upgrade without Origin, subprotocol or compression",
        rule="1.1: none of them was seen on a real upgrade",
        certainty="recorded",
        steps=(Connect(), Open()),
    ),
    Case(
        id="upgrade-wrong-signature",
        title="refuses an upgrade whose signature is wrong",
        rule="1.1, 6.4: refuse a bad signature before accepting",
        certainty="inferred",
        level="should",
        steps=(Connect(signature="wrong", answer="refused"),),
        needs=("token",),
    ),
    Case(
        id="upgrade-no-signature",
        title="refuses an upgrade without a signature",
        rule="6.1: a missing header is invalid",
        certainty="inferred",
        level="should",
        steps=(Connect(signature="missing", answer="refused"),),
        needs=("token",),
    ),
    Case(
        id="upgrade-https-signature",
        title="refuses a signature over the https form of its URL",
        rule="6.4: only the wss form matched on live calls",
        certainty="recorded",
        level="should",
        steps=(Connect(signature="https", answer="refused"),),
        needs=("token",),
    ),
    Case(
        id="setup",
        title="takes the setup of a real call and keeps the socket open",
        rule="2.1: thirteen keys, empty strings for what is missing",
        certainty="recorded",
        steps=(Connect(), Open(ms=2000)),
    ),
    Case(
        id="setup-short",
        title="takes the shorter setup of older documentation",
        rule="2.1: Twilio's SDK treats every field as optional",
        certainty="sdk",
        steps=(Connect(left_out=OLD_SETUP), Settle(), Probe()),
    ),
    Case(
        id="setup-new-fields",
        title="takes a setup with fields nobody knows yet",
        rule="2.0: keep unknown fields, never fail on them",
        certainty="inferred",
        steps=(Connect(setup={"newField": {"deep": [1, 2]}, "applicationSid": "AP1"}), Settle(), Probe()),
    ),
    Case(
        id="setup-anonymous",
        title="takes callers without a number, and calls that Twilio places",
        rule="2.1: `anonymous`, `client:name`; direction may start with outbound",
        certainty="documented",
        steps=(
            Connect(setup={"from": "anonymous", "to": "client:anna", "direction": "outbound-api"}),
            Settle(),
            Probe(),
        ),
    ),
    Case(
        id="setup-parameters",
        title="takes custom parameters",
        rule="4.5: names and values are strings",
        certainty="documented",
        steps=(Connect(setup={"customParameters": {"tier": "gold", "empty": ""}}), Settle(), Probe()),
    ),
    Case(
        id="connected-first",
        title="is not confused by a `connected` before the setup",
        rule="2.8, 7: a harmless notice",
        certainty="inferred",
        level="should",
        steps=(
            Connect(setup=None),
            Raw(text='{"type":"connected","callSid":"CA0"}'),
            Frame(content={"type": "setup"}),
            Settle(),
            Probe(),
        ),
    ),
    _survives(
        "setup-twice",
        "survives a second setup on one socket",
        "1.4: not verified, may come",
        "inferred",
        Frame(content={"type": "setup"}),
    ),
    Case(
        id="prompt-answered",
        title="answers a final prompt with speech and closes the talk cycle",
        rule="2.2, 3.1: exactly one last:true for each reply",
        certainty="documented",
        steps=(*HELLO, Probe()),
    ),
    Case(
        id="prompt-several",
        title="answers one prompt after another",
        rule="2.2",
        certainty="documented",
        steps=(*HELLO, Probe(), Settle(), Probe(), Settle(), Probe()),
    ),
    Case(
        id="prompt-without-last",
        title="takes a prompt without `last` as final",
        rule="2.2: missing means true",
        certainty="sdk",
        level="should",
        steps=(*HELLO, Probe(left_out=("last",))),
    ),
    Case(
        id="prompt-languages",
        title="takes `en`, `en-US` and no language at all",
        rule="2.2: `en` was sent although the session was en-US",
        certainty="recorded",
        steps=(
            *HELLO,
            Probe(frame={"lang": "en"}),
            Settle(),
            Probe(frame={"lang": "en-US"}),
            Settle(),
            Probe(left_out=("lang",)),
        ),
    ),
    Case(
        id="prompt-partials",
        title="does not answer a partial prompt",
        rule="2.2: never answer on a partial",
        certainty="inferred",
        steps=(
            *HELLO,
            Frame(content={"type": "prompt", "voicePrompt": "I would like", "lang": "en", "last": False}),
            Quiet(),
            Frame(content={"type": "prompt", "voicePrompt": "I would", "lang": "en", "last": False}),
            Quiet(),
            Probe(),
        ),
    ),
    _survives(
        "prompt-empty",
        "survives an empty final prompt",
        "2.2: ignore an empty final",
        "inferred",
        Frame(content={"type": "prompt", "voicePrompt": "", "lang": "en-US", "last": True}),
    ),
    _survives(
        "prompt-extra-fields",
        "survives fields of a prompt that nobody knows yet",
        "2.2: includeInPrompt adds some, names not verified",
        "documented",
        Frame(content={"type": "prompt", "voicePrompt": "Hm", "lang": "en", "last": False, "turnState": {"a": 1}}),
    ),
    Case(
        id="prompt-long",
        title="takes a prompt of several thousand characters, in any script",
        rule="9: no limit is published",
        certainty="inferred",
        steps=(*HELLO, Probe(text="Grüße, 你好, 🙂. " + "and then " * 500)),
    ),
    _survives(
        "prompt-burst",
        "survives finals that come while it is answering",
        "2.2: the latest final counts",
        "inferred",
        Frame(content={"type": "prompt", "voicePrompt": "One more thing.", "lang": "en-US", "last": True}, times=3),
    ),
    _survives(
        "keys",
        "takes all twelve keys",
        "2.3: one frame a key",
        "recorded",
        *(Frame(content={"type": "dtmf", "digit": key}) for key in "1234567890*#"),
    ),
    _survives(
        "key-number",
        "takes a key that is a number",
        "2.0: coerce",
        "inferred",
        Frame(content={"type": "dtmf", "digit": 5}),
    ),
    Case(
        id="key-in-greeting",
        title="takes a key right behind the setup",
        rule="1.2: keys can arrive during the greeting",
        certainty="recorded",
        steps=(Connect(), Frame(content={"type": "dtmf", "digit": "9"}), Settle(), Probe()),
    ),
    Case(
        id="interrupt-stops",
        title="stops speaking when it is interrupted",
        rule="2.4: send nothing more of the old turn",
        certainty="documented",
        steps=(
            *HELLO,
            Ask(),
            _interrupt(utteranceUntilInterrupt="", durationUntilInterruptMs=120),
            NoMoreText(),
            Probe(),
        ),
    ),
    _survives(
        "interrupt-shapes",
        "takes a duration as number, text or decimal, or none of the fields",
        "2.4: number on the wire, text in older documentation",
        "documented",
        _interrupt(utteranceUntilInterrupt="Hello", durationUntilInterruptMs=460),
        _interrupt(utteranceUntilInterrupt="Hello", durationUntilInterruptMs="460"),
        _interrupt(utteranceUntilInterrupt="", durationUntilInterruptMs=460.5),
        _interrupt(),
    ),
    _survives(
        "interrupt-odd",
        "survives an interrupt when it is silent, and an absurd duration",
        "2.0: absurd durations are None",
        "inferred",
        _interrupt(utteranceUntilInterrupt="something it never said", durationUntilInterruptMs=-5),
    ),
    Case(
        id="error-unanswered",
        title="does not answer an error frame",
        rule="2.0, 2.5: an answer would count as malformed",
        certainty="inferred",
        steps=(
            *HELLO,
            Frame(content={"type": "error", "description": "Invalid message received, code: 64107, {}"}),
            Quiet(),
            Probe(),
        ),
    ),
    _survives(
        "info-events",
        "takes speaker and played-text events",
        "2.6",
        "recorded",
        _info("agentSpeaking", "on"),
        _info("tokensPlayed", " Hello."),
        _info("agentSpeaking", "off"),
        _info("clientSpeaking", "on"),
        _info("clientSpeaking", "off"),
        _info("roundTripDelayMs", "148"),
    ),
    _survives(
        "info-unknown",
        "survives events it does not know, and values that are not text",
        "2.6: keep a value raw when it is not a string",
        "inferred",
        _info("configUpdated", {"ttsProvider": "Google"}),
        _info("somethingNew", 7),
    ),
    _survives(
        "unknown-type",
        "survives a type it does not know",
        "2.0: an unknown type is not an error",
        "inferred",
        Frame(content={"type": "weather", "degrees": 21}),
    ),
    _survives(
        "bad-json",
        "survives text that is not JSON",
        "2.0: refuse the frame, keep the socket",
        "inferred",
        Raw(text="{nonsense"),
        level="should",
    ),
    _survives(
        "bad-shape",
        "survives JSON that is no object",
        "2.0",
        "inferred",
        Raw(text="[]"),
        Raw(text="null"),
        Raw(text="7"),
        level="should",
    ),
    _survives(
        "bad-fields",
        "survives known types with wrong fields",
        "2.0: a bad essential field refuses the frame",
        "inferred",
        Frame(content={"type": "prompt", "voicePrompt": None, "last": True}),
        Frame(content={"type": "dtmf"}),
        Frame(content={"type": "info"}),
        Frame(content={"type": 7}),
        level="should",
    ),
    Case(
        id="bad-unanswered",
        title="sends nothing in answer to a frame it refuses",
        rule="2.0, rule 9",
        certainty="inferred",
        level="should",
        steps=(*HELLO, Raw(text="{nonsense"), Quiet(), Open()),
    ),
    Case(
        id="silence",
        title="keeps the socket through a silence",
        rule="1.2: 88 s without a frame ended nothing",
        certainty="recorded",
        steps=(*HELLO, Open(ms=5000), Settle(), Probe()),
    ),
    Case(
        id="drop",
        title="takes the next call after a socket was dropped in mid-reply",
        rule="1.3, 1.4",
        certainty="recorded",
        steps=(*HELLO, Ask(), Drop(), Connect(), Settle(), Probe()),
    ),
    Case(
        id="drop-same-call",
        title="takes a second socket of the same call after a drop",
        rule="1.4: same callSid, new sessionId",
        certainty="recorded",
        steps=(*HELLO, Drop(), Connect(same_call=True, after_ms=1200), Settle(), Probe()),
    ),
    Case(
        id="hang-up",
        title="takes the next call after the caller hung up in mid-reply",
        rule="1.3: close 1000 by Twilio",
        certainty="recorded",
        steps=(*HELLO, Ask(), Close(), Connect(), Settle(), Probe()),
    ),
    Case(
        id="end",
        title="ends with `end`, says nothing behind it, and leaves the closing to Twilio",
        rule="1.3, 3.5: handoffData is text; anything after end is lost",
        certainty="documented",
        steps=(*HELLO, Farewell()),
        needs=("farewell",),
    ),
)
