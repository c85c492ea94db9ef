"""How much one address may ask for: a bucket that fills steadily, told in the RateLimit header fields."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from aggregator.api.problem import Problem

MOST_ADDRESSES = 50_000
"""buckets that are kept; the longest unused is forgotten first, which is full again by then or nearly so"""
IPV6_PREFIX_GROUPS = 4
"""of an IPv6 address: one customer has a /64"""


class Standing(NamedTuple):
    """What an address has left, and the seconds until all of it is back."""

    left: int
    seconds: int


class RateLimiter:
    """`per_minute` units for each address; all of a minute's may be taken at once."""

    def __init__(self, name: str, per_minute: int, clock: Callable[[], float]) -> None:
        self.name, self.quota = name, per_minute
        self.policy = f'"{name}";q={per_minute};w=60'
        self.refused = 0
        self._rate = per_minute / 60
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str, cost: int = 1) -> Standing:
        """Take some. Problem 429, which takes nothing, where there are too few."""
        now = self._clock()
        level, since = self._buckets.get(address, (float(self.quota), now))
        level = min(self.quota, level + (now - since) * self._rate)
        if level < cost:
            self.refused += 1
            wait = math.ceil((cost - level) / self._rate)
            headers = {"Retry-After": str(wait), "RateLimit-Policy": self.policy, "RateLimit": f'"{self.name}";r={int(level)};t={wait}'}
            raise Problem(429, "too-many-requests", f"this address may ask {self.quota} times a minute; try again in {wait} s", headers)
        self._buckets[address] = (level - cost, now)
        self._buckets.move_to_end(address)
        if len(self._buckets) > MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        return Standing(int(level - cost), math.ceil((self.quota - level + cost) / self._rate))


def network_of(address: str) -> str:
    """Whom a limit is for: an IPv4 address, or the /64 of an IPv6 one."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return ":".join(parsed.exploded.split(":")[:IPV6_PREFIX_GROUPS])
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
