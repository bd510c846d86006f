"""`studio-relay flow promote`: two accounts out of one file, secrets out of the environment, and what is printed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stand_in import StandIn, State, mounted

QUEUE = "WW" + "1" * 32
FILE = """
[environments.dev]
account_sid = "{dev}"

[environments.prod]
account_sid = "{prod}"

[environments.prod.map.replace]
"dev.example.com" = "www.example.com"
"""


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch, pauses: list[float], tmp_path: Path) -> Iterator[StandIn]:
    """`dev` and `prod`, named in studio-relay.toml."""
    dev = State(sid="AC" + "0" * 31 + "1", secrets={"": "hush" * 8})
    prod = State(sid="AC" + "0" * 31 + "2", secrets={"": "quiet" * 6})
    (tmp_path / "studio-relay.toml").write_text(FILE.format(dev=dev.sid, prod=prod.sid))
    monkeypatch.setenv("TWILIO_DEV_AUTH_TOKEN", dev.secrets[""])
    monkeypatch.setenv("TWILIO_PROD_AUTH_TOKEN", prod.secrets[""])
    yield from mounted(StandIn(dev, prod))


def promotes(run: Any, *words: str) -> Any:
    return run("flow", "promote", "Desk", "--from", "dev", "--to", "prod", *words)


def desk(kit: Any, *states: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = kit.talk("wss://dev.example.com/relay/scripted")
    made["states"] += states
    return made


def flows(twilio: StandIn, which: int) -> dict[str, Any]:
    account = list(twilio.accounts.values())[which]
    return {flow.newest.friendly_name: flow for flow in account.flows.values()}


def test_a_flow_with_its_subflow_is_shown_asked_about_and_promoted(run: Any, kit: Any, two: StandIn) -> None:
    sub = two.account.add_flow("Opening", kit.talk("wss://dev.example.com/relay/echo"))
    properties = {"flow_sid": sub, "flow_revision": "LatestPublished", "parameters": []}
    two.account.add_flow("Desk", desk(kit, kit.state("sub", "run-subflow", {"completed": None}, **properties)))
    assert promotes(run).exit_code == 2  # nobody says yes
    plan = promotes(run, "--publish", "--dry-run")
    assert plan.exit_code == 0
    assert plan.stdout.index("a new flow 'Opening'") < plan.stdout.index("a new flow 'Desk'")
    assert two.writes == []
    done = promotes(run, "--publish", "--yes")
    assert done.exit_code == 0
    prod = flows(two, 1)
    assert prod["Desk"].newest.definition["states"][-1]["properties"]["flow_sid"] == prod["Opening"].sid
    assert "wss://www.example.com/relay/echo" in str(prod["Opening"].newest.definition)
    assert "dev.example.com" not in str(prod["Desk"].newest.definition)


def test_the_way_back_goes_to_the_same_account(run: Any, kit: Any, two: StandIn) -> None:
    sid = two.account.add_flow("Desk", desk(kit))
    assert promotes(run, "--publish", "--yes").exit_code == 0
    two.account.save(sid, desk(kit, kit.state("bye_again", "say-play", {"audioComplete": None}, say="Bye.")))
    done = promotes(run, "--publish", "--yes", "--json")
    (entry,) = json.loads(done.stdout)["flows"]
    commands = entry["outcome"]["undo"]["commands"]
    before = flows(two, 1)["Desk"].revisions[1].definition
    for line in commands:
        assert run(*line.split()[1:], "--yes").exit_code == 0
    assert flows(two, 1)["Desk"].live.definition == before
    assert len(two.account.flows[sid].revisions) == 2


def test_what_would_break_is_one_message(run: Any, kit: Any, two: StandIn) -> None:
    two.account.add_flow("Desk", desk(kit, kit.state("flex", "send-to-flex", {}, workflow=QUEUE)))
    done = promotes(run, "--yes")
    assert done.exit_code == 2
    assert f'say in the map of prod what stands for it: "{QUEUE}" = "WW..."' in done.output
    assert done.output.endswith("Nothing was changed.\n")
    assert two.writes == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "dev", "--to", "dev"), "the same environment"),
        (("--from", "dev", "--to", "prd"), "Did you mean 'prod'"),
        (("--from", "dev"), "Missing option '--to'"),
        (("--from", "dev", "--to", "prod", "--environments", "absent.toml"), "absent.toml: there is no such file"),
        (("--from", "dev", "--to", "prod", "--revision", "7"), "no revision 7"),
        (("--from", "dev", "--to", "prod", "--revision", "newest"), "LatestRevision"),
    ],
)
def test_bad_input_is_one_message(run: Any, kit: Any, two: StandIn, words: tuple[str, ...], said: str) -> None:
    two.account.add_flow("Desk", desk(kit))
    done = run("flow", "promote", "Desk", *words, "--yes")
    assert (done.exit_code, two.writes) == (2, [])
    assert said in " ".join(done.output.split())


def test_a_missing_secret_names_environment_and_variable(
    run: Any, kit: Any, two: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TWILIO_PROD_AUTH_TOKEN")
    done = promotes(run, "--yes")
    assert (done.exit_code, two.seen) == (2, [])
    assert "environment 'prod': TWILIO_PROD_AUTH_TOKEN: not set" in done.output
