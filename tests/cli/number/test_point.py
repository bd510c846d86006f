"""`studio-relay number point`: says what changes, changes that and nothing else, and how to undo it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from stand_in import Fault, StandIn, definition

from studio_relay.studio.account.numbers import flow_url

FALLBACK = "https://handler.twilio.com/twiml/EH" + "0" * 32
NUMBER = f"PN{1:032x}"


@pytest.fixture
def desk(twilio: StandIn) -> str:
    twilio.account.add_number("+15550100001", friendly_name="(555) 010-0001")
    return twilio.account.add_flow("Desk", definition("hi"))


def state(twilio: StandIn, sid: str = NUMBER) -> dict[str, Any]:
    return dict(twilio.account.numbers[sid])


def point(run: Any, *arguments: str) -> Any:
    return run("number", "point", "+15550100001", *arguments)


@pytest.mark.parametrize("written", ["+15550100001", "+1 (555) 010-0001", NUMBER, "(555) 010-0001"])
def test_a_number_is_pointed_at_a_flow(run: Any, twilio: StandIn, desk: str, written: str) -> None:
    before = state(twilio)
    done = run("number", "point", written, "Desk", "--yes")
    assert done.exit_code == 0
    url = f"https://webhooks.twilio.com/v1/Accounts/{twilio.account.sid}/Flows/{desk}"
    assert state(twilio) == before | {"voice_url": url, "voice_method": "POST"}
    assert f"becomes  {url}\n" in done.stdout
    assert len(twilio.writes) == 1


def test_what_is_not_as_it_must_be_is_changed_with_it(run: Any, twilio: StandIn, desk: str) -> None:
    twilio.account.numbers[NUMBER] |= {"voice_method": "GET", "api_version": "2008-08-01"}
    asked = ("--fallback-url", FALLBACK, "--status-callback", "https://x.example/s")
    assert point(run, desk, *asked, "--yes").exit_code == 0
    now = state(twilio)
    assert (now["voice_method"], now["api_version"]) == ("POST", "2010-04-01")
    assert (now["voice_fallback_url"], now["status_callback"]) == (FALLBACK, "https://x.example/s")


def test_only_what_differs_is_sent(run: Any, twilio: StandIn, desk: str) -> None:
    point(run, "Desk", "--yes")
    point(run, "Desk", "--fallback-url", FALLBACK, "--yes")
    assert twilio.forms[-1] == {"VoiceFallbackUrl": FALLBACK}
    assert twilio.writes == ["POST /2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers/{Sid}.json"] * 2


def test_a_number_that_leads_there_is_left_alone(run: Any, twilio: StandIn, desk: str) -> None:
    point(run, "Desk", "--yes")
    done = point(run, "Desk")
    assert done.exit_code == 0
    assert "leads there already" in done.stdout
    assert len(twilio.writes) == 1


def test_nothing_is_changed_by_a_dry_run_or_without_a_yes(run: Any, twilio: StandIn, desk: str) -> None:
    before = state(twilio)
    dry = point(run, "Desk", "--dry-run")
    assert (dry.exit_code, dry.stdout.splitlines()[-1]) == (0, "nothing was changed")
    unasked = point(run, "Desk")
    assert (unasked.exit_code, "nothing was changed; there is nobody to ask" in unasked.stderr) == (2, True)
    assert state(twilio) == before
    assert twilio.writes == []


def test_the_undo_that_is_printed_undoes_it(run: Any, twilio: StandIn, desk: str) -> None:
    point(run, "https://a.example/voice", "--status-callback", "https://x.example/s", "--yes")
    before = state(twilio)
    done = point(run, desk, "--fallback-url", FALLBACK, "--status-callback", "", "--yes")
    assert state(twilio) != before
    words = shlex.split(done.stdout.splitlines()[-1])
    assert words[0] == "studio-relay"
    assert run(*words[1:], "--yes").exit_code == 0
    assert state(twilio) == before


def test_where_there_was_nothing_there_is_no_undo(run: Any, desk: str) -> None:
    assert "there is nothing to go back to" in point(run, "Desk", "--yes").stdout


@pytest.mark.parametrize("url", ["https://old.example/voice", "http://old.example/voice"])
def test_what_no_command_takes_back_is_said(run: Any, twilio: StandIn, desk: str, url: str) -> None:
    old = {"voice_url": url, "voice_method": "GET", "voice_fallback_url": "http://old.example/sorry"}
    twilio.account.numbers[NUMBER].update(old, api_version="2008-08-01")
    done = point(run, "Desk", "--fallback-url", FALLBACK, "--yes")
    said = " ".join(done.stdout.replace("#", " ").split())
    for line in ("voice_method GET", "voice_fallback_url http://old.example/sorry", "api_version 2008-08-01"):
        assert line in said
    assert ("voice_url http://old" in said) == (url.startswith("http://"))
    for command in (line.strip() for line in done.stdout.splitlines() if line.startswith("  studio-relay")):
        assert run(*shlex.split(command)[1:], "--yes").exit_code == 0
        assert state(twilio)["voice_url"] == url


def test_the_way_back_goes_to_the_same_account(
    run: Any, twilio: StandIn, desk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twilio.account.numbers[NUMBER]["voice_url"] = "https://old.example/voice"
    (tmp_path / "studio-relay.toml").write_text(f'[environments.prod]\naccount_sid = "{twilio.account.sid}"\n')
    monkeypatch.setenv("TWILIO_PROD_AUTH_TOKEN", twilio.account.secrets[""])
    done = point(run, "Desk", "--yes", "--environment", "prod")
    assert done.stdout.splitlines()[-1].endswith("https://old.example/voice --environment prod")
    assert "`studio-relay flow list --environment prod`" in point(run, "Dsk", "--environment", "prod").stderr


def test_an_interrupt_while_it_is_changed_says_that_nobody_knows(run: Any, twilio: StandIn, desk: str) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    twilio.before[4] = interrupt
    done = point(run, "Desk", "--yes")
    assert done.exit_code == 130
    assert "whether it was changed is not known" in " ".join(done.stderr.split())
    assert "`studio-relay number list`" in done.stderr


@pytest.mark.parametrize("owner", [{"trunk_sid": "TK" + "0" * 32}, {"voice_application_sid": "AP" + "0" * 32}])
def test_a_number_of_a_trunk_or_application_is_refused(
    run: Any, twilio: StandIn, desk: str, owner: dict[str, str]
) -> None:
    twilio.account.numbers[NUMBER] |= owner
    done = point(run, "Desk", "--yes")
    assert done.exit_code == 2
    assert next(iter(owner.values())) in done.stderr
    assert "nothing was changed" in done.stderr
    assert twilio.writes == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("Dsk",), "Did you mean 'Desk'?"),
        (("wss://relay.example.com/relay",), "A number fetches TwiML first"),
        (("http://relay.example.com/voice",), "expected an https:// URL"),
        (("https://",), "expected an https:// URL"),
        (("https://[x/voice",), "expected an https:// URL"),
        (("Desk", "--fallback-url", "nothing"), "--fallback-url: expected an https:// URL"),
        (("Desk", "--status-callback", "https://a b"), "--status-callback: expected an https:// URL"),
    ],
)
def test_a_target_that_no_call_could_reach_is_refused(
    run: Any, twilio: StandIn, desk: str, arguments: tuple[str, ...], words: str
) -> None:
    done = point(run, *arguments, "--yes")
    assert done.exit_code == 2
    assert words in done.stderr
    assert twilio.writes == []


@pytest.mark.parametrize(("written", "words"), [("+15550100009", "none of the account's 1."), ("x", "Write it as +")])
def test_a_number_that_is_not_there_is_not_repeated(run: Any, desk: str, written: str, words: str) -> None:
    done = run("number", "point", written, "Desk", "--yes")
    assert done.exit_code == 2
    assert words in done.stderr
    assert "+15550100009" not in done.stderr


def test_a_flow_that_was_never_published_is_refused(run: Any, twilio: StandIn, desk: str) -> None:
    twilio.account.add_flow("New", definition("hi"), status="draft")
    done = point(run, "New", "--yes")
    assert done.exit_code == 2
    assert "was never published" in done.stderr
    assert twilio.writes == []


def test_a_flow_that_takes_no_calls_is_warned_about(run: Any, twilio: StandIn, desk: str) -> None:
    twilio.account.add_flow("Mute", definition())
    report = json.loads(point(run, "Mute", "--yes", "--json", "--fallback-url", FALLBACK).stdout)
    assert report["warnings"] == [
        "incomingCall of the published flow leads nowhere: callers would be hung up on at once"
    ]


def test_a_number_without_a_fallback_is_warned_about(run: Any, desk: str) -> None:
    assert "it has no fallback URL" in " ".join(point(run, "Desk", "--yes").stdout.split())
    same_host = point(run, "https://a.example/voice", "--fallback-url", "https://a.example/sorry", "--yes")
    assert "on the host that it is to stand in for" in " ".join(same_host.stdout.split())


def test_a_number_that_cannot_take_calls_is_refused(run: Any, twilio: StandIn, desk: str) -> None:
    twilio.account.numbers[NUMBER]["capabilities"] = {"voice": False, "sms": True}
    assert "cannot take calls" in point(run, "Desk", "--yes").stderr


def test_the_report_for_programs(run: Any, twilio: StandIn, desk: str) -> None:
    report = json.loads(point(run, "Desk", "--json", "--yes", "--fallback-url", FALLBACK).stdout)
    url = flow_url(twilio.account.sid, desk)
    assert report == {
        "version": 1,
        "ok": True,
        "number": NUMBER,
        "changed": True,
        "changes": [
            {"field": "voice_url", "before": "", "after": url},
            {"field": "voice_fallback_url", "before": "", "after": FALLBACK},
        ],
        "warnings": [],
        "undo": {"commands": [], "remarks": ["there is nothing to go back to: before, it led nowhere"]},
    }
    assert json.loads(point(run, "Desk", "--json", "--dry-run").stdout)["changed"] is False


def test_a_report_for_programs_changes_nothing_that_was_not_shown(run: Any, twilio: StandIn, desk: str) -> None:
    done = point(run, "Desk", "--json")
    assert done.exit_code == 2
    assert "--dry-run" in done.stderr
    assert twilio.writes == []


# ----------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("request_number", range(5))
def test_one_fault_anywhere_leaves_the_number_as_it_is_said_to_be(
    run: Any, twilio: StandIn, desk: str, fault: Fault, request_number: int
) -> None:
    before = state(twilio)
    twilio.faults = {request_number: fault}
    done = point(run, "Desk", "--yes")
    changed = state(twilio) != before
    if done.exit_code == 0:
        assert changed
        assert "changed" in done.stdout
    else:
        assert done.exit_code == 2
        assert not changed
        assert done.stderr.startswith("studio-relay: ")
    twilio.faults = {}
    assert point(run, "Desk", "--yes").exit_code == 0
    assert state(twilio)["voice_url"] == flow_url(twilio.account.sid, desk)


def test_an_answer_lost_for_good_is_said_to_be(run: Any, twilio: StandIn, desk: str) -> None:
    twilio.faults = dict.fromkeys(range(4, 50), Fault.TIMEOUT_AFTER)
    done = point(run, "Desk", "--yes")
    assert done.exit_code == 2
    assert "may or may not lead there now" in done.stderr


def test_an_answer_lost_is_looked_for(run: Any, twilio: StandIn, desk: str) -> None:
    twilio.faults = dict.fromkeys(range(4, 10), Fault.TIMEOUT_AFTER)
    done = point(run, "Desk", "--yes")
    assert done.exit_code == 0
    assert "Twilio says it is so" in done.stdout


def test_an_api_that_ignores_what_it_is_sent_is_noticed(run: Any, twilio: StandIn, desk: str) -> None:
    kept = state(twilio)
    twilio.after[4] = lambda: twilio.account.numbers[NUMBER].update(kept)
    twilio.faults = {4: Fault.ERROR_AFTER, **dict.fromkeys(range(5, 10), Fault.ERROR_BEFORE)}
    done = point(run, "Desk", "--yes")
    assert done.exit_code == 2
    assert "Twilio did not keep all of it: voice_url: nothing ->" in done.stderr


def test_a_number_given_away_meanwhile_is_noticed(run: Any, twilio: StandIn, desk: str) -> None:
    twilio.before[4] = lambda: twilio.account.numbers[NUMBER].update(trunk_sid="TK" + "0" * 32)
    done = point(run, "Desk", "--yes")
    assert done.exit_code == 2
    assert f"was changed as said, but meanwhile somebody gave it to TK{'0' * 32}" in done.stderr
