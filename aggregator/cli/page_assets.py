"""The page's one library, from npm into the cache: fetched at set-up, or by the first `crossmargin serve`.

`python -m aggregator.cli.page_assets` fetches it now, for an image that is built with a network and runs without.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from aggregator.localnet.packages import ECHARTS, PackageError, PackageStore, cache_directory

PATIENCE_SECONDS = 60.0

log = logging.getLogger("aggregator.page")


async def echarts_directory() -> Path | None:
    """Where the package's files lie; None, with a line in the log, where it cannot be had: the page then shows words for charts."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await PackageStore(cache_directory()).directory(ECHARTS)
    except (PackageError, TimeoutError, OSError) as error:
        log.warning("the page has no charts: %s", error or type(error).__name__)
        return None


if __name__ == "__main__":
    raise SystemExit(0 if asyncio.run(echarts_directory()) is not None else 1)
