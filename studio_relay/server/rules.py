"""What contradicts what in our TwiML: rules 3 to 7 of the protocol reference, 4.7, over values that are each right.

A rule refuses where Twilio would end the call (error 64101), and warns where it would only do something else. Rule 10
is our own: what can interrupt a reply is what should be reported while it is spoken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Values = Mapping[str, str]
"""Attributes by Python name, as they are emitted; of a `<Language>` with what it inherits."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A rule that is broken, by which attribute."""

    rule: int
    severity: Literal["refuse", "warn"]
    name: str
    message: str


_FAMILIES = {
    "Deepgram": re.compile("(nova|flux)(?![a-z])", re.I),
    "Google": re.compile("(telephony|long|short)(?![a-z])", re.I),
}
_MULTI_MODELS = ("nova-2-general", "nova-3-general")
_VOICES = {
    "ElevenLabs": re.compile(r"[A-Za-z0-9]{20}(-\S+)?"),
    "Google": re.compile(r"[a-z]{2,3}-[A-Z]{2}-[A-Za-z0-9-]+"),
    "Amazon": re.compile(r"[A-Z][^\W\d_]+(-(Neural|Generative|Long-Form))?"),
}


def voice_provider(voice: str) -> str | None:
    """Whose voice a name looks like (reference, section 8); None if it looks like nobody's."""
    return next((provider for provider, shape in _VOICES.items() if shape.fullmatch(voice)), None)


def model_provider(model: str) -> str | None:
    """Whose speech model it is, by its family; None for a model that is not known."""
    return next((provider for provider, family in _FAMILIES.items() if family.match(model)), None)


def check(values: Values, *, language: bool = False) -> Iterator[Finding]:
    """Every rule that is broken; `language` for the values of a `<Language>`."""
    for rule in (_multi, _flux_only, _thresholds, _other_provider, _model_family, _voice_shape):
        yield from rule(values, "code" if language else "language")
    if not language:
        yield from _reported_input(values)


def _multi(values: Values, tag: str) -> Iterator[Finding]:
    tts = "multi" in (values.get(tag), values.get("tts_language"))
    stt = "multi" in (values.get(tag), values.get("transcription_language"))
    provider = values.get("tts_provider", "ElevenLabs")
    if tts and provider != "ElevenLabs":
        yield _refuse(3, "tts_provider", f"multi is spoken by ElevenLabs alone, found {provider}", "ElevenLabs")
    provider = values.get("transcription_provider", "Deepgram")
    if stt and provider != "Deepgram":
        yield _refuse(
            3, "transcription_provider", f"multi is understood by Deepgram alone, found {provider}", "Deepgram"
        )
    model = values.get("speech_model")
    if stt and model is not None and model.lower() not in _MULTI_MODELS:
        yield _refuse(3, "speech_model", f"multi needs {' or '.join(_MULTI_MODELS)}, found {model}", _MULTI_MODELS[1])


def _flux_only(values: Values, tag: str) -> Iterator[Finding]:
    model = values.get("speech_model", "")
    is_flux = values.get("transcription_provider", "Deepgram") == "Deepgram" and model.lower().startswith("flux")
    for name in ("eot_threshold", "eager_eot_threshold"):
        if name in values and not is_flux:
            yield _warn(4, name, "only Deepgram's flux heeds it", "speech_model=flux")


def _thresholds(values: Values, tag: str) -> Iterator[Finding]:
    eager, threshold = values.get("eager_eot_threshold"), values.get("eot_threshold")
    if eager and threshold and float(eager) > float(threshold):
        yield _warn(4, "eager_eot_threshold", f"above eot_threshold {threshold} it never fires first", threshold)


def _other_provider(values: Values, tag: str) -> Iterator[Finding]:
    if "deepgram_smart_format" in values and values.get("transcription_provider") == "Google":
        yield _warn(5, "deepgram_smart_format", "Google does not heed it", "asr_smart_format=true")
    provider = values.get("tts_provider", "ElevenLabs")
    for name in ("elevenlabs_text_normalization", "elevenlabs_language_text_normalization"):
        if name in values and provider != "ElevenLabs":
            better = name.replace("elevenlabs", "tts")
            yield _warn(5, name, f"{provider} does not heed it", f"{better}={values[name]}")


def _model_family(values: Values, tag: str) -> Iterator[Finding]:
    model, provider = values.get("speech_model"), values.get("transcription_provider")
    if model is None:
        return
    owner = model_provider(model)
    if owner is None:
        yield _warn(6, "speech_model", f"{model} is not a model we know", "nova-3-general")
    elif provider is not None and owner != provider:
        yield _refuse(6, "speech_model", f"{model} is {owner}'s, and transcription_provider is {provider}", owner)


def _voice_shape(values: Values, tag: str) -> Iterator[Finding]:
    voice, provider = values.get("voice"), values.get("tts_provider")
    if voice is None or provider is None or _VOICES[provider].fullmatch(voice):
        return
    examples = {"ElevenLabs": "UgBBYS2sOqTuMpoF3BR0", "Google": "en-US-Journey-O", "Amazon": "Joanna-Neural"}
    yield _warn(7, "voice", f"{voice} does not look like a voice of {provider}", examples[provider])


_INPUT = {"any": ("speech", "dtmf"), "speech": ("speech",), "dtmf": ("dtmf",), "none": ()}
_INPUT_NAMES = {("speech",): "speech", ("dtmf",): "keys", ("speech", "dtmf"): "speech and keys"}


def _reported_input(values: Values) -> Iterator[Finding]:
    """Twilio's own defaults stand for what is left out."""
    name = "report_input_during_agent_speech"
    interruptible = values.get("interruptible", "any")
    interrupts, reported = _INPUT[interruptible], _INPUT[values.get(name, "none")]
    if wider := tuple(one for one in reported if one not in interrupts):
        message = (
            f"wider than interruptible ({interruptible}): {_INPUT_NAMES[wider]} that cannot interrupt a reply will "
            "still reach the agent while it speaks"
        )
        yield _warn(10, name, message, interruptible)
    if narrower := tuple(one for one in interrupts if one not in reported):
        message = (
            f"narrower than interruptible ({interruptible}): {_INPUT_NAMES[narrower]} that can interrupt a reply may "
            "never reach the agent"
        )
        yield _warn(10, name, message, interruptible)


def _refuse(rule: int, name: str, message: str, example: str) -> Finding:
    return Finding(rule=rule, severity="refuse", name=name, message=f"{message}; for example {example}")


def _warn(rule: int, name: str, message: str, example: str) -> Finding:
    return Finding(rule=rule, severity="warn", name=name, message=f"{message}; for example {example}")
