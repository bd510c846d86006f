"""What is to become of one flow of an account, and the steps that lead there; carries nothing out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from studio_relay.studio.account.api import FlowRecord
from studio_relay.studio.account.sameness import kept_otherwise, same, seal
from studio_relay.studio.diff import Change, diff
from studio_relay.studio.flow import Flow, build_flow

PUBLISHED: Literal["published"] = "published"
DRAFT: Literal["draft"] = "draft"

StepKind = Literal["create", "save", "publish", "rename", "test users"]


@dataclass(frozen=True, kw_only=True)
class Ordered:
    """What was asked for, for all files alike. `message` is kept with the revision."""

    publish: bool = False
    test_users: tuple[str, ...] | None = None
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a flow is to become.

    `label` is what messages call it: the file or flow it comes from. `name` is the friendly name. `test_users` are
    E.164 numbers or client names; None leaves those there are.
    """

    label: str
    name: str
    definition: Mapping[str, Any]
    publish: bool = False
    message: str = ""
    test_users: tuple[str, ...] | None = None

    @property
    def status(self) -> str:
        return PUBLISHED if self.publish else DRAFT

    def message_for(self, revision: int) -> str:
        """The message to keep with that revision, sealed: the flow is known again whatever Twilio adds to it."""
        return f"{self.message} [{seal(self.definition, revision)}]"

    def is_in(self, record: FlowRecord) -> bool:
        """Whether a revision has this definition, or was made of it and has it still."""
        if same(record.definition, self.definition):
            return True
        is_ours = record.commit_message.endswith(f"[{seal(self.definition, record.revision)}]")
        return is_ours and not kept_otherwise(self.definition, record.definition)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the account has of the flow: its newest revision, and the published one, None if there never was one."""

    newest: FlowRecord
    live: FlowRecord | None = None
    test_users: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FlowChange:
    """The change of one flow; without `standing` the flow is to be made.

    `source_sid` is the SID that the definitions of other flows in the same run know this one by, where it has none
    in this account yet.
    """

    wanted: Wanted
    standing: Standing | None = None
    source_sid: str = ""

    @property
    def sid(self) -> str:
        """The flow's SID, "" while there is none."""
        return self.standing.newest.sid if self.standing else ""

    @property
    def steps(self) -> tuple[StepKind, ...]:
        """What is to be done, in order; nothing if the account has it all already.

        Publishing is a step of its own behind saving: what Twilio kept is compared before any caller hears it.
        """
        wanted, standing = self.wanted, self.standing
        steps: list[StepKind] = []
        if standing is None:
            steps.append("create")
        elif not wanted.is_in(standing.newest):
            steps.append("save")
        if wanted.publish and (standing is None or steps or standing.newest.status != PUBLISHED):
            steps.append("publish")
        if standing and not steps and standing.newest.friendly_name != wanted.name:
            steps.append("rename")
        users = standing.test_users if standing else ()
        if wanted.test_users is not None and set(wanted.test_users) != set(users):
            steps.append("test users")
        return tuple(steps)

    @property
    def heard_now(self) -> FlowRecord | None:
        """What the change is compared with: the live revision, else the newest; None for a new flow."""
        return (self.standing.live or self.standing.newest) if self.standing else None

    def differences(self) -> tuple[Change, ...]:
        """In words, what callers would notice against what they hear now."""
        before = self.heard_now
        if before is None or before.definition is None:
            return ()
        return diff(_flow(before.definition, before.sid), _flow(self.wanted.definition, self.wanted.label))

    def replaced_draft(self) -> FlowRecord | None:
        """A newer draft that is neither live nor what is wanted: its changes would not be in the new revision."""
        standing = self.standing
        if standing is None or standing.newest.status == PUBLISHED or standing.live is None:
            return None
        return None if self.wanted.is_in(standing.newest) else standing.newest


def _flow(definition: Mapping[str, Any], name: str) -> Flow:
    import json

    from studio_relay.studio.document import read_document

    return build_flow(read_document(json.dumps(definition), name=name), strict=False)
