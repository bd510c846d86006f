"""Makes `table.json`: which requests Twilio's OpenAPI files allow, for the operations that we use; needs those files.

    python tests/oai/make_table.py FOLDER

FOLDER holds the files of the public repository twilio/twilio-oai (MIT, Copyright (C) 2023 Twilio, Inc.), whole or
cut down to our operations. Only methods, paths, parameter names, types, bounds, enumerations and statuses are taken.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("table.json")
FILES = ("twilio_studio_v2.json", "twilio_api_v2010_numbers_calls.json")
OPERATIONS = (
    "GET /v2/Flows",
    "POST /v2/Flows",
    "GET /v2/Flows/{Sid}",
    "POST /v2/Flows/{Sid}",
    "POST /v2/Flows/Validate",
    "GET /v2/Flows/{Sid}/Revisions",
    "GET /v2/Flows/{Sid}/Revisions/{Revision}",
    "GET /v2/Flows/{Sid}/TestUsers",
    "POST /v2/Flows/{Sid}/TestUsers",
    "GET /2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers.json",
    "POST /2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers/{Sid}.json",
)
_RULES = ("type", "enum", "pattern", "minimum", "maximum", "format")


def make_table(folder: Path) -> dict[str, Any]:
    """The operations by `METHOD path`, in the order of OPERATIONS."""
    found: dict[str, Any] = {}
    for name in FILES:
        found.update(_operations(json.loads((folder / name).read_text(encoding="utf-8"))))
    return {operation: found[operation] for operation in OPERATIONS}


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    host = document["servers"][0]["url"].removeprefix("https://")
    for path, methods in document["paths"].items():
        for method in ("get", "post"):
            if f"{method.upper()} {path}" in OPERATIONS:
                yield f"{method.upper()} {path}", {"host": host} | _operation(methods[method], document)


def _operation(operation: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    parameters = operation.get("parameters", ())
    content = operation.get("requestBody", {}).get("content", {})
    form = content.get("application/x-www-form-urlencoded", {}).get("schema", {})
    return {
        "path": {p["name"]: _rule(p["schema"], document) for p in parameters if p["in"] == "path"},
        "query": {p["name"]: _rule(p["schema"], document) for p in parameters if p["in"] == "query"},
        "form": {name: _rule(schema, document) for name, schema in form.get("properties", {}).items()},
        "required": form.get("required", []),
        "statuses": [int(status) for status in operation["responses"]],
    }


def _rule(schema: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    if reference := schema.get("$ref"):
        schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    return {key: schema[key] for key in _RULES if key in schema}


def table_text(folder: Path) -> str:
    """The table as it is committed."""
    return json.dumps(make_table(folder), indent=1) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table_text(Path(sys.argv[1])), encoding="utf-8")
