"""Draws a flow: as Mermaid text, or as an SVG of its own with what was covered, or one path, lit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Literal

from studio_relay.studio.coverage import Coverage, Edge
from studio_relay.studio.flow import Flow, Transition, Widget
from studio_relay.studio.layout import HEIGHT, WIDTH, Arc, Layout, Point, canvas, layered
from studio_relay.studio.walk import Walk
from studio_relay.studio.widgets import facts

_LABEL = 30
_NAME = 26
_STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1b1f24 }
  .type { font-size: 10px; fill: #57606a }
  .label { font-size: 10px; fill: #424a53; paint-order: stroke; stroke: #fff; stroke-width: 4px }
  rect { fill: #f6f8fa; stroke: #8c959f; rx: 8px }
  .start rect { fill: #1b1f24 } .start text { fill: #fff }
  .relay rect { fill: #ddf4ff; stroke: #0969da; stroke-width: 2px }
  .logic rect { fill: #fff8c5; stroke: #bf8700 }
  .outside rect { fill: #fbefff; stroke: #8250df }
  path { fill: none; stroke: #8c959f; stroke-width: 1.3px }
  .up path { stroke-dasharray: 5 3 }
  .off { opacity: .32 }
  .on rect { stroke: #1a7f37; stroke-width: 2.5px } .on path { stroke: #1a7f37; stroke-width: 2.2px }
"""


@dataclass(frozen=True, kw_only=True)
class Lit:
    """What stands out on a drawing: widgets by name, and transitions; the rest is faded."""

    widgets: frozenset[str]
    edges: frozenset[Edge]

    @classmethod
    def of_walk(cls, walk: Walk) -> Lit:
        """The path of one walk."""
        edges = frozenset((s.widget, s.event or "", s.condition_index or 0) for s in walk.path)
        return cls(widgets=frozenset(walk.widgets), edges=edges)

    @classmethod
    def of_coverage(cls, found: Coverage) -> Lit:
        """Everything that was covered."""
        return cls(widgets=found.entered, edges=found.followed)


def mermaid(flow: Flow) -> str:
    """The flow as a Mermaid flowchart; transitions between the same two widgets share one arrow."""
    ids = {name: f"w{index}" for index, name in enumerate(flow.states)}
    lines = ["flowchart TD"]
    for name, widget in flow.states.items():
        lines.append(f'  {ids[name]}["{_mermaid_text(name)}<br/><small>{_mermaid_text(widget.type)}</small>"]')
    for (source, target), transitions in _grouped(flow).items():
        label = _mermaid_text(_joined(transitions, 60))
        lines.append(f'  {ids[source]} -->|"{label}"| {ids[target]}')
    for kind, style in _MERMAID_STYLES.items():
        members = [ids[w.name] for w in flow.states.values() if _kind(w) == kind]
        if members:
            lines += [f"  classDef {kind} {style}", f"  class {','.join(members)} {kind}"]
    return "\n".join(lines) + "\n"


_MERMAID_STYLES: Mapping[str, str] = {
    "start": "fill:#1b1f24,color:#fff",
    "relay": "fill:#ddf4ff,stroke:#0969da",
    "logic": "fill:#fff8c5,stroke:#bf8700",
    "outside": "fill:#fbefff,stroke:#8250df",
}


def _mermaid_text(text: str) -> str:
    flat = " ".join(text.split())
    return "".join(c if c.isalnum() or c in " _-.,:/+*!" else f"#{ord(c)};" for c in flat)


def svg(flow: Flow, *, layout: Literal["layered", "canvas"] = "layered", lit: Lit | None = None) -> str:
    """The flow as one SVG image without scripts or outside references."""
    placed = canvas(flow) if layout == "canvas" else layered(flow)
    body = [*_edges(flow, placed, lit), *(_box(flow, w, placed.centres[w.name], lit) for w in flow.states.values())]
    size = f'width="{placed.width:.0f}" height="{placed.height:.0f}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {placed.width:.0f} {placed.height:.0f}">',
            f"<title>{escape(flow.name)}</title>",
            f"<style>{_STYLE}</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0,0 L8,4 L0,8 z" style="fill:#57606a;stroke:none"/></marker></defs>',
            f'<rect width="{placed.width:.0f}" height="{placed.height:.0f}" style="fill:#fff;stroke:none;rx:0"/>',
            *body,
            "</svg>\n",
        ]
    )


