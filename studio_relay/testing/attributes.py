"""The attributes of a relay that change what Twilio does, read from TwiML or from a Studio widget.

What Twilio refuses is refused here with its error code; attributes that change only a voice are checked, not kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import urlsplit

from studio_relay.errors import RelayError
from studio_relay.testing.utterance import Interruptible

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

INVALID_PARAMETER = "64101"

_ENUMS: Mapping[str, tuple[str, ...]] = {
    "interruptible": ("none", "dtmf", "speech", "any", "true", "false"),
    "welcomeGreetingInterruptible": ("none", "dtmf", "speech", "any", "true", "false"),
    "reportInputDuringAgentSpeech": ("none", "dtmf", "speech", "any"),
    "interruptSensitivity": ("high", "medium", "low"),
    "ttsProvider": ("elevenlabs", "google", "amazon"),
    "transcriptionProvider": ("deepgram", "google"),
    "elevenlabsTextNormalization": ("on", "auto", "off"),
    "ttsTextNormalization": ("on", "auto", "off"),
}
_BOOLEANS = frozenset(
    [
        "ignoreBackchannel",
        "dtmfDetection",
        "preemptible",
        "partialPrompts",
        "partialPromptOnHangup",
        "turnDetection",
        "profanityFilter",
        "deepgramSmartFormat",
        "asrSmartFormat",
        "echoPromptFiltering",
        "ttsLanguageTextNormalization",
        "elevenlabsLanguageTextNormalization",
        "applicationReconnect",
    ]
)
_RANGES: Mapping[str, tuple[float, float]] = {"eotThreshold": (0.5, 0.9), "eagerEotThreshold": (0.3, 0.9)}
_WORD_LISTS: Mapping[str, tuple[str, ...]] = {
    "events": ("speaker-events", "tokens-played", "config-updated"),
    "debug": ("debugging", "speaker-events", "tokens-played"),
    "includeInPrompt": ("turn-state", "prompt-segments"),
}
_TAGS = ("language", "ttsLanguage", "transcriptionLanguage")
_FREE = frozenset(
    [
        "url",
        "welcomeGreeting",
        "voice",
        "speechModel",
        "hints",
        "backgroundNoiseReduction",
        "intelligenceService",
        "conversationConfiguration",
        "conversationId",
        "customerName",
    ]
)
_KNOWN = _FREE | _BOOLEANS | {*_ENUMS, *_RANGES, *_WORD_LISTS, *_TAGS, "speechTimeout"}
_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$|multi$")

_WIDGET_NAMES: Mapping[str, str] = {
    "welcome_greeting": "welcomeGreeting",
    "language": "language",
    "tts_provider": "ttsProvider",
    "voice": "voice",
    "transcription_provider": "transcriptionProvider",
    "speech_model": "speechModel",
    "interruptible": "interruptible",
    "dtmf_detection": "dtmfDetection",
    "hints": "hints",
}


class AttributesRefused(RelayError):
    """A relay that Twilio would not start; `code` is its error code, None for TwiML that holds no relay at all."""

    def __init__(self, message: str, *, code: str | None = INVALID_PARAMETER, line: int | None = None) -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.code = code
        self.line = line

    def found_in(self, place: str) -> AttributesRefused:
        """The same, for whoever must be told where."""
        refused = AttributesRefused(f"{place}, {self}", code=self.code)
        refused.line = self.line
        return refused


@dataclass(frozen=True, kw_only=True)
class RelayAttributes:
    """How one relay behaves. Times in milliseconds; the defaults are Twilio's.

    `mode` is `widget` for what Studio's widget can start: no events, no `action` of ours. `notes` holds what was
    accepted but does nothing, in words for the author.
    """

    url: str = ""
    mode: Literal["full", "widget"] = "full"
    welcome_greeting: str = ""
    welcome_greeting_interruptible: Interruptible = "any"
    language: str = "en-US"
    tts_language: str = ""
    transcription_language: str = ""
    transcription_provider: str = "Deepgram"
    speech_model: str = ""
    languages: frozenset[str] = frozenset()
    interruptible: Interruptible = "any"
    report_input_during_agent_speech: Interruptible = "none"
    dtmf_detection: bool = False
    preemptible: bool = False
    partial_prompts: bool = False
    partial_prompt_on_hangup: bool = False
    speech_timeout_ms: int | None = None
    ignore_backchannel: bool = False
    speaker_events: bool = False
    tokens_played: bool = False
    application_reconnect: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)
    action_url: str = ""
    action_method: str = "POST"
    notes: tuple[str, ...] = ()

    @classmethod
    def full(cls, **changes: Any) -> RelayAttributes:
        """What our `/voice` writes by default, and partial prompts: both events, keys, any barge-in.

        Input over speech is reported as far as it interrupts, never further, unless `changes` say otherwise.
        """
        everything: dict[str, Any] = {
            "dtmf_detection": True,
            "partial_prompts": True,
            "report_input_during_agent_speech": changes.get("interruptible", "any"),
            "speaker_events": True,
            "tokens_played": True,
        }
        return cls(**{**everything, **changes})

    @classmethod
    def from_twiml(cls, twiml: str) -> RelayAttributes:
        """What `<Connect><ConversationRelay>` asks for. Raises AttributesRefused, with the line."""
        connect, relay = _find_relay(twiml)
        line = _line_of(twiml, "<ConversationRelay")
        read = _read(dict(relay.attrib), line)
        if not re.match(r"wss://[^\s/?#@]+([/?]\S*)?$", read.url):
            raise AttributesRefused(f"`url` must be wss:// and a host, found {read.url or 'nothing'!r}", line=line)
        codes = [child.get("code", "") for child in relay if child.tag == "Language"]
        _check_languages(codes, line)
        parameters = {c.get("name", ""): c.get("value", "") for c in relay if c.tag == "Parameter"}
        return replace(
            read,
            languages=frozenset(codes),
            parameters=parameters,
            action_url=connect.get("action", ""),
            action_method=connect.get("method", "POST").upper(),
        )

    def answered_by(self, url: str) -> RelayAttributes:
        """The same as `url` answered it: TwiML says wss:// always, but who is asked over http:// has no TLS there."""
        asked, named = urlsplit(url), urlsplit(self.url)
        is_plain = asked.scheme == "http" and asked.netloc == named.netloc
        return replace(self, url=f"ws{self.url.removeprefix('wss')}") if is_plain else self

    @classmethod
    def from_widget(
        cls, properties: Mapping[str, str], *, url: str = "", parameters: Mapping[str, str] | None = None
    ) -> RelayAttributes:
        """What Studio's widget asks for: its nine fields on default attributes. Raises AttributesRefused."""
        known = {
            _WIDGET_NAMES[name]: str(value)
            for name, value in properties.items()
            if name in _WIDGET_NAMES and str(value).strip()
        }
        unknown = sorted(set(properties) - set(_WIDGET_NAMES) - {"url", "parameters", "offset"})
        notes = tuple(f"the widget's property `{name}` is not one we know; it changes nothing" for name in unknown)
        read = _read(known, None)
        return replace(read, mode="widget", url=url, parameters=dict(parameters or {}), notes=notes)


