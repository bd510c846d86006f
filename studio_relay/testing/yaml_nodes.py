"""YAML text as nodes with lines, in time and memory in proportion to the text.

PyYAML's own composers recurse (the C one until the process crashes) and let aliases of aliases grow without a bound.
This one is a loop over the parser's events that stops at a depth and at a number of values, aliases counted as if
they were written out. Every scalar stays text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_DEPTH = 50
MAX_VALUES = 5_000

_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # ten times as fast, where PyYAML was built with libyaml


class TooLarge(Exception):
    """Nested deeper, or holding more values, than is read; the message says which, `line` is 1-based."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class _Open:
    """A collection whose end was not met yet; `values` counts what is in it, itself too."""

    node: yaml.Node
    anchor: str | None
    children: list[yaml.Node] = field(default_factory=list)
    values: int = 1


class _Composer:
    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[yaml.Node, int]] = {}
        self.root: yaml.Node | None = None
        self._total = 0

    def take(self, event: Any) -> None:
        step = _STEPS.get(type(event))
        if step is not None:
            step(self, event)

    def document(self, event: Any) -> None:
        if self.root is not None:
            raise yaml.composer.ComposerError(None, None, "expected a single document", event.start_mark)

    def scalar(self, event: Any) -> None:
        node = yaml.ScalarNode("str", event.value, event.start_mark, event.end_mark)
        self._count(1, event)
        self._add(node, event.anchor, 1)

    def alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise yaml.composer.ComposerError(None, None, f"found undefined alias {event.anchor!r}", event.start_mark)
        node, values = self._anchors[event.anchor]
        self._count(values, event)
        self._add(node, None, values)

    def begin(self, event: Any) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise TooLarge("nested too deeply for a script", event.start_mark.line + 1)
        kind = yaml.MappingNode if isinstance(event, yaml.MappingStartEvent) else yaml.SequenceNode
        self._count(1, event)
        self._open.append(_Open(kind("", [], event.start_mark, None), event.anchor))

    def end(self, event: Any) -> None:
        done = self._open.pop()
        children = done.children
        is_mapping = isinstance(done.node, yaml.MappingNode)
        done.node.value = list(zip(children[::2], children[1::2], strict=True)) if is_mapping else children
        done.node.end_mark = event.end_mark
        self._add(done.node, done.anchor, done.values)

    def _add(self, node: yaml.Node, anchor: str | None, values: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = node, values
        if self._open:
            self._open[-1].children.append(node)
            self._open[-1].values += values
        else:
            self.root = node

    def _count(self, values: int, event: Any) -> None:
        self._total += values
        if self._total > MAX_VALUES:
            words = f"holds more than {MAX_VALUES:,} values, with aliases written out; a script is shorter"
            raise TooLarge(words, event.start_mark.line + 1)


_STEPS: dict[type[yaml.Event], Callable[..., None]] = {
    yaml.DocumentStartEvent: _Composer.document,
    yaml.ScalarEvent: _Composer.scalar,
    yaml.AliasEvent: _Composer.alias,
    yaml.SequenceStartEvent: _Composer.begin,
    yaml.MappingStartEvent: _Composer.begin,
    yaml.SequenceEndEvent: _Composer.end,
    yaml.MappingEndEvent: _Composer.end,
}


def compose(text: str) -> yaml.Node | None:
    """The one document in `text`, None if there is none. Raises yaml.YAMLError and TooLarge."""
    composer = _Composer()
    for event in yaml.parse(text, Loader=_Loader):
        composer.take(event)
    return composer.root
