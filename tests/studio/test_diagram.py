"""Drawings: well-formed, whole, without overlaps."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay.studio.coverage import coverage
from studio_relay.studio.diagram import Lit, mermaid, svg
from studio_relay.studio.flow import Flow, load_flow, parse_flow
from studio_relay.studio.layout import GAP_X, HEIGHT, WIDTH, canvas, layered

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def front_desk(kit: Any) -> Flow:
    return load_flow(kit.repo / "studio_flows" / "front_desk.json")


def test_mermaid_has_every_widget_and_joins_parallel_transitions(front_desk: Flow) -> None:
    text = mermaid(front_desk)
    assert text.startswith("flowchart TD\n")
    assert 'w2["relay<br/><small>run-conversation-relay</small>"]' in text
    assert 'w5 -->|"noMatch, equal_to callback, equal_to done"| w8' in text
    assert "class w2 relay" in text


def test_mermaid_escapes_what_would_end_a_label(kit: Any) -> None:
    flow = kit.flow(kit.split("s", "x", ("regex", 'a|b"]', "s2"), no_match=None), kit.state("s2", "say-play"))
    assert "regex a#124;b#34;#93;" in mermaid(flow)


@pytest.mark.parametrize("layout", ["layered", "canvas"])
def test_an_svg_is_well_formed_and_refers_to_nothing_outside(front_desk: Flow, layout: Any) -> None:
    text = svg(front_desk, layout=layout)
    root = ElementTree.fromstring(text)
    names = [t.text for t in root.iter(f"{SVG}text") if t.get("class") is None]
    assert sorted(n for n in names if n) == sorted(front_desk.states)
    assert "script" not in text
    assert text.count("http") == 1


async def test_the_path_of_a_walk_is_lit_and_the_rest_faded(run: Any, kit: Any, front_desk: Flow) -> None:
    walked = await run(front_desk, relay=kit.ended(None))
    root = ElementTree.fromstring(svg(front_desk, lit=Lit.of_walk(walked)))
    classes = {g.findtext(f"{SVG}title", ""): (g.get("class") or "").split() for g in root.iter(f"{SVG}g")}
    assert "on" in classes["goodbye (say-play)"]
    assert "off" in classes["person (connect-call-to)"]
    assert "on" in classes["has_handoff → goodbye: noMatch"]
    assert "off" in classes["relay → sorry: failed"]
    assert svg(front_desk, lit=Lit.of_coverage(coverage(front_desk, [walked]))) == svg(
        front_desk, lit=Lit.of_walk(walked)
    )


def random_flow(names: int, arcs: int, seed: int) -> Flow:
    chance = random.Random(seed)
    states = [
        {"name": f"n{i}", "type": "trigger" if i == 0 else "say-play", "transitions": [], "properties": {}}
        for i in range(names)
    ]
    for number in range(arcs):
        row = {"event": f"e{number}", "next": f"n{chance.randrange(names)}"}
        states[chance.randrange(names)]["transitions"].append(row)  # type: ignore[attr-defined]
    return parse_flow(json.dumps({"states": states, "initial_state": "n0"}))


@given(st.integers(1, 25), st.integers(0, 40), st.integers(0, 10**6))
def test_boxes_of_any_graph_do_not_overlap(names: int, arcs: int, seed: int) -> None:
    flow = random_flow(names, arcs, seed)
    placed = layered(flow)
    boxes = sorted(placed.centres.values(), key=lambda p: (p[1], p[0]))
    for (x1, y1), (x2, y2) in pairwise(boxes):
        assert y2 - y1 > HEIGHT or x2 - x1 > WIDTH + GAP_X - 0.01
    assert all(0 < x < placed.width and 0 < y < placed.height for x, y in boxes)
    ElementTree.fromstring(svg(flow))


def test_the_canvas_keeps_the_authors_arrangement(front_desk: Flow) -> None:
    centres = canvas(front_desk).centres
    assert centres["person"][0] > centres["relay"][0] > centres["goodbye"][0]
    assert centres["relay"][1] < centres["route"][1]


def test_names_are_escaped(kit: Any) -> None:
    flow = kit.flow(kit.state("<b>&", "say-play", {"audioComplete": "<b>&"}))
    assert ElementTree.fromstring(svg(flow)).find(f".//{SVG}text") is not None


def test_the_largest_real_flow_is_drawn(corpus: list[Path]) -> None:
    for path in corpus:
        ElementTree.fromstring(svg(load_flow(path)))
