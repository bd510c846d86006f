"""`studio-relay call` against a running server: piped lines, scripts, and servers that do not take the call."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

Server = Callable[..., str]
FAST = ("--speed", "8")


def test_lines_on_a_pipe_are_said_in_turn(program: Any, server: Server) -> None:
    url = server("--insecure", "--agent", "scripted")
    typed = "what are your prices?\n/nonsense\n/help\na person please\n"
    done = program("call", url, "--speed", "6", input=typed)
    assert done.returncode == 0, done.stderr
    order = [
        done.stdout.index(shown)
        for shown in (
            "agent  Hello, this is Example Company.",
            "caller what are your prices?",
            "agent  A visit costs",
            "caller a person please",
            "(the agent ends the session:",
            "(session ended, close code 1000)",
        )
    ]
    assert order == sorted(order)
    assert "there is no /nonsense" in done.stdout
    assert "/over TEXT" in done.stdout


def test_talking_over_and_keys_and_hanging_up(program: Any, server: Server) -> None:
    url = server("--insecure", "--agent", "echo")
    done = program("call", url, *FAST, input="one two three four five six seven\n/over stop\n/press 5\n/hang\n")
    assert done.returncode == 0
    assert "(the agent was cut off)" in done.stdout
    assert "keys   5" in done.stdout
    assert "(session completed" in done.stdout


def test_dropping_the_line_is_no_fault(program: Any, server: Server) -> None:
    done = program("call", server("--insecure", "--agent", "echo"), *FAST, input="/drop\n")
    assert done.returncode == 0
    assert "(session failed" in done.stdout
    assert "64105" in done.stdout
    assert "stays so: this call has no action URL" in done.stdout
    assert "connected again" not in done.stdout


def test_a_dropped_line_comes_back_as_in_scripts(program: Any, server: Server) -> None:
    voice = server("--insecure", "--agent", "echo").replace("ws://", "http://").replace("/relay", "/voice")
    typed = "one\n/silence 3\n/drop\ntwo\n/silence 3\n/drop\nthree\n/hang\n"
    done = program("call", voice, *FAST, input=typed)
    assert done.returncode == 0, done.stderr
    shown = [
        "caller one",
        "agent  I heard: one",
        "(session failed, close code 1006, error 64105",
        "(the line dropped; the TwiML of the action URL connects it again)",
        "(connected again: session 2 of this call)",
        "caller two",
        "agent  I heard: two",
        "(connected again: session 3 of this call)",
        "caller three",
        "(session completed",
    ]
    order = [" ".join(done.stdout.split()).index(" ".join(line.split())) for line in shown]
    assert order == sorted(order)


def test_a_line_that_drops_too_often_stays_so(program: Any, server: Server) -> None:
    """Our server connects a call twice; then it sends the caller elsewhere, or says goodbye."""
    voice = server("--insecure", "--agent", "echo").replace("ws://", "http://").replace("/relay", "/voice")
    done = program("call", voice, *FAST, input="/drop\n/drop\n/drop\nhello\n")
    assert done.returncode == 0, done.stderr
    shown = " ".join(done.stdout.split())
    assert shown.count("connected again: session") == 2
    assert "stays so: the action URL answered without a new <ConversationRelay>" in shown


def test_piped_lines_as_a_run(program: Any, server: Server) -> None:
    url = server("--insecure", "--agent", "echo")
    done = program(
        "call", url + "/echo", "--json", *FAST, "--parameter", "tier=gold", input="hello\n/silence 4\n/hang\n"
    )
    report = json.loads(done.stdout)
    assert report["ok"] is True
    assert report["sessions"][0]["agent"] == "echo"
    assert report["sessions"][0]["status"] == "completed"
    assert [turn["text"] for turn in report["transcript"] if turn["who"] == "agent"] == ["I heard: hello"]


def test_a_script_signed_for_a_public_url(program: Any, server: Server, environment: Any, tmp_path: Path) -> None:
    url = server("--agent", "scripted", TWILIO_AUTH_TOKEN="s", STUDIO_RELAY_PUBLIC_URL="https://relay.example")
    (tmp_path / "s.yaml").write_text("steps: [{say: a person}]\nexpect: {handoff: {reasonCode: person}}")
    arguments = ("call", url, "--script", "s.yaml", *FAST, "--auth-token-env", "T")
    signed = program(*arguments, "--sign-as", "wss://relay.example/relay", env=environment(T="s"))
    assert signed.returncode == 0, signed.stderr
    assert "1 of 1 expectations met" in signed.stdout
    otherwise = program(*arguments, env=environment(T="s"))
    assert otherwise.returncode == 2
    assert "--sign-as wss://HOST/relay" in otherwise.stderr


def test_a_script_that_expects_something_else_is_1(program: Any, server: Server, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("steps: [hang_up]\nexpect: {status: ended}")
    done = program("call", server("--insecure", "--agent", "echo"), "--script", "s.yaml", *FAST)
    assert done.returncode == 1
    assert "failed    line 2, status: ended" in done.stdout


@pytest.mark.parametrize("as_json", [False, True])
def test_a_server_that_wants_a_signature(program: Any, server: Server, as_json: bool) -> None:
    done = program(
        "call",
        server("--agent", "echo", TWILIO_AUTH_TOKEN="s"),
        *(["--json"] if as_json else []),
        *FAST,
        input="hello\n",
    )
    assert done.returncode == 2
    assert "refused the upgrade with 403" in done.stderr
    assert "the upgrade was not signed" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_agent_that_is_not_there(program: Any, server: Server) -> None:
    done = program("call", server("--insecure", "--agent", "echo") + "/nobody", *FAST, input="")
    assert done.returncode == 2
    assert "refused the upgrade with 404" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ws://127.0.0.1:1/relay"], "is the server running?"),
        (["localhost:8080"], "expected a ws://"),
        (["--header", "broken"], "expected NAME:VALUE"),
        (["--parameter", "broken"], "expected NAME=VALUE"),
        (["--auth-token-env", "NOT_SET"], "NOT_SET is not set"),
        (["--script", "none.yaml"], "cannot read the script"),
        (["--speed", "0"], "--speed"),
    ],
)
def test_what_cannot_be_done(run: Any, arguments: list[str], message: str) -> None:
    done = run("call", *arguments, input="")
    assert done.exit_code == 2
    assert message in done.stderr


def test_the_token_may_stand_in_a_dotenv_file(program: Any, server: Server, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TWILIO_AUTH_TOKEN=s\n")
    done = program("call", server("--agent", "echo", TWILIO_AUTH_TOKEN="s"), *FAST, input="hello\n")
    assert done.returncode == 0, done.stderr
    assert "agent  I heard: hello" in done.stdout


def test_chaos_is_the_same_for_a_seed(run: Any, server: Server, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("steps: [{say: hello}, hang_up]")
    url = server("--insecure", "--agent", "echo")
    arguments = ("call", url, "--chaos", "7", "--speed", "20", "--script", "s.yaml")
    done = run(*arguments, "--json")
    report = json.loads(done.stdout)
    assert report["chaos"]["seed"] == 7
    assert report["chaos"]["problems"] == []
    assert "duplicate@5" in report["chaos"]["faults"]
    shown = run(*arguments)
    assert shown.exit_code == done.exit_code == 0, shown.stdout
    assert "chaos 7: slow@44+433ms" in shown.stdout


class _Answers(BaseHTTPRequestHandler):
    """Any path is a status; `/twiml` is what is no relay."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        is_twiml = self.path == "/twiml"
        body = b"<Response>\n<Say>Hello</Say></Response>" if is_twiml else b"no relay here"
        self.send_response(200 if is_twiml else int(self.path.strip("/")))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer

    def log_message(self, *arguments: Any) -> None:
        """Silent."""


