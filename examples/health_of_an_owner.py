"""The health of an owner from Python: one snapshot, judged, and what would be liquidated first.

.venv/bin/python examples/health_of_an_owner.py OWNER [CHAIN=URL …]
"""

from __future__ import annotations

import asyncio
import sys

from aggregator.engine.judgement import judge
from aggregator.engine.snapshot import SnapshotRequest, take


async def main(owner: str, endpoints: tuple[str, ...]) -> None:
    chains = tuple(endpoint.partition("=")[0] for endpoint in endpoints)
    picture = await take(SnapshotRequest(owners=(owner,), rpc=endpoints, only_chains=chains))
    _, document = judge(picture)
    print(f"equity {document.health.equity_usd} USD, margin ratio {document.health.margin_ratio}, score {document.health.score}")
    for account in sorted(document.margin_accounts, key=lambda one: float(one.health_factor or "inf")):
        print(f"{account.protocol} on {account.chain}: health factor {account.health_factor or 'without debt'}")
    for missing in document.coverage.missing:
        print(f"missing: {missing.what} ({missing.why})")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], tuple(sys.argv[2:])))
