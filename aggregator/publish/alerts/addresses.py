"""Where a message may be sent: subscribers choose the address, so it must not be one that only we can reach."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE = IPv6Network("::/96")
_V4_BITS = 0xFFFFFFFF


class AddressRefused(OSError):
    """The name leads to an address inside: loopback, private, link-local, metadata, multicast or reserved."""


def is_public(address: str) -> bool:
    """Whether an IP address is reachable by everybody. IPv6 forms that carry an IPv4 address are judged by that as well."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(one.is_global and not one.is_multicast and not one.is_reserved for one in _carried(parsed))


def _carried(address: IPv4Address | IPv6Address) -> Iterable[IPv4Address | IPv6Address]:
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if any(address in network for network in (*_NAT64, _COMPATIBLE)):
        # what translates or tunnels it may stand in our own network
        return (IPv4Address(int(address) & _V4_BITS), IPv6Address("::1") if address in _COMPATIBLE else address)
    if address.sixtofour is not None:
        return (address.sixtofour, address)
    if address.teredo is not None:
        return (*address.teredo, address)
    return (address,)


class GuardedResolver(AbstractResolver):
    """Resolves names and refuses those that lead inside. Checked is the address that is then connected to, so a name that answers
    differently the second time gains nothing."""

    def __init__(self, resolver: AbstractResolver | None = None) -> None:
        self._resolver = resolver if resolver is not None else ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if not found or not all(is_public(one["host"]) for one in found):
            raise AddressRefused("the address is not a public one")
        return found

    async def close(self) -> None:
        await self._resolver.close()


async def refuse_inside(host: str) -> None:
    """AddressRefused where a host, a name or an address in whatever notation, leads inside; OSError where it leads nowhere."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    if not found or not all(is_public(str(one[4][0])) for one in found):
        raise AddressRefused("the address is not a public one")
