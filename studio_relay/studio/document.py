"""A flow definition as text: finding it in whatever it came wrapped in, and writing it back byte for byte.

What the definition means stands in `flow`; this module knows JSON, wrappers and layout only.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

from studio_relay.errors import FlowError

MAX_FLOW_BYTES = 8 * 1024 * 1024
"""Largest file read; the largest flow seen in the wild has 108 kB, Twilio publishes no limit."""

_MAX_NESTING = 8
_MAX_LISTED = 20
_MAX_STARTS = 64
_MAX_READING = 4
"""Places in program text where JSON may begin are tried until this many times the text was read."""
_NEXT_STEP = "Expected a Studio flow: a JSON object with `states` and `initial_state`."
_STYLES = tuple((indent, ascii_only) for indent in (2, 4, None, "\t", 3, 1, 0) for ascii_only in (False, True))


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a JSON text was written: indentation, separators, escapes, line ends, trailing white space."""

    indent: int | str | None = 2
    compact: bool = False
    ascii_only: bool = False
    newline: str = "\n"

    def dump(self, value: Any) -> str:
        tight = (",", ":") if self.compact else (",", ": ") if self.indent is not None else (", ", ": ")
        text = json.dumps(value, indent=self.indent, separators=tight, ensure_ascii=self.ascii_only)
        return text if self.newline == "\n" else text.replace("\n", self.newline)


@dataclass(frozen=True, kw_only=True)
class Document:
    """One flow definition with everything that stood around it.

    `definition` is the object holding `states`; `root` the JSON value it was found in; `trail` the way from
    one to the other, where a None step means "this string is JSON itself". `before` and `after` are the text
    around the JSON (a JavaScript module, a Terraform template, a byte-order mark).
    """

    name: str
    text: str
    root: Any
    definition: Mapping[str, Any]
    trail: tuple[str | int | None, ...] = ()
    before: str = ""
    after: str = ""

    @cached_property
    def layout(self) -> Layout:
        """How the JSON was written; found out when it is written again, since it takes several attempts."""
        return _layout_of(self.text[len(self.before) : len(self.text) - len(self.after)], self.root)

    def to_text(self, definition: Mapping[str, Any] | None = None) -> str:
        """The file's text with `definition` in the old one's place; unchanged, the text that was read."""
        if definition is None or json.dumps(definition) == json.dumps(self.definition):
            return self.text
        body = _replaced(self.root, self.trail, definition)
        return self.before + self.layout.dump(body) + self.after

    def bare(self) -> str:
        """The definition alone, as the Studio editor imports it: two spaces, one newline at the end."""
        return json.dumps(self.definition, indent=2, ensure_ascii=False) + "\n"


def read_document(text: str, *, name: str = "flow", select: str | None = None) -> Document:
    """Find the flow definition in `text`. Raises FlowError naming place and next step.

    `select` chooses one of several flows in a list page, by SID or friendly name.
    """
    if not text.strip("\ufeff \t\r\n"):
        raise FlowError(f"{name}: the file is empty. {_NEXT_STEP}")
    start, end, root = _json_inside(text, name)
    found = list(_definitions(root, ()))
    trail, definition = _chosen(found, root, name, select)
    return Document(
        name=name,
        text=text,
        root=root,
        definition=definition,
        trail=trail,
        before=text[:start],
        after=text[end:],
    )


def _json_inside(text: str, name: str) -> tuple[int, int, Any]:
    """Start, end and value of the JSON text in `text`, which may be a module or a template around it."""
    first = re.search(r"[^\s\ufeff]", text)
    start = first.start() if first else 0
    if text[start] in '{["':
        value, end = _decoded(text, start, name)
        if text[end:].strip().strip(";"):
            _refuse_json(name, text, end, "more text after the end of the JSON value")
        return start, end, value
    left = _MAX_READING * len(text)
    for start in _object_starts(text):
        try:
            value, end = _decoder().raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            # An error that does not say how far it came may have come to the end.
            left -= (error.pos if isinstance(error, json.JSONDecodeError) else len(text)) - start
        else:
            if next(_definitions(value, ()), None):
                return start, end, value
            left -= end - start
        if left < 0:
            break
    if re.search(r"(?:states|initial_state)\s*[:=]", text):
        raise FlowError(
            f"{name}: holds a flow written as program text, not as JSON (keys without quotes, or HCL). "
            "Evaluate it first and hand over the JSON it makes."
        )
    raise FlowError(f"{name}: is not JSON, and no JSON flow stands inside it. {_NEXT_STEP}")


def _object_starts(text: str) -> Iterator[int]:
    for found, match in enumerate(re.finditer(r'\{(?=\s*")', text)):
        if found >= _MAX_STARTS:
            return
        yield match.start()


def _decoded(text: str, start: int, name: str) -> tuple[Any, int]:
    try:
        return _decoder().raw_decode(text, start)
    except json.JSONDecodeError as error:
        what = "the JSON breaks off" if error.pos >= len(text.rstrip()) else error.msg
        if error.msg.startswith("Unterminated string"):
            what = "a string is never closed; the JSON breaks off"
        _refuse_json(name, text, error.pos, what)
    except RecursionError:
        raise FlowError(f"{name}: the JSON is nested too deeply to be a flow. {_NEXT_STEP}") from None
    except ValueError as error:
        raise FlowError(f"{name}: {error}. Correct it and try again.") from None


