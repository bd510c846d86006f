"""Credentials are read from variables, each that is missing is named, and no secret is ever shown."""

from __future__ import annotations

import pytest

from studio_relay.errors import AccountError
from studio_relay.studio.account.credentials import Credentials

ACCOUNT, KEY = "AC" + "0a" * 16, "SK" + "1b" * 16


def test_an_auth_token() -> None:
    found = Credentials.from_environment({"TWILIO_ACCOUNT_SID": f" {ACCOUNT} ", "TWILIO_AUTH_TOKEN": "token"})
    assert (found.account_sid, found.user, found.secret) == (ACCOUNT, ACCOUNT, "token")


def test_an_api_key_comes_first() -> None:
    variables = {"ACCOUNT_SID": ACCOUNT, "AUTH_TOKEN": "token", "API_KEY": KEY, "API_SECRET": "secret"}
    found = Credentials.from_environment({f"P_{name}": value for name, value in variables.items()}, prefix="P_")
    assert (found.account_sid, found.user, found.secret, found.prefix) == (ACCOUNT, KEY, "secret", "P_")


def test_no_secret_is_in_a_repr() -> None:
    found = Credentials.from_environment({"TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKEN": "very-secret"})
    assert "very-secret" not in repr(found) + str(found)


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({}, ["ACCOUNT_SID", "AUTH_TOKEN"]),
        ({"AUTH_TOKEN": "secret-value"}, ["ACCOUNT_SID"]),
        ({"ACCOUNT_SID": ACCOUNT}, ["AUTH_TOKEN"]),
        ({"ACCOUNT_SID": ACCOUNT, "AUTH_TOKEN": " "}, ["AUTH_TOKEN"]),
        ({"ACCOUNT_SID": ACCOUNT, "API_KEY": KEY}, ["API_SECRET"]),
        ({"ACCOUNT_SID": ACCOUNT, "AUTH_TOKEN": "secret-value", "API_SECRET": "secret-value"}, ["API_KEY"]),
        ({"ACCOUNT_SID": "secret-value", "AUTH_TOKEN": "secret-value"}, ["ACCOUNT_SID"]),
        ({"ACCOUNT_SID": ACCOUNT, "API_KEY": "secret-value", "API_SECRET": "secret-value"}, ["API_KEY"]),
        ({"ACCOUNT_SID": "AC12", "AUTH_TOKEN": ""}, ["ACCOUNT_SID", "AUTH_TOKEN"]),
    ],
)
def test_what_is_missing_or_wrong_is_named_a_line_each(variables: dict[str, str], names: list[str]) -> None:
    with pytest.raises(AccountError) as caught:
        Credentials.from_environment({f"PROD_{name}": value for name, value in variables.items()}, prefix="PROD_")
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [f"PROD_{name}" for name in names]
    assert "secret-value" not in str(caught.value)
