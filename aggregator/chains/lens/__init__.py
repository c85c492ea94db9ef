"""The lens: a gas- and byte-bounded interpreter that runs a round of dependent reads inside one eth_call.

`Lens.yul` is its source, `Lens.hex` what solc makes of it (a test compiles it again); `encoding` speaks its language.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from aggregator.model.identifiers import Address

LENS_ADDRESS = Address("0x63726f73736d617267696e2e6c656e7300000000")
"""ASCII `crossmargin.lens`: an address that nobody can own, where the state override puts the code"""


@lru_cache(maxsize=1)
def lens_code() -> str:
    """Runtime code as 0x-hex."""
    return "0x" + (Path(__file__).parent / "Lens.hex").read_text(encoding="ascii").strip()
