"""`studio-relay flow import`: what is shown, asked and printed, and with which exit code it leaves."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from stand_in import Fault, StandIn

USER = "+15550100001"


def imports(run: Any, *words: str) -> Any:
    return run("flow", "import", *words)


def test_nothing_is_written_before_a_yes_and_nobody_is_no_yes(run: Any, flow: Any, twilio: StandIn) -> None:
    done = imports(run, flow().name)
    assert done.exit_code == 2
    assert "--yes says yes beforehand" in done.output
    assert "a new flow 'talk'" in done.output
    assert twilio.writes == []


def test_a_dry_run_says_what_would_be_done(run: Any, flow: Any, twilio: StandIn, files: Any) -> None:
    path = flow()
    before = files()
    done = imports(run, path.name, "--publish", "--test-users", USER, "--dry-run")
    assert done.exit_code == 0
    assert "1. make the flow, as a draft" in done.output
    assert "2. publish it: callers hear it" in done.output
    assert f"test users: {USER}; before: nobody" in done.output
    assert done.output.endswith("nothing was changed: this was a dry run\n")
    assert twilio.writes == []
    assert files() == before


def test_steps_are_said_before_and_after_and_the_way_back(run: Any, flow: Any, kit: Any, twilio: StandIn) -> None:
    sid = twilio.account.add_flow("Front desk", kit.talk("wss://old.example.com/relay/scripted"))
    done = imports(run, flow().name, "Front desk", "--publish", "--yes")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert "callers hear revision 1" in done.stdout
    assert 'url is "wss://relay.example.com/relay/scripted"' in " ".join(done.stdout.split())
    assert f"save a draft of {sid} 'Front desk' over revision 1 ..." in " ".join(done.stdout.split())
    assert "published as revision 3" in done.stdout
    undo = [line.strip() for line in lines[lines.index("to undo:") + 1 :]]
    for command in undo:
        words = shlex.split(command)
        assert words[0] == "studio-relay"
        assert run(*words[1:], "--yes").exit_code == 0
    assert twilio.account.flows[sid].live is twilio.account.flows[sid].newest
    assert twilio.account.flows[sid].newest.definition == kit.talk("wss://old.example.com/relay/scripted")


def test_again_there_is_nothing_to_do_and_nobody_is_asked(run: Any, flow: Any, twilio: StandIn) -> None:
    path = flow().name
    assert imports(run, path, "--yes").exit_code == 0
    done = imports(run, path)
    assert (done.exit_code, len(twilio.writes)) == (0, 1)
    assert "nothing to do: the account has it already" in done.output
    assert Path(f"{path}.revision").exists()


def test_an_export_is_changed_and_imported_and_a_foreign_save_stops_it(
    run: Any, flow: Any, kit: Any, twilio: StandIn
) -> None:
    sid = twilio.account.add_flow("Front desk", kit.talk())
    assert run("flow", "export", sid, "--output", "desk.json").exit_code == 0
    changed = Path("desk.json").read_text().replace("Goodbye.", "Bye now.")
    Path("desk.json").write_text(changed)
    twilio.account.save(sid, kit.talk("wss://theirs.example.com/relay/scripted"))
    stopped = imports(run, "desk.json", "--yes")
    assert stopped.exit_code == 2
    assert "is at revision 2 now" in stopped.output
    assert twilio.writes == []
    assert imports(run, "desk.json", "--since", "2", "--yes").exit_code == 0
    assert "Bye now." in str(twilio.account.flows[sid].newest.definition)


def test_a_flow_may_be_called_like_a_folder(run: Any, flow: Any, kit: Any, twilio: StandIn) -> None:
    sid = twilio.account.add_flow("calls", kit.talk("wss://old.example.com/relay/scripted"))
    Path("calls").mkdir()
    assert imports(run, flow().name, "calls", "--yes").exit_code == 0
    assert len(twilio.account.flows[sid].revisions) == 2


def test_one_flow_of_a_file_with_several_is_selected(run: Any, flow: Any, kit: Any, twilio: StandIn) -> None:
    flow({"flows": [{"friendly_name": name, "definition": kit.talk()} for name in ("one", "two")]}, "page.json")
    refused = imports(run, "page.json", "--yes")
    assert refused.exit_code == 2
    assert "Say which one is meant" in refused.output
    assert imports(run, "page.json", "--select", "two", "--name", "Two", "--yes").exit_code == 0
    assert [flow.newest.friendly_name for flow in twilio.account.flows.values()] == ["Two"]


def test_a_report_for_programs(run: Any, flow: Any, kit: Any, twilio: StandIn) -> None:
    sid = twilio.account.add_flow("talk", kit.talk("wss://old.example.com/relay/scripted"))
    path = flow().name
    plan = json.loads(imports(run, path, "--dry-run", "--json").stdout)
    assert "null" not in imports(run, path, "--dry-run", "--json").stdout  # absent means absent
    assert (plan["ok"], plan["dry_run"], plan["flows"][0]["steps"]) == (True, True, ["save"])
    assert plan["flows"][0]["changes"][0]["widget"] == "relay"
    report = json.loads(imports(run, path, "--yes", "--json").stdout)
    (entry,) = report["flows"]
    assert (report["version"], report["ok"], report["dry_run"]) == (1, True, False)
    assert (entry["flow"], entry["revision_before"], entry["outcome"]["revision"]) == (sid, 1, 2)
    assert entry["outcome"]["undo"]["commands"][0].startswith("studio-relay flow export")
    assert "failure" not in entry["outcome"]


def test_half_an_import_is_told_in_full(run: Any, flow: Any, kit: Any, twilio: StandIn) -> None:
    names = ["one.json", "two.json", "three.json"]
    paths = [flow(kit.talk(f"wss://{name}.example.com/relay/echo"), name).name for name in names]
    clean = imports(run, *paths, "--dry-run")
    assert clean.exit_code == 0
    begin = len(twilio.seen)
    asked = begin * 2  # planning asks the same once more; then each flow takes three requests
    twilio.faults = {asked + 4: Fault.ERROR_BEFORE}
    done = imports(run, *paths, "--yes")
    said = " ".join(done.output.split())
    assert done.exit_code == 2
    assert "two.json: done: nothing; not done: create" in said
    assert "Looked: there is no flow 'two'; it was not made." in said
    assert "three.json: not begun" in said
    assert "give the same command again" in said
    assert "to undo:" in said
    twilio.faults = {}
    assert imports(run, *paths, "--yes").exit_code == 0
    assert [flow.newest.friendly_name for flow in twilio.account.flows.values()] == ["one", "two", "three"]


def test_where_somebody_came_first_no_revision_is_said_that_is_none(
    run: Any, flow: Any, kit: Any, twilio: StandIn
) -> None:
    sid = twilio.account.add_flow("talk", kit.talk("wss://old.example.com/relay/echo"))
    path = flow().name
    imports(run, path, "--dry-run")
    twilio.before = {2 * len(twilio.seen): lambda: twilio.account.save(sid, kit.talk("wss://other.example.com/x"))}
    done = imports(run, path, "--yes")
    assert done.exit_code == 2
    assert f"{sid} was at revision 1 and is at 2 now" in done.stderr
    assert f"{sid} is at revision 1" not in done.stderr
    assert twilio.writes == []


def test_a_programs_report_of_half_an_import(run: Any, flow: Any, twilio: StandIn) -> None:
    path = flow().name
    twilio.faults = {3: Fault.ERROR_BEFORE}
    done = imports(run, path, "--yes", "--json")
    (entry,) = json.loads(done.stdout)["flows"]
    assert done.exit_code == 2
    assert entry["outcome"]["not_done"] == ["create"]
    assert "it was not made" in entry["outcome"]["failure"]


def test_what_twilio_keeps_otherwise_leaves_with_one(run: Any, flow: Any, twilio: StandIn) -> None:
    def forgets(definition: dict[str, Any]) -> dict[str, Any]:
        copy: dict[str, Any] = json.loads(json.dumps(definition))
        del copy["states"][2]["properties"]["url"]
        return copy

    twilio.on_save = forgets
    done = imports(run, flow().name, "--publish", "--yes")
    assert done.exit_code == 1
    assert "#/states/2/properties/url (relay) was left out" in " ".join(done.output.split())
    assert "not done: publish" in done.output
    assert "Twilio would do so again" in " ".join(done.output.split())
    assert "is not done twice" not in done.output


def test_of_much_that_twilio_keeps_otherwise_some_is_said(run: Any, flow: Any, kit: Any, twilio: StandIn) -> None:
    twilio.on_save = lambda found: (
        found
        | {"states": [state | {"type": 1, "name": 1, "properties": 1, "transitions": 1} for state in found["states"]]}
    )
    done = imports(run, flow().name, "--publish", "--yes")
    assert done.exit_code == 1
    assert done.stderr.count("kept something else") == 20
    assert "... and 4 more" in done.stderr


def test_a_report_for_programs_changes_nothing_that_was_not_shown(run: Any, flow: Any, twilio: StandIn) -> None:
    done = imports(run, flow().name, "--json")
    assert done.exit_code == 2
    assert "--dry-run" in done.stderr
    assert twilio.writes == []


def test_commands_in_messages_go_to_the_same_account(
    run: Any, flow: Any, kit: Any, twilio: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("studio-relay.toml").write_text(f'[environments.prod]\naccount_sid = "{twilio.account.sid}"\n')
    monkeypatch.setenv("TWILIO_PROD_AUTH_TOKEN", twilio.account.secrets[""])
    done = imports(run, flow().name, "--publish", "--yes", "--environment", "prod")
    assert "`studio-relay number point NUMBER FW10000000000000000000000000000001 --environment prod`" in " ".join(
        done.stdout.split()
    )
    (made,) = twilio.account.flows.values()
    twilio.account.save(made.sid, kit.talk("wss://old.example.com/relay/scripted"))
    said = imports(run, flow().name, "--environment", "prod").stderr
    assert "--revision 3 --output FW10000000000000000000000000000001.3.json --environment prod`" in said


def test_the_account_of_an_environment(run: Any, flow: Any, twilio: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("studio-relay.toml").write_text(f'[environments.prod]\naccount_sid = "{twilio.account.sid}"\n')
    monkeypatch.setenv("TWILIO_PROD_AUTH_TOKEN", twilio.account.secrets[""])
    monkeypatch.delenv("TWILIO_AUTH_TOKEN")
    path = flow().name
    assert imports(run, path, "--yes").exit_code == 2
    done = imports(run, path, "--environment", "prod", "--yes")
    assert done.exit_code == 0
    flow({**json.loads(Path(path).read_text()), "description": "changed"})
    done = imports(run, path, "--environment", "prod", "--yes")
    assert "--environment prod" in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("absent.json",), "absent.json: cannot be read"),
        (("talk.json", "absent.json"), "the account has no flow 'absent.json', and there is no such file"),
        (("talk.json", "--test-users", "15550100001"), "expected numbers such as +15550100001"),
        (("talk.json", "--since", "0"), "--since"),
        (("talk.json", "talk.json", "--name", "x"), "--name and --since are about one flow"),
        (("talk.json", "--map", "absent.toml"), "absent.toml: cannot be read as a map: No such file"),
        (("talk.json", "--environment", "prod"), "studio-relay.toml: there is no such file"),
        (("talk.json", "--environments", "x.toml"), "--environment NAME"),
        (("talk.json", "talk.json"), "would become"),
        (("broken.json",), "SR"),
        (("noted.json",), "noted.json.revision: expected what `flow export` writes"),
    ],
)
def test_bad_input_is_one_message_and_changes_nothing(
    run: Any, flow: Any, kit: Any, twilio: StandIn, words: tuple[str, ...], said: str
) -> None:
    flow()
    flow(json.dumps(kit.talk()).replace('"sorry"', '"nowhere"', 1), "broken.json")
    flow(name="noted.json")
    Path("noted.json.revision").write_text("{}")
    done = imports(run, *words, "--yes")
    assert done.exit_code == 2, done.output
    assert said in " ".join(done.output.split())
    assert "Traceback" not in done.output
    assert twilio.writes == []


def test_no_credentials_and_wrong_ones(run: Any, flow: Any, twilio: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    path = flow().name
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "wrong")
    wrong = imports(run, path, path, "--yes")
    assert (wrong.exit_code, wrong.output.count("TWILIO_AUTH_TOKEN")) == (2, 1)
    monkeypatch.delenv("TWILIO_AUTH_TOKEN")
    assert "TWILIO_AUTH_TOKEN: not set" in imports(run, path, "--yes").output


def test_it_reads_at_sixty_columns(
    run: Any, flow: Any, kit: Any, twilio: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    twilio.account.add_flow("talk", kit.talk("wss://old.example.com/relay/scripted"))
    done = imports(run, flow().name, "--publish", "--test-users", USER, "--yes")
    lines = done.stdout.splitlines()
    assert max(map(len, lines[: lines.index("to undo:")])) <= 60
