"""`studio-relay flow export`: a revision of a flow as a file that Studio's editor, git and `flow import` take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from studio_relay.cli.flow.account import environment_options
from studio_relay.cli.flow.options import FILE, json_option, read_revision

if TYPE_CHECKING:
    from studio_relay.studio.account.api import Account, FlowRecord


@click.command("export")
@click.argument("flow_name", metavar="FLOW")
@click.option("-o", "--output", type=FILE, metavar="FILE", help="Write this file, and FILE.revision beside it.")
@click.option(
    "--revision", callback=read_revision, metavar="N", help="Its number, LatestPublished or LatestRevision.  [the last]"
)
@click.option("-y", "--yes", is_flag=True, help="Say yes beforehand: overwrite without asking.")
@environment_options
@json_option
def command(
    flow_name: str,
    output: Path | None,
    revision: str | None,
    yes: bool,
    environment: str | None,
    environments: Path | None,
    as_json: bool,
) -> None:
    """Fetch a flow from the account, as bare JSON.

    FLOW is a SID or a name. The JSON is what Studio's editor imports, the same bytes each time; it goes to standard
    output, or to FILE. Then FILE.revision says which revision it is, so that `flow import` can tell whether somebody
    saved another one meanwhile. Which SIDs of this account the flow contains is said on standard error: another
    account has others.
    """

    from studio_relay.cli.flow.account import open_account

    with open_account(environment=environment, environments=environments) as account:
        record = _fetched(account, flow_name, revision)
    text = _bare(record)
    if output is not None:
        _write(output, text, record, yes=yes)
    if as_json:
        _print_json(record, output)
        return
    if output is None:
        click.echo(text, nl=False)
    _tell(record, output)


def _fetched(account: Account, name: str, revision: str | None) -> FlowRecord:
    from studio_relay.errors import AccountError

    newest = account.find_flow(name)
    if revision is None or revision in (str(newest.revision), "LatestRevision"):
        return newest
    try:
        return account.revision(newest.sid, revision)
    except AccountError as error:
        if error.status != 404:
            raise
        wanted = "published revision" if revision == "LatestPublished" else f"revision {revision}"
        raise AccountError(
            f"{newest.sid}: Twilio has no {wanted} of this flow; the newest is {newest.revision} ({newest.status})",
            status=error.status,
            code=error.code,
        ) from error


def _bare(record: FlowRecord) -> str:
    """The definition as a file, as every command writes a bare one."""
    import json

    from studio_relay.errors import AccountError
    from studio_relay.studio.document import read_document

    if record.definition is None:
        raise AccountError(
            f"{record.sid}: Twilio gave no definition of revision {record.revision}. Open the flow in Studio."
        )
    return read_document(json.dumps(record.definition), name=record.sid).bare()


def _write(output: Path, text: str, record: FlowRecord, *, yes: bool) -> None:
    """Write the file, if it is not there already as it is to be, and the note beside it."""
    from studio_relay.cli.flow.files import write_asking
    from studio_relay.errors import FlowError
    from studio_relay.studio.account.export_mark import write_mark

    if not (output.is_file() and output.read_bytes() == text.encode()):
        write_asking(output, text, yes=yes)
    try:
        write_mark(output, flow_sid=record.sid, revision=record.revision)
    except FlowError as error:
        said = str(error).removesuffix(" Nothing was changed.")
        raise FlowError(
            f"{said}\n{output} was written without this note; an import of it needs --since {record.revision}."
        ) from error


def _contents(record: FlowRecord) -> dict[str, tuple[str, ...]]:
    """The SIDs in the definition, each with the widgets that hold it."""
    from studio_relay.studio.account.sids import sids_in

    return sids_in(record.definition or {})


def _tell(record: FlowRecord, output: Path | None) -> None:
    """Say on standard error what was exported, and what of it belongs to this account."""
    from studio_relay.cli.flow.printing import wrapped

    where = f", written to {output}" if output else ""
    lines = [f"{record.friendly_name} ({record.sid}), revision {record.revision}, {record.status}{where}"]
    contents = _contents(record)
    if contents:
        lines.append("it names things of this account, which another account needs a --map for:")
    lines += [f"  {sid}  in {', '.join(widgets) or 'the flow itself'}" for sid, widgets in contents.items()]
    for line in lines:
        for part in wrapped(line.strip(), first="  " if line.startswith(" ") else "", indent="    "):
            click.echo(part, err=True)


def _print_json(record: FlowRecord, output: Path | None) -> None:
    from studio_relay.cli.flow.printing import print_json

    report: dict[str, Any] = {
        "version": 1,
        "ok": True,
        "flow": record.sid,
        "friendly_name": record.friendly_name,
        "status": record.status,
        "revision": record.revision,
        "sids": [{"sid": sid, "widgets": list(widgets)} for sid, widgets in _contents(record).items()],
    }
    print_json(report | ({"written": str(output)} if output else {"definition": record.definition}))
