"""`scripted` answers from a list of rules: for demonstrations, for tests of flows, and without any model.

The rules come from the YAML or JSON file that `STUDIO_RELAY_SCRIPTED_FILE` names; without one it is a small
front desk. It understands no language: a rule applies when the caller's words hold one of its phrases.

    greeting: Hello. How can I help you?
    rules:
      - when: [opening hours, "/when .* open/"]      # a phrase, or a regular expression between slashes
        say: From nine to five.
      - when: person
        key: "0"
        say: On which number can we reach you?
        then:                                        # tried first for what the caller says next
          - when: '/\\d/'
            say: One moment, please.
            handoff: {reasonCode: person, summary: "{said}", callbackNumber: "{digits}"}
    otherwise: I am sorry, I did not get that.

A call whose custom parameter `greeted` is `true` gets no greeting: the flow has greeted it, or it was cut off before.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from studio_relay import Call, Dtmf, HandoffError, Prompt, SettingsError, hookimpl
from studio_relay.handoff import as_handoff

PREFIX = "STUDIO_RELAY_SCRIPTED_"
MAX_FILE_BYTES = 1_000_000
_STATE = "scripted"  # the positions of the rules whose `then` comes first, kept over a lost connection

Flat = str | int | float | bool


class ScriptedSettings(BaseSettings):
    """Environment variables `STUDIO_RELAY_SCRIPTED_*`, or the same names in `.env`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    file: Path | None = Field(default=None, description="YAML or JSON file of rules; a small front desk without it.")


