"""Named accounts in one TOML file: which account, by which variables, and the map of values to it. Holds no secret.

[environments.dev]
account_sid = "AC..."         # optional; else TWILIO_DEV_ACCOUNT_SID
prefix = "TWILIO_DEV_"        # optional; the variables are {prefix}AUTH_TOKEN, or {prefix}API_KEY and _API_SECRET

[environments.prod]
map = "prod.map.toml"         # or the tables themselves: [environments.prod.map.replace], ...
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio_relay.errors import AccountError
from studio_relay.studio.account.credentials import Credentials
from studio_relay.studio.flow import did_you_mean
from studio_relay.studio.value_map import ValueMap, load_map, read_map

DEFAULT_FILE = Path("studio-relay.toml")

_KEYS = ("account_sid", "prefix", "map")
_SECRETS = ("auth_token", "api_key", "api_secret", "token", "secret", "password")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One named account. `values` carry a flow into it from any of the others."""

    name: str
    prefix: str
    account_sid: str = ""
    values: ValueMap = field(default_factory=ValueMap)

    def credentials(self, environ: Mapping[str, str], *, options: tuple[str, ...] = ()) -> Credentials:
        """Who we are to this account, from `environ`. Raises AccountError naming variables and environment."""
        variable = f"{self.prefix}ACCOUNT_SID"
        said = environ.get(variable, "").strip()
        if self.account_sid and said and said != self.account_sid:
            raise AccountError(
                f"environment {self.name!r}: {variable} is another account than `account_sid` in the file. "
                "Correct one of them, or leave one out."
            )
        known = dict(environ) | ({variable: self.account_sid} if self.account_sid else {})
        try:
            return Credentials.from_environment(known, prefix=self.prefix, options=options)
        except AccountError as error:
            lines = str(error).splitlines()
            raise AccountError("\n".join(f"environment {self.name!r}: {line}" for line in lines)) from None


@dataclass(frozen=True, kw_only=True)
class Environments:
    """The environments of one file, by name."""

    file: Path
    by_name: Mapping[str, Environment]

    def named(self, name: str) -> Environment:
        """The environment `name`. Raises AccountError with a suggestion."""
        if name in self.by_name:
            return self.by_name[name]
        known = ", ".join(self.by_name)
        raise AccountError(
            f"{self.file}: has no environment {name!r}.{did_you_mean(name, self.by_name)} It has: {known}."
        )


def load_environments(file: Path = DEFAULT_FILE) -> Environments:
    """Read the file. Raises AccountError: unreadable, not TOML, or a table that is not as it must be."""
    import tomllib

    try:
        root = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AccountError(
            f"{file}: there is no such file. It names your accounts: a table [environments.dev], [environments.prod], "
            "...; studio_flows/README.md has an example. --environments FILE names another file."
        ) from None
    except (OSError, ValueError) as error:
        raise AccountError(f"{file}: cannot be read as TOML: {getattr(error, 'strerror', None) or error}") from None
    tables = root.get("environments")
    if not isinstance(tables, dict) or not tables:
        hint = "".join(did_you_mean(key, ("environments",)) for key in root)
        raise AccountError(f"{file}: expected tables such as [environments.dev], found none.{hint}")
    return Environments(file=file, by_name={name: _environment(file, name, table) for name, table in tables.items()})


def _environment(file: Path, name: str, table: Any) -> Environment:
    place = f"{file}: environments.{name}"
    faults = list(_faults(place, table))
    if faults:
        raise AccountError("\n".join(faults))
    return Environment(
        name=name,
        prefix=table.get("prefix") or f"TWILIO_{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}_",
        account_sid=table.get("account_sid", ""),
        values=_values(file, place, table.get("map", {})),
    )


def _faults(place: str, table: Any) -> Iterator[str]:
    if not isinstance(table, dict):
        yield f"{place}: expected a table, found a plain value"
        return
    for key in table:
        if key.lower() in _SECRETS:
            yield f"{place}: `{key}` does not belong in a file. Put it into the environment or .env."
        elif key not in _KEYS:
            yield f"{place}: there is no key {key!r}.{did_you_mean(key, _KEYS)} There are: {', '.join(_KEYS)}."
    if not re.fullmatch("(AC[0-9a-fA-F]{32})?", str(table.get("account_sid", ""))):
        yield f"{place}: account_sid: expected AC and 32 hexadecimal digits"
    prefix = table.get("prefix", "")
    if not isinstance(prefix, str) or not re.fullmatch(r"([A-Za-z_][A-Za-z0-9_]*)?", prefix):
        yield f"{place}: prefix: expected the beginning of names of variables, as in TWILIO_PROD_"


def _values(file: Path, place: str, given: Any) -> ValueMap:
    """The map: a table in the file itself, or a file of its own, found from where this one stands."""
    if isinstance(given, str):
        return load_map(file.parent / given)
    if isinstance(given, dict):
        return read_map(given, name=f"{place}.map")
    raise AccountError(f"{place}: map: expected the name of a map file, or its tables `replace` and `widgets`")
