"""What is worth asking about the relay widget, from `candidates.toml`: names, types, values, how likely they are."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from studio_relay.studio.widgets import catalog

Kind = Literal["text", "choice", "flag", "number", "pairs"]

ENTRY = {"key": "probe", "value": "probe"}
IMPOSSIBLE: Any = [0]
"""A value that no type we look for has: a list whose entry is neither a text nor a key with a value."""
SECOND_IMPOSSIBLE = 5
"""A value that only numbers have: refused by every type that might accept the first."""
CONTROL = "probe_no_such_property"
"""A property that cannot exist; what is said about it is said about every unknown one."""
CONTROL_EVENT = "probeNoSuchEvent"
FREE_TEXT = "probing words"

_WEIGHTS: Mapping[Kind, Mapping[str, float]] = {
    "text": {"string": 0.91, "integer": 0.02, "boolean": 0.02, "pairs": 0.02, "object": 0.015, "number": 0.015},
    "choice": {"string": 0.86, "boolean": 0.09, "integer": 0.01, "pairs": 0.01, "object": 0.01},
    "flag": {"string": 0.47, "boolean": 0.49, "integer": 0.01, "pairs": 0.01, "object": 0.01},
    "number": {"string": 0.42, "integer": 0.42, "number": 0.12, "boolean": 0.02, "pairs": 0.01, "object": 0.01},
    "pairs": {"pairs": 0.88, "object": 0.05, "array": 0.03, "string": 0.03},
}
_LATER_VALUES = 0.2
"""How much of a choice's likelihood as a string lies in values other than the first."""


REMOTE = 0.004
"""How likely a name is that only speaks for itself; asked where many questions cost no more than one."""


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """One value of one JSON type that a property may have, and the part of its likelihood that lies here."""

    json: str
    value: Any
    weight: float


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A property that may exist. `say` are plausible texts, `number` a plausible integer."""

    name: str
    likely: float
    kind: Kind = "text"
    say: tuple[str, ...] = ()
    number: int = 5

    @property
    def is_remote(self) -> bool:
        """Whether it is worth no request of its own."""
        return self.likely <= REMOTE

    def alternatives(self) -> tuple[Alternative, ...]:
        """One value for each type, and more texts where they matter; the likeliest first."""
        found = [one for json, weight in _WEIGHTS[self.kind].items() for one in self._of_type(json, weight)]
        return tuple(sorted(found, key=lambda one: -one.weight))

    def values(self) -> tuple[Any, ...]:
        """Everything worth asking where a request can hold many questions."""
        texts = dict.fromkeys((*self.say, "true", "5", FREE_TEXT, "{{flow.variables.probe}}"))
        numbers = dict.fromkeys((5, 1, 30, 1000, self.number))
        entry = {**ENTRY, "type": "string"}
        return (*texts, *numbers, True, 0.5, [ENTRY], [entry], ["probe"], [], {"probe": "probe"}, {}, None)

    def _of_type(self, json: str, weight: float) -> Iterator[Alternative]:
        if json == "string":
            texts = self.say or ("true",)
            later = _LATER_VALUES if self.kind == "choice" and len(texts) > 1 else 0.0
            yield Alternative(json=json, value=texts[0], weight=weight * (1 - later))
            for text in texts[1:4] if later else ():
                yield Alternative(json=json, value=text, weight=weight * later / 3)
            return
        yield Alternative(json=json, value=self._sample(json), weight=weight)

    def _sample(self, json: str) -> Any:
        samples = {"boolean": True, "integer": self.number, "number": 0.8, "pairs": [ENTRY], "array": ["probe"]}
        return samples.get(json, {"probe": "probe"})


def json_type(value: Any) -> str:
    """The JSON type of a value we asked, with `pairs` for a list of keys with values."""
    if isinstance(value, list):
        return "pairs" if value and isinstance(value[0], dict) else "array"
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", type(None): "null"}
    return kinds[type(value)]


def is_among(value: Any, values: Iterable[Any]) -> bool:
    """Whether it is one of the values; True and 1 are two."""
    return any(value == one and json_type(value) == json_type(one) for one in values)


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """All candidates: properties by name, and how likely each event is."""

    keys: Mapping[str, Candidate]
    events: Mapping[str, float]


@cache
def candidates() -> Candidates:
    """The table shipped with this version, then remote ones: other spellings, what other widgets have."""
    table = tomllib.loads(files(__package__).joinpath("candidates.toml").read_text(encoding="utf-8"))
    keys = {
        name: Candidate(name=name, **{**row, "say": tuple(row.get("say", ()))}) for name, row in table["keys"].items()
    }
    spelled = {_camel_case(name): replace(one, name=_camel_case(name), likely=REMOTE) for name, one in keys.items()}
    elsewhere = {
        name: Candidate(name=name, likely=REMOTE) for one in catalog().widgets.values() for name in one.properties
    }
    events = {name: REMOTE for one in catalog().widgets.values() for name in one.events}
    return Candidates(
        keys={**keys, **elsewhere, **spelled, **keys}, events={**table["events"], **events, **table["events"]}
    )


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
