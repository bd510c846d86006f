"""`studio-relay flow import`: flow files into the account, shown and asked before, undone by what is printed after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studio_relay.cli.flow.account import environment_options
from studio_relay.cli.flow.changing import change_flows, finish, read_test_users
from studio_relay.cli.flow.options import FILE, json_option, select_option

if TYPE_CHECKING:
    from studio_relay.studio.account.importing import PlannedImport, Source
    from studio_relay.studio.account.outcome import Outcome


@click.command("import")
@click.argument("words", nargs=-1, required=True, metavar="FILES... [FLOW]")
@click.option("--name", metavar="NAME", help="The flow's friendly name.  [default: as it is, or the file's name]")
@click.option("--publish", is_flag=True, help="Publish it too: callers hear it. Otherwise it stays a draft.")
@click.option(
    "--test-users", callback=read_test_users, metavar="N,N", help="Numbers that hear the newest draft; '' for nobody."
)
@click.option("--map", "map_path", type=FILE, metavar="FILE", help="Replace SIDs, numbers and URLs, as in dev.toml.")
@click.option("--message", default="", metavar="TEXT", help="Kept with the revision.")
@click.option("--since", type=click.IntRange(min=1), metavar="N", help="The revision the file was made from.")
@select_option
@environment_options
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("-y", "--yes", is_flag=True, help="Say yes beforehand.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    words: tuple[str, ...],
    name: str | None,
    publish: bool,
    test_users: tuple[str, ...] | None,
    map_path: Path | None,
    message: str,
    since: int | None,
    select: str | None,
    environment: str | None,
    environments: Path | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Bring flow files into the account, as drafts.

    FLOW is the SID or friendly name of the flow that a single file becomes. Without it that is the flow the file
    was exported from, else the one of its name, else a new one. All files are linted, validated by Twilio and
    compared with what callers hear before anything is written; then you are asked.

    A file remembers, in FILE.revision beside it, which revision it is a copy of. If somebody saved the flow since,
    the import is refused; --since N says which revision the file was made from, whatever the note says.

    A draft is heard by test users only. Publishing is a step behind it: what Twilio kept is compared first.
    """
    from studio_relay.cli.flow.account import open_account, tell
    from studio_relay.studio.account.change import Ordered
    from studio_relay.studio.account.importing import plan_import

    sources = _sources(words, name=name, since=since, select=select, map_path=map_path)
    with open_account(environment=environment, environments=environments) as account:
        ordered = Ordered(publish=publish, test_users=test_users, message=message)
        plans = plan_import(account, sources, ordered, progress=tell)
        outcomes = change_flows(
            account,
            [(plan.change, plan.notices) for plan in plans],
            dry_run=dry_run,
            yes=yes,
            as_json=as_json,
            afterwards=lambda outcomes: _note(plans, outcomes),
        )
    finish(ctx, outcomes)


def _sources(
    words: Sequence[str], *, name: str | None, since: int | None, select: str | None, map_path: Path | None
) -> tuple[Source, ...]:
    """The files, read and linted. Raises FlowError with what is wrong with each."""
    from studio_relay.errors import FlowError
    from studio_relay.studio.account.importing import read_source
    from studio_relay.studio.lint import load_config
    from studio_relay.studio.value_map import load_map

    files, flow = _files_and_flow(words)
    if len(files) > 1 and (name is not None or since is not None):
        raise click.UsageError("--name and --since are about one flow; import the files one by one")
    config, values = load_config(), load_map(map_path) if map_path else None
    sources, faults = [], []
    for file in files:
        try:
            source = read_source(file, values=values, config=config, select=select, flow=flow, name=name, since=since)
            sources.append(source)
        except FlowError as error:
            faults.append(str(error))
    if faults:
        raise FlowError("\n".join([*faults, "Nothing was changed."]))
    return tuple(sources)


def _files_and_flow(words: Sequence[str]) -> tuple[list[Path], str | None]:
    """The files, and the flow that is named behind a single one: a SID, or a word that is no file."""
    from studio_relay.studio.account.api import is_flow_sid

    if len(words) == 2 and (is_flow_sid(words[1]) or not Path(words[1]).is_file()):
        return [Path(words[0])], words[1]
    return [Path(word) for word in words], None


def _note(plans: Sequence[PlannedImport], outcomes: Sequence[Outcome]) -> None:
    """Let the files remember what they are a copy of now. That it was imported is true without that, too."""
    from studio_relay.errors import FlowError
    from studio_relay.studio.account.importing import note_revision

    by_label = {outcome.change.wanted.label: outcome for outcome in outcomes}
    for plan in plans:
        outcome = by_label.get(plan.change.wanted.label)
        saved = outcome is not None and {"create", "save", "publish", "rename"} & set(outcome.done)
        if outcome is None or not saved or outcome.revision is None:
            continue
        try:
            note_revision(plan, sid=outcome.sid, revision=outcome.revision)
        except FlowError as error:
            click.echo(f"studio-relay: {error}", err=True)
