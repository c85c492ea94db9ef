"""A real Chromium for the page's tests: Debian's, without a browser of playwright's own."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, Page, async_playwright

from aggregator.localnet.packages import AXE, PackageStore, cache_directory

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WHY_NOT = "Chromium is not installed (Debian's package chromium)"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MILLISECONDS = 30_000
PICTURES = os.environ.get("CROSSMARGIN_PICTURES")
"""a folder for screenshots that somebody wants to look at"""
Scheme = Literal["light", "dark"]


@dataclass(slots=True)
class Seen:
    """A page with everything that it complained of."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    async def text(self, selector: str) -> str:
        return (await self.page.locator(selector).first.inner_text()).strip()

    async def width(self) -> int:
        """Of the whole document, in CSS pixels."""
        return int(await self.page.evaluate("document.documentElement.scrollWidth"))

    async def violations(self) -> list[str]:
        """What axe finds wrong with the page as it stands."""
        rules = (await PackageStore(cache_directory()).directory(AXE)) / "axe.min.js"
        await self.page.evaluate(rules.read_text(encoding="utf-8") + ";0")
        found = await self.page.evaluate("axe.run().then(result => result.violations.map(one => `${one.id}: ${one.nodes[0].html}`))")
        return [str(one) for one in found]

    async def picture(self, name: str) -> None:
        """The whole page, where pictures are wanted."""
        if PICTURES:
            await self.page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def opened(browser: Browser, url: str, width: int = 1600, scheme: Scheme = "light", script: str = "") -> AsyncIterator[Seen]:
    """A new visitor at `url`, who has seen nothing before. `script` runs ahead of the page's own, as an extension's does."""
    context = await browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    if script:
        await context.add_init_script(script)
    page = await context.new_page()
    seen = Seen(page)
    page.on("console", lambda message: seen.complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    try:
        await page.goto(url)
        yield seen
    finally:
        await context.close()
