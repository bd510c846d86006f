"""Carries out changes of flows, one step after the other: each is said before and after, and what Twilio kept is read.

What is to be done stands in `change`; what became of a step whose answer was lost, `lost_answers` finds out; how it
all is taken back stands in `undo`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from studio_relay.errors import AccountError
from studio_relay.studio.account.api import Account, FlowRecord
from studio_relay.studio.account.change import DRAFT, PUBLISHED, FlowChange, StepKind
from studio_relay.studio.account.lost_answers import (
    Stopped,
    look_for_flow,
    look_for_name,
    look_for_revision,
    look_for_test_users,
    namesakes,
)
from studio_relay.studio.account.outcome import Outcome, Step, StepState
from studio_relay.studio.account.sameness import kept_otherwise
from studio_relay.studio.value_map import ValueMap, apply_map

Tell = Callable[[Outcome, Step], None]
"""Told of each step when it begins and when it ends."""


def carry_out(account: Account, changes: Sequence[FlowChange], tell: Tell) -> tuple[Outcome, ...]:
    """Make the changes, in order, and stop at the first that fails; one outcome for each that was begun."""
    outcomes: list[Outcome] = []
    made: dict[str, str] = {}
    for planned in changes:
        change = _with_sids(planned, made)
        outcomes.append(_Run(account, change, tell).outcome())
        if not outcomes[-1].ok:
            break
        if change.source_sid:
            made[change.source_sid] = outcomes[-1].sid
    return tuple(outcomes)


def _with_sids(change: FlowChange, made: Mapping[str, str]) -> FlowChange:
    """The change, knowing the flows that were made before it."""
    if not made:
        return change
    definition, _ = apply_map(change.wanted.definition, ValueMap(replace=made))
    return replace(change, wanted=replace(change.wanted, definition=definition))


class _Run:
    """One change on its way."""

    def __init__(self, account: Account, change: FlowChange, tell: Tell) -> None:
        self._account = account
        self._wanted = change.wanted
        self._tell = tell
        self._do: Mapping[StepKind, Callable[[], str]] = {
            "create": self._create,
            "save": self._save,
            "publish": self._publish,
            "rename": self._rename,
            "test users": self._set_test_users,
        }
        standing = change.standing
        self._status = standing.newest.status if standing else DRAFT
        self._outcome = Outcome(change=change, sid=change.sid, revision=standing.newest.revision if standing else None)

    def outcome(self) -> Outcome:
        """Do every step, up to the first that fails."""
        outcome = self._outcome
        try:
            for kind in outcome.change.steps:
                if not self._step(kind):
                    break
        except KeyboardInterrupt:
            outcome.interrupted = True
            outcome.failure = outcome.failure or "interrupted between two requests"
        return outcome

    def _step(self, kind: StepKind) -> bool:
        """Whether the next step may be done."""
        outcome = self._outcome
        self._note(Step(kind=kind, state="begun", text=self._announced(kind)))
        try:
            text = self._do[kind]()
        except KeyboardInterrupt:
            outcome.interrupted = True
            outcome.failure = "interrupted while Twilio was asked to do it; whether it was done is not known"
            self._note(Step(kind=kind, state="unknown", text=outcome.failure))
            return False
        except (Stopped, AccountError) as error:
            outcome.failure = str(error)
            state: StepState = "unknown" if getattr(error, "unknown", False) else "not done"
            self._note(Step(kind=kind, state=state, text=outcome.failure))
            return False
        self._note(Step(kind=kind, state="done", text=text))
        return kind not in ("create", "save", "publish") or self._kept()

    def _note(self, step: Step) -> None:
        if step.state != "begun":
            self._outcome.steps.append(step)
        self._tell(self._outcome, step)

    def _announced(self, kind: StepKind) -> str:
        name = f"{self._wanted.name!r}"
        flow = f"{self._outcome.sid} {name}".strip()
        return {
            "create": f"make the flow {name}, as a draft",
            "save": f"save a draft of {flow} over revision {self._outcome.revision}",
            "publish": f"publish {flow}",
            "rename": f"call {self._outcome.sid} {name}",
            "test users": f"set the test users of {flow}",
        }[kind]

    # ---------------------------------------------------------------------------------------------------- steps

    def _create(self) -> str:
        wanted = self._wanted
        before = namesakes(self._account, wanted)
        if before:
            raise Stopped(f"a flow {wanted.name!r} has appeared meanwhile ({', '.join(before)})")
        try:
            made = self._account.create_flow(
                friendly_name=wanted.name,
                status=DRAFT,
                definition=wanted.definition,
                commit_message=wanted.message_for(1),
            )
        except AccountError as error:
            made = look_for_flow(self._account, error, wanted)
        self._outcome.sid = made.sid
        self._outcome.revision = made.revision
        self._status = made.status
        return f"made {made.sid}, revision {made.revision}, a draft"

    def _save(self) -> str:
        saved = self._write(status=DRAFT)
        outcome = self._outcome
        if outcome.notes and "publish" in outcome.change.steps:
            outcome.failure = "it was not published: that could take away what somebody else published meanwhile"
        return f"saved as revision {saved.revision}, a draft"

    def _publish(self) -> str:
        published = self._write(status=PUBLISHED)
        if self._outcome.change.standing is None:
            lead = f"`{self._account.command('number', 'point', 'NUMBER', published.sid)}` leads a number to it"
            return f"published as revision {published.revision}; {lead}"
        return f"published as revision {published.revision}; callers hear it from now on"

    def _write(self, status: str) -> FlowRecord:
        """Save the definition as a new revision, provided that nobody else saved one meanwhile."""
        self._check_unmoved()
        outcome, wanted = self._outcome, self._wanted
        before = outcome.revision or 0
        try:
            saved = self._account.update_flow(
                outcome.sid,
                status=status,
                definition=wanted.definition,
                friendly_name=wanted.name,
                commit_message=wanted.message_for(before + 1),
            )
        except AccountError as error:
            saved = look_for_revision(self._account, error, outcome.sid, wanted, status=status, before=before)
        if saved.revision > before + 1:
            export = self._account.command("flow", "export", outcome.sid, "--revision", str(saved.revision - 1))
            outcome.notes.append(
                f"{outcome.sid} was at revision {before} and is at {saved.revision}: somebody saved between; "
                f"look at what they did: `{export}`"
            )
        outcome.revision = saved.revision
        self._status = saved.status
        return saved

    def _rename(self) -> str:
        self._check_unmoved()
        outcome = self._outcome
        try:
            saved = self._account.update_flow(outcome.sid, status=self._status, friendly_name=self._wanted.name)
        except AccountError as error:
            saved = look_for_name(self._account, error, outcome.sid, self._wanted.name)
        outcome.revision = saved.revision
        return f"called {self._wanted.name!r} (revision {saved.revision})"

    def _set_test_users(self) -> str:
        users = self._wanted.test_users or ()
        try:
            now = self._account.set_test_users(self._outcome.sid, users)
        except AccountError as error:
            now = look_for_test_users(self._account, error, self._outcome.sid, users)
        if set(now) != set(users):
            raise Stopped(f"expected {len(users)} test users, Twilio has kept {len(now)}, or others")
        people = "1 test user hears" if len(users) == 1 else f"{len(users)} test users hear"
        return f"{people} the newest draft" if users else "the flow has no test users"

    # -------------------------------------------------------------------------------------------------- looking

    def _check_unmoved(self) -> None:
        newest = self._account.flow(self._outcome.sid)
        if newest.revision > (self._outcome.revision or 0):  # a lower one is an answer from before our own change
            raise Stopped(
                f"{newest.sid} was at revision {self._outcome.revision} and is at {newest.revision} now: "
                "somebody saved meanwhile. Nothing was written over it."
            )

    def _kept(self) -> bool:
        """Whether Twilio has what was sent, by reading it anew."""
        outcome = self._outcome
        assert outcome.revision is not None
        try:
            kept = self._account.revision(outcome.sid, outcome.revision)
        except AccountError as error:
            outcome.failure = f"it was saved, but could not be read back for comparison: {error}"
        except KeyboardInterrupt:
            outcome.interrupted = True
            outcome.failure = "interrupted; it was saved, but not read back for comparison"
        else:
            outcome.kept_otherwise = kept_otherwise(self._wanted.definition, kept.definition)
            if kept.status != self._status:
                outcome.failure = f"revision {kept.revision} is {kept.status!r}, expected {self._status!r}"
        return outcome.ok
