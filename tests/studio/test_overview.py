"""A flow on one screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio_relay.studio.flow import load_flow
from studio_relay.studio.overview import overview


def test_the_front_desk_on_one_screen(kit: Any) -> None:
    lines = overview(load_flow(kit.repo / "studio_flows" / "front_desk.json"))
    assert lines[:3] == [
        "front_desk.json: 9 widgets, 9 of them reachable",
        "starts   incomingCall -> welcome",
        "widgets  3 say-play, 2 split-based-on, 1 run-conversation-relay, 1 set-variables, 1 connect-call-to",
    ]
    assert "talks to wss://relay.example.com/relay/front-desk (relay: flow_sid, execution_sid, caller_city)" in lines
    assert "sets     handoff" in lines
    assert "      success -> has_handoff [split-based-on]" in lines
    assert any(line.endswith("-> person (above)") for line in lines)


def test_nothing_connected_and_loops(kit: Any) -> None:
    loop = kit.flow(kit.state("a", "say-play", {"audioComplete": "a"}))
    assert any("a (above)" in line for line in overview(loop))
    assert "starts   nothing is connected" in overview(kit.flow(kit.state("a", "say-play"), start=None))


def test_the_largest_flow_fits(corpus: list[Path]) -> None:
    for path in corpus:
        lines = overview(load_flow(path))
        assert len(lines) < 75
        assert max(map(len, lines)) <= 100