def _find_relay(twiml: str) -> tuple[Element, Element]:
    from xml.etree import ElementTree

    try:
        root = ElementTree.fromstring(twiml.strip())
    except ElementTree.ParseError as error:
        raise AttributesRefused(f"the TwiML is not XML: {error}", code="12100", line=error.position[0]) from None
    if root.tag != "Response":
        raise AttributesRefused(f"expected <Response>, found <{root.tag}>", code="12100", line=1)
    connect = root.find("Connect")
    relay = connect.find("ConversationRelay") if connect is not None else None
    if connect is None or relay is None:
        verbs = ", ".join(f"<{child.tag}>" for child in root) or "nothing"
        raise AttributesRefused(
            f'expected <Connect><ConversationRelay url="wss://…"/></Connect>, found {verbs}', code=None, line=1
        )
    return connect, relay


def _line_of(text: str, needle: str) -> int | None:
    at = text.find(needle)
    return text.count("\n", 0, at) + 1 if at >= 0 else None


def _read(attributes: dict[str, str], line: int | None) -> RelayAttributes:
    for name, value in attributes.items():
        _check(name, value, line)
    _check_providers(attributes, line)
    get = attributes.get
    words = f"{get('events', '')} {get('debug', '')}".split()
    timeout = get("speechTimeout", "auto")
    return RelayAttributes(
        url=get("url", ""),
        welcome_greeting=get("welcomeGreeting", ""),
        welcome_greeting_interruptible=_interruptible(get("welcomeGreetingInterruptible", "any")),
        language=get("language", "en-US"),
        tts_language=get("ttsLanguage", ""),
        transcription_language=get("transcriptionLanguage", ""),
        transcription_provider=get("transcriptionProvider", "Deepgram"),
        speech_model=get("speechModel", ""),
        interruptible=_interruptible(get("interruptible", "any")),
        report_input_during_agent_speech=_interruptible(get("reportInputDuringAgentSpeech", "none")),
        dtmf_detection=_true(get("dtmfDetection")),
        preemptible=_true(get("preemptible")),
        partial_prompts=_true(get("partialPrompts")),
        partial_prompt_on_hangup=_true(get("partialPromptOnHangup")),
        speech_timeout_ms=None if timeout == "auto" else int(timeout),
        ignore_backchannel=_true(get("ignoreBackchannel")),
        speaker_events="speaker-events" in words,
        tokens_played="tokens-played" in words,
        application_reconnect=_true(get("applicationReconnect")),
        notes=tuple(_unknown(name) for name in attributes if name not in _KNOWN),
    )


