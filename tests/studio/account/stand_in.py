"""A stand-in for Twilio's API that remembers: flows, revisions, validation, test users, numbers, in several accounts.

Every request must be one of the table made from Twilio's OpenAPI files. Faults and other people's changes are put
before or after the work of any request by its number. What Twilio leaves open is a switch here, not an answer.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import httpx
import respx
from oai_table import check_request, form_of
from stand_in_accounts import Flow, Revision, State, definition

__all__ = ["Fault", "Flow", "Refused", "Revision", "StandIn", "State", "definition", "mounted"]

STUDIO, API = "https://studio.twilio.com", "https://api.twilio.com"
Validator = Callable[[Mapping[str, Any]], list[dict[str, str]]]


class Fault(Enum):
    """What goes wrong with one request, and whether its work is done all the same."""

    NOT_CONNECTED = "no connection is made"
    BROKEN_BEFORE = "the connection breaks before the work"
    BROKEN_AFTER = "the connection breaks after the work"
    TIMEOUT_BEFORE = "no answer comes, and no work is done"
    TIMEOUT_AFTER = "no answer comes, but the work is done"
    ERROR_BEFORE = "500 before the work"
    ERROR_AFTER = "500 after the work"
    BUSY = "429"
    HTML = "HTML with status 200, from somebody in between"
    HTML_AFTER = "HTML with status 200 in place of the answer, after the work"
    BAD_GATEWAY = "HTML with status 502"


_WORKED = {Fault.BROKEN_AFTER, Fault.TIMEOUT_AFTER, Fault.ERROR_AFTER, Fault.HTML_AFTER}


class Refused(Exception):
    """Twilio says no, in its classic body."""

    def __init__(self, status: int, code: int, message: str, details: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message, "status": status}
        self.body["more_info"] = f"https://www.twilio.com/docs/errors/{code}"
        if details is not None:
            self.body["details"] = details


def well_formed(definition: Mapping[str, Any]) -> list[dict[str, str]]:
    """What a validator that knows next to nothing says: states have names and types that are text."""
    states = definition.get("states")
    if not isinstance(states, list) or not isinstance(definition.get("initial_state"), str):
        return [{"property_path": "#/states", "message": "is missing but it is required"}]
    return [
        {"property_path": f"#/states/{index}/{key}", "message": "string expected"}
        for index, state in enumerate(states)
        for key in ("name", "type")
        if not isinstance(state, dict) or not isinstance(state.get(key), str)
    ]


class StandIn:
    """The API. `seen` is every operation that was asked for, in order, as `POST /v2/Flows/{Sid}`.

    `faults` has a Fault for the numbers of requests, from 0; `before` and `after` what else happens around the work
    of one, such as somebody else's revision. `on_save` may change a definition as an API does that keeps only what
    it knows. `in_body` answers for an invalid definition with 200 and `valid: false` instead of an error.
    """

    def __init__(self, *accounts: State, rows: int = 50) -> None:
        self.accounts = {account.sid: account for account in accounts or (State(secrets={"": "secret" * 5}),)}
        self.rows = rows
        self.validator: Validator = well_formed
        self.on_save: Callable[[dict[str, Any]], dict[str, Any]] = lambda definition: definition
        self.in_body = False
        self.retry_after: str | None = "1"
        self.faults: dict[int, Fault] = {}
        self.before: dict[int, Callable[[], None]] = {}
        self.after: dict[int, Callable[[], None]] = {}
        self.seen: list[str] = []
        self.forms: list[dict[str, str]] = []

    @property
    def account(self) -> State:
        """The first account."""
        return next(iter(self.accounts.values()))

    @property
    def writes(self) -> list[str]:
        """The operations seen that change an account."""
        return [seen for seen in self.seen if seen.startswith("POST") and not seen.endswith("/Validate")]

    def mount(self, router: respx.Router) -> None:
        """Answer what goes to Twilio; anything else is an error of the test."""
        router.route(host="studio.twilio.com").mock(side_effect=self)
        router.route(host="api.twilio.com").mock(side_effect=self)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        operation, number = check_request(request), len(self.seen)
        self.seen.append(operation)
        self.forms.append(dict(form_of(request)) if request.method == "POST" else {})
        fault = self.faults.get(number)
        self.before.get(number, _nothing)()
        if fault is None or fault in _WORKED:
            answer = self._work(request, operation)
        self.after.get(number, _nothing)()
        return answer if fault is None else self._fail(fault, request)

    def _work(self, request: httpx.Request, operation: str) -> httpx.Response:
        try:
            return _Request(self, request, self._account_of(request)).answer(operation)
        except Refused as refused:
            return httpx.Response(refused.status, json=refused.body)

    def _account_of(self, request: httpx.Request) -> State:
        user, _, secret = base64.b64decode(request.headers["authorization"][6:]).decode().partition(":")
        for account in self.accounts.values():
            if account.secrets.get("" if user == account.sid else user) == secret:
                return account
        raise Refused(401, 20003, "Authenticate")

    def _fail(self, fault: Fault, request: httpx.Request) -> httpx.Response:
        if fault is Fault.NOT_CONNECTED:
            raise httpx.ConnectError("Name or service not known", request=request)
        if fault in (Fault.BROKEN_BEFORE, Fault.BROKEN_AFTER):
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.", request=request)
        if fault in (Fault.TIMEOUT_BEFORE, Fault.TIMEOUT_AFTER):
            raise httpx.ReadTimeout("The read operation timed out", request=request)
        if fault is Fault.BUSY:
            headers = {"Retry-After": self.retry_after} if self.retry_after else {}
            return httpx.Response(429, json=Refused(429, 20429, "Too Many Requests").body, headers=headers)
        if fault in (Fault.ERROR_BEFORE, Fault.ERROR_AFTER):
            return httpx.Response(500, json=Refused(500, 20500, "Internal Server Error").body)
        return httpx.Response(502 if fault is Fault.BAD_GATEWAY else 200, html="<html><title>Sign in</title></html>")


@dataclass
class _Request:
    """One request, come through to an account."""

    api: StandIn
    request: httpx.Request
    account: State

    def answer(self, operation: str) -> httpx.Response:
        method, path = self.request.method, self.request.url.path.removesuffix(".json").strip("/").split("/")
        if path[0] == "2010-04-01":
            if path[2] != self.account.sid:
                raise Refused(401, 20003, "Authenticate")
            return self._numbers() if method == "GET" else self._update_number(path[-1])
        match operation.rpartition("/")[2], method:
            case "Flows", "GET":
                rows = [self._flow(f, f.newest) | _UNLISTED for f in self.account.flows.values()]
                return self._page("flows", rows)
            case "Flows", "POST":
                return self._create()
            case "Validate", _:
                return self._validate()
            case "Revisions", _:
                flow = self._found(path[2])
                rows = [_revision_of(self._flow(flow, r) | _UNLISTED) for r in reversed(flow.revisions)]
                return self._page("revisions", rows)
            case "{Revision}", _:
                flow = self._found(path[2])
                return _json(200, _revision_of(self._flow(flow, self._revision(flow, path[4]))))
            case "TestUsers", _:
                return self._test_users(self._found(path[2]))
        flow = self._found(path[2])
        return self._update(flow) if method == "POST" else _json(200, self._flow(flow, flow.newest))

    def _found(self, sid: str) -> Flow:
        if sid not in self.account.flows:
            raise Refused(404, 20404, f"The requested resource {self.request.url.path} was not found")
        return self.account.flows[sid]

    def _revision(self, flow: Flow, which: str) -> Revision:
        if which == "LatestPublished" and flow.live:
            return flow.live
        if which == "LatestRevision":
            return flow.newest
        if not which.isdigit() and which != "LatestPublished":
            raise Refused(400, 81021, "Invalid revision")
        for revision in flow.revisions:
            if str(revision.number) == which:
                return revision
        raise Refused(404, 20404, f"The requested resource {self.request.url.path} was not found")

    def _flow(self, flow: Flow, revision: Revision) -> dict[str, Any]:
        at = f"2026-01-01T{revision.number % 24:02}:00:00Z"
        url = f"{STUDIO}/v2/Flows/{flow.sid}"
        known = {"sid": flow.sid, "account_sid": self.account.sid, "author_sid": None, "status": revision.status}
        said = {"commit_message": revision.commit_message, "valid": True, "errors": [], "warnings": []}
        links = {"test_users": f"{url}/TestUsers", "revisions": f"{url}/Revisions", "executions": f"{url}/Executions"}
        hook = f"http://webhooks.twilio.com/v1/Accounts/{self.account.sid}/Flows/{flow.sid}"
        return {
            **known,
            "friendly_name": revision.friendly_name,
            "definition": revision.definition,
            "revision": revision.number,
            **said,
            "date_created": "2026-01-01T00:00:00Z",
            "date_updated": at,
            "webhook_url": hook,
            "url": url,
            "links": links,
        }

    def _definition(self, form: Mapping[str, str]) -> dict[str, Any]:
        try:
            definition = json.loads(form["Definition"])
        except ValueError:
            raise Refused(400, 20001, "Definition is not valid JSON") from None
        if not isinstance(definition, dict):
            raise Refused(400, 20001, "Definition is no JSON object")
        if errors := self.api.validator(definition):
            raise Refused(400, 81022, "Flow definition validation failed", {"errors": errors})
        return definition

    def _create(self) -> httpx.Response:
        form = dict(form_of(self.request))
        definition = self.api.on_save(self._definition(form))
        sid = self.account.add_flow(form["FriendlyName"])
        name, message = form["FriendlyName"], form.get("CommitMessage", "")
        made = self.account.save(sid, definition, status=form["Status"], name=name, message=message)
        return _json(201, self._flow(self.account.flows[sid], made))

    def _update(self, flow: Flow) -> httpx.Response:
        form = dict(form_of(self.request))
        written = "Definition" in form
        definition = self.api.on_save(self._definition(form)) if written else flow.newest.definition
        name, message = form.get("FriendlyName", ""), form.get("CommitMessage", "")
        saved = self.account.save(flow.sid, definition, status=form["Status"], name=name, message=message)
        return _json(200, self._flow(flow, saved))

    def _validate(self) -> httpx.Response:
        try:
            self._definition(dict(form_of(self.request)))
        except Refused as refused:
            if not self.api.in_body or refused.status != 400:
                raise
            return _json(200, {"valid": False, **(refused.body.get("details") or {})})
        return _json(200, {"valid": True})

    def _test_users(self, flow: Flow) -> httpx.Response:
        if self.request.method == "POST":
            flow.test_users = [value for name, value in form_of(self.request) if name == "TestUsers" and value]
        url = f"{STUDIO}/v2/Flows/{flow.sid}/TestUsers"
        return _json(200, {"sid": flow.sid, "test_users": flow.test_users, "url": url})

    def _numbers(self) -> httpx.Response:
        rows = list(self.account.numbers.values())
        start, stop, page = self._cut()
        more = f"{self.request.url.path}?PageSize={stop - start}&Page={page + 1}&PageToken=PA{page + 1}"
        head = {"page": page, "page_size": stop - start, "start": start, "end": stop - 1, "uri": ""}
        links = {"first_page_uri": "", "previous_page_uri": None, "next_page_uri": more if stop < len(rows) else None}
        return _json(200, {**head, **links, "incoming_phone_numbers": rows[start:stop]})

    def _update_number(self, sid: str) -> httpx.Response:
        if sid not in self.account.numbers:
            raise Refused(404, 20404, f"The requested resource {self.request.url.path} was not found")
        number = self.account.numbers[sid]
        for name, value in form_of(self.request):
            number[_snake(name)] = value
        return _json(200, number)

    def _cut(self) -> tuple[int, int, int]:
        """Where the page begins and ends, and its number."""
        query = self.request.url.params
        size, page = min(int(query.get("PageSize", "50")), self.api.rows), int(query.get("Page", "0"))
        assert page == 0 or query.get("PageToken") == f"PA{page}", "the address of the next page lost its token"
        return page * size, (page + 1) * size, page

    def _page(self, key: str, rows: list[dict[str, Any]]) -> httpx.Response:
        start, stop, page = self._cut()
        url = f"{STUDIO}{self.request.url.path}?PageSize={stop - start}&Page="
        following = f"{url}{page + 1}&PageToken=PA{page + 1}" if stop < len(rows) else None
        meta = {"page": page, "page_size": stop - start, "first_page_url": f"{url}0", "previous_page_url": None}
        meta |= {"next_page_url": following, "url": str(self.request.url), "key": key}
        return _json(200, {"meta": meta, key: rows[start:stop]})


_UNLISTED: Mapping[str, None] = {"definition": None, "valid": None, "errors": None, "warnings": None}


def _revision_of(flow: dict[str, Any]) -> dict[str, Any]:
    """What a revision has of a flow's members; its `url` is its own."""
    kept = {key: value for key, value in flow.items() if key not in ("warnings", "webhook_url", "links")}
    return kept | {"url": f"{flow['url']}/Revisions/{flow['revision']}"}


def _json(status: int, body: Any) -> httpx.Response:
    return httpx.Response(status, json=body)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def _nothing() -> None:
    pass


def mounted(stand_in: StandIn) -> Iterator[StandIn]:
    """The stand-in in place of the network, for a fixture to `yield from`."""
    with respx.mock(assert_all_called=False, assert_all_mocked=True) as router:
        stand_in.mount(router)
        yield stand_in
