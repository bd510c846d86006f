"""`studio-relay flow probe`: what it asks before, prints, writes and never writes."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from hidden_table import DOCUMENTED, Row, Temper, Validator
from stand_in import Fault, StandIn

TABLE = files("studio_relay.studio").joinpath("widgets.toml").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def hidden(twilio: StandIn) -> Validator:
    kinds: dict[str, Any] = DOCUMENTED
    table = {name: Row(kind, required=name == "url") for name, kind in kinds.items()}
    validator = Validator(table, Temper(), events=("success", "failed", "hangup"))

    def errors(definition: Mapping[str, Any]) -> list[dict[str, str]]:
        return validator.problems(definition) or []

    twilio.validator = errors
    return validator


def test_facts_are_written_and_the_change_is_shown(run: Callable[..., Result], hidden: Validator) -> None:
    done = run("flow", "probe")
    assert done.exit_code == 0
    assert "the validator names every fault; unknown properties are refused" in done.stdout
    assert "  dtmf_detection: boolean\n" in done.stdout
    assert '+dtmf_detection = { json = "boolean", certainty = "validator" }' in done.stdout
    assert "events: success, failed, hangup" in done.stdout
    facts = json.loads(Path("widget-facts.json").read_text())
    assert (facts["version"], facts["widget"], facts["asked"]) == (1, "run-conversation-relay", hidden.asked)
    assert {name: row["json"] for name, row in facts["properties"].items()} == DOCUMENTED
    assert facts["properties"]["url"]["required"] is True
    assert facts["takes_report_input_during_agent_speech"] == "no"
    assert "reportInputDuringAgentSpeech: the widget does not take it" in done.stdout


def test_json_is_the_whole_report_and_nothing_else(run: Callable[..., Result], hidden: Validator) -> None:
    report = json.loads(run("flow", "probe", "--json", "-o", "facts.json").stdout)
    assert list(report)[:2] == ["version", "ok"]
    assert report["facts"] == json.loads(Path("facts.json").read_text())
    assert report["diff"].startswith("--- widgets.toml (before)")
    assert report["written"] == "facts.json"


def test_a_table_is_changed_after_a_yes_only(run: Callable[..., Result], hidden: Validator) -> None:
    Path("widgets.toml").write_text(TABLE)
    refused = run("flow", "probe", "--widgets", "widgets.toml")
    assert refused.exit_code == 2
    assert "widgets.toml was not changed; the facts were written" in refused.stderr
    assert Path("widgets.toml").read_text() == TABLE
    done = run("flow", "probe", "--widgets", "widgets.toml", "--yes")
    assert done.exit_code == 0
    row = tomllib.loads(Path("widgets.toml").read_text())["widgets"]["run-conversation-relay"]
    assert row["properties"]["dtmf_detection"] == {"json": "boolean", "certainty": "validator"}
    again = run("flow", "probe", "--widgets", "widgets.toml", "--yes")
    assert "widgets.toml says all of it already" in again.stderr


def test_a_file_that_is_there_is_asked_about_before_any_request(
    run: Callable[..., Result], hidden: Validator, twilio: StandIn
) -> None:
    Path("widget-facts.json").write_text("mine")
    done = run("flow", "probe")
    assert done.exit_code == 2
    assert "widget-facts.json is there already, and nothing was asked or written" in done.stderr
    assert (Path("widget-facts.json").read_text(), twilio.seen) == ("mine", [])


def test_a_dry_run_needs_no_account(run: Callable[..., Result]) -> None:
    done = run("flow", "probe", "--dry-run", "--most", "40")
    assert done.exit_code == 0
    assert "at most 40 requests to FlowValidate, which saves nothing" in done.stdout
    assert not Path("widget-facts.json").exists()
    plan = json.loads(run("flow", "probe", "--dry-run", "--json").stdout)
    assert (plan["dry_run"], plan["requests_at_most"]) == (True, 60)
    assert {"url", "tts_language"} <= set(plan["properties"])


def test_without_credentials_the_variables_are_named(run: Callable[..., Result]) -> None:
    done = run("flow", "probe")
    assert done.exit_code == 2
    assert "TWILIO_ACCOUNT_SID: not set" in done.stderr


@pytest.mark.parametrize("fault", [Fault.NOT_CONNECTED, Fault.HTML, Fault.BUSY])
def test_an_api_that_goes_away_leaves_no_file(
    run: Callable[..., Result], hidden: Validator, twilio: StandIn, fault: Fault
) -> None:
    twilio.faults = dict.fromkeys(range(5, 200), fault)
    done = run("flow", "probe")
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert not Path("widget-facts.json").exists()
    assert twilio.writes == []


def test_what_is_missing_is_said_before_any_request(
    run: Callable[..., Result], hidden: Validator, twilio: StandIn
) -> None:
    done = run("flow", "probe", "--widgets", "nowhere.toml")
    assert done.exit_code == 2
    assert "nowhere.toml" in done.stderr
    Path("other.toml").write_text("[widgets]\n")
    done = run("flow", "probe", "--widgets", "other.toml")
    assert done.exit_code == 2
    assert "expected a table of widgets" in done.stderr
    Path("latin.toml").write_bytes(b"\xff")
    assert "expected UTF-8 text" in run("flow", "probe", "--widgets", "latin.toml").stderr
    assert "nothing was asked" in run("flow", "probe", "-o", "nowhere/facts.json").stderr
    assert twilio.seen == []
    assert not Path("widget-facts.json").exists()


def test_few_requests_leave_most_undetermined_and_say_so(run: Callable[..., Result], hidden: Validator) -> None:
    done = run("flow", "probe", "--most", "10")
    assert done.exit_code == 0
    assert "undetermined: " in done.stdout
    assert hidden.asked <= 10


def test_every_line_of_prose_fits_a_narrow_terminal(
    run: Callable[..., Result], hidden: Validator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    done = run("flow", "probe")
    prose = done.stdout.split("what this would change")[0]
    assert max(len(line) for line in prose.splitlines()) <= 60