def _check(name: str, value: str, line: int | None) -> None:
    expected = _fault(name, value)
    if expected:
        raise AttributesRefused(f"`{name}` must be {expected}, found {value!r}", line=line)


def _fault(name: str, value: str) -> str | None:
    """What a value of this attribute must be, if this one is not it."""
    if name not in _KNOWN:
        return None
    if not value.strip():
        return "left out rather than empty"
    if name in _ENUMS and value.lower() not in _ENUMS[name]:
        return "one of " + ", ".join(_ENUMS[name])
    if name in _BOOLEANS and value.lower() not in ("true", "false"):
        return "true or false"
    if name in _WORD_LISTS and not set(value.split()) <= set(_WORD_LISTS[name]):
        return "of the words " + ", ".join(_WORD_LISTS[name])
    if name in _TAGS and not _TAG.match(value):
        return "a language tag such as en-US, or multi"
    if name in _RANGES and not _within(value, *_RANGES[name]):
        return "a number from {} to {}".format(*_RANGES[name])
    if name == "speechTimeout" and value != "auto" and not (value.isdigit() and 600 <= int(value) <= 5000):
        return "auto or whole milliseconds from 600 to 5000"
    return None


def _within(value: str, low: float, high: float) -> bool:
    try:
        return low <= float(value) <= high
    except ValueError:
        return False


def _check_providers(attributes: Mapping[str, str], line: int | None) -> None:
    provider = attributes.get("transcriptionProvider", "Deepgram").lower()
    model = attributes.get("speechModel", "").lower()
    if model in ("telephony", "long", "short") and provider == "deepgram" and "transcriptionProvider" in attributes:
        raise AttributesRefused(f"`speechModel` {model} is Google's, the provider is Deepgram", line=line)
    if model.startswith(("nova", "flux")) and provider == "google":
        raise AttributesRefused(f"`speechModel` {model} is Deepgram's, the provider is Google", line=line)
    spoken = attributes.get("ttsLanguage", attributes.get("language", ""))
    if spoken == "multi" and attributes.get("ttsProvider", "ElevenLabs").lower() != "elevenlabs":
        raise AttributesRefused("`multi` is spoken by ElevenLabs only; set ttsProvider to it", line=line)


def _check_languages(codes: list[str], line: int | None) -> None:
    for code in codes:
        if not _TAG.match(code):
            raise AttributesRefused(f"<Language code> must be a language tag, found {code!r}", line=line)
        if codes.count(code) > 1:
            raise AttributesRefused(f"<Language code={code!r}> stands twice; keep one", line=line)


def _unknown(name: str) -> str:
    if name == "interruptByDtmf":
        return "`interruptByDtmf` is no attribute and does nothing; use dtmfDetection and interruptible"
    return f"`{name}` is no attribute of ConversationRelay and does nothing"


def _interruptible(value: str) -> Interruptible:
    lowered = {"true": "any", "false": "none"}.get(value.lower(), value.lower())
    return cast("Interruptible", lowered)


def _true(value: str | None) -> bool:
    return (value or "").lower() == "true"
