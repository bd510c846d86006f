"""The text of a Liquid template before it is read as one: its tags, and whether reading them takes a sane time.

python-liquid finds tags with regular expressions that look ahead to the end of the text for every `{{`, `{% raw %}` or
blank tag, so a hostile template of 64 KiB takes it minutes. Everything here reads each character once, and what it
lets pass costs python-liquid a few milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_TEMPLATE_BYTES = 32 * 1024
"""Twice what Studio makes of a template at most (16 KiB); of the templates themselves Twilio publishes no limit."""
MAX_TAGS = 500
MAX_TAG_CHARACTERS = 2_000
MAX_BLANKS = 64
"""White space in a row within a tag."""

_OPENERS = re.compile(r"\{\{|\{%")
_CLOSERS = {"{{": "}}", "{%": "%}"}
_RAW = re.compile(r"\{%-?\s{0,64}(end)?raw\s{0,64}-?%\}")
_BLANKS = re.compile(rf"\s{{{MAX_BLANKS + 1}}}")


class CostlyTemplate(ValueError):
    """The template is not read; the message says what was expected, what was found, and what to do."""


def tags(template: str) -> list[str]:
    """The tags and outputs of a template, `{% raw %}` blocks left out. Raises CostlyTemplate."""
    size = len(template.encode("utf-8", "replace"))
    if size > MAX_TEMPLATE_BYTES:
        raise CostlyTemplate(
            f"template: expected at most {MAX_TEMPLATE_BYTES:,} bytes, got {size:,}. "
            "Split the text over several widgets or variables."
        )
    count = template.count("{{") + template.count("{%")
    if count > MAX_TAGS:
        raise CostlyTemplate(
            f"template: expected at most {MAX_TAGS} tags, got {count:,}. Split the text over several widgets."
        )
    found = list(_tags(template))
    for tag in found:
        _check(tag)
    return found


def is_readable(template: str) -> bool:
    """Whether a text is small enough to be read as a template, or is none."""
    count = template.count("{{") + template.count("{%")
    return count == 0 or (count <= MAX_TAGS and len(template) <= MAX_TEMPLATE_BYTES)


def split_outputs(text: str) -> list[str]:
    """`text` in pieces; those at odd places are outputs, `{{ ... }}`. One that is not closed is plain text."""
    pieces, position = [], 0
    while (start := text.find("{{", position)) >= 0 and (end := text.find("}}", start + 2)) >= 0:
        pieces += [text[position:start], text[start : end + 2]]
        position = end + 2
    return [*pieces, text[position:]]


def outputs(text: str) -> list[str]:
    """Every `{{ ... }}` in `text`."""
    return split_outputs(text)[1::2]


def _tags(template: str) -> Iterator[str]:
    position = 0
    for start, end in [*_raw_blocks(template), (len(template), len(template))]:
        while (opener := _OPENERS.search(template, position, start)) is not None:
            closer = _CLOSERS[opener.group()]
            closed = template.find(closer, opener.end())
            if closed < 0:
                raise CostlyTemplate(
                    f"template: expected {closer} after the {opener.group()} at character {opener.start() + 1}, "
                    "found the end of the text. Close the tag."
                )
            position = closed + len(closer)
            yield template[opener.start() : position]
        position = max(position, end)


def _raw_blocks(template: str) -> list[tuple[int, int]]:
    """Where each `{% raw %}` block begins and ends."""
    blocks: list[tuple[int, int]] = []
    begun: int | None = None
    for mark in _RAW.finditer(template):
        if mark[1] and begun is not None:
            blocks.append((begun, mark.end()))
            begun = None
        elif not mark[1] and begun is None:
            begun = mark.start()
    if begun is not None:
        raise CostlyTemplate(
            f"template: expected {{% endraw %}} after the {{% raw %}} at character {begun + 1}, "
            "found the end of the text. Close the block."
        )
    return blocks


def _check(tag: str) -> None:
    if len(tag) > MAX_TAG_CHARACTERS:
        raise CostlyTemplate(
            f"template: expected tags of at most {MAX_TAG_CHARACTERS:,} characters, got one of {len(tag):,}. "
            "Assign parts of it to variables first."
        )
    if _BLANKS.search(tag):
        raise CostlyTemplate(
            f"template: expected at most {MAX_BLANKS} spaces or line ends in a row inside a tag, got more. Remove them."
        )
