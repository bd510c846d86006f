"""The stand-in answers in the forms of Twilio's OpenAPI files, where those are at hand, and fails when told to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from make_table import FILES, OPERATIONS
from oai_table import table
from stand_in import Fault, StandIn, definition

from studio_relay.studio.document import read_document
from studio_relay.studio.lint import lint

OAI = Path(__file__).parents[3].parent / "shared" / "oai"
AT_HAND = all((OAI / name).exists() for name in FILES)
TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def asked(twilio: StandIn, operation: str) -> httpx.Response:
    """The answer to an operation on a stocked account."""
    flow = next(iter(twilio.account.flows), None) or twilio.account.add_flow("Desk", definition("hi"))
    number = next(iter(twilio.account.numbers), None) or twilio.account.add_number("+15550100001")
    method, _, path = operation.partition(" ")
    sid = number if "Phone" in path else flow
    known = {"{AccountSid}": twilio.account.sid, "{Sid}": sid, "{Revision}": "1"}
    for name, value in known.items():
        path = path.replace(name, value)
    fields = {"FriendlyName": "x", "Status": "draft", "Definition": json.dumps(definition("hi")), "TestUsers": "a"}
    required = table()[operation]["required"] or ["FriendlyName"]
    form = {name: fields[name] for name in required} if method == "POST" else None
    url = f"https://{table()[operation]['host']}{path}"
    return httpx.request(method, url, data=form, auth=(twilio.account.sid, twilio.account.secrets[""]))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_status_is_one_of_the_table(twilio: StandIn, operation: str) -> None:
    assert asked(twilio, operation).status_code in table()[operation]["statuses"]


@pytest.mark.skipif(not AT_HAND, reason="Twilio's OpenAPI files are not beside this repository")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_answer_has_the_form_that_the_files_give(twilio: StandIn, operation: str) -> None:
    method, _, path = operation.partition(" ")
    documents = [json.loads((OAI / name).read_text(encoding="utf-8")) for name in FILES]
    document = next(d for d in documents if path in d["paths"])
    answer = asked(twilio, operation)
    response = document["paths"][path][method.lower()]["responses"][str(answer.status_code)]
    assert list(faults(answer.json(), response["content"]["application/json"]["schema"], document)) == []


def faults(value: Any, schema: Mapping[str, Any], document: Mapping[str, Any], path: str = "$") -> Any:
    """Where a value is not of the form of a schema; members that are left out are none."""
    if reference := schema.get("$ref"):
        schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    if value is None or "type" not in schema:
        return
    if not isinstance(value, TYPES[schema["type"]]):
        yield f"{path}: {type(value).__name__}, not {schema['type']}"
    elif schema["type"] == "object" and "properties" in schema:
        for name, member in value.items():
            if name not in schema["properties"]:
                yield f"{path}.{name}: is none of the schema"
            else:
                yield from faults(member, schema["properties"][name], document, f"{path}.{name}")
    elif schema["type"] == "array":
        for member in value:
            yield from faults(member, schema["items"], document, f"{path}[]")


@pytest.mark.parametrize("fault", Fault)
def test_a_fault_comes_before_or_after_the_work(twilio: StandIn, fault: Fault) -> None:
    twilio.account.add_flow("Desk", definition("hi"))
    twilio.faults = {0: fault}
    try:
        made = asked(twilio, "POST /v2/Flows").status_code == 201
    except httpx.TransportError:
        made = False
    assert not made
    assert len(twilio.account.flows) == (2 if fault.name.endswith("_AFTER") else 1)


def test_what_is_saved_is_a_copy(twilio: StandIn) -> None:
    mine = definition("hi")
    sid = twilio.account.add_flow("Desk", mine)
    mine["states"].clear()
    assert twilio.account.flows[sid].newest.definition == definition("hi")


def test_somebody_elses_account_is_closed(twilio: StandIn) -> None:
    for auth in ((twilio.account.sid, "wrong"), ("AC" + "9" * 32, "x"), ("SK" + "0" * 32, "x")):
        answer = httpx.get("https://studio.twilio.com/v2/Flows", auth=auth)
        assert (answer.status_code, answer.json()["code"]) == (401, 20003)


@pytest.mark.parametrize("names", [(), ("hi",), ("hi", "there")])
def test_the_flow_of_the_tests_is_in_order(names: tuple[str, ...]) -> None:
    report = lint(read_document(json.dumps(definition(*names))))
    assert [finding for finding in report.findings if finding.severity == "error"] == []
