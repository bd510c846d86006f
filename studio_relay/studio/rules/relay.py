"""The ConversationRelay widget: its server, its voice, what goes in, and what its outcome is used for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

from studio_relay.studio.flow import Widget, did_you_mean
from studio_relay.studio.rules import Found, at, rule
from studio_relay.studio.subject import Subject, analysed, entries, is_placeholder

RELAY = "run-conversation-relay"
SECRET = re.compile(
    r"(?:api|access|auth|secret|private)[_-]?(?:key|token)|password|passwd|secret|bearer|\btoken\b", re.I
)
CARD = re.compile(r"card[_-]?(?:number|no)\b|\bpan\b|cvv|cvc|security[_-]?code|expir", re.I)
_CARD_DIGITS = re.compile(r"(?<!\d)(?:\d[ -]?){13,19}(?!\d)")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z]{4})?(?:-(?:[A-Z]{2}|\d{3}))?|multi")
_PRIVATE = re.compile(r"localhost|127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|.*\.(?:local|internal|lan)$|\[?::1")
_SPEECH_MODELS = {"nova": "deepgram", "flux": "deepgram", "telephony": "google", "long": "google", "short": "google"}
_PROVIDERS = {"tts_provider": ("ElevenLabs", "Google", "Amazon"), "transcription_provider": ("Deepgram", "Google")}


def _relays(subject: Subject) -> tuple[Widget, ...]:
    return subject.of_type(RELAY)


@rule("SR601", "the relay's URL cannot work", severity="warning", impact=9)
def url(subject: Subject) -> Iterator[Found]:
    """Twilio connects to `wss://` on a public host, and only there. Whether the URL may hold Liquid is unverified."""
    for widget in _relays(subject):
        text = widget.text("url").strip()
        if not text or is_placeholder(text):
            continue
        for words, hint in _url_faults(text):
            yield at(widget, "properties/url", words, hint=hint)


def _url_faults(text: str) -> Iterator[tuple[str, str]]:
    if "{{" in text:
        yield "holds Liquid; whether Studio renders this field is unverified", "Write the URL out."
        return
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        yield "is not a URL", "Write wss://HOST/relay/AGENT."
        return
    if parts.scheme != "wss":
        yield f"must start with wss://, found {parts.scheme or 'no scheme'!r}", "Write wss://HOST/relay/AGENT."
    elif not host:
        yield "names no host", "Write wss://HOST/relay/AGENT."
    elif _PRIVATE.match(host):
        yield f"the host {host!r} is not public; Twilio cannot reach it", ""
    if parts.username or parts.password:
        yield "holds credentials; flows are readable by everybody with the account", "Check the signature instead."
    for key, _ in parse_qsl(parts.query):
        if SECRET.search(key):
            yield f"the query holds {key!r}, which looks like a credential", "Check the signature instead."


@rule("SR602", "an end of the relay is not wired", severity="warning", impact=9)
def loose_ends(subject: Subject) -> Iterator[Found]:
    """`failed` is every outage: unwired, the caller is hung up on. `success` is every end the server meant, a
    transfer among them."""
    for widget in _relays(subject):
        for event in ("success", "failed"):
            if any(t.next in subject.flow.states for t in widget.on(event)):
                continue
            position = next((t.position for t in widget.on(event)), len(widget.transitions))
            what = "an outage is silence and a hang-up" if event == "failed" else "the call ends there, handoff or not"
            hint = "Lead it to a Say/Play and a person or a voicemail." if event == "failed" else "Lead it to a Split."
            yield at(widget, f"transitions/{position}", f"{event!r} is not connected: {what}", hint=hint)


@rule("SR603", "the handoff is not branched on", severity="warning", impact=7)
def unread_handoff(subject: Subject) -> Iterator[Found]:
    """Happy callers, transfers and agents that gave up all arrive as `success`; only HandoffData tells them apart."""
    for widget in _relays(subject):
        wired = any(t.next in subject.flow.states for t in widget.on("success"))
        if wired and not _handoff_is_read(subject, widget.name):
            words = f"nothing reads widgets.{widget.name}.HandoffData"
            position = widget.on("success")[0].position
            yield at(widget, f"transitions/{position}", words, hint="Put a Split on it behind 'success'.")


def _handoff_is_read(subject: Subject, name: str) -> bool:
    readers = (found for use, found in subject.templates if use.widget.name in subject.after[name])
    return any(path[:3] == ("widgets", name, "HandoffData") for found in readers for path in found.paths)


@rule("SR604", "the greeting", severity="warning", impact=6)
def greeting(subject: Subject) -> Iterator[Found]:
    """A greeting made of Liquid alone is silence when the variable is empty."""
    for widget in _relays(subject):
        text = widget.text("welcome_greeting")
        if "welcome_greeting" in widget.properties and not text.strip():
            yield at(widget, "properties/welcome_greeting", "is empty; leave it out", severity="notice")
        elif re.fullmatch(r"\s*\{\{[^}|]*\}\}\s*", text):
            words = "is one variable: a caller for whom it is empty hears nothing"
            yield at(widget, "properties/welcome_greeting", words, hint='Add `| default: "Hello."`.')


@rule("SR605", "the caller is greeted twice", severity="warning", impact=4)
def greeted_twice(subject: Subject) -> Iterator[Found]:
    """The Say/Play before the relay and the relay's own greeting say the same."""
    for widget in _relays(subject):
        greeting = _words(widget.text("welcome_greeting"))
        for before in subject.of_type("say-play"):
            said = _words(before.text("say"))
            if any(t.next == widget.name for t in before.transitions) and greeting and _alike(said, greeting):
                words = f"says again what {before.name!r} has just said"
                yield at(widget, "properties/welcome_greeting", words, hint="Keep one of the two.")


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