def _phrases(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class Rule(BaseModel):
    """One thing that can be said or pressed, and what follows. `{said}` and `{digits}` stand for the caller's words."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    when: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_phrases)] = ()
    key: str | None = Field(default=None, pattern=r"^[0-9*#]$")
    say: str = ""
    handoff: dict[str, Flat] | None = None
    then: tuple[Rule, ...] = ()

    @field_validator("when")
    @classmethod
    def _compile(cls, phrases: tuple[str, ...]) -> tuple[str, ...]:
        for phrase in phrases:
            try:
                _pattern(phrase)
            except re.error as error:
                raise ValueError(f"{phrase} is no regular expression: {error}") from None
        return phrases

    @field_validator("handoff")
    @classmethod
    def _fits(cls, handoff: dict[str, Flat] | None) -> dict[str, Flat] | None:
        try:
            if handoff is not None:
                as_handoff(handoff).to_wire()
        except HandoffError as error:
            raise ValueError(str(error)) from None
        return handoff

    def answers(self, said: str) -> bool:
        """Whether it is about what the caller said."""
        return any(_pattern(phrase).search(said) for phrase in self.when)


class Rules(BaseModel):
    """All of a conversation; of the rules that apply the first one counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    greeting: str = ""
    rules: tuple[Rule, ...] = Field(min_length=1)
    otherwise: str = "I am sorry, I did not get that."


FRONT_DESK: dict[str, Any] = {
    "greeting": "Hello, this is Example Company. How can I help you?",
    "rules": [
        {
            "when": ["person", "human", "operator", "someone", "representative"],
            "key": "0",
            "say": "One moment, I will put you through to a person.",
            "handoff": {"reasonCode": "person", "summary": "The caller asked for a person: {said}"},
        },
        {
            "when": ["call me back", "call back", "callback"],
            "say": "Which number shall we call? Say it digit by digit.",
            "then": [
                {
                    "when": r"/(\d\D*){7,}/",
                    "say": "Thank you. We will call you back.",
                    "handoff": {
                        "reasonCode": "callback",
                        "summary": "The caller wants to be called back.",
                        "callbackNumber": "{digits}",
                    },
                }
            ],
        },
        {
            "when": ["hours", "open", "close"],
            "say": "We are open from nine to five, Monday to Friday. Is there anything else?",
        },
        {
            "when": ["price", "prices", "cost", "costs", "how much"],
            "say": "A visit costs twenty dollars, and the first one is free. Is there anything else?",
        },
        {
            "when": ["address", "where", "directions"],
            "say": "You find us at one Example Street, on the ground floor. Is there anything else?",
        },
        {
            "when": ["goodbye", "bye", "that is all", "no thank you", "nothing"],
            "say": "Thank you for calling Example Company. Goodbye!",
            "handoff": {"reasonCode": "done", "summary": "The caller said goodbye."},
        },
    ],
    "otherwise": "I am sorry, I did not get that. You can ask about our opening hours, our address or our prices.",
}
"""What it says without a file: the conversation of `studio-relay demo`."""


class ScriptedAgent:
    """One instance answers all calls. Without `rules` it reads its file at start-up."""

    def __init__(self, rules: Rules | None = None) -> None:
        self._rules = rules

    @hookimpl
    def on_startup(self) -> None:
        """Read the rules: what is wrong with them stops the start, not a call."""
        self._loaded()

    @hookimpl
    async def on_setup(self, call: Call) -> AsyncIterator[str]:
        """Greet, unless the flow has; after a lost connection go on without."""
        if call.session_number == 1 and call.parameters.get("greeted", "").lower() != "true":
            for word in _words(self._loaded().greeting):
                yield word

    @hookimpl
    async def on_prompt(self, call: Call, prompt: Prompt) -> AsyncIterator[str]:
        """Answer what was said by the first rule that applies."""
        said = prompt.voice_prompt
        where = self._find(call, lambda rule: rule.answers(said))
        async for word in self._act(call, where, said):
            yield word
        if where is None:
            for word in _words(self._loaded().otherwise):
                yield word

    @hookimpl
    async def on_dtmf(self, call: Call, dtmf: Dtmf) -> AsyncIterator[str]:
        """Answer a key, where a rule has it."""
        where = self._find(call, lambda rule: rule.key == dtmf.digit)
        async for word in self._act(call, where, dtmf.digit):
            yield word

    def _loaded(self) -> Rules:
        if self._rules is None:
            self._rules = load_rules(ScriptedSettings().file)
        return self._rules

    def _find(self, call: Call, applies: Callable[[Rule], bool]) -> list[int] | None:
        """The position of the rule that applies: among the follow-ups of the last one, else among all."""
        last: list[int] = call.state.get(_STATE) or []
        for place in ([last] if last else []) + [[]]:
            for index, rule in enumerate(self._rules_at(place)):
                if applies(rule):
                    return [*place, index]
        return None

    def _rules_at(self, place: Sequence[int]) -> Sequence[Rule]:
        rules: Sequence[Rule] = self._loaded().rules
        for index in place:
            if index >= len(rules):
                return ()  # the file was changed while the call was away
            rules = rules[index].then
        return rules

    async def _act(self, call: Call, where: list[int] | None, said: str) -> AsyncIterator[str]:
        if where is None:
            return
        rule = self._rules_at(where[:-1])[where[-1]]
        call.state[_STATE] = where if rule.then else []
        for word in _words(_filled(rule.say, said)):
            yield word
        if rule.handoff is not None:
            await call.end(
                {
                    name: _filled(value, said) if isinstance(value, str) else value
                    for name, value in rule.handoff.items()
                }
            )


def load_rules(path: Path | None) -> Rules:
    """The rules of a file, or the built-in front desk. Raises SettingsError naming file and place."""
    if path is None:
        return Rules.model_validate(FRONT_DESK)
    where = f"{PREFIX}FILE: {path}"
    try:
        return Rules.model_validate(_read(path, where))
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        shown = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
        raise SettingsError(f"{where}: {shown}. Expected greeting, rules and otherwise") from None


def _read(path: Path, where: str) -> Any:
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{where}: expected a readable YAML or JSON file") from None
    if len(text) > MAX_FILE_BYTES:
        raise SettingsError(f"{where}: expected at most {MAX_FILE_BYTES:,} bytes, found {len(text):,}")
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise SettingsError(f"{where}: not YAML: {' '.join(str(error).split())}") from None


def _pattern(phrase: str) -> re.Pattern[str]:
    """`re` keeps what it has compiled."""
    if len(phrase) > 2 and phrase.startswith("/") and phrase.endswith("/"):
        return re.compile(phrase[1:-1], re.IGNORECASE)
    words = r"\s+".join(re.escape(word) for word in phrase.split())
    return re.compile(rf"(?<!\w){words}(?!\w)", re.IGNORECASE)


def _filled(text: str, said: str) -> str:
    return text.replace("{said}", said).replace("{digits}", "".join(re.findall(r"\d", said)))


def _words(text: str) -> Iterator[str]:
    """Words with the white space behind them: speech begins with the first."""
    yield from re.findall(r"\S+\s*", text)
