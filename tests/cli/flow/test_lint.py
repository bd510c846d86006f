"""`studio-relay flow lint`: its three forms, what is left out, and what it costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def faulty(flow: Any, kit: Any) -> Path:
    """An error and some warnings."""
    states = kit.talk()
    states["states"][3]["transitions"][0]["next"] = "sory"
    return flow(states)


def test_a_clean_flow_is_0_and_a_line(run: Any, kit: Any) -> None:
    done = run("flow", "lint", str(kit.repo / "studio_flows" / "front_desk.json"))
    assert done.exit_code == 0
    *remark, last = done.output.splitlines()
    assert last == "nothing to report in 1 flow"
    assert remark[0].startswith("remark SR613: Studio's widget cannot ask for")
    assert remark[-1].endswith("front_desk.json: relay)")
    redirect = run("flow", "lint", str(kit.repo / "studio_flows" / "front-desk-to-flex.redirect.json"))
    assert redirect.output == "nothing to report in 1 flow\n"


def test_a_remark_is_told_once_for_all_flows(run: Any, kit: Any) -> None:
    done = run("flow", "lint", str(kit.repo / "studio_flows"))
    assert done.exit_code == 0
    assert done.output.count("SR613") == 1
    assert "flows more) nothing to report in" in " ".join(done.output.split())
    assert run("flow", "lint", "--ignore", "SR613", str(kit.repo / "studio_flows")).output.count("\n") == 1


def test_an_error_is_1_with_place_widget_and_hint(run: Any, faulty: Path) -> None:
    done = run("flow", "lint", str(faulty))
    assert done.exit_code == 1
    lines = done.output.splitlines()
    assert lines[0] == str(faulty)
    assert lines[1].split() == ["error", "SR107", "bye"]
    assert lines[2].strip() == "#/states/3/transitions/0/next"
    assert "Did you mean 'sorry'?" in " ".join(done.output.split())
    assert lines[-1].endswith("in 1 flow")
    assert lines[-1].startswith("1 error, ")


@pytest.mark.parametrize("columns", [40, 60, 100])
def test_no_line_is_wider_than_the_terminal(
    run: Any, faulty: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    done = run("flow", "lint", faulty.name)
    assert max(map(len, done.output.splitlines())) <= columns


def test_json_of_one_flow_is_its_report(run: Any, faulty: Path) -> None:
    done = run("flow", "lint", "--json", str(faulty))
    report = json.loads(done.stdout)
    assert list(report) == ["version", "ok", "flow", "findings", "remarks"]
    assert [remark["code"] for remark in report["remarks"]] == ["SR613"]
    assert report["ok"] is False
    assert report["flow"] == faulty.as_posix()
    assert report["findings"][0]["code"] == "SR107"
    assert {"code", "severity", "path", "widget", "message"} <= set(report["findings"][0])


def test_folders_are_searched_and_other_json_is_passed_over(run: Any, faulty: Path, flow: Any) -> None:
    flow(name="more/good.json")
    flow({"name": "x"}, name="more/package.json")
    flow(name="more/.hidden/other.json")
    done = run("flow", "lint", "--json", ".")
    report = json.loads(done.stdout)
    assert [one["flow"] for one in report["reports"]] == ["talk.json", "more/good.json"]
    assert done.exit_code == 1
    assert run("flow", "lint", "more").exit_code == 0


def test_a_broken_flow_hides_no_finding_of_another(run: Any, faulty: Path, flow: Any) -> None:
    flow('{"states": [], "initial_state": ', name="cut.json")
    done = run("flow", "lint", ".")
    assert done.exit_code == 2
    assert "SR107" in done.output
    assert "cut.json:1:" in done.stderr


def test_nothing_to_lint_is_2(run: Any, tmp_path: Path) -> None:
    assert "no flow there" in run("flow", "lint", ".").stderr
    assert "no such file" in run("flow", "lint", "nowhere").stderr


def test_rules_are_ignored_by_option_and_by_settings(run: Any, faulty: Path, tmp_path: Path) -> None:
    assert run("flow", "lint", "--ignore", "SR107, SR301", str(faulty)).exit_code == 0
    (tmp_path / ".studio-relay.toml").write_text('[lint]\nignore = ["SR107"]\n')
    assert run("flow", "lint", str(faulty)).exit_code == 0
    unknown = run("flow", "lint", "--ignore", "SR17", str(faulty))
    assert unknown.exit_code == 2
    assert "no rule 'SR17'" in unknown.stderr


def test_sarif_names_rule_and_file(run: Any, faulty: Path) -> None:
    done = run("flow", "lint", "--sarif", faulty.name)
    sarif = json.loads(done.stdout)
    result = sarif["runs"][0]["results"][0]
    assert (sarif["version"], result["ruleId"], result["level"]) == ("2.1.0", "SR107", "error")
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "talk.json"
    assert run("flow", "lint", "--sarif", "--json", faulty.name).exit_code == 2


def test_an_agent_adds_what_is_known_of_it(run: Any, flow: Any, kit: Any) -> None:
    assert run("flow", "lint", "--agent", "echo", str(flow())).exit_code == 0
    missing = run("flow", "lint", "--agent", "nobody", str(flow()))
    assert missing.exit_code == 2
    assert "no agent 'nobody'" in missing.stderr


def test_a_large_flow_costs_few_starts_of_the_program(program: Any, flow: Any, kit: Any) -> None:
    """130 widgets, with Liquid in each: at most five times `--help` measured in the same minute."""
    import time

    names = [f"say_{number}" for number in range(130)]
    states = [
        kit.state(name, "say-play", {"audioComplete": following}, say="{{trigger.call.From}} " + name)
        for name, following in zip(names, [*names[1:], None], strict=True)
    ]
    path = flow(kit.definition(*states))

    def seconds(*arguments: str) -> float:
        began = time.perf_counter()
        program(*arguments)
        return time.perf_counter() - began

    pairs = [(seconds("--help"), seconds("flow", "lint", str(path))) for _ in range(5)]
    assert min(lint / help for help, lint in pairs) <= 5, pairs
