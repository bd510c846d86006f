"""How flow commands print: JSON, and words wrapped at the terminal's width. Needs no library for it."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import click

from studio_relay.cli.printable import printable

WIDEST = 100
_NARROWEST = 20


def width() -> int:
    """Columns to write in."""
    return max(_NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))


def wrapped(text: str, *, first: str | None = None, indent: str = "") -> Iterator[str]:
    """`text` in lines no wider than the terminal; the first begins with `first`."""
    yield from textwrap.wrap(
        printable(text),
        width(),
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=True,
        break_on_hyphens=False,
    )


def print_wrapped(text: str, *, first: str | None = None, indent: str = "") -> None:
    """Print `text`, wrapped."""
    for line in wrapped(text, first=first, indent=indent):
        click.echo(line)


def print_json(report: Mapping[str, Any]) -> None:
    """Print a report for programs."""
    click.echo(json.dumps(report, ensure_ascii=False, indent=2))


def count(number: int, noun: str) -> str:
    """`1 flow`, `2 flows`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
