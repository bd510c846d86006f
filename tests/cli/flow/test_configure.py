"""`studio-relay flow configure`: the difference first, and no file without being told to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SERVER = ("--server", "wss://dev.example.com", "--agent", "echo")


def relay_of(path: Path) -> dict[str, Any]:
    states = json.loads(path.read_text())["states"]
    found: dict[str, Any] = next(state for state in states if state["name"] == "relay")
    return found


def test_the_difference_is_shown_and_nothing_written(run: Any, flow: Any, files: Any) -> None:
    path = flow()
    before = files()
    done = run("flow", "configure", str(path), *SERVER)
    assert done.exit_code == 0
    assert '-        "url": "wss://relay.example.com/relay/scripted"' in done.output
    assert '+        "url": "wss://dev.example.com/relay/echo"' in done.output
    assert done.output.endswith("nothing was written; --write or --output FILE does\n")
    assert files() == before


def test_written_once_it_is_said(run: Any, flow: Any, tmp_path: Path) -> None:
    path = flow()
    assert run("flow", "configure", str(path), *SERVER, "--write", "--yes").exit_code == 0
    assert relay_of(path)["properties"]["url"] == "wss://dev.example.com/relay/echo"
    other = tmp_path / "other.json"
    assert run("flow", "configure", str(path), "--agent", "scripted", "-o", "other.json").exit_code == 0
    assert relay_of(other)["properties"]["url"].endswith("/scripted")
    assert relay_of(path)["properties"]["url"].endswith("/echo")


@pytest.mark.parametrize("target", [("--write",), ("-o", "other.json")])
def test_no_file_is_overwritten_where_nobody_can_be_asked(run: Any, flow: Any, files: Any, target: tuple[str]) -> None:
    path = flow()
    flow("precious", "other.json")
    before = files()
    done = run("flow", "configure", str(path), *SERVER, *target)
    assert done.exit_code == 2
    assert "there is nobody to ask, and --yes says yes beforehand" in done.stderr
    assert files() == before


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal to type at")
@pytest.mark.parametrize(("typed", "code"), [(b"y\n", 0), (b"n\n", 2), (b"\x04", 130)])
def test_somebody_is_asked(flow: Any, typed: bytes, code: int) -> None:
    path = flow()
    before = path.read_text()
    keyboard, terminal = os.openpty()
    command = [sys.executable, "-m", "studio_relay", "flow", "configure", str(path), *SERVER, "--write"]
    with subprocess.Popen(command, stdin=terminal, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            asked = process.stderr.read(len("overwrite"))
            os.write(keyboard, typed)
            process.stderr.read()
            process.wait(timeout=30)
        finally:
            process.kill()
            os.close(keyboard)
            os.close(terminal)
    assert asked == b"overwrite"
    assert process.returncode == code
    assert (path.read_text() == before) == (code != 0)


def test_what_is_not_said_stays_as_it_is(run: Any, flow: Any) -> None:
    path = flow()
    assert run("flow", "configure", str(path), "--server", "wss://dev.example.com", "--write", "--yes").exit_code == 0
    assert relay_of(path)["properties"]["url"] == "wss://dev.example.com/relay/scripted"
    assert run("flow", "configure", str(path), *SERVER[:2], "--shape", "redirect", "--write", "--yes").exit_code == 0
    assert relay_of(path)["properties"]["url"].startswith("https://dev.example.com/voice/scripted?")


def test_a_map_alone_and_with_a_stage(run: Any, flow: Any, tmp_path: Path) -> None:
    path = flow()
    (tmp_path / "dev.toml").write_text(
        '[replace]\n"+15550100009" = "+15550100010"\n"FW9" = "FW8"\n[widgets.bye]\nsay = "So long."\n'
    )
    done = run("flow", "configure", str(path), "--map", "dev.toml", *SERVER, "--write", "--yes")
    assert done.exit_code == 0
    assert "dev.toml: replace.FW9 met nothing" in done.stderr
    text = path.read_text()
    assert "+15550100010" in text
    assert "So long." in text
    assert "dev.example.com" in text


def test_json_says_what_changed_and_what_was_written(run: Any, flow: Any) -> None:
    arguments = ["configure", str(flow()), *SERVER, "--json"]
    report = json.loads(run("flow", *arguments).stdout)
    assert list(report) == ["version", "ok", "flow", "changes", "diff"]
    assert report["changes"][0]["widget"] == "relay"
    written = json.loads(run("flow", *arguments, "--write", "--yes").stdout)
    assert written["written"].endswith("talk.json")
    again = json.loads(run("flow", *arguments).stdout)
    assert (again["changes"], again["diff"]) == ([], "")


@pytest.mark.parametrize("shape", ["widget", "redirect"])
def test_a_stage_is_inserted_and_lints_without_errors(run: Any, flow: Any, kit: Any, shape: str) -> None:
    plain = kit.definition(
        kit.state("welcome", "say-play", {"audioComplete": "bye"}, say="One moment.", offset={"x": 0, "y": 0}),
        kit.state("bye", "say-play", {"audioComplete": None}, say="Goodbye.", offset={"x": 0, "y": 200}),
    )
    path = flow(plain)
    stage = [
        "--shape",
        shape,
        *SERVER,
        "--after",
        "welcome:audioComplete",
        "--failed",
        "bye",
        "--parameter",
        "tier=gold",
    ]
    assert run("flow", "configure", str(path), *stage, "--write", "--yes").exit_code == 0
    report = json.loads(run("flow", "lint", str(path), "--json").stdout)
    assert report["ok"] is True, report
    assert "tier" in json.dumps(relay_of(path))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to configure"),
        (["--server", "relay.example.com"], "expected a server such as wss://relay.example.com"),
        ([*SERVER, "--success", "by"], "Did you mean 'bye'?"),
        ([*SERVER, "--stage", "welcome"], "no relay stage"),
        ([*SERVER, "--stage", "new", "--after", "welcome"], "expected WIDGET:EVENT"),
        ([*SERVER, "--stage", "new", "--after", "welcome:done"], "has no transition 'done'"),
        ([*SERVER, "--shape", "subflow"], "needs flow_sid"),
        (["--map", "none.toml"], "none.toml: cannot be read"),
        ([*SERVER, "--write", "-o", "x.json"], "ask for one"),
    ],
)
def test_what_cannot_be_done(run: Any, flow: Any, files: Any, arguments: list[str], message: str) -> None:
    path = flow()
    before = files()
    done = run("flow", "configure", str(path), "--yes", *arguments)
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert files() == before
