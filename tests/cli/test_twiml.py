"""`studio-relay twiml`: what it prints, why, and what it refuses."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree

import pytest

HOME = f"https://webhooks.twilio.com/v1/Accounts/AC{'0' * 32}/Flows/FW{'0' * 32}"


@pytest.fixture(autouse=True)
def _public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_RELAY_PUBLIC_URL", "https://relay.example.com")
    monkeypatch.setenv("STUDIO_RELAY_AGENT", "echo")


def test_the_document_and_the_layer_of_each_value(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_RELAY_TWIML__VOICE", "en-US-Journey-O")
    done = run("twiml", "hints=Ada,Grace", "speech_model=whisper")
    assert done.exit_code == 0
    document, _, table = done.output.partition("\n\n")
    assert ElementTree.fromstring(document).find("Connect/ConversationRelay").get("voice") == "en-US-Journey-O"
    rows = {line.split("  ")[0]: " ".join(line.split()[1:]) for line in table.splitlines() if "  " in line}
    assert rows["voice"] == "environment en-US-Journey-O"
    assert rows["hints"] == "argument Ada,Grace"
    assert rows["language"] == "default en-US"
    assert rows["tts_provider"] == "default, for this voice Google"
    assert rows["url"] == "server wss://relay.example.com/relay"
    assert "warning: speech_model: rule 6: whisper is not a model we know" in table


def test_what_is_reported_over_speech_is_explained_and_compared(run: Any) -> None:
    table = run("twiml", "interruptible=dtmf").output
    assert re.search("report_input_during_agent_speech +default, as interruptible +dtmf\n", table)
    assert "warning:" not in table
    wider = run("twiml", "report_input_during_agent_speech=any", "interruptible=none")
    assert wider.exit_code == 0
    assert "warning: report_input_during_agent_speech: rule 10: wider than interruptible (none)" in wider.output
    narrower = run("twiml", "report_input_during_agent_speech=none").output
    assert "speech and keys that can interrupt a reply may never reach the agent" in narrower


def test_json_is_for_programs(run: Any) -> None:
    done = json.loads(run("twiml", "--agent", "echo", "--return", HOME, "language=es-ES", "--json").output)
    assert list(done)[:2] == ["version", "ok"]
    assert {"name": "language", "value": "es-ES", "layer": "argument"} in done["attributes"]
    assert [one["name"] for one in done["parameters"]] == ["language", "ticket"]
    connect = ElementTree.fromstring(done["twiml"]).find("Connect")
    assert connect.get("action").startswith(
        "https://relay.example.com/connect-action/echo?return=https%3A%2F%2Fwebhooks"
    )


def test_no_token_is_needed_and_none_is_shown(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "0123456789abcdef0123456789abcdef")
    assert "0123456789abcdef" not in run("twiml").output + run("twiml", "--json").output


def test_without_a_public_url_it_says_so(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STUDIO_RELAY_PUBLIC_URL")
    done = run("twiml")
    assert done.exit_code == 0
    assert "STUDIO_RELAY_PUBLIC_URL is not set" in done.output


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["voise=x"], {}, "studio-relay: voise: rule 8: no such attribute; did you mean voice?"),
        (
            ["eot_threshold=2"],
            {},
            "rule 2: expected a number from 0.5 to 0.9, found '2'; for example eot_threshold=0.8",
        ),
        (["url=https://x.example"], {}, "rule 1: expected wss:// and a host"),
        (["language=multi", "tts_provider=Google"], {}, "rule 3: multi is spoken by ElevenLabs alone"),
        (["languages=[{}]"], {}, "languages[0]: rule 2: expected attributes of <Language> with a code"),
        ([], {"STUDIO_RELAY_TWIML__EVENTS": "all"}, "STUDIO_RELAY_TWIML__EVENTS: rule 2: expected words of"),
        (["voice"], {}, "expected NAME=VALUE such as voice=Joanna-Neural, found 'voice'"),
        (["=x"], {}, "expected NAME=VALUE"),
        (["voice=a", "voice=b"], {}, "voice is written twice"),
        (["--agent", "nobody"], {}, "agent 'nobody' is not installed"),
        (["--return", "https://evil.example"], {}, "--return: expected https://webhooks.twilio.com/v1/Accounts/AC..."),
        (["--return", HOME], {"TWILIO_ACCOUNT_SID": "AC" + "1" * 32}, "/v1/Accounts/AC1111"),
        ([], {"STUDIO_RELAY_PUBLIC_URL": "http://x"}, "STUDIO_RELAY_PUBLIC_URL: expected https://"),
    ],
)
def test_what_is_refused_is_2_with_the_reason(
    run: Any, monkeypatch: pytest.MonkeyPatch, arguments: list[str], variables: dict[str, str], said: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = run("twiml", *arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.output
