"""Whether two definitions are the same JSON, and where they are not; what the difference does is `studio.diff`'s.

Twilio may add to what it saves: `seal` tells that from what somebody else added.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any


def same(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Whether both are the same JSON value. The order of keys is none; `true`, `1` and `"1"` are three values."""
    return one is not None and other is not None and _text(one) == _text(other)


def seal(definition: Mapping[str, Any], revision: int) -> str:
    """Twelve hexadecimal digits to keep with a revision that we save: they say that it was made of this definition."""
    return hashlib.sha256(f"{revision} {_text(definition)}".encode()).hexdigest()[:12]


def kept_otherwise(sent: Mapping[str, Any], kept: Mapping[str, Any] | None) -> tuple[str, ...]:
    """What of the definition we sent is missing or another in the one that was kept, each with its path and widget."""
    return tuple(_differences(sent, kept, "#", ""))


def _differences(sent: Any, kept: Any, path: str, widget: str) -> Iterator[str]:
    where = f"{path} ({widget})" if widget else path
    if isinstance(sent, Mapping) and isinstance(kept, Mapping):
        if isinstance(sent.get("name"), str) and isinstance(sent.get("type"), str) and path.startswith("#/states/"):
            widget = widget or sent["name"]
        for key, value in sent.items():
            inner = f"{path}/{key}"
            if key in kept:
                yield from _differences(value, kept[key], inner, widget)
            else:
                yield f"{inner} ({widget}) was left out" if widget else f"{inner} was left out"
    elif isinstance(sent, list) and isinstance(kept, list) and len(sent) == len(kept):
        for index, (value, found) in enumerate(zip(sent, kept, strict=True)):
            yield from _differences(value, found, f"{path}/{index}", widget)
    elif _text(sent) != _text(kept):
        yield f"{where} is another value"


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