def _refuse_json(name: str, text: str, position: int, what: str) -> NoReturn:
    line = text.count("\n", 0, position) + 1
    column = position - (text.rfind("\n", 0, position) + 1) + 1
    raise FlowError(f"{name}:{line}:{column}: not valid JSON: {what}. Export the flow again, or correct this place.")


def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
    owner = made.get("name")
    where = f" (in the object named {owner!r})" if isinstance(owner, str) else ""
    raise ValueError(f"the key {twice!r} stands twice in one JSON object{where}; only one can count")


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON value; a number or a string was expected")


def _definitions(
    value: Any, trail: tuple[str | int | None, ...], depth: int = 0
) -> Iterator[tuple[tuple[str | int | None, ...], dict[str, Any]]]:
    """All objects with `states` and `initial_state`, at any depth, inside strings too."""
    if depth > _MAX_NESTING:
        return
    if isinstance(value, dict):
        if "states" in value and "initial_state" in value:
            yield trail, value
            return
        for key, member in value.items():
            yield from _definitions(member, (*trail, key), depth + 1)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _definitions(member, (*trail, index), depth + 1)
    elif isinstance(value, str) and "states" in value and value.lstrip()[:1] in ("{", "[", '"'):
        try:
            inner = _decoder().decode(value)
        except (ValueError, RecursionError):
            return
        yield from _definitions(inner, (*trail, None), depth + 1)


def _chosen(
    found: list[tuple[tuple[str | int | None, ...], dict[str, Any]]], root: Any, name: str, select: str | None
) -> tuple[tuple[str | int | None, ...], Mapping[str, Any]]:
    if not found:
        return (), _half_definition(root, name)
    labels_of = _Labels(root).of
    if select is not None:
        labels = [labels_of(trail) for trail, _ in found]
        for one, known in zip(found, labels, strict=True):
            if select in known:
                return one
        raise FlowError(f"{name}: holds no flow {select!r}; it holds {_listed(labels)}.")
    if len(found) > 1:
        labels = [labels_of(trail) for trail, _ in found]
        raise FlowError(f"{name}: holds {len(found)} flows: {_listed(labels)}. Say which one is meant.")
    return found[0]


def _half_definition(root: Any, name: str) -> Mapping[str, Any]:
    """A definition with one of its two marks missing is still one, for the linter to talk about."""
    if isinstance(root, dict) and ("states" in root or "initial_state" in root):
        return root
    if _has_null_definition(root):
        raise FlowError(
            f"{name}: `definition` is null. The list of flows leaves definitions out: fetch the flow by its SID."
        )
    kind = "an object" if isinstance(root, dict) else "an array" if isinstance(root, list) else "a plain value"
    raise FlowError(f"{name}: is JSON ({kind}), but no flow. {_NEXT_STEP}")


def _has_null_definition(value: Any) -> bool:
    if isinstance(value, dict):
        return value.get("definition", 0) is None or any(_has_null_definition(v) for v in value.values())
    return isinstance(value, list) and any(_has_null_definition(member) for member in value)


class _Labels:
    """SID and friendly name of the API resources that definitions were found in. Reads a text of JSON once."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._read: dict[int, Any] = {}

    def of(self, trail: tuple[str | int | None, ...]) -> list[str]:
        value: Any = self._root
        labels: list[str] = []
        for step in trail:
            if isinstance(value, dict):
                labels = [str(value[k]) for k in ("friendly_name", "sid") if k in value] or labels
            value = self._inside(value) if step is None else value[step]
        return labels

    def _inside(self, text: str) -> Any:
        if id(text) not in self._read:  # the texts are all held by the root, or by what was read of it
            self._read[id(text)] = _decoder().decode(text)
        return self._read[id(text)]


def _listed(labels: list[list[str]]) -> str:
    more = f" and {len(labels) - _MAX_LISTED} more" if len(labels) > _MAX_LISTED else ""
    return ", ".join(" / ".join(known) or "one without a name" for known in labels[:_MAX_LISTED]) + more


def _replaced(value: Any, trail: tuple[str | int | None, ...], new: Any) -> Any:
    if not trail:
        return new
    step, rest = trail[0], trail[1:]
    if step is None:
        inner = _decoder().decode(value)
        return _layout_of(value, inner).dump(_replaced(inner, rest, new))
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[step] = _replaced(value[step], rest, new)
    return copy


def _layout_of(text: str, value: Any) -> Layout:
    """The layout that writes `value` exactly as `text` has it, or else the nearest we know."""
    newline = "\r\n" if "\r\n" in text else "\n"
    multiline = "\n" in text
    for indent, ascii_only in _STYLES:
        if (indent is not None) != multiline:
            continue
        for compact in (True, False):
            layout = Layout(indent=indent, compact=compact, ascii_only=ascii_only, newline=newline)
            if layout.dump(value) == text:
                return layout
    return Layout(indent=2 if multiline else None, newline=newline)
