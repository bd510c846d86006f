"""`studio-relay flow explore`: caller scripts made from the flow itself; the search is in `studio_relay.studio`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio_relay.cli.flow.options import flow_argument, json_option, select_option

if TYPE_CHECKING:
    from studio_relay.studio.explore import Exploration
    from studio_relay.studio.flow import Flow


@click.command("explore")
@flow_argument
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Write the scripts there.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed finds the same calls.")
@click.option("--max-walks", type=click.IntRange(min=1), default=1500, show_default=True, help="Give up after so many.")
@select_option
@json_option
def command(flow_path: Path, out: Path | None, seed: int, max_walks: int, select: str | None, as_json: bool) -> None:
    """Find calls that take a flow down its branches.

    Conditions are turned round, keys and words made up, and answers of the world outside inferred from what the
    flow reads; relays are answered too, so neither an agent nor an account is needed. A few calls that cover as
    much as all are written to DIR as caller scripts, which are yours from then on: change them, and let `flow
    test` act them out. Files that are there already are never overwritten; then nothing is written at all.
    """
    import asyncio

    from studio_relay.cli.flow.printing import print_json
    from studio_relay.studio.explore import explore
    from studio_relay.studio.flow import load_flow

    flow = load_flow(flow_path, select=select)
    found = asyncio.run(explore(flow, seed=seed, max_walks=max_walks))
    files = found.files(_seen_from(flow_path, out or Path()))
    if out is not None:
        _write(out, files)
    if as_json:
        print_json(_report(flow, found, files))
    else:
        _print(found, files, out)


def _seen_from(flow: Path, folder: Path) -> str:
    """The flow's path, relative to the scripts' folder."""
    import os

    return Path(os.path.relpath(flow, folder)).as_posix()


def _write(folder: Path, files: Mapping[str, str]) -> None:
    """Write all files, or none: what a user made of an earlier one is not to be lost."""
    from studio_relay.errors import FlowError
    from studio_relay.studio.writing import write_atomically

    changed = [name for name, text in files.items() if _differs(folder / name, text)]
    if changed:
        raise FlowError(
            f"{folder}: {', '.join(changed)} {'is' if len(changed) == 1 else 'are'} there already and differ from what "
            "was found; nothing was written. Choose another --out, or move them away."
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_atomically(folder / name, text)


def _differs(path: Path, text: str) -> bool:
    return path.exists() and (not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text)


def _report(flow: Flow, found: Exploration, files: Mapping[str, str]) -> dict[str, Any]:
    calls = [{"file": name, "path": list(call.walk.widgets)} for name, call in zip(files, found.calls, strict=True)]
    report = {"version": 1, "ok": True, "flow": flow.name, "walks": found.walks, "calls": calls}
    return report | {"coverage": found.coverage.to_json()}


def _print(found: Exploration, files: Mapping[str, str], out: Path | None) -> None:
    from studio_relay.cli.flow.printing import count, print_wrapped

    for name, call in zip(files, found.calls, strict=True):
        print_wrapped(f"{name}: {' > '.join(call.walk.widgets)}", first="", indent="    ")
    click.echo()
    for missed in found.coverage.missed:
        condition = f" ({missed.condition})" if missed.condition else ""
        print_wrapped(
            f"not found: {missed.widget}: {missed.event}{condition} -> {missed.next}", first="", indent="    "
        )
    covered, total = len(found.coverage.followed), len(found.coverage.edges)
    words = f"{covered} of {total} transitions ({found.coverage.percent:.0f} %) in {count(len(files), 'call')}"
    print_wrapped(f"{words}, after {found.walks} walks")
    if out is None:
        print_wrapped("--out DIR writes them as caller scripts")
    else:
        print_wrapped(f"written to {out}; next: studio-relay flow test {out}")
