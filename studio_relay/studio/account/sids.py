"""Which things of one account a definition names: SIDs, telephone numbers, servers, and by which widgets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_SID = re.compile(r"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2}))[A-Z]{2}[0-9a-f]{32}(?![A-Za-z0-9])")
"""Within a URL inside of a URL too, where what stands before is encoded."""

_NUMBER = re.compile(r"(?<![A-Za-z0-9+])\+[1-9]\d{7,14}(?!\d)")
_SERVER = re.compile(r"(?:https?|wss?)://[^\s/\"'{}?#<>]+")


def sids_in(definition: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Every SID (`WW`, `FW`, ... and 32 hexadecimal digits) with the widgets that name it, in order."""
    return _found(_SID, definition)


def numbers_in(definition: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Every telephone number written as E.164 with the widgets that name it, in order."""
    return _found(_NUMBER, definition)


def servers_in(definition: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Every server that a URL names, as `wss://relay.example.com`, with the widgets that name it, in order."""
    return _found(_SERVER, definition)


def _found(pattern: re.Pattern[str], definition: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for widget, text in _texts(definition):
        for match in pattern.findall(text):
            found.setdefault(match, {})[widget] = None
    return {match: tuple(filter(None, widgets)) for match, widgets in found.items()}


def _texts(definition: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every text with the name of the widget it stands in, "" outside of widgets."""
    states = definition.get("states")
    for state in states if isinstance(states, list) else ():
        name = state.get("name") if isinstance(state, dict) else None
        yield from ((str(name or ""), text) for text in _strings(state))
    yield from (("", text) for key, value in definition.items() if key != "states" for text in _strings(value))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, member in value.items():
            yield key
            yield from _strings(member)
    elif isinstance(value, list):
        for member in value:
            yield from _strings(member)
