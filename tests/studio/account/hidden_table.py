"""A validator of flows with a hidden table of what the relay widget may hold; its tempers and its words are chosen.

Written from what JSON Schema validators do, without a look at how the table is found out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

RELAY = "run-conversation-relay"

Fault = tuple[str, str, str, Any]
"""Kind (`type`, `unknown`, `missing`, `enum`, `event`), JSON pointer of the owner, name, what was found or wanted."""


@dataclass(frozen=True)
class Row:
    """A property of the hidden table."""

    type: Literal["string", "boolean", "integer", "number", "array", "pairs", "object"]
    required: bool = False
    one_of: tuple[str, ...] = ()

    def holds(self, value: Any) -> bool:
        if self.type == "pairs":
            return isinstance(value, list) and all(isinstance(v, dict) and {"key", "value"} <= v.keys() for v in value)
        if isinstance(value, bool):
            return self.type == "boolean"
        kinds: dict[str, Any] = {
            "string": str, "integer": int, "number": (int, float), "array": list, "object": dict, "boolean": bool,
        }  # fmt: skip
        return isinstance(value, kinds[self.type])


@dataclass(frozen=True)
class Temper:
    """How a validator is: does it refuse unknown names, how much does it say, in which words, in which order."""

    unknown: Literal["refused", "ignored"] = "refused"
    says: Literal["all", "ten", "first", "nothing"] = "all"
    words: Literal["java", "python", "ajv", "blunt", "house"] = "java"
    shuffled: bool = True
    unknown_events: Literal["refused", "ignored"] = "refused"


@dataclass
class Validator:
    """Answers like FlowValidate; counts what it was asked."""

    table: Mapping[str, Row]
    temper: Temper = Temper()
    events: tuple[str, ...] = ("success", "failed")
    asked: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(1))

    def problems(self, definition: Mapping[str, Any]) -> list[dict[str, str]] | None:
        """None if the definition is valid; what is said about it otherwise, perhaps nothing."""
        self.asked += 1
        faults = [fault for number, state in enumerate(definition["states"]) for fault in self._state(number, state)]
        if not faults:
            return None
        if self.temper.shuffled:
            self.chance.shuffle(faults)
        told = {"all": len(faults), "ten": 10, "first": 1, "nothing": 0}[self.temper.says]
        return [WORDS[self.temper.words](fault) for fault in faults[:told]]

    def body(self, definition: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and JSON of an HTTP answer."""
        problems = self.problems(definition)
        if problems is None:
            return 200, {"valid": True}
        answer: dict[str, Any] = {"code": 81022, "message": "Flow definition validation failed", "status": 400}
        return 400, answer | ({"details": {"errors": problems}} if problems else {})

    def _state(self, number: int, state: Mapping[str, Any]) -> Iterator[Fault]:
        if state["type"] == "trigger":
            return
        if state["type"] != RELAY:
            yield "enum", f"#/states/{number}", "type", [RELAY, "trigger"]
            return
        owner = f"#/states/{number}/properties"
        given = {name: value for name, value in state["properties"].items() if name != "offset"}
        for name, row in self.table.items():
            if row.required and name not in given:
                yield "missing", owner, name, None
        for name, value in given.items():
            yield from self._property(owner, name, value)
        for index, transition in enumerate(state["transitions"]):
            if transition["event"] not in self.events and self.temper.unknown_events == "refused":
                yield "event", f"#/states/{number}/transitions/{index}", "event", list(self.events)

    def _property(self, owner: str, name: str, value: Any) -> Iterator[Fault]:
        row = self.table.get(name)
        if row is None:
            if self.temper.unknown == "refused":
                yield "unknown", owner, name, None
        elif not row.holds(value):
            yield "type", owner, name, (value, row.type)
        elif row.one_of and value not in row.one_of:
            yield "enum", owner, name, list(row.one_of)


def _kind(value: Any) -> str:
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


def _java(fault: Fault) -> dict[str, str]:
    kind, owner, name, more = fault
    if kind == "type":
        wanted = more[1].replace("pairs", "array")
        text = f"{_kind(more[0])} found, {wanted} expected"
        if _kind(more[0]) == wanted:
            text = "entry 0: required members are missing"
        return {"property_path": f"{owner}/{name}", "message": text}
    if kind == "unknown":
        message = f"$.{name}: is not defined in the schema and the schema does not allow additional properties"
        return {"property_path": owner, "message": message}
    if kind == "missing":
        return {"property_path": f"{owner}/{name}", "message": "is missing but it is required"}
    if kind == "event":
        return {"property_path": f"{owner}/{name}", "message": f"must be a constant value {more[0]}"}
    message = f"does not have a value in the enumeration [{', '.join(more)}]"
    return {"property_path": f"{owner}/{name}", "message": message}


def _python(fault: Fault) -> dict[str, str]:
    kind, owner, name, more = fault
    if kind == "unknown":
        return {"path": owner, "message": f"Additional properties are not allowed ({name!r} was unexpected)"}
    if kind == "missing":
        return {"path": owner, "message": f"{name!r} is a required property"}
    if kind == "type":
        text = f"{more[0]!r} is not of type {more[1].replace('pairs', 'array')!r}"
        return {"path": f"{owner}/{name}", "message": text}
    return {"path": f"{owner}/{name}", "message": f"'found' is not one of {more}"}


def _ajv(fault: Fault) -> dict[str, str]:
    kind, owner, name, more = fault
    owner = owner.removeprefix("#")
    if kind == "unknown":
        return {"instancePath": owner, "message": "must NOT have additional properties"}
    if kind == "missing":
        return {"instancePath": owner, "message": f"must have required property '{name}'"}
    if kind == "type":
        return {"instancePath": f"{owner}/{name}", "message": f"must be {more[1].replace('pairs', 'array')}"}
    return {"instancePath": f"{owner}/{name}", "message": "must be equal to one of the allowed values"}


