"""`studio-relay flow probe`: asks the account's validator about the relay widget and writes what it learnt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio_relay.cli.flow.account import environment_options
from studio_relay.cli.flow.options import FILE, json_option

if TYPE_CHECKING:
    from studio_relay.studio.account.probing.facts import Facts

FACTS_FILE = Path("widget-facts.json")
_LEAST = 10
_MOST = 60
_TOLD_EVERY = 5


@click.command("probe")
@click.option("-o", "--output", type=FILE, metavar="FILE", help=f"Where the facts go.  [default: {FACTS_FILE}]")
@click.option(
    "--most",
    type=click.IntRange(min=_LEAST),
    default=_MOST,
    show_default=True,
    metavar="N",
    help="Send no more requests.",
)
@click.option("--widgets", type=FILE, metavar="FILE", help="Change this widgets.toml of a checkout, once you say yes.")
@click.option("--dry-run", is_flag=True, help="Print what would be asked; needs no account and sends nothing.")
@click.option("-y", "--yes", is_flag=True, help="Say yes beforehand: overwrite without asking.")
@environment_options
@json_option
def command(
    output: Path | None,
    most: int,
    widgets: Path | None,
    dry_run: bool,
    yes: bool,
    environment: str | None,
    environments: Path | None,
    as_json: bool,
) -> None:
    """Ask Twilio what the relay widget may hold.

    FlowValidate is asked about definitions made for the purpose: one that should be right, some that are wrong, and
    then candidates, until properties, types, events and what is required are settled or the requests are used up.
    FlowValidate saves nothing: the account stays as it is.

    The facts are anonymous (no account, SID, URL or date). What they would change in our table of widgets is printed
    as a diff; --widgets FILE makes that change in a checkout. What the answers leave open is written as undetermined.
    """
    if dry_run:
        _print_plan(most, as_json=as_json)
        return
    target = output or FACTS_FILE
    _ask_before(target, yes=yes)
    table = _read_table(widgets)
    found = _probe(most, environment, environments)
    text, difference = _facts_text(found), _difference(table, found)
    _write(target, text)
    if as_json:
        _print_json(found, difference, target)
    else:
        _print_facts(found)
        _print_difference(difference)
        click.echo(f"wrote {target}")
    if widgets is not None:
        _change_table(widgets, table, found, yes=yes)


def _ask_before(target: Path, *, yes: bool) -> None:
    """A file that is there, or cannot be, is spoken of before the requests, not after."""
    import os

    from studio_relay.cli.asking import ask
    from studio_relay.cli.errors import NotDone

    if not os.access(target.parent, os.W_OK):
        raise NotDone(f"{target}: its folder is not there or cannot be written; nothing was asked")
    if target.exists():
        ask(f"overwrite {target}?", yes=yes, declined=f"{target} is there already, and nothing was asked or written")


def _read_table(path: Path | None) -> str:
    """The text of the table that the facts are compared with; this installation's if none is named."""
    from importlib.resources import files

    from studio_relay.cli.errors import NotDone
    from studio_relay.studio.account.probing.offer import check_table

    source = path or files("studio_relay.studio").joinpath("widgets.toml")
    try:
        table = source.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise NotDone(f"{path}: expected UTF-8 text, as in studio_relay/studio/widgets.toml") from None
    check_table(table)
    return table


def _probe(most: int, environment: str | None, environments: Path | None) -> Facts:
    from studio_relay.cli.flow.account import open_account, tell
    from studio_relay.studio.account.probe import probe

    def progress(asked: int, limit: int) -> None:
        if asked % _TOLD_EVERY == 0:
            tell(f"{asked} of at most {limit} requests sent")

    with open_account(environment=environment, environments=environments) as account:
        tell(f"asking FlowValidate, which saves nothing, at most {most} times")
        return probe(account, most=most, progress=progress)


def _facts_text(found: Facts) -> str:
    import json

    return json.dumps(found.to_json(), ensure_ascii=False, indent=2) + "\n"


def _difference(table: str, found: Facts) -> str:
    from studio_relay.studio.account.probing.offer import offered
    from studio_relay.studio.writing import text_diff

    return text_diff(table, offered(table, found), "widgets.toml")


