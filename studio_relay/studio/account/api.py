"""An account through Twilio's REST API: flows, revisions, test users, numbers, as records of ours.

Decides nothing: what may be changed, and what is said before, is the business of the commands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from types import TracebackType
from typing import Any, TypeVar

from studio_relay.errors import AccountError
from studio_relay.studio.account.credentials import Credentials
from studio_relay.studio.account.http import Http
from studio_relay.studio.account.numbers import NumberRecord
from studio_relay.studio.account.problems import Problem, read_problems
from studio_relay.studio.account.refusals import in_doubt, quoted, with_problems
from studio_relay.studio.flow import did_you_mean

Record = TypeVar("Record")

INVALID_DEFINITION = 81022
_ROWS = 500
"""Rows asked for at a time, of at most 1,000."""


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
        from twilio.rest import Client

        self.sid = credentials.account_sid
        self.command = credentials.command
        self._http = Http(credentials, notice=notice, sleep=sleep)
        self._client = Client(credentials.user, credentials.secret, self.sid, http_client=self._http)

    def __enter__(self) -> Account:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # -------------------------------------------------------------------------------------------------- reading

    def flows(self) -> Iterator[FlowRecord]:
        """Every flow, to the last page; without definitions."""
        return _rows(self._client.studio.v2.flows, _flow_record)

    def find_flow(self, name: str) -> FlowRecord:
        """The flow of this SID or friendly name, whole. AccountError if there is none, or several."""
        if is_flow_sid(name):
            return self.flow(name)
        flows = list(self.flows())
        found = [flow.sid for flow in flows if flow.friendly_name == name]
        if len(found) == 1:
            return self.flow(found[0])
        if found:
            raise AccountError(f"{name!r}: {len(found)} flows have this name: {', '.join(found)}. Say the SID.")
        near = did_you_mean(name, [flow.friendly_name for flow in flows])
        shows = f"`{self.command('flow', 'list')}` shows its flows."
        raise AccountError(f"{name!r}: account {self.sid} has no flow of this name.{near} {shows}")

    def flow(self, sid: str) -> FlowRecord:
        """The newest revision of a flow, draft or published."""
        with _understood("a flow"):
            return _flow_record(self._client.studio.v2.flows(sid).fetch())

    def revision(self, sid: str, which: int | str) -> FlowRecord:
        """One revision: its number, `LatestPublished` or `LatestRevision`."""
        with _understood("a revision of a flow"):
            return _flow_record(self._client.studio.v2.flows(sid).revisions(str(which)).fetch())

    def revisions(self, sid: str) -> Iterator[FlowRecord]:
        """Every revision of a flow, in Twilio's order; without definitions."""
        return _rows(self._client.studio.v2.flows(sid).revisions, _flow_record)

    def test_users(self, sid: str) -> tuple[str, ...]:
        """Who gets a flow's newest draft instead of what is published."""
        with _understood("test users"):
            return _texts(self._client.studio.v2.flows(sid).test_users().fetch().test_users)

    def numbers(self) -> Iterator[NumberRecord]:
        """Every phone number, to the last page."""
        return _rows(self._client.incoming_phone_numbers, _number_record)

    def validate(self, *, friendly_name: str, status: str, definition: Mapping[str, Any]) -> tuple[Problem, ...]:
        """What Twilio finds wrong with a definition, `()` if it would take it; saves nothing."""
        try:
            with _understood("a verdict"):
                verdict = self._client.studio.v2.flow_validate.update(
                    friendly_name=friendly_name, status=status, definition=dict(definition)
                )
        except AccountError as error:
            if error.status != 400 or not (error.code == INVALID_DEFINITION or error.problems):
                raise
        else:
            if verdict.valid is True:
                return ()
        said = self._http.answer
        return read_problems(said, definition) or (Problem(message=quoted(str(said.get("message") or "not valid"))),)

    # ------------------------------------------------------------------------------------------------- changing

    def create_flow(
        self, *, friendly_name: str, status: str, definition: Mapping[str, Any], commit_message: str = ""
    ) -> FlowRecord:
        """Make a flow. AccountError with `unknown` set: it may have been made, look before doing it again."""
        with _understood("the new flow", definition, changed=True):
            made = self._client.studio.v2.flows.create(
                friendly_name=friendly_name,
                status=status,
                definition=dict(definition),
                **_given(commit_message=commit_message),
            )
            return _flow_record(made)

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
        written = {} if definition is None else {"definition": dict(definition)}
        with _understood("the new revision", definition, changed=True):
            saved = self._client.studio.v2.flows(sid).update(
                status=status, **written, **_given(friendly_name=friendly_name, commit_message=commit_message)
            )
            return _flow_record(saved)

    def set_test_users(self, sid: str, numbers: Sequence[str]) -> tuple[str, ...]:
        """Replace a flow's test users; returns those it has now.

        None at all are sent as one empty text, since the parameter is required. [unverified: that Twilio takes it]
        """
        with _understood("test users", changed=True):
            return _texts(self._client.studio.v2.flows(sid).test_users().update(list(numbers) or [""]).test_users)

    def update_number(self, sid: str, **fields: str) -> NumberRecord:
        """Change fields of a number (`voice_url`, `voice_method`, `voice_fallback_url`, `status_callback`, ...)."""
        with _understood("the number", changed=True):
            return _number_record(self._client.incoming_phone_numbers(sid).update(**fields))


