"""The page's one library, from npm into the cache. Set-up fetches it (`python -m aggregator.cli.page_assets`); serving only looks."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from aggregator.localnet.packages import ECHARTS, PackageError, PackageStore, cache_directory

PATIENCE_SECONDS = 120.0


def echarts_directory() -> Path | None:
    """Where the package's files lie; None where set-up could not fetch them: the page then shows words for charts."""
    kept = cache_directory() / "packages" / ECHARTS.directory
    return kept if kept.is_dir() else None


async def fetch() -> Path:
    """Fetch it where it is not there yet. Raises PackageError or TimeoutError."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await PackageStore(cache_directory()).directory(ECHARTS)


if __name__ == "__main__":
    try:
        asyncio.run(fetch())
    except (PackageError, TimeoutError, OSError) as error:
        sys.exit(f"the page has no charts: {error or type(error).__name__}")
