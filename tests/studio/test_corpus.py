"""Other people's published flows, when they are at hand: read, written back, walked to nowhere in particular."""

from __future__ import annotations

from pathlib import Path

from studio_relay.studio.flow import load_flow
from studio_relay.studio.widgets import facts


def test_every_real_flow_is_read_and_written_back_unchanged(corpus: list[Path]) -> None:
    for path in corpus:
        flow = load_flow(path)
        assert flow.to_text() == path.read_text(encoding="utf-8")
        assert flow.document.to_text(dict(flow.definition)) == flow.to_text()


def test_the_table_knows_every_type_event_and_property_in_them(corpus: list[Path]) -> None:
    unknown = []
    for path in corpus:
        for widget in load_flow(path).states.values():
            known = facts(widget.type)
            assert known is not None, (path.name, widget.type)
            unknown += [(path.name, widget.name, t.event) for t in widget.transitions if t.event not in known.events]
            unknown += [
                (path.name, widget.name, k) for k in widget.properties if k not in {*known.properties, "offset"}
            ]
    assert unknown == []
