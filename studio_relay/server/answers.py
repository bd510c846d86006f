"""What a webhook of Twilio's is answered with: a named outcome and its TwiML; which one is due is decided elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quart import Response

from studio_relay.errors import StoreError
from studio_relay.settings import FAREWELLS, PluginSettings

OUTCOME_HEADER = "Studio-Relay-Outcome"
"""Names the outcome in every answer; Twilio's request inspector shows it."""

_VOICES = {"en": "en-US", "es": "es-ES", "fr": "fr-FR", "de": "de-DE", "pt": "pt-BR", "it": "it-IT"}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The outcome in one word of ours, and the document; None where Twilio ignores whatever is answered."""

    outcome: str
    twiml: str | None = None

    def to_response(self) -> Response:
        """As Twilio reads it: 200 with a document, 204 without."""
        headers = {OUTCOME_HEADER: self.outcome}
        if self.twiml is None:
            return Response(status=204, headers=headers)
        return Response(self.twiml, status=200, content_type="text/xml; charset=utf-8", headers=headers)

    def to_json(self) -> dict[str, Any]:
        """As it is kept for a repeat."""
        return {"outcome": self.outcome, "twiml": self.twiml}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Answer:
        """What `to_json` made. Raises StoreError for anything else."""
        match kept:
            case {"outcome": str(outcome), "twiml": str() | None as twiml}:
                return cls(outcome=outcome, twiml=twiml)
        raise StoreError("the session store holds another kind of answer: something else wrote to it")


def nothing(outcome: str) -> Answer:
    """There is nobody left to do anything for."""
    return Answer(outcome=outcome)


def hang_up(outcome: str) -> Answer:
    """The call is over."""
    from twilio.twiml.voice_response import VoiceResponse

    response = VoiceResponse()
    response.hangup()
    return Answer(outcome=outcome, twiml=str(response))


def apology(outcome: str, settings: PluginSettings, language: str | None) -> Answer:
    """The configured sentence, then the call is over; nobody is hung up on without a word."""
    from twilio.twiml.voice_response import VoiceResponse

    response = VoiceResponse()
    sentence = settings.farewell_for(language)
    response.say(sentence, language=_say_language(sentence, language))
    response.hangup()
    return Answer(outcome=outcome, twiml=str(response))


def redirect(outcome: str, url: str) -> Answer:
    """The call goes on with the TwiML at `url`."""
    from twilio.twiml.voice_response import VoiceResponse

    response = VoiceResponse()
    response.redirect(url, method="POST")
    return Answer(outcome=outcome, twiml=str(response))


def _say_language(sentence: str, language: str | None) -> str | None:
    """The language `<Say>` reads a sentence in: that of a built-in text, else the caller's if it names a region."""
    built_in = next((tag for tag, text in FAREWELLS.items() if text == sentence), None)
    primary = (language or "en").replace("_", "-").partition("-")[0].lower()
    if built_in is not None and built_in != primary:
        return _VOICES[built_in]
    if language and re.fullmatch("[a-z]{2}-[A-Z]{2}", language):
        return language
    return _VOICES.get(primary)
