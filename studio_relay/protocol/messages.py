"""The messages of ConversationRelay, both ways, as typed values; nothing here keeps state.

What Twilio sends becomes a `Message` with its raw JSON object beside it (`parsing.py` makes them). What we
send is an `Outgoing`; `dump()` turns it into the text of a frame, or refuses it by field and rule before
Twilio would (a malformed frame is dropped by Twilio with error 64107, and ten in a row end the socket).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import structs

from studio_relay.errors import LocalProtocolError
from studio_relay.protocol.text import sendable

Dialect = Literal["twilio", "telnyx"]

_LANGUAGE_TAG = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*|multi")
_PUBLIC_URL = re.compile(r"https?://[^\s/?#@]+(?:[/?#]\S*)?")
_TONES = {"twilio": re.compile(r"[0-9w#*]+"), "telnyx": re.compile(r"[0-9wWA-D#*]+")}
_TONE_NAMES = {"twilio": "0-9, w, # and *", "telnyx": "0-9, A-D, w, W, # and *"}
_MAX_LOOP = 1000
_URL_ADVICE = "for example https://media.example.com/hold.mp3"


# ------------------------------------------------------------------------------ what Twilio sends


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A frame from Twilio. `raw` is the whole JSON object, fields unknown to us included.

    Its repr shows nothing of it: numbers and words must not reach a log by way of a traceback.
    """

    type: str
    raw: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"


class Setup(Message, frozen=True, kw_only=True):
    """The first frame of a session. A field without a value is an empty string, as on the wire."""

    call_sid: str
    session_id: str = ""
    account_sid: str = ""
    parent_call_sid: str = ""
    from_: str = ""
    to: str = ""
    forwarded_from: str = ""
    caller_name: str = ""
    direction: str = ""
    call_type: str = ""
    call_status: str = ""
    custom_parameters: Mapping[str, str] = {}
    dialect: Dialect = "twilio"


class Prompt(Message, frozen=True, kw_only=True):
    """What the caller said. `last=False` marks a partial: the whole utterance so far, to be revised.

    `over_speech` is true when the agent was speaking and nothing interrupted it (our finding, not Twilio's).
    """

    voice_prompt: str
    lang: str | None = None
    last: bool = True
    over_speech: bool = False


class Dtmf(Message, frozen=True, kw_only=True):
    """One key: `0`-`9`, `*`, `#`, rarely `A`-`D`. `over_speech` as in `Prompt`."""

    digit: str
    over_speech: bool = False


class Interrupt(Message, frozen=True, kw_only=True):
    """The caller barged in. Describes the current clause alone; both fields may be missing on the wire."""

    utterance_until_interrupt: str = ""
    duration_until_interrupt_ms: int | None = None


class Info(Message, frozen=True, kw_only=True):
    """An event about playback or speakers (`agentSpeaking`, `tokensPlayed`, ...). `value` is text so far."""

    name: str
    value: Any = None


class ErrorMessage(Message, frozen=True, kw_only=True):
    """Twilio refused one of our frames, or met trouble. `code` is read out of the description if it is there."""

    description: str = ""
    code: int | None = None


class Unknown(Message, frozen=True, kw_only=True):
    """A type we do not know: not an error, Twilio adds types."""


# --------------------------------------------------------------------------------- what we send


class Outgoing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", rename="camel"):
    """A frame to Twilio. Only declared fields are ever sent, and none is shown in its repr."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"


class Text(Outgoing, frozen=True, kw_only=True, tag="text", omit_defaults=True, rename="camel"):
    """A piece of speech; `last` closes the talk cycle. Spaces between pieces are ours to send."""

    token: str
    last: bool
    lang: str | None = None
    interruptible: bool | None = None
    preemptible: bool | None = None


class Play(Outgoing, frozen=True, kw_only=True, tag="play", omit_defaults=True, rename="camel"):
    """A sound file in the playback queue; `loop` 0 means Twilio's maximum of 1,000 times."""

    source: str
    loop: int = 1
    interruptible: bool | None = None
    preemptible: bool | None = None


class SendDigits(Outgoing, frozen=True, kw_only=True, tag="sendDigits", omit_defaults=True, rename="camel"):
    """Tones in the playback queue; `w` is half a second of silence."""

    digits: str


class Language(Outgoing, frozen=True, kw_only=True, tag="language", omit_defaults=True, rename="camel"):
    """The languages of what is said and understood from now on; at least one of the two."""

    tts_language: str | None = None
    transcription_language: str | None = None


class End(Outgoing, frozen=True, kw_only=True, tag="end", omit_defaults=True, rename="camel"):
    """The end of the session, with the text the flow or the action URL receives as `HandoffData`."""

    handoff_data: str | None = None


class Raw(msgspec.Struct, frozen=True):
    """A frame the protocol reference does not describe; see `SessionOptions.allow_raw`. Unverified by nature."""

    message: Mapping[str, Any]

    def __repr__(self) -> str:
        return "Raw(...)"


