"""Every attribute of our TwiML as one table: Python name, XML name, and which values Twilio takes.

Each value is judged by itself (rules 1, 2 and 8 of the protocol reference, 4.7); what contradicts what is in
`rules.py`. Names and values are those of the reference, 4.1 to 4.5.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

_TAG = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*|multi")
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Refusal(ValueError):
    """What was expected of a value, and by which rule of the reference."""

    def __init__(self, rule: int, expected: str) -> None:
        super().__init__(expected)
        self.rule = rule


class Kind(Protocol):
    """What values an attribute takes."""

    @property
    def example(self) -> str:
        """A value that is right."""

    def read(self, value: Any) -> str:
        """The text to emit. Raises Refusal."""


@dataclass(frozen=True)
class Text:
    """Any text that XML can hold, not blank."""

    example: str = "..."

    def read(self, value: Any) -> str:
        text = _text(value)
        if _NOT_XML.search(text):
            raise Refusal(2, "text without control characters")
        return text


@dataclass(frozen=True)
class Flag:
    """`true` or `false`; 1 and 0 are read as such."""

    example: str = "true"

    def read(self, value: Any) -> str:
        found = {"true": "true", "1": "true", "false": "false", "0": "false"}.get(_text(value).lower())
        if found is None:
            raise Refusal(2, "true or false")
        return found


@dataclass(frozen=True)
class Choice:
    """One of a few words, whatever their case; `also` maps other spellings to one of them."""

    words: tuple[str, ...]
    also: tuple[tuple[str, str], ...] = ()

    @property
    def example(self) -> str:
        return self.words[0]

    def read(self, value: Any) -> str:
        known = {word.lower(): word for word in self.words} | dict(self.also)
        found = known.get(_text(value).lower())
        if found is None:
            raise Refusal(2, f"one of {', '.join(self.words)}")
        return found


@dataclass(frozen=True)
class Words:
    """Some of a few words; emitted with blanks between them."""

    words: tuple[str, ...]

    @property
    def example(self) -> str:
        return " ".join(self.words[:2])

    def read(self, value: Any) -> str:
        given = " ".join(map(str, value)) if isinstance(value, list | tuple) else _text(value)
        parts = list(dict.fromkeys(given.replace(",", " ").split()))
        if not parts or not set(parts) <= set(self.words):
            raise Refusal(2, f"words of {', '.join(self.words)} with blanks between them")
        return " ".join(parts)


@dataclass(frozen=True)
class Number:
    """A decimal number from `low` to `high`."""

    low: float
    high: float

    @property
    def example(self) -> str:
        return f"{self.high - 0.1:g}"

    def read(self, value: Any) -> str:
        text = _text(value)
        if not re.fullmatch(r"[0-9](\.[0-9]+)?", text) or not self.low <= float(text) <= self.high:
            raise Refusal(2, f"a number from {self.low:g} to {self.high:g}")
        return f"{float(text):g}"


@dataclass(frozen=True)
class Milliseconds:
    """`auto`, or whole milliseconds from 600 to 5000."""

    example: str = "auto"

    def read(self, value: Any) -> str:
        text = _text(value).lower()
        if text != "auto" and not (re.fullmatch("[0-9]{3,4}", text) and 600 <= int(text) <= 5000):
            raise Refusal(2, "auto, or whole milliseconds from 600 to 5000")
        return text


@dataclass(frozen=True)
class Tag:
    """A language tag, or `multi`."""

    example: str = "en-US"

    def read(self, value: Any) -> str:
        text = _text(value)
        if not _TAG.fullmatch(text):
            raise Refusal(2, "a language tag such as en-US, or multi")
        return text


@dataclass(frozen=True)
class List:
    """Phrases with commas between them."""

    example: str = "Twilio,ConversationRelay"

    def read(self, value: Any) -> str:
        return Text().read(",".join(map(str, value)) if isinstance(value, list | tuple) else value)


@dataclass(frozen=True)
class Url:
    """An absolute URL of one of `schemes`, with a host."""

    schemes: tuple[str, ...]
    rule: int
    example: str

    def read(self, value: Any) -> str:
        text = _text(value)
        if not _is_url(text, self.schemes):
            shown = " or ".join(f"{scheme}://" for scheme in self.schemes)
            raise Refusal(self.rule, f"{shown} and a host, without blanks, user or fragment")
        return text


def _is_url(text: str, schemes: Iterable[str]) -> bool:
    try:
        parts = urlsplit(text)
        fine = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return fine and re.fullmatch(r"[!-~]+", text) is not None and not re.search(r"[#@\\<>\"]", text)


def _text(value: Any) -> str:
    """The value as text; blank ones are refused."""
    if not isinstance(value, str | bool | int | float):
        raise Refusal(2, "text, a number, or true or false")
    text = str(value).strip()
    if not text:
        raise Refusal(8, "a value; leave the attribute out instead")
    return text


def without_control_characters(text: str) -> str:
    """`text` less what XML cannot hold."""
    return _NOT_XML.sub("", text)


# --- the table --------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """One attribute: its name in Python, in XML, and its values."""

    name: str
    xml: str
    kind: Kind


_BARGE_IN = Choice(("none", "dtmf", "speech", "any"), also=(("true", "any"), ("false", "none")))
_NORMALIZATION = Choice(("on", "auto", "off"), also=(("true", "on"), ("false", "off")))
TTS_PROVIDERS = ("ElevenLabs", "Google", "Amazon")
STT_PROVIDERS = ("Deepgram", "Google")


def _camel(name: str) -> str:
    return re.sub("_(.)", lambda match: match[1].upper(), name)


def _table(kinds: Mapping[str, Kind]) -> Mapping[str, Attribute]:
    return {name: Attribute(name=name, xml=_camel(name), kind=kind) for name, kind in kinds.items()}


CONNECT = _table(
    {
        "action": Url(("https", "http"), 2, "https://relay.example.com/connect-action"),
        "method": Choice(("POST", "GET")),
    }
)
"""Attributes of `<Connect>`."""

RELAY = _table(
    {
        "url": Url(("wss",), 1, "wss://relay.example.com/relay"),
        "welcome_greeting": Text("Hello, how can I help?"),
        "welcome_greeting_interruptible": _BARGE_IN,
        "language": Tag(),
        "tts_language": Tag(),
        "transcription_language": Tag(),
        "tts_provider": Choice(TTS_PROVIDERS),
        "voice": Text("en-US-Journey-O"),
        "transcription_provider": Choice(STT_PROVIDERS),
        "speech_model": Text("nova-3-general"),
        "interruptible": _BARGE_IN,
        "interrupt_sensitivity": Choice(("high", "medium", "low")),
        "ignore_backchannel": Flag(),
        "report_input_during_agent_speech": _BARGE_IN,
        "dtmf_detection": Flag(),
        "preemptible": Flag(),
        "partial_prompts": Flag(),
        "partial_prompt_on_hangup": Flag(),
        "speech_timeout": Milliseconds(),
        "eot_threshold": Number(0.5, 0.9),
        "eager_eot_threshold": Number(0.3, 0.9),
        "turn_detection": Flag(),
        "include_in_prompt": Words(("turn-state", "prompt-segments")),
        "hints": List(),
        "profanity_filter": Flag(),
        "deepgram_smart_format": Flag(),
        "asr_smart_format": Flag(),
        "background_noise_reduction": Text(),
        "echo_prompt_filtering": Flag(),
        "elevenlabs_text_normalization": _NORMALIZATION,
        "tts_text_normalization": _NORMALIZATION,
        "tts_language_text_normalization": Flag(),
        "elevenlabs_language_text_normalization": Flag(),
        "events": Words(("speaker-events", "tokens-played", "config-updated")),
        "debug": Words(("debugging", "speaker-events", "tokens-played")),
        "intelligence_service": Text("GA00000000000000000000000000000000"),
        "conversation_configuration": Text("conv_configuration_..."),
        "conversation_id": Text(),
        "customer_name": Text("Ada"),
        "application_reconnect": Flag(),
    }
)
"""Attributes of `<ConversationRelay>`."""

_PER_LANGUAGE = (
    "tts_provider",
    "voice",
    "transcription_provider",
    "speech_model",
    "hints",
    "asr_smart_format",
    "tts_text_normalization",
    "tts_language_text_normalization",
)
LANGUAGE: Mapping[str, Attribute] = {**_table({"code": Tag()}), **{name: RELAY[name] for name in _PER_LANGUAGE}}
"""Attributes of `<Language>`; `code` is required."""

_TAUGHT_WRONGLY = {
    "interruptbydtmf": "it does nothing at Twilio; use dtmf_detection and interruptible",
    "customparameter": "write parameters instead",
}


def find(table: Mapping[str, Attribute], name: str) -> Attribute | None:
    """The attribute called so, in Python's spelling or in Twilio's."""
    plain = _plain(name)
    return next((attribute for attribute in table.values() if _plain(attribute.name) == plain), None)


def unknown_name(table: Mapping[str, Attribute], name: str, *others: str) -> str:
    """Why there is no such attribute, and which one may have been meant."""
    taught = _TAUGHT_WRONGLY.get(_plain(name))
    if taught:
        return taught
    near = difflib.get_close_matches(name.lower(), [*table, *others], n=1, cutoff=0.7)
    return f"did you mean {near[0]}?" if near else "put what this version does not know into `extra`"


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
