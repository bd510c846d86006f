"""The HTTP client we hand to the twilio package: httpx, with waiting and repeating where that is safe.

Knows methods, paths and statuses; what a resource means stands in `api`, the words of a refusal in `refusals`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

TRIES = 6


class Http:
    """What the twilio package needs of an HTTP client; `answer` is the body of the last answer."""

    is_async = False

    def __init__(self, *, notice: Callable[[str], None], sleep: Callable[[float], None] | None = None) -> None:
        self.answer: Mapping[str, Any] = {}
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError
