"""The page in a real browser, on the service and the local chains: what people see, on both sizes, in both colours, and by keyboard."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, expect

from aggregator.localnet.packages import AXE, PackageStore, cache_directory
from aggregator.localnet.world import World
from tests.api.browser import CHROMIUM, WHY_NOT, Seen, chromium, opened
from tests.api.serving import Served

pytestmark = [pytest.mark.localnet, pytest.mark.skipif(CHROMIUM is None, reason=WHY_NOT)]

PICTURES = os.environ.get("CROSSMARGIN_PICTURES")
"""a folder for screenshots that somebody wants to look at"""


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as one:
        yield one


async def _picture(seen: Seen, name: str) -> None:
    if PICTURES:
        await seen.page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


async def _accessible(seen: Seen) -> None:
    rules = (await PackageStore(cache_directory()).directory(AXE)) / "axe.min.js"
    await seen.page.evaluate(rules.read_text(encoding="utf-8") + ";0")
    found = await seen.page.evaluate("axe.run().then(result => result.violations.map(one => `${one.id}: ${one.nodes[0].html}`))")
    assert found == []


@pytest.mark.parametrize(("width", "scheme"), [(1600, "light"), (360, "dark")])
async def test_an_owners_page_says_what_the_api_says(
    served: Served, browser: Browser, witness: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    _, health = await served.get(f"/v1/owners/{witness}/health")
    async with opened(browser, f"{served.url}/owner/{witness}", width, scheme) as seen:
        await expect(seen.page.locator(".score strong")).to_have_text(f"{float(health['health']['score']):.1f}")
        await expect(seen.page.locator("#history")).not_to_contain_text("Reading")
        falls = await seen.page.locator("#first li").count()
        assert falls == sum(one["health_factor"] is not None for one in health["margin_accounts"])
        places = {(one["chain"], one["protocol"], one.get("label")) for one in (*health["margin_accounts"], *health["positions"])}
        assert await seen.page.locator("#holdings details").count() == len(places) + len(health["venue_accounts"])
        await seen.page.locator("#holdings summary").first.click()
        assert await seen.page.locator("#holdings details").first.locator("tbody tr").count() > 0
        assert await seen.width() == width
        await _accessible(seen)
        await _picture(seen, f"owner-{width}-{scheme}")
        assert seen.complaints == []


async def test_a_shock_answers_while_it_is_dragged(served: Served, browser: Browser, witness: str) -> None:
    _, after = await served.send("POST", f"/v1/owners/{witness}/what-if", {"shocks": ["ETH=-40%"]})
    async with opened(browser, f"{served.url}/owner/{witness}") as seen:
        slider = seen.page.get_by_label("ETH", exact=True)
        await slider.focus()
        for move in ("-10", "-20", "-30", "-40"):
            await slider.fill(move)
        result = seen.page.locator(".result")
        await expect(result).to_contain_text(f"{float(after['after']['margin_ratio']):.3f}")
        fallen = sum(bool(one["after"]["liquidatable"]) for one in after["margin_accounts"])
        await expect(result).to_contain_text("liquidated")
        assert fallen > 0
        await _picture(seen, "shock")
        await seen.page.keyboard.press("ArrowRight")
        await expect(seen.page.locator("output").nth(1)).to_have_text("−39 %")
        await seen.page.get_by_role("button", name="Back to today").click()
        await expect(result).to_contain_text("No account is liquidated")
        assert seen.complaints == []


@pytest.mark.parametrize(("width", "scheme"), [(1600, "dark"), (360, "light")])
async def test_the_analysts_page(served: Served, browser: Browser, width: int, scheme: Literal["light", "dark"]) -> None:
    async with opened(browser, f"{served.url}/systemic", width, scheme) as seen:
        await expect(seen.page.locator("#curves canvas")).to_be_visible()
        await expect(seen.page.locator("#rank")).not_to_contain_text("Reading")
        await expect(seen.page.locator("#coverage tbody tr")).to_have_count(3)
        assert await seen.page.locator("#curves option").count() > 0
        assert await seen.width() == width
        await _accessible(seen)
        await _picture(seen, f"systemic-{width}-{scheme}")
        assert seen.complaints == []


async def test_what_cannot_be_shown_says_why_and_tries_again(served: Served, browser: Browser) -> None:
    async with opened(browser, f"{served.url}/owner/nonsense") as seen:
        await expect(seen.page.get_by_role("alert")).to_contain_text("not an owner")
        await _accessible(seen)
        await seen.page.route("**/v1/owners/**", lambda route: route.abort())
        await seen.page.get_by_role("button", name="Try again").click()
        await expect(seen.page.get_by_role("alert")).to_contain_text("does not answer")
        await _picture(seen, "unreachable")


async def test_an_owner_of_nothing_has_an_empty_page_of_its_own(served: Served, browser: Browser, deployed: World) -> None:
    async with opened(browser, f"{served.url}/owner/{deployed.owner('empty').address}") as seen:
        await expect(seen.page.locator("main")).to_contain_text("Nothing here")
        await _accessible(seen)


async def test_names_that_a_stranger_chose_stay_text(served: Served, browser: Browser, deployed: World) -> None:
    hostile = next(one for one in deployed.owners if "hostile" in one.name or "spam" in one.name)
    async with opened(browser, f"{served.url}/owner/{hostile.address}", 360) as seen:
        await expect(seen.page.locator("#holdings")).to_be_visible()
        for summary in await seen.page.locator("#holdings summary").all():
            await summary.click()
        assert await seen.page.locator("main img, main script, main iframe").count() == 0
        assert await seen.width() == 360
        text = await seen.page.locator("main").inner_text()
        assert not any(one in text for one in "\u202e\u202d\u2066\u2067\x1b")
        assert seen.complaints == []


async def test_everything_is_reached_by_keyboard(served: Served, browser: Browser, witness: str) -> None:
    async with opened(browser, served.url) as seen:
        await seen.page.keyboard.press("Tab")
        await expect(seen.page.locator(".skip")).to_be_focused()
        await seen.page.keyboard.press("Tab")
        await seen.page.keyboard.press("Tab")
        await seen.page.keyboard.type(witness)
        await seen.page.keyboard.press("Enter")
        await expect(seen.page.locator(".score strong")).to_be_visible()
        assert seen.page.url.lower() == f"{served.url}/owner/{witness}".lower()
        await seen.page.go_back()
        await expect(seen.page.locator("h1")).to_contain_text("One portfolio")


async def test_colours_can_be_chosen_and_are_kept(served: Served, browser: Browser) -> None:
    async with opened(browser, served.url, scheme="light") as seen:
        button = seen.page.locator("#theme")
        await button.click()
        await button.click()
        dark = await seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        await seen.page.reload()
        assert await seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
        assert await button.get_attribute("aria-label") == "Colours: dark"
        await _accessible(seen)
