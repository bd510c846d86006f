"""Who we are to Twilio's API: an account and a secret, read from variables; asks nobody whether they are right."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from studio_relay.errors import AccountError

_CONSOLE = "Twilio's console shows both on its first page"


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """An account and what proves that it is ours: its auth token, or an API key with its secret.

    `user` is the account's SID or the key's. `prefix` begins the names of the variables it was read from, which
    messages name; `options` are what a command needs to come to the same account. The secret is in no repr.
    """

    account_sid: str
    user: str
    secret: str = field(repr=False)
    prefix: str = "TWILIO_"
    options: tuple[str, ...] = ()

    def command(self, *words: str) -> str:
        """A command line of ours about this account, as messages name it: `studio-relay flow list`."""
        return shlex.join(["studio-relay", *words, *self.options])

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str], *, prefix: str = "TWILIO_", options: tuple[str, ...] = ()
    ) -> Credentials:
        """Read `{prefix}ACCOUNT_SID`, then `_API_KEY` with `_API_SECRET`, else `_AUTH_TOKEN`.

        Raises AccountError with a line for each variable that is missing or no such thing.
        """
        found = {name: environ.get(prefix + name, "").strip() for name in _NAMES}
        faults = list(_faults(found, prefix))
        if faults:
            raise AccountError("\n".join(faults))
        user, secret = ("API_KEY", "API_SECRET") if found["API_KEY"] else ("ACCOUNT_SID", "AUTH_TOKEN")
        return cls(
            account_sid=found["ACCOUNT_SID"], user=found[user], secret=found[secret], prefix=prefix, options=options
        )


_NAMES = ("ACCOUNT_SID", "AUTH_TOKEN", "API_KEY", "API_SECRET")


def _faults(found: Mapping[str, str], prefix: str) -> Iterator[str]:
    account, key = found["ACCOUNT_SID"], found["API_KEY"]
    if not account:
        yield f"{prefix}ACCOUNT_SID: not set; expected AC and 32 hexadecimal digits ({_CONSOLE})"
    elif not re.fullmatch("AC[0-9a-fA-F]{32}", account):
        yield f"{prefix}ACCOUNT_SID: expected AC and 32 hexadecimal digits, found {_shown(account)}"
    if bool(key) != bool(found["API_SECRET"]):
        missing = "API_SECRET" if key else "API_KEY"
        yield f"{prefix}{missing}: not set; expected both {prefix}API_KEY and {prefix}API_SECRET, or neither"
    elif key and not re.fullmatch("SK[0-9a-fA-F]{32}", key):
        yield f"{prefix}API_KEY: expected SK and 32 hexadecimal digits, found {_shown(key)}"
    elif not key and not found["AUTH_TOKEN"]:
        yield (
            f"{prefix}AUTH_TOKEN: not set; expected the account's auth token, or an API key in "
            f"{prefix}API_KEY with {prefix}API_SECRET"
        )


def _shown(value: str) -> str:
    """A mistyped identifier, as far as it can be shown: somebody may have pasted the secret there."""
    return f"{len(value)} characters beginning with {value[:2]!r}"
