"""What carrying a flow from one account to another would do: its subflows first, every value mapped, all faults said.

Both accounts are only read here; `carrying_out` makes the changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from studio_relay.errors import AccountError
from studio_relay.studio.account.api import Account, FlowRecord
from studio_relay.studio.account.change import FlowChange, Ordered, Wanted
from studio_relay.studio.account.sids import numbers_in, servers_in, sids_in
from studio_relay.studio.account.standing import check_at_twilio, standing
from studio_relay.studio.account.subflows import LATEST_PUBLISHED, Taken, called, subflows_in
from studio_relay.studio.value_map import ValueMap, apply_map

MARK = "promoted from"
"""Begins what we keep with each revision we make, so that the next promotion can tell what somebody made by hand."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """One of the two accounts, and what it is called."""

    name: str
    account: Account
    values: ValueMap = field(default_factory=ValueMap)


@dataclass(frozen=True, kw_only=True)
class PlannedPromotion:
    """What becomes of one flow in the other account, and what is worth saying about it before."""

    change: FlowChange
    notices: tuple[str, ...] = ()


def plan_promotion(
    flow: str,
    source: Place,
    target: Place,
    ordered: Ordered,
    *,
    revision: str = LATEST_PUBLISHED,
    with_subflows: bool = True,
    progress: Callable[[str], None] = lambda text: None,
) -> tuple[PlannedPromotion, ...]:
    """What to do, subflows first. Raises AccountError with all that would break; nothing was changed then."""
    return _Plan(source, target, ordered, with_subflows, progress).made(flow, revision)


class _Plan:
    """A promotion while it is thought out; `faults` is what would break."""

    def __init__(
        self, source: Place, target: Place, ordered: Ordered, with_subflows: bool, progress: Callable[[str], None]
    ) -> None:
        self._progress = progress
        self._source, self._target, self._ordered, self._with_subflows = source, target, ordered, with_subflows
        self._faults: list[str] = []
        self._flows: dict[str, FlowRecord] = {}
        self._there: dict[str, FlowRecord | None] = {}
        self._own_numbers: frozenset[str] | None = None
        self._numbers_known = True

    def made(self, flow: str, revision: str) -> tuple[PlannedPromotion, ...]:
        root = self._source.account.find_flow(flow).sid
        self._known = tuple(self._target.account.flows())
        taken = Taken(self._source.account, self._source.name, self._progress)
        taken.take(root, revision, with_subflows=self._with_subflows)
        self._flows = taken.flows
        self._faults += taken.faults
        self._refuse()
        for sid in self._mentioned():
            self._there[sid] = self._counterpart(sid)
        self._faults += self._twice()
        self._refuse()
        plans = [self._planned(record, is_root=sid == root) for sid, record in self._flows.items()]
        self._refuse()
        return tuple(plans)

    def _refuse(self) -> None:
        if self._faults:
            raise AccountError("\n".join([*dict.fromkeys(self._faults), "Nothing was changed."]))

    # -------------------------------------------------------------------------------------- what it becomes there

    def _mentioned(self) -> list[str]:
        """Every flow of the source that is taken, or that a taken one names."""
        named = (sid for record in self._flows.values() for sid in sids_in(record.definition or {}))
        return list(dict.fromkeys([*self._flows, *(sid for sid in named if sid.startswith("FW"))]))

    def _counterpart(self, sid: str) -> FlowRecord | None:
        """The flow in the target that stands for `sid`, None if it is to be made; what cannot be is a fault."""
        mapped = self._target.values.replace.get(sid)
        if mapped is not None:
            return self._mapped(sid, mapped)
        record = self._flows.get(sid) or self._named_only(sid)
        if record is None:
            return None
        found = [flow.sid for flow in self._known if flow.friendly_name == record.friendly_name]
        if len(found) > 1:
            self._faults.append(
                f"{called(record)}: {self._target.name} has {len(found)} flows of this name ({', '.join(found)}); "
                f'say which in its map: "{sid}" = "FW..."'
            )
        elif not found and sid not in self._flows:
            self._faults.append(
                f"{called(record)}: {self._target.name} has no flow of this name, and a flow that is promoted names "
                f'it; promote it first, or say what stands for it in the map: "{sid}" = "FW..."'
            )
        elif len(found) == 1:
            return self._apart(sid, self._target.account.flow(found[0]))
        return None

    def _mapped(self, sid: str, mapped: str) -> FlowRecord | None:
        try:
            return self._apart(sid, self._target.account.flow(mapped))
        except AccountError as error:
            if error.status != 404:
                raise
            self._faults.append(f"{sid}: the map says {mapped}, which is no flow of {self._target.name}")
            return None

    def _twice(self) -> Iterator[str]:
        """Two flows cannot become one."""
        first: dict[str, FlowRecord] = {}
        for sid, record in self._flows.items():
            there = self._there[sid]
            key = there.sid if there else record.friendly_name
            if key in first:
                yield (
                    f"{called(record)}: would become the same flow of {self._target.name} as {called(first[key])}; "
                    f'rename one of them, or say in the map which it becomes: "{sid}" = "FW..."'
                )
            first.setdefault(key, record)

    def _apart(self, sid: str, found: FlowRecord) -> FlowRecord:
        if found.sid == sid and sid in self._flows:
            self._faults.append(
                f"{called(found)}: {self._source.name} and {self._target.name} are one account, and the flow would be "
                f'written over itself; say in the map which other it becomes: "{sid}" = "FW..."'
            )
        return found

    def _named_only(self, sid: str) -> FlowRecord | None:
        """A flow that is named but not taken: the source knows what it is called."""
        try:
            return self._source.account.flow(sid)
        except AccountError as error:
            if error.status != 404:
                raise
            self._faults.append(
                f'{sid}: is no flow of {self._source.name}; say in the map what stands for it: "{sid}" = "FW..."'
            )
            return None

    def _planned(self, record: FlowRecord, *, is_root: bool) -> PlannedPromotion:
        self._progress(f"asking {self._target.name} about {called(record)}")
        there = self._there[record.sid]
        assert record.definition is not None
        definition, _ = apply_map(record.definition, self._values())
        wanted = Wanted(
            label=record.friendly_name,
            name=there.friendly_name if there else record.friendly_name,
            definition=definition,
            publish=self._ordered.publish,
            message=self._message(record),
            test_users=self._ordered.test_users if is_root else None,
        )
        change = FlowChange(
            wanted=wanted,
            standing=standing(self._target.account, there, self._ordered) if there else None,
            source_sid="" if there else record.sid,
        )
        self._faults += self._breaks(record, definition)
        if not self._faults:
            self._validate(change)
        return PlannedPromotion(change=change, notices=tuple(self._notices(record, change)))

    def _values(self) -> ValueMap:
        """The target's map, and what is plain: its account for ours, its flows for ours."""
        flows = {sid: there.sid for sid, there in self._there.items() if there}
        own = {self._source.account.sid: self._target.account.sid, **flows}
        return ValueMap(replace={**own, **self._target.values.replace}, widgets=self._target.values.widgets)

    def _message(self, record: FlowRecord) -> str:
        mark = f"{MARK} {self._source.name}, {record.sid} revision {record.revision}"
        return f"{self._ordered.message} ({mark})" if self._ordered.message else mark

    # ------------------------------------------------------------------------------------------ what would break

    def _breaks(self, record: FlowRecord, definition: Mapping[str, Any]) -> Iterator[str]:
        """What of the source's account is still named, and works nowhere else."""
        where, before = called(record), record.definition or {}
        settled = self._settled()
        for sid, widgets in sids_in(definition).items():
            if sid in sids_in(before) and sid not in settled:
                yield (
                    f"{where}: {_in(widgets)} names {sid}, which is {self._source.name}'s; say in the map of "
                    f'{self._target.name} what stands for it: "{sid}" = "{sid[:2]}..." (itself, if it is right there)'
                )
        for number, widgets in numbers_in(definition).items():
            if number in numbers_in(before) and number not in settled and number in self._numbers():
                yield (
                    f"{where}: {_in(widgets)} names a telephone number of {self._source.name}; say in the map of "
                    f"{self._target.name} which stands for it (itself, if it is right there)"
                )
        for subflow, revision in subflows_in(definition):
            if revision.isdigit():
                yield (
                    f"{where}: runs revision {revision} of {subflow}, a number that means another one in "
                    f"{self._target.name}; let it run {LATEST_PUBLISHED}"
                )

    def _settled(self) -> frozenset[str]:
        """SIDs and numbers that may stand in what is promoted: the map put them there, or they will be put in."""
        values = self._target.values
        in_map = {"states": [*values.replace.values(), dict(values.widgets)]}
        to_be_made = {sid for sid, there in self._there.items() if there is None}
        own = {self._target.account.sid, *(there.sid for there in self._there.values() if there)}
        return frozenset({*sids_in(in_map), *numbers_in(in_map), *to_be_made, *own})

    def _numbers(self) -> frozenset[str]:
        """The telephone numbers of the source's account, none if we may not ask for them."""
        if self._own_numbers is None:
            try:
                self._own_numbers = frozenset(number.phone_number for number in self._source.account.numbers())
            except AccountError as error:
                if error.status not in (401, 403):
                    raise
                self._own_numbers, self._numbers_known = frozenset(), False
        return self._own_numbers

    def _validate(self, change: FlowChange) -> None:
        """Ask Twilio. What it says of flows that are yet to be made is not known to be wrong."""
        try:
            check_at_twilio(self._target.account, change)
        except AccountError as error:
            if not error.problems:
                raise
            waits = self._waits_for(change.wanted.definition)
            if waits and all("flow_sid" in f"{problem.path} {problem.message}" for problem in error.problems):
                return
            self._faults += [f"{change.wanted.label!r}: {line}" for line in str(error).splitlines()]

    def _waits_for(self, definition: Mapping[str, Any]) -> list[str]:
        """The flows it names that are yet to be made."""
        return [sid for sid in sids_in(definition) if sid in self._there and self._there[sid] is None]

    # ---------------------------------------------------------------------------------------------- what to know

    def _notices(self, record: FlowRecord, change: FlowChange) -> Iterator[str]:
        target, there = self._target.name, change.standing
        yield f"this is revision {record.revision} of {self._source.name}, {record.status}"
        if there and change.steps and MARK not in there.newest.commit_message:
            yield (
                f"revision {there.newest.revision} in {target} was not promoted there"
                + (f" ({there.newest.commit_message})" if there.newest.commit_message else "")
                + "; what was changed by hand is among the changes above, and goes"
            )
        for sid in self._waits_for(change.wanted.definition):
            yield f"{sid} becomes the SID of the flow that is made for it"
        mapped = self._target.values.replace.values()
        for server, widgets in servers_in(change.wanted.definition).items():
            if server in servers_in(record.definition or {}) and not any(value in server for value in mapped):
                yield f"{server} (in {', '.join(widgets)}) is the same in {self._source.name} and {target}"
        if not self._numbers_known and numbers_in(change.wanted.definition):
            yield f"whether the numbers it names are numbers of {self._source.name} is not known: the key may not ask"
        if not change.wanted.publish and any(True for _ in subflows_in(change.wanted.definition)):
            yield f"while it is a draft it runs what is published of its subflows in {target}"


def _in(widgets: Sequence[str]) -> str:
    return f"widget {', '.join(map(repr, widgets))}" if widgets else "it"
