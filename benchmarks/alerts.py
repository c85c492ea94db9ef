"""What alerts cost the service: 10,000 watched owners judged in the batches of the live loop, and how long the event loop is held.

python -m benchmarks.alerts [OWNERS]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from aggregator.engine.live.accounts import TIMELESS, OwnerSeen
from aggregator.engine.live.alerting import AlertDesk
from aggregator.model.identifiers import Address
from aggregator.publish.alerts.courier import WEBHOOK, Destination
from aggregator.publish.alerts.observations import WalletObserved
from aggregator.store import watch
from aggregator.store.database import Database
from aggregator.store.watch import StoredAlert

OWNERS, BATCH, TICK_SECONDS = 10_000, 64, 0.001


def seen(number: int, health: float) -> OwnerSeen:
    owner = Address(f"0x{number:040x}")
    account = WalletObserved(TIMELESS, owner, "eip155:1", "aave-v3", "core", health, health, 50_000.0, 40_000.0, 1 - 1 / health, block=1)
    return OwnerSeen(owner, (account,), True)


async def longest_hold(ended: asyncio.Event) -> float:
    """Seconds for which nothing else could run."""
    longest = 0.0
    while not ended.is_set():
        began = time.perf_counter()
        await asyncio.sleep(TICK_SECONDS)
        longest = max(longest, time.perf_counter() - began - TICK_SECONDS)
    return longest


async def measure(desk: AlertDesk, what: str, health: float, count: int) -> None:
    owners = [seen(number, health) for number in range(count)]
    ended = asyncio.Event()
    holding = asyncio.create_task(longest_hold(ended))
    await asyncio.sleep(0)
    began, told = time.perf_counter(), 0
    for start in range(0, count, BATCH):
        told += len(await desk.judge(owners[start : start + BATCH]))
        await desk.tell()
        await asyncio.sleep(0)
    took = time.perf_counter() - began
    ended.set()
    print(f"{what:<42} {1e3 * took / count:8.3f} ms an owner   loop held {1e3 * await holding:7.1f} ms at most   {told} alerts")


async def main(count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="crossmargin-alerts-") as folder:
        async with Database.at(f"sqlite:///{folder}/store.db") as database:

            async def keep(alerts: Sequence[StoredAlert]) -> None:
                async with database.writing() as connection:
                    await watch.keep_alerts(connection, alerts)

            known = {str(n): Destination(str(n), WEBHOOK, "https://example.com", owner=f"0x{n:040x}") for n in range(count)}

            async def destinations() -> Mapping[str, Destination]:
                return known

            async with AlertDesk(Path(folder) / "journals", database, keep, destinations) as desk:
                await measure(desk, "nobody near a line", 2.0, count)
                await measure(desk, "everybody falls below a line at once", 1.05, count)
                await measure(desk, "everybody stays there", 1.06, count)
                await measure(desk, "everybody becomes critical", 1.02, count)
                await measure(desk, "everybody is safe again", 1.5, count)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else OWNERS))
