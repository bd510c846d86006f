"""Our TwiML put together from layers, and checked; written as XML in `twiml.py`, and no request is answered here.

Later layers win: what the server knows (its URLs), its defaults, the environment, the agent's `relay`, explicit
arguments. Every value keeps the layer it comes from. The rules are those of the protocol reference, 4.7.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from studio_relay.errors import TwimlError, without_passwords
from studio_relay.plugins import Plugin
from studio_relay.server import attributes as table
from studio_relay.server.attributes import Attribute, Refusal
from studio_relay.server.rules import Finding, check, model_provider, voice_provider
from studio_relay.server.twiml import Child, RelayTwiml, Value
from studio_relay.ticket import TICKET

DEFAULTS: Mapping[str, str] = {
    "language": "en-US",
    "interruptible": "any",
    "welcome_greeting_interruptible": "any",
    "dtmf_detection": "true",
    "events": "speaker-events tokens-played",
}
"""What is emitted unless a layer says otherwise: what full mode needs, and what Twilio has changed before.

The providers too, as Twilio's defaults (of the recogniser there are two, by the age of the account), or as a voice
or model that was asked for needs them. And `report_input_during_agent_speech`, equal to `interruptible`: with less, the
words that interrupt a reply that is still streaming may never be reported; with more, a murmur over a disclosure that
nothing may interrupt would be a new prompt, and end it.
"""

DEFAULT = "default"
"""The layer of what nobody wrote."""

COLLECTIONS = ("languages", "parameters", "children", "extra")
"""What a layer may hold beside attributes: lists and mappings, or their JSON text."""

_NAME = re.compile("[A-Za-z][A-Za-z0-9:_-]*")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Values by Python name, and whose they are.

    `place` says where one is written, with `{name}` or `{NAME}` for the attribute.
    """

    name: str
    values: Mapping[str, Any]
    place: str = "{name}"

    def where(self, name: str) -> str:
        """Where this layer's value of an attribute is written, for somebody who has to change it."""
        return self.place.format(name=name, NAME=name.upper())

    def only(self, *names: str) -> Layer:
        """The same without any other value; `names` are Python names."""
        return replace(self, values={name: value for name, value in self.values.items() if _python(name) in names})


def server_layer(base: str, agent: str | None, query: str = "") -> Layer:
    """The URLs of a server known as `base` (`https://host[/prefix]`), for the agent that the path names, if one."""
    path = f"/{quote(agent, safe='')}" if agent else ""
    action = f"{base}/connect-action{path}" + (f"?{query}" if query else "")
    return Layer(
        name="server",
        values={"url": f"wss://{base.partition('://')[2]}/relay{path}", "action": action, "method": "POST"},
    )


def layers(environment: Mapping[str, Any], agent: Plugin, arguments: Mapping[str, Any] | None = None) -> list[Layer]:
    """The three layers that people write, the weakest first."""
    return [
        Layer(name="environment", values=environment, place="STUDIO_RELAY_TWIML__{NAME}"),
        Layer(name=f"agent {agent.name}", values=agent.relay, place=f"agent {agent.name}: relay[{{name!r}}]"),
        Layer(name="argument", values=arguments or {}),
    ]


def resolve(*written: Layer) -> RelayTwiml:
    """Layers put together, later ones over earlier ones, with the defaults below them.

    Raises TwimlError, with a line for each problem, for what Twilio would refuse.
    """
    reading = _Reading()
    for layer in written:
        reading.add(layer)
    return reading.result()


