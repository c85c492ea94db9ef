"""Scenarios that compose, played over a small system whose every figure can be followed by hand, and laws over random ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.contagion.bridges import Allocation, BridgeLedger, Minted
from aggregator.contagion.cascade import cascade
from aggregator.contagion.causes import CauseKind
from aggregator.contagion.composition import composition
from aggregator.contagion.impact import ExponentialImpact, no_impact
from aggregator.contagion.money import MICRO
from aggregator.contagion.oracles import OracleKind, following
from aggregator.contagion.runs import Tranche
from aggregator.contagion.scenario import (
    BridgeDeficit,
    BridgeFreeze,
    Depeg,
    LiquidityWithdrawal,
    MarketPause,
    OracleFreeze,
    OracleLag,
    OracleLie,
    PriceShock,
    ProtocolLoss,
    Scenario,
    Shock,
    Slashing,
    StablecoinRun,
    SupplierRun,
    shock_from_text,
)
from aggregator.contagion.simulation import Simulation, simulate
from aggregator.contagion.system import Bridge, Pool, RunRule, System
from aggregator.model.book import WHOLE, Book
from aggregator.model.errors import InputError
from tests.contagion.books import codes, random_book, seeds, small_book

ETH, STETH, FAR, VAULT, USD = range(5)


def _book() -> Book:
    """Borrowers of dollars against ether, staked ether, staked ether on another chain, and shares of a dollar vault."""
    wallets = [
        ({"ETH": 10.0}, {"USD": 18_000.0}),
        ({"stETH": 10.0}, {"USD": 17_000.0}),
        ({"far": 10.0}, {"USD": 16_000.0}),
        ({"vault": 10_000.0}, {"USD": 8_500.0}),
        ({"USD": 50_000.0}, {}),
    ]
    return small_book(
        wallets, {"ETH": 2500.0, "stETH": 2500.0, "far": 2500.0, "vault": 1.0, "USD": 1.0}, threshold=0.9, bonus=0.0, rule=WHOLE
    )


def _system(**changes: object) -> System:
    tokens = composition(
        {"ETH": 1_000_000.0, "stETH": 0.0, "farETH": 0.0, "vault": 40_000.0, "USD": 500_000.0},
        [("stETH", "ETH", 0.4), ("farETH", "stETH", 0.25)],
        claimed={"USD": 500_000.0},
        domains={"stETH": ["issuer:Lido"], "farETH": ["bridge:Span"]},
    )
    book = _book()
    ledger = BridgeLedger("stETH", "Span", 0.0, 40.0, (Minted("eip155:10", 40.0),))
    made = System(
        book,
        no_impact(5),
        tokens,
        {ETH: "ETH", STETH: "stETH", FAR: "farETH", VAULT: "vault", USD: "USD"},
        (Pool(0, USD, 100_000.0, 59_500.0, reserve_fund_usd=500.0, safety_module_usd=700.0, suppliers=(("vault", 0.4),)),),
        (Bridge("Span", ledger, {"": "stETH", "eip155:10": "farETH"}, total_supply=160.0),),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def _play(*shocks: Shock, **changes: object) -> Simulation:
    return simulate(_system(**changes), Scenario("test", shocks))


def _prices(found: Simulation) -> list[float]:
    return [float(price) for price in found.cascade.prices[-1]]


def test_nothing_happens_to_a_system_that_nothing_happens_to() -> None:
    found = _play()
    assert found.settled and found.ticks == 1
    assert len(found.causes) == 0 and found.cascade.rounds == 0
    assert _prices(found) == _book().prices.tolist()
    assert (found.token_factors == 1.0).all()
    assert found.pools[0].utilisation == pytest.approx(0.595)


def test_a_price_falls_with_everything_that_is_made_of_it() -> None:
    found = _play(PriceShock("ETH", 0.1))
    assert _prices(found) == pytest.approx([2250.0, 2250.0, 2250.0, 1.0, 1.0])
    assert found.cascade.first_round.tolist() == [0, 0, 0, 0, 0]
    deeper = _play(PriceShock("ETH", 0.3))
    assert deeper.cascade.first_round.tolist() == [1, 1, 1, 0, 0]
    assert [cause.subject for cause in deeper.why("stETH")] == ["price of ETH", "ETH", "stETH", "stETH"]
    assert [cause.kind for cause in deeper.why("stETH")] == [CauseKind.SHOCK, CauseKind.BACKING, CauseKind.BACKING, CauseKind.PRICE]


def test_losses_go_down_the_waterfall_and_into_the_vault_and_its_borrower() -> None:
    """Ether halves: 18,000, 17,000 and 16,000 owed against 12,500 each are 13,500 of bad debt; 0.4 of what the funds do not bear is the
    vault's."""
    found = _play(PriceShock("ETH", 0.5))
    (pool,) = found.pools
    assert pool.bad_debt == 13_500 * MICRO
    assert {name: amount / MICRO for name, amount in pool.bore.items()} == pytest.approx(
        {"reserve fund": 500.0, "safety module": 700.0, "vault": 4_920.0, "others": 7_380.0}
    )
    assert sum(pool.bore.values()) == pool.bad_debt == sum(found.borne.values())
    assert found.token_factors[-1, 3] == pytest.approx(1.0 - 4_920.0 / 40_000.0)
    assert _prices(found)[VAULT] == pytest.approx(0.877)
    assert found.cascade.first_round[3] > 1, "the vault's borrower is liquidated because of what others' bad debt did to his collateral"
    subjects = [cause.subject for cause in found.why("vault")]
    assert subjects[:2] == ["price of ETH", "ETH"] and subjects[-1] == "vault"
    assert {CauseKind.LIQUIDATION, CauseKind.BAD_DEBT, CauseKind.WRITE_DOWN} <= {cause.kind for cause in found.why("vault")}