def _kind(widget: Widget) -> str:
    if widget.type == "trigger":
        return "start"
    if widget.type == "run-conversation-relay":
        return "relay"
    if widget.type in ("split-based-on", "set-variables"):
        return "logic"
    known = facts(widget.type)
    return "outside" if known is None or known.answered else "speech"


def _grouped(flow: Flow) -> dict[Arc, list[Transition]]:
    groups: dict[Arc, list[Transition]] = {}
    for widget in flow.states.values():
        for t in widget.transitions:
            if t.next is not None and t.next in flow.states:
                groups.setdefault((widget.name, t.next), []).append(t)
    return groups


def _joined(transitions: Iterable[Transition], limit: int) -> str:
    words = [" and ".join(str(c) for c in t.conditions) or t.event for t in transitions]
    return _cut(", ".join(dict.fromkeys(words)), limit)


def _cut(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def _box(flow: Flow, widget: Widget, centre: Point, lit: Lit | None) -> str:
    x, y = centre
    classes = f"{_kind(widget)} {_state(lit is None or widget.name in lit.widgets, lit)}".strip()
    return (
        f'<g class="{classes}"><title>{escape(widget.name)} ({escape(widget.type)})</title>'
        f'<rect x="{x - WIDTH / 2:.1f}" y="{y - HEIGHT / 2:.1f}" width="{WIDTH:.0f}" height="{HEIGHT:.0f}"/>'
        f'<text x="{x:.1f}" y="{y - 3:.1f}" text-anchor="middle">{escape(_cut(widget.name, _NAME))}</text>'
        f'<text class="type" x="{x:.1f}" y="{y + 13:.1f}" text-anchor="middle">{escape(widget.type)}</text></g>'
    )


def _state(is_lit: bool, lit: Lit | None) -> str:
    return "" if lit is None else "on" if is_lit else "off"


def _edges(flow: Flow, placed: Layout, lit: Lit | None) -> list[str]:
    groups = _grouped(flow)
    drawn = []
    for arc, transitions in groups.items():
        keys = {(arc[0], t.event, t.index) for t in transitions}
        classes = _state(lit is None or bool(keys & lit.edges), lit) + (" up" if arc in placed.upward else "")
        points = _loop(placed.centres[arc[0]]) if arc[0] == arc[1] else _ends(placed.lines[arc], arc in placed.upward)
        siblings = [other for other in groups if other[0] == arc[0] and other[0] != other[1]]
        step = siblings.index(arc) - (len(siblings) - 1) / 2 if arc in siblings else 0.0
        drawn.append(_edge(arc, _joined(transitions, 400), points, classes.strip(), step))
    return drawn


def _edge(arc: Arc, text: str, points: Sequence[Point], classes: str, step: float) -> str:
    """One line with its label; `step` moves the labels of a widget's lines apart."""
    x, y = _label_place(points)
    y += max(-20.0, min(20.0, step * 11))
    return (
        f'<g class="{classes}"><title>{escape(f"{arc[0]} → {arc[1]}: {text}")}</title>'
        f'<path d="{_curve(points)}" marker-end="url(#tip)"/>'
        f'<text class="label" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{escape(_cut(text, _LABEL))}</text></g>'
    )


def _ends(points: Sequence[Point], upward: bool) -> list[Point]:
    """The points with the first and last moved to the edges of the boxes."""
    half = -HEIGHT / 2 if upward else HEIGHT / 2
    first, last = points[0], points[-1]
    return [(first[0], first[1] + half), *points[1:-1], (last[0], last[1] - half)]


def _loop(centre: Point) -> list[Point]:
    """A small bow under the right corner of the box."""
    right, low = centre[0] + WIDTH / 2, centre[1] + HEIGHT / 2
    return [(right - 34, low), (right - 21, low + 22), (right - 8, low)]


def _label_place(points: Sequence[Point]) -> Point:
    (x1, y1), (x2, y2) = points[0], points[1]
    if points[0][1] == points[-1][1] and len(points) == 3:
        return x2, y2 + 10
    share = 0.5 if len(points) == 2 else 0.62
    return x1 + (x2 - x1) * share, y1 + (y2 - y1) * share + 3


def _curve(points: Sequence[Point]) -> str:
    pieces = [f"M{points[0][0]:.1f},{points[0][1]:.1f}"]
    for (x1, y1), (x2, y2) in pairwise(points):
        middle = (y1 + y2) / 2
        pieces.append(f"C{x1:.1f},{middle:.1f} {x2:.1f},{middle:.1f} {x2:.1f},{y2:.1f}")
    return " ".join(pieces)
