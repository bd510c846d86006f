"""Where the widgets of a flow go on a drawing: layers from the trigger downwards, or the positions of the canvas.

Nothing is drawn here; `diagram` does that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from studio_relay.studio.flow import Flow

WIDTH, HEIGHT, GAP_X, GAP_Y = 190.0, 46.0, 28.0, 84.0
_BEND_WIDTH = 24.0
_SWEEPS = 12

Point = tuple[float, float]
Arc = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Centres of the widgets, and for each pair of connected ones the points its line goes through.

    Lines run from the lower edge of the first to the upper edge of the second; `upward` ones run back up.
    """

    centres: Mapping[str, Point]
    lines: Mapping[Arc, Sequence[Point]]
    upward: frozenset[Arc]
    width: float
    height: float


def arcs_of(flow: Flow) -> list[Arc]:
    """Connected pairs of widgets in file order, each once; a widget with itself left out."""
    pairs = ((w.name, t.next) for w in flow.states.values() for t in w.transitions)
    return list(dict.fromkeys((a, b) for a, b in pairs if b is not None and b in flow.states and a != b))


def layered(flow: Flow) -> Layout:
    """Layers by distance from the trigger, ordered so that few lines cross."""
    arcs = arcs_of(flow)
    upward = _back_arcs(flow, arcs)
    forward = [(b, a) if (a, b) in upward else (a, b) for a, b in arcs]
    depth = _depths(list(flow.states), forward)
    chains, layers = _with_bends(list(flow.states), list(dict.fromkeys(forward)), depth)
    _untangle(layers, chains)
    x = _columns(layers, chains)
    centres = {name: (x[name], depth[name] * (HEIGHT + GAP_Y)) for name in flow.states}
    lines = {}
    for (a, b), arc in zip(arcs, forward, strict=True):
        chain = chains[arc]
        points = [(x[node], (depth[arc[0]] + step) * (HEIGHT + GAP_Y)) for step, node in enumerate(chain)]
        lines[(a, b)] = points[::-1] if (a, b) in upward else points
    return _shifted(centres, lines, upward)


def canvas(flow: Flow) -> Layout:
    """The positions the author gave the widgets in Studio's editor; those without one stand below."""
    centres: dict[str, Point] = {}
    lost = 0
    for name, widget in flow.states.items():
        offset = widget.properties.get("offset")
        if isinstance(offset, dict) and all(isinstance(offset.get(k), (int, float)) for k in "xy"):
            centres[name] = (float(offset["x"]) * 0.8, float(offset["y"]) * 0.6)
        else:
            lost += 1
            centres[name] = (lost * (WIDTH + GAP_X), -HEIGHT - GAP_Y)
    lines = {(a, b): [centres[a], centres[b]] for a, b in arcs_of(flow)}
    upward = frozenset((a, b) for a, b in lines if centres[b][1] <= centres[a][1])
    return _shifted(centres, lines, upward)


def _shifted(centres: Mapping[str, Point], lines: Mapping[Arc, Sequence[Point]], upward: frozenset[Arc]) -> Layout:
    points = [*centres.values(), *(point for line in lines.values() for point in line)] or [(0.0, 0.0)]
    left, top = min(x for x, _ in points) - WIDTH, min(y for _, y in points) - HEIGHT
    return Layout(
        centres={name: (x - left, y - top) for name, (x, y) in centres.items()},
        lines={arc: [(x - left, y - top) for x, y in line] for arc, line in lines.items()},
        upward=upward,
        width=max(x for x, _ in points) - left + WIDTH,
        height=max(y for _, y in points) - top + HEIGHT,
    )


def _back_arcs(flow: Flow, arcs: list[Arc]) -> frozenset[Arc]:
    """Arcs that close a loop, found depth first from the trigger; turned round they leave no loop."""
    targets: dict[str, list[str]] = {name: [] for name in flow.states}
    for a, b in arcs:
        targets[a].append(b)
    back: set[Arc] = set()
    done: set[str] = set()
    for root in (flow.initial_state, *flow.states):
        if root in done or root not in targets:
            continue
        open_, stack = {root}, [(root, iter(targets[root]))]
        while stack:
            name, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                stack.pop()
                open_.discard(name)
                done.add(name)
            elif following in open_:
                back.add((name, following))
            elif following not in done:
                open_.add(following)
                stack.append((following, iter(targets[following])))
    return frozenset(back)


