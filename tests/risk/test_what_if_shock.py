"""What people write for a shock, what it means in a portfolio, and that shocks compose."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.errors import InputError
from aggregator.risk.shock import NO_SHOCK, Freeze, Moves, Shock, parse_percent, parse_shock, resolve, shock_of
from tests.builders import ARBITRUM, ETHEREUM, SPAM, TOKENS, USDC, VAULT, WETH, WSTETH, on

PORTFOLIO = {token.asset: token for one in TOKENS for token in (one, on(ARBITRUM, one))}
FACTORS, BASES = ("BTC", "ETH", "LINK", "USDC"), ("lst:stETH",)


def resolved(*texts: str, known: frozenset[str] = frozenset()) -> Moves:
    return resolve(shock_of(texts), PORTFOLIO, FACTORS, BASES, known)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ETH=-30%", Shock({"ETH": Fraction(7, 10)})),
        ("ETH = +12.5 %", Shock({"ETH": Fraction(9, 8)})),
        ("ETH=−30%", Shock({"ETH": Fraction(7, 10)})),
        ("ETH=-100%", Shock({"ETH": Fraction(0)})),
        ("ETH:vol=+50%", Shock(volatilities={"ETH": Fraction(3, 2)})),
        ("USDC:rate=+10%", Shock(rates={"USDC": Fraction(1, 10)})),
        ("USDC:rate=-250%", Shock(rates={"USDC": Fraction(-5, 2)})),
        ("oracle:aave-v3=frozen", Shock(frozen=frozenset({Freeze("aave-v3")}))),
        ("oracle:aave-v3@eip155:1=frozen", Shock(frozen=frozenset({Freeze("aave-v3", ETHEREUM)}))),
        ("oracle:aave-v3@eip155:1/wstETH=frozen", Shock(frozen=frozenset({Freeze("aave-v3", ETHEREUM, "wstETH")}))),
        ("oracle:*/USDC=frozen", Shock(frozen=frozenset({Freeze("*", "", "USDC")}))),
        ("bridge:eip155:42161=down", Shock(bridges_down=frozenset({ARBITRUM}))),
        (f"{WETH.asset}=-5%", Shock({WETH.asset: Fraction(19, 20)})),
    ],
)
def test_every_form_is_read_exactly(text: str, expected: Shock) -> None:
    assert parse_shock(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ETH",
        "=-30%",
        "ETH=",
        "ETH=-30",
        "ETH=nan%",
        "ETH=inf%",
        "ETH=1e3%",
        "ETH=--3%",
        "ETH=3%%",
        "ETH=-100.01%",
        "ETH:vol=-101%",
        "ETH=+999999999999%",
        ":vol=+5%",
        ":rate=+5%",
        "oracle:=frozen",
        "oracle:aave-v3@=frozen",
        "oracle:aave-v3=stuck",
        "oracle:aave-v3@nowhere=frozen",
        "bridge:eip155:1=up",
        "bridge:=down",
        f"ETH=-{'9' * 30}%",
    ],
)
def test_nonsense_is_one_clear_line(text: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_shock(text)
    assert "\n" not in str(refused.value) and len(str(refused.value)) > 15


def test_percentages_are_exact_decimals() -> None:
    assert parse_percent("-0.1%", "") == Fraction(-1, 1000)
    assert parse_percent("+33.333333333333333333%", "") == Fraction(33333333333333333333, 10**20)


def test_a_name_is_a_factor_then_a_discount_then_a_token() -> None:
    assert resolved("ETH=-30%").factors == {"ETH": Fraction(7, 10)}
    assert resolved("eth=-30%").factors == {"ETH": Fraction(7, 10)}
    assert resolved("USDC=-5%").factors == {"USDC": Fraction(19, 20)} and not resolved("USDC=-5%").tokens
    assert resolved("token:USDC=-5%").tokens == {USDC.asset: Fraction(19, 20), on(ARBITRUM, USDC).asset: Fraction(19, 20)}
    assert resolved("wsteth=-5%").tokens == {WSTETH.asset: Fraction(19, 20), on(ARBITRUM, WSTETH).asset: Fraction(19, 20)}
    assert resolved(f"{WETH.asset}=-5%").tokens == {WETH.asset: Fraction(19, 20)}
    assert resolved("lst:stETH=-6%").bases == {"lst:stETH": Fraction(47, 50)}


def test_rates_reach_every_token_of_a_factor() -> None:
    moved = resolved("USDC:rate=+10%").rates
    assert {USDC.asset, VAULT.asset, on(ARBITRUM, USDC).asset} <= set(moved) and set(moved.values()) == {Fraction(1, 10)}
    assert set(resolved("WETH:rate=+1%").rates) == {WETH.asset, on(ARBITRUM, WETH).asset}


def test_a_spam_token_never_takes_the_name_of_a_real_one() -> None:
    from dataclasses import replace

    fake = replace(SPAM, symbol="WETH")
    moved = resolve(shock_of(["WETH=-50%"]), {**PORTFOLIO, fake.asset: fake}, FACTORS, BASES)
    assert fake.asset not in moved.tokens and WETH.asset in moved.tokens


def test_an_unknown_name_is_refused_and_a_known_one_touches_nothing() -> None:
    for text in ("EHT=-30%", "EHT:vol=+5%", "EHT:rate=+5%", "eip155:1/erc20:0x00=-5%"):
        with pytest.raises(InputError, match=r"BTC, ETH, LINK, USDC"):
            resolved(text)
    moved = resolved("SOL=-30%", "SOL:vol=+10%", known=frozenset({"SOL"}))
    assert moved.idle == ("SOL",) and not moved.names and not moved.volatilities


TEXTS = st.sampled_from(
    (
        "ETH=-30%",
        "ETH=+7%",
        "wstETH=-5%",
        "BTC=-100%",
        "ETH:vol=+50%",
        "ETH:vol=-20%",
        "USDC:rate=+10%",
        "USDC:rate=-3%",
        "oracle:aave-v3=frozen",
        "bridge:eip155:1=down",
    )
)


@given(st.lists(TEXTS, max_size=6), st.randoms())
def test_the_order_of_shocks_is_irrelevant_and_words_read_back(texts: list[str], random: object) -> None:
    mixed = list(texts)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert shock_of(mixed) == shock_of(texts)
    assert shock_of(shock_of(texts).words) == shock_of(texts)
    assert shock_of(texts).then(NO_SHOCK) == shock_of(texts) == NO_SHOCK.then(shock_of(texts))


@given(st.lists(TEXTS, max_size=4), st.lists(TEXTS, max_size=4), st.lists(TEXTS, max_size=4))
def test_composition_is_associative(one: list[str], two: list[str], three: list[str]) -> None:
    a, b, c = (shock_of(texts) for texts in (one, two, three))
    assert a.then(b).then(c) == a.then(b.then(c)) == shock_of([*one, *two, *three])


def test_moves_multiply_and_rates_add() -> None:
    both = shock_of(["ETH=-30%", "ETH=-10%", "USDC:rate=+10%", "USDC:rate=+5%", "ETH:vol=+50%", "ETH:vol=+50%"])
    assert both.prices["ETH"] == Fraction(63, 100) and both.rates["USDC"] == Fraction(3, 20) and both.volatilities["ETH"] == Fraction(9, 4)
    # names that mean the same thing meet when they are resolved
    assert resolved("ETH=-30%", "eth=-10%").factors == {"ETH": Fraction(63, 100)}


def test_what_a_freeze_covers() -> None:
    assert Freeze("*").covers("spark", ARBITRUM, "WETH")
    assert Freeze("aave-v3").covers("aave-v3", ARBITRUM, "WETH") and not Freeze("aave-v3").covers("spark", ARBITRUM, "WETH")
    assert not Freeze("aave-v3", ETHEREUM).covers("aave-v3", ARBITRUM, "WETH")
    assert Freeze("aave-v3", "", "wsteth").covers("aave-v3", ETHEREUM, "wstETH")
    assert not Freeze("aave-v3", "", "wstETH").covers("aave-v3", ETHEREUM, "WETH")
