"""A flow on one screen: how it starts, what it talks to, where it can end; a drawing of it is `diagram`'s."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from studio_relay.studio.flow import Flow, Transition
from studio_relay.studio.subject import Subject, entries

_URLS = {
    "run-conversation-relay": "url",
    "add-twiml-redirect": "url",
    "make-http-request": "url",
    "run-function": "url",
    "fork-stream": "stream_url",
}
_WIDTH, _TREE_LINES = 100, 40


def overview(flow: Flow) -> list[str]:
    """Lines for a terminal: a summary, then the ways of a call as a tree, cut to one screen."""
    subject = Subject(flow.document)
    lines = [f"{flow.name}: {len(flow.states)} widgets, {len(subject.live)} of them reachable"]
    starts = [f"{t.event} -> {t.next}" for t in flow.trigger.transitions if t.next]
    lines.append(f"starts   {', '.join(starts) or 'nothing is connected'}")
    kinds = Counter(widget.type for widget in flow.states.values() if widget.type != "trigger")
    lines.append("widgets  " + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
    lines += [f"talks to {line}" for line in _outside(flow)]
    if subject.variables:
        lines.append("sets     " + ", ".join(sorted(subject.variables)))
    tree = list(_tree(flow))
    lines += ["", *tree[:_TREE_LINES]]
    if len(tree) > _TREE_LINES:
        lines.append(f"... and {len(tree) - _TREE_LINES} more lines; a diagram shows them all")
    return [_cut(line) for line in lines]


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


def _outside(flow: Flow) -> Iterator[str]:
    for widget in flow.states.values():
        key = _URLS.get(widget.type)
        if key and widget.text(key):
            given = ", ".join(str(row.get("key")) for row in entries(widget, "parameters"))
            yield f"{widget.text(key)} ({widget.name}{': ' + given if given else ''})"


def _tree(flow: Flow) -> Iterator[str]:
    """Every widget once, depth first from the trigger; a second way to it is only named."""
    seen: set[str] = set()
    stack: list[tuple[int, str, str]] = [(0, "", flow.initial_state)]
    while stack:
        depth, label, name = stack.pop()
        widget = flow.states[name]
        way = f"{label} -> " if label else ""
        if name in seen:
            yield f"{'  ' * depth}{way}{name} (above)"
            continue
        seen.add(name)
        yield f"{'  ' * depth}{way}{name} [{widget.type}]"
        ways = [(depth + 1, _label(t), t.next) for t in widget.transitions if t.next in flow.states]
        stack += [(level, text, target) for level, text, target in reversed(ways) if target is not None]


def _label(t: Transition) -> str:
    return " and ".join(map(str, t.conditions)) or t.event
