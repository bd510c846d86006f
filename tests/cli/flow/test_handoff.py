"""`studio-relay flow handoff`: widgets from a model, and where a flow and an agent disagree."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_model.py").write_text(
        "from typing import Literal\nfrom studio_relay import Handoff\n"
        "class Desk(Handoff):\n    reason_code: Literal['person', 'done']\n    number: str | None = None\n"
        "class Open(Handoff):\n    pass\n"
    )
    monkeypatch.delitem(sys.modules, "my_model", raising=False)


def test_widgets_and_attributes_of_a_model(run: Any) -> None:
    arguments = ["my_model:Desk", "--relay", "talk", "--target", "person=flex", "--otherwise", "bye"]
    done = run("flow", "handoff", *arguments, "--attribute", "from=contact.channel.address", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["version"], report["ok"]) == (1, True)
    assert [state["name"] for state in report["states"]] == ["has_handoff", "parse", "route"]
    assert "{{widgets.talk.HandoffData}}" in json.dumps(report["states"])
    assert {t.get("next") for t in report["states"][2]["transitions"]} == {"flex", "bye"}
    assert '"from":' in report["flex_attributes"]
    text = run("flow", "handoff", *arguments).output
    assert json.loads(text[text.index("[") : text.rindex("]") + 1]) == report["states"]


def test_the_generated_widgets_agree_with_their_model(run: Any, flow: Any, kit: Any) -> None:
    states = json.loads(run("flow", "handoff", "my_model:Desk", "--otherwise", "bye", "--json").stdout)["states"]
    talk = kit.talk()
    talk["states"][2]["transitions"][0]["next"] = "has_handoff"
    talk["states"] += states
    path = str(flow(talk))
    assert run("flow", "handoff", "my_model:Desk", path).output == "they agree\n"
    states[2]["transitions"][1]["conditions"][0]["value"] = "human"
    done = run("flow", "handoff", "my_model:Desk", str(flow(talk)), "--json")
    report = json.loads(done.stdout)
    assert done.exit_code == 1
    assert [one["kind"] for one in report["mismatches"]] == ["no-code", "no-branch"]
    assert "2 mismatches" in run("flow", "handoff", "my_model:Desk", str(flow(talk))).output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody"], "no agent 'nobody'"),
        (["echo"], "declares no handoff_model"),
        (["no_module:Desk"], "'no_module' cannot be imported"),
        (["my_model:Dsk"], "expected a subclass of studio_relay.Handoff"),
        (["json:JSONDecoder"], "expected a subclass of studio_relay.Handoff"),
        (["my_model:Open"], "no branches to make"),
        (["my_model:Desk", "--target", "persn=flex"], "Did you mean 'person'?"),
        (["my_model:Desk", "--target", "person"], "expected NAME=VALUE"),
        (["my_model:Desk", "--relay", "a b"], "cannot be read in Liquid"),
    ],
)
def test_what_cannot_be_done(run: Any, arguments: list[str], message: str) -> None:
    done = run("flow", "handoff", *arguments)
    assert done.exit_code == 2, done.output
    assert message in done.stderr


def test_the_search_path_is_left_as_it_was(run: Any) -> None:
    before = list(sys.path)
    run("flow", "handoff", "my_model:Desk")
    assert sys.path == before