def test_what_stands_behind_a_stablecoin_beyond_par_bears_losses_before_its_holders() -> None:
    tokens = composition({"ETH": 1e6, "dollar": 10_000.0, "USD": 5e5, "far": 1.0}, [("far", "dollar", 0.5)], par={"dollar": 9_000.0})
    pool = Pool(0, USD, 100_000.0, 59_500.0, suppliers=(("dollar", 0.1),))
    system = System(_book(), no_impact(5), tokens, {ETH: "ETH", FAR: "far", USD: "USD"}, (pool,))
    small = simulate(system, Scenario("a loss within the surplus", (PriceShock("ETH", 0.3),)))
    assert small.pools[0].bore["dollar"] == 50 * MICRO, "18,000 owed against 17,500"
    assert small.borne == {"suppliers of " + small.pools[0].name: 450 * MICRO, "surplus over par of dollar": 50 * MICRO}
    assert (small.token_factors[-1, 1:] == 1.0).all()
    large = simulate(system, Scenario("a loss beyond it", (PriceShock("ETH", 1.0),)))
    assert large.pools[0].bore["dollar"] == 1_800 * MICRO
    assert large.borne["surplus over par of dollar"] == 1_000 * MICRO
    assert large.borne["holders of dollar"] == large.borne["holders of far"] == 400 * MICRO
    assert large.token_factors[-1, 1] == pytest.approx(8_200 / 9_000)


def test_a_depeg_is_the_market_alone() -> None:
    found = _play(Depeg("stETH", 0.3))
    assert _prices(found)[STETH] == pytest.approx(1750.0)
    assert (found.token_factors == 1.0).all(), "what stands behind it stays"
    assert found.cascade.first_round.tolist() == [0, 1, 0, 0, 0]