@pytest.fixture
def other_server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as served:
        thread = Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join(10)


@pytest.mark.parametrize("command", [["call", "--json"], ["conformance"], ["replay", "call.jsonl"]])
@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (200, "Twilio would give the caller a busy tone"),
        (302, "follows no redirects"),
        (426, "Twilio would give the caller a busy tone"),
        (503, "draining or full"),
    ],
)
def test_an_upgrade_that_is_not_answered_with_101(
    run: Any, other_server: str, command: list[str], status: int, advice: str
) -> None:
    setup = {"ms": 0, "dir": "in", "session": 1, "frame": {"type": "setup"}}
    Path("call.jsonl").write_text(json.dumps(setup))
    done = run(*command, f"ws://{other_server}/{status}", input="")
    assert done.exit_code == 2
    assert f"the server refused the upgrade with {status}: no relay here" in done.stderr
    assert advice in done.stderr


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("twiml", "/twiml, line 1: expected <Connect><ConversationRelay url="),
        ("500", "/500: expected 200 and TwiML, found status 500"),
    ],
)
def test_twiml_that_is_not_a_relay(run: Any, other_server: str, path: str, message: str) -> None:
    done = run("call", f"http://{other_server}/{path}", "--json", input="")
    assert done.exit_code == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("steps:\n  - say: hi\n  - sya: ho\n", "s.yaml:3: unknown step `sya`; did you mean `say`?"),
        ("steps:\n  - silence: 2 hours\n", "s.yaml:2: `silence` must be a time such as 2, 1.5s, 300ms or 2m"),
        ("steps:\n  - talk_over: {say: a, after_ms: soon}\n", "s.yaml:2: `after_ms` must be a whole number"),
        ("steps: [hang_up]\nexpect:\n  hear: a\n  not_hear: A\n", "s.yaml:4: `not_hear: A` can never hold"),
        (
            "steps: [hang_up]\nexpect:\n  handoff: {a: b}\n  status: failed\n",
            "s.yaml:4: `status: failed` can never hold",
        ),
        ("steps: [hang_up]\nexpect: {path: [Trigger]}\n", "s.yaml:2: `path` can never hold: there is no flow"),
        ("steps: [hang_up]\nexpect:\n  variables: {a: b}\n", "s.yaml:3: `variables` can never hold: there is no flow"),
    ],
)
def test_a_script_that_cannot_be_acted_out(run: Any, script: str, message: str) -> None:
    Path("s.yaml").write_text(script)
    done = run("call", "ws://127.0.0.1:1/relay", "--script", "s.yaml")  # nobody is called
    assert done.exit_code == 2
    assert message in done.stderr
