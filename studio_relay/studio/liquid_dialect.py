"""The python-liquid environment that behaves as Studio does; imported by `liquid` when a template needs it.

Only tags and filters that are documented, seen in exports, or part of the classic set stay; the others raise
as they would in Studio.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache, wraps
from io import StringIO
from itertools import islice
from typing import Any, TextIO

from liquid import Environment, RenderContext, TokenStream, Undefined, is_undefined
from liquid.ast import Node
from liquid.builtin.expressions import LoopExpression
from liquid.builtin.filters.misc import date as library_date
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.for_tag import ForNode, ForTag
from liquid.exceptions import LiquidTypeError, LiquidValueError, OutputStreamLimitError
from liquid.filter import with_environment
from liquid.stringify import to_liquid_string

from studio_relay.studio import liquid

DOCUMENTED_TAGS = frozenset(
    {"if", "unless", "case", "for", "break", "continue", "assign", "capture", "comment", "raw", "cycle"}
)
# fmt: off
DOCUMENTED_FILTERS = frozenset({
    "append", "capitalize", "date", "default", "divided_by", "downcase", "escape", "escape_once", "first", "join",
    "last", "lstrip", "map", "minus", "modulo", "newline_to_br", "plus", "prepend", "remove", "remove_first",
    "replace", "replace_first", "rstrip", "size", "slice", "sort", "split", "strip", "strip_html",
    "strip_newlines", "times", "to_json", "truncate", "truncatewords", "upcase", "url_encode",
})
_CLASSIC_TAGS = frozenset({"increment", "decrement", "ifchanged", "tablerow"})
_CLASSIC_FILTERS = frozenset({
    "abs", "at_least", "at_most", "ceil", "compact", "concat", "floor", "reverse", "round", "sort_natural", "uniq",
    "url_decode", "where",
})
# fmt: on
_INNER_TAGS = frozenset({"content", "output", "illegal"})
_KEEPS_OBJECTS = frozenset({"to_json", "size", "first", "last", "map", "sort", "join", "default", "where", "concat"})
_MAX_VALUE = 256 * 1024
_MAX_ITERATIONS = 5_000


class _IndexedUndefined(Undefined):
    """A missing variable is empty, but an array index that is out of range is an error in Studio."""

    def __init__(self, name: str, *, token: Any = None, obj: object = None, hint: str | None = None) -> None:
        super().__init__(name, token=token, obj=obj, hint=hint)
        if hint == "index out of range":
            raise LiquidValueError(f"array index out of range in {name}", token=token)


class _StudioEnvironment(Environment):
    loop_iteration_limit = _MAX_ITERATIONS
    local_namespace_limit = 4 * _MAX_VALUE
    output_stream_limit = 4 * _MAX_VALUE


class CutText(StringIO):
    """A text buffer that keeps what fits into `limit` bytes of UTF-8 and then refuses."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._left = limit

    def write(self, text: str) -> int:
        data = text.encode("utf-8", "replace")
        if len(data) <= self._left:
            self._left -= len(data)
            return super().write(text)
        super().write(data[: self._left].decode("utf-8", "ignore"))
        self._left = 0
        raise OutputStreamLimitError("output limit reached", token=None)


class _CappedLoop(LoopExpression):
    """A loop expression that stops at Studio's bound."""

    __slots__ = ()

    @classmethod
    def of(cls, parsed: LoopExpression) -> _CappedLoop:
        return cls(
            parsed.token,
            parsed.identifier,
            parsed.iterable,
            limit=parsed.limit,
            offset=parsed.offset,
            reversed_=parsed.reversed,
            cols=parsed.cols,
        )

    def evaluate(self, context: RenderContext) -> tuple[Iterator[object], int]:
        items, length = super().evaluate(context)
        if length <= liquid.MAX_LOOP_ITERATIONS:
            return items, length
        liquid.remark(f"a for loop was stopped after {liquid.MAX_LOOP_ITERATIONS} items, Studio's limit")
        return islice(items, liquid.MAX_LOOP_ITERATIONS), liquid.MAX_LOOP_ITERATIONS


class _StudioForTag(ForTag):
    def parse(self, stream: TokenStream) -> Node:
        node = super().parse(stream)
        if isinstance(node, ForNode):
            node.expression = _CappedLoop.of(node.expression)
        return node


class _StudioOutputNode(OutputNode):
    """Prints an object as compact JSON; what Studio prints for a bare object is unverified."""

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        value = self.expression.evaluate(context)
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(v, dict) for v in value)):
            liquid.remark("an object was printed without to_json; it is shown as JSON (unverified)")
            return buffer.write(liquid.to_json(value))
        return buffer.write(to_liquid_string(value, context.autoescape))


class _StudioOutput(Output):
    node_class = _StudioOutputNode


@cache
def environment() -> Environment:
    """The one environment; templates parsed with it may be shared."""
    made = _StudioEnvironment(undefined=_IndexedUndefined)
    made.add_tag(_StudioForTag)
    made.add_tag(_StudioOutput)
    for name in set(made.tags) - DOCUMENTED_TAGS - _CLASSIC_TAGS - _INNER_TAGS:
        del made.tags[name]
    for name in set(made.filters) - DOCUMENTED_FILTERS - _CLASSIC_FILTERS:
        del made.filters[name]
    made.filters |= {"to_json": liquid.to_json, "date": _date}
    made.filters = {name: _bounded(name, function) for name, function in made.filters.items()}
    return made


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter with a bound on what it makes, and objects made text before a text filter sees them."""

    @wraps(function)
    def bounded(value: Any, *arguments: Any, **named: Any) -> Any:
        if isinstance(value, range) and len(value) > _MAX_ITERATIONS:
            raise LiquidValueError(f"{name}: the range is too long", token=None)
        if isinstance(value, dict) and name not in _KEEPS_OBJECTS:
            value = liquid.to_json(value)
        if name == "replace" and len(arguments) == 2:
            _refuse_growth(value, *arguments)
        made = function(value, *arguments, **named)
        if isinstance(made, (str, list)) and len(made) > _MAX_VALUE:
            raise LiquidValueError(f"{name}: the result is too large", token=None)
        return made

    return bounded


def _refuse_growth(value: Any, old: Any, new: Any) -> None:
    text = str(value)
    times = text.count(str(old)) if str(old) else len(text) + 1
    if len(text) + times * len(str(new)) > _MAX_VALUE:
        raise LiquidValueError("replace: the result is too large", token=None)


@with_environment
def _date(value: Any, form: Any = None, *, environment: Environment) -> str:
    """`date` with the run's clock and zone; strftime tokens."""
    if is_undefined(value) or value is None:
        return ""
    if form is None or is_undefined(form):
        return str(value)
    if value in ("now", "today"):
        return str(liquid.now().strftime(str(form)))
    if isinstance(value, int) or (isinstance(value, str) and value.strip().isdigit()):
        return str(_timestamp(int(value)).strftime(str(form)))
    if not isinstance(value, str):
        raise LiquidTypeError("date: expected a text or a number", token=None)
    return str(library_date(value, str(form), environment=environment))


def _timestamp(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, tz=liquid.now().tzinfo)
