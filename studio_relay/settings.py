"""Every setting of the server: name, default, range, unit and meaning; read from the environment and `.env`.

Nothing here acts on a setting, and no secret appears in a message or a repr.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from studio_relay.errors import SettingsError, without_passwords

PREFIX = "STUDIO_RELAY_"

_REPLACED = [
    (
        "STUDIO_RELAY_DRAIN_TIMEOUT_SECONDS",
        "STUDIO_RELAY_SHUTDOWN_SECONDS",
        "the seconds from a stop signal to the exit, 25 by default",
    )
]
_TWILIO_NAMES = {
    "account_sid": "TWILIO_ACCOUNT_SID",
    "auth_token": "TWILIO_AUTH_TOKEN",
    "api_key": "TWILIO_API_KEY",
    "api_secret": "TWILIO_API_SECRET",
}
_MAPS = {
    "twiml": f"{PREFIX}TWIML",
    "apologies": f"{PREFIX}APOLOGY",
    "say_agains": f"{PREFIX}SAY_AGAIN",
    "start_agains": f"{PREFIX}START_AGAIN",
}

APOLOGIES: Mapping[str, str] = MappingProxyType(
    {
        "en": "I'm sorry, something went wrong on our side. Please hold on.",
        "es": "Lo siento, algo ha fallado por nuestra parte. Un momento, por favor.",
        "fr": "Je suis désolé, nous avons un problème technique. Un instant, s'il vous plaît.",
        "de": "Entschuldigung, bei uns ist etwas schiefgegangen. Einen Moment, bitte.",
        "pt": "Desculpe, algo deu errado do nosso lado. Um momento, por favor.",
        "it": "Mi dispiace, qualcosa è andato storto. Un momento, per favore.",
    }
)
"""What a caller hears when an agent fails, by primary language subtag, unless a setting says otherwise."""

SAY_AGAINS: Mapping[str, str] = MappingProxyType(
    {
        "en": "Sorry, I didn't catch that. Could you say it again, please?",
        "es": "Perdone, no le he entendido. ¿Puede repetirlo, por favor?",
        "fr": "Excusez-moi, je n'ai pas compris. Pouvez-vous répéter, s'il vous plaît ?",
        "de": "Entschuldigung, das habe ich nicht verstanden. Können Sie das bitte wiederholen?",
        "pt": "Desculpe, não entendi. Pode repetir, por favor?",
        "it": "Mi scusi, non ho capito. Può ripetere, per favore?",
    }
)
"""What asks callers to repeat words that interrupted the agent and never arrived, by primary language subtag."""

START_AGAINS: Mapping[str, str] = MappingProxyType(
    {
        "en": "I'm sorry, we were cut off. Please tell me again what you need.",
        "es": "Lo siento, se ha cortado. Por favor, dígame otra vez qué necesita.",
        "fr": "Je suis désolé, nous avons été coupés. Redites-moi ce qu'il vous faut, s'il vous plaît.",
        "de": "Entschuldigung, wir wurden unterbrochen. Bitte sagen Sie mir noch einmal, worum es geht.",
        "pt": "Desculpe, a ligação caiu. Por favor, diga-me outra vez do que precisa.",
        "it": "Mi dispiace, è caduta la linea. Mi dica di nuovo di cosa ha bisogno, per favore.",
    }
)
"""What a caller hears who is connected again after a loss, and of whom nothing is known any more."""

FAREWELLS: Mapping[str, str] = MappingProxyType(
    {
        "en": "I'm sorry, something went wrong on our side. Please call again later.",
        "es": "Lo siento, algo ha fallado por nuestra parte. Por favor, llame más tarde.",
        "fr": "Je suis désolé, nous avons un problème technique. Veuillez rappeler plus tard.",
        "de": "Entschuldigung, bei uns ist etwas schiefgegangen. Bitte rufen Sie später noch einmal an.",
        "pt": "Desculpe, algo deu errado do nosso lado. Por favor, ligue mais tarde.",
        "it": "Mi dispiace, qualcosa è andato storto. La preghiamo di richiamare più tardi.",
    }
)
"""The same where nobody is left to go on with the call."""


# --- kinds of values --------------------------------------------------------------------------------------


def _comma_list(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _network(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        network = ip_network(value)
    except ValueError:
        raise ValueError(f"networks such as 10.0.0.0/8{_nearest_network(value)}") from None
    if network.prefixlen == 0:
        raise ValueError("the networks of your own proxies; /0 would trust the whole Internet")
    return network


def _nearest_network(value: str) -> str:
    try:
        return f"; did you mean {ip_network(value, strict=False)}?"
    except ValueError:
        return ""


_PUBLIC_URL = re.compile(
    r"https://([A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:.]+\])(:([0-9]{1,5}))?(/[A-Za-z0-9._~!$&'()*+,;=:%/-]*)?"
)


def _public_url(value: str) -> str:
    found = _PUBLIC_URL.fullmatch(value)
    if not found or not 0 < int(found[4] or 443) < 65_536:
        raise ValueError("https://host[/prefix] with no user, query or fragment")
    return value.rstrip("/")


def _https_url(value: str) -> str:
    if not re.fullmatch(r"https://[^\s/@]+(/\S*)?", value):
        raise ValueError("an absolute https:// URL")
    return value


def _sid(prefix: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(prefix + "[0-9a-fA-F]{32}", value):
            raise ValueError(f"{prefix} and 32 hexadecimal digits")
        return value

    return AfterValidator(check)


def _key_pairs(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    pairs = [pair.partition("=") for pair in _comma_list(value)]
    if not all(key and secret for key, _, secret in pairs):
        raise ValueError("pairs ID=SECRET with commas between them")
    return {key.strip(): secret.strip() for key, _, secret in pairs}


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _token(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-+\--~]{16,}", value.get_secret_value()):
        raise ValueError("at least 16 printable characters without spaces and commas")
    return value


def _tag(name: str) -> str:
    return name.strip().lower().replace("_", "-")


def _by_language(value: Any) -> Any:
    return {_tag(tag): text for tag, text in value.items()} if isinstance(value, Mapping) else value


Secret = Annotated[SecretStr, BeforeValidator(_stripped)]
Networks = Annotated[
    tuple[Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)], ...], BeforeValidator(_comma_list)
]


# --- the settings -----------------------------------------------------------------------------------------


class Limits(BaseModel):
    """What one call, and the server as a whole, may use up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_frame_bytes: int = Field(
        65_536, ge=1_024, le=262_144, description="Largest frame accepted, in bytes; a larger one is refused."
    )
    max_frames_per_second: int = Field(
        100, ge=1, le=100_000, description="Frames a second a socket may send in the long run; past it, close 1008."
    )
    max_frames_burst: int = Field(
        1_000, ge=1, le=1_000_000, description="Frames a socket may send at once; a reconnect replays 500."
    )
    inbound_queue: int = Field(64, ge=1, le=65_536, description="Frames that wait to be read; then reading stops.")
    outbound_queue: int = Field(256, ge=1, le=65_536, description="Frames that wait to be sent; then agents wait.")
    send_timeout_seconds: float = Field(
        10, gt=0, le=600, description="Seconds a full queue may stand still before the socket is dropped."
    )
    setup_timeout_seconds: float = Field(
        10, gt=0, le=600, description="Seconds from accept to `setup`; then close 1008."
    )
    close_timeout_seconds: float = Field(5, gt=0, le=60, description="Seconds Twilio has to close after `end`.")
    max_calls: int = Field(1_000, ge=1, le=1_000_000, description="Calls at a time; further ones get 503.")
    max_turns: int = Field(500, ge=1, le=1_000_000, description="Turns of a call; then it ends with `relay-limit`.")
    call_max_seconds: float = Field(
        14_400, gt=0, le=86_400, description="Seconds a call may last; then it ends with `relay-limit`."
    )
    hook_timeout_seconds: float = Field(
        10, gt=0, le=600, description="Seconds to the first piece of a reply, and between two pieces."
    )
    reply_max_seconds: float = Field(120, gt=0, le=3_600, description="Seconds a whole reply may take.")
    on_end_timeout_seconds: float = Field(5, gt=0, le=600, description="Seconds `on_end` may take.")
    end_wait_max_seconds: float = Field(
        60, ge=0, le=600, description="Seconds `end` waits at most for the last words to be played."
    )
    max_handoff_bytes: int = Field(
        4_096, ge=64, le=65_536, description="Largest handoff, in UTF-8 bytes; its summary is shortened to fit."
    )
    max_state_bytes: int = Field(
        65_536,
        ge=256,
        le=1_048_576,
        description="Largest `call.state`, in UTF-8 bytes of JSON; past it the last state that fitted is kept.",
    )
    max_token_bytes: int = Field(
        4_096, ge=16, le=65_536, description="Largest text in one frame, in UTF-8 bytes; longer text is split."
    )
    max_reconnects: int = Field(2, ge=0, le=100, description="Reconnects of one call; then apology and hang-up.")
    shutdown_seconds: float = Field(
        25,
        ge=1,
        le=86_400,
        description="Seconds from a stop signal to the exit. Each call is handed on at its first pause, at the latest "
        "8 s before that. Keep it below the time your platform waits until it kills.",
    )