def test_a_slashing_reaches_rates_and_a_hidden_loss_does_not() -> None:
    rules = following(_book(), OracleKind.RATE)
    slashed = _play(Slashing("stETH", 0.3), oracles=rules)
    assert slashed.cascade.oracle_prices[-1].tolist() == pytest.approx([2500.0, 1750.0, 1750.0, 1.0, 1.0])
    assert slashed.cascade.first_round.tolist() == [0, 1, 1, 0, 0]
    hidden = _play(ProtocolLoss("stETH", 0.3), oracles=rules)
    assert hidden.cascade.oracle_prices[-1].tolist() == pytest.approx([2500.0, 2500.0, 2500.0, 1.0, 1.0])
    assert hidden.cascade.rounds == 0
    assert hidden.blind_bad_debt[-1] == pytest.approx(0.0), "unhealthy, but still covered"
    assert hidden.shadow.blind.tolist() == [False, True, True, False, False]
    worse = _play(ProtocolLoss("stETH", 0.5), oracles=rules)
    assert worse.blind_bad_debt[-1] == pytest.approx((17_000 - 12_500) + (16_000 - 12_500))


def test_oracles_that_freeze_lie_and_lag() -> None:
    frozen = _play(PriceShock("ETH", 0.5), OracleFreeze("stETH"))
    assert frozen.cascade.first_round.tolist()[:2] == [1, 0]
    assert frozen.blind_bad_debt[-1] == pytest.approx(17_000 - 12_500)
    lying = _play(OracleLie("stETH", 1000.0))
    # a healthy account is liquidated at a price that is not true; its 7,000 of bad debt reach the vault, and the vault's borrower
    assert lying.cascade.first_round.tolist() == [0, 1, 0, 2, 0]
    assert lying.pools[0].bore["vault"] == round(0.4 * (7_000 - 500 - 700) * MICRO)
    late = _play(PriceShock("ETH", 0.5), OracleLag("ETH", 600.0))
    assert late.settled and late.cascade.first_round.tolist()[0] > 0
    assert late.cascade.oracle_prices[0, ETH] == 2500.0


def test_a_bridge_deficit_by_who_bears_it() -> None:
    alone = _play(BridgeDeficit("Span", 30.0))
    assert _prices(alone)[:3] == pytest.approx([2500.0, 2500.0, 625.0])
    assert alone.pools[0].bad_debt == pytest.approx((16_000 - 6_250) * MICRO)
    together = _play(BridgeDeficit("Span", 30.0, Allocation.SOCIALISED))
    # the far token is made of the home token: both lose once, through what is behind them, and the far one through its own haircut
    assert _prices(together)[STETH] == pytest.approx(2500.0 * (1 - 30 / 160))
    assert _prices(together)[FAR] == pytest.approx(2500.0 * (1 - 30 / 160))
    chain = _play(BridgeDeficit("Span", 10.0, Allocation.PER_CHAIN, {"eip155:10": 10.0}))
    assert _prices(chain)[FAR] == pytest.approx(2500.0 * 0.75)
    assert alone.why("far")[0].subject == "deficit of Span"


def test_a_frozen_bridge_leaves_the_far_market_to_its_own_depth() -> None:
    impact = ExponentialImpact(np.array([np.inf, np.inf, 100_000.0, np.inf, np.inf]))
    whole = _play(PriceShock("ETH", 0.35), impact=impact)
    alone = _play(PriceShock("ETH", 0.35), BridgeFreeze("Span", 0.1), impact=impact)
    assert _prices(alone)[FAR] < _prices(whole)[FAR] < 2500.0 * 0.65
    assert _prices(alone)[STETH] == _prices(whole)[STETH]
    thin = _play(PriceShock("ETH", 0.35), LiquidityWithdrawal("farETH", 0.1), impact=impact)
    assert _prices(thin)[FAR] == pytest.approx(_prices(alone)[FAR])


