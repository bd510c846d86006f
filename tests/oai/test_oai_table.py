"""The table of requests is what Twilio's OpenAPI files say, it refuses what they refuse, and we read their examples."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from make_table import FILES, OPERATIONS, TABLE, table_text
from oai_table import check_request, table

from studio_relay.errors import AccountError
from studio_relay.studio.account.api import Account
from studio_relay.studio.account.credentials import Credentials

OAI = Path(__file__).parents[2].parent / "shared" / "oai"
AT_HAND = all((OAI / name).exists() for name in FILES)
needs_files = pytest.mark.skipif(not AT_HAND, reason="Twilio's OpenAPI files are not beside this repository")

ACCOUNT, FLOW, NUMBER = "AC" + "a" * 32, "FW" + "a" * 32, "PN" + "a" * 32
STUDIO = "https://studio.twilio.com/v2/Flows"
NUMBERS = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers"


def request(method: str, url: str, form: dict[str, Any] | None = None, **options: Any) -> httpx.Request:
    headers = {"Authorization": "Basic eDp5"} | options.pop("headers", {})
    return httpx.Request(method, url, data=form, headers=headers, **options)


@needs_files
def test_the_table_is_what_the_files_say() -> None:
    assert TABLE.read_text(encoding="utf-8") == table_text(OAI)


def test_the_table_holds_the_operations_we_use() -> None:
    assert tuple(table()) == OPERATIONS


@pytest.mark.parametrize(
    ("asked", "operation"),
    [
        (request("GET", STUDIO), "GET /v2/Flows"),
        (request("GET", f"{STUDIO}?PageSize=1000&Page=0&PageToken=x"), "GET /v2/Flows"),
        (request("POST", f"{STUDIO}/{FLOW}", {"Status": "draft"}), "POST /v2/Flows/{Sid}"),
        (
            request("POST", f"{STUDIO}/{FLOW}/TestUsers", {"TestUsers": ["a", "b"]}),
            "POST /v2/Flows/{Sid}/TestUsers",
        ),
        (request("GET", f"{STUDIO}/{FLOW}/Revisions/LatestPublished"), "GET /v2/Flows/{Sid}/Revisions/{Revision}"),
    ],
)
def test_what_twilio_has_is_recognised(asked: httpx.Request, operation: str) -> None:
    assert check_request(asked) == operation


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        (request("PUT", STUDIO, {"Status": "draft"}), "has no PUT"),
        (request("GET", "https://studio.twilio.com/v1/Flows"), "has no GET"),
        (request("GET", "https://api.twilio.com/v2/Flows"), "has no GET"),
        (request("GET", f"{STUDIO}/Desk"), "has no GET"),
        (request("GET", f"{STUDIO}?PageSize=1001"), "PageSize must not be '1001'"),
        (request("GET", f"{STUDIO}?PageSize=0"), "PageSize must not be '0'"),
        (request("GET", f"{STUDIO}?Limit=3"), "there is no Limit"),
        (request("POST", STUDIO, {"FriendlyName": "x", "Status": "live", "Definition": "{}"}), "Status must not be"),
        (request("POST", STUDIO, {"FriendlyName": "x", "Status": "draft"}), "Definition is required"),
        (request("POST", STUDIO, {"friendly_name": "x"}), "there is no friendly_name"),
        (request("POST", STUDIO, json={"Status": "draft"}), "content type"),
        (request("POST", f"{STUDIO}/{FLOW}", {"Status": ["draft", "draft"]}), "given twice"),
        (request("POST", f"{NUMBERS}/{NUMBER}.json", {"VoiceMethod": "PUT"}), "VoiceMethod must not be"),
        (request("POST", f"{NUMBERS}/{NUMBER}.json", {"VoiceUrl": "nowhere"}), "VoiceUrl must not be"),
        (request("POST", f"{NUMBERS}/{NUMBER}.json", {"TrunkSid": "x"}), "TrunkSid must not be"),
        (httpx.Request("GET", STUDIO), "no basic authentication"),
    ],
)
def test_what_twilio_has_not_is_refused(asked: httpx.Request, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        check_request(asked)


# ------------------------------------------------------ a server that answers with the files' own examples


def examples() -> Iterator[tuple[str, int, str, Any]]:
    """Operation, status, name and body of every example answer in the files."""
    for name in FILES if AT_HAND else ():
        document = json.loads((OAI / name).read_text(encoding="utf-8"))
        for operation in OPERATIONS:
            method, _, path = operation.partition(" ")
            responses = document["paths"].get(path, {}).get(method.lower(), {}).get("responses", {})
            for status, response in responses.items():
                for label, example in response["content"]["application/json"].get("examples", {}).items():
                    yield operation, int(status), label, example["value"]


CALLS: dict[str, Callable[[Account], Any]] = {
    "GET /v2/Flows": lambda a: list(a.flows()),
    "POST /v2/Flows": lambda a: a.create_flow(friendly_name="x", status="draft", definition={}, commit_message="y"),
    "GET /v2/Flows/{Sid}": lambda a: a.flow(FLOW),
    "POST /v2/Flows/{Sid}": lambda a: a.update_flow(FLOW, status="published", definition={}, friendly_name="z"),
    "POST /v2/Flows/Validate": lambda a: a.validate(friendly_name="x", status="draft", definition={}),
    "GET /v2/Flows/{Sid}/Revisions": lambda a: list(a.revisions(FLOW)),
    "GET /v2/Flows/{Sid}/Revisions/{Revision}": lambda a: a.revision(FLOW, "LatestPublished"),
    "GET /v2/Flows/{Sid}/TestUsers": lambda a: a.test_users(FLOW),
    "POST /v2/Flows/{Sid}/TestUsers": lambda a: a.set_test_users(FLOW, ["+15550100001"]),
    "GET /2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers.json": lambda a: list(a.numbers()),
    "POST /2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers/{Sid}.json": lambda a: a.update_number(
        NUMBER,
        voice_url="https://example.com/voice",
        voice_method="POST",
        voice_fallback_url="https://example.com/f",
        status_callback="https://example.com/s",
        api_version="2010-04-01",
    ),
}


def answered(operation: str, answer: httpx.Response) -> Any:
    """What comes back of the call for an operation that is answered so; the request is checked."""
    seen: list[str] = []

    def serve(asked: httpx.Request) -> httpx.Response:
        seen.append(check_request(asked))
        return answer

    with respx.mock as router, Account(Credentials(account_sid=ACCOUNT, user=ACCOUNT, secret="s" * 32)) as account:
        router.route().mock(side_effect=serve)
        made = CALLS[operation](account)
    assert seen == [operation]
    return made


def test_every_operation_has_its_call() -> None:
    assert tuple(CALLS) == OPERATIONS


@needs_files
def test_every_operation_has_an_example() -> None:
    assert {operation for operation, *_ in examples()} >= set(OPERATIONS) - {"POST /v2/Flows/Validate"}


@pytest.mark.parametrize(
    ("operation", "status", "label", "body"), list(examples()), ids=lambda value: str(value)[:60] if value else ""
)
def test_twilios_own_examples_are_understood(operation: str, status: int, label: str, body: Any) -> None:
    made = answered(operation, httpx.Response(status, json=body))
    if isinstance(body, dict) and "sid" in body and not isinstance(made, tuple):
        assert made.sid == body["sid"]
        for name in ("friendly_name", "revision", "definition", "phone_number"):
            assert getattr(made, name, body.get(name)) == body.get(name)
    elif isinstance(body, dict) and "test_users" in body:
        assert made == tuple(body["test_users"])
    elif operation.endswith("Validate"):
        assert made == ()
    else:
        rows = body[body["meta"]["key"]] if "meta" in body else body["incoming_phone_numbers"]
        assert [record.sid for record in made] == [row["sid"] for row in rows]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("body", [{}, {"sid": None}, {"sid": 3, "revision": "x"}, {"meta": 3}, {"flows": [[]]}])
def test_json_of_another_form_is_an_error_of_ours(operation: str, body: Any) -> None:
    if operation.endswith("Validate"):
        assert answered(operation, httpx.Response(200, json=body))
        return
    with pytest.raises(AccountError, match="found JSON of another form") as caught:
        answered(operation, httpx.Response(201 if operation == "POST /v2/Flows" else 200, json=body))
    assert caught.value.unknown == operation.startswith("POST")
