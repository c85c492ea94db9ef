"""The report fits every terminal, says everything that matters, and is not fooled by names."""

from __future__ import annotations

import io
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from aggregator.cli.report import print_report
from aggregator.cli.wording import amount, money, move, name_of, share, short_owner
from aggregator.engine.document import HealthDocument, build_document
from aggregator.model.identifiers import ChainId
from aggregator.model.portfolio import Portfolio
from aggregator.model.price import PriceBook
from aggregator.model.snapshot import Gap, Remark
from aggregator.risk.assessment import assess
from tests.builders import (
    ARBITRUM,
    ETHEREUM,
    LINK,
    OUSG,
    PAIR,
    SPAM,
    USDC,
    VAULT,
    WBTC,
    WETH,
    WSTETH,
    account,
    book,
    borrowed,
    concentrated,
    leg,
    on,
    portfolio,
    price,
    supplied,
    wallet,
)
from tests.risk.strategies import QUICK, portfolios

WIDTHS = (40, 60, 80, 100, 140)
NAMES = {ETHEREUM: "Ethereum", ARBITRUM: "Arbitrum One"}

RICH = portfolio(
    [
        account(supplied(WETH, 10), borrowed(USDC, 15_500), market="0x87870bca3f3fd6335c3f4ce8392d69350b4fa4e2"),
        account(supplied(WSTETH, 5, "0.93"), borrowed(WETH, 4.8), market="prime"),
        account(supplied(on(ARBITRUM, WBTC), 1, usd="60000"), borrowed(on(ARBITRUM, USDC), 41_000, usd="1"), chain=ARBITRUM),
        account(supplied(USDC, 10), market="horizon"),
    ],
    [
        *wallet(leg(WETH, 3), leg(SPAM, 10**9), leg(VAULT, 100), leg(PAIR, 1), leg(OUSG, 10), leg(LINK, "0.0000001")),
        concentrated(WETH, USDC, 1800, 2200, 2000, 10**16, (10**15, 10**6)),
    ],
    gaps=[Gap(ETHEREUM, "wallet", "balance of XYZ", "out-of-gas: 300000", vouched=False)],
    warnings=[Remark("price-stale", f"{WETH.asset}: 4000 seconds old")],
)


def made(one: Portfolio, prices: PriceBook | None = None) -> HealthDocument:
    chosen = prices or book()
    return build_document(one, chosen, assess(one, chosen, (), QUICK))


def printed(document: HealthDocument, width: int, colour: bool = False) -> str:
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        markup=False,
        highlight=False,
        emoji=False,
        force_terminal=colour,
        color_system="standard" if colour else None,
    )
    print_report(document, console, NAMES)
    return out.getvalue()


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = printed(made(RICH), width).splitlines()
    assert max(cell_len(line) for line in lines) <= width


@settings(max_examples=25, deadline=None)
@given(portfolios(), st.integers(40, 160))
def test_no_portfolio_breaks_the_width(one: Portfolio, width: int) -> None:
    assert max(cell_len(line) for line in printed(made(one), width).splitlines()) <= width


@pytest.mark.parametrize("width", [60, 80, 140])
def test_everything_that_matters_is_said(width: int) -> None:
    text = " ".join(printed(made(RICH), width).split())
    document = made(RICH)
    assert document.health.equity_usd is not None and document.health.margin_ratio is not None
    assert money(document.health.equity_usd) in text
    assert f"{document.health.score} of 100" in text
    assert f"{Decimal(document.health.margin_ratio):,.2f}" in text
    for heading in (
        "What you own and owe",
        "Margin accounts",
        "What would be liquidated first",
        "What a liquidation would cost",
        "Isolated and cross margin",
        "Missing",
        "Warnings",
    ):
        assert heading in text
    for needed in (
        "Ethereum",
        "Arbitrum One",
        "aave-v3",
        "uniswap-v3",
        "1.0323",
        "WETH $1,937.50 (−3.1 %)",
        "−14.6 %",
        "price-stale",
        "out-of-gas",
    ):
        assert needed in text, needed


def test_figures_are_never_cut() -> None:
    for width in WIDTHS[1:]:
        text = printed(made(RICH), width).replace("0xabab…abab", "").replace("0x87870b…", "")
        assert "…" not in text


def test_the_riskiest_account_stands_first() -> None:
    text = printed(made(RICH), 140)
    section = text[text.index("What would be liquidated first") :]
    assert section.index("1.") < section.index("$1,937.50") < section.index("2.") < section.index("$51,250.00")


def test_hostile_names_do_nothing() -> None:
    odd = replace(SPAM, symbol="[red]x[/red]\x1b]0;owned\x07\u202eevil\u200b\n\nrow")
    whole = portfolio((), wallet(leg(odd, 5)), gaps=[Gap(ETHEREUM, "wallet", "balance of \x1b[2J\u202e", "said \x1b[31m so")], tokens=[odd])
    text = printed(made(whole, {**book(), odd.asset: price(odd, "1")}), 100)
    assert "[red]x[/red]" in text
    assert not any(ord(character) < 32 and character != "\n" for character in text)
    assert not set(text) & {"\u202e", "\u200b", "\x1b", "\x07"}