_HELLO = {"hello", "hi", "welcome", "hallo", "willkommen", "hola", "bienvenido", "bonjour", "bienvenue"}


def _alike(said: list[str], greeting: list[str]) -> bool:
    """Two greetings: both open with a word of welcome, or most of the words are the same."""
    if said[:1] and said[0] in _HELLO and greeting[0] in _HELLO:
        return True
    common = set(said) & set(greeting)
    return len(common) >= 3 and len(common) >= 0.7 * len(set(greeting))


@rule("SR606", "providers, voices and models that do not go together", severity="warning", impact=8)
def providers(subject: Subject) -> Iterator[Found]:
    """An invalid pair ends the relay before it began, with `failed`. Lists of voices and models change, so only the
    shape is checked."""
    for widget in _relays(subject):
        for key, known in _PROVIDERS.items():
            value = widget.text(key)
            if value and "{{" not in value and value.lower() not in [name.lower() for name in known]:
                words = f"{value!r} is none of {', '.join(known)}"
                yield at(widget, f"properties/{key}", words, hint=did_you_mean(value, known).strip())
        yield from _voice(widget)
        yield from _model(widget)


def _voice(widget: Widget) -> Iterator[Found]:
    voice, provider = widget.text("voice"), widget.text("tts_provider").lower() or "elevenlabs"
    shape = _voice_provider(voice)
    if shape and shape != provider and "{{" not in voice:
        named = widget.text("tts_provider") or "ElevenLabs, the default"
        words = f"{voice!r} looks like a voice of {shape.title()}, but the provider is {named}"
        yield at(widget, "properties/voice", words, hint="Set tts_provider and voice together.")


def _voice_provider(voice: str) -> str | None:
    """Whose voice a name looks like; None where it could be anybody's."""
    if re.match(
        r"(?:Google\.)?[a-z]{2,3}-[A-Z]{2}-(?:Journey|Neural2|Wavenet|Standard|Chirp|Studio|News|Polyglot)", voice
    ):
        return "google"
    if re.match(r"Polly\.|[A-Z][a-z]+-(?:Neural|Generative)$", voice):
        return "amazon"
    return "elevenlabs" if re.match(r"[A-Za-z0-9]{20}(?:-|$)", voice) else None


def _model(widget: Widget) -> Iterator[Found]:
    model, provider = widget.text("speech_model"), widget.text("transcription_provider").lower() or "deepgram"
    family = next((owner for start, owner in _SPEECH_MODELS.items() if model.lower().startswith(start)), None)
    if family and family != provider and "{{" not in provider:
        words = f"{model!r} is a model of {family.title()}, but the provider is {provider.title()}"
        yield at(widget, "properties/speech_model", words, hint="Set transcription_provider and speech_model together.")


@rule("SR607", "a language that is not a language tag", severity="warning", impact=6)
def languages(subject: Subject) -> Iterator[Found]:
    """Languages are tags such as en-US; `multi` works with ElevenLabs and Deepgram only."""
    for widget in _relays(subject):
        value = widget.text("language")
        if not value or "{{" in value or is_placeholder(value):
            continue
        if not _LANGUAGE.fullmatch(value):
            yield at(widget, "properties/language", f"{value!r} is not a language tag", hint="Write for example en-US.")
        elif value == "multi" and widget.text("tts_provider").lower() not in ("", "elevenlabs"):
            yield at(widget, "properties/language", "'multi' needs ElevenLabs as tts_provider")