def is_flow_sid(text: str) -> bool:
    """Whether this is how Twilio names a flow."""
    return bool(re.fullmatch("FW[0-9a-fA-F]{32}", text))


@contextmanager
def _understood(what: str, definition: Mapping[str, Any] | None = None, *, changed: bool = False) -> Iterator[None]:
    """Names the widgets of problems; a body that the twilio package makes nothing of becomes AccountError."""
    from twilio.base.exceptions import TwilioException

    try:
        yield
    except AccountError as error:
        raise with_problems(error, definition) from error.__cause__
    except (TwilioException, ValueError, KeyError, TypeError, AttributeError) as error:
        strange = AccountError(
            f"expected {what}, found JSON of another form in Twilio's answer ({type(error).__name__}). "
            "Try again later, or with a newer studio-relay."
        )
        raise (in_doubt(strange) if changed else strange) from error


def _rows(resource: Any, read: Callable[[Any], Record]) -> Iterator[Record]:
    """Every row of a list, to the last page, as records."""
    seen: set[str] = set()
    with _understood("a page of a list"):
        page = resource.page(page_size=_ROWS)
    while page is not None:
        with _understood("a page of a list"):
            rows, address = [read(row) for row in page], page.next_page_url
        yield from rows
        if address in seen:
            raise AccountError(
                f"a list of Twilio's does not end: its pages lead in a circle, after {len(seen)} of them"
            )
        seen.add(address)
        with _understood("a page of a list"):
            page = page.next_page()


def _flow_record(found: Any) -> FlowRecord:
    """A record of the twilio package as one of ours. Raises TypeError for one that is none."""
    definition = found.definition
    if not (isinstance(found.sid, str) and isinstance(found.revision, int)):
        raise TypeError("a flow has a sid and a revision")
    return FlowRecord(
        sid=found.sid,
        friendly_name=_text(found.friendly_name),
        status=_text(found.status),
        revision=found.revision,
        definition=definition if isinstance(definition, Mapping) else None,
        commit_message=_text(found.commit_message),
        date_updated=_date(found.date_updated) or _date(found.date_created),
        valid=found.valid if isinstance(found.valid, bool) else None,
        errors=read_problems({"errors": found.errors}, definition),
        warnings=read_problems({"errors": getattr(found, "warnings", None)}, definition),
    )


def _number_record(found: Any) -> NumberRecord:
    if not isinstance(found.sid, str):
        raise TypeError("a number has a sid")
    known = {field.name: _text(getattr(found, field.name, "")) for field in fields(NumberRecord)}
    voice = found.capabilities.get("voice") if isinstance(found.capabilities, Mapping) else None
    return NumberRecord(**known | {"voice": voice if isinstance(voice, bool) else None})  # type: ignore[arg-type]


def _given(**options: str | None) -> dict[str, str]:
    return {name: value for name, value in options.items() if value}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("expected a list of texts")
    return tuple(text for text in value if isinstance(text, str) and text)


def _date(value: Any) -> str:
    """A date as Twilio writes it."""
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else _text(value)
