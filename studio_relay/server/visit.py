"""What the query of our own URLs says about a call: the way home, custom parameters, what was tried to resume it.

`/voice` is called with the first two; its `action` carries all of it on, so that whoever answers `/connect-action`
needs no memory. Twilio signs these URLs, so nobody else can write them. Every query we write is sorted by name: Twilio
is reported to ask for it in that order, but to sign the URL as it was written.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Literal, get_args
from urllib.parse import parse_qsl, urlencode

from studio_relay.server.attributes import Refusal, Tag, without_control_characters
from studio_relay.ticket import EARLIER, TICKET

log = logging.getLogger(__name__)

_RETURN = "return"
_RECONNECTS, _MOVES, _CHANGES = "relay-reconnects", "relay-moves", "relay-changes"
_NOT_PARAMETERS = (_RETURN, _RECONNECTS, _MOVES, _CHANGES, TICKET, EARLIER, "bodySHA256")
_HOME = re.compile(r"https://webhooks\.twilio\.com/v1/Accounts/(AC[0-9a-fA-F]{32})/Flows/FW[0-9a-fA-F]{32}(\?[!-~]*)?")
_OURS_TO_SAY = ("FlowEvent", "SessionStatus", "HandoffData")
_MOST_PARAMETERS = 50
MAX_MOVES = 10
"""So often a call follows its server's leaving; more is no deployment but a loop."""

Change = Literal["minimal", "recogniser", "refused"]
"""What is different at the next attempt: nothing in the TwiML that Twilio may have refused, or another speech
recogniser; or that a connection was refused before, which happens once at most."""

Reaction = Literal["reconnect", "once", "minimal", "recogniser", "give-up", "unknown"]
"""What a failure asks for; see `failures.py`."""


_CHANGED_BY: Mapping[Reaction, Change] = {"once": "refused", "minimal": "minimal", "recogniser": "recogniser"}


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """What was tried already to keep a call with its agent."""

    reconnects: int = 0
    moves: int = 0
    changes: frozenset[Change] = frozenset()

    @property
    def sessions(self) -> int:
        """How many sessions the call has had."""
        return self.reconnects + self.moves

    def after(self, reaction: Reaction, limit: int) -> Recovery | None:
        """The next attempt after a failure, None when there is none left. `limit` is `MAX_RECONNECTS`."""
        if reaction in ("give-up", "unknown") or self.reconnects >= limit:
            return None
        change = _CHANGED_BY.get(reaction)
        if change in self.changes and change != "recogniser":
            return None
        changes = self.changes if change is None else self.changes ^ {change}
        return replace(self, reconnects=self.reconnects + 1, changes=changes)

    def moved(self) -> Recovery | None:
        """The next server, when this one is leaving."""
        return replace(self, moves=self.moves + 1) if self.moves < MAX_MOVES else None

    def to_query(self) -> dict[str, str]:
        """As it stands in the query of an `action`."""
        query = {_RECONNECTS: str(self.reconnects or ""), _MOVES: str(self.moves or "")}
        query[_CHANGES] = " ".join(sorted(self.changes))
        return {name: text for name, text in query.items() if text}

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Recovery:
        """What `to_query` wrote; what is no number counts as many, so that nothing goes on for ever."""
        written = query.get(_CHANGES, "").split()
        return cls(
            reconnects=_count(query.get(_RECONNECTS)),
            moves=_count(query.get(_MOVES)),
            changes=frozenset(change for change in get_args(Change) if change in written),
        )


def _count(text: str | None) -> int:
    return int(text or 0) if re.fullmatch("[0-9]{0,3}", text or "") else 999


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One call's stay with us. `home` is the flow it came from; `strange_home` one that is not ours to go to."""

    home: str | None = None
    strange_home: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)
    recovery: Recovery = field(default_factory=Recovery)

    @classmethod
    def read(cls, query: Iterable[tuple[str, str]], account_sid: str | None) -> Visit:
        """What a query says. `account_sid` is ours, None where it is not known: then there is no way home.

        Raises nothing: what cannot be used is left out, and logged.
        """
        first: dict[str, str] = {}
        parameters: dict[str, str] = {}
        for name, value in query:
            known = name in _NOT_PARAMETERS
            if name in first:
                log.warning("the query names %s twice; the first one counts", ascii(name[:40]))
                continue
            first[name] = value
            if not known and (clean := without_control_characters(name).strip()):
                parameters[clean] = without_control_characters(value)
        if TICKET in first:
            log.warning("the query's %s is left out: that custom parameter is the server's own", TICKET)
        if len(parameters) > _MOST_PARAMETERS:
            log.warning("%d custom parameters in the query, only %d are used", len(parameters), _MOST_PARAMETERS)
            parameters = dict(list(parameters.items())[:_MOST_PARAMETERS])
        home = first.get(_RETURN)
        is_ours = home is not None and is_way_home(home, account_sid)
        return cls(
            home=home if is_ours else None,
            strange_home=home is not None and not is_ours,
            parameters=parameters,
            recovery=Recovery.read(first),
        )

    @property
    def language(self) -> str | None:
        """The custom parameter `language`, which our TwiML heeds, if it is a language tag."""
        given = self.parameters.get("language")
        try:
            return Tag().read(given) if given else None
        except Refusal:
            log.warning("the custom parameter language is no language tag; it changes nothing")
            return None

    def to_query(self) -> str:
        """The query of an `action` that leads back to here."""
        home = {_RETURN: self.home} if self.home else {}
        return urlencode(sorted((home | dict(self.parameters) | self.recovery.to_query()).items()))

    def home_with(self, **fields: str | None) -> str:
        """The way home with what the flow's Redirect widget takes out of it (reference for Studio, 2.15)."""
        assert self.home is not None
        bare, _, query = self.home.partition("?")
        own = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] not in _OURS_TO_SAY]
        said = [(name, text) for name, text in fields.items() if text is not None]
        return f"{bare}?{urlencode(sorted([*own, ('FlowEvent', 'return'), *said], key=itemgetter(0)))}"


def is_way_home(url: str, account_sid: str | None) -> bool:
    """Whether `url` is the webhook of a flow of this account: a call is sent nowhere else."""
    return account_sid is not None and account_of(url) == account_sid


def account_of(url: str) -> str | None:
    """The account that the webhook of a flow belongs to; None for any other URL."""
    found = _HOME.fullmatch(url)
    return found[1] if found else None