def test_a_stablecoin_run_leaves_less_to_those_who_stay_and_sells_into_markets() -> None:
    tranches = (Tranche("cash", 100_000 * MICRO), Tranche("ETH", 400_000 * MICRO, 0.2))
    impact = ExponentialImpact(np.array([1_000_000.0, np.inf, np.inf, np.inf, np.inf]))
    found = _play(StablecoinRun("USD", 0.6), redeemable={"USD": tranches}, impact=impact)
    sold = 200_000.0 / 0.8
    left = (500_000.0 - 100_000.0 - sold) / 200_000.0
    assert _prices(found)[USD] == pytest.approx(left)
    assert found.cascade.sold.sum(axis=0)[ETH] == pytest.approx(sold)
    assert _prices(found)[ETH] == pytest.approx(2500.0 * np.exp(-sold / 1e6))
    assert _prices(found)[STETH] == pytest.approx(2500.0 * np.exp(-sold / 1e6)), "made of ether, so it follows"
    assert [cause.subject for cause in found.why("ETH")][:2] == ["run on USD", "redemptions of USD"]
    with pytest.raises(InputError, match=r"farETH: 0\.9 of it cannot be redeemed, as other tokens hold 0\.25"):
        held = composition({"farETH": 1000.0, "top": 1.0}, [("top", "farETH", 0.25)], claimed={"farETH": 1000.0})
        system = System(_book(), impact, held, redeemable={"farETH": (Tranche("cash", 1000 * MICRO),)})
        simulate(system, Scenario("run", (StablecoinRun("farETH", 0.9),)))
    with pytest.raises(InputError, match="ETH has no reserves that it could be redeemed from"):
        _play(StablecoinRun("ETH", 0.5))


def test_suppliers_leave_until_there_is_no_cash() -> None:
    found = _play(SupplierRun("pool 0x01", "USD", 0.3))
    assert found.pools[0].withdrawn == 30_000 * MICRO and not found.pools[0].frozen
    assert found.pools[0].utilisation == pytest.approx(59_500 / 70_000)
    frozen = _play(SupplierRun("pool 0x01", "USD", 0.8))
    assert frozen.pools[0].utilisation == pytest.approx(1.0)
    assert frozen.pools[0].frozen and frozen.pools[0].waiting == 80_000 * MICRO - frozen.pools[0].withdrawn
    assert any(cause.kind is CauseKind.FREEZE for cause in frozen.causes)


def test_who_waits_is_paid_when_liquidations_bring_cash() -> None:
    found = _play(PriceShock("ETH", 0.25), SupplierRun("0x01", "USD", 0.8))
    assert found.cascade.first_round.tolist() == [1, 1, 0, 0, 0]
    assert found.pools[0].withdrawn == (40_500 + 18_000 + 17_000) * MICRO
    assert found.pools[0].waiting == 4_500 * MICRO


def test_a_run_by_itself_starts_with_bad_debt_or_with_what_an_oracle_hides() -> None:
    calm = _play(PriceShock("ETH", 0.1), runs=RunRule())
    assert calm.pools[0].withdrawn == 0
    shaken = _play(PriceShock("ETH", 0.5), runs=RunRule())
    assert shaken.settled and shaken.pools[0].withdrawn > 0
    assert shaken.why(shaken.pools[0].name)[0].subject == "price of ETH"
    hidden = _play(PriceShock("ETH", 0.5), OracleFreeze("ETH"), OracleFreeze("stETH"), OracleFreeze("far"), runs=RunRule())
    assert hidden.cascade.rounds == 0
    assert hidden.pools[0].frozen, "10,500 of hidden bad debt against 100,000 supplied"
    first = _play(PriceShock("ETH", 0.5), OracleFreeze("ETH"), OracleFreeze("stETH"), OracleFreeze("far"), runs=RunRule(pro_rata=True))
    assert first.pools[0].withdrawn == pytest.approx(hidden.pools[0].withdrawn, abs=10)


def test_a_paused_market_waits() -> None:
    found = _play(PriceShock("ETH", 0.5), MarketPause("0x01"))
    assert found.cascade.rounds == 0
    assert found.pools[0].bad_debt == 0
    assert found.shadow.oracle.liquidatable.tolist() == [True, True, True, False, False]
    assert found.cascade.waiting_debt == pytest.approx(51_000.0)


def test_shocks_compose() -> None:
    """A fall, a discount and a deficit together are each other's product, not their sum."""
    found = _play(PriceShock("ETH", 0.2), Depeg("stETH", 0.05), BridgeDeficit("Span", 4.0), Depeg("farETH", 0.1))
    assert _prices(found)[:3] == pytest.approx([2000.0, 1900.0, 2500.0 * 0.8 * 0.9 * 0.9])


