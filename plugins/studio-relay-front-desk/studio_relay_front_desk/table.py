"""What the front desk knows: its settings and its table of answers; matches words, speaks none."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from studio_relay import SettingsError

PREFIX = "STUDIO_RELAY_FRONT_DESK_"


class FrontDeskSettings(BaseSettings):
    """Environment variables `STUDIO_RELAY_FRONT_DESK_*`, or the same names in `.env`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    company: str = Field(default="Example Company", description="The name it answers the phone with.")
    table: Path | None = Field(default=None, description="TOML file of answers; a table of placeholders without it.")
    country_code: str = Field(
        default="1", pattern=r"^[1-9]\d{0,2}$", description="Calling code of numbers that are given without one."
    )
    silence_seconds: float = Field(
        default=8, gt=0, le=120, description="Silence after which the caller is asked whether they are still there."
    )


class Answer(BaseModel):
    """One row of the table: what it is about, the words that ask for it, and what is said."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: str = Field(min_length=1)
    words: tuple[str, ...] = Field(min_length=1)
    says: str = Field(min_length=1)

    def matches(self, text: str) -> int:
        """How many of its words stand in `text`."""
        return sum(bool(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE)) for word in self.words)


class Table(BaseModel):
    """All the answers; the first of those that match best wins."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    answers: tuple[Answer, ...] = Field(min_length=1)

    def find(self, text: str) -> Answer | None:
        """The row that `text` asks for, if any."""
        best = max(self.answers, key=lambda answer: answer.matches(text))
        return best if best.matches(text) else None

    @property
    def topics(self) -> str:
        """The topics as one would say them: `a, b or c`."""
        names = [answer.topic for answer in self.answers]
        return " or ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


PLACEHOLDERS = Table(
    answers=(
        Answer(
            topic="our opening hours",
            words=("open", "opening", "hours", "close", "closed", "closing"),
            says="We are open from nine to five, Monday to Friday.",
        ),
        Answer(
            topic="our address",
            words=("address", "located", "location", "find you", "where are you", "directions"),
            says="You find us at one Example Street, on the ground floor.",
        ),
        Answer(
            topic="our prices",
            words=("price", "prices", "cost", "costs", "how much", "charge", "fee"),
            says="A visit costs twenty dollars, and the first one is free.",
        ),
    )
)


def load_settings() -> FrontDeskSettings:
    """The settings of the environment. Raises SettingsError naming the variable."""
    try:
        return FrontDeskSettings()
    except ValidationError as error:
        raise SettingsError("\n".join(f"{PREFIX}{place.upper()}: {what}" for place, what in _faults(error))) from None


def load_table(path: Path | None) -> Table:
    """The table of a TOML file, or the placeholders. Raises SettingsError naming file and place."""
    if path is None:
        return PLACEHOLDERS
    variable = f"{PREFIX}TABLE: {path}"
    try:
        return Table.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{variable}: expected a readable TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{variable}: not TOML: {error}") from None
    except ValidationError as error:
        faults = "; ".join(f"{place}: {what}" for place, what in _faults(error))
        raise SettingsError(f"{variable}: {faults}. Expected [[answers]] with topic, words and says") from None


def _faults(error: ValidationError) -> list[tuple[str, str]]:
    """Where and what, without what was found: a setting may be private."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return [(".".join(str(part) for part in fault["loc"]), fault["msg"]) for fault in faults]
