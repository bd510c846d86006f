"""Judges REST requests by `table.json`, which was made from Twilio's OpenAPI files; sends and answers nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from make_table import TABLE

if TYPE_CHECKING:
    import httpx


@cache
def table() -> dict[str, Any]:
    """The committed table."""
    found: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return found


def check_request(request: httpx.Request) -> str:
    """The operation that the request is, as `POST /v2/Flows/{Sid}`. AssertionError if Twilio has no such request."""
    operation, rules = _operation(request)
    faults = [
        *_parameters("query", dict(request.url.params.multi_items()).items(), rules["query"]),
        *_form(request, rules),
        *([] if request.headers.get("authorization", "").startswith("Basic ") else ["no basic authentication"]),
    ]
    assert not faults, f"{operation}: {'; '.join(faults)}"
    return operation


def form_of(request: httpx.Request) -> list[tuple[str, str]]:
    """The fields of the form, in order."""
    return parse_qsl(request.content.decode(), keep_blank_values=True, strict_parsing=bool(request.content))


def _operation(request: httpx.Request) -> tuple[str, Any]:
    for operation, rules in table().items():
        method, _, path = operation.partition(" ")
        if request.method == method and request.url.host == rules["host"] and _fits(path, request.url.path, rules):
            return operation, rules
    raise AssertionError(f"Twilio has no {request.method} https://{request.url.host}{request.url.path}")


def _fits(template: str, path: str, rules: Mapping[str, Any]) -> bool:
    pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+?)", re.escape(template))
    found = re.fullmatch(pattern, path)
    return found is not None and all(
        re.search(rule.get("pattern", ""), found[name]) for name, rule in rules["path"].items()
    )


def _form(request: httpx.Request, rules: Mapping[str, Any]) -> Iterator[str]:
    if request.method == "GET":
        if request.content:
            yield "a GET with a body"
        return
    kind = request.headers.get("content-type", "")
    if kind != "application/x-www-form-urlencoded":
        yield f"content type {kind!r}"
        return
    fields = form_of(request)
    yield from _parameters("form", fields, rules["form"])
    yield from (f"form: {name} is required" for name in rules["required"] if name not in dict(fields))
    for name in dict(fields):
        if rules["form"].get(name, {}).get("type") != "array" and [n for n, _ in fields].count(name) > 1:
            yield f"form: {name} is given twice"


def _parameters(where: str, given: Any, rules: Mapping[str, Any]) -> Iterator[str]:
    for name, value in given:
        if name not in rules:
            yield f"{where}: there is no {name}"
        elif not _allowed(value, rules[name]):
            yield f"{where}: {name} must not be {value[:80]!r}"


def _allowed(value: str, rule: Mapping[str, Any]) -> bool:
    if "enum" in rule and value not in rule["enum"]:
        return False
    if rule.get("pattern") and value and not re.search(rule["pattern"], value):
        return False
    if rule.get("format") == "uri" and value and not re.match(r"https?://[^\s/]+", value):
        return False
    if rule.get("type") == "boolean":
        return value in ("true", "false")
    if rule.get("type") == "integer":
        return value.isdigit() and rule.get("minimum", 0) <= int(value) <= rule.get("maximum", int(value))
    return True