def test_an_asset_without_a_token_stands_for_itself() -> None:
    book = small_book([({"A": 100.0}, {"USD": 7900.0})], {"A": 100.0, "USD": 1.0})
    prices = np.array([70.0, 1.0])
    impact = ExponentialImpact(np.array([50_000.0, np.inf]))
    found = simulate(System(book, impact), Scenario("fall", (PriceShock("A", 0.3),)))
    plain = cascade(book, prices, impact)
    assert found.cascade.prices[-1] == pytest.approx(plain.prices[-1], rel=1e-12)
    assert found.unallocated == int(plain.bad_debt_by_reserve.sum()) > 0
    assert list(found.borne) == ["lenders of USD in pool 0x01"]


@settings(max_examples=25)
@given(seeds, st.floats(0.05, 0.7))
def test_bad_debt_is_borne_to_the_last_micro_dollar(seed: int, fall: float) -> None:
    """Random accounts, tokens that hold one another, and pools whose suppliers are those tokens, which accounts have as collateral."""
    random = np.random.default_rng(seed)
    book = random_book(seed, accounts=60, markets=2, factors=(1.0, 1.5))
    names = [f"A{number}" for number in range(6)]
    owed = np.bincount(book.debt.reserves(), book.debt.amounts, len(book.reserves))
    tokens = composition(
        {name: float(random.lognormal(13.0, 1.0)) for name in names},
        [("A4", "A1", 0.3), ("A5", "A4", 0.3), ("A4", "A5", 0.2), ("A3", "A2", 0.2)],
    )
    pools = tuple(
        Pool(
            int(book.reserves.market[code]),
            int(book.reserves.asset[code]),
            float(owed[code]) * 1.3 + 1.0,
            float(owed[code]),
            float(random.lognormal(5.0, 3.0)),
            float(random.lognormal(5.0, 3.0)),
            (("A4", 0.2), ("A5", 0.3)),
        )
        for code in range(len(book.reserves))
        if code % 3 and owed[code] > 0.0
    )
    depth = float(book.sums(book.collateral, book.reserves.oracle_price).sum())
    system = System(book, ExponentialImpact(np.full(6, depth)), tokens, dict(enumerate(names)), pools, runs=RunRule())
    shocks = tuple(PriceShock(name, fall) for name in names[1:])
    found = simulate(system, Scenario("everything falls", shocks))
    assert found.settled
    total = int(found.cascade.bad_debt_by_reserve.sum())
    assert sum(pool.bad_debt for pool in found.pools) + found.unallocated == total == sum(found.borne.values())
    for pool in found.pools:
        assert sum(pool.bore.values()) == pool.bad_debt
        assert 0.0 <= pool.utilisation <= 1.0 + 1e-9
    assert sum(found.cascade.ledger.losses().values()) == 0
    for cause in found.causes:
        assert cause.parents or cause.kind is CauseKind.SHOCK, cause
        assert all(parent < cause.number for parent in cause.parents)
    again = simulate(system, Scenario("everything falls", shocks))
    assert [*again.causes] == [*found.causes] and again.borne == found.borne, "the same input gives the same output"