def _write(target: Path, text: str) -> None:
    from studio_relay.cli.flow.files import write_result

    write_result(target, text)


def _change_table(path: Path, table: str, found: Facts, *, yes: bool) -> None:
    from studio_relay.cli.asking import ask
    from studio_relay.studio.account.probing.offer import offered

    changed = offered(table, found)
    if changed == table:
        click.echo(f"{path} says all of it already", err=True)
        return
    ask(f"change {path}?", yes=yes, declined=f"{path} was not changed; the facts were written")
    _write(path, changed)
    click.echo(f"changed {path}", err=True)


def _print_plan(most: int, *, as_json: bool) -> None:
    from studio_relay.cli.flow.printing import print_json, print_wrapped
    from studio_relay.studio.account.probing.candidates import candidates

    known = candidates()
    if as_json:
        plan = {"requests_at_most": most, "properties": list(known.keys), "events": list(known.events)}
        print_json({"version": 1, "ok": True, "dry_run": True, **plan})
        return
    print_wrapped(f"at most {most} requests to FlowValidate, which saves nothing; in this order:")
    steps = (
        "a flow with the smallest relay widget, which should be accepted",
        "an unknown property and a wrong value, which should be refused: how is that said?",
        f"{len(known.keys)} names of properties, each with values of several JSON types",
        f"{len(known.events)} names of events",
        "the accepted widget without each of its properties: which are required?",
        "free texts, Liquid, and values of lists",
    )
    for number, step in enumerate(steps, 1):
        print_wrapped(step, first=f"  {number}. ", indent="     ")
    print_wrapped("nothing was sent")


def _print_json(found: Facts, difference: str, target: Path) -> None:
    from studio_relay.cli.flow.printing import print_json

    print_json(
        {
            "version": 1,
            "ok": True,
            "dry_run": False,
            "facts": found.to_json(),
            "diff": difference,
            "written": str(target),
        }
    )


_NAMES = {
    "all": "names every fault",
    "some": "names some faults at a time",
    "first": "names one fault at a time",
    "none": "says no more than yes or no",
    "undetermined": "was not seen to name several faults",
}


_REPORT_INPUT = {
    "yes": "the widget takes it; set it to what interruptible is, so that words that interrupt a reply arrive",
    "no": "the widget does not take it; words that interrupt a streaming reply may never reach the server",
    "undetermined": "undetermined; until it is known, count on words that interrupt a streaming reply being lost",
}


def _print_facts(found: Facts) -> None:
    from studio_relay.cli.flow.printing import count, print_wrapped

    spoken = f"{count(found.asked, 'request')}; the validator {_NAMES[found.names]}"
    print_wrapped(f"{spoken}; unknown properties are {found.unknown_properties}", indent="  ", first="")
    for name, fact in found.properties.items():
        required = {True: ", required", False: "", None: ", perhaps required"}[fact.required]
        values = f", one of {', '.join(fact.one_of)}" if fact.one_of else ""
        print_wrapped(f"{name}: {fact.json}{required}{values}", first="  ", indent="      ")
    events = "not checked by the validator" if found.unknown_events == "ignored" else ", ".join(found.events)
    print_wrapped(f"events: {events or 'undetermined'}", indent="  ", first="")
    said = f"reportInputDuringAgentSpeech: {_REPORT_INPUT[found.takes_report_input]}"
    print_wrapped(said, indent="  ", first="")
    open_ = [*found.undetermined, *found.not_accepted]
    if open_:
        print_wrapped(f"undetermined: {', '.join(open_)}", indent="  ", first="")
    if found.not_properties:
        print_wrapped(
            f"{count(len(found.not_properties), 'name')} asked for that are no properties", indent="  ", first=""
        )


def _print_difference(difference: str) -> None:
    from studio_relay.cli.printable import printable

    if not difference:
        click.echo("our table of widgets says all of it already")
        return
    click.echo("what this would change in our table of widgets:")
    for line in difference.splitlines():
        click.secho(printable(line), fg={"+": "green", "-": "red", "@": "cyan"}.get(line[:1]))