def _blunt(fault: Fault) -> dict[str, str]:
    _, owner, name, _ = fault
    return {"property_path": f"{owner}/{name}", "message": "invalid"}


def _house(fault: Fault) -> dict[str, str]:
    """Everything in the message, with Ruby-like places and names for types of its own."""
    kind, owner, name, more = fault
    where = (
        owner.removeprefix("#/")
        .replace("/", ".")
        .replace("states.", "states[", 1)
        .replace(".properties", "].properties")
    )
    where = where.replace(".transitions.", "].transitions.")
    if kind == "unknown":
        return {"message": f"At {where}: unrecognised parameter '{name}'; check its spelling"}
    if kind == "missing":
        return {"message": f"At {where}: parameter '{name}' has to be given"}
    if kind == "type":
        own = {"string": "text", "boolean": "bool", "integer": "int", "number": "float", "object": "map"}
        return {"message": f"At {where}.{name}: expected {own.get(more[1], 'list')}"}
    return {"message": f"At {where}.{name}: choose one of {' | '.join(more)}"}


WORDS: dict[str, Callable[[Fault], dict[str, str]]] = {
    "java": _java, "python": _python, "ajv": _ajv, "blunt": _blunt, "house": _house,
}  # fmt: skip


# -------------------------------------------------------------------------------------------------- hidden tables

DOCUMENTED = {
    "url": "string", "welcome_greeting": "string", "tts_provider": "string", "voice": "string", "language": "string",
    "transcription_provider": "string", "speech_model": "string", "interruptible": "string",
    "dtmf_detection": "boolean", "parameters": "pairs", "hints": "string",
}  # fmt: skip
TWIML_TEXTS = [
    "welcome_greeting_interruptible", "tts_language", "transcription_language", "interrupt_sensitivity",
    "intelligence_service", "report_input_during_agent_speech", "debug", "events", "include_in_prompt",
    "background_noise_reduction", "customer_name", "elevenlabs_text_normalization", "tts_text_normalization",
    "conversation_configuration", "conversation_id",
]  # fmt: skip
TWIML_FLAGS = [
    "preemptible", "partial_prompts", "partial_prompt_on_hangup", "turn_detection", "profanity_filter",
    "deepgram_smart_format", "asr_smart_format", "echo_prompt_filtering", "application_reconnect",
    "ignore_backchannel", "tts_language_text_normalization", "elevenlabs_language_text_normalization",
]  # fmt: skip
TWIML_NUMBERS = ["speech_timeout", "eot_threshold", "eager_eot_threshold"]
NEVER_HEARD_OF = ("relay_profile", "compliance_mode", "fallback_greeting")
CHOICES = {
    "interruptible": (("true", "false"), ("any", "none", "dtmf", "speech"), ("true", "false", "any", "none")),
    "tts_provider": (("ElevenLabs", "Google", "Amazon"),),
    "transcription_provider": (("Deepgram", "Google"),),
    "interrupt_sensitivity": (("high", "medium", "low"),),
}


def plausible_table(chance: random.Random) -> dict[str, Row]:
    """What Studio might well have: most of what is documented, a share of TwiML, flags all written one way."""
    share = chance.choice([0.05, 0.15, 0.3])
    table = modest_table(chance, share, one_more_required=chance.random() < 0.3)
    numbers = {name: Row(chance.choice(["string", "integer"])) for name in TWIML_NUMBERS if chance.random() < share}
    return table | numbers


def modest_table(
    chance: random.Random, share: float | None = None, *, one_more_required: bool = False
) -> dict[str, Row]:
    """The documented properties but for one or two, and a few more of TwiML's."""
    share = chance.choice([0.0, 0.05, 0.1]) if share is None else share
    flag: Any = chance.choice(["string", "boolean"])
    documented: dict[str, Any] = DOCUMENTED | {"dtmf_detection": flag}
    table = {name: Row(kind) for name, kind in documented.items() if name == "url" or chance.random() < 0.9}
    table |= {name: Row("string") for name in TWIML_TEXTS if chance.random() < share}
    table |= {name: Row(flag) for name in TWIML_FLAGS if chance.random() < share}
    needed = {"url"} if chance.random() < 0.9 else set()
    if one_more_required:
        needed.add(chance.choice([name for name in table if name in DOCUMENTED]))
    return _finished(chance, table, needed)


def wild_table(chance: random.Random) -> dict[str, Row]:
    """Anything: each type at random, names nobody heard of that are required, many required ones."""
    kinds: tuple[Any, ...] = ("string", "boolean", "integer", "number", "array", "pairs", "object")
    pool = [*DOCUMENTED, *TWIML_TEXTS, *TWIML_FLAGS, *TWIML_NUMBERS]
    names = chance.sample(pool, chance.randint(4, 30))
    table = {name: Row(chance.choice(kinds)) for name in names} | {"url": Row("string")}
    made = _finished(chance, table, {name for name in table if chance.random() < 0.2})
    never = {name: Row(chance.choice(kinds[:3]), required=True) for name in NEVER_HEARD_OF if chance.random() < 0.3}
    return made | never


def _finished(chance: random.Random, table: dict[str, Row], required: set[str]) -> dict[str, Row]:
    def finished(name: str, row: Row) -> Row:
        choices = CHOICES.get(name, ()) if row.type == "string" and chance.random() < 0.5 else ()
        return Row(row.type, required=name in required, one_of=chance.choice(choices) if choices else ())

    return {name: finished(name, row) for name, row in table.items()}