def test_shocks_as_text() -> None:
    written = {
        "price:ETH=-30%": PriceShock("ETH", 0.3),
        "depeg:USDe=-0.35": Depeg("USDe", 0.35),
        "loss:xUSD=93%": ProtocolLoss("xUSD", 0.93),
        "slashing:stETH=−5%": Slashing("stETH", 0.05),
        "run:USDe=20%": StablecoinRun("USDe", 0.2),
        "depth:weETH=40%": LiquidityWithdrawal("weETH", 0.4),
        "oracle-freeze:xUSD": OracleFreeze("xUSD"),
        "oracle-lie:xUSD=1.26": OracleLie("xUSD", 1.26),
        "oracle-lag:ETH=3600": OracleLag("ETH", 3600.0),
        "bridge-deficit:Span=116500": BridgeDeficit("Span", 116_500.0),
        "bridge-freeze:Span=10%": BridgeFreeze("Span", 0.1),
        "pause:0x01": MarketPause("0x01"),
        "outflow:aave-v3 Core/USDC=60%": SupplierRun("aave-v3 Core", "USDC", 0.6),
    }
    assert {text: shock_from_text(text) for text in written} == written


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ETH -30%", "is no shock; expected kind:NAME=VALUE"),
        ("price:ETH", "price needs a value"),
        ("price:ETH=much", "is not a number or a percentage"),
        ("rain:ETH=3", "there is no shock 'rain'"),
        ("outflow:USDC=3%", "an outflow names a market and an asset"),
    ],
)
def test_shocks_that_cannot_be_read(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        shock_from_text(text)


@pytest.mark.parametrize(
    ("shock", "words"),
    [
        (PriceShock("ETH", 1.5), "ETH: a fall is 1.5"),
        (PriceShock("ETH", float("nan")), "ETH: a fall is nan"),
        (ProtocolLoss("ETH", -0.1), "ETH: a share is -0.1"),
        (LiquidityWithdrawal("ETH", 0.0), "share of depth that is left is 0"),
        (OracleLie("ETH", -1.0), "a stated price is -1"),
        (PriceShock("DOGE", 0.1), "DOGE is neither a token nor an asset"),
        (OracleFreeze("DOGE"), "DOGE is neither a token nor an asset"),
        (BridgeDeficit("Gap", 1.0), "Gap is not one of the 1 bridges"),
        (SupplierRun("0x02", "USD", 0.1), "0x02 is no market"),
        (SupplierRun("0x01", "ETH", 0.1), "0x01 has no pool of ETH"),
        (MarketPause("0x02"), "0x02 is no market"),
    ],
)
def test_scenarios_that_do_not_fit_are_refused(shock: Shock, words: str) -> None:
    with pytest.raises(InputError, match=words):
        _play(shock)


def test_systems_that_do_not_fit_are_refused() -> None:
    system = _system()
    with pytest.raises(InputError, match="DOGE is not one of the 5 tokens"):
        replace(system, asset_tokens={0: "DOGE"})
    with pytest.raises(InputError, match="has two pools"):
        replace(system, pools=system.pools * 2)
    with pytest.raises(InputError, match="not in the population"):
        replace(system, pools=(replace(system.pools[0], market=7),))
    with pytest.raises(InputError, match="a pool lends 2 of 1 supplied"):
        Pool(0, 0, 1.0, 2.0)
    with pytest.raises(InputError, match="mints nothing on eip155:99"):
        replace(system, bridges=(replace(system.bridges[0], tokens={"eip155:99": "farETH"}),))
    with pytest.raises(InputError, match="triggers above 0"):
        RunRule(loss_trigger=0.0)
    with pytest.raises(InputError, match="cannot be looked through"):
        simulate(replace(system, tokens=None, asset_tokens={}, pools=(), bridges=()), Scenario("x", (ProtocolLoss("ETH", 0.5),)))
    assert codes([0]).dtype == np.int32


def test_what_stands_behind_a_collateral_and_is_not_known_is_said() -> None:
    tokens = composition({"ETH": None, "vault": 40_000.0})
    named = {ETH: "ETH", STETH: "ETH", FAR: "ETH", VAULT: "vault"}
    found = simulate(System(_book(), no_impact(5), tokens, named), Scenario("fall", (ProtocolLoss("vault", 0.01),)))
    assert not found.evidence.sufficient
    assert found.evidence.known_share == pytest.approx(1.0 - 75.0 / 135.0)
    assert "real assets of ETH" in found.evidence.missing
    assert np.isnan(found.blind_bad_debt).all(), "what is not known is neither nothing nor calm"
    assert _prices(found) == pytest.approx([2500.0, 2500.0, 2500.0, 0.99, 1.0])
