"""`studio-relay flow test`: what is found, what is reported in each form, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

RUN_KEYS = [
    *("version", "ok", "flow", "script", "clock", "speed", "path", "transcript", "sessions", "handoff"),
    *("expectations", "warnings", "timings"),
]


@pytest.fixture
def suite(flow: Any, script: Any, kit: Any) -> None:
    """A flow and two scripts in folders; everything is covered but the end of the call."""
    flow()
    script(kit.bye, "scripts/bye.yaml", walks="../talk.json")
    script(kit.outage, "scripts/more/outage.yml", walks="../../talk.json")


def test_a_folder_is_acted_out(run: Any, suite: None) -> None:
    done = run("flow", "test")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[:2] == ["ok     scripts/bye.yaml", "ok     scripts/more/outage.yml"]
    assert "talk.json: 5 of 5 transitions, 6 of 6 widgets (100 %)" in lines
    assert lines[-1] == "2 of 2 scripts as expected, 5 of 5 transitions covered (100 %)"


def test_json_is_as_promised(run: Any, suite: None) -> None:
    report = json.loads(run("flow", "test", "scripts/bye.yaml", "--json").stdout)
    assert list(report) == ["version", "ok", "runs", "coverage"]
    assert (report["version"], report["ok"]) == (1, True)
    assert [list(one) for one in report["runs"]] == [RUN_KEYS]
    assert report["runs"][0]["clock"] == "virtual"
    assert report["coverage"] == {
        "widgets": {"covered": 4, "total": 6},
        "transitions": {
            "covered": 3,
            "total": 5,
            "missed": [
                {"widget": "relay", "event": "failed", "next": "sorry"},
                {"widget": "sorry", "event": "audioComplete", "next": "person"},
            ],
        },
    }


def test_two_times_is_the_same_result(run: Any, suite: None) -> None:
    assert run("flow", "test", "--json").stdout == run("flow", "test", "--json").stdout


def test_coverage_below_what_is_asked_for_is_1(run: Any, suite: None) -> None:
    assert run("flow", "test", "--min-coverage", "100").exit_code == 0
    done = run("flow", "test", "scripts/bye.yaml", "--min-coverage", "61")
    assert done.exit_code == 1
    assert "missed relay: failed -> sorry" in done.output
    assert done.output.splitlines()[-1].endswith("(60 %, 61 % asked for)")
    report = json.loads(run("flow", "test", "scripts/bye.yaml", "--min-coverage", "61", "--json").stdout)
    assert report["ok"] is False


def test_what_was_expected_in_vain_is_shown_with_the_call(run: Any, suite: None, script: Any) -> None:
    script(
        "steps:\n  - hear: how can I help\n  - hang_up\nexpect: {status: ended}\n",
        "scripts/bad.yaml",
        walks="../talk.json",
    )
    done = run("flow", "test", "scripts")
    assert done.exit_code == 1
    shown = " ".join(done.output.split())
    for text in (
        "failed scripts/bad.yaml",
        "agent Hello, this is",
        "expected ended",
        "found completed",
        "2 of 3 scripts",
    ):
        assert text in shown


def test_one_that_cannot_be_run_hides_no_other_and_is_2(run: Any, suite: None, script: Any) -> None:
    script("steps:\n  - drop_socket\n", "scripts/a.yaml", walks="../talk.json")
    script("steps:\n  - sey: hello\n", "scripts/b.yaml", walks="../talk.json")
    script("steps:\n  - say: hello\n", "scripts/c.yaml", walks="../tlak.json")
    done = run("flow", "test", "--json")
    report = json.loads(done.stdout)
    assert done.exit_code == 2
    assert [one["ok"] for one in report["runs"]] == [False, True, True]
    assert "'person'" in report["runs"][0]["error"]
    assert len(done.stderr.splitlines()) == 3
    assert "did you mean `say`?" in done.stderr
    assert "tlak.json: cannot be read" in done.stderr
    assert report["errors"] == [line.removeprefix("studio-relay: ") for line in done.stderr.splitlines()[:2]]


def test_other_yaml_and_json_is_passed_over(run: Any, suite: None, script: Any, flow: Any) -> None:
    script("services: {web: {image: x}}\n", "compose.yaml", walks=None)
    flow({"name": "x"}, "package.json")
    assert run("flow", "test").exit_code == 0


def test_a_script_without_a_flow_walks_the_only_one(run: Any, flow: Any, script: Any, kit: Any) -> None:
    flow()
    script(kit.bye, walks=None)
    assert run("flow", "test").exit_code == 0
    flow(name="second.json")
    done = run("flow", "test")
    assert done.exit_code == 2
    assert "call.yaml: names no flow" in done.stderr


def test_flows_without_a_script_count_and_several_are_told_apart(run: Any, suite: None, flow: Any) -> None:
    flow(name="second.json")
    done = run("flow", "test", "--json")
    coverage = json.loads(done.stdout)["coverage"]
    assert (coverage["transitions"]["covered"], coverage["transitions"]["total"]) == (5, 10)
    assert {missed["flow"] for missed in coverage["transitions"]["missed"]} == {"second.json"}


def test_another_flow_can_be_walked_by_the_same_scripts(run: Any, suite: None, flow: Any, kit: Any) -> None:
    other = kit.talk()
    other["states"][2]["transitions"][1]["next"] = "person"
    flow(other, "other.json")
    assert run("flow", "test", "scripts/bye.yaml", "--flow", "other.json").exit_code == 0
    done = run("flow", "test", "scripts", "--flow", "other.json")
    assert done.exit_code == 1
    assert "other.json: 4 of 4" in done.output


def test_nothing_to_act_out_is_2(run: Any, flow: Any) -> None:
    flow()
    done = run("flow", "test")
    assert done.exit_code == 2
    assert "no caller script there; `flow explore` writes some" in done.stderr
    assert "no such file" in run("flow", "test", "nowhere").stderr


def test_a_page_and_drawings(run: Any, suite: None, flow: Any, tmp_path: Path) -> None:
    assert run("flow", "test", "--report", "all.html", "--coverage-svg", "lit.svg").exit_code == 0
    page = (tmp_path / "all.html").read_text()
    assert page.count("<svg") == 3  # the coverage, and two runs
    assert "scripts/bye.yaml" in page
    assert "5 of 5 transitions" in page
    assert (tmp_path / "lit.svg").read_text().startswith("<svg")
    flow(name="second.json")
    assert run("flow", "test", "--coverage-svg", "lit.svg").exit_code == 0
    assert {"lit-talk.svg", "lit-second.svg"} <= {path.name for path in tmp_path.iterdir()}
    before = (tmp_path / "talk.json").read_text()
    assert run("flow", "test", "--report", "talk.json").exit_code == 2
    assert (tmp_path / "talk.json").read_text() == before


def test_an_agent_that_never_ends_stops_its_own_call_only(run: Any, suite: None, script: Any) -> None:
    steps = "".join("  - say: are you still there\n" for _ in range(20))
    script(f"steps:\n{steps}", "scripts/a.yaml", walks="../talk.json")
    done = run("flow", "test", "--call-limit", "60", "--json")
    assert done.exit_code == 2
    assert "scripts/a.yaml: the call is still going on after 60 s" in done.stderr
    assert [one["ok"] for one in json.loads(done.stdout)["runs"]] == [False, True, True]


def test_a_running_server_is_called(run: Any, suite: None, server: Any) -> None:
    url = server("--insecure", "--agent", "scripted")
    done = run("flow", "test", "scripts/more", "--url", url, "--json")
    report = json.loads(done.stdout)
    assert (done.exit_code, report["runs"][0]["clock"]) == (0, "real")
    dead = run("flow", "test", "scripts/more", "--url", "ws://127.0.0.1:1/relay")
    assert dead.exit_code == 2
    assert "outage.yml" in dead.stderr


def test_the_shipped_front_desk(run: Any, kit: Any) -> None:
    done = run(
        "flow", "test", str(kit.repo / "studio_flows" / "scripts" / "front_desk"), "--json", "--agent", "scripted"
    )
    report = json.loads(done.stdout)
    assert {one["flow"] for one in report["runs"]} == {"front_desk.json"}
    assert all("error" not in one for one in report["runs"])
