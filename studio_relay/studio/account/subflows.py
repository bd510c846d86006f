"""A flow of an account with the subflows below it, in the order in which another account can take them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from studio_relay.errors import AccountError
from studio_relay.studio.account.api import Account, FlowRecord, is_flow_sid

LATEST_PUBLISHED, LATEST_REVISION = "LatestPublished", "LatestRevision"


class Taken:
    """Flows read from the account that is called `place`: `flows` by SID, subflows first; `faults` in words."""

    def __init__(self, account: Account, place: str, progress: Callable[[str], None] = lambda text: None) -> None:
        self._account, self._place, self._progress = account, place, progress
        self.flows: dict[str, FlowRecord] = {}
        self.faults: list[str] = []

    def take(self, sid: str, revision: str, *, with_subflows: bool, above: Sequence[str] = ()) -> None:
        """Read a flow, and before it the flows it runs."""
        self._progress(f"reading {sid} from {self._place}")
        record = self._read(sid, revision, is_subflow=bool(above))
        if record is None:
            return
        for subflow, wanted in subflows_in(record.definition or {}):
            if subflow in (*above, sid):
                self.faults.append(f"{called(record)}: runs itself by way of {subflow}; Twilio ends that with 81024")
            elif with_subflows and subflow not in self.flows:
                self.take(subflow, wanted, with_subflows=True, above=(*above, sid))
        self.flows[sid] = record

    def _read(self, sid: str, revision: str, *, is_subflow: bool) -> FlowRecord | None:
        try:
            record = self._account.revision(sid, revision)
        except AccountError as error:
            if error.status != 404:
                raise
            self.faults.append(self._absent(sid, revision, is_subflow))
            return None
        if record.definition is None:
            self.faults.append(f"{sid}: Twilio gave no definition of revision {record.revision}; open it in Studio")
            return None
        return record

    def _absent(self, sid: str, revision: str, is_subflow: bool) -> str:
        if revision == LATEST_PUBLISHED:
            draft = "" if is_subflow else f", or take its draft: --revision {LATEST_REVISION}"
            return f"{sid}: {self._place} has no such flow, or never published it. Publish it there{draft}"
        return f"{sid}: {self._place} has no such flow, or no revision {revision} of it"


def subflows_in(definition: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The SID and revision of each flow that a run-subflow widget names."""
    states = definition.get("states")
    for state in states if isinstance(states, list) else ():
        properties = state.get("properties") if isinstance(state, dict) else None
        if isinstance(properties, dict) and state.get("type") == "run-subflow":
            sid, revision = properties.get("flow_sid"), properties.get("flow_revision")
            if isinstance(sid, str) and is_flow_sid(sid):
                is_draft = revision in ("LatestDraft", LATEST_REVISION)
                yield sid, LATEST_REVISION if is_draft else str(revision or LATEST_PUBLISHED)


def called(record: FlowRecord) -> str:
    """How messages call a flow."""
    return f"{record.friendly_name!r} ({record.sid})"
