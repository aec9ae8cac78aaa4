"""Which addresses the task `http` may be led to: a table, written against IANA's registries and what clouds answer at."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from treadle.tasks.addresses import refusal_of

PUBLIC = (
    "1.1.1.1 8.8.8.8 9.9.9.9 11.0.0.1 52.94.236.248 100.63.255.255 100.128.0.1 126.255.255.255 128.0.0.1 169.253.255.255 169.255.0.1 "
    "172.15.255.255 172.32.0.1 192.0.1.1 192.88.98.1 192.167.255.255 192.169.0.1 198.17.255.255 198.20.0.1 198.51.101.1 203.0.112.1 "
    "203.0.114.1 223.255.255.255 2001:4860:4860::8888 2606:4700:4700::1111 2600:1f18::1 2a00:1450:4001:81b::200e 2400:cb00::1"
)

REFUSED = {
    "this network": "0.0.0.0 0.0.0.1 0.255.255.255",
    "private": "10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255",
    "carrier-grade NAT": "100.64.0.1 100.127.255.255",
    "loopback": "127.0.0.1 127.1.2.3 127.255.255.255 ::1",
    "link-local, where cloud metadata is": "169.254.169.254 169.254.170.2 169.254.170.23 169.254.0.1 169.254.255.255",
    "protocol assignments": "192.0.0.1 192.0.0.170 2001:1::1 2001:2::1 2001:10::1 2001:20::1 2001:1ff::1",
    "Oracle's metadata": "192.0.0.192",
    "documentation": "192.0.2.1 198.51.100.7 203.0.113.255 2001:db8::1 3fff::1 3fff:fff::1",
    "6to4 relays": "192.88.99.1",
    "benchmarks": "198.18.0.1 198.19.255.255",
    "multicast": "224.0.0.1 224.0.0.251 239.255.255.250 ff02::1 ff05::2 ff0e::1",
    "reserved": "240.0.0.1 254.1.1.1 255.255.255.255",
    "Azure's platform address": "168.63.129.16",
    "Alibaba's metadata": "100.100.100.200",
    "AWS metadata": "fd00:ec2::254 fd00:ec2::23",
    "unspecified": "::",
    "unique local": "fc00::1 fd12:3456:789a::1 fdff::1",
    "link-local": "fe80::1 fe80::a9fe:a9fe fe80::1%eth0 febf::1",
    "an IPv4 address in IPv6": "::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:10.0.0.1 ::ffff:8.8.8.8 ::ffff:7f00:1",
    "NAT64": "64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b::808:808 64:ff9b:1::1",
    "6to4": "2002:7f00:1::1 2002:a9fe:a9fe::1 2002:808:808::1",
    "Teredo": "2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "not global unicast": "::7f00:1 ::127.0.0.1 ::10.0.0.1 100::1 fec0::1 5f00::1 4000::1 e000::1",
}
TABLE = [(address, why) for why, addresses in REFUSED.items() for address in addresses.split()]


def test_the_table_is_long_enough() -> None:
    assert len(TABLE) + len(PUBLIC.split()) >= 100


@pytest.mark.parametrize("address", PUBLIC.split())
def test_a_public_address_may_be_reached(address: str) -> None:
    assert refusal_of(address) is None


@pytest.mark.parametrize(("address", "why"), TABLE)
def test_any_other_may_not(address: str, why: str) -> None:
    assert refusal_of(address) == why


@pytest.mark.parametrize("address", ["10.1.2.3", "127.0.0.1", "::1", "fd12::1", "100.64.0.1"])
def test_a_deployment_may_name_networks_of_its_own(address: str) -> None:
    own = [ip_network(each) for each in ("10.1.0.0/16", "127.0.0.0/8", "::1/128", "fd12::/16", "100.64.0.0/10")]
    assert refusal_of(address, own) is None


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "fd00:ec2::254", "::ffff:10.0.0.1", "64:ff9b::a00:1", "224.0.0.1"])
def test_but_never_those_where_metadata_is_nor_disguises(address: str) -> None:
    assert refusal_of(address, [ip_network("0.0.0.0/0"), ip_network("::/0")]) is not None


@pytest.mark.parametrize("written", ["127.1", "0x7f.1", "2130706433", "017700000001", "localhost", "", "1.2.3.4.5"])
def test_other_ways_to_write_an_address_are_none(written: str) -> None:
    """A resolver turns them into an address first, and that one is checked."""
    with pytest.raises(ValueError):
        refusal_of(written)
