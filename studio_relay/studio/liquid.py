"""Studio's Liquid: python-liquid with Studio's limits, tags and filters; what a template may read is the caller's.

The library is imported when the first template with markup is met, since its import takes a quarter of a second.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from studio_relay.errors import FlowError
from studio_relay.studio.liquid_text import CostlyTemplate, tags

if TYPE_CHECKING:
    from liquid import BoundTemplate

MAX_LOOP_ITERATIONS = 15
"""Items a `for` loop visits (documented); that it stops there without an error is unverified."""
MAX_OUTPUT_BYTES = 16 * 1024
"""Length of a rendered text (documented); that it is cut there rather than refused is unverified."""
DEFAULT_ZONE = "America/Los_Angeles"
"""The zone of the `date` filter (documented as US Pacific)."""
TEMPLATE_ERROR = 81018
"""Twilio's code for a template that cannot be rendered."""

_MARKUP = re.compile(r"\{\{|\{%")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")


@dataclass(frozen=True, kw_only=True)
class TemplateWarning:
    """Something to know about a rendering; `code` is Twilio's, None for a remark of ours."""

    message: str
    code: int | None = None


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """The text a template made; after an error it is empty, with a warning 81018 (the emptiness is unverified)."""

    text: str
    warnings: tuple[TemplateWarning, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TemplateClock:
    """What time `"now"` is, and in which zone dates are written."""

    now: datetime | None = None
    zone: str = DEFAULT_ZONE

    def moment(self) -> datetime:
        return (self.now or datetime.now(UTC)).astimezone(zone_of(self.zone))


_clock: ContextVar[TemplateClock] = ContextVar("studio_template_clock")
_remarks: ContextVar[list[TemplateWarning]] = ContextVar("studio_template_remarks")


def has_markup(template: str) -> bool:
    """Whether the text holds Liquid at all."""
    return _MARKUP.search(template) is not None


def render(template: str, context: Mapping[str, Any], *, clock: TemplateClock | None = None) -> Rendered:
    """Render `template` with the namespaces of `context` (`flow`, `trigger`, `widgets`, `contact`). Never raises
    for what stands in the template; FlowError for an unknown zone."""
    if not has_markup(template):
        return Rendered(text=template)
    from liquid.exceptions import LiquidError

    with _environment_of(clock or TemplateClock()) as remarks:
        try:
            text = _written(parse(template), context)
        except LiquidError as error:
            return Rendered(text="", warnings=(_template_error(error),))
        except (ArithmeticError, ValueError, TypeError, RecursionError, MemoryError) as error:
            return Rendered(text="", warnings=(_broken(f"{type(error).__name__} in a filter"),))
        return Rendered(text=text, warnings=tuple(remarks))


@contextmanager
def _environment_of(clock: TemplateClock) -> Iterator[list[TemplateWarning]]:
    zone_of(clock.zone)
    remarks: list[TemplateWarning] = []
    tokens = _clock.set(clock), _remarks.set(remarks)
    try:
        yield remarks
    finally:
        _clock.reset(tokens[0])
        _remarks.reset(tokens[1])


def parse(template: str) -> BoundTemplate:
    """The parsed template, from a cache. Raises `liquid.exceptions.LiquidError`, also for what only Studio refuses."""
    outcome = _parsed(template)
    if isinstance(outcome, Exception):
        raise outcome.with_traceback(None)
    return outcome


@lru_cache(maxsize=4096)
def _parsed(template: str) -> BoundTemplate | Exception:
    from liquid.exceptions import LiquidError, LiquidSyntaxError

    from studio_relay.studio.liquid_dialect import environment

    try:
        found = tags(template)
    except CostlyTemplate as error:
        return LiquidSyntaxError(str(error), token=None)
    for tag in found:
        if not _QUOTED.sub("", tag).isascii():
            return LiquidSyntaxError("a variable name holds letters outside ASCII", token=None)
    try:
        return environment().from_string(template)
    except LiquidError as error:
        return error
    except RecursionError:
        return LiquidSyntaxError("nested too deeply", token=None)


def _written(template: BoundTemplate, context: Mapping[str, Any]) -> str:
    from liquid.exceptions import OutputStreamLimitError

    from studio_relay.studio.liquid_dialect import CutText

    buffer = CutText(MAX_OUTPUT_BYTES)
    try:
        template.render_with_context(template.context_class(template, globals=context), buffer)
    except OutputStreamLimitError:
        remark(f"the text was cut at {MAX_OUTPUT_BYTES} bytes, Studio's limit (that it cuts is unverified)")
    return buffer.getvalue()


def remark(message: str, code: int | None = None) -> None:
    """Add a remark to the rendering that is going on."""
    _remarks.get().append(TemplateWarning(message=message, code=code))


def now() -> datetime:
    """The moment of the rendering that is going on, in its zone."""
    return _clock.get().moment()


def zone_of(name: str) -> ZoneInfo:
    """The time zone called `name`. Raises FlowError."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise FlowError(f"the time zone {name!r} is unknown here; expected a name like {DEFAULT_ZONE!r}.") from None


def message_of(error: Exception) -> str:
    """The first line of a template error, quoted values taken out: they may be the caller's words."""
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    return first if "Syntax" in type(error).__name__ or "Unknown" in type(error).__name__ else _masked(first)


def _masked(text: str) -> str:
    return _QUOTED.sub("...", text)


def _template_error(error: Exception) -> TemplateWarning:
    return _broken(message_of(error))


def _broken(message: str) -> TemplateWarning:
    return TemplateWarning(code=TEMPLATE_ERROR, message=f"the template cannot be rendered: {message}")


def to_json(value: Any) -> str:
    """What `to_json` writes: compact JSON; a missing variable becomes `null` (unverified)."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_json_value)


def _json_value(value: Any) -> Any:
    from liquid import is_undefined

    if is_undefined(value):
        remark("to_json was given a missing variable; it wrote null (unverified)")
        return None
    return list(value) if isinstance(value, range) else str(value)
