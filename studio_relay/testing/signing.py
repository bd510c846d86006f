"""The signatures a simulated Twilio puts on its upgrade and on its HTTP requests; it checks none."""

from __future__ import annotations

from collections.abc import Mapping

SIGNATURE_HEADER = "X-Twilio-Signature"
_SECURE = {"ws": "wss", "http": "https"}


def secure_form(url: str) -> str:
    """`url` with `ws` or `http` replaced by `wss` or `https`: the form Twilio is given, and signs."""
    scheme, separator, rest = url.partition("://")
    return f"{_SECURE.get(scheme, scheme)}{separator}{rest}"


def sign_upgrade(url: str, auth_token: str | None, *, sign_as: str | None = None) -> dict[str, str]:
    """The signature header of a WebSocket upgrade: over the `wss://` URL, no parameters.

    `sign_as` is signed literally instead of `url`; without a token there is no header.
    """
    return _signed(sign_as or secure_form(url), {}, auth_token)


def sign_request(
    url: str, form: Mapping[str, str], auth_token: str | None, *, sign_as: str | None = None
) -> dict[str, str]:
    """The signature header of a form-encoded request: over the `https://` URL and the form, blanks too."""
    return _signed(sign_as or secure_form(url), form, auth_token)


def _signed(url: str, form: Mapping[str, str], auth_token: str | None) -> dict[str, str]:
    if auth_token is None:
        return {}
    from twilio.request_validator import RequestValidator

    signature: str = RequestValidator(auth_token).compute_signature(url, dict(form))
    return {SIGNATURE_HEADER: signature}
