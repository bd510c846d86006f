"""What Flex is given by front-desk-to-flex: JSON of at most 1,024 characters, whatever was said on the phone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from random_handoffs import summaries, tasks

from studio_relay.studio.liquid import render


async def test_random_handoffs_arrive_whole_enough() -> None:
    found = await tasks(300)
    assert [task.fault for task in found if task.fault] == []
    assert max(len(task.handoff["summary"]) for task in found) > 1_024
    assert sum(json.loads(task.attributes)["summary"] == task.handoff["summary"] for task in found) > 100


def test_the_same_seed_makes_the_same_texts() -> None:
    assert list(summaries(20, seed=3)) == list(summaries(20, seed=3)) != list(summaries(20, seed=4))


@pytest.mark.parametrize("shape", ["widget", "redirect"])
@pytest.mark.parametrize(
    ("script", "code"), [("person", "person"), ("outage", "outage"), ("gave_up", "relay-agent-failed")]
)
def test_flex_is_told_why(kit: Any, shape: str, script: str, code: str) -> None:
    flow = kit.flow("front-desk-to-flex", shape)
    played = kit.play(flow, kit.load_script(kit.flows / "scripts" / "front-desk-to-flex" / f"{script}.yaml"))
    rendered = render(flow.widget("flex").text("attributes"), played.walk.context)
    told = json.loads(rendered.text)
    assert rendered.warnings == ()
    assert (told["reasonCode"], told["from"]) == (code, "+15550100001")