class PluginSettings(Limits):
    """The settings a plugin may see: all that hold no secret."""

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(
        8080, ge=0, le=65_535, description="Port to listen on; 0 takes a free one. Where it is not set, `PORT` counts."
    )
    public_url: Annotated[str, AfterValidator(_public_url)] | None = Field(
        None,
        description="Where Twilio reaches this server, `https://host[/prefix]`; needed unless HOST is loopback.",
        examples=["https://relay.example.com"],
    )
    trusted_proxies: Networks = Field(
        (), description="Networks of proxies whose X-Forwarded-* headers are believed.", examples=["10.0.0.0/8,::1/128"]
    )
    insecure: bool = Field(False, description="Serve unsigned requests from this very machine; for tests.")
    require_ticket: bool = Field(
        False, description="Refuse sessions without the one-time ticket of our own TwiML; not for Studio's widget."
    )
    agent: str | None = Field(None, description="The agent that answers, by entry-point name.", examples=["echo"])
    agent_from_parameters: bool = Field(False, description="Let the custom parameter `agent` choose the agent.")
    record_dir: Path | None = Field(
        None, description="Folder for recordings, one file a call; none are made without it.", examples=["recordings"]
    )
    record_full: bool = Field(False, description="Record numbers, names and digits as they are, not masked.")
    after_end_url: Annotated[str, AfterValidator(_https_url)] | None = Field(
        None,
        description="TwiML URL a call goes on with when the agent has ended its session.",
        examples=["https://example.com/after"],
    )
    twiml: dict[str, str] = Field(
        {},
        description="Any TwiML attribute of ConversationRelay, as `TWIML__VOICE`.",
        examples=["en-US-Journey-O"],
    )
    apology: str | None = Field(
        None, description="What is said when an agent fails, in any language without an own `APOLOGY__XX`."
    )
    apologies: Annotated[dict[str, str], BeforeValidator(_by_language)] = Field(
        {}, description="The same for one language, as `APOLOGY__ES`.", examples=["Un momento, por favor."]
    )
    say_again: str | None = Field(
        None,
        description="What asks callers to repeat words that Twilio did not report, in any language without its own "
        "`SAY_AGAIN__XX`.",
    )
    say_agains: Annotated[dict[str, str], BeforeValidator(_by_language)] = Field(
        {}, description="The same for one language, as `SAY_AGAIN__ES`.", examples=["¿Puede repetirlo, por favor?"]
    )
    start_again: str | None = Field(
        None,
        description="What callers hear after a reconnect that finds no memory of the call, in any language without its "
        "own `START_AGAIN__XX`.",
    )
    start_agains: Annotated[dict[str, str], BeforeValidator(_by_language)] = Field(
        {}, description="The same for one language, as `START_AGAIN__ES`.", examples=["Dígame otra vez, por favor."]
    )
    allow_raw_messages: bool = Field(
        False, description="Let agents send messages that this version does not know; unverified, see the README."
    )
    console: bool = Field(False, description="Serve the developer console at /console/.")
    metrics: bool = Field(
        False, description="Serve /metrics, for Prometheus: to this very machine only, unless METRICS_TOKEN is set."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe log line that is written; debug may show what callers say."
    )

    def apology_for(self, language: str | None) -> str:
        """The sentence for a BCP-47 tag: own text for the tag, for its language, for all; else the built-in one."""
        return _sentence(language, self.apologies, self.apology, APOLOGIES)

    def farewell_for(self, language: str | None) -> str:
        """The same before the call is hung up, where the built-in sentence must not ask anybody to hold on."""
        return _sentence(language, self.apologies, self.apology, FAREWELLS)

    def say_again_for(self, language: str | None) -> str:
        """The sentence that asks to repeat lost words, chosen as by apology_for()."""
        return _sentence(language, self.say_agains, self.say_again, SAY_AGAINS)

    def start_again_for(self, language: str | None) -> str:
        """The sentence after a reconnect without memory, chosen as by apology_for()."""
        return _sentence(language, self.start_agains, self.start_again, START_AGAINS)