@rule("SR608", "a parameter that should not travel", severity="warning", impact=3)
def secret_parameters(subject: Subject) -> Iterator[Found]:
    """Parameters, greeting and hints are readable in the account and lie outside Twilio's card data handling."""
    for widget in _relays(subject):
        for number, row in enumerate(entries(widget, "parameters")):
            key, value = str(row.get("key", "")), str(row.get("value", ""))
            if SECRET.search(key):
                yield at(widget, f"properties/parameters/{number}", f"{key!r} looks like a credential")
            elif CARD.search(key) or _CARD_DIGITS.search(value) or "PaymentCardNumber" in value:
                yield at(widget, f"properties/parameters/{number}", f"{key!r} looks like card data")
        for key in ("welcome_greeting", "hints"):
            if _CARD_DIGITS.search(widget.text(key)) or "PaymentCard" in widget.text(key):
                yield at(widget, f"properties/{key}", "looks like card data")


@rule("SR609", "a parameter the agent never reads", severity="warning", impact=3)
def unread_parameters(subject: Subject) -> Iterator[Found]:
    """Checked when the agent is known. A misspelt name arrives, and is not what the agent asks for."""
    wanted = subject.agent.parameters if subject.agent else None
    if wanted is None:
        return
    for widget in _relays(subject):
        sent = [str(row.get("key", "")) for row in entries(widget, "parameters")]
        for number, key in enumerate(sent):
            if key not in wanted and key != "agent":
                hint = did_you_mean(key, wanted - set(sent)).strip()
                yield at(widget, f"properties/parameters/{number}/key", f"the agent never reads {key!r}", hint=hint)


@rule("SR610", "an object as a parameter", severity="warning", impact=5)
def object_parameters(subject: Subject) -> Iterator[Found]:
    """All parameters reach the server as text; an object needs `| to_json` here and a parser there."""
    for widget in _relays(subject):
        for number, row in enumerate(entries(widget, "parameters")):
            facts = analysed(str(row.get("value", "")))
            whole = [p for p in facts.paths if p[-1] in ("parsed", "AddOns", "ChannelAttributes", "variables", "data")]
            if whole and "to_json" not in facts.filters:
                words = f"'{'.'.join(whole[0])}' is an object, and it is sent without to_json"
                yield at(widget, f"properties/parameters/{number}/value", words)


@rule("SR611", "a boolean that should be in quotes", severity="warning", impact=3)
def unquoted(subject: Subject) -> Iterator[Found]:
    """One validation run refused a boolean in `interruptible`; the type of `dtmf_detection` is unverified."""
    for widget in _relays(subject):
        value = widget.properties.get("dtmf_detection")
        if isinstance(value, bool):
            yield at(
                widget,
                "properties/dtmf_detection",
                "boolean found, string expected (unverified)",
                hint=f'Write "{str(value).lower()}".',
            )


@rule("SR612", "a reason code no branch can tell from another", severity="warning", impact=6)
def ambiguous_contains(subject: Subject) -> Iterator[Found]:
    """`contains` searches the whole JSON text, the summary too: a short or common word matches by accident."""
    for widget in subject.of_type("split-based-on"):
        paths = analysed(widget.text("input")).paths
        if not any(len(path) == 3 and path[2] == "HandoffData" for path in paths):
            continue
        values = [
            (t, c.value.strip().lower()) for t in widget.on("match") for c in t.conditions if c.type == "contains"
        ]
        for number, (t, value) in enumerate(values):
            earlier = next((other for _, other in values[:number] if other and other in value), None)
            if earlier:
                words = f"'contains {value}' is never reached: 'contains {earlier}' before it matches too"
                yield at(widget, f"transitions/{t.position}/conditions/0/value", words)


@rule("SR613", "words that interrupt may be lost", severity="notice", impact=2, remark=True)
def unreported_interruptions(subject: Subject) -> Iterator[Found]:
    """Studio's widget cannot ask for `reportInputDuringAgentSpeech`. When a caller interrupts a reply that is still
    streaming with a few words ("stop it"), Twilio stops the reply and may never report the words. A redirect stage
    asks for them. Told once for a flow."""
    for widget in _relays(subject):
        if _speech_interrupts(widget) and not any(_plain(key) == _REPORT for key in widget.properties):
            words = (
                "Studio's widget cannot ask for reportInputDuringAgentSpeech. When a caller interrupts a streaming "
                'reply with a few words ("stop it"), the reply stops, but the words may never reach the server.'
            )
            hint = (
                "The server then waits 2 seconds and asks the caller to say it again. To get every word, use a "
                "redirect stage: studio-relay flow configure --shape redirect."
            )
            yield at(widget, "", words, hint=hint)
            return


_REPORT = "reportinputduringagentspeech"


def _speech_interrupts(widget: Widget) -> bool:
    """What is left out or made of Liquid may be anything, and Twilio's default is that all input interrupts."""
    return widget.text("interruptible").strip().lower() not in ("none", "false", "dtmf")


def _plain(key: str) -> str:
    """A property's name however it is spelled."""
    return key.replace("_", "").lower()
