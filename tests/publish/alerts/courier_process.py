"""A deliverer in a process of its own, to be killed: database URL and receiver's URL on the command line."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping

from aggregator.publish.alerts.courier import WEBHOOK, Courier, Destination
from aggregator.publish.alerts.people import PeopleSender
from aggregator.publish.alerts.webhook import WebhookSender
from aggregator.store.database import Database

SECRET = b"a secret that nobody knows"
LEASE = 1.0


async def main(database_url: str, receiver_url: str) -> None:
    async def destinations() -> Mapping[str, Destination]:
        return {"one": Destination("one", WEBHOOK, receiver_url, SECRET)}

    async with Database.at(database_url) as database, WebhookSender(allow_private=True) as webhooks:
        await Courier(database, destinations, webhooks, PeopleSender(), first_pause=0.05, lease=LEASE).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