def _plain(value: Any) -> Any:
    """What msgspec does not encode by itself: subclasses of str, mappings that are not dicts."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


_encode = msgspec.json.Encoder(enc_hook=_plain).encode


def dump(message: Outgoing | Raw, *, dialect: Dialect = "twilio") -> str:
    """The text of the frame that carries `message`.

    Raises LocalProtocolError, naming the field and its rule, when Twilio would refuse the frame.
    """
    check(message, dialect=dialect)
    if isinstance(message, Raw):
        return _encode_raw(message.message)
    if isinstance(message, Text):
        message = structs.replace(message, token=sendable(str.__str__(message.token)))
    return _encode(message).decode()


def dump_text(token: str, last: bool) -> str:
    """The frame of a plain piece of speech that is sendable: `dump(Text(...))` without its checks, for the hot path."""
    return _encode(Text(token=token, last=last)).decode()


def _is_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _encode_raw(value: Mapping[str, Any]) -> str:
    try:
        return _encode(value).decode()
    except (TypeError, ValueError, RecursionError) as error:  # a UnicodeEncodeError is a ValueError
        raise LocalProtocolError(
            f"raw: expected values that JSON and UTF-8 can carry, found others ({type(error).__name__}); "
            "use text without lone surrogates, numbers, booleans, lists and objects. Nothing was sent."
        ) from error


def check(message: Outgoing | Raw, *, dialect: Dialect = "twilio") -> None:
    """Raise LocalProtocolError if the protocol does not allow `message` (section 3 of the protocol)."""
    match message:
        case Text():
            _check_text(message)
        case Play():
            _check_play(message)
        case SendDigits():
            _check_digits(message, dialect)
        case Language():
            _check_language(message)
        case End():
            _check_type(message, "handoff_data", "handoffData", str, optional=True, advice="write it as JSON text")
        case Raw():
            _check_raw(message)


def _check_text(message: Text) -> None:
    _check_type(message, "token", "token", str)
    _check_type(message, "last", "last", bool)
    _check_tag(message, "lang", "lang")
    _check_flags(message)


def _check_play(message: Play) -> None:
    _check_type(message, "source", "source", str)
    if not _PUBLIC_URL.fullmatch(message.source):
        raise _refused(message, "source", "a public http(s) URL", "another text", _URL_ADVICE)
    if isinstance(message.loop, bool) or not isinstance(message.loop, int) or not 0 <= message.loop <= _MAX_LOOP:
        raise _refused(message, "loop", f"a whole number from 0 to {_MAX_LOOP}", _shown(message.loop), "for example 1")
    _check_flags(message)


def _check_digits(message: SendDigits, dialect: Dialect) -> None:
    _check_type(message, "digits", "digits", str)
    if not _TONES[dialect].fullmatch(message.digits):
        found = "an empty text" if not message.digits else "other characters"
        raise _refused(message, "digits", f"one or more of {_TONE_NAMES[dialect]}", found, "for example 9ww1234#")


def _check_language(message: Language) -> None:
    if message.tts_language is None and message.transcription_language is None:
        raise _refused(
            message, "ttsLanguage", "this field, transcriptionLanguage or both", "neither", "for example sv-SE"
        )
    _check_tag(message, "tts_language", "ttsLanguage")
    _check_tag(message, "transcription_language", "transcriptionLanguage")


def _check_raw(message: Raw) -> None:
    kind = message.message.get("type") if isinstance(message.message, Mapping) else None
    if not isinstance(kind, str) or not kind:
        raise LocalProtocolError("raw: expected a JSON object with a text `type`, found none; write {'type': ..., ...}")
    if kind == "end":  # it would pass by the last words, the agent's handoff model and the reserved reason codes
        raise LocalProtocolError("raw: expected a message without a method of its own, got end. Use call.end().")


def _check_flags(message: Text | Play) -> None:
    _check_type(message, "interruptible", "interruptible", bool, optional=True)
    _check_type(message, "preemptible", "preemptible", bool, optional=True)


def _check_tag(message: Outgoing, attribute: str, field: str) -> None:
    _check_type(message, attribute, field, str, optional=True)
    tag = getattr(message, attribute)
    if tag is not None and not _LANGUAGE_TAG.fullmatch(tag):
        raise _refused(message, field, "a language tag", "another text", "for example en-US")


def _check_type(
    message: Outgoing, attribute: str, field: str, wanted: type, *, optional: bool = False, advice: str = ""
) -> None:
    value = getattr(message, attribute)
    if optional and value is None:
        return
    if not isinstance(value, wanted):
        name = {str: "text", bool: "true or false"}[wanted]
        raise _refused(message, field, name, type(value).__name__, advice)
    if isinstance(value, str) and attribute != "token" and not _is_utf8(value):
        raise _refused(message, field, "text that UTF-8 can carry", "a lone surrogate", "replace it")


def _shown(value: object) -> str:
    return str(value) if type(value) is int and abs(value) < 10**9 else type(value).__name__


def _refused(message: Outgoing, field: str, expected: str, found: str, advice: str) -> LocalProtocolError:
    kind = message.__struct_config__.tag
    advice = f"; {advice}" if advice else ""
    return LocalProtocolError(f"{kind}.{field}: expected {expected}, found {found}{advice}. Nothing was sent.")
