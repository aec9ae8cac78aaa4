"""Which IP addresses are public, so that the task `http` cannot be led inside: to metadata, to neighbours, to this machine.

Rule: an address is refused unless it is global unicast, and no address that carries another one in it (mapped, NAT64, 6to4,
Teredo) is taken. The tables are IANA's special-purpose registries (iana-ipv4-special-registry, iana-ipv6-special-registry),
written out because `ipaddress.is_global` differs between Python's patch releases.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

# fmt: off
_NEVER = {  # not even where the deployment allows the network around them
    "169.254.0.0/16": "link-local, where cloud metadata is",
    "fe80::/10": "link-local",
    "fd00:ec2::/32": "AWS metadata",
    "168.63.129.16/32": "Azure's platform address",
    "100.100.100.200/32": "Alibaba's metadata",
    "192.0.0.192/32": "Oracle's metadata",
    "::ffff:0:0/96": "an IPv4 address in IPv6",
    "64:ff9b::/96": "NAT64",
    "64:ff9b:1::/48": "NAT64",
    "2001::/32": "Teredo",
    "2002::/16": "6to4",
    "224.0.0.0/4": "multicast",
    "ff00::/8": "multicast",
}
_NOT_PUBLIC = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "carrier-grade NAT",
    "127.0.0.0/8": "loopback",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "protocol assignments",
    "192.0.2.0/24": "documentation",
    "192.88.99.0/24": "6to4 relays",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "benchmarks",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "240.0.0.0/4": "reserved",
    "::1/128": "loopback",
    "::/128": "unspecified",
    "fc00::/7": "unique local",
    "2001::/23": "protocol assignments",
    "2001:db8::/32": "documentation",
    "3fff::/20": "documentation",
}
# fmt: on
_GLOBAL_UNICAST = ip_network("2000::/3")


def _table(written: dict[str, str]) -> tuple[tuple[Network, str], ...]:
    return tuple((ip_network(network), why) for network, why in written.items())


_NEVER_NETWORKS, _OTHER_NETWORKS = _table(_NEVER), _table(_NOT_PUBLIC)


def refusal_of(address: str, exceptions: Iterable[Network] = ()) -> str | None:
    """Why the address may not be reached; None: it may. `exceptions`: networks that the deployment allows although they are not
    public. Raises ValueError for what is no IP address."""
    ip = ip_address(address)
    never = next((why for network, why in _NEVER_NETWORKS if ip in network), None)
    if never is not None:
        return never
    if any(ip in network for network in exceptions):
        return None
    why = next((why for network, why in _OTHER_NETWORKS if ip in network), None)
    if why is None and ip.version == 6 and ip not in _GLOBAL_UNICAST:
        return "not global unicast"
    return why