def _depths(names: list[str], forward: list[Arc]) -> dict[str, int]:
    """The longest way to each widget, counted in arcs."""
    before: dict[str, list[str]] = {name: [] for name in names}
    for a, b in forward:
        before[b].append(a)
    depth: dict[str, int] = {}
    waiting = list(names)
    while waiting:
        name = waiting[-1]
        missing = [a for a in before[name] if a not in depth]
        if name not in depth and missing:
            waiting += missing
            continue
        waiting.pop()
        depth.setdefault(name, 1 + max((depth[a] for a in before[name]), default=-1))
    return depth


def _with_bends(
    names: list[str], forward: list[Arc], depth: Mapping[str, int]
) -> tuple[dict[Arc, list[str]], list[list[str]]]:
    """For each arc the nodes it passes, with an invisible one in every layer between."""
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for name in names:
        layers[depth[name]].append(name)
    chains: dict[Arc, list[str]] = {}
    for number, (a, b) in enumerate(forward):
        bends = [f"\0{number}:{level}" for level in range(depth[a] + 1, depth[b])]
        for bend, level in zip(bends, range(depth[a] + 1, depth[b]), strict=True):
            layers[level].append(bend)
        chains[(a, b)] = [a, *bends, b]
    return chains, layers


def _neighbours(chains: Mapping[Arc, list[str]]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    above: dict[str, list[str]] = {}
    below: dict[str, list[str]] = {}
    for chain in chains.values():
        for upper, lower in pairwise(chain):
            below.setdefault(upper, []).append(lower)
            above.setdefault(lower, []).append(upper)
    return above, below


def _untangle(layers: list[list[str]], chains: Mapping[Arc, list[str]]) -> None:
    """Order each layer by the mean place of its neighbours, down and up by turns."""
    above, below = _neighbours(chains)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        near = above if down else below
        order = layers[1:] if down else layers[-2::-1]
        for layer in order:
            place = {n: i / max(len(level), 1) for level in layers for i, n in enumerate(level)}
            means = {n: _mean([place[m] for m in near.get(n, [])], place[n]) for n in layer}
            layer.sort(key=means.__getitem__)


def _mean(values: list[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _columns(layers: list[list[str]], chains: Mapping[Arc, list[str]]) -> dict[str, float]:
    """Places across: each node as near to its neighbours as the order and the gaps allow."""
    above, below = _neighbours(chains)
    x: dict[str, float] = {}
    for layer in layers:
        x |= zip(layer, _spread(layer, [0.0] * len(layer)), strict=True)
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            wishes = [_mean([x[m] for m in (*above.get(n, []), *below.get(n, []))], x[n]) for n in layer]
            x |= zip(layer, _spread(layer, wishes), strict=True)
    return x


def _spread(layer: list[str], wishes: list[float]) -> list[float]:
    """The places nearest to the wishes (least squares) that keep order and gaps: pool adjacent violators."""
    shift, shifts = 0.0, []
    for index, node in enumerate(layer):
        shift += (_breadth(layer[index - 1]) + _breadth(node)) / 2 + GAP_X if index else 0.0
        shifts.append(shift)
    blocks: list[tuple[float, int]] = []
    for wish, moved in zip(wishes, shifts, strict=True):
        blocks.append((wish - moved, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (mean, count), (other, more) = blocks.pop(), blocks.pop()
            blocks.append(((mean * count + other * more) / (count + more), count + more))
    level = [mean for mean, count in blocks for _ in range(count)]
    return [place + moved for place, moved in zip(level, shifts, strict=True)]


def _breadth(node: str) -> float:
    return _BEND_WIDTH if node.startswith("\0") else WIDTH