def test_without_colour_there_are_no_escapes_and_with_it_there_are() -> None:
    assert "\x1b" not in printed(made(RICH), 80)
    assert "\x1b[" in printed(made(RICH), 80, colour=True)


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from aggregator.cli.common import console

    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = console(80)
    print_report(made(RICH), coloured, NAMES)
    out = capsys.readouterr().out
    assert not any(f"\x1b[{code}m" in out for code in (31, 32, 33, 35))


def test_a_very_narrow_or_absent_terminal_has_a_width(monkeypatch: pytest.MonkeyPatch) -> None:
    from aggregator.cli.common import console

    monkeypatch.delenv("COLUMNS", raising=False)
    assert console().width == 100
    monkeypatch.setenv("COLUMNS", "60")
    assert console().width == 60
    assert console(10).width == 40


def test_withheld_figures_read_unknown() -> None:
    text = printed(made(portfolio([account(supplied(WETH, 1), borrowed(USDC, 900))], unreachable=[ARBITRUM])), 80)
    headline = text[: text.index("What you own")]
    assert headline.count("unknown") >= 4
    assert "1 of 2 chains read" in headline
    assert "Arbitrum One: everything on this chain: refused" in " ".join(text.split())


def test_an_empty_portfolio_says_so() -> None:
    text = printed(made(portfolio()), 80)
    assert "Nothing was found." in text and "nothing at risk" in text
    assert "Margin accounts" not in text and "Isolated and cross" not in text


def test_liquidatable_accounts_shout() -> None:
    text = printed(made(portfolio([account(supplied(WETH, 1), borrowed(USDC, 1700))])), 80)
    assert "LIQUIDATABLE" in text and "now, until WETH $2,125.00 (+6.2 %)" in text
    blocked = replace(account(supplied(WETH, 1), borrowed(USDC, 1700)), liquidation_blocked="sequencer grace period")
    assert "BLOCKED" in printed(made(portfolio([blocked])), 80)


@pytest.mark.parametrize("width", [100, 110, 119, 120, 140])
def test_an_account_keeps_its_name_beside_long_figures(width: int) -> None:
    """Four columns of figures leave the first one enough room for words that a person can read."""
    one = replace(account(supplied(WETH, 10), borrowed(USDC, "3456789.12")), market_label="Core, e-mode ETH correlated")
    text = printed(made(portfolio([one])), width)
    rows = text[text.index("Margin accounts") :].split("\n\n")[0].splitlines()[2:]
    lines = [row.split("  ")[0] for row in rows]
    assert len(lines[0]) >= 20 and " ".join(lines).split() == ["aave-v3", "Core,", "e-mode", "ETH", "correlated,", "Ethereum"]
    assert "LIQUIDATABLE" in rows[0] and "$3,456,789.12" in rows[0]
    assert max(cell_len(row) for row in rows) <= width


def test_an_unread_account_is_unknown_and_a_debt_free_one_is_not() -> None:
    assert (
        "unknown"
        in printed(made(portfolio([account(supplied(WETH, 1), borrowed(USDC, 1), health_known=False)])), 140).split("Margin accounts")[1]
    )
    assert "no debt" in printed(made(portfolio([account(supplied(WETH, 1))])), 140)


def test_many_holdings_and_gaps_are_shortened() -> None:
    gaps = [Gap(ETHEREUM, "wallet", f"thing {number}", f"reason {number}") for number in range(30)]
    text = printed(made(portfolio((), wallet(*(leg(LINK, number) for number in range(1, 40))), gaps=gaps)), 80)
    assert "and 27 smaller ones" in text
    assert "22 more in --json" in text


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (money("1234.5678"), "$1,234.57"),
        (money("0"), "$0.00"),
        (money("0.001"), "<$0.01"),
        (money("-1500"), "−$1,500.00"),
        (money(None), "unknown"),
        (money("1234567890123456"), "$1,234,568 bn"),
        (money("0.000012345678", price=True), "$0.000012345"),
        (money("1937.5", price=True), "$1,937.50"),
        (amount(1234567891234, 6), "1,234,567.89"),
        (amount(10**18, 18), "1"),
        (amount(123, 18), "0.000000000000000123"),
        (amount(0, 18), "0"),
        (amount(10**40, 18), "1.000e+22"),
        (share("0.1234"), "12.3 %"),
        (share("0.000076"), "0.0076 %"),
        (share("0"), "0 %"),
        (share("0.000000001"), "<0.001 %"),
        (move("-0.31"), "−31.0 %"),
        (name_of("\x1b\u202e"), "?"),
        (short_owner("eip155:1:0xabababababababababababababababababababab"), "0xabab…abab"),
    ],
)
def test_wording(shown: str, expected: str) -> None:
    assert shown == expected


def test_chains_without_a_name_show_their_id() -> None:
    out = io.StringIO()
    print_report(made(RICH), Console(file=out, width=100, markup=False, highlight=False), {ChainId("eip155:5"): "Other"})
    assert "eip155:42161" in out.getvalue()
