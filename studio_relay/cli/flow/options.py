"""Arguments and options that several flow commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(dir_okay=False, path_type=Path)
ANY_PATH = click.Path(path_type=Path)


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
