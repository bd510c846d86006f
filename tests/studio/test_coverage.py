"""Coverage counts what can be reached and has somewhere to go."""

from __future__ import annotations

from typing import Any

from studio_relay.studio.coverage import coverage


async def test_coverage_by_widget_event_and_condition(run: Any, kit: Any) -> None:
    flow = kit.flow(
        kit.split("s", "{{trigger.call.Key}}", ("equal_to", "1", "a"), ("equal_to", "2", "a"), no_match="b"),
        kit.state("a", "say-play", {"audioComplete": None}),
        kit.state("b", "say-play", {"audioComplete": "a"}),
        kit.state("lost", "say-play", {"audioComplete": "a"}),
    )
    one, two = [await run(flow, call={"Key": key}) for key in ("1", "2")]
    found = coverage(flow, [one])
    assert found.to_json() == {
        "widgets": {"covered": 3, "total": 4},
        "transitions": {
            "covered": 2,
            "total": 5,
            "missed": [
                {"widget": "s", "event": "noMatch", "next": "b"},
                {"widget": "s", "event": "match", "condition": "equal_to 2", "next": "a"},
                {"widget": "b", "event": "audioComplete", "next": "a"},
            ],
        },
    }
    assert coverage(flow, [one, two]).percent == 60.0
    rest = await run(flow, call={"Key": "3"})
    assert coverage(flow, [one, two, rest]).percent == 100.0


def test_nothing_reachable_is_wholly_covered(kit: Any) -> None:
    assert coverage(kit.flow(kit.state("a", "say-play")), [], trigger="incomingMessage").percent == 100.0
