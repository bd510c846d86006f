"""Flows from one account to another: subflows first, values mapped, and all that would break said before anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from stand_in import Fault, StandIn, State, definition, mounted

from studio_relay.errors import AccountError
from studio_relay.studio.account.api import Account
from studio_relay.studio.account.carrying_out import carry_out
from studio_relay.studio.account.change import Ordered
from studio_relay.studio.account.credentials import Credentials
from studio_relay.studio.account.outcome import Outcome
from studio_relay.studio.account.promotion import Place, PlannedPromotion, plan_promotion
from studio_relay.studio.account.subflows import LATEST_REVISION
from studio_relay.studio.value_map import ValueMap

QUEUE, PROD_QUEUE = "WW" + "1" * 32, "WW" + "2" * 32
NUMBER, PROD_NUMBER, PERSON = "+15550100011", "+15550100012", "+15550100013"


def flow(*states: Mapping[str, Any], text: str = "Hello") -> dict[str, Any]:
    """A greeting, and then these widgets, of which nothing leads anywhere."""
    made = definition("hi", text=text)
    made["states"] += states
    return made


def subflow(sid: str, revision: str = "LatestPublished", name: str = "sub") -> dict[str, Any]:
    properties = {"flow_sid": sid, "flow_revision": revision, "parameters": []}
    return {"name": name, "type": "run-subflow", "transitions": [], "properties": properties}


def queue(sid: str = QUEUE) -> dict[str, Any]:
    return {"name": "flex", "type": "send-to-flex", "transitions": [], "properties": {"workflow": sid}}


def dial(number: str, caller_id: str = "{{contact.channel.address}}") -> dict[str, Any]:
    properties = {"noun": "number", "to": number, "caller_id": caller_id}
    return {"name": "person", "type": "connect-call-to", "transitions": [], "properties": properties}


@cache
def opened(sid: str, secret: str) -> Account:
    """The same client for many runs: making one reads all certificates, which takes longer than a promotion."""
    return Account(Credentials(account_sid=sid, user=sid, secret=secret), sleep=lambda seconds: None)


class Two:
    """Two accounts, `dev` and `prod`, and what is promoted between them."""

    def __init__(self, twilio: StandIn) -> None:
        self.twilio = twilio
        self.dev, self.prod = twilio.accounts.values()

    def place(self, name: str, values: ValueMap | None = None) -> Place:
        state: State = getattr(self, name)
        return Place(name=name, account=opened(state.sid, state.secrets[""]), values=values or ValueMap())

    def planned(
        self, name: str, replace: Mapping[str, str] | None = None, widgets: Any = None, **said: Any
    ) -> tuple[PlannedPromotion, ...]:
        options = {key: said.pop(key) for key in ("revision", "with_subflows") if key in said}
        values = ValueMap(replace=replace or {}, widgets=widgets or {})
        return plan_promotion(name, self.place("dev"), self.place("prod", values), Ordered(**said), **options)

    def promoted(self, name: str, replace: Mapping[str, str] | None = None, **said: Any) -> tuple[Outcome, ...]:
        plans = self.planned(name, replace, **said)
        changes = [plan.change for plan in plans if plan.change.steps]
        return carry_out(self.place("prod").account, changes, lambda outcome, step: None)

    def in_prod(self, name: str) -> Any:
        """The newest revision of the only flow of that name."""
        (found,) = (flow for flow in self.prod.flows.values() if flow.newest.friendly_name == name)
        return found.newest

    @property
    def dev_writes(self) -> int:
        return sum(len(flow.revisions) for flow in self.dev.flows.values())


@pytest.fixture
def two() -> Iterator[Two]:
    dev = State(sid="AC" + "0" * 31 + "1", secrets={"": "hush" * 8})
    prod = State(sid="AC" + "0" * 31 + "2", secrets={"": "quiet" * 6})
    for stand_in in mounted(StandIn(dev, prod)):
        yield Two(stand_in)


def refused(promote: Callable[[], Any]) -> str:
    with pytest.raises(AccountError) as caught:
        promote()
    assert str(caught.value).endswith("Nothing was changed.")
    return str(caught.value)


# ------------------------------------------------------------------------------------------ what becomes of what


def test_a_flow_is_made_there_and_then_kept_up_to_date(two: Two) -> None:
    sid = two.dev.add_flow("Desk", flow())
    (outcome,) = two.promoted("Desk", publish=True)
    assert outcome.done == ("create", "publish")
    assert two.in_prod("Desk").commit_message.startswith(f"promoted from dev, {sid} revision 1 [")
    two.dev.save(sid, flow(text="Good morning"))
    (outcome,) = two.promoted("Desk", publish=True, message="spring")
    assert two.in_prod("Desk").definition == flow(text="Good morning")
    assert two.in_prod("Desk").commit_message.startswith(f"spring (promoted from dev, {sid} revision 2) [")
    assert two.promoted("Desk", publish=True) == ()


def test_what_twilio_adds_in_prod_is_no_reason_to_promote_again(two: Two) -> None:
    sub = two.dev.add_flow("Greeting", flow(text="from below"))
    two.dev.add_flow("Desk", flow(subflow(sub)))
    two.twilio.on_save = lambda found: {"kept_for": "a year", **found}
    assert [outcome.ok for outcome in two.promoted("Desk", publish=True)] == [True, True]
    assert two.promoted("Desk", publish=True) == ()


def test_subflows_go_first_and_are_known_by_their_new_sids(two: Two) -> None:
    sub = two.dev.add_flow("Greeting", flow(text="from below"))
    two.dev.add_flow("Desk", flow(subflow(sub)))
    outcomes = two.promoted("Desk", publish=True)
    assert [outcome.change.wanted.label for outcome in outcomes] == ["Greeting", "Desk"]
    named = two.in_prod("Desk").definition["states"][2]["properties"]["flow_sid"]
    assert named == outcomes[0].sid
    assert named in two.prod.flows
    assert two.promoted("Desk", publish=True) == ()


def test_a_subflow_of_two_widgets_is_promoted_once(two: Two) -> None:
    sub = two.dev.add_flow("Greeting", flow())
    two.dev.add_flow("Desk", flow(subflow(sub), subflow(sub, name="again")))
    assert len(two.promoted("Desk")) == 2


def test_the_map_says_which_flow_it_becomes_whatever_its_name(two: Two) -> None:
    sub, there = two.dev.add_flow("Greeting", flow(text="new")), two.prod.add_flow("Welcome", flow())
    two.dev.add_flow("Desk", flow(subflow(sub)))
    two.promoted("Desk", {sub: there})
    assert two.prod.flows[there].newest.definition == flow(text="new")
    assert two.prod.flows[there].newest.friendly_name == "Welcome"
    assert two.in_prod("Desk").definition["states"][2]["properties"]["flow_sid"] == there


def test_subflows_can_be_left_as_they_are_there(two: Two) -> None:
    sub, there = two.dev.add_flow("Greeting", flow(text="new")), two.prod.add_flow("Greeting", flow())
    two.dev.add_flow("Desk", flow(subflow(sub)))
    two.promoted("Desk", with_subflows=False)
    assert len(two.prod.flows[there].revisions) == 1
    assert two.in_prod("Desk").definition["states"][2]["properties"]["flow_sid"] == there


def test_values_are_mapped_and_the_account_itself_too(two: Two) -> None:
    hook = {"url": f"https://webhooks.twilio.com/v1/Accounts/{two.dev.sid}/Flows/FLOW", "method": "POST"}
    away = {"name": "away", "type": "add-twiml-redirect", "transitions": [], "properties": hook}
    sid = two.dev.add_flow("Desk", flow(queue(), dial(NUMBER), away))
    two.dev.save(sid, json.loads(json.dumps(flow(queue(), dial(NUMBER), away)).replace("FLOW", sid)))
    two.dev.add_number(NUMBER)
    there = two.prod.add_flow("Desk", flow())
    replace = {QUEUE: PROD_QUEUE, NUMBER: PROD_NUMBER}
    two.promoted("Desk", replace, widgets={"flex": {"priority": "1"}})
    _, _, flex, person, redirect = two.in_prod("Desk").definition["states"]
    assert (flex["properties"]["workflow"], flex["properties"]["priority"]) == (PROD_QUEUE, "1")
    assert person["properties"]["to"] == PROD_NUMBER
    assert redirect["properties"]["url"].endswith(f"/Accounts/{two.prod.sid}/Flows/{there}")


def test_what_is_published_is_taken_and_a_draft_only_when_asked(two: Two) -> None:
    sid = two.dev.add_flow("Desk", flow())
    two.dev.save(sid, flow(text="half done"), status="draft")
    two.promoted("Desk")
    assert two.in_prod("Desk").definition == flow()
    two.promoted("Desk", revision=LATEST_REVISION)
    assert two.in_prod("Desk").definition == flow(text="half done")


def test_what_was_changed_by_hand_there_is_said(two: Two) -> None:
    two.dev.add_flow("Desk", flow())
    two.promoted("Desk", publish=True)
    (there,) = two.prod.flows
    two.prod.save(there, flow(text="urgent"), message="quick fix")
    (plan,) = two.planned("Desk")
    assert any("revision 3 in prod was not promoted there (quick fix)" in notice for notice in plan.notices)


def test_servers_that_stay_the_same_are_said(two: Two) -> None:
    relay = {"name": "relay", "type": "run-conversation-relay", "transitions": []}
    two.dev.add_flow("Desk", flow({**relay, "properties": {"url": "wss://dev.example.com/relay"}}))
    (plan,) = two.planned("Desk")
    assert "wss://dev.example.com (in relay) is the same in dev and prod" in plan.notices
    (plan,) = two.planned("Desk", {"dev.example.com": "www.example.com"})
    assert not any("is the same" in notice for notice in plan.notices)


# --------------------------------------------------------------------------------------------- what would break


def test_everything_that_would_break_is_said_at_once_and_nothing_is_changed(two: Two) -> None:
    two.dev.add_number(NUMBER)
    sub = two.dev.add_flow("Greeting", flow(queue()))
    two.dev.add_flow("Desk", flow(subflow(sub), dial(PERSON, caller_id=NUMBER)))
    said = refused(lambda: two.promoted("Desk"))
    assert f"'Greeting' ({sub}): widget 'flex' names {QUEUE}, which is dev's" in said
    assert "widget 'person' names a telephone number of dev" in said
    assert PERSON not in said
    assert NUMBER not in said
    assert two.prod.flows == {}


def test_what_the_map_leaves_as_it_is_breaks_nothing(two: Two) -> None:
    two.dev.add_number(NUMBER)
    two.dev.add_flow("Desk", flow(queue(), dial(NUMBER)))
    assert two.promoted("Desk", {QUEUE: QUEUE, NUMBER: NUMBER})[0].ok
    assert two.in_prod("Desk").definition == flow(queue(), dial(NUMBER))


def test_a_widgets_own_value_is_as_good_as_a_replaced_one(two: Two) -> None:
    two.dev.add_flow("Desk", flow(queue()))
    assert two.promoted("Desk", widgets={"flex": {"workflow": QUEUE}})[0].ok


@pytest.mark.parametrize(
    ("sub", "said"),
    [
        ("FW" + "9" * 32, "dev has no such flow, or never published it"),
        ("draft", "Publish it there\nNothing"),
    ],
)
def test_a_subflow_that_is_not_there_is_said(two: Two, sub: str, said: str) -> None:
    sid = two.dev.add_flow("Greeting", flow(), status="draft") if sub == "draft" else sub
    two.dev.add_flow("Desk", flow(subflow(sid)))
    assert said in refused(lambda: two.promoted("Desk"))


def test_a_flow_that_was_never_published_can_be_taken_as_a_draft(two: Two) -> None:
    two.dev.add_flow("Desk", flow(), status="draft")
    assert "take its draft: --revision LatestRevision" in refused(lambda: two.promoted("Desk"))
    assert two.promoted("Desk", revision=LATEST_REVISION)[0].ok


def test_a_flow_that_is_only_named_must_be_there(two: Two) -> None:
    other = two.dev.add_flow("Other", flow())
    hook = {"url": f"https://webhooks.twilio.com/v1/Accounts/{two.dev.sid}/Flows/{other}"}
    two.dev.add_flow("Desk", flow({"name": "x", "type": "add-twiml-redirect", "transitions": [], "properties": hook}))
    assert "prod has no flow of this name" in refused(lambda: two.promoted("Desk"))
    there = two.prod.add_flow("Other", flow())
    two.promoted("Desk")
    assert there in str(two.in_prod("Desk").definition)


def test_one_name_of_two_flows_there_is_refused(two: Two) -> None:
    sid = two.dev.add_flow("Desk", flow())
    there = [two.prod.add_flow("Desk", flow()) for _ in range(2)]
    said = refused(lambda: two.promoted("Desk"))
    assert f'prod has 2 flows of this name ({", ".join(there)}); say which in its map: "{sid}" = "FW..."' in said
    assert two.promoted("Desk", {sid: there[1]}) == ()


def test_a_map_to_a_flow_that_is_not_there_is_refused(two: Two) -> None:
    sid = two.dev.add_flow("Desk", flow())
    said = refused(lambda: two.promoted("Desk", {sid: "FW" + "8" * 32}))
    assert "which is no flow of prod" in said


def test_numbers_of_revisions_mean_nothing_elsewhere(two: Two) -> None:
    sub = two.dev.add_flow("Greeting", flow())
    two.dev.add_flow("Desk", flow(subflow(sub, "1")))
    assert "runs revision 1" in refused(lambda: two.promoted("Desk"))
    assert two.promoted("Desk", widgets={"sub": {"flow_revision": "LatestPublished"}})[-1].ok


def test_flows_that_run_each_other_are_refused(two: Two) -> None:
    one = two.dev.add_flow("One", flow())
    other = two.dev.add_flow("Other", flow(subflow(one)))
    two.dev.save(one, flow(subflow(other)))
    assert "runs itself by way of" in refused(lambda: two.promoted("One"))


def test_one_account_under_two_names_writes_no_flow_over_itself(two: Two) -> None:
    sid = two.dev.add_flow("Desk", flow())
    with pytest.raises(AccountError, match="are one account, and the flow would be written over itself"):
        plan_promotion("Desk", two.place("dev"), two.place("dev"), Ordered())
    assert len(two.dev.flows[sid].revisions) == 1


def test_what_twilio_refuses_is_said_with_the_flows_name(two: Two) -> None:
    two.dev.add_flow("Desk", flow())
    two.twilio.validator = lambda found: [{"property_path": "#/states/1/name", "message": "is rude"}]
    said = refused(lambda: two.promoted("Desk"))
    assert "'Desk': Twilio refuses it: hi (#/states/1/name): is rude" in said


def test_what_twilio_says_of_a_flow_that_is_yet_to_be_made_counts_for_nothing(two: Two) -> None:
    sub = two.dev.add_flow("Greeting", flow())
    two.dev.add_flow("Desk", flow(subflow(sub)))

    def knows_its_own(found: Mapping[str, Any]) -> list[dict[str, str]]:
        strange = sub in str(found)
        return [{"property_path": "#/states/2/properties/flow_sid", "message": "no such flow"}] if strange else []

    two.twilio.validator = knows_its_own
    assert [outcome.ok for outcome in two.promoted("Desk")] == [True, True]


def test_two_flows_of_one_name_do_not_become_one(two: Two) -> None:
    sub = two.dev.add_flow("Desk", flow())
    root = two.dev.add_flow("Desk", flow(subflow(sub)))
    assert "would become the same flow of prod" in refused(lambda: two.promoted(root))
    two.prod.add_flow("Desk", flow())
    assert "would become the same flow of prod" in refused(lambda: two.promoted(root))
    there = two.prod.add_flow("Greeting", flow())
    assert two.promoted(root, {sub: there})[-1].ok


def test_a_key_that_may_not_list_numbers_still_promotes_and_says_so(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden() -> Iterator[Any]:
        raise AccountError("no", status=403)

    two.dev.add_flow("Desk", flow(dial(PERSON)))
    monkeypatch.setattr(two.place("dev").account, "numbers", forbidden)
    (plan,) = two.planned("Desk")
    assert any("is not known: the key may not ask" in notice for notice in plan.notices)


# ------------------------------------------------------------------------------------------ faults, everywhere

REQUESTS = 24


@pytest.mark.parametrize("fault", [*Fault], ids=lambda fault: fault.name)
def test_whatever_fails_prod_is_as_announced_and_the_promotion_can_be_repeated(two: Two, fault: Fault) -> None:
    """For every request of a promotion of a flow with a subflow, that is new in prod, or there already."""
    replace = {QUEUE: PROD_QUEUE}
    sub = two.dev.add_flow("Greeting", flow(queue()))
    two.dev.add_flow("Desk", flow(subflow(sub)))
    for number in range(REQUESTS):
        two.prod.flows.clear()
        two.twilio.seen.clear()
        two.twilio.forms.clear()
        two.twilio.faults = {number: fault}
        try:
            outcomes = two.promoted("Desk", replace, publish=True)
        except AccountError:
            assert two.twilio.writes == []
            assert two.prod.flows == {}
        else:
            assert not any(outcome.unknown for outcome in outcomes)
            _check_announced(two, outcomes)
        two.twilio.faults = {}
        assert all(outcome.ok for outcome in two.promoted("Desk", replace, publish=True))
        assert sorted(f.newest.friendly_name for f in two.prod.flows.values()) == ["Desk", "Greeting"]
        assert all([r.status for r in f.revisions] == ["draft", "published"] for f in two.prod.flows.values())
    assert two.dev_writes == 2


def _check_announced(two: Two, outcomes: tuple[Outcome, ...]) -> None:
    """Prod has exactly the flows and revisions that the outcomes tell of."""
    told = {outcome.sid: outcome for outcome in outcomes if outcome.sid}
    assert set(told) == set(two.prod.flows)
    for sid, outcome in told.items():
        there = two.prod.flows[sid]
        assert outcome.revision == there.newest.number == len(outcome.done)
        assert (there.newest.status == "published") == ("publish" in outcome.done)
