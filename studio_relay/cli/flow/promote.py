"""`studio-relay flow promote`: a flow with its subflows from one named account to another, shown and asked before."""

from __future__ import annotations

from pathlib import Path

import click

from studio_relay.cli.flow.changing import change_flows, finish, read_test_users
from studio_relay.cli.flow.options import FILE, json_option, read_revision


@click.command("promote")
@click.argument("flow_name", metavar="FLOW")
@click.option("--from", "source_name", required=True, metavar="NAME", help="The environment the flow is in.")
@click.option("--to", "target_name", required=True, metavar="NAME", help="The environment it goes to.")
@click.option("--environments", type=FILE, metavar="FILE", help="Names them.  [default: studio-relay.toml]")
@click.option(
    "--revision",
    callback=read_revision,
    metavar="N",
    help="Of FLOW; LatestRevision takes a draft too.  [default: LatestPublished]",
)
@click.option("--subflows/--no-subflows", default=True, help="Take its subflows along.  [default: yes]")
@click.option("--publish", is_flag=True, help="Publish there too: callers hear it. Otherwise it stays a draft.")
@click.option(
    "--test-users", callback=read_test_users, metavar="N,N", help="Numbers that hear the newest draft; '' for nobody."
)
@click.option("--message", default="", metavar="TEXT", help="Kept with the revisions.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("-y", "--yes", is_flag=True, help="Say yes beforehand.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    flow_name: str,
    source_name: str,
    target_name: str,
    environments: Path | None,
    revision: str | None,
    subflows: bool,
    publish: bool,
    test_users: tuple[str, ...] | None,
    message: str,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Carry a flow from one account to another.

    Accounts are named in studio-relay.toml, each with the map of values that are different there; secrets come from
    the environment. Subflows go first. Each flow becomes the one that the map says, else the one of its name, else a
    new one. SIDs and numbers of the first account that no map replaces would break in the second: they are all said,
    and nothing is changed.
    """
    from studio_relay.cli.flow.account import open_account, tell
    from studio_relay.studio.account.change import Ordered
    from studio_relay.studio.account.environments import DEFAULT_FILE, load_environments
    from studio_relay.studio.account.promotion import Place, plan_promotion
    from studio_relay.studio.account.subflows import LATEST_PUBLISHED

    if source_name == target_name:
        raise click.UsageError("--from and --to are the same environment")
    values = load_environments(environments or DEFAULT_FILE).named(target_name).values
    with (
        open_account(environment=source_name, environments=environments) as source,
        open_account(environment=target_name, environments=environments) as target,
    ):
        plans = plan_promotion(
            flow_name,
            Place(name=source_name, account=source),
            Place(name=target_name, account=target, values=values),
            Ordered(publish=publish, test_users=test_users, message=message),
            revision=revision or LATEST_PUBLISHED,
            with_subflows=subflows,
            progress=tell,
        )
        outcomes = change_flows(
            target,
            [(plan.change, plan.notices) for plan in plans],
            dry_run=dry_run,
            yes=yes,
            as_json=as_json,
        )
    finish(ctx, outcomes)
