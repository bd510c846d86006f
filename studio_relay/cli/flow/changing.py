"""Changes of an account's flows on the terminal: what would be done, each step as it is done, what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from studio_relay.cli.flow.printing import count, print_wrapped, wrapped

if TYPE_CHECKING:
    from studio_relay.studio.account.api import Account
    from studio_relay.studio.account.change import FlowChange
    from studio_relay.studio.account.outcome import Outcome, Step
    from studio_relay.studio.account.undo import Undo

_TO_DO = {
    "create": "make the flow, as a draft",
    "save": "save a new draft, and compare what Twilio kept",
    "publish": "publish it: callers hear it",
    "rename": "give it its new name",
    "test users": "set its test users",
}
_MOST_DIFFERENCES = 20


def read_test_users(ctx: click.Context, option: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """A click callback for `NUMBER,NUMBER`; an empty text means nobody."""
    if value is None:
        return None
    users = tuple(dict.fromkeys(user.strip() for user in value.split(",") if user.strip()))
    for user in users:
        if user.lstrip("+").isdigit() and not (user.startswith("+") and 8 <= len(user) <= 16):
            raise click.BadParameter("expected numbers such as +15550100001, separated by commas", ctx, option)
    return users


def change_flows(
    account: Account,
    planned: Sequence[tuple[FlowChange, Sequence[str]]],
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    afterwards: Callable[[Sequence[Outcome]], None] = lambda outcomes: None,
) -> tuple[Outcome, ...]:
    """Show the changes with their notices, ask, make them, and print what came of it.

    `afterwards` is called before anything is printed of what came of it.
    """
    from studio_relay.cli.asking import ask
    from studio_relay.cli.flow.printing import print_json
    from studio_relay.studio.account.carrying_out import carry_out
    from studio_relay.studio.account.undo import undo

    if not as_json:
        for change, notices in planned:
            print_change(change, notices)
    if dry_run and as_json:
        print_json(report(account, planned, None))
    elif dry_run:
        click.echo("nothing was changed: this was a dry run")
    if dry_run:
        return ()
    changes = [change for change, _ in planned if change.steps]
    if changes:
        ask(f"do this in account {account.sid}?", yes=yes, shown=not as_json)
    outcomes = carry_out(account, changes, _silent if as_json else print_step)
    afterwards(outcomes)
    print_faults(changes, outcomes)
    if as_json:
        print_json(report(account, planned, outcomes))
    else:
        print_undo([undo(account, outcome) for outcome in reversed(outcomes)])
    return outcomes


def _silent(outcome: Outcome, step: Step) -> None:
    """A report for programs says it all at the end."""


def print_change(change: FlowChange, notices: Sequence[str]) -> None:
    """What would become of one flow."""
    from studio_relay.cli.flow.diff import print_changes

    wanted, standing = change.wanted, change.standing
    where = f"{change.sid} {wanted.name!r}" if standing else f"a new flow {wanted.name!r}"
    for line in wrapped(f"{wanted.label} -> {where}", indent="  ", first=""):
        click.secho(line, bold=True)
    _print_standing(change)
    if standing and {"save", "publish"} & set(change.steps):
        print_changes(change.differences())
    elif standing is None:
        print_wrapped(count(len(wanted.definition.get("states", ())), "widget"), first="  ")
    _print_test_users(change)
    for notice in notices:
        print_wrapped(notice, first="  note: ", indent="    ")
    for number, step in enumerate(change.steps, 1):
        print_wrapped(_TO_DO[step], first=f"  {number}. ", indent="     ")
    if not change.steps:
        print_wrapped("nothing to do: the account has it already", first="  ")


def _print_standing(change: FlowChange) -> None:
    """What callers and test users hear now."""
    if change.standing is None:
        return
    live, newest, draft = change.standing.live, change.standing.newest, change.replaced_draft()
    if live is None:
        print_wrapped(f"never published; the newest draft is revision {newest.revision}", first="  ", indent="    ")
    else:
        print_wrapped(f"callers hear revision {live.revision}, of {live.date_updated}", first="  ", indent="    ")
    if draft is not None:
        said = f" ({draft.commit_message})" if draft.commit_message else ""
        text = f"revision {draft.revision} is a newer draft{said}; what is only there would not be in the new one"
        print_wrapped(text, first="  note: ", indent="    ")


def _print_test_users(change: FlowChange) -> None:
    if "test users" in change.steps:
        before = ", ".join(change.standing.test_users) if change.standing else ""
        after = ", ".join(change.wanted.test_users or ())
        print_wrapped(f"test users: {after or 'nobody'}; before: {before or 'nobody'}", first="  ", indent="    ")


def print_step(outcome: Outcome, step: Step) -> None:
    """One step, as it begins and as it ends."""
    label = outcome.change.wanted.label
    if step.state not in ("begun", "done"):
        return
    with suppress(BrokenPipeError):  # whoever reads has gone; what was agreed to is done all the same
        print_wrapped(f"{label}: {step.text}" + (" ..." if step.state == "begun" else ""), indent="    ", first="")


def print_faults(changes: Sequence[FlowChange], outcomes: Sequence[Outcome]) -> None:
    """What stopped, what was done and what not, and how to go on; nothing where all went well."""
    for outcome in outcomes:
        _print_fault(outcome)
    if all(outcome.ok for outcome in outcomes):
        return
    for change in changes[len(outcomes) :]:
        if change.steps:
            _say(f"{change.wanted.label}: not begun")
    if any(outcome.kept_otherwise for outcome in outcomes):
        _say("Twilio would do so again: take that out of the flow, or write it as Twilio keeps it, then repeat this")
    else:
        _say("to go on, give the same command again: what is done already is not done twice")


def _print_fault(outcome: Outcome) -> None:
    label = outcome.change.wanted.label
    for note in outcome.notes:
        _say(f"{label}: {note}")
    for place in outcome.kept_otherwise[:_MOST_DIFFERENCES]:
        _say(f"{label}: Twilio kept something else than was sent: {place}")
    if len(outcome.kept_otherwise) > _MOST_DIFFERENCES:
        _say(f"{label}: ... and {len(outcome.kept_otherwise) - _MOST_DIFFERENCES} more")
    if outcome.failure:
        _say("\n".join(f"{label}: {line}" for line in outcome.failure.splitlines()))
    if outcome.ok:
        return
    done = ", ".join(outcome.done) or "nothing"
    unknown = ", ".join(step.kind for step in outcome.steps if step.state == "unknown")
    left = ", ".join(kind for kind in outcome.left if kind not in unknown.split(", ")) or "nothing"
    _say(f"{label}: done: {done}; " + (f"nobody knows: {unknown}; " if unknown else "") + f"not done: {left}")
    if outcome.done:
        _say(f"{label}: what was done is revision {outcome.revision} of {outcome.sid}")


def print_undo(backwards: Sequence[Undo]) -> None:
    """How to take back what was done, in this order."""
    from studio_relay.cli.printable import printable

    if any(back.commands or back.remarks for back in backwards):
        click.echo("to undo:")
    for back in backwards:
        for remark in back.remarks:
            print_wrapped(remark, first="  # ", indent="  # ")
        for command in back.commands:
            click.echo(f"  {printable(command)}")  # one line, however wide: it is there to be copied


def _say(text: str) -> None:
    """A line of standard error."""
    from studio_relay.cli.printable import printable

    for line in text.splitlines():
        click.echo(f"studio-relay: {printable(line)}", err=True)


def change_to_json(change: FlowChange, notices: Sequence[str]) -> dict[str, Any]:
    """One planned change for programs."""
    standing = change.standing
    return _present(
        source=change.wanted.label,
        flow=change.sid or None,
        name=change.wanted.name,
        revision_before=standing.newest.revision if standing else None,
        revision_heard=standing.live.revision if standing and standing.live else None,
        steps=list(change.steps),
        changes=[difference.to_json() for difference in change.differences()],
        notices=list(notices),
    )


def outcome_to_json(account: Account, outcome: Outcome) -> dict[str, Any]:
    """What became of one change, for programs."""
    from studio_relay.studio.account.undo import undo

    return _present(
        ok=outcome.ok,
        flow=outcome.sid or None,
        revision=outcome.revision,
        done=list(outcome.done),
        not_done=list(outcome.left),
        unknown=[step.kind for step in outcome.steps if step.state == "unknown"],
        kept_otherwise=list(outcome.kept_otherwise),
        notes=list(outcome.notes),
        failure=outcome.failure or None,
        undo=undo(account, outcome).to_json(),
    )


def _present(**members: Any) -> dict[str, Any]:
    """The members that have a value: absent means absent."""
    return {name: value for name, value in members.items() if value is not None}


def report(
    account: Account,
    planned: Sequence[tuple[FlowChange, Sequence[str]]],
    outcomes: Sequence[Outcome] | None,
) -> Mapping[str, Any]:
    """The report for programs; without outcomes, of what would be done."""
    flows = [change_to_json(change, notices) for change, notices in planned]
    begun = iter(outcomes or ())
    for flow in flows:
        if flow["steps"] and (outcome := next(begun, None)):
            flow["outcome"] = outcome_to_json(account, outcome)
    ok = all(outcome.ok for outcome in outcomes or ())
    return {"version": 1, "ok": ok, "dry_run": outcomes is None, "flows": flows}


def finish(ctx: click.Context, outcomes: Sequence[Outcome]) -> None:
    """Leave with the exit code that says what became of it."""
    from studio_relay.cli.errors import FOUND_WRONG, INTERRUPTED, NOT_DONE

    if any(outcome.interrupted for outcome in outcomes):
        ctx.exit(INTERRUPTED)
    if any(outcome.failure for outcome in outcomes):
        ctx.exit(NOT_DONE)
    if not all(outcome.ok for outcome in outcomes):
        ctx.exit(FOUND_WRONG)
