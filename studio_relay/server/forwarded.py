"""Which address a request was sent to, as told by proxies that the operator trusts.

No framework and no signature in here; a header that an untrusted peer sent is never believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_LONGEST_CHAIN = 100

Headers = Sequence[tuple[str, str]]
"""Header pairs in the order they arrived; names in any case, repeated names allowed."""

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, kw_only=True)
class Forwarded:
    """What the outermost trusted proxy saw: `proto` is lower case (`https`), `host` may carry a port."""

    proto: str
    host: str


def header_values(headers: Headers, name: str) -> list[str]:
    """The values of a header that may be repeated or hold a comma list, left to right, blanks left out.

    Of a longer list than any chain of proxies only the right end counts, as with a shorter one.
    """
    wanted = name.lower()
    lists = (value.rsplit(",", _LONGEST_CHAIN)[-_LONGEST_CHAIN:] for key, value in headers if key.lower() == wanted)
    parts = (part.strip() for each in lists for part in each)
    return [part for part in parts if part]


def parse_address(text: str | None) -> Address | None:
    """The address in `text` (`10.0.0.1`, `10.0.0.1:443`, `[::1]:443`), or None when there is none.

    An IPv4 address written as IPv6 (`::ffff:10.0.0.1`, as dual-stack sockets report it) becomes IPv4.
    """
    bare = (text or "").strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_trusted(address: str | None, proxies: Iterable[Network]) -> bool:
    """Whether `address` lies in one of the trusted networks; what is not an address never does."""
    parsed = parse_address(address)
    return parsed is not None and any(parsed in network for network in proxies)


def forwarded(peer: str | None, headers: Headers, proxies: Sequence[Network]) -> Forwarded | None:
    """Scheme and host as the outermost trusted proxy reported them; None when nobody trusted did.

    Proxies append, so the last value is the nearest proxy's own and the first may be the caller's invention:
    one step to the left is taken for each further trusted address at the right end of `X-Forwarded-For`.
    A proxy may also replace the header; then it is shorter than the chain, and all of it is trusted.
    """
    if not is_trusted(peer, proxies):
        return None
    hops = 1 + _trusted_tail(header_values(headers, "x-forwarded-for"), proxies)
    protos = header_values(headers, "x-forwarded-proto")
    hosts = header_values(headers, "x-forwarded-host") or header_values(headers, "host")
    if not protos or not hosts:
        return None
    return Forwarded(proto=_from_right(protos, hops).lower(), host=_from_right(hosts, hops))


def _trusted_tail(addresses: Sequence[str], proxies: Sequence[Network]) -> int:
    count = 0
    for address in reversed(addresses):
        if not is_trusted(address, proxies):
            break
        count += 1
    return count


def _from_right(values: Sequence[str], position: int) -> str:
    return values[-min(position, len(values))]