def _sentence(language: str | None, own: Mapping[str, str], for_all: str | None, built_in: Mapping[str, str]) -> str:
    tag = _tag(language or "en")
    primary = tag.partition("-")[0]
    return own.get(tag) or own.get(primary) or for_all or built_in.get(primary, built_in["en"])


class Settings(PluginSettings, BaseSettings):
    """All settings. Build it with `load_settings`, which also checks what belongs together."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_file=".env", env_ignore_empty=True, hide_input_in_errors=True
    )

    account_sid: Annotated[str, _sid("AC")] | None = Field(
        None,
        description="The Twilio account; sessions of any other are refused.",
        examples=["AC00000000000000000000000000000000"],
    )
    auth_token: Secret | None = Field(None, description="The account's primary auth token; it signs every request.")
    auth_tokens: Annotated[tuple[Secret, ...], BeforeValidator(_comma_list)] = Field(
        (), description="Further tokens that may have signed, tried after TWILIO_AUTH_TOKEN, while one is rotated."
    )
    shared_keys: Annotated[dict[str, Secret], BeforeValidator(_key_pairs)] = Field(
        {}, description="Shared keys for webhook signatures (a beta of Twilio's), as ID=SECRET.", examples=["id=secret"]
    )
    api_key: Annotated[str, _sid("SK")] | None = Field(
        None, description="API key for commands that use the account.", examples=["SK00000000000000000000000000000000"]
    )
    api_secret: Secret | None = Field(None, description="The secret of TWILIO_API_KEY.")
    metrics_token: Annotated[Secret, AfterValidator(_token)] | None = Field(
        None,
        description="Serve /metrics to whoever brings this as `Authorization: Bearer`; needed behind a proxy.",
        examples=["$(openssl rand -hex 20)"],
    )
    store_url: str = Field(
        "memory://",
        repr=False,
        description="Where calls outlive a socket: `memory://`, or `sqlite:///PATH` to outlive the process.",
        examples=["sqlite:///relay.db"],
    )

    @property
    def signing_tokens(self) -> tuple[str, ...]:
        """Every auth token that may have signed, the primary one first."""
        primary = (self.auth_token,) if self.auth_token else ()
        return tuple(token.get_secret_value() for token in (*primary, *self.auth_tokens))

    @property
    def serves_metrics(self) -> bool:
        """Whether there is a /metrics."""
        return self.metrics or self.metrics_token is not None

    def plugin_view(self) -> PluginSettings:
        """What plugins are given: the same settings without any that holds a secret."""
        return PluginSettings.model_construct(**{name: getattr(self, name) for name in PluginSettings.model_fields})

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then `.env`, then what the platform says."""
        named = _Named(settings_cls, env_settings), _Named(settings_cls, dotenv_settings)
        return init_settings, *named, _Platform(settings_cls)


