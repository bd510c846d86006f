"""`studio-relay flow export`: bare, byte-stable, of any revision, with a note of where the file came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from stand_in import StandIn, definition

from studio_relay.studio.account.export_mark import read_mark
from studio_relay.studio.flow import read_file

QUEUE = "WW" + "0a" * 16


@pytest.fixture
def desk(twilio: StandIn) -> str:
    return twilio.account.add_flow("Desk", definition("hi"), definition("hi", "there", text=f"über {QUEUE}"))


def test_a_file_is_bare_and_the_same_each_time(run: Any, desk: str) -> None:
    for name in ("one.json", "two.json"):
        assert run("flow", "export", "Desk", "-o", name).exit_code == 0
    text = Path("one.json").read_bytes()
    assert text == Path("two.json").read_bytes() == run("flow", "export", desk).stdout.encode()
    document = read_file("one.json")
    assert document.definition == definition("hi", "there", text=f"über {QUEUE}")
    assert text.decode() == document.bare() == json.dumps(document.definition, indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize(("revision", "number"), [("1", 1), ("LatestPublished", 2), ("latestrevision", 3), (None, 3)])
def test_any_revision(run: Any, twilio: StandIn, desk: str, revision: str | None, number: int) -> None:
    twilio.account.save(desk, definition("draft"), status="draft")
    chosen = ["--revision", revision] if revision else []
    done = run("flow", "export", "Desk", *chosen, "-o", "desk.json")
    assert done.exit_code == 0
    assert f"revision {number}, {'draft' if number == 3 else 'published'}" in done.stderr
    kept = twilio.account.flows[desk].revisions[number - 1].definition
    assert json.loads(Path("desk.json").read_text()) == kept


def test_the_note_beside_the_file_says_where_it_came_from(run: Any, desk: str) -> None:
    run("flow", "export", "Desk", "-o", "desk.json", "--revision", "1")
    mark = read_mark(Path("desk.json"))
    assert mark is not None
    assert (mark.flow_sid, mark.revision) == (desk, 1)


def test_what_belongs_to_the_account_is_said_apart_from_the_json(run: Any, desk: str) -> None:
    done = run("flow", "export", "Desk")
    assert json.loads(done.stdout)
    assert f"{QUEUE}  in hi, there" in done.stderr
    assert QUEUE not in run("flow", "export", "Desk", "--revision", "1").stderr


def test_the_report_for_programs(run: Any, desk: str) -> None:
    report = json.loads(run("flow", "export", "Desk", "--json").stdout)
    assert report["sids"] == [{"sid": QUEUE, "widgets": ["hi", "there"]}]
    assert report["definition"] == definition("hi", "there", text=f"über {QUEUE}")
    written = json.loads(run("flow", "export", "Desk", "--json", "-o", "x.json").stdout)
    assert (written["written"], written["revision"], "definition" in written) == ("x.json", 2, False)


def test_no_file_is_overwritten_unasked(run: Any, desk: str) -> None:
    Path("desk.json").write_text("mine")
    done = run("flow", "export", "Desk", "-o", "desk.json")
    assert done.exit_code == 2
    assert "desk.json is there already, and nothing was written; there is nobody to ask" in done.stderr
    assert Path("desk.json").read_text() == "mine"
    assert not Path("desk.json.revision").exists()
    assert run("flow", "export", "Desk", "-o", "desk.json", "--yes").exit_code == 0
    assert run("flow", "export", "Desk", "-o", "desk.json").exit_code == 0, "it is there as it is to be"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("Dsk",), "Did you mean 'Desk'?"),
        (("FW" + "0" * 32,), "Account AC00000000000000000000000000000001 has it not"),
        (("Desk", "--revision", "9"), "has no revision 9 of this flow; the newest is 2 (published)"),
        (("Desk", "--revision", "0"), "expected a number from 1 on, or LatestPublished or LatestRevision"),
        (("Desk", "--revision", "Live"), "expected a number from 1 on, or LatestPublished or LatestRevision"),
        (("Desk", "-o", "nowhere/desk.json"), "cannot be written"),
    ],
)
def test_what_is_not_there_is_explained(run: Any, desk: str, arguments: tuple[str, ...], words: str) -> None:
    done = run("flow", "export", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stdout == ""
    assert not list(Path().iterdir())


def test_a_flow_never_published_has_no_published_revision(run: Any, twilio: StandIn) -> None:
    twilio.account.add_flow("New", definition("hi"), status="draft")
    done = run("flow", "export", "New", "--revision", "LatestPublished")
    assert done.exit_code == 2
    assert "Twilio has no published revision of this flow; the newest is 1 (draft)" in done.stderr


def test_a_note_that_cannot_be_written_is_said_to_be_missing(run: Any, desk: str) -> None:
    Path("desk.json.revision").mkdir()
    done = run("flow", "export", "Desk", "-o", "desk.json")
    assert done.exit_code == 2
    assert "desk.json was written without this note; an import of it needs --since 2." in done.stderr
    assert "Nothing was changed" not in done.stderr
    assert Path("desk.json").exists()


def test_a_revision_may_be_written_with_zeros(run: Any, desk: str) -> None:
    assert "revision 1, published" in run("flow", "export", "Desk", "--revision", "01").stderr
