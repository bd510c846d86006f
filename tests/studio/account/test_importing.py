"""Files become flows: which flow is meant, what stops it before anything is changed, and what is saved how."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from stand_in import Fault, StandIn, definition

from studio_relay.errors import AccountError, FlowError
from studio_relay.studio.account.api import Account
from studio_relay.studio.account.carrying_out import carry_out
from studio_relay.studio.account.change import Ordered
from studio_relay.studio.account.credentials import Credentials
from studio_relay.studio.account.export_mark import mark_path, read_mark, write_mark
from studio_relay.studio.account.importing import PlannedImport, note_revision, plan_import, read_source
from studio_relay.studio.account.outcome import Outcome, Step
from studio_relay.studio.account.undo import undo
from studio_relay.studio.value_map import ValueMap


def saying(text: str) -> dict[str, Any]:
    """A flow that says `text` and hangs up."""
    return definition("hi", text=text)


OLD, NEW, OTHER = saying("Hello"), saying("Good morning"), saying("Somebody else's")
USER = "+15550100001"

Written = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """`written(definition, "desk.json")` is a file with it."""

    def write(content: Mapping[str, Any] = NEW, name: str = "desk.json") -> Path:
        file = tmp_path / name
        file.write_text(json.dumps(content, indent=2))
        return file

    return write


def opened(twilio: StandIn) -> Account:
    return _opened(twilio.account.sid, twilio.account.secrets[""])


@cache
def _opened(sid: str, secret: str) -> Account:
    """The same client for many runs: making one reads all certificates, which takes longer than an import."""
    return Account(Credentials(account_sid=sid, user=sid, secret=secret), sleep=lambda seconds: None)


def planned(twilio: StandIn, *files: Path, publish: bool = False, users: Any = None, **said: Any) -> Any:
    sources = [read_source(file, **said) for file in files]
    return plan_import(opened(twilio), sources, Ordered(publish=publish, test_users=users))


def imported(
    twilio: StandIn, *files: Path, publish: bool = False, users: Any = None, told: list[Step] | None = None, **said: Any
) -> tuple[Outcome, ...]:
    """Everything the command does, but for asking and printing."""
    sources = [read_source(file, **said) for file in files]
    steps = told if told is not None else []
    plans = plan_import(opened(twilio), sources, Ordered(publish=publish, test_users=users))
    changes = [plan.change for plan in plans if plan.change.steps]
    outcomes = carry_out(opened(twilio), changes, lambda outcome, step: steps.append(step))
    by_label = {outcome.change.wanted.label: outcome for outcome in outcomes}
    for plan in plans:
        outcome = by_label.get(plan.change.wanted.label)
        if outcome and outcome.done and outcome.revision is not None:
            note_revision(plan, sid=outcome.sid, revision=outcome.revision)
    return outcomes


# ----------------------------------------------------------------------------------------- which flow is meant


def test_a_file_becomes_a_new_flow_of_its_name_as_a_draft(twilio: StandIn, written: Written) -> None:
    (outcome,) = imported(twilio, written())
    flow = twilio.account.flows[outcome.sid]
    assert outcome.done == ("create",)
    assert (flow.newest.friendly_name, flow.newest.status, flow.newest.definition) == ("desk", "draft", NEW)
    assert undo(opened(twilio), outcome).commands == ()
    assert "delete it in Twilio's console" in undo(opened(twilio), outcome).remarks[0]


def test_a_new_flow_has_no_test_users_to_take_away(twilio: StandIn, written: Written) -> None:
    assert imported(twilio, written(), users=())[0].done == ("create",)


def test_done_again_it_does_nothing(twilio: StandIn, written: Written) -> None:
    file = written()
    imported(twilio, file, publish=True, users=(USER,))
    mark_path(file).unlink()
    seen = len(twilio.writes)
    assert imported(twilio, file, publish=True, users=(USER,)) == ()
    assert len(twilio.writes) == seen
    assert len(twilio.account.flows) == 1


def test_a_file_goes_to_the_flow_it_was_exported_from_whatever_its_name(twilio: StandIn, written: Written) -> None:
    sid = twilio.account.add_flow("Front desk", OLD)
    twilio.account.add_flow("desk", OLD)
    file = written()
    write_mark(file, flow_sid=sid, revision=1)
    (outcome,) = imported(twilio, file)
    assert (outcome.sid, outcome.revision) == (sid, 2)
    assert twilio.account.flows[sid].newest.friendly_name == "Front desk"


def test_a_flow_is_named_by_sid_or_friendly_name_and_renamed(twilio: StandIn, written: Written) -> None:
    sid = twilio.account.add_flow("Front desk", OLD)
    assert imported(twilio, written(), flow="Front desk")[0].sid == sid
    (outcome,) = imported(twilio, written(), flow=sid, name="Reception")
    assert outcome.done == ("rename",)
    assert twilio.account.flows[sid].newest.friendly_name == "Reception"
    assert "--name 'Front desk'" in undo(opened(twilio), outcome).commands[1]


def test_a_rename_leaves_the_status_alone(twilio: StandIn, written: Written) -> None:
    sid = twilio.account.add_flow("Front desk", NEW)
    imported(twilio, written(), flow=sid, name="Reception")
    assert twilio.account.flows[sid].newest.status == "published"


def test_one_name_of_two_flows_is_refused_with_their_sids(twilio: StandIn, written: Written) -> None:
    sids = [twilio.account.add_flow("desk", OLD) for _ in range(2)]
    with pytest.raises(AccountError, match=f"2 flows are called 'desk': {', '.join(sids)}") as caught:
        imported(twilio, written())
    assert "Nothing was changed." in str(caught.value)


def test_a_flow_that_is_not_there_is_answered_with_the_nearest(twilio: StandIn, written: Written) -> None:
    twilio.account.add_flow("Front desk", OLD)
    with pytest.raises(AccountError, match=r"no flow 'Front dsk', and .* Did you mean 'Front desk'"):
        imported(twilio, written(), flow="Front dsk")
    assert twilio.writes == []


# ---------------------------------------------------------------------------------------- draft, publish, undo


def test_a_draft_is_saved_beside_what_callers_hear(twilio: StandIn, written: Written) -> None:
    sid = twilio.account.add_flow("desk", OLD)
    (plan,) = planned(twilio, written(), users=(USER,))
    assert [str(change) for change in plan.change.differences()] == ['hi: say is "Good morning", before "Hello"']
    (outcome,) = imported(twilio, written(), users=(USER,))
    flow = twilio.account.flows[sid]
    assert flow.live is not None
    assert (flow.live.number, flow.newest.number, flow.test_users) == (1, 2, [USER])
    assert (flow.newest.commit_message or "").startswith("imported from desk.json by studio-relay [")
    back = undo(opened(twilio), outcome)
    assert back.commands == (
        f"studio-relay flow export {sid} --revision 1 --output {sid}.1.json",
        f"studio-relay flow import {sid}.1.json {sid} --since 2 --test-users ''",
    )
    assert "callers go on hearing revision 1" in back.remarks[0]


def test_publishing_saves_a_draft_compares_it_and_publishes(twilio: StandIn, written: Written) -> None:
    sid = twilio.account.add_flow("desk", OLD)
    told: list[Step] = []
    (outcome,) = imported(twilio, written(), publish=True, told=told)
    flow = twilio.account.flows[sid]
    assert [revision.status for revision in flow.revisions] == ["published", "draft", "published"]
    assert [(step.kind, step.state) for step in told] == [
        ("save", "begun"),
        ("save", "done"),
        ("publish", "begun"),
        ("publish", "done"),
    ]
    assert (
        undo(opened(twilio), outcome).commands[1] == f"studio-relay flow import {sid}.1.json {sid} --since 3 --publish"
    )


def test_a_draft_that_was_tried_is_published_without_saving_it_again(twilio: StandIn, written: Written) -> None:
    sid = twilio.account.add_flow("desk", OLD)
    imported(twilio, written())
    (outcome,) = imported(twilio, written(), publish=True)
    assert outcome.done == ("publish",)
    assert [revision.status for revision in twilio.account.flows[sid].revisions] == ["published", "draft", "published"]
    assert "--revision 1" in undo(opened(twilio), outcome).commands[0]


def test_undoing_brings_back_what_was_heard_before(twilio: StandIn, written: Written) -> None:
    sid = twilio.account.add_flow("desk", OLD)
    imported(twilio, written(), publish=True)
    old = written(OLD, f"{sid}.1.json")
    write_mark(old, flow_sid=sid, revision=1)
    imported(twilio, old, flow=sid, since=3, publish=True)
    assert twilio.account.flows[sid].live is twilio.account.flows[sid].newest
    assert twilio.account.flows[sid].newest.definition == OLD


def test_test_users_can_be_set_alone_and_taken_away(twilio: StandIn, written: Written) -> None:
    sid = twilio.account.add_flow("desk", NEW)
    assert imported(twilio, written(), users=(USER,))[0].done == ("test users",)
    assert twilio.account.flows[sid].test_users == [USER]
    (outcome,) = imported(twilio, written(), users=())
    assert twilio.account.flows[sid].test_users == []
    assert undo(opened(twilio), outcome).commands[1].endswith(f"--since 1 --test-users {USER}")


# ------------------------------------------------------------------------------------- revisions of other people


def test_a_flow_that_moved_since_the_export_is_refused_with_the_way_on(twilio: StandIn, written: Written) -> None:
    sid = twilio.account.add_flow("desk", OLD)
    file = written()
    write_mark(file, flow_sid=sid, revision=1)
    twilio.account.save(sid, OTHER, message="urgent")
    with pytest.raises(AccountError) as caught:
        imported(twilio, file)
    assert f"was made from revision 1 of {sid}, which is at revision 2 now: published" in str(caught.value)
    assert "('urgent')" in str(caught.value)
    assert "--since 2" in str(caught.value)
    assert twilio.writes == []
    assert imported(twilio, file, since=2)[0].ok


def test_a_file_that_was_imported_may_be_changed_and_imported_again(twilio: StandIn, written: Written) -> None:
    imported(twilio, written())
    (outcome,) = imported(twilio, written(OTHER))
    assert (outcome.ok, outcome.revision) == (True, 2)


def test_a_revision_of_no_flow_is_refused(twilio: StandIn, written: Written) -> None:
    with pytest.raises(AccountError, match="no flow that this file was made from"):
        imported(twilio, written(), since=3)
    assert twilio.writes == []


def test_without_a_note_it_is_said_that_nobody_can_know(twilio: StandIn, written: Written) -> None:
    twilio.account.add_flow("desk", OLD)
    (plan,) = planned(twilio, written())
    assert any("cannot be known" in notice for notice in plan.notices)
    (plan,) = planned(twilio, written(), since=1)
    assert plan.notices == ()


def test_a_note_about_a_flow_of_another_account_is_kept_and_counts_for_nothing(
    twilio: StandIn, written: Written
) -> None:
    file = written()
    write_mark(file, flow_sid="FW" + "9" * 32, revision=7)
    assert "which is not in this account" in planned(twilio, file)[0].notices[0]
    (outcome,) = imported(twilio, file)
    assert outcome.done == ("create",)
    mark = read_mark(file)
    assert mark
    assert mark.revision == 7


def test_a_draft_of_somebody_else_that_would_be_replaced_is_known(twilio: StandIn, written: Written) -> None:
    sid = twilio.account.add_flow("desk", OLD)
    twilio.account.save(sid, OTHER, status="draft")
    (plan,) = planned(twilio, written())
    draft = plan.change.replaced_draft()
    assert draft is not None
    assert draft.revision == 2
    assert plan.change.differences()[0].text == 'say is "Good morning", before "Hello"'  # against what callers hear


# ---------------------------------------------------------------------------------- refused before any change


def test_what_the_linter_refuses_never_reaches_twilio(twilio: StandIn, written: Written) -> None:
    broken = json.loads(json.dumps(NEW).replace('"next": "hi"', '"next": "nowhere"'))
    with pytest.raises(FlowError, match=r"desk.json: SR\d+ error: .*nowhere"):
        imported(twilio, written(broken))
    assert twilio.seen == []


def test_what_twilio_refuses_of_one_file_stops_all(twilio: StandIn, written: Written) -> None:
    problem = {"property_path": "#/states/1/properties/say", "message": "is not polite"}
    twilio.validator = lambda found: [problem] if found == OTHER else []
    with pytest.raises(AccountError) as caught:
        imported(twilio, written(), written(OTHER, "rude.json"))
    assert "rude.json: Twilio refuses it: hi (#/states/1/properties/say): is not polite" in str(caught.value)
    assert twilio.writes == []


def test_two_files_for_one_flow_are_refused(twilio: StandIn, written: Written, tmp_path: Path) -> None:
    sid = twilio.account.add_flow("desk", OLD)
    files = [written(NEW, "one.json"), written(OTHER, "two.json")]
    for file in files:
        write_mark(file, flow_sid=sid, revision=1)
    with pytest.raises(AccountError, match=r"two\.json: would become"):
        imported(twilio, *files)
    assert twilio.writes == []


def test_values_are_mapped_and_entries_that_met_nothing_are_said(twilio: StandIn, written: Written) -> None:
    values = ValueMap(replace={"Good morning": "Guten Morgen", "absent": "x"})
    (plan,) = planned(twilio, written(), values=values)
    assert "replace.absent of the map met nothing" in plan.notices
    (outcome,) = imported(twilio, written(), values=values)
    said = twilio.account.flows[outcome.sid].newest.definition["states"][1]["properties"]["say"]
    assert said == "Guten Morgen"


def test_sids_that_the_account_must_have_are_said(twilio: StandIn, written: Written) -> None:
    queue = "WW" + "0" * 32
    (plan,) = planned(twilio, written(saying(queue)))
    assert f"names {queue} (in hi), which this account must have" in plan.notices


# ------------------------------------------------------------------------------------ Twilio keeps something else


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda state: state["properties"].pop("voice"), "#/states/1/properties/voice (hi) was left out"),
        (lambda state: state["properties"].update(loop="1"), "#/states/1/properties/loop (hi) is another value"),
        (lambda state: state["properties"].update(loop=True), "#/states/1/properties/loop (hi) is another value"),
        (lambda state: state.update(transitions=[]), "#/states/1/transitions (hi) is another value"),
    ],
)
def test_what_twilio_keeps_otherwise_is_found_before_anything_is_published(
    twilio: StandIn, written: Written, changed: Callable[[dict[str, Any]], Any], said: str
) -> None:
    sid = twilio.account.add_flow("desk", OLD)

    def forgetful(found: dict[str, Any]) -> dict[str, Any]:
        copy: dict[str, Any] = json.loads(json.dumps(found))
        changed(copy["states"][1])
        return copy

    twilio.on_save = forgetful
    (outcome,) = imported(twilio, written(), publish=True)
    assert not outcome.ok
    assert outcome.kept_otherwise == (said,)
    assert (outcome.done, outcome.left) == (("save",), ("publish",))
    live = twilio.account.flows[sid].live
    assert live
    assert live.definition == OLD


def test_what_twilio_adds_by_itself_is_no_fault_and_no_reason_to_save_again(twilio: StandIn, written: Written) -> None:
    twilio.on_save = _adding
    (outcome,) = imported(twilio, written())
    assert outcome.ok
    assert imported(twilio, written()) == ()
    (outcome,) = imported(twilio, written(), publish=True)
    assert outcome.done == ("publish",)
    assert imported(twilio, written(), publish=True) == ()
    assert imported(twilio, written(), publish=True, since=1) == ()  # what we would write anyway is nobody's loss


def test_what_somebody_adds_is_no_addition_of_twilios(twilio: StandIn, written: Written) -> None:
    twilio.on_save = _adding
    (outcome,) = imported(twilio, written(), publish=True)
    flow = twilio.account.flows[outcome.sid]
    theirs = _adding(flow.newest.definition)
    theirs["states"][1]["properties"]["loop_forever"] = "true"
    twilio.account.save(flow.sid, theirs, message=flow.newest.commit_message or "")
    with pytest.raises(AccountError, match="at revision 3 now"):
        imported(twilio, written(), publish=True)


def _adding(found: Mapping[str, Any]) -> dict[str, Any]:
    """What an API keeps that fills in what it was not sent."""
    copy: dict[str, Any] = json.loads(json.dumps(found))
    for state in copy["states"]:
        state["properties"].setdefault("kept_for", "a year")
    return copy


@pytest.mark.parametrize("fault", [Fault.ERROR_AFTER, Fault.HTML_AFTER])
@pytest.mark.parametrize("existing", [False, True])
def test_a_lost_answer_is_understood_though_twilio_adds_to_what_it_keeps(
    twilio: StandIn, written: Written, fault: Fault, existing: bool
) -> None:
    _prepared(twilio, existing)
    twilio.on_save = _adding
    asked = len(planned(twilio, written(), publish=True)) and len(twilio.seen)
    twilio.faults = {2 * asked + 1: fault}
    (outcome,) = imported(twilio, written(), publish=True)
    assert twilio.seen[2 * asked + 1].startswith("POST")
    assert outcome.ok


# ------------------------------------------------------------------------------------------ faults, everywhere


def _prepared(twilio: StandIn, publish_before: bool) -> str | None:
    return twilio.account.add_flow("desk", OLD) if publish_before else None


REQUESTS = 12
"""As many as the longest run below makes."""

LASTING = (Fault.NOT_CONNECTED, Fault.ERROR_AFTER, Fault.BUSY)
FAULTS = [*((fault, False) for fault in Fault), *((fault, True) for fault in LASTING)]


@pytest.mark.parametrize("existing", [False, True], ids=["create", "update"])
@pytest.mark.parametrize(("fault", "lasting"), FAULTS, ids=lambda value: getattr(value, "name", str(value)))
@pytest.mark.parametrize("number", range(REQUESTS))
def test_whatever_fails_the_account_is_as_announced_and_the_run_can_be_repeated(
    twilio: StandIn, written: Written, number: int, fault: Fault, lasting: bool, existing: bool
) -> None:
    sid = _prepared(twilio, existing)
    file = written()
    twilio.faults = dict.fromkeys(range(number, 400 if lasting else number + 1), fault)
    told: list[Step] = []
    try:
        outcomes = imported(twilio, file, publish=True, users=(USER,), told=told)
    except AccountError:
        assert twilio.writes == []
        assert told == []
    else:
        _check_announced(twilio, outcomes[0], told)
        assert lasting or not outcomes[0].unknown  # where looking is possible, we know
    twilio.faults = {}
    assert all(outcome.ok for outcome in imported(twilio, file, publish=True, users=(USER,)))
    (flow,) = twilio.account.flows.values()
    assert sid in (None, flow.sid)
    assert [r.status for r in flow.revisions] == (["published"] if existing else []) + ["draft", "published"]
    assert flow.newest.definition == NEW
    assert flow.test_users == [USER]


def _check_announced(twilio: StandIn, outcome: Outcome, told: list[Step]) -> None:
    """What is there is what the outcome says, or it says that nobody knows."""
    before = 1 if outcome.change.standing else 0
    unknown = [step.kind for step in outcome.steps if step.state == "unknown"]
    flows = twilio.account.flows
    begun = [step.kind for step in told if step.state == "begun"]
    assert [step.kind for step in told if step.state != "begun"] == begun  # each has an end
    assert outcome.ok == (not outcome.left)
    if unknown:
        assert len(unknown) == 1
        assert unknown[0] not in outcome.done
        return
    if not outcome.sid:
        assert flows == {}
        return
    flow = flows[outcome.sid]
    expected = before + sum(kind in outcome.done for kind in ("create", "save", "publish"))
    assert (flow.newest.number, outcome.revision) == (expected, expected)
    assert (flow.newest.status == "published") == ("publish" in outcome.done or expected == 1 == before)
    assert flow.test_users == ([USER] if "test users" in outcome.done else [])


@pytest.mark.parametrize("number", range(REQUESTS))
def test_somebody_who_saves_meanwhile_loses_nothing_unsaid(twilio: StandIn, written: Written, number: int) -> None:
    sid = twilio.account.add_flow("desk", OLD)
    file = written()
    write_mark(file, flow_sid=sid, revision=1)

    def meanwhile() -> None:
        twilio.account.save(sid, OTHER, status="draft", message="mine")

    twilio.before[number] = meanwhile
    if number < 2:  # before the flow was read
        with pytest.raises(AccountError, match="at revision 2 now"):
            imported(twilio, file, publish=True)
        assert twilio.writes == []
        return
    (outcome,) = imported(twilio, file, publish=True)
    theirs = [r.number for r in twilio.account.flows[sid].revisions if r.definition == OTHER]
    ours = [r.number for r in twilio.account.flows[sid].revisions if r.definition == NEW]
    if theirs and any(number > theirs[0] for number in ours):
        assert any(f"--revision {theirs[0]}" in note for note in outcome.notes)
    elif theirs and number < len(twilio.seen) - 1:
        assert not outcome.ok or theirs[0] > max(ours)


def test_an_older_draft_with_more_in_it_is_not_taken_for_the_one_that_was_not_saved(
    twilio: StandIn, written: Written
) -> None:
    sid = twilio.account.add_flow("desk", OLD)
    twilio.account.save(sid, _adding(NEW), status="draft")
    file = written()
    planned(twilio, file)
    twilio.faults = {2 * len(twilio.seen) + 1: Fault.ERROR_BEFORE}
    (outcome,) = imported(twilio, file)
    assert (outcome.done, outcome.unknown) == ((), False)
    assert "at revision 2 as before; nothing was saved" in outcome.failure


def test_what_somebody_publishes_while_we_save_a_draft_is_not_published_over(twilio: StandIn, written: Written) -> None:
    sid = twilio.account.add_flow("desk", OLD)
    file = written()
    planned(twilio, file)
    save = 2 * len(twilio.seen) + 1  # planning asks the same once more; then it is looked whether the flow moved
    twilio.before[save] = lambda: twilio.account.save(sid, OTHER)
    (outcome,) = imported(twilio, file, publish=True)
    live = twilio.account.flows[sid].live
    assert live is not None
    assert (live.number, live.definition) == (2, OTHER)
    assert (outcome.done, outcome.left) == (("save",), ("publish",))
    assert "--revision 2`" in outcome.notes[0]
    assert "not published" in outcome.failure
    twilio.before = {}
    (plan,) = planned(twilio, file, publish=True)
    assert [str(change) for change in plan.change.differences()] == [
        'hi: say is "Good morning", before "Somebody else\'s"'
    ]
    assert plan.change.steps == ("publish",)


@pytest.mark.parametrize("number", range(REQUESTS))
def test_an_interrupt_is_answered_with_what_is_known(twilio: StandIn, written: Written, number: int) -> None:
    twilio.account.add_flow("desk", OLD)

    def interrupt() -> None:
        raise KeyboardInterrupt

    twilio.after[number] = interrupt
    try:
        (outcome,) = imported(twilio, written(), publish=True, users=(USER,))
    except KeyboardInterrupt:
        assert twilio.writes == []
        return
    if number < len(twilio.seen) - 1 or outcome.interrupted:
        assert outcome.interrupted
        assert not outcome.ok
    twilio.after = {}
    assert all(again.ok for again in imported(twilio, written(), publish=True, users=(USER,), since=outcome.revision))


@pytest.mark.parametrize("number", range(4))
def test_an_interrupt_between_requests_is_told_too(twilio: StandIn, written: Written, number: int) -> None:
    twilio.account.add_flow("desk", OLD)
    source = read_source(written())
    (plan,) = plan_import(opened(twilio), [source], Ordered(publish=True))
    told: list[Step] = []

    def tell(outcome: Outcome, step: Step) -> None:
        told.append(step)
        if len(told) == number + 1:
            raise KeyboardInterrupt

    (outcome,) = carry_out(opened(twilio), [plan.change], tell)
    assert (outcome.interrupted, outcome.ok) == (True, False)
    assert len(twilio.writes) == len(outcome.done)


@pytest.mark.parametrize("fault", [Fault.ERROR_BEFORE, Fault.ERROR_AFTER, Fault.BROKEN_AFTER, Fault.HTML_AFTER])
def test_half_an_import_says_which_file_is_done_and_goes_on_later(
    twilio: StandIn, written: Written, fault: Fault
) -> None:
    files = [written(NEW, "one.json"), written(OTHER, "two.json"), written(OLD, "three.json")]
    plans: tuple[PlannedImport, ...] = planned(twilio, *files)
    asked = len(twilio.seen)
    twilio.faults = {asked + 4: fault, asked + 5: Fault.ERROR_BEFORE}
    outcomes = carry_out(opened(twilio), [plan.change for plan in plans], lambda outcome, step: None)
    assert outcomes[0].ok
    assert len(outcomes) in (2, 3)
    twilio.faults = {}
    assert all(outcome.ok for outcome in imported(twilio, *files))
    assert sorted(flow.newest.friendly_name for flow in twilio.account.flows.values()) == ["one", "three", "two"]
