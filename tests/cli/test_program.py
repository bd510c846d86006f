"""How the command line begins and ends: lazily, with help, suggestions and the promised exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from studio_relay.cli import COMMANDS, program
from studio_relay.cli.errors import NotDone, readable_errors
from studio_relay.errors import RelayError, SettingsError

HEAVY = ("quart", "hypercorn", "rich", "pydantic", "httpx", "twilio", "websockets", "yaml", "liquid", "asyncio")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom studio_relay.cli import program\n"
        f"try: program({arguments!r}, prog_name='studio-relay')\nexcept SystemExit as end: assert not end.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert "Usage: studio-relay" in done.stdout or "version" in done.stdout
    assert done.stderr.strip() == "[]"


def test_every_command_says_what_it_does_in_one_line(run: Any) -> None:
    shown = run("--help").output
    context = click.Context(program)
    for name in COMMANDS:
        command = program.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.get_short_help_str(70) in shown
        assert not command.get_short_help_str(70).endswith("...")


def test_a_mistyped_command_is_refused_with_the_one_meant(run: Any) -> None:
    done = run("srve")
    assert done.exit_code == 2
    assert "No such command 'srve'. Did you mean 'serve'?" in done.stderr


def test_a_relay_error_is_one_message_and_2() -> None:
    with pytest.raises(NotDone) as caught, readable_errors():
        raise SettingsError("A: wrong\nB: wrong too")
    assert caught.value.exit_code == 2


def test_each_line_of_a_message_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    NotDone("A: wrong\nB: wrong too").show()
    assert capsys.readouterr().err == "studio-relay: A: wrong\nstudio-relay: B: wrong too\n"


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (RelayError("no"), 2),
        (OSError(28, "No space left on device"), 2),
        (FileNotFoundError(2, "No such file or directory", "x.yaml"), 2),
        (click.FileError("x.yaml", "not there"), 2),
        (click.UsageError("not so"), 2),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
    ],
)
def test_exit_codes(raised: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def failing() -> None:
        with readable_errors():
            raise raised

    with pytest.raises(SystemExit) as ended:
        failing([])
    assert ended.value.code == code
    assert "Traceback" not in capsys.readouterr().err


def test_a_mistake_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), readable_errors():
        raise ZeroDivisionError


def test_as_a_module(program: Any, tmp_path: Path) -> None:
    done = program("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("studio-relay, version 0.")
