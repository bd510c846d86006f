"""The HTTP client we hand to the twilio package: httpx, with waiting and repeating where that is safe.

Knows methods, paths and statuses; what a resource means stands in `api`, the words of a refusal in `refusals`.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from studio_relay.errors import AccountError
from studio_relay.studio.account.credentials import Credentials
from studio_relay.studio.account.refusals import in_doubt, misdirected, refused, unreached, unusable

if TYPE_CHECKING:
    import httpx
    from twilio.http.response import Response

TRIES = 6
TRIES_TO_CONNECT = 3
"""Nobody is kept waiting for long to hear that there is no network."""

_SECONDS, _SECONDS_TO_CONNECT = 30.0, 10.0
_LONGEST_PAUSE, _LONGEST_ASKED = 16.0, 120.0
_SAVES_NOTHING = re.compile(r"/v2/Flows/Validate$")
_REPEATABLE = re.compile(r"/v2/Flows/(Validate|FW[^/]+/TestUsers)$|/IncomingPhoneNumbers/PN[^/]+\.json$")
"""POSTs that do the same when done twice. Saving a flow is none: each makes a flow, or a revision."""


@dataclass(frozen=True, kw_only=True)
class _Failure:
    """One try that came to nothing. `lost`: it may have changed the account; `asked`: the pause asked for, seconds."""

    error: AccountError
    again: bool
    lost: bool
    why: str
    tries: int = TRIES
    asked: float | None = None


class Http:
    """What the twilio package needs of an HTTP client; raises AccountError, so that it sees answers only.

    `answer` is the body of the last answer, success or not: the package's records leave out what they do not know.
    """

    is_async = False

    def __init__(
        self,
        credentials: Credentials,
        *,
        notice: Callable[[str], None],
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self.answer: Mapping[str, Any] = {}
        self._credentials = credentials
        self._notice = notice
        self._sleep = sleep or time.sleep
        self._client = _client()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """Send it, wait and repeat as it may be, and return the answer. Raises AccountError for all else."""
        import httpx
        from twilio.http.response import Response

        if not _is_twilio(uri):
            raise misdirected(uri)
        try:
            # httpx drops the query of the URL, which tells pages apart, for parameters that are empty but given.
            request = self._client.build_request(method, uri, params=params or None, data=data, headers=headers)
        except httpx.InvalidURL:
            raise misdirected(uri) from None
        response = self._answered(request, auth)
        return Response(response.status_code, response.text, response.headers)

    def _answered(self, request: httpx.Request, auth: tuple[str, str] | None) -> httpx.Response:
        lost = False
        for attempt in range(1, TRIES + 1):
            found = self._try(request, auth)
            if not isinstance(found, _Failure):
                return found
            lost = lost or found.lost
            if not found.again or attempt >= found.tries or (found.asked or 0) > _LONGEST_ASKED:
                break
            self._pause(attempt, found)
        assert isinstance(found, _Failure)
        raise in_doubt(found.error) if lost else found.error

    def _try(self, request: httpx.Request, auth: tuple[str, str] | None) -> httpx.Response | _Failure:
        import httpx

        try:
            response = self._client.send(request, auth=auth)
        except httpx.HTTPError as error:
            return _unanswered(request, error)
        body = _json(response)
        self.answer = body if isinstance(body, dict) else {}
        if response.status_code < 300 and isinstance(body, dict):
            return response
        return _refusal(response, body, self._credentials)

    def _pause(self, attempt: int, failure: _Failure) -> None:
        seconds = failure.asked or min(2.0 ** (attempt - 1), _LONGEST_PAUSE) * random.uniform(0.5, 1.0)
        self._notice(f"{failure.why}; trying again in {seconds:.0f} s")
        self._sleep(seconds)


def _client() -> httpx.Client:
    """A client with the proxies and certificates of the environment. Raises AccountError where those are wrong."""
    import httpx

    try:
        return httpx.Client(timeout=httpx.Timeout(_SECONDS, connect=_SECONDS_TO_CONNECT))
    except (OSError, ValueError, httpx.InvalidURL, ImportError) as error:
        raise unusable(error) from None


def _unanswered(request: httpx.Request, error: httpx.HTTPError) -> _Failure:
    import httpx

    never_sent = isinstance(
        error,
        httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError | httpx.UnsupportedProtocol,
    )
    return _Failure(
        error=unreached(request, error),
        again=never_sent or _repeatable(request),
        lost=_changes(request) and not never_sent,
        why=f"no answer from Twilio ({type(error).__name__})",
        tries=TRIES_TO_CONNECT if never_sent else TRIES,
    )


def _refusal(response: httpx.Response, body: Any, credentials: Credentials) -> _Failure:
    request, status = response.request, response.status_code
    busy = status == 429  # refused before any work
    return _Failure(
        error=refused(response, body, credentials),
        again=busy or (status >= 500 and _repeatable(request)),
        lost=_changes(request) and not 300 <= status < 500,
        why="Twilio asks us to slow down" if busy else f"Twilio's API has a fault (HTTP {status})",
        asked=_retry_after(response),
    )


def _changes(request: httpx.Request) -> bool:
    return request.method != "GET" and not _SAVES_NOTHING.search(request.url.path)


def _repeatable(request: httpx.Request) -> bool:
    return request.method == "GET" or bool(_REPEATABLE.search(request.url.path))


def _is_twilio(url: str) -> bool:
    """Whether the credentials may go there: the address of a next page comes out of an answer."""
    return bool(re.match(r"https://([a-z0-9-]+\.)+twilio\.com(:443)?/", url))


def _json(response: httpx.Response) -> Any:
    """The JSON value of the body; None for what is no JSON."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _retry_after(response: httpx.Response) -> float | None:
    """The seconds to wait that `Retry-After` asks for, as a number or a date; None if it asks for none."""
    value = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
