"""`studio-relay flow`: light help, and every kind of input that no command can work with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from studio_relay.cli.flow import COMMANDS, command

HEAVY = ("quart", "hypercorn", "rich", "pydantic", "httpx", "twilio", "websockets", "yaml", "liquid", "asyncio")
READERS = {
    "lint": ["lint", "{flow}"],
    "show": ["show", "{flow}"],
    "diagram": ["diagram", "{flow}", "-o", "out.svg"],
    "configure": ["configure", "{flow}", "--server", "wss://relay.example.com", "--write", "--yes"],
    "run": ["run", "{flow}", "--script", "call.yaml", "--report", "out.html"],
    "explore": ["explore", "{flow}", "--out", "out"],
    "test": ["test", "{flow}", "call.yaml", "--report", "out.html"],
    "diff": ["diff", "{flow}", "{flow}"],
    "handoff": ["handoff", "front-desk-model:Model", "{flow}"],
    "validate": ["validate", "{flow}"],
    "import": ["import", "{flow}", "--yes"],
}
WITHOUT_FILES = {"list", "export", "promote", "probe"}
BROKEN = {
    "not JSON": ("hello", "is not JSON"),
    "not a flow": ('{"name": "x"}', "no flow"),
    "a list": ("[1, 2]", "no flow"),
    "truncated": ('{"states": [{"name": "Trigger", "type": "trig', "breaks off"),
    "empty": ("", "is empty"),
    "deep": ("[" * 100_000, "nested too deeply"),
    "a key twice": ('{"states": [], "states": [], "initial_state": "x"}', "stands twice"),
}


def test_every_command_reads_and_is_in_the_table_above() -> None:
    assert set(READERS) | WITHOUT_FILES == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_imports_nothing_heavy(name: str) -> None:
    code = (
        "import sys\nfrom studio_relay.cli import program\n"
        f"try: program(['flow', {name!r}, '--help'], prog_name='studio-relay')\nexcept SystemExit as end: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert f"Usage: studio-relay flow {name}" in done.stdout
    assert done.stderr.strip() == "[]"


def test_every_command_says_what_it_does_in_one_line(run: Any) -> None:
    shown = run("flow", "--help").output
    context = click.Context(command)
    for name in COMMANDS:
        one = command.get_command(context, name)
        assert one is not None
        assert one.name == name
        assert one.get_short_help_str(60) in shown
        assert not one.get_short_help_str(60).endswith("...")


def test_a_mistyped_command_is_refused_with_the_one_meant(run: Any) -> None:
    done = run("flow", "lnt", "x.json")
    assert done.exit_code == 2
    assert "Did you mean 'lint'?" in done.stderr


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "flow_model.py").write_text(
        "from typing import Literal\nfrom studio_relay import Handoff\n"
        "class Model(Handoff):\n    reason_code: Literal['person', 'done']\n"
    )
    monkeypatch.delitem(sys.modules, "flow_model", raising=False)
    return "flow_model:Model"


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_flow_is_one_message_and_2(
    run: Any, flow: Any, script: Any, files: Any, model: str, name: str, broken: str
) -> None:
    text, message = BROKEN[broken]
    path = flow(text, "broken.json")
    script("steps:\n  - hang_up\n", walks="broken.json")
    before = files()
    arguments = [word.format(flow=path) for word in READERS[name]]
    done = run("flow", *[model if ":Model" in word else word for word in arguments])
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("studio-relay:")]) <= 2
    assert {path: content for path, content in files().items() if "__pycache__" not in path} == before


@pytest.mark.parametrize("name", [name for name in READERS if name != "handoff"])
def test_a_hundred_megabytes_are_refused_unread(run: Any, tmp_path: Path, script: Any, name: str) -> None:
    path = tmp_path / "big.json"
    with path.open("wb") as file:
        file.write(b'{"states": [')
        file.truncate(100 * 1024 * 1024)
    script("steps:\n  - hang_up\n", walks="big.json")
    done = run("flow", *[word.format(flow=path) for word in READERS[name]])
    assert done.exit_code == 2
    assert "larger than" in done.stderr


def test_what_is_not_there_is_said(run: Any) -> None:
    done = run("flow", "show", "none.json")
    assert done.exit_code == 2
    assert "none.json: cannot be read: No such file or directory" in done.stderr


def test_names_cannot_steer_the_terminal(run: Any, flow: Any, kit: Any) -> None:
    states = [kit.state("a\x1b[31m", "say-play", {"audioComplete": None}, say="x")]
    path = flow(kit.definition(*states))
    for arguments in (["lint", str(path)], ["show", str(path)]):
        assert "\x1b[31m" not in run("flow", *arguments).output
