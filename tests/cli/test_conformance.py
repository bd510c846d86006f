"""`studio-relay conformance` against our server and against what is none; the cases have tests of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Server = Callable[..., str]


def test_a_report_in_the_terminal_and_as_json(run: Any, server: Server) -> None:
    url = server("--insecure", "--agent", "echo")
    shown = run("conformance", url, "--only", "upgrade-plain", "--only", "end")
    assert shown.exit_code == 0, shown.stdout + shown.stderr
    assert "ok    upgrade-plain" in shown.stdout
    assert "skip  end" in shown.stdout
    assert "1 passed, 0 failed, 1 skipped" in shown.stdout
    report = json.loads(run("conformance", url, "--only", "upgrade-plain", "--json").stdout)
    assert list(report)[:3] == ["version", "ok", "url"]
    assert report["counts"] == {"passed": 1, "failed": 0, "skipped": 0}
    (case,) = report["cases"]
    assert case["rule"]
    assert case["certainty"] in ("documented", "recorded", "sdk", "inferred")


def test_a_broken_rule_is_1(run: Any, server: Server) -> None:
    url = server("--insecure", "--agent", "echo")
    done = run("conformance", url, "--only", "end", "--farewell", "good bye", "--wait", "0.3")
    assert done.exit_code == 1
    assert "FAIL  end" in done.stdout
    assert "rule: " in done.stdout


def test_a_server_that_refuses_the_upgrade_is_not_asked(run: Any, server: Server) -> None:
    done = run("conformance", server("--agent", "echo", TWILIO_AUTH_TOKEN="s"))
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "refused the upgrade with 403" in done.stderr
    assert "the upgrade was not signed" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ws://127.0.0.1:1/relay"], "is the server running?"),
        (["http://127.0.0.1:1/"], "expected a ws:// or wss:// URL"),
        (["ws://127.0.0.1:1/relay", "--only", "bad-jsn"], "did you mean 'bad-json'?"),
        ([], "Missing argument 'URL'"),
    ],
)
def test_what_cannot_be_done(run: Any, arguments: list[str], message: str) -> None:
    done = run("conformance", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