class _Named(PydanticBaseSettingsSource):
    """Another source's variables under our names: `TWILIO_*` where Twilio has one, `NAME__PART` for the two maps."""

    def __init__(self, settings_cls: type[BaseSettings], source: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        assert isinstance(source, EnvSettingsSource)
        self._variables = {name.upper(): value for name, value in source.env_vars.items() if value}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        if field_name not in _MAPS:
            return self._variables.get(env_name(field_name)), field_name, False
        start = env_name(field_name) + "__"
        parts = {key[len(start) :].lower(): text for key, text in self._variables.items() if key.startswith(start)}
        return parts or None, field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


class _Platform(PydanticBaseSettingsSource):
    """`PORT`, by which platforms say where to listen; it counts where nothing else says."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        port = os.environ.get("PORT", "").strip()
        if not port or "port" in self.current_state:
            return {}
        if not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65_535:
            raise SettingsError(
                f"PORT: expected a whole number from 0 to 65535, got {_shown(port)}. Set it to a port, or set "
                "STUDIO_RELAY_PORT, which wins"
            )
        return {"port": int(port)}


# --- loading ----------------------------------------------------------------------------------------------


def load_settings(env_file: str | Path | None = ".env", **overrides: Any) -> Settings:
    """Reads and checks everything; raises `SettingsError` with one line for each problem.

    `overrides` are field names (`port=8000`) and win over the environment; those that are None count as not given.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings(_env_file=env_file, **given)  # type: ignore[call-arg]  # its documented argument
    except ValidationError as error:
        raise SettingsError("\n".join(_problem(details) for details in error.errors())) from None
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{env_file}: expected readable UTF-8 text of lines NAME=value") from None
    problems = [*_replaced(env_file), *_conflicts(settings)]
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def share_env_file(env_file: str | Path = ".env") -> None:
    """Put what `.env` says into the environment, where plugins and the libraries they use look for their own settings.

    What the environment says already stays. Call it once at the start, before plugins are loaded; not in tests, which
    must not depend on the machine. Raises SettingsError when the file cannot be read.
    """
    try:
        given = dotenv_values(env_file)
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{env_file}: expected readable UTF-8 text of lines NAME=value") from None
    for name, value in given.items():
        if value:
            os.environ.setdefault(name, value)


def env_name(field_name: str) -> str:
    """The environment variable of a field; of the two maps, what stands before `__`."""
    return _TWILIO_NAMES.get(field_name) or _MAPS.get(field_name) or PREFIX + field_name.upper()


_MAX_HOST = 260  # a name has 253 characters at most
_HOST = re.compile(r"(?:\[([^\[\]]*)\]|([^\[\]:]*))(?::[0-9]{1,5})?")


def is_loopback_host(host: str) -> bool:
    """Whether a name or address (`localhost`, `127.0.0.1:80`, `[::1]:80`) can only mean this machine."""
    name = host.strip().lower()[:_MAX_HOST]
    written = _HOST.fullmatch(name)
    bare = (written[1] or written[2]) if written else name  # an IPv6 address may stand without brackets
    if bare == "localhost" or bare.endswith(".localhost"):
        return True
    try:
        return ip_address(bare).is_loopback
    except ValueError:
        return False


def _replaced(env_file: str | Path | None) -> Iterator[str]:
    """Settings of earlier versions that are set: what they meant must not be lost without a word."""
    sources = (EnvSettingsSource(Settings), DotEnvSettingsSource(Settings, env_file=env_file))
    given = {name.upper() for source in sources for name, value in source.env_vars.items() if value}
    for old, new, meaning in _REPLACED:
        if old in given:
            yield f"{old}: no longer a setting. Set {new} instead: {meaning}."


def _conflicts(settings: Settings) -> Iterator[str]:
    """What is wrong between settings that are each right."""
    if not settings.insecure and not settings.signing_tokens:
        yield (
            "TWILIO_AUTH_TOKEN: not set, so no request could be checked; set it to the account's primary auth "
            "token, or use --insecure (STUDIO_RELAY_INSECURE=1) for tests on this machine"
        )
    if settings.public_url is None and not is_loopback_host(settings.host):
        yield (
            f"STUDIO_RELAY_PUBLIC_URL: not set, but needed to listen on {settings.host}, since it is what Twilio "
            "signs; for example STUDIO_RELAY_PUBLIC_URL=https://relay.example.com"
        )
    if settings.metrics and settings.metrics_token is None and settings.public_url is not None:
        yield (
            "STUDIO_RELAY_METRICS_TOKEN: not set, but needed to serve /metrics with a public URL, since a proxy or "
            "tunnel on this machine looks like this machine; set it, and STUDIO_RELAY_METRICS is not needed"
        )
    if (settings.api_key is None) != (settings.api_secret is None):
        missing = "TWILIO_API_KEY" if settings.api_key is None else "TWILIO_API_SECRET"
        yield f"{missing}: not set; expected both TWILIO_API_KEY and TWILIO_API_SECRET, or neither"


def _problem(details: ErrorDetails) -> str:
    """One line: the variable, what was expected, what was found, an example."""
    name = str(details["loc"][0])
    field = Settings.model_fields.get(name)
    if field is None:
        return f"{name}: no such setting{_did_you_mean(name, Settings.model_fields)}"
    part = f"__{str(details['loc'][1]).upper()}" if name in _MAPS and len(details["loc"]) > 1 else ""
    variable = env_name(name) + part
    found = "" if _is_secret(name) else f", found {_shown(details['input'])}"
    swapped = _swapped(name, details["input"])
    return f"{variable}: expected {_expected(field, details)}{found}{swapped}; for example {variable}={_example(field)}"


def _swapped(name: str, value: Any) -> str:
    """An auth token where a SID belongs."""
    if name == "account_sid" and re.fullmatch("[0-9a-fA-F]{32}", str(value)):
        return ", which looks like an auth token: are TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN swapped?"
    return ""


def _expected(field: FieldInfo, details: ErrorDetails) -> str:
    if details["type"] == "value_error":
        return str(details["ctx"]["error"])
    if field.annotation is bool:
        return "1 or 0 (true or false)"
    if field.annotation in (int, float):
        kind = "a whole number" if field.annotation is int else "a number of seconds"
        return f"{kind} {_range(field)}"
    return details["msg"].removeprefix("Input should be ")


def _range(field: FieldInfo) -> str:
    bounds = {key: getattr(m, key) for m in field.metadata for key in ("ge", "gt", "le") if hasattr(m, key)}
    low = f"above {bounds['gt']}" if "gt" in bounds else f"from {bounds['ge']}"
    return f"{low} {'and at most' if 'gt' in bounds else 'to'} {bounds['le']}"


def _example(field: FieldInfo) -> str:
    if field.examples:
        return str(field.examples[0])
    return _default(field) or "..."


def _default(field: FieldInfo) -> str:
    """The default as one would write it; empty when there is none."""
    value = field.default
    if isinstance(value, bool):
        return str(int(value))
    return (
        "" if value in (None, PydanticUndefined, (), {}) else f"{value:g}" if isinstance(value, float) else str(value)
    )


_SECRET_WORD = r"[A-Za-z0-9_+=-]{16,}"


def _is_secret(name: str) -> bool:
    return name in {"auth_token", "auth_tokens", "shared_keys", "api_secret", "metrics_token", "store_url"}


def _shown(value: Any) -> str:
    """What was found, bounded, without what may be a secret: a password in a URL, or a long word of any kind."""
    text = without_passwords(str(value))
    if re.fullmatch(_SECRET_WORD, text):
        return f"a text of {len(text)} characters"
    return repr(re.sub(_SECRET_WORD, "...", text)[:80])


# --- names ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SettingRecord:
    """One row of the settings table; `default` is empty when there is none."""

    name: str
    default: str
    help: str


def settings_table() -> Iterator[SettingRecord]:
    """Every setting in the order of its definition: those of everyday use first, then the limits."""
    own = [name for name in Settings.model_fields if name not in Limits.model_fields]
    for name in (*own, *Limits.model_fields):
        field = Settings.model_fields[name]
        variable = env_name(name) + ("__..." if name in _MAPS else "")
        yield SettingRecord(name=variable, default=_default(field), help=field.description or "")


def unknown_names(
    env_file: str | Path | None = ".env", *, plugins: Iterable[str] = ()
) -> tuple[tuple[str, str | None], ...]:
    """The `STUDIO_RELAY_*` names that are set and nobody reads, each with the name that was probably meant.

    `plugins` are entry-point names; what begins with `STUDIO_RELAY_<PLUGIN>_` belongs to that plugin.
    """
    sources = (EnvSettingsSource(Settings), DotEnvSettingsSource(Settings, env_file=env_file))
    ours = sorted({name.upper() for source in sources for name in source.env_vars if name.upper().startswith(PREFIX)})
    known = {env_name(name) for name in Settings.model_fields} - {env_name("twiml")}
    read_elsewhere = (*(f"{start}__" for start in _MAPS.values()), *map(_plugin_prefix, plugins))
    strange = [name for name in ours if name not in known and not name.startswith(read_elsewhere)]
    return tuple((name, _nearest(name, known)) for name in strange)


def _plugin_prefix(plugin: str) -> str:
    return f"{PREFIX}{re.sub('[^A-Z0-9]', '_', plugin.upper())}_"


def _nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`; their common prefix does not count as likeness."""
    tails = {full.removeprefix(PREFIX): full for full in known}
    found = difflib.get_close_matches(name.removeprefix(PREFIX), tails, n=1, cutoff=0.7)
    return tails[found[0]] if found else None


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    nearest = _nearest(name, known)
    return f"; did you mean {nearest}?" if nearest else ""
