"""The words for a request that came to nothing: expected, found, where, what to do next; decides about no retry.

No message holds a secret or a phone number, and Twilio's own words are quoted without what would steer a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from studio_relay.errors import AccountError, without_passwords
from studio_relay.studio.account.credentials import Credentials
from studio_relay.studio.account.problems import name_widget, read_problems

if TYPE_CHECKING:
    import httpx

_LONGEST = 400
_MOST = 20


def refused(response: httpx.Response, body: Any, credentials: Credentials) -> AccountError:
    """The error for a response that is no success; `body` is its JSON value, None if it is none."""
    said = body if isinstance(body, dict) else {}
    code = said.get("code") if isinstance(said.get("code"), int) else None
    message = f"{place(response.request)}: {_found(response, said, body)}. {_next(response, credentials)}"
    return AccountError(message, status=response.status_code, code=code, problems=read_problems(body))


def unreached(request: httpx.Request, error: Exception) -> AccountError:
    """The error for a request that got no answer at all."""
    reason = quoted(str(error)) or "no reason given"
    advice = "Check the network, HTTPS_PROXY and SSL_CERT_FILE, then try again."
    return AccountError(f"{place(request)}: no answer ({type(error).__name__}: {reason}). {advice}")


def with_problems(error: AccountError, definition: Mapping[str, Any] | None) -> AccountError:
    """The same error with what Twilio finds wrong with the definition in its text, a line each, widgets named."""
    if not error.problems:
        return error
    problems = tuple(name_widget(problem, definition) for problem in error.problems)
    lines = [quoted(str(problem)) for problem in problems[:_MOST]]
    if len(problems) > _MOST:
        lines.append(f"... and {len(problems) - _MOST} more")
    message = "\n".join([str(error), *lines])
    return AccountError(message, status=error.status, code=error.code, problems=problems, unknown=error.unknown)


def in_doubt(error: AccountError) -> AccountError:
    """The same error of a request that may have been carried out all the same."""
    message = f"{error} Whether it was carried out is not known: look before you repeat it."
    return AccountError(message, status=error.status, code=error.code, problems=error.problems, unknown=True)


def misdirected(url: str) -> AccountError:
    """The error for an address that is not Twilio's: the credentials go to nobody else."""
    return AccountError(
        f"expected an https address of twilio.com to go on with, found {quoted(url)}; nothing was sent there. "
        "Check TWILIO_REGION and TWILIO_EDGE, and what stands between you and Twilio."
    )


def unusable(error: Exception) -> AccountError:
    """The error for settings of the network that no client can be made with."""
    said = without_passwords(str(error))
    return AccountError(
        f"the network's settings cannot be used ({type(error).__name__}: {quoted(said)}). Expected URLs such as "
        "http://proxy.example:3128 in HTTPS_PROXY and ALL_PROXY, and a readable PEM file in SSL_CERT_FILE; "
        "correct them, or unset them. Nothing was sent."
    )


def place(request: httpx.Request) -> str:
    """Method and address, without a query."""
    return f"{request.method} https://{request.url.host}{request.url.path}"


def quoted(text: str) -> str:
    """Words of others in one line: bounded, printable, phone numbers left out."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    line = re.sub(r"\+\d{7,15}", "+...", line)
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "..."


def _found(response: httpx.Response, said: dict[str, Any], body: Any) -> str:
    status = response.status_code
    if response.has_redirect_location:
        return f"expected an answer, found a redirect (HTTP {status})"
    if body is None:
        kind = response.headers.get("content-type", "").partition(";")[0].strip()
        return f"expected JSON, found {quoted(kind) or 'something else'} (HTTP {status})"
    if status < 300:
        return f"expected a JSON object, found another JSON value (HTTP {status})"
    words = quoted(str(said.get("message") or said.get("detail") or said.get("title") or "no reason given"))
    code = f", code {said['code']}" if isinstance(said.get("code"), int) else ""
    return f"Twilio says {words!r} (HTTP {status}{code})"


def _next(response: httpx.Response, credentials: Credentials) -> str:
    """What to do about it."""
    status, prefix = response.status_code, credentials.prefix
    if status == 401:
        if credentials.user == credentials.account_sid:
            return f"Copy {prefix}ACCOUNT_SID and {prefix}AUTH_TOKEN anew from Twilio's console; they belong together."
        return f"{prefix}API_KEY and {prefix}API_SECRET belong together, and to {prefix}ACCOUNT_SID: make a new key."
    if status == 403:
        return "A restricted key may lack this permission, or the account is suspended: look at it in Twilio's console."
    if status == 404:
        has = " and ".join(f"`{credentials.command(noun, 'list')}`" for noun in ("flow", "number"))
        return f"Account {credentials.account_sid} has it not: {has} show what it has."
    if status == 429:
        asked = quoted(response.headers.get("retry-after", ""))
        wait = f" (Retry-After: {asked} s)" if asked.isdigit() else ""
        return f"Twilio still asks to slow down{wait}: try again later, or see what else uses the account."
    if status >= 500:
        return "Twilio's API has a fault: see https://status.twilio.com and try again later."
    if status < 400:
        return "A proxy or sign-in page may stand between you and Twilio: look at HTTPS_PROXY and the network."
    return "Correct what it names, then try again."
