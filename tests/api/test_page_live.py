"""The page while the chains go on: figures that change, history that grows, blocks that are replaced, and what only an owner sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Route, expect

from aggregator.localnet import controls
from aggregator.localnet.world import World
from tests.api.browser import CHROMIUM, WHY_NOT, chromium, opened
from tests.api.serving import Served, serving
from tests.api.test_owner_alerts import alert
from tests.api.wallets import ALICE, MALLORY, Wallet

pytestmark = [pytest.mark.localnet, pytest.mark.skipif(CHROMIUM is None, reason=WHY_NOT)]
STREAM = "**/v1/stream**"


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as one:
        yield one


async def _score(served: Served, owner: str) -> str:
    _, document = await served.get(f"/v1/owners/{owner}/health")
    return f"{float(document['health']['score']):.1f}"


async def _told(served: Served, owner: str) -> None:
    """Until the owner was assessed at the newest block."""
    one = served.app.live.followed[owner.lower()]
    before = one.assessed.snapshot if one.assessed is not None else ""
    await served.until(lambda: one.assessed is not None and one.assessed.snapshot != before)


async def test_a_price_moves_and_the_page_follows(lived: World, browser: Browser, tmp_path: Path) -> None:
    owner = lived.owner("three-chains").address
    async with serving(lived, tmp_path, (owner,)) as served:
        await served.until(lambda: served.app.live.followed[owner.lower()].assessed is not None)
        async with opened(browser, f"{served.url}/owner/{owner}") as seen:
            shown = seen.page.locator(".score strong")
            await expect(seen.page.locator("#live-state")).to_have_text("Live")
            await expect(seen.page.locator("#history")).to_contain_text("One assessment so far")
            await seen.page.locator("#holdings .place summary").first.click()
            await seen.page.locator("#compare summary").focus()
            before = await shown.inner_text()
            for factor in ("0.93", "0.95", "1.08", "0.9"):
                moved = asyncio.create_task(_told(served, owner))
                await asyncio.sleep(0)
                await controls.move_price(lived, "ETH", factor)
                await moved
            async with asyncio.timeout(20):
                while await shown.inner_text() != await _score(served, owner):  # noqa: ASYNC110  the browser's own pace
                    await asyncio.sleep(0.1)
            assert await shown.inner_text() != before
            await expect(seen.page.locator("#holdings .place[open]")).to_have_count(1)
            await expect(seen.page.locator("#compare summary")).to_be_focused()
            await expect(seen.page.locator("#history canvas").first).to_be_visible()
            await seen.page.locator("#history").get_by_label("Equity").check()
            await expect(seen.page.locator("#history figcaption")).to_contain_text("Equity over")
            assert await seen.violations() == []
            await seen.picture("history")
            assert seen.complaints == []


async def test_a_figure_that_changed_says_so_for_a_moment(served: Served, browser: Browser, witness: str) -> None:
    _, document = await served.get(f"/v1/owners/{witness}/health")
    event = 'id: 7\nevent: health\ndata: {"owner": "x"}\n\n'
    async with opened(browser, "about:blank") as seen:
        await seen.page.route(STREAM, lambda route: route.fulfill(content_type="text/event-stream", body=event))

        async def answer(route: Route) -> None:
            await route.fulfill(json=document)
            document["health"]["equity_usd"] = "1234567.000000"

        await seen.page.route("**/health", answer)
        await seen.page.goto(f"{served.url}/owner/{witness}")
        changed = seen.page.locator("#summary .changed")
        await expect(changed).to_have_text("$1,234,567")
        await expect(changed).to_have_count(0)


async def test_the_stream_comes_back_from_where_it_was_and_a_reset_reads_anew(served: Served, browser: Browser, witness: str) -> None:
    asked: list[str | None] = []
    read = 0

    async def stream(route: Route) -> None:
        asked.append(await route.request.header_value("last-event-id"))
        kind = "reset" if len(asked) == 2 else "withdrawn"
        data = '{"chain": "eip155:8453", "why": "x"}'
        await route.fulfill(content_type="text/event-stream", body=f": hello\n\nid: {len(asked) + 6}\nevent: {kind}\ndata: {data}\n\n")

    async def health(route: Route) -> None:
        nonlocal read
        read += 1
        await route.continue_()

    async with opened(browser, "about:blank") as seen:
        await seen.page.route(STREAM, stream)
        await seen.page.route("**/health", health)
        await seen.page.goto(f"{served.url}/owner/{witness}")
        await expect(seen.page.locator("#refresh-note")).to_contain_text("Base replaced blocks")
        await expect(seen.page.locator("#live-state")).to_have_text("Connecting again")
        async with asyncio.timeout(20):
            while len(asked) < 3 or read < 3:  # noqa: ASYNC110  the browser's own pace
                await asyncio.sleep(0.05)
        assert asked[:3] == [None, "7", "8"]


async def test_replaced_blocks_are_marked_in_the_history(lived: World, browser: Browser, tmp_path: Path) -> None:
    owner = lived.owner("three-chains").address
    async with serving(lived, tmp_path, (owner,)) as served:
        await served.until(lambda: served.app.live.followed[owner.lower()].assessed is not None)
        moved = asyncio.create_task(_told(served, owner))
        await asyncio.sleep(0)
        await lived.mint(1, "USDC", owner, 5_000_000_000)
        await moved
        async with opened(browser, f"{served.url}/owner/{owner}") as seen:
            await expect(seen.page.locator("#history canvas").first).to_be_visible()
            withdrawn = asyncio.create_task(_told(served, owner))
            await asyncio.sleep(0)
            await controls.reorganise(lived, 1, 2)
            await withdrawn
            await expect(seen.page.locator("#history figcaption")).to_contain_text("withdrawn because blocks were replaced")
            assert seen.complaints == []


async def _with_wallet(page: Page, wallet: Wallet, *, refuses: bool = False) -> None:
    """Give the page an EIP-1193 provider whose account really signs."""

    async def request(method: str, parameters: list[str]) -> object:
        if method == "eth_requestAccounts":
            return [wallet.address.lower()]
        if method == "eth_chainId":
            return "0x1"
        assert method == "personal_sign" and parameters[1] == wallet.address.lower()
        return wallet.sign(bytes.fromhex(parameters[0][2:]).decode())

    await page.expose_function("answerOfTheWallet", request)
    refusal = "if (method === 'personal_sign') throw Object.assign(new Error('no'), { code: 4001 });" if refuses else ""
    await page.add_init_script(
        f"window.ethereum = {{ request: async ({{ method, params }}) => {{ {refusal}"
        " return window.answerOfTheWallet(method, params ?? []) } }"
    )


async def test_an_owner_signs_in_and_sees_what_is_its_own(lived: World, browser: Browser, tmp_path: Path) -> None:
    await lived.mint(1, "USDC", ALICE.address, 5_000_000)
    owner = ALICE.address.lower()
    async with serving(lived, tmp_path, (owner,)) as served, opened(browser, "about:blank") as seen:
        await served.app.live.tell_alerts([alert(1, "warning", owner), alert(2, "critical", MALLORY.address.lower())])
        await _with_wallet(seen.page, ALICE)
        await seen.page.goto(f"{served.url}/owner/{owner}")
        private = seen.page.locator("#private")
        await private.get_by_role("button", name="Sign in with the wallet").click()
        items = private.locator(".timeline > li")
        await expect(items).to_have_count(1)
        await served.app.live.tell_alerts([alert(3, "critical", owner)])
        await expect(items).to_have_count(2)
        await expect(items.first).to_contain_text("Clears when the health factor is above 1.1")
        await private.get_by_label("Add a label").fill("treasury <b>desk</b>")
        await private.get_by_role("button", name="Add").first.click()
        await expect(private.locator(".labels li")).to_contain_text("treasury <b>desk</b>")
        await private.get_by_label("Address of the webhook").fill("https://example.com/hook")
        await private.get_by_role("button", name="Add").last.click()
        secret = await private.locator(".secret").inner_text()
        assert len(secret) == 64
        await seen.picture("private")
        assert await seen.violations() == []
        await seen.page.reload()
        await expect(private.locator(".labels li")).to_have_count(1)
        await expect(private.locator(".hooks li")).to_have_count(1)
        assert secret not in await private.inner_text()
        await private.get_by_role("button", name="Remove the webhook").click()
        await expect(private.locator(".hooks li")).to_have_count(0)
        await private.get_by_role("button", name="Remove the label").click()
        await expect(private.locator(".labels li")).to_have_count(0)
        assert seen.complaints == []
        door = private.get_by_role("button", name="Sign in with the wallet")
        await private.get_by_role("button", name="Sign out").click()
        await door.click()
        await expect(items).to_have_count(2)
        ended = "sessionStorage.session = JSON.stringify({ ...JSON.parse(sessionStorage.session), token: 'cs_' + '0'.repeat(64) })"
        await seen.page.evaluate(ended)
        await seen.page.reload()
        await expect(door).to_be_visible()
        await expect(items).to_have_count(0)


async def test_a_wallet_sees_nothing_of_another_owner(served: Served, browser: Browser, witness: str) -> None:
    async with opened(browser, "about:blank") as seen:
        await _with_wallet(seen.page, MALLORY)
        await seen.page.goto(f"{served.url}/owner/{witness}")
        private = seen.page.locator("#private")
        await private.get_by_role("button", name="Sign in with the wallet").click()
        await expect(private).to_contain_text("who sees only its own alerts")
        await expect(private.locator(".timeline")).to_have_count(0)


async def test_a_refused_signature_and_a_missing_wallet_are_told_quietly(served: Served, browser: Browser, witness: str) -> None:
    async with opened(browser, "about:blank") as seen:
        await _with_wallet(seen.page, ALICE, refuses=True)
        await seen.page.goto(f"{served.url}/owner/{witness}")
        await seen.page.get_by_role("button", name="Sign in with the wallet").click()
        await expect(seen.page.locator("#private [role=alert]")).to_have_text("The wallet was told not to.")
    async with opened(browser, f"{served.url}/owner/{witness}") as seen:
        await expect(seen.page.locator("#private")).to_contain_text("this browser has none")
