"""Two hundred damaged flows of six kinds: the linter and the comparison with the agent catch at least 95 in 100."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

import pytest

from studio_relay.handoff import Handoff
from studio_relay.studio.document import read_document
from studio_relay.studio.flow import build_flow
from studio_relay.studio.handoff import compare, facts_of
from studio_relay.studio.lint import lint

Definition = dict[str, Any]
SUMMARY = "{{flow.variables.handoff.summary | truncate: 600 | to_json}}"
NUMBER = "{{flow.variables.handoff.callbackNumber | to_json}}"
ATTRIBUTES = f'{{"summary":{SUMMARY},"number":{NUMBER}}}'


class Desk(Handoff):
    reason_code: Literal["person", "callback", "done"]
    callback_number: str | None = None


@pytest.fixture
def sound(kit: Any) -> Definition:
    """The front desk, with people reached through Flex."""
    made: Definition = json.loads((kit.repo / "studio_flows" / "front_desk.json").read_text(encoding="utf-8"))
    matches(made, "route")[0]["next"] = "flex"
    ends = {"callComplete": None, "failedToEnqueue": "person", "callFailure": "person"}
    made["states"].append(kit.state("flex", "send-to-flex", ends, workflow="WW0", channel="TC0", attributes=ATTRIBUTES))
    return made


def state(definition: Definition, name: str) -> Definition:
    found: Definition = next(s for s in definition["states"] if s["name"] == name)
    return found


def matches(definition: Definition, name: str) -> list[Definition]:
    return [t for t in state(definition, name)["transitions"] if t["event"] == "match"]


def renamed_code(d: Definition, chance: random.Random) -> None:
    condition = chance.choice(matches(d, "route")[:3])["conditions"][0]
    condition["value"] += chance.choice(["s", "-now", "2"])


def unwired(d: Definition, chance: random.Random) -> None:
    ends = [("relay", "failed"), ("relay", "success"), ("flex", "failedToEnqueue"), ("route", "noMatch")]
    name, event = chance.choice(ends)
    next(t for t in state(d, name)["transitions"] if t["event"] == event).pop("next")


def wrong_widget_read(d: Definition, chance: random.Random) -> None:
    index = next(i for i, s in enumerate(d["states"]) if s["name"] == "parse")
    other = chance.choice(["welcome", "rely", "goodbye", "sorry", "person", "route"])
    d["states"][index] = json.loads(json.dumps(d["states"][index]).replace("widgets.relay.", f"widgets.{other}."))


def dropped_to_json(d: Definition, chance: random.Random) -> None:
    bare = SUMMARY.replace(" | to_json", "")
    damaged = [
        ATTRIBUTES.replace(SUMMARY, f'"{bare}"'),
        ATTRIBUTES.replace(SUMMARY, bare),
        ATTRIBUTES.replace(SUMMARY, f'"{SUMMARY}"'),
    ]
    state(d, "flex")["properties"]["attributes"] = chance.choice(damaged)


def greeted_twice(d: Definition, chance: random.Random) -> None:
    state(d, "welcome")["properties"]["say"] = chance.choice(
        ["Hello and welcome.", "Hi! One moment.", "Welcome to Example."]
    )
    greeting = chance.choice(["Hello, how can I help?", "Welcome to Example, how can I help?", "Hi there."])
    state(d, "relay")["properties"]["welcome_greeting"] = greeting


def stale_condition(d: Definition, chance: random.Random) -> None:
    condition = chance.choice(matches(d, "route"))["conditions"][0]
    condition["arguments"] = [chance.choice(["{{widgets.relay.HandoffData}}", "{{flow.variables.old.reasonCode}}"])]


KINDS: list[Callable[[Definition, random.Random], None]] = [
    renamed_code,
    unwired,
    wrong_widget_read,
    dropped_to_json,
    greeted_twice,
    stale_condition,
]


def caught(definition: Definition) -> bool:
    document = read_document(json.dumps(definition))
    worth_acting = [finding for finding in lint(document).findings if finding.severity != "notice"]
    return bool(worth_acting) or bool(compare(build_flow(document, strict=False), facts_of(Desk)))


def test_the_undamaged_flow_raises_no_alarm(sound: Definition) -> None:
    assert not caught(sound)


def test_at_least_95_of_100_seeded_defects_are_caught(sound: Definition) -> None:
    chance = random.Random(20)
    missed: Counter[str] = Counter()
    for number in range(200):
        damage = KINDS[number % len(KINDS)]
        definition = copy.deepcopy(sound)
        damage(definition, chance)
        missed[damage.__name__] += not caught(definition)
    assert sum(missed.values()) <= 10, missed
