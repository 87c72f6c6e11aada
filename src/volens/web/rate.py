"""How often: what keeps one address, or all of them together, from filling the ledger."""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict

RATE, BURST = 2.0, 40
"""Choices a second and at once from one address: far above a person's, far below a flood's."""


class Rate:
    """Token buckets of ``burst`` answers, ``rate`` more a second, for a bounded number of names; in memory only, for minutes."""

    def __init__(self, rate: float = RATE, burst: float = BURST) -> None:
        self._rate, self._burst = rate, burst
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def allows(self, name: str, now: float) -> float:
        """0 where one more may pass, else the seconds to wait."""
        with self._lock:
            tokens, at = self._held.pop(name, (self._burst, now))
            tokens = min(self._burst, tokens + (now - at) * self._rate)
            allowed = tokens >= 1
            self._held[name] = (tokens - 1 if allowed else tokens, now)
            while len(self._held) > 20000:
                self._held.popitem(last=False)
            return 0.0 if allowed else (1 - tokens) / self._rate


def household(client: str) -> str:
    """Who a rate is held against: an IPv4 address, of IPv6 the network of 64 bits that one subscriber is given (RFC 6177)."""
    if ":" not in client:
        return client
    try:
        address = ipaddress.IPv6Address(client.partition("%")[0])
    except ValueError:
        return client
    return str(address.ipv4_mapped or ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
