"""Our server passes every conformance case, and broken servers are told what they break."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from studio_relay.testing import AsgiTransport, UpgradeRefused, run_virtual
from studio_relay.testing.conformance import CASES, Options, Report, run_conformance
from studio_relay.testing.pytest_plugin import AUTH_TOKEN, SOCKET_URL, make_app


def ask(app: Any, options: Options | None = None, only: Sequence[str] = ()) -> Report:
    cases = [case for case in CASES if not only or case.id in only]

    async def main() -> Report:
        async with AsgiTransport(app) as transport:
            return await run_conformance(transport, SOCKET_URL, options, cases=cases)

    return run_virtual(main())


def failed(report: Report) -> dict[str, str]:
    return {verdict.case.id: verdict.detail for verdict in report.verdicts if verdict.result == "failed"}


def test_our_server_passes_all() -> None:
    report = ask(make_app(), Options(auth_token=AUTH_TOKEN))
    assert failed(report) == {}
    assert report.count("skipped") == 1
    assert report.count("passed") == len(CASES) - 1


def test_a_farewell_is_asked_for_with_the_words_that_end(serve: Any) -> None:
    def polite(frame: dict[str, Any]) -> list[Any]:
        return [{"type": "end"}] if frame.get("voicePrompt") == "Bye" else []

    report = ask(serve(polite), Options(farewell="Bye"), only=["end"])
    assert report.count("passed") == 1


SPOKEN = {"type": "text", "token": "Yes.", "last": True}
BAD_SERVERS: dict[str, tuple[list[Any], str]] = {
    "never answers": ([], "expected an answer"),
    "never closes its cycle": ([{"type": "text", "token": "Hi"}], "last: true"),
    "leaves": ([None], "closed the socket"),
    "speaks nonsense": (["hello"], "refuse a message"),
    "sends an interrupt": ([{"type": "interrupt"}, SPOKEN], "refuse a message"),
    "talks behind its end": (
        [{"type": "text", "token": "a", "last": True}, {"type": "end"}, {"type": "end"}],
        "behind",
    ),
}


@pytest.mark.parametrize("name", BAD_SERVERS)
def test_a_bad_server_is_told(serve: Any, name: str) -> None:
    replies, says = BAD_SERVERS[name]
    app = serve(lambda frame: replies if frame.get("type") == "prompt" else [])
    report = ask(app, only=["prompt-answered"])
    assert says in failed(report)["prompt-answered"]
    assert not report.ok


def test_a_server_that_refuses_everybody(serve: Any) -> None:
    app = serve(lambda frame: [], refuse=403)
    with pytest.raises(UpgradeRefused):
        ask(app)
    assert app.frames == []


def test_a_server_that_answers_partials_and_errors(serve: Any) -> None:
    def eager(frame: dict[str, Any]) -> list[Any]:
        return [] if frame["type"] == "setup" else [{"type": "text", "token": "Yes?", "last": True}]

    report = ask(serve(eager), only=["prompt-partials", "error-unanswered", "prompt-answered"])
    assert set(failed(report)) == {"prompt-partials", "error-unanswered"}


def test_the_report_reads_well_and_is_json(serve: Any) -> None:
    report = ask(serve(lambda frame: []), only=["setup", "prompt-answered", "end"])
    shown = json.loads(json.dumps(report.to_json()))
    assert list(shown)[:2] == ["version", "ok"]
    assert shown["counts"] == {"passed": 1, "failed": 1, "skipped": 1}
    text = report.to_text()
    assert "FAIL  prompt-answered" in text
    assert "rule: 2.2, 3.1" in text
    assert text.endswith("1 passed, 1 failed (1 of them a must), 1 skipped")


def test_cases_are_named_once_and_say_their_rule() -> None:
    assert len({case.id for case in CASES}) == len(CASES)
    assert all(case.rule[0].isdigit() and case.title for case in CASES)
