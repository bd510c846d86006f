"""What the commands of the account share: who they are, what they need not be told, and how their help stays light."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from stand_in import Fault, StandIn, State, definition

from studio_relay.cli.flow.account import counted

COMMANDS = [
    ("flow", "list"),
    ("flow", "export", "Desk"),
    ("flow", "validate", "desk.json"),
    ("number", "list"),
    ("number", "point", "+15550100001", "Desk", "--yes"),
]
READING = COMMANDS[:4]


@pytest.fixture(autouse=True)
def _desk(tmp_path: Path) -> None:
    import json

    (tmp_path / "desk.json").write_text(json.dumps(definition("hi")))


@pytest.fixture
def stocked(twilio: StandIn) -> StandIn:
    twilio.account.add_flow("Desk", definition("hi"))
    twilio.account.add_number("+15550100001")
    return twilio


@pytest.mark.parametrize("command", COMMANDS)
def test_without_credentials_the_variables_are_named(run: Any, command: tuple[str, ...]) -> None:
    done = run(*command)
    assert done.exit_code == 2
    assert "TWILIO_ACCOUNT_SID: not set" in done.stderr
    assert "TWILIO_AUTH_TOKEN: not set; expected the account's auth token, or an API key" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_credentials_change_nothing_and_say_what_to_copy(
    run: Any, stocked: StandIn, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "not-the-secret")
    done = run(*command)
    assert done.exit_code == 2
    assert "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN anew" in done.stderr
    assert "not-the-secret" not in done.output
    assert stocked.writes == []


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("fault", [Fault.NOT_CONNECTED, Fault.HTML, Fault.BUSY, Fault.BAD_GATEWAY])
def test_an_api_that_is_not_there_is_one_message_and_2(
    run: Any, stocked: StandIn, command: tuple[str, ...], fault: Fault
) -> None:
    stocked.faults = dict.fromkeys(range(100), fault)
    done = run(*command)
    assert done.exit_code == 2
    assert done.stderr.startswith("studio-relay: ")
    assert done.stderr.count("https://studio.twilio.com") + done.stderr.count("https://api.twilio.com") == 1
    assert "Traceback" not in done.output
    assert stocked.account.numbers["PN" + "0" * 31 + "1"]["voice_url"] == ""


def test_credentials_come_from_a_dotenv_file_and_the_environment_wins(
    run: Any, stocked: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"):
        monkeypatch.delenv(name)
    account = stocked.account
    Path(".env").write_text(f"TWILIO_ACCOUNT_SID={account.sid}\nTWILIO_AUTH_TOKEN={account.secrets['']}\n")
    assert run("flow", "list").exit_code == 0
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "wrong")
    assert run("flow", "list").exit_code == 2


def test_a_dotenv_file_that_is_no_text_is_refused(run: Any) -> None:
    Path(".env").write_bytes(b"A=\xff\xfe\x00")
    done = run("flow", "list")
    assert done.exit_code == 2
    assert ".env: expected readable UTF-8 text" in done.stderr


@pytest.mark.parametrize("command", READING)
def test_no_setting_of_the_server_stops_a_command(
    run: Any, stocked: StandIn, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDIO_RELAY_PORT", "no port")
    monkeypatch.setenv("STUDIO_RELAY_PUBLIC_URL", "nonsense")
    assert run(*command).exit_code == 0


def test_an_api_key_is_enough(run: Any, stocked: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    stocked.account.secrets["SK" + "1" * 32] = "key-secret"
    monkeypatch.delenv("TWILIO_AUTH_TOKEN")
    monkeypatch.setenv("TWILIO_API_KEY", "SK" + "1" * 32)
    monkeypatch.setenv("TWILIO_API_SECRET", "key-secret")
    assert run("number", "list").exit_code == 0


def test_a_named_environment_is_another_account(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from stand_in import mounted

    other = State(sid="AC" + "0" * 31 + "2", secrets={"": "other-secret"})
    other.add_flow("Elsewhere", definition("hi"))
    monkeypatch.setenv("TWILIO_PROD_AUTH_TOKEN", "other-secret")
    Path("studio-relay.toml").write_text(f'[environments.prod]\naccount_sid = "{other.sid}"\n')
    for _ in mounted(StandIn(State(), other)):
        done = run("flow", "list", "--environment", "prod")
        assert done.exit_code == 0
        assert "Elsewhere" in done.stdout
        assert run("flow", "list", "--environment", "prd").exit_code == 2
        assert run("flow", "list", "--environments", "studio-relay.toml").exit_code == 2


@pytest.mark.parametrize("columns", ["60", "20", "200"])
@pytest.mark.parametrize("command", READING)
def test_lines_fit_the_terminal(
    run: Any, stocked: StandIn, command: tuple[str, ...], columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    done = run(*command)
    assert done.exit_code == 0
    if columns == "60":
        assert max(map(len, done.output.splitlines())) <= 60


def test_what_the_account_holds_cannot_steer_the_terminal(run: Any, twilio: StandIn) -> None:
    sid = twilio.account.add_flow("De\x1b[31msk\r\n", definition("hi\x1b]0;x\x07"))
    twilio.account.add_number("+15550100001", voice_url="https://x.example/\x1b[2J")
    twilio.validator = lambda _: [{"property_path": "#/states/1\x1b[2J", "message": "bad\x1b[2J"}]
    Path("strange.json").write_text(__import__("json").dumps(definition("hi")))
    for command in (
        ("flow", "list"),
        ("flow", "export", sid),
        ("number", "list"),
        ("flow", "validate", "strange.json"),
    ):
        assert "\x1b" not in run(*command).output


HELPED = [*(c[:2] for c in COMMANDS), *(("flow", name) for name in ("import", "promote", "probe"))]


@pytest.mark.parametrize("command", [("flow",), ("number",), *HELPED])
def test_help_loads_no_twilio(command: tuple[str, ...]) -> None:
    code = (
        "import sys\nfrom studio_relay.cli import program\n"
        f"try: program([*{command!r}, '--help'])\nexcept SystemExit as end: assert not end.code\n"
        "assert not {'twilio', 'httpx', 'pydantic', 'dotenv', 'asyncio'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)


def test_waiting_is_told_on_a_terminal_only(run: Any, stocked: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    stocked.faults = {0: Fault.BUSY}
    assert run("flow", "list").stderr == ""


def test_a_redirect_is_not_followed(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "AC" + "0" * 32)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "t" * 32)
    with respx.mock as router:
        elsewhere = httpx.Response(307, headers={"location": "https://login.example.com/"})
        router.get(host="studio.twilio.com").mock(return_value=elsewhere)
        done = run("flow", "list")
    assert done.exit_code == 2
    assert "found a redirect" in done.stderr


def test_a_program_of_its_own_without_network_or_server(program: Any, environment: Any) -> None:
    with socket.socket() as closed:  # bound and not listening: whoever connects is refused
        closed.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{closed.getsockname()[1]}"
        twilio = {"TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": "t" * 32}
        done = program("flow", "list", env=environment(HTTPS_PROXY=proxy, NO_PROXY="", **twilio))
    assert done.returncode == 2
    assert done.stderr.startswith("studio-relay: GET https://studio.twilio.com/v2/Flows: no answer (Connect")
    assert "Traceback" not in done.stderr


def test_what_takes_long_is_told_to_a_person(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(counted(range(1_200), "flow")) == list(range(1_200))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert list(counted(range(1_200), "flow")) == list(range(1_200))
    assert capsys.readouterr().err == ("studio-relay: 500 flows read so far\nstudio-relay: 1000 flows read so far\n")
