"""Our `<Connect><ConversationRelay>` as a value, and as XML; what goes into it is decided in `layers.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from studio_relay.server import attributes as table
from studio_relay.server.attributes import Attribute


@dataclass(frozen=True, kw_only=True)
class Value:
    """A value as it is emitted, and the layer it comes from."""

    text: str
    layer: str


@dataclass(frozen=True, kw_only=True)
class Child:
    """A child element of which nothing is verified, such as `<Failover>`: emitted as it is."""

    name: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class RelayTwiml:
    """One checked `<Connect><ConversationRelay>`. `warnings` holds what is probably not meant so, a line each."""

    values: Mapping[str, Value]
    languages: Sequence[Mapping[str, str]] = ()
    parameters: Mapping[str, Value] = field(default_factory=dict)
    children: Sequence[Child] = ()
    extra: Mapping[str, Value] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    def text(self, name: str) -> str | None:
        """The value of an attribute, None if it is left out."""
        found = self.values.get(name)
        return found.text if found else None

    def without(self, *names: str) -> RelayTwiml:
        """The same with these attributes left out, also where one stands in `extra`."""
        gone = {table.RELAY[name].xml.lower() for name in names}
        return replace(
            self,
            values={name: value for name, value in self.values.items() if name not in names},
            extra={xml: value for xml, value in self.extra.items() if xml.lower() not in gone},
        )

    def with_parameter(self, name: str, text: str, *, layer: str) -> RelayTwiml:
        """The same with one custom parameter more, in place of one of that name."""
        return replace(self, parameters={**self.parameters, name: Value(text=text, layer=layer)})

    def minimal(self) -> RelayTwiml:
        """URL, language, greeting and parameters alone: what is left when Twilio has refused one value of many."""
        kept = ("url", "action", "method", "language", "welcome_greeting")
        values = {name: value for name, value in self.values.items() if name in kept}
        return RelayTwiml(values=values, parameters=self.parameters)

    def with_other_recogniser(self, provider: str) -> RelayTwiml:
        """The same, understood by `provider`; the speech models, which were the other one's, are left out."""
        other = Value(text=provider, layer="recovery")
        values = {**self.without("speech_model").values, "transcription_provider": other}
        gone = ("speech_model", "transcription_provider")
        languages = [{name: text for name, text in one.items() if name not in gone} for one in self.languages]
        return replace(self, values=values, languages=languages)

    def to_xml(self) -> str:
        """The TwiML document."""
        from twilio.twiml.voice_response import Connect, ConversationRelay, VoiceResponse

        relay = ConversationRelay(**self._of(table.RELAY))
        relay.attrs.update({name: value.text for name, value in self.extra.items()})
        for language in self.languages:
            relay.language(**{table.LANGUAGE[name].xml: text for name, text in language.items()})
        for name, value in self.parameters.items():
            relay.parameter(name=name, value=value.text)
        for child in self.children:
            relay.add_child(child.name).attrs.update(child.attributes)
        connect = Connect(**self._of(table.CONNECT))
        connect.append(relay)
        response = VoiceResponse()
        response.append(connect)
        return str(response)

    def _of(self, attributes: Mapping[str, Attribute]) -> dict[str, str]:
        unknown = {name.lower() for name in self.extra}
        mine = {attributes[name].xml: value.text for name, value in self.values.items() if name in attributes}
        return {xml: text for xml, text in mine.items() if xml.lower() not in unknown}
