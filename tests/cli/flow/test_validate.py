"""`studio-relay flow validate`: Twilio's words with the widgets' names; nothing is saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from stand_in import StandIn, definition


@pytest.fixture(autouse=True)
def _files() -> None:
    Path("good.json").write_text(json.dumps(definition("hi")))
    Path("bad.json").write_text(json.dumps(definition("hi", "bad")))


def refuse_bad(asked: Any) -> list[dict[str, str]]:
    names = [state["name"] for state in asked["states"]]
    problem = {"property_path": "#/states/2/properties/say", "message": "integer found, string expected"}
    return [problem] if "bad" in names else []


def test_a_flow_that_twilio_would_take(run: Any, twilio: StandIn) -> None:
    done = run("flow", "validate", "good.json")
    assert done.exit_code == 0
    assert done.stdout == "good.json: Twilio would take it\n"
    assert (twilio.seen, twilio.account.flows) == (["POST /v2/Flows/Validate"], {})


@pytest.mark.parametrize("in_body", [False, True])
def test_twilios_words_stand_under_the_widgets_name(run: Any, twilio: StandIn, in_body: bool) -> None:
    twilio.validator, twilio.in_body = refuse_bad, in_body
    done = run("flow", "validate", "bad.json")
    assert done.exit_code == 1
    assert done.stdout == (
        "bad.json: Twilio would refuse it\n  bad\n    #/states/2/properties/say\n    integer found, string expected\n"
    )


def test_several_flows_and_folders(run: Any, twilio: StandIn) -> None:
    twilio.validator = refuse_bad
    done = run("flow", "validate", ".", "--json")
    assert done.exit_code == 1
    problem = {"path": "#/states/2/properties/say", "widget": "bad", "message": "integer found, string expected"}
    assert json.loads(done.stdout) == {
        "version": 1,
        "ok": False,
        "flows": [
            {"flow": "bad.json", "valid": False, "problems": [problem]},
            {"flow": "good.json", "valid": True, "problems": []},
        ],
    }


def test_it_can_be_asked_as_if_to_be_published(run: Any, twilio: StandIn) -> None:
    run("flow", "validate", "good.json")
    run("flow", "validate", "good.json", "--publish")
    assert [form["Status"] for form in twilio.forms] == ["draft", "published"]


def test_an_unreadable_file_is_said_before_twilio_is_asked(run: Any, twilio: StandIn) -> None:
    Path("broken.json").write_text('{"states": [')
    done = run("flow", "validate", "good.json", "broken.json")
    assert done.exit_code == 2
    assert "broken.json:1:" in done.stderr
    assert twilio.seen == []


def test_a_broken_definition_is_for_twilio_to_judge(run: Any, twilio: StandIn) -> None:
    Path("half.json").write_text('{"states": [{"name": 3}, 7], "initial_state": "x"}')
    done = run("flow", "validate", "half.json")
    assert done.exit_code == 1
    assert "#/states/1/name" in done.stdout
