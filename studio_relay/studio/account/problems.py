"""What Twilio's validator says about a definition, in its own words; reads it out of whatever form it came in.

The form is known in part only: `details.errors[]` with `property_path` and `message`. Lists elsewhere, other
spellings and bare texts are taken as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One line of FlowValidate, in Twilio's words.

    `path` is as Twilio writes it (`#/states/3/properties/timeout`) and "" where none was given; `widget` is the
    name of the state that the path counts to, "" if none.
    """

    path: str = ""
    message: str
    widget: str = ""

    def to_json(self) -> dict[str, str]:
        """The members that are known."""
        known = {"path": self.path, "widget": self.widget, "message": self.message}
        return {key: text for key, text in known.items() if text}

    def __str__(self) -> str:
        where = f"{self.widget} ({self.path})" if self.widget else self.path
        return f"{where}: {self.message}" if where else self.message


_PATHS = ("property_path", "propertyPath", "path", "instance_path", "instanceLocation", "pointer", "property")
_MESSAGES = ("message", "description", "detail", "error", "reason", "title")
_LISTS = ("errors", "details", "validation_errors", "violations")


def read_problems(body: Any, definition: Mapping[str, Any] | None = None) -> tuple[Problem, ...]:
    """Every problem in an answer's body, each once, in order; `()` if it holds none.

    With the `definition` that was asked about, paths get the names of their widgets.
    """
    return tuple(dict.fromkeys(name_widget(problem, definition) for problem in _lists(body)))


def name_widget(problem: Problem, definition: Mapping[str, Any] | None) -> Problem:
    """The problem with the name of the widget its path counts to."""
    found = re.match(r"[#$/.]*states[/.\[](\d+)", problem.path)
    states = (definition or {}).get("states")
    if not found or not isinstance(states, Sequence) or int(found[1]) >= len(states):
        return problem
    state = states[int(found[1])]
    name = state.get("name") if isinstance(state, Mapping) else None
    return replace(problem, widget=name) if isinstance(name, str) else problem


def _lists(value: Any) -> Iterator[Problem]:
    """What stands in the lists of an object; of lists within lists, the inner ones."""
    if isinstance(value, list):
        for entry in value:
            yield from _entry(entry)
    elif isinstance(value, Mapping):
        for key in _LISTS:
            found = value.get(key)
            yield from _entry(found) if isinstance(found, str) else _lists(found)


def _entry(entry: Any) -> Iterator[Problem]:
    if isinstance(entry, str) and entry.strip():
        path, found, message = entry.partition(": ")
        is_path = bool(found) and path.startswith(("#", "$", "/"))
        yield Problem(path=path, message=message) if is_path else Problem(message=entry)
    elif isinstance(entry, Mapping):
        inner = tuple(_lists(entry))
        message = _first(entry, _MESSAGES)
        if inner:
            yield from inner
        elif message:
            yield Problem(path=_first(entry, _PATHS), message=message)


def _first(entry: Mapping[str, Any], keys: Sequence[str]) -> str:
    return next((text for key in keys if isinstance(text := entry.get(key), str) and text.strip()), "")
