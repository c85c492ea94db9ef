"""The page in a real browser, on the service and the local chains: what people see, on both sizes, in both colours, and by keyboard."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from playwright.async_api import Browser, Route, expect

from aggregator.localnet.world import World
from tests.api.browser import CHROMIUM, WHY_NOT, Scheme, chromium, opened
from tests.api.serving import Served

pytestmark = [pytest.mark.localnet, pytest.mark.skipif(CHROMIUM is None, reason=WHY_NOT)]


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as one:
        yield one


@pytest.mark.parametrize(("width", "scheme"), [(1600, "light"), (360, "dark")])
async def test_an_owners_page_says_what_the_api_says(served: Served, browser: Browser, witness: str, width: int, scheme: Scheme) -> None:
    _, health = await served.get(f"/v1/owners/{witness}/health")
    async with opened(browser, f"{served.url}/owner/{witness}", width, scheme) as seen:
        await expect(seen.page.locator(".score strong")).to_have_text(f"{float(health['health']['score']):.1f}")
        await expect(seen.page.locator("#history")).not_to_contain_text("Reading")
        falls = seen.page.locator("#first .accounts > li")
        owing = [one for one in health["margin_accounts"] if float(one["debt_usd"]) > 0]
        await expect(falls).to_have_count(len(owing))
        nearest = min(owing, key=lambda one: abs(float(one["liquidation"]["market_move"])))
        await expect(falls.first.locator(".pill")).to_have_text(_percent(float(nearest["liquidation"]["market_move"])))
        places = {(one["chain"], one["protocol"], one.get("label")) for one in (*health["margin_accounts"], *health["positions"])}
        assert await seen.page.locator("#holdings .place").count() == len(places) + len(health["venue_accounts"])
        assert await seen.page.locator("#holdings .chain").count() == len({chain for chain, _, _ in places})
        closed = seen.page.locator("#holdings .chain:not([open]) > summary")
        while await closed.count():
            await closed.first.click()
        await seen.page.locator("#holdings .place summary").first.click()
        assert await seen.page.locator("#holdings .place").first.locator("tbody tr").count() > 0
        for drawer in await seen.page.locator(".drawers summary").all():
            await drawer.click()
        assert await seen.width() == width
        assert await seen.violations() == []
        await seen.picture(f"owner-{width}-{scheme}")
        assert seen.complaints == []


def _percent(share: float) -> str:
    return f"{share * 100:.1f}\u00a0%".replace("-", "−")


async def test_everything_has_its_name_in_words(served: Served, browser: Browser, witness: str) -> None:
    async with opened(browser, f"{served.url}/owner/{witness}") as seen:
        await expect(seen.page.locator("#holdings")).to_contain_text("Uniswap v3")
        for summary in await seen.page.locator(".drawers summary, .more > summary").all():
            await summary.click()
        text = await seen.page.locator("main").inner_text()
        for code in (
            "eip155",
            "aave-v3",
            "morpho-blue",
            "uniswap-v",
            "rate-tokens",
            "crisis-",
            "-fails",
            "seconds old",
            "null",
            "NaN",
            "undefined",
        ):
            assert code not in text, code
        assert "the latest block is" in text and "days old" in text
        assert "a day like 12 March 2020" in text and "Arbitrum One" in text and "Staking tokens" in text


async def test_the_haircuts_add_up_to_what_is_taken_off(served: Served, browser: Browser, witness: str) -> None:
    _, health = await served.get(f"/v1/owners/{witness}/health")
    figures = health["health"]
    taken = float(figures["collateral_usd"]) - float(figures["collateral_after_haircuts_usd"])
    async with opened(browser, f"{served.url}/owner/{witness}") as seen:
        await expect(seen.page.locator("#haircuts > p strong")).to_have_text(f"${taken / 1000:.0f}K")
        parts = await seen.page.locator("#haircuts .reasons dd .figure").all_inner_texts()
        assert sum(_dollars(one) for one in parts) == pytest.approx(taken, rel=0.01)
        await seen.page.locator("#haircuts .more summary").click()
        rows = await seen.page.locator("#haircuts .cuts li .figure:nth-child(3)").all_inner_texts()
        assert sum(_dollars(one) for one in rows) == pytest.approx(taken, rel=0.01)
        names = await seen.page.locator("#haircuts .cuts li > span:first-child").all_inner_texts()
        assert len(names) == len(set(names)), "no two rows may look the same"


def _dollars(text: str) -> float:
    unit = {"K": 1e3, "M": 1e6}.get(text[-1], 1.0)
    return float(text.strip("$KM<").replace(",", "").removeprefix(" $")) * unit


async def test_a_shock_answers_while_it_is_dragged(served: Served, browser: Browser, witness: str) -> None:
    _, after = await served.send("POST", f"/v1/owners/{witness}/what-if", {"shocks": ["ETH=-40%"]})
    fallen = [one for one in after["margin_accounts"] if one["after"]["liquidatable"]]
    assert len(fallen) == 1
    async with opened(browser, f"{served.url}/owner/{witness}") as seen:
        slider = seen.page.get_by_label("ETH", exact=True)
        await slider.focus()
        for move in ("-10", "-20", "-30", "-40"):
            await slider.fill(move)
        result = seen.page.locator(".result")
        await expect(result).to_contain_text(f"{float(after['before']['margin_ratio']):.2f} → {float(after['after']['margin_ratio']):.2f}")
        await expect(result).to_contain_text("One account is liquidated")
        await expect(result.locator("ol li")).to_contain_text(f"at {_percent(-0.4 * float(fallen[0]['breach_at']))} of ETH")
        await expect(slider).to_have_attribute("aria-valuetext", "down 40 percent")
        await seen.picture("shock")
        await seen.page.keyboard.press("ArrowRight")
        await expect(seen.page.locator(".slider output").nth(1)).to_have_text("−39\u00a0%")
        await seen.page.wait_for_url("**shock=ETH:-39")
        await seen.page.reload()
        await expect(result).to_contain_text("→")
        await expect(slider).to_have_value("-39")
        await seen.page.get_by_role("button", name="Back to today").click()
        await expect(result).to_contain_text("Today’s prices")
        assert "shock" not in seen.page.url
        assert seen.complaints == []


async def test_a_shock_that_may_not_be_asked_yet_is_asked_again(served: Served, browser: Browser, witness: str) -> None:
    refused = 0

    async def refuse_once(route: Route) -> None:
        nonlocal refused
        refused += 1
        if refused > 1:
            await route.continue_()
            return
        problem = json.dumps({"title": "Too Many Requests", "detail": "later"})
        await route.fulfill(status=429, content_type="application/problem+json", headers={"Retry-After": "1"}, body=problem)

    async with opened(browser, f"{served.url}/owner/{witness}") as seen:
        await expect(seen.page.locator(".result")).to_contain_text("Today’s prices")
        await seen.page.route("**/what-if", refuse_once)
        await seen.page.get_by_label("BTC", exact=True).fill("-12")
        await expect(seen.page.locator(".result")).to_contain_text("No account is liquidated")
        assert refused == 2


@pytest.mark.parametrize(("width", "scheme"), [(1600, "dark"), (360, "light")])
async def test_the_analysts_page(served: Served, browser: Browser, width: int, scheme: Scheme) -> None:
    _, document = await served.get("/v1/systemic/curves")
    async with opened(browser, f"{served.url}/systemic?asset=WETH", width, scheme) as seen:
        await expect(seen.page.locator("#curves canvas").first).to_be_visible()
        await expect(seen.page.locator("#rank canvas").first).to_be_visible()
        await expect(seen.page.locator("#exposure canvas").first).to_be_visible()
        await expect(seen.page.locator("#coverage tbody tr")).to_have_count(3)
        assert await seen.page.locator("#curves option").count() == len(document["curves"])
        assert await seen.page.locator("#curve-asset option:checked").inner_text() == "WETH"
        ether = next(one for one in document["curves"] if one["asset"] == "WETH")
        move = seen.page.locator("#curve-move")
        await move.focus()
        await seen.page.keyboard.press("End")
        await expect(seen.page.locator("#curves output")).to_have_text(f"−{abs(float(ether['moves'][-1])) * 100:.0f}\u00a0%")
        await expect(seen.page.locator("#curves dd").last).to_have_text(str(ether["accounts"][-1]))
        await seen.page.locator("#supported summary").click()
        await expect(seen.page.locator("#supported tbody tr").first).to_contain_text("Aave v3")
        await seen.page.locator("#rank-table summary").click()
        await seen.page.locator("#exposure-table summary").click()
        assert await seen.width() == width
        assert await seen.violations() == []
        assert seen.complaints == []


async def test_ages_are_taken_by_the_services_clock(served: Served, browser: Browser, witness: str) -> None:
    _, health = await served.get(f"/v1/owners/{witness}/health")
    _, coverage = await served.get("/v1/coverage")
    there = datetime.fromisoformat(health["snapshots"][0]["timestamp"]) + timedelta(seconds=90)
    async with opened(browser, "about:blank") as seen:
        await seen.page.route("**/v1/coverage", lambda route: route.fulfill(json=coverage | {"now": there.isoformat()}))
        await seen.page.goto(f"{served.url}/owner/{witness}")
        await expect(seen.page.locator(".heading time")).to_have_text(re.compile(r"^\d+ (seconds|minutes) ago$"))


async def test_a_band_of_models_that_disagree_has_two_ends(served: Served, browser: Browser) -> None:
    _, document = await served.get("/v1/systemic/rank")
    document["rows"][0] |= {"low": "0.4", "high": "0.9", "worst_rank": 2}
    async with opened(browser, "about:blank", 1600) as seen:
        await seen.page.route("**/v1/systemic/rank", lambda route: route.fulfill(json=document))
        await seen.page.goto(f"{served.url}/systemic")
        await expect(seen.page.locator("#rank figure [role=img]")).to_have_attribute("aria-label", re.compile("40.0\u00a0% – 90.0\u00a0%"))
        await expect(seen.page.locator("#rank")).to_contain_text("1 of 12 bands")


def _message(number: int, episode: str, severity: str, state: str, **given: object) -> dict[str, object]:
    common = {"clears_when": "utilisation is below 0.9 for 6 hours", "timestamp": f"2026-01-29T1{number}:00:00Z", "rule": "oracle-gap"}
    return {**common, "id": str(number), "episode": episode, "severity": severity, "state": state, "subject": "aUSD", "path": [], **given}


async def test_alerts_are_filtered_and_tell_their_path(served: Served, browser: Browser) -> None:
    way = ["token:aUSD", "market:morpho-blue/0x5afe5afe5afe5afe@eip155:1", "vault:Bold USDC"]
    wide = ["chain:eip155:8453", *(f"market:aave-v3/0x5afe5afe5afe5afe/T{number}@eip155:8453" for number in range(9))]
    alerts = [
        _message(5, "over", "info", "resolved", subject="<b>WETH</b>", rule="market-outflow"),
        _message(4, "grave", "critical", "escalated", path=way),
        _message(3, "grave", "warning", "opened", path=way),
        _message(2, "over", "warning", "opened", subject="<b>WETH</b>", rule="market-outflow"),
        _message(1, "quality", "info", "opened", subject="eip155:8453", rule="data-quality", path=wide),
    ]
    body = {"alerts": alerts, "before": None, "coverage": {"complete": True, "missing": []}}
    async with opened(browser, "about:blank", 360) as seen:
        await seen.page.route("**/v1/systemic/alerts**", lambda route: route.fulfill(json=body))
        await seen.page.goto(f"{served.url}/systemic")
        items = seen.page.locator("#alerts .timeline > li")
        await expect(items.locator("strong")).to_have_text(["Oracle gap: aUSD", "Data quality: Base", "Market outflow: <b>WETH</b>"])
        await expect(items.first.locator(".path li")).to_have_text(
            ["tokenaUSD", "marketMorpho Blue 0x5afe…5afe on Ethereum", "vaultBold USDC"]
        )
        await expect(items.first.locator(".dotted span")).to_have_text(
            ["opened 29 Jan 2026, 13:00 UTC", "escalated 29 Jan 2026, 14:00 UTC"]
        )
        await items.nth(1).locator("summary").click()
        await expect(items.nth(1).locator(".path li").last).to_have_text("marketAave v3 T8 on Base")
        await seen.page.locator("#alerts").get_by_label("Critical 1").check()
        await expect(items).to_have_count(1)
        assert await seen.width() == 360
        assert await seen.violations() == []


async def test_what_cannot_be_shown_says_why_and_tries_again(served: Served, browser: Browser) -> None:
    async with opened(browser, f"{served.url}/owner/nonsense") as seen:
        await expect(seen.page.get_by_role("alert")).to_contain_text("not an owner")
        assert await seen.violations() == []
        await seen.page.route("**/v1/owners/**", lambda route: route.abort())
        await seen.page.get_by_role("button", name="Try again").click()
        await expect(seen.page.get_by_role("alert")).to_contain_text("does not answer")
        await seen.picture("unreachable")


async def test_a_figure_that_is_not_known_is_no_zero(served: Served, browser: Browser, witness: str) -> None:
    _, health = await served.get(f"/v1/owners/{witness}/health")
    unknown = dict.fromkeys(
        ("equity_usd", "debt_usd", "requirement_usd", "isolated_requirement_usd", "pooled_requirement_usd", "netting_benefit_usd")
    )
    health["health"] |= unknown | dict.fromkeys(
        ("trapped_collateral_usd", "margin_ratio", "score", "liquidation_probability", "worst_scenario")
    )
    gap = {"chain": "eip155:8453", "protocol": "morpho-blue", "what": "positions", "why": "the node did not answer for 12 seconds"}
    health |= {"coverage": {"complete": False, "missing": [gap]}, "explain": None}
    async with opened(browser, "about:blank") as seen:
        await seen.page.route("**/health", lambda route: route.fulfill(json=health))
        await seen.page.goto(f"{served.url}/owner/{witness}")
        await expect(seen.page.locator(".note.warn").first).to_contain_text("Morpho Blue on Base: the node did not answer for 12 seconds")
        await expect(seen.page.locator(".score strong")).to_have_text("not known")
        for name in ("Equity", "Owed", "Requirement", "Margin ratio"):
            figure = seen.page.locator("#summary .figures > div", has=seen.page.locator(f"dt:text-is('{name}')")).locator("dd")
            await expect(figure).to_contain_text("–")
        assert "$0" not in await seen.page.locator("#summary, #requirement").first.inner_text()
        assert await seen.violations() == []
        await seen.picture("partial")


async def test_an_owner_of_nothing_has_an_empty_page_of_its_own(served: Served, browser: Browser, deployed: World) -> None:
    async with opened(browser, f"{served.url}/owner/{deployed.owner('empty').address}") as seen:
        await expect(seen.page.locator("main")).to_contain_text("Nothing here")
        assert await seen.violations() == []


async def test_names_that_a_stranger_chose_stay_text(served: Served, browser: Browser, deployed: World) -> None:
    async with opened(browser, f"{served.url}/owner/{deployed.owner('hostile-tokens').address}", 360) as seen:
        await expect(seen.page.locator("#holdings")).to_be_visible()
        for summary in await seen.page.locator("#holdings summary").all():
            await summary.click()
        assert await seen.page.locator("main img, main script, main iframe").count() == 0
        assert await seen.width() == 360
        text = await seen.page.locator("main").inner_text()
        assert not any(one in text for one in "\u202e\u202d\u2066\u2067\x1b")
        assert seen.complaints == []


async def test_hundreds_of_positions_with_endless_names_stay_usable(served: Served, browser: Browser, witness: str) -> None:
    _, health = await served.get(f"/v1/owners/{witness}/health")
    like = next(one for one in health["positions"] if one["protocol"] == "uniswap-v3")
    for number in range(600):
        leg = like["legs"][0] | {"symbol": f"<img src=x onerror=alert(1)>{'A' * 300}{number}", "value_usd": str(1000 - number)}
        health["positions"].append(like | {"protocol": f"strange-{number % 60}", "legs": [leg], "identifiers": {"token_id": str(number)}})
    async with opened(browser, "about:blank", 360) as seen:
        await seen.page.route("**/health", lambda route: route.fulfill(json=health))
        await seen.page.goto(f"{served.url}/owner/{witness}")
        await expect(seen.page.locator(".score strong")).to_be_visible()
        await seen.page.locator(f"#chain-{like['chain'].replace(':', '-')} > summary").click()
        await seen.page.locator("#holdings .chain[open] .place summary").first.click()
        assert await seen.page.locator("main img").count() == 0
        assert await seen.width() == 360
        took = await seen.page.evaluate(
            "new Promise(done => { const since = performance.now(); document.body.style.width = '300px';"
            " requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - since))) })"
        )
        assert took < 1000, "milliseconds until the whole page is laid out anew"


async def test_everything_is_reached_by_keyboard(served: Served, browser: Browser, witness: str) -> None:
    async with opened(browser, served.url) as seen:
        await seen.page.keyboard.press("Tab")
        await expect(seen.page.locator(".skip")).to_be_focused()
        await seen.page.locator("#owner").focus()
        await seen.page.keyboard.type(witness)
        await seen.page.keyboard.press("Enter")
        await expect(seen.page.locator(".score strong")).to_be_visible()
        assert seen.page.url.lower() == f"{served.url}/owner/{witness}".lower()
        await seen.page.evaluate("document.querySelector('.score').dataset.seen = 'before'")
        await seen.page.locator(".skip").focus()
        await seen.page.keyboard.press("Enter")
        await expect(seen.page.locator("main")).to_be_focused()
        await expect(seen.page.locator(".score")).to_have_attribute("data-seen", "before")
        visited = set()
        for _ in range(60):
            await seen.page.keyboard.press("Tab")
            visited.add(await seen.page.evaluate("document.activeElement.closest('section')?.id ?? document.activeElement.id"))
            outline = await seen.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none" or await seen.page.evaluate(
                "document.activeElement === document.body || document.activeElement.type === 'radio'"
            )
        assert visited >= {"requirement", "holdings", "shocks", "haircuts"}
        await seen.page.go_back()
        await expect(seen.page.locator(".score")).to_have_attribute("data-seen", "before")
        await seen.page.go_back()
        await expect(seen.page.locator("h1")).to_contain_text("One portfolio")


@pytest.mark.parametrize(("width", "scheme"), [(1600, "light"), (360, "dark")])
async def test_the_start_page_offers_owners_and_remembers_those_that_were_seen(
    served: Served, browser: Browser, deployed: World, witness: str, width: int, scheme: Scheme
) -> None:
    async with opened(browser, served.url, width, scheme) as seen:
        await expect(seen.page.locator(".owners li").first).to_contain_text(deployed.owner("three-chains").story)
        await seen.page.locator(".owners a").first.click()
        await expect(seen.page.locator(".score strong")).to_be_visible()
        await seen.page.locator("a.brand").click()
        await expect(seen.page.get_by_role("heading", name="Looked at before")).to_be_visible()
        assert await seen.violations() == []
        await seen.picture(f"start-{width}-{scheme}")
        await seen.page.get_by_role("button", name="Forget").click()
        await seen.page.reload()
        await expect(seen.page.get_by_role("heading", name="Owners on this network to try")).to_be_visible()
        await expect(seen.page.get_by_role("heading", name="Looked at before")).to_have_count(0)


async def test_colours_can_be_chosen_and_are_kept(served: Served, browser: Browser) -> None:
    async with opened(browser, served.url, scheme="light") as seen:
        button = seen.page.locator("#theme")
        await button.click()
        await button.click()
        dark = await seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        await seen.page.reload()
        assert await seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
        assert await button.get_attribute("aria-label") == "Colours: dark"
        assert await seen.violations() == []


async def test_nothing_moves_while_cards_come(served: Served, browser: Browser, witness: str) -> None:
    """Cumulative layout shift as the web vitals count it; 0.1 is called good."""
    watch = (
        "window.shift = 0; new PerformanceObserver(list => { for (const one of list.getEntries())"
        " if (!one.hadRecentInput) window.shift += one.value }).observe({ type: 'layout-shift', buffered: true })"
    )
    for path in (f"/owner/{witness}", "/systemic"):
        async with opened(browser, f"{served.url}{path}", script=watch) as seen:
            await expect(seen.page.locator("main .card canvas, main .score").first).to_be_visible()
            await seen.page.wait_for_timeout(700)
            assert await seen.page.evaluate("window.shift") < 0.1
