"""Generated widgets take every code, attributes are safe whatever is in them, disagreements are found."""

from __future__ import annotations

import copy
import json
import random
from typing import Any, Literal

import pytest

from studio_relay.errors import FlowError
from studio_relay.handoff import SERVER_CODES, Handoff
from studio_relay.studio.document import read_document
from studio_relay.studio.flow import build_flow, load_flow
from studio_relay.studio.handoff import attributes, compare, facts_of, widgets
from studio_relay.studio.lint import lint
from studio_relay.studio.liquid import render


class Desk(Handoff):
    reason_code: Literal["person", "callback", "done"]
    callback_number: str | None = None


class Open(Handoff):
    pass


ENDS = {"person": "person", "callback": "bye", "done": "bye", "relay-agent-failed": "person"}


def generated(kit: Any) -> dict[str, Any]:
    stages = widgets(Desk, relay="relay", prefix="desk_", targets=ENDS, otherwise="bye")
    relay = kit.state(
        "relay",
        "run-conversation-relay",
        {"success": "desk_has_handoff", "failed": "person"},
        url="wss://relay.example.com/relay/desk",
    )
    person = kit.state(
        "person", "connect-call-to", {"callCompleted": None, "hangup": None}, noun="number", to="+15550100009"
    )
    made: dict[str, Any] = kit.definition(
        relay, *stages, person, kit.state("bye", "say-play", {"audioComplete": None}, say="Bye")
    )
    return made


@pytest.mark.parametrize(
    ("code", "end"),
    [*ENDS.items(), ("relay-limit", "person"), ("relay-draining", "person"), ("other", "bye"), (None, "bye")],
)
async def test_generated_widgets_take_every_code(run: Any, kit: Any, code: str | None, end: str) -> None:
    flow = build_flow(read_document(json.dumps(generated(kit))))
    text = None if code is None else json.dumps({"reasonCode": code, "version": 1, "summary": "person"})
    caller = kit.Caller(answers={"person": {"event": "callCompleted"}})
    result = await run(flow, relay=kit.ended(text), caller=caller)
    assert result.widgets[-1] == end
    assert result.warnings == ()


def test_generated_widgets_lint_clean_and_agree_with_the_agent(kit: Any) -> None:
    document = read_document(json.dumps(generated(kit)))
    assert [str(f) for f in lint(document).findings if f.severity != "notice"] == []
    assert compare(build_flow(document), facts_of(Desk)) == ()


def test_the_shipped_flow_agrees_with_its_codes(kit: Any) -> None:
    assert compare(load_flow(kit.repo / "studio_flows" / "front_desk.json"), facts_of(Desk)) == ()


def test_disagreements_are_found(kit: Any) -> None:
    definition = copy.deepcopy(generated(kit))
    route = definition["states"][4]
    route["transitions"][1]["conditions"][0]["value"] = "persons"
    definition["states"][-1]["properties"]["say"] = "{{flow.variables.handoff.ticket}}"
    found = compare(build_flow(read_document(json.dumps(definition))), facts_of(Desk, name="desk"))
    assert [(m.kind, m.widget) for m in found] == [
        ("no-code", "desk_route"),
        ("no-branch", "desk_route"),
        ("no-member", "bye"),
    ]
    assert found[0].message == "no code of desk reaches the branch 'equal_to persons'"
    assert "'person'" in found[1].message
    assert found[2].to_json()["path"] == "#/states/6/properties/say"


def test_a_split_on_the_whole_text_is_understood(kit: Any) -> None:
    flow = kit.flow(
        kit.state("relay", "run-conversation-relay", {"success": "s"}, url="wss://x.example"),
        kit.split(
            "s",
            "{{widgets.relay.HandoffData}}",
            ("contains", '"callback"', None),
            ("contains", "relay-", None),
            ("contains", "done", None),
            no_match=None,
        ),
    )
    assert [m.message for m in compare(flow, facts_of(Desk))] == [
        "no branch takes 'person'; it goes where nothing matches"
    ]


def test_no_split_at_all(kit: Any) -> None:
    flow = kit.flow(kit.state("relay", "run-conversation-relay", {"success": None}, url="wss://x.example"))
    assert [m.kind for m in compare(flow, facts_of(Desk))] == ["no-branch"]
    assert compare(flow, facts_of(Open)) == ()


def test_what_cannot_be_generated_is_refused() -> None:
    with pytest.raises(FlowError, match=r"no Literal"):
        widgets(Open, relay="relay")
    with pytest.raises(FlowError, match="cannot be read in Liquid"):
        widgets(Desk, relay="my relay")
    with pytest.raises(FlowError, match="do not fit"):
        attributes(Desk, extra={f"member_{i}": "contact.channel.address" for i in range(60)})


PIECES = [
    '"',
    "\\",
    "\n",
    "\t",
    "\u2028",
    "😀",
    "שלום",
    "مرحبا",
    "{{ x }}",
    "{%",
    "null",
    "a",
    " word ",
    "\x01",
    "'",
    "}",
    "é",
]


@pytest.mark.parametrize("escaped", [False, True], ids=["utf-8", "escaped"])
def test_attributes_are_json_within_the_bound_whatever_the_handoff_holds(
    escaped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How Studio's to_json writes letters outside ASCII is unverified, so both ways must fit."""
    if escaped:
        monkeypatch.setattr("studio_relay.studio.liquid.to_json", json.dumps)
        from studio_relay.studio import liquid_dialect

        monkeypatch.setitem(liquid_dialect.environment().filters, "to_json", json.dumps)
    chance = random.Random(7)
    template = attributes(Desk, extra={"from": "contact.channel.address"})
    for _ in range(1_500):
        size = chance.choice([0, 3, 60, 900, 4_096])
        summary = "".join(chance.choice(PIECES) for _ in range(size))[:4_096]
        code = chance.choice(["person", "callback", "done", *SERVER_CODES, "a" * 32])
        handoff = {"reasonCode": code, "version": 1, "summary": summary, "callbackNumber": summary[:40] or None}
        context = {"flow": {"variables": {"handoff": handoff}}, "contact": {"channel": {"address": "+15550100001"}}}
        rendered = render(template, context)
        assert rendered.warnings == ()
        assert len(rendered.text.encode("utf-16-le")) // 2 <= 1_024
        found = json.loads(rendered.text)
        assert found["reasonCode"] == code
        assert found["from"] == "+15550100001"
        assert summary.startswith(found["summary"].removesuffix("..."))


def test_a_plain_summary_keeps_most_of_its_words() -> None:
    context = {"flow": {"variables": {"handoff": {"reasonCode": "done", "summary": "word " * 800}}}}
    assert len(json.loads(render(attributes(Desk), context).text)["summary"]) > 600
    assert json.loads(render(attributes(Desk), {}).text)["summary"] == ""
