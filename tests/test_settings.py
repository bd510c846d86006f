"""Settings: what is read, what is refused and in which words, and what plugins get to see."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from studio_relay.errors import SettingsError
from studio_relay.settings import (
    APOLOGIES,
    PluginSettings,
    Settings,
    env_name,
    is_loopback_host,
    load_settings,
    settings_table,
    unknown_names,
)

SID = "AC" + "0" * 32
SECRETS = {
    "TWILIO_AUTH_TOKEN": "canary-primary",
    "STUDIO_RELAY_AUTH_TOKENS": "canary-second",
    "STUDIO_RELAY_SHARED_KEYS": "key1=canary-shared",
    "TWILIO_API_KEY": "SK" + "0" * 32,
    "TWILIO_API_SECRET": "canary-api",
    "STUDIO_RELAY_STORE_URL": "redis://user:canary-store@db.example.com",
}

Load = Callable[..., Settings]


@pytest.fixture(autouse=True)
def no_env_file_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    def loaded(environment: dict[str, str] | None = None, **overrides: Any) -> Settings:
        for name, value in {"TWILIO_AUTH_TOKEN": "token", **(environment or {})}.items():
            monkeypatch.setenv(name, value)
        return load_settings(**overrides)

    return loaded


def problem(load: Load, environment: dict[str, str], **overrides: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        load(environment, **overrides)
    return str(caught.value)


def test_defaults_are_those_of_the_design(load: Load) -> None:
    limits = {
        "max_frame_bytes": 65_536, "max_frames_per_second": 100, "max_frames_burst": 1_000,
        "inbound_queue": 64, "outbound_queue": 256, "send_timeout_seconds": 10, "setup_timeout_seconds": 10,
        "close_timeout_seconds": 5, "max_calls": 1_000, "max_turns": 500, "call_max_seconds": 14_400,
        "hook_timeout_seconds": 10, "reply_max_seconds": 120, "end_wait_max_seconds": 60,
        "on_end_timeout_seconds": 5, "max_handoff_bytes": 4_096, "max_token_bytes": 4_096, "max_reconnects": 2,
        "shutdown_seconds": 25,
    }  # fmt: skip
    settings = load()
    assert {name: getattr(settings, name) for name in limits} == limits
    assert settings.store_url == "memory://"
    switches = ("insecure", "record_full", "console", "allow_raw_messages", "require_ticket")
    assert not any(getattr(settings, name) for name in switches)
    assert settings.trusted_proxies == ()


def test_every_name_is_read_from_the_environment(load: Load) -> None:
    settings = load(
        {
            "TWILIO_ACCOUNT_SID": SID,
            "STUDIO_RELAY_PUBLIC_URL": "https://relay.example.com/voice/",
            "STUDIO_RELAY_AUTH_TOKENS": "second, third ,",
            "STUDIO_RELAY_TRUSTED_PROXIES": "10.0.0.0/8, ::1/128,192.0.2.7",
            "STUDIO_RELAY_AGENT": "front-desk",
            "STUDIO_RELAY_AGENT_FROM_PARAMETERS": "1",
            "STUDIO_RELAY_PORT": "9000",
            "STUDIO_RELAY_RECORD_DIR": "calls",
            "STUDIO_RELAY_AFTER_END_URL": "https://example.com/after?a=b",
            "STUDIO_RELAY_TWIML__VOICE": "en-US-Journey-O",
            "STUDIO_RELAY_TWIML__DTMF_DETECTION": "true",
            "STUDIO_RELAY_TWIML__EOT_THRESHOLD": "0.8",
            "STUDIO_RELAY_SHARED_KEYS": "key1=s3=cret",
        }
    )
    assert settings.account_sid == SID
    assert settings.public_url == "https://relay.example.com/voice"
    assert settings.signing_tokens == ("token", "second", "third")
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1"), ip_network("192.0.2.7"))
    assert (settings.agent, settings.agent_from_parameters, settings.port) == ("front-desk", True, 9000)
    assert settings.record_dir == Path("calls")
    assert settings.after_end_url == "https://example.com/after?a=b"
    assert settings.twiml == {"voice": "en-US-Journey-O", "dtmf_detection": "true", "eot_threshold": "0.8"}
    assert settings.shared_keys["key1"].get_secret_value() == "s3=cret"


def test_arguments_win_over_environment_over_file(load: Load, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "STUDIO_RELAY_PORT=1\nSTUDIO_RELAY_HOST=::1\nSTUDIO_RELAY_AGENT=file\nOTHER=x\nSTUDIO_RELAY_TWIML__VOICE=v\n"
    )
    settings = load({"STUDIO_RELAY_PORT": "2", "STUDIO_RELAY_HOST": "localhost"}, port=3, host=None)
    assert (settings.port, settings.host, settings.agent, settings.twiml) == (3, "localhost", "file", {"voice": "v"})


def test_a_blank_value_counts_as_not_set(load: Load) -> None:
    assert load({"STUDIO_RELAY_AGENT": "", "STUDIO_RELAY_PORT": ""}).port == 8080


def test_settings_are_frozen(load: Load) -> None:
    with pytest.raises(ValidationError):
        load().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PORT", "eighty", "from 0 to 65535, found 'eighty'; for example STUDIO_RELAY_PORT=8080"),
        ("PORT", "70000", "a whole number from 0 to 65535"),
        ("MAX_FRAME_BYTES", "12", "from 1024 to 262144"),
        ("SEND_TIMEOUT_SECONDS", "-1", "a number of seconds above 0 and at most 600"),
        ("SEND_TIMEOUT_SECONDS", "nan", "a number of seconds"),
        ("CALL_MAX_SECONDS", "inf", "a number of seconds"),
        ("INSECURE", "perhaps", "1 or 0 (true or false), found 'perhaps'"),
        ("LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("PUBLIC_URL", "wss://relay.example.com", "https://host[/prefix]"),
        ("PUBLIC_URL", "http://relay.example.com", "https://host[/prefix]"),
        ("PUBLIC_URL", "relay.example.com", "https://host[/prefix]"),
        ("PUBLIC_URL", "https://", "https://host[/prefix]"),
        ("PUBLIC_URL", "https://relay.example.com?a=b", "https://host[/prefix]"),
        ("PUBLIC_URL", "https://relay.example.com/#x", "https://host[/prefix]"),
        ("PUBLIC_URL", "https://relay.example.com/a b", "https://host[/prefix]"),
        ("PUBLIC_URL", "https://relay.example.com:99999", "https://host[/prefix]"),
        ("PUBLIC_URL", "https://relay.example.com:0", "https://host[/prefix]"),
        ("PUBLIC_URL", "https://...", "https://host[/prefix]"),
        ("PUBLIC_URL", 'https://relay.example.com/"<x>', "https://host[/prefix]"),
        ("PUBLIC_URL", "https://relay.example.com/a@b", "https://host[/prefix]"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "did you mean 10.0.0.0/8?"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,nginx", "networks such as 10.0.0.0/8"),
        ("TRUSTED_PROXIES", "0.0.0.0/0", "/0 would trust the whole Internet"),
        ("AFTER_END_URL", "/after", "an absolute https:// URL"),
    ],
)
def test_a_wrong_value_is_one_line_with_name_and_example(load: Load, name: str, value: str, expected: str) -> None:
    text = problem(load, {f"STUDIO_RELAY_{name}": value})
    assert text.startswith(f"STUDIO_RELAY_{name}: expected ")
    assert expected in text
    assert "\n" not in text


def test_twilio_names_are_named_as_twilio_names_them(load: Load) -> None:
    text = problem(load, {"TWILIO_ACCOUNT_SID": "AC123"})
    assert text.startswith("TWILIO_ACCOUNT_SID: expected AC and 32 hexadecimal digits, found 'AC123'; for example TW")


def test_several_problems_are_several_lines(load: Load) -> None:
    text = problem(load, {"STUDIO_RELAY_PORT": "x", "STUDIO_RELAY_MAX_CALLS": "0"})
    assert {line.partition(":")[0] for line in text.split("\n")} == {"STUDIO_RELAY_PORT", "STUDIO_RELAY_MAX_CALLS"}


def test_no_auth_token_says_how_to_go_on(load: Load) -> None:
    text = problem(load, {"TWILIO_AUTH_TOKEN": "  "})
    assert text.startswith("TWILIO_AUTH_TOKEN: not set")
    assert "--insecure" in text


def test_insecure_needs_no_token(load: Load) -> None:
    assert load({"TWILIO_AUTH_TOKEN": ""}, insecure=True).signing_tokens == ()


def test_a_public_address_needs_a_public_url(load: Load) -> None:
    assert problem(load, {"STUDIO_RELAY_HOST": "0.0.0.0"}).startswith("STUDIO_RELAY_PUBLIC_URL: not set, but needed")
    assert load({"STUDIO_RELAY_PUBLIC_URL": "https://h.example"}).host == "0.0.0.0"


def test_half_an_api_key_is_refused(load: Load) -> None:
    assert problem(load, {"TWILIO_API_KEY": "SK" + "0" * 32}).startswith("TWILIO_API_SECRET: not set")


def test_a_misspelt_argument_is_refused(load: Load) -> None:
    assert problem(load, {}, prot=1) == "prot: no such setting; did you mean port?"


def test_an_unreadable_file_is_one_line(load: Load, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe=1")
    assert "expected readable UTF-8 text" in problem(load, {})


def test_secrets_are_in_no_repr(load: Load) -> None:
    settings = load(SECRETS)
    assert settings.signing_tokens == ("canary-primary", "canary-second")
    assert "canary" not in repr(settings) + str(settings)


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_secrets_are_in_no_error(load: Load, name: str) -> None:
    text = problem(load, {**SECRETS, "STUDIO_RELAY_PORT": "x", name: "canary", "STUDIO_RELAY_SHARED_KEYS": "canary"})
    assert "canary" not in text.replace("TWILIO_API_KEY: expected SK and 32 hexadecimal digits, found 'canary'", "")


def test_a_password_in_the_public_url_is_not_shown(load: Load) -> None:
    text = problem(load, {"STUDIO_RELAY_PUBLIC_URL": "https://user:canary@relay.example.com"})
    assert "canary" not in text
    assert "//...@relay.example.com" in text


def test_plugins_see_no_secret(load: Load) -> None:
    view = load(SECRETS, port=9).plugin_view()
    assert type(view) is PluginSettings
    assert view.port == 9
    assert "canary" not in view.model_dump_json()


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en-US", "general"),
        ("es-MX", "Un momento."),
        ("pt-BR", "Só um momento."),
        ("pt-PT", "general"),
        ("ja-JP", "general"),
        (None, "general"),
    ],
)
def test_own_apologies(load: Load, language: str | None, expected: str) -> None:
    settings = load(
        {
            "STUDIO_RELAY_APOLOGY": "general",
            "STUDIO_RELAY_APOLOGY__ES": "Un momento.",
            "STUDIO_RELAY_APOLOGY__PT_BR": "Só um momento.",
        }
    )
    assert settings.apology_for(language) == expected


def test_built_in_apologies(load: Load) -> None:
    settings = load()
    assert settings.apology_for("de-AT") == APOLOGIES["de"]
    assert settings.apology_for("ja-JP") == settings.apology_for(None) == APOLOGIES["en"]


def test_unknown_names_are_reported_with_a_suggestion(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("STUDIO_RELAY_FRONT_DESK_CITY=x\nSTUDIO_RELAY_ZZZ=1\n")
    monkeypatch.setenv("STUDIO_RELAY_PUBLIC_URI", "x")
    monkeypatch.setenv("STUDIO_RELAY_TWIML__VOICE", "x")
    monkeypatch.setenv("STUDIO_RELAY_APOLOGY__ES", "x")
    monkeypatch.setenv("STUDIO_RELAY_PORT", "1")
    assert unknown_names(plugins=["front-desk"]) == (
        ("STUDIO_RELAY_PUBLIC_URI", "STUDIO_RELAY_PUBLIC_URL"),
        ("STUDIO_RELAY_ZZZ", None),
    )


def test_the_table_tells_every_setting_once_with_help() -> None:
    records = list(settings_table())
    assert all(record.help for record in records)
    assert len({record.name for record in records}) == len(records) == len(Settings.model_fields)
    defaults = {record.name: record.default for record in records}
    assert defaults["STUDIO_RELAY_CALL_MAX_SECONDS"] == "14400"
    assert defaults["STUDIO_RELAY_INSECURE"] == "0"
    assert defaults["STUDIO_RELAY_TWIML__..."] == ""
    assert env_name("auth_token") == "TWILIO_AUTH_TOKEN"


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8080", "a.localhost", "127.0.0.1", "127.9.9.9:1", "::1", "[::1]:80"]
)
def test_loopback_names(host: str) -> None:
    assert is_loopback_host(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "localhost.example.com", "127.0.0.1.example.com", "10.0.0.1", "[::2]", "[x"]
)
def test_other_names(host: str) -> None:
    assert not is_loopback_host(host)


# --- what the platform says, and what is never repeated ----------------------------------------------------


def test_port_counts_where_nothing_else_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PORT", "29101")
    file = tmp_path / ".env"
    assert load_settings(env_file=None, insecure=True).port == 29_101
    assert load_settings(env_file=None, insecure=True, port=8_081).port == 8_081
    file.write_text("STUDIO_RELAY_PORT=8082\n")
    assert load_settings(env_file=file, insecure=True).port == 8_082
    monkeypatch.setenv("STUDIO_RELAY_PORT", "8083")
    assert load_settings(env_file=file, insecure=True).port == 8_083
    monkeypatch.setenv("PORT", "nonsense")
    assert load_settings(env_file=None, insecure=True).port == 8_083


@pytest.mark.parametrize("port", ["eighty", "-1", "65536", "8080 ", "9" * 5_000, "tcp://10.0.0.1:80"])
def test_a_bad_port_is_one_line_that_names_it(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("PORT", port)
    if port.strip() == "8080":
        assert load_settings(env_file=None, insecure=True).port == 8_080
        return
    with pytest.raises(SettingsError) as caught:
        load_settings(env_file=None, insecure=True)
    text = str(caught.value)
    assert text.startswith("PORT: expected a whole number from 0 to 65535, got ")
    assert text.count("\n") == 0
    assert len(text) < 250


CANARY = "c0ffee" * 5 + "00"
NAMES = ["TWILIO_ACCOUNT_SID", "TWILIO_API_KEY", "STUDIO_RELAY_PORT", "STUDIO_RELAY_PUBLIC_URL", "PORT",
         "STUDIO_RELAY_TRUSTED_PROXIES", "STUDIO_RELAY_INSECURE", "STUDIO_RELAY_LOG_LEVEL", "STUDIO_RELAY_MAX_CALLS",
         "STUDIO_RELAY_AFTER_END_URL", "STUDIO_RELAY_SHARED_KEYS"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["{}", " {}", "{} x", "http://u:{}@h", "x={}"])
def test_what_may_be_a_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch, name: str, form: str) -> None:
    monkeypatch.setenv(name, form.format(CANARY))
    said = name  # some of these forms are right
    try:
        load_settings(env_file=None, insecure=True)
    except SettingsError as error:
        said = str(error)
    assert name in said
    assert CANARY[:12] not in said


def test_a_sid_and_a_token_that_were_swapped_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", CANARY)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "AC" + "0" * 32)
    with pytest.raises(SettingsError, match="are TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN swapped") as caught:
        load_settings(env_file=None)
    assert CANARY not in str(caught.value)


def test_a_metrics_token_with_a_comma_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_RELAY_METRICS_TOKEN", "0123456789,abcdef0123")
    with pytest.raises(SettingsError, match="without spaces and commas") as caught:
        load_settings(env_file=None, insecure=True)
    assert "0123456789" not in str(caught.value)


def test_what_env_says_is_shared_with_plugins_and_their_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    from studio_relay.settings import share_env_file

    monkeypatch.setenv("MODEL_KEY", "from the environment")
    file = tmp_path / ".env"
    file.write_text("MODEL_KEY=from the file\nOTHER_KEY='k # 1'\nEMPTY=\nPIZZA_OVEN=2\n")
    share_env_file(file)
    assert (os.environ["MODEL_KEY"], os.environ["OTHER_KEY"]) == ("from the environment", "k # 1")
    assert os.environ["PIZZA_OVEN"] == "2"
    assert "EMPTY" not in os.environ
    share_env_file(tmp_path / "none")
