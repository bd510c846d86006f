"""Arguments and options that several flow commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(dir_okay=False, path_type=Path)
ANY_PATH = click.Path(path_type=Path)
REVISIONS = ("LatestPublished", "LatestRevision")
"""Twilio's words for a revision whose number nobody has to know."""


def flow_argument(function: F) -> F:
    """The flow's file."""
    return click.argument("flow_path", type=FILE, metavar="FLOW")(function)


def select_option(function: F) -> F:
    """Which flow of a file with several."""
    text = "The flow that is meant, by SID or name, where a file holds several."
    return click.option("--select", metavar="NAME", help=text)(function)


def json_option(function: F) -> F:
    """A report for programs."""
    text = "Print the report as JSON, and nothing else."
    return click.option("--json", "as_json", is_flag=True, help=text)(function)


def read_pairs(ctx: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """A click callback for `NAME=VALUE`, any number of times."""
    pairs = {}
    for value in values:
        name, found, rest = value.partition("=")
        if not found or not name.strip():
            raise click.BadParameter(f"expected NAME=VALUE, found {value!r}", ctx, option)
        pairs[name.strip()] = rest
    return pairs


def read_revision(ctx: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """A click callback for a revision of a flow: its number, or one of Twilio's words in any case."""
    found = next((word for word in REVISIONS if value and value.lower() == word.lower()), value)
    if found is not None and found not in REVISIONS and not (found.isascii() and found.isdigit() and int(found)):
        expected = f"expected a number from 1 on, or {' or '.join(REVISIONS)}"
        raise click.BadParameter(f"{expected}, found {value!r}", ctx, option)
    return str(int(found)) if found and found.isdigit() else found
