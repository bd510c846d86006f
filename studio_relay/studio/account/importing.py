"""What importing flow files into an account would do: which flows they become, and all that speaks against it.

Everything is read, linted, compared and validated here; nothing is changed. `carrying_out` makes the changes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio_relay.errors import AccountError, FlowError
from studio_relay.studio.account.api import Account, FlowRecord, is_flow_sid
from studio_relay.studio.account.change import FlowChange, Ordered, Wanted
from studio_relay.studio.account.export_mark import ExportMark, mark_path, read_mark, write_mark
from studio_relay.studio.account.sids import sids_in
from studio_relay.studio.account.standing import check_at_twilio, standing
from studio_relay.studio.diagnostics import SEVERITIES
from studio_relay.studio.document import Document, read_document
from studio_relay.studio.flow import build_flow, did_you_mean, read_file
from studio_relay.studio.lint import LintConfig, lint
from studio_relay.studio.value_map import ValueMap, apply_map


@dataclass(frozen=True, kw_only=True)
class Source:
    """A flow file on its way into an account, its values mapped. `flow` is the SID or name it is meant for.

    `since` is the revision the file was made from, None where only the note beside the file can know. `unused` are
    entries of the map that met nothing.
    """

    file: Path
    definition: Mapping[str, Any]
    mark: ExportMark | None = None
    flow: str | None = None
    name: str | None = None
    since: int | None = None
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PlannedImport:
    """What becomes of one file, and what is worth saying about it before."""

    source: Source
    change: FlowChange
    notices: tuple[str, ...] = ()


def read_source(
    file: Path,
    *,
    values: ValueMap | None = None,
    config: LintConfig | None = None,
    select: str | None = None,
    flow: str | None = None,
    name: str | None = None,
    since: int | None = None,
) -> Source:
    """Read a flow file, map its values, and lint the result. Raises FlowError, a line for each finding that stops."""
    document = read_file(file, select=select)
    unused: list[str] = []
    if values is not None:
        definition, unused = apply_map(build_flow(document).definition, values)
        document = read_document(json.dumps(definition), name=document.name)
    _check(document, file, config)
    return Source(
        file=file,
        definition=document.definition,
        mark=read_mark(file),
        flow=flow,
        name=name,
        since=since,
        unused=tuple(unused),
    )


def _check(document: Document, file: Path, config: LintConfig | None) -> None:
    report = lint(document, config=config, path=str(file))
    if report.ok:
        return
    stopping = SEVERITIES[: SEVERITIES.index(report.fail_on) + 1]
    lines = [f"{file}: {finding}" for finding in report.findings if finding.severity in stopping]
    raise FlowError("\n".join([*lines, f"{file}: correct this first; `studio-relay flow lint {file}` says more"]))


def plan_import(
    account: Account,
    sources: Sequence[Source],
    ordered: Ordered,
    *,
    progress: Callable[[str], None] = lambda text: None,
) -> tuple[PlannedImport, ...]:
    """What to do for every file. Raises AccountError with all that speaks against it; nothing was changed then."""
    flows = tuple(account.flows())
    planned: list[PlannedImport] = []
    refusals: list[str] = []
    for source in sources:
        progress(f"asking Twilio about {source.file}")
        try:
            planned.append(_planned(account, source, ordered, flows))
        except AccountError as error:
            refusals += [f"{source.file}: {line}" for line in str(error).splitlines()]
            if _concerns_all(error):
                break
    refusals += _twice(planned)
    if refusals:
        raise AccountError("\n".join([*refusals, "Nothing was changed."]))
    return tuple(planned)


def _concerns_all(error: AccountError) -> bool:
    """Whether the next file would meet the same: no right, no answer, too many requests."""
    return error.status is not None and error.status not in (400, 404)


def _planned(account: Account, source: Source, ordered: Ordered, flows: Sequence[FlowRecord]) -> PlannedImport:
    target = _target(account, source, flows)
    if target is None and source.since is not None:
        raise AccountError(f"--since {source.since}: the account has no flow that this file was made from; name it")
    name = source.name or (target.friendly_name if target else default_name(source.file))
    wanted = Wanted(
        label=str(source.file),
        name=name,
        definition=source.definition,
        publish=ordered.publish,
        message=ordered.message or f"imported from {source.file.name} by studio-relay",
        test_users=ordered.test_users,
    )
    change = FlowChange(wanted=wanted, standing=standing(account, target, ordered) if target else None)
    _refuse_moved(account, source, change)
    check_at_twilio(account, change)
    return PlannedImport(source=source, change=change, notices=tuple(_notices(source, change)))


def default_name(file: Path) -> str:
    """What a new flow is called, if nobody says."""
    return file.name.removesuffix(".json") or file.name


def _target(account: Account, source: Source, flows: Sequence[FlowRecord]) -> FlowRecord | None:
    """The flow that the file is for: the one that was said, the one it was exported from, or the one of its name."""
    if source.flow is not None and is_flow_sid(source.flow):
        return account.flow(source.flow)
    by_sid = {flow.sid for flow in flows}
    if source.flow is None and source.mark and source.mark.flow_sid in by_sid:
        return account.flow(source.mark.flow_sid)
    name = source.flow or source.name or default_name(source.file)
    found = [flow.sid for flow in flows if flow.friendly_name == name]
    if len(found) > 1:
        raise AccountError(f"{len(found)} flows are called {name!r}: {', '.join(found)}. Say the SID of one.")
    if not found and source.flow is not None:
        near = did_you_mean(name, [flow.friendly_name for flow in flows])
        raise AccountError(
            f"the account has no flow {name!r}, and there is no such file.{near} Leave it out to make a new flow."
        )
    return account.flow(found[0]) if found else None


def _known_since(source: Source, sid: str) -> int | None:
    """The revision the file was made from, as far as anybody knows."""
    if source.since is not None:
        return source.since
    return source.mark.revision if source.mark and source.mark.flow_sid == sid else None


def _refuse_moved(account: Account, source: Source, change: FlowChange) -> None:
    """Refuse to write over what the file's maker cannot have seen; what we would write anyway is nobody's loss."""
    if change.standing is None:
        return
    newest, since = change.standing.newest, _known_since(source, change.sid)
    if since is None or since == newest.revision or change.wanted.is_in(newest):
        return
    said = f" ({newest.commit_message!r})" if newest.commit_message else ""
    theirs = f"{newest.sid}.{newest.revision}.json"
    export = account.command("flow", "export", newest.sid, "--revision", str(newest.revision), "--output", theirs)
    raise AccountError(
        f"was made from revision {since} of {newest.sid}, which is at revision {newest.revision} now: "
        f"{newest.status}, {newest.date_updated or 'date unknown'}{said}. To see what changed there: `{export}` and "
        f"`studio-relay flow diff {source.file} {theirs}`. Take it over into the file, then import with "
        f"`--since {newest.revision}`."
    )


def _twice(planned: Sequence[PlannedImport]) -> Iterator[str]:
    """Two files cannot become one flow."""
    first: dict[str, Path] = {}
    for plan in planned:
        key = plan.change.sid or plan.change.wanted.name
        if key in first:
            yield f"{plan.source.file}: would become {key!r}, as {first[key]} would; say --name, or import one of them"
        first.setdefault(key, plan.source.file)


def _notices(source: Source, change: FlowChange) -> Iterator[str]:
    yield from (f"{entry} of the map met nothing" for entry in source.unused)
    if source.mark and source.flow is None and source.mark.flow_sid != change.sid:
        yield f"{mark_path(source.file).name} says it is a copy of {source.mark.flow_sid}, which is not in this account"
    if change.standing and change.steps and _known_since(source, change.sid) is None:
        yield (
            f"whether {change.sid} was changed since this file was made cannot be known: there is no note "
            f"{mark_path(source.file).name} of this flow beside it, and no --since"
        )
    before = change.heard_now
    known = sids_in(before.definition) if before and before.definition else {}
    for sid, widgets in sids_in(source.definition).items():
        if sid not in known:
            where = f" (in {', '.join(widgets)})" if widgets else ""
            yield f"names {sid}{where}, which this account must have"


def note_revision(plan: PlannedImport, *, sid: str, revision: int) -> Path | None:
    """Note beside the file which revision it is now a copy of; None, if its note is about another flow.

    The next import of the file can then tell whether somebody else changed the flow. Raises FlowError.
    """
    mark = plan.source.mark
    if mark and mark.flow_sid != sid:
        return None
    return write_mark(plan.source.file, flow_sid=sid, revision=revision)
