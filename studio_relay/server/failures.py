"""Why Twilio says a session failed, and what is advised for each (protocol reference, 5.1). Acts on nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from studio_relay.server.visit import Reaction


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One error code: what happened, how we react, and what an operator should do.

    A session that failed so in less than `unheard_within` seconds never came so far as to speak: a caller then still
    has to be greeted. Longer ones may have failed of what an agent asked for in mid-call.
    """

    what: str
    reaction: Reaction
    advice: str
    unheard_within: float = 0.0


_HTTP = Failure(
    what="Twilio could not fetch TwiML from us",
    reaction="give-up",
    advice="see the request in Twilio's error log and put right what it met: address, certificate, status, speed",
)

FAILURES: Mapping[str, Failure] = {
    "": Failure(
        what="no error code was given",
        reaction="reconnect",
        advice="look at what this server logged about the session",
    ),
    "39001": Failure(
        what="the network between Twilio and this server failed",
        reaction="reconnect",
        advice="if it happens often, look at the proxy and the network in front of this server",
    ),
    "64101": Failure(
        what="Twilio refuses a parameter of our TwiML",
        reaction="minimal",
        unheard_within=3.0,
        advice="run studio-relay twiml and compare with Twilio's error log; the call goes on without voice and model",
    ),
    "64102": Failure(
        what="Twilio could not open the WebSocket",
        reaction="once",
        unheard_within=math.inf,
        advice="check STUDIO_RELAY_PUBLIC_URL, the proxy's certificate, and whether this server refused the upgrade",
    ),
    "64103": Failure(
        what="an error without a published name",
        reaction="reconnect",
        advice="nothing is known of it; if it happens often, ask Twilio",
    ),
    "64104": Failure(
        what="the longest duration that Twilio allows is over",
        reaction="give-up",
        advice="set STUDIO_RELAY_CALL_MAX_SECONDS below it, so that calls end with words",
    ),
    "64105": Failure(
        what="the WebSocket was lost",
        reaction="reconnect",
        advice="this server, its proxy or the network dropped it; look for a restart or a crash at that time",
    ),
    "64106": Failure(
        what="language, voice and provider do not go together",
        reaction="minimal",
        unheard_within=3.0,
        advice="run studio-relay twiml and change language, voice or provider; the call is resumed with the defaults",
    ),
    "64107": Failure(
        what="Twilio refused messages of ours",
        reaction="give-up",
        advice="an agent sends raw messages, or this is a fault of studio-relay: please report it",
    ),
    "64108": Failure(
        what="the caller's audio stopped",
        reaction="give-up",
        advice="the caller's line broke; nothing is to be done here",
    ),
    "64109": Failure(
        what="the account has as many sessions as Twilio allows",
        reaction="give-up",
        advice="ask Twilio for a higher concurrency, or send fewer calls",
    ),
    "64111": Failure(
        what="the text-to-speech provider failed",
        reaction="reconnect",
        advice="if it happens often, set another STUDIO_RELAY_TWIML__TTS_PROVIDER",
    ),
    "64112": Failure(
        what="the text-to-speech provider could not speak a text",
        reaction="reconnect",
        advice="if it happens often, set another STUDIO_RELAY_TWIML__TTS_PROVIDER",
    ),
    "64114": Failure(
        what="the speech recogniser could not be reached",
        reaction="recogniser",
        advice="the call is resumed with the other provider; if it happens often, set TRANSCRIPTION_PROVIDER to it",
    ),
    **dict.fromkeys(("11200", "11205", "11220"), _HTTP),
}

UNKNOWN = Failure(
    what="an error code that this version does not know",
    reaction="unknown",
    advice="look it up in Twilio's list of errors and warnings",
)


def failure_of(code: str | None) -> Failure:
    """What is known of an error code."""
    return FAILURES.get((code or "").strip(), UNKNOWN)