class _Reading:
    """What has been read of the layers so far, and what is wrong with it."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.left_out: set[str] = set()
        self.places: dict[str, str] = {}
        self.languages: list[dict[str, str]] = []
        self.parameters: dict[str, Value] = {}
        self.children: list[Child] = []
        self.extra: dict[str, Value] = {}
        self.problems: list[str] = []
        self.warnings: list[str] = []

    def add(self, layer: Layer) -> None:
        seen: dict[str, str] = {}
        for name, value in layer.values.items():
            if name in COLLECTIONS:
                self._add_collection(layer, name, value)
                continue
            attribute = table.find(table.RELAY, name) or table.find(table.CONNECT, name)
            if attribute is None:
                known = (*table.CONNECT, *COLLECTIONS)
                advice = table.unknown_name(table.RELAY, name, *known)
                self.problems.append(f"{layer.where(name)}: rule 8: no such attribute; {advice}")
            elif attribute.name in seen:
                twice = f"also written {seen[attribute.name]}; keep one"
                self.problems.append(f"{layer.where(name)}: rule 8: {twice}")
            else:
                seen[attribute.name] = name
                self._add_value(layer, name, attribute, value)

    def result(self) -> RelayTwiml:
        for name, value in self._defaults():
            if name not in self.values and name not in self.left_out:
                self.values[name] = value
        texts = {name: value.text for name, value in self.values.items()}
        self._judge(check(texts), lambda name: self.places.get(name, name))
        self._judge_languages(texts)
        if self.problems:
            raise TwimlError("\n".join(self.problems))
        return RelayTwiml(
            values=self.values,
            languages=self.languages,
            parameters=self.parameters,
            children=self.children,
            extra=self.extra,
            warnings=self.warnings,
        )

    def _judge_languages(self, parent: Mapping[str, str]) -> None:
        inherited: dict[str, str] = {}
        inherited |= {name: parent[name] for name in ("tts_provider", "transcription_provider") if name in parent}
        for number, language in enumerate(self.languages):
            place = f"{self.places['languages']}[{number}]."
            self._judge(check(inherited | language, language=True), place.__add__)

    def _defaults(self) -> Iterator[tuple[str, Value]]:
        """Not a greeting's attributes without a greeting, and the providers that fit what was asked for."""
        for name, text in DEFAULTS.items():
            if name != "welcome_greeting_interruptible" or "welcome_greeting" in self.values:
                yield name, Value(text=text, layer=DEFAULT)
        interruptible = self.values.get("interruptible")
        reported = DEFAULTS["interruptible"] if interruptible is None else interruptible.text
        yield "report_input_during_agent_speech", Value(text=reported, layer=f"{DEFAULT}, as interruptible")
        voice, model = self.values.get("voice"), self.values.get("speech_model")
        speaker = voice_provider(voice.text) if voice else "ElevenLabs"
        if speaker is not None:
            yield "tts_provider", Value(text=speaker, layer=f"{DEFAULT}, for this voice" if voice else DEFAULT)
        owner = model_provider(model.text) if model else None
        yield (
            "transcription_provider",
            Value(text=owner or "Deepgram", layer=f"{DEFAULT}, for this model" if owner else DEFAULT),
        )

    def _add_value(self, layer: Layer, name: str, attribute: Attribute, value: Any) -> None:
        self.left_out.discard(attribute.name)
        if value is None:
            self.left_out.add(attribute.name)
            self.values.pop(attribute.name, None)
            return
        text = self._read(layer.where(name), attribute, value)
        if text is not None:
            self.values[attribute.name] = Value(text=text, layer=layer.name)
            self.places[attribute.name] = layer.where(name)
            if attribute.name == "action" and layer.name != "server":
                self.warnings.append(
                    f"{layer.where(name)}: the end of a session does not come to this server, so no lost one is resumed"
                )

    def _read(self, place: str, attribute: Attribute, value: Any) -> str | None:
        try:
            return attribute.kind.read(value)
        except Refusal as refusal:
            self.problems.append(
                f"{place}: rule {refusal.rule}: expected {refusal}, found {_shown(value)}; "
                f"for example {attribute.name}={attribute.kind.example}"
            )
            return None

    def _judge(self, findings: Iterator[Finding], where: Callable[[str], str]) -> None:
        for finding in findings:
            kept = self.problems if finding.severity == "refuse" else self.warnings
            kept.append(f"{where(finding.name)}: rule {finding.rule}: {finding.message}")

    # ------------------------------------------------------------------------------ lists and mappings

    def _add_collection(self, layer: Layer, name: str, value: Any) -> None:
        place = self.places[name] = layer.where(name)
        try:
            found = json.loads(value) if isinstance(value, str) else value
        except ValueError as error:
            self.problems.append(f"{place}: rule 2: expected JSON, found what is none: {error}")
            return
        if name in ("languages", "children"):
            if isinstance(found, list | tuple):
                {"languages": self._add_languages, "children": self._add_children}[name](place, found)
            else:
                self._wrong(place, "a list", found, _EXAMPLES[name])
        elif isinstance(found, Mapping):
            {"parameters": self._add_parameters, "extra": self._add_extra}[name](layer, place, found)
        else:
            self._wrong(place, "names and values", found, _EXAMPLES[name])

    def _add_languages(self, place: str, found: Sequence[Any]) -> None:
        self.languages = []
        for number, one in enumerate(found):
            where = f"{place}[{number}]"
            if not isinstance(one, Mapping) or "code" not in one:
                self._wrong(where, "attributes of <Language> with a code", one, _EXAMPLES["languages"])
                continue
            language = self._read_language(where, one)
            if language.get("code", "").lower() in [other["code"].lower() for other in self.languages]:
                self.problems.append(
                    f"{where}.code: rule 9: {language['code']} stands twice; keep one <Language> of it"
                )
            if "code" in language:
                self.languages.append(language)

    def _read_language(self, place: str, one: Mapping[str, Any]) -> dict[str, str]:
        language: dict[str, str] = {}
        for name, value in one.items():
            attribute = table.find(table.LANGUAGE, name)
            if attribute is None:
                advice = table.unknown_name(table.LANGUAGE, name)
                self.problems.append(f"{place}.{name}: rule 8: <Language> has no such attribute; {advice}")
            elif value is not None and (text := self._read(f"{place}.{name}", attribute, value)) is not None:
                language[attribute.name] = text
        return language

    def _add_children(self, place: str, found: Sequence[Any]) -> None:
        self.children = []
        for number, one in enumerate(found):
            is_pair = isinstance(one, list | tuple) and len(one) == 2 and isinstance(one[1], Mapping)
            if not is_pair or not _NAME.fullmatch(str(one[0])):
                self._wrong(f"{place}[{number}]", "an element's name and its attributes", one, _EXAMPLES["children"])
                continue
            attributes = self._named_texts(f"{place}[{number}]", one[1])
            self.children.append(Child(name=str(one[0]), attributes=attributes))
            self.warnings.append(f"{place}[{number}]: <{one[0]}> is emitted as it is; nothing of it is checked")

    def _add_parameters(self, layer: Layer, place: str, found: Mapping[str, Any]) -> None:
        for name, value in found.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            if name == TICKET:
                self.warnings.append(f"{place}[{name!r}]: left out: that custom parameter is the server's own")
            elif not str(name).strip() or table.without_control_characters(f"{name}{text}") != f"{name}{text}":
                self._wrong(f"{place}[{name!r}]", "a name, and text without control characters", value, "tier=gold")
            else:
                self.parameters[str(name)] = Value(text=text, layer=layer.name)

    def _add_extra(self, layer: Layer, place: str, found: Mapping[str, Any]) -> None:
        for name, text in self._named_texts(place, found).items():
            self.extra[name] = Value(text=text, layer=layer.name)
            self.warnings.append(f"{place}[{name!r}]: emitted as it is; nothing of it is checked")

    def _named_texts(self, place: str, found: Mapping[str, Any]) -> dict[str, str]:
        kind = Attribute(name="", xml="", kind=table.Text())
        texts: dict[str, str] = {}
        for name, value in found.items():
            if not _NAME.fullmatch(str(name)):
                self._wrong(f"{place}[{name!r}]", "an attribute's name in XML", name, "newAttribute")
            elif (text := self._read(f"{place}[{name!r}]", kind, _plain(value))) is not None:
                texts[str(name)] = text
        return texts

    def _wrong(self, place: str, expected: str, found: Any, example: str) -> None:
        self.problems.append(f"{place}: rule 2: expected {expected}, found {_shown(found)}; for example {example}")


_EXAMPLES = {
    "languages": '[{"code": "es-ES", "voice": "6xftrpatV0jGmFHxDjUv"}]',
    "children": '[["Failover", {"name": "value"}]]',
    "parameters": '{"tier": "gold"}',
    "extra": '{"newAttribute": "value"}',
}


def _plain(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _shown(value: Any) -> str:
    """What was found, bounded, without a password that a URL may hold."""
    return without_passwords(ascii(value))[:80]


def _python(name: str) -> str:
    """The Python name of an attribute of `<ConversationRelay>` in either spelling; other names as they are."""
    found = table.find(table.RELAY, name)
    return found.name if found else name
