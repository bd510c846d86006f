"""An account through Twilio's REST API: flows, revisions, test users, numbers, as records of ours.

Decides nothing: what may be changed, and what is said before, is the business of the commands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from studio_relay.studio.account.credentials import Credentials
from studio_relay.studio.account.numbers import NumberRecord
from studio_relay.studio.account.problems import Problem


@dataclass(frozen=True, kw_only=True)
class FlowRecord:
    """A flow, or one revision of it; `definition` is None in lists. `status` is `draft` or `published`."""

    sid: str
    friendly_name: str
    status: str
    revision: int
    definition: Mapping[str, Any] | None = None
    commit_message: str = ""
    date_updated: str = ""
    valid: bool | None = None
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def _silent(text: str) -> None:
    """Say nothing of waiting."""


class Account:
    """The account that the credentials open; a context manager. Every method raises AccountError.

    `notice` is told when Twilio makes us wait; `sleep` waits, in seconds.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        notice: Callable[[str], None] = _silent,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self.sid = credentials.account_sid

    def __enter__(self) -> Account:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""

    def flows(self) -> Iterator[FlowRecord]:
        """Every flow, to the last page; without definitions."""
        raise NotImplementedError

    def find_flow(self, name: str) -> FlowRecord:
        """The flow of this SID or friendly name, whole. AccountError if there is none, or several."""
        raise NotImplementedError

    def flow(self, sid: str) -> FlowRecord:
        """The newest revision of a flow, draft or published."""
        raise NotImplementedError

    def revision(self, sid: str, which: int | str) -> FlowRecord:
        """One revision: its number, `LatestPublished` or `LatestRevision`."""
        raise NotImplementedError

    def revisions(self, sid: str) -> Iterator[FlowRecord]:
        """Every revision of a flow, as Twilio lists them (newest first); without definitions."""
        raise NotImplementedError

    def validate(self, *, friendly_name: str, status: str, definition: Mapping[str, Any]) -> tuple[Problem, ...]:
        """What Twilio finds wrong with a definition, `()` if it would take it; saves nothing."""
        raise NotImplementedError

    def create_flow(
        self, *, friendly_name: str, status: str, definition: Mapping[str, Any], commit_message: str = ""
    ) -> FlowRecord:
        """Make a flow. AccountError with `unknown` set: it may have been made, look before doing it again."""
        raise NotImplementedError

    def update_flow(
        self,
        sid: str,
        *,
        status: str,
        definition: Mapping[str, Any] | None = None,
        friendly_name: str | None = None,
        commit_message: str = "",
    ) -> FlowRecord:
        """Save a new revision. AccountError with `unknown` set: it may have been saved, look first."""
        raise NotImplementedError

    def test_users(self, sid: str) -> tuple[str, ...]:
        """Who gets a flow's newest draft instead of what is published."""
        raise NotImplementedError

    def set_test_users(self, sid: str, numbers: Sequence[str]) -> tuple[str, ...]:
        """Replace a flow's test users; returns those it has now."""
        raise NotImplementedError

    def numbers(self) -> Iterator[NumberRecord]:
        """Every phone number, to the last page."""
        raise NotImplementedError

    def update_number(self, sid: str, **fields: str) -> NumberRecord:
        """Change fields of a number (`voice_url`, `voice_method`, `voice_fallback_url`, `status_callback`, ...)."""
        raise NotImplementedError
