"""How a receiver knows that a webhook is ours and fresh: `Crossmargin-Signature: t=UNIX,v1=HEX`, HMAC-SHA256 over `UNIX.BODY`."""

from __future__ import annotations

import hashlib
import hmac

SIGNATURE_HEADER = "Crossmargin-Signature"
DELIVERY_HEADER = "Crossmargin-Delivery"
"""names the message: the same in every repetition of it"""
TOLERANCE_SECONDS = 300
SHORTEST_SECRET = 16
"""bytes"""


def sign(secret: bytes, body: bytes, timestamp: int) -> str:
    """The header's value for a body sent at a time (seconds since the epoch)."""
    return f"t={timestamp},v1={_mac(secret, body, timestamp)}"


def verify(secret: bytes, header: str, body: bytes, now: int, tolerance: int = TOLERANCE_SECONDS) -> bool:
    """Whether a header is ours for this body and not older (or newer) than `tolerance` seconds. Takes the same time whatever is wrong
    with the signature; of several `v1` one good one is enough, so that a secret can be changed while messages are under way."""
    times: list[int] = []
    macs: list[str] = []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t" and value.isascii() and value.isdigit():
            times.append(int(value))
        elif name == "v1":
            macs.append(value)
    if len(times) != 1 or abs(now - times[0]) > tolerance:
        return False
    expected = _mac(secret, body, times[0]).encode()
    # all are compared, whichever is good
    matches = [hmac.compare_digest(expected, mac.encode()) for mac in macs]
    return any(matches)


def _mac(secret: bytes, body: bytes, timestamp: int) -> str:
    return hmac.new(secret, f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
