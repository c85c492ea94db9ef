"""The cascade against a plain loop, closed forms, and the laws that do hold. That more shock is more loss is not one of them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.contagion.cascade import CascadeResult, cascade
from aggregator.contagion.causes import CauseKind
from aggregator.contagion.curves import static_curve
from aggregator.contagion.impact import ConstantProductImpact, ExponentialImpact, Impact, LinearImpact, MeasuredImpact, no_impact
from aggregator.contagion.ledger import Line, Party
from aggregator.contagion.liquidations import Gate, LiquidationTerms, Pairing
from aggregator.contagion.money import MICRO
from aggregator.contagion.overlap import Thresholds
from aggregator.contagion.reactions import Reaction, deleveraging, forced_sales, liquidation_levels
from aggregator.contagion.spiral import fallen, loop_gain, spiral_distance, worst_shock
from aggregator.model.book import HALF_IF_MILD, WHOLE, Book, Floats, Legs, LiquidationRule
from aggregator.model.errors import InputError
from tests.contagion.analytic import case, needs_vectors, number
from tests.contagion.books import permuted, random_book, seeds, small_book
from tests.contagion.plain_cascade import plain_cascade

CENT = 0.01
shocks = st.floats(0.0, 0.6)


def _fall(book: Book, shock: float) -> Floats:
    """Everything but the first asset falls."""
    moves = np.full(len(book.assets), 1.0 - shock)
    moves[0] = 1.0
    fallen_prices: Floats = book.prices * moves
    return fallen_prices


def _depth(book: Book, times: float = 1.0) -> float:
    return times * float(book.sums(book.collateral, book.reserves.oracle_price).sum()) / len(book.assets)


def _evenly_spread(low: float, high: float, count: int) -> Book:
    """Accounts of one debt each whose liquidation prices lie evenly between two levels, in a market that sells just what is owed."""
    levels = low + (high - low) * (np.arange(count) + 0.5) / count
    wallets = [({"A": 1.0 / (level * 0.8)}, {"USD": 1.0}) for level in levels.tolist()]
    return small_book(wallets, {"A": 1.0, "USD": 1.0}, threshold=0.8, bonus=0.0, rule=WHOLE)


@needs_vectors
@pytest.mark.parametrize("name", ["cascade-uniform-0.1", "cascade-uniform-0.4"])
def test_evenly_spread_accounts_end_where_the_closed_form_says(name: str) -> None:
    given_values, expected = case(name)
    low, high = given_values["liq_price_uniform_on"]
    count, shock, impact = 4000, given_values["shock"], given_values["impact_if_all_sold"]
    book = _evenly_spread(low, high, count)
    rate = np.array([impact / (count * (1.0 - shock)), 0.0])
    result = cascade(book, fallen(book, np.array([1.0, 0.0]), shock), LinearImpact(rate))
    assert result.prices[-1, 0] == pytest.approx(number(expected["price"]), abs=2.0 / count)
    gain = loop_gain(book, result.prices[0], LinearImpact(rate), bandwidth=0.02)
    assert gain == pytest.approx(number(expected["loop_gain"]), rel=0.01)
    distance = spiral_distance(book, np.array([1.0, 0.0]), LinearImpact(rate), bandwidth=0.02).distance
    assert (distance is not None) == (number(expected["loop_gain"]) >= 1.0)
    if distance is not None:
        assert distance == pytest.approx(1.0 - high, abs=0.011), "the first fall at which a liquidation brings about another"
    else:
        further = cascade(book, fallen(book, np.array([1.0, 0.0]), shock + 0.05), LinearImpact(rate * (1 - shock) / (0.95 - shock)))
        marginal = (result.prices[-1, 0] - further.prices[-1, 0]) / 0.05
        assert marginal == pytest.approx(expected["amplification_of_marginal_shock"], rel=0.02)


@settings(max_examples=40)
@given(seeds, shocks, st.sampled_from([HALF_IF_MILD, WHOLE]))
def test_what_a_plain_loop_gives(seed: int, shock: float, rule: LiquidationRule) -> None:
    book = random_book(seed, accounts=80, rule=rule, factors=(1.0, 1.6))
    depth, prices = _depth(book), _fall(book, shock)
    result = cascade(book, prices, ExponentialImpact(np.full(6, depth)))
    plain = plain_cascade(book, prices, depth)
    assert result.liquidated.tolist() == plain.rounds
    assert result.account_repaid.sum() == pytest.approx(plain.repaid, rel=1e-9, abs=1e-6)
    assert result.account_seized.sum() == pytest.approx(plain.seized, rel=1e-9, abs=1e-6)
    assert result.account_bad_debt.sum() == pytest.approx(plain.bad_debt, rel=1e-9, abs=1e-4)
    assert result.prices[-1] == pytest.approx(plain.prices, rel=1e-9)
    assert result.sold.sum(axis=0) == pytest.approx(plain.sold, rel=1e-8, abs=1e-3)
    assert result.settled


@settings(max_examples=20)
@given(seeds)
def test_no_shock_changes_nothing(seed: int) -> None:
    book = random_book(seed)
    result = cascade(book, book.prices.copy(), ExponentialImpact(np.full(6, 1.0)))
    assert result.rounds == 0 and result.settled
    assert np.array_equal(result.collateral.amounts, book.collateral.amounts) and np.array_equal(result.debt.amounts, book.debt.amounts)
    assert list(result.ledger) == [] and result.direct_loss == 0.0
    assert np.isnan(result.amplification), "no loss to amplify"


@settings(max_examples=20)
@given(seeds, shocks)
def test_the_order_of_accounts_does_not_matter(seed: int, shock: float) -> None:
    book = random_book(seed, accounts=60, factors=(1.0, 1.6))
    order = np.random.default_rng(seed).permutation(book.size)
    impact = ExponentialImpact(np.full(6, _depth(book)))
    one, two = (cascade(each, _fall(book, shock), impact) for each in (book, permuted(book, order)))
    assert one.liquidated.tolist() == two.liquidated.tolist()
    assert two.account_repaid == pytest.approx(one.account_repaid[order], rel=1e-9, abs=1e-6)
    assert two.first_round.tolist() == one.first_round[order].tolist()


@settings(max_examples=40)
@given(seeds, shocks, st.sampled_from([HALF_IF_MILD, WHOLE, LiquidationRule(0.3)]))
def test_without_impact_bad_debt_is_the_static_curves(seed: int, shock: float, rule: LiquidationRule) -> None:
    """However often an account is liquidated, and whatever it has: in proportion, all of its collateral repays what it covers."""
    book = random_book(seed, accounts=60, rule=rule, factors=(1.0, 1.6))
    betas = np.ones(6)
    betas[0] = 0.0
    result = cascade(book, fallen(book, betas, shock), no_impact(6))
    curve = static_curve(book, betas, np.array([shock]))
    assert int(np.count_nonzero(result.first_round)) == curve.accounts[0, 0]
    assert result.total_bad_debt == pytest.approx(curve.bad_debt[0, 0], rel=1e-6, abs=CENT * book.size)


@settings(max_examples=20)
@given(seeds, shocks)
def test_an_account_of_one_pair_is_the_same_to_both_engines(seed: int, shock: float) -> None:
    book = random_book(seed, accounts=60, legs=(1.0, 1.0), rule=WHOLE, factors=(1.0, 1.6))
    impact = ExponentialImpact(np.full(6, _depth(book)))
    one, two = (cascade(book, _fall(book, shock), impact, terms=LiquidationTerms(pairing)) for pairing in Pairing)
    assert one.liquidated.tolist() == two.liquidated.tolist()
    assert two.account_repaid == pytest.approx(one.account_repaid, rel=1e-9, abs=1e-6)
    assert two.account_bad_debt == pytest.approx(one.account_bad_debt, rel=1e-9, abs=1e-6)


@settings(max_examples=20)
@given(seeds, shocks)
def test_two_halves_of_a_large_account_are_the_account(seed: int, shock: float) -> None:
    book = random_book(seed, accounts=40, rule=LiquidationRule(mild_close_factor=0.5, mild_above=0.95), factors=(1.0, 1.6))
    sides = [
        Legs.build(
            np.concatenate([side.accounts, side.accounts + book.size]),
            np.tile(side.reserves(), 2),
            np.tile(side.amounts / 2.0, 2),
            len(book.reserves),
        )
        for side in (book.collateral, book.debt)
    ]
    halves = Book(book.assets, book.prices, book.markets, book.reserves, np.tile(book.account_market, 2), sides[0], sides[1])
    impact = ExponentialImpact(np.full(6, _depth(book)))
    no_dust = LiquidationTerms(dust_usd=0.0)
    one, two = (cascade(each, _fall(book, shock), impact, terms=no_dust, maximum_rounds=12) for each in (book, halves))
    assert (2 * one.liquidated).tolist() == two.liquidated.tolist()
    assert two.prices[-1] == pytest.approx(one.prices[-1], rel=1e-9)
    assert two.total_bad_debt == pytest.approx(one.total_bad_debt, rel=1e-9, abs=CENT)


@settings(max_examples=40)
@given(seeds, shocks, st.sampled_from(list(Pairing)), st.booleans(), st.integers(0, 3))
def test_every_dollar_is_accounted_for(seed: int, shock: float, pairing: Pairing, gated: bool, kind: int) -> None:
    """What the accounts and the lenders have at the end, recomputed from their legs, is what the ledger says; its lines add up exactly."""
    book = random_book(seed, accounts=60, factors=(1.0, 1.6))
    depth = _depth(book)
    impact: Impact = (
        ExponentialImpact(np.full(6, depth)),
        LinearImpact(np.full(6, 0.3 / depth)),
        ConstantProductImpact(np.full(6, depth)),
        MeasuredImpact([np.array([0.0, depth, 3 * depth])] * 6, [np.array([1.0, 0.7, 0.5])] * 6),
    )[kind]
    terms = LiquidationTerms(pairing, Gate(5.0, 0.4) if gated else None)
    result = cascade(book, _fall(book, shock), impact, terms=terms)
    assert result.settled
    losses = result.ledger.losses()
    assert sum(losses.values()) == 0
    before, after = _wealth(book, result, first=True), _wealth(book, result, first=False)
    assert losses[Party.ACCOUNTS] / MICRO == pytest.approx(before[0] - before[1] - (after[0] - after[1]), abs=CENT)
    assert losses[Party.LENDERS] / MICRO == pytest.approx(before[1] - after[1] - _repaid(result), abs=CENT)
    assert result.ledger.total(Line.BAD_DEBT) == int(result.bad_debt_by_reserve.sum())
    destroyed = result.ledger.total(Line.SHOCK, Line.SALES)
    assert -losses[Party.OUTSIDE] == destroyed, "only prices destroy; everything else changes hands"


def _wealth(book: Book, result: CascadeResult, *, first: bool) -> tuple[float, float]:
    """(collateral, debt) of all accounts at the first or the last market prices."""
    prices = (book.prices if first else result.prices[-1])[book.reserves.asset]
    sides = (book.collateral, book.debt) if first else (result.collateral, result.debt)
    return float(book.sums(sides[0], prices).sum()), float(book.sums(sides[1], prices).sum())


def _repaid(result: CascadeResult) -> float:
    return float(result.repaid.sum())


@settings(max_examples=20)
@given(seeds, st.floats(0.1, 0.6))
def test_every_entry_goes_back_to_the_shock(seed: int, shock: float) -> None:
    book = random_book(seed, accounts=60, factors=(1.0, 1.5))
    reaction = Reaction("a perpetuals venue", 1, np.array([0.0, 0.5]), np.array([0.0, _depth(book, 0.2)]))
    result = cascade(book, _fall(book, shock), ExponentialImpact(np.full(6, _depth(book))), reactions=[reaction])
    causes = result.ledger.causes
    for entry in result.ledger:
        assert entry.cause >= 0, entry
        path = causes.path(entry.cause)
        assert path[0].kind is CauseKind.SHOCK and path[0].tick == 0
        assert all(earlier.number < later.number and earlier.tick <= later.tick for earlier, later in itertools.pairwise(path))
        assert all(origin.kind is CauseKind.SHOCK for origin in causes.origins(entry.cause))
    assert any(one.kind is CauseKind.SALE and one.subject == "a perpetuals venue" for one in causes)


def test_worse_is_not_monotone_and_the_worst_point_is_found_inside() -> None:
    """Below health 0.95 everything may be repaid at once: a deeper fall liquidates the account before its collateral sinks further."""
    wallets = [({"A": 100.0}, {"USD": 7400.0})] * 20
    book = small_book(wallets, {"A": 100.0, "USD": 1.0}, threshold=0.8, bonus=0.05)
    betas, impact, falls = np.array([1.0, 0.0]), ExponentialImpact(np.array([200_000.0, np.inf])), np.linspace(0.0, 0.2, 21)
    curve = worst_shock(book, betas, impact, falls)
    fall, bad = curve.worst
    # health 0.95 is where half becomes all: 0.8 · 100 · (1 − x) = 0.95 · 74
    assert fall == pytest.approx(1.0 - 0.95 * 0.925, abs=1e-4)
    assert bad > 10_000.0
    assert curve.bad_debt[curve.falls > 0.125].max() == 0.0
    assert len(curve.falls) > len(falls) and (np.diff(curve.falls) > 0.0).all()


def test_a_liquidator_who_gains_nothing_waits() -> None:
    wallets = [({"A": 1.0}, {"USD": 81.0}), ({"A": 1000.0}, {"USD": 81_000.0})]
    book = small_book(wallets, {"A": 100.0, "USD": 1.0}, threshold=0.8, bonus=0.05)
    deep, shallow = ExponentialImpact(np.array([1e12, np.inf])), ExponentialImpact(np.array([50_000.0, np.inf]))
    gas = LiquidationTerms(gate=Gate(gas_usd=10.0))
    small_waits = cascade(book, book.prices, deep, terms=gas)
    assert small_waits.account_repaid[0] == 0.0 and small_waits.account_repaid[1] > 0.0
    assert small_waits.waiting_debt == pytest.approx(81.0)
    large_waits = cascade(book, book.prices, shallow, terms=LiquidationTerms(gate=Gate(gas_usd=0.1)))
    assert large_waits.account_repaid[0] > 0.0 and large_waits.account_repaid[1] == 0.0
    assert large_waits.waiting_debt == pytest.approx(81_000.0)
    auctioned = cascade(book, book.prices, deep, terms=LiquidationTerms(gate=Gate(gas_usd=1.0, mev_share=0.9)))
    assert auctioned.account_repaid[0] == 0.0
    losses = auctioned.ledger.losses()
    assert -losses[Party.BUILDERS] == auctioned.ledger.total(Line.GAS, Line.AUCTION)
    assert auctioned.ledger.total(Line.AUCTION) == pytest.approx(0.9 * auctioned.ledger.total(Line.PREMIUM), rel=1e-9)


def test_at_the_line_the_columns_own_values_decide() -> None:
    """0.1 and 0.2 add up to a little less than the float that is called 0.30000000000000004, although as floats they do not."""
    prices = {"A": 1.0, "B": 1.0, "USD": 1.0}
    book = small_book([({"A": 0.1, "B": 0.2}, {"USD": 0.1 + 0.2}), ({"A": 0.3}, {"USD": 0.3})], prices, threshold=1.0, rule=WHOLE)
    assert not book.health().liquidatable.any()
    assert book.exact_margin(0) < 0 == book.exact_margin(1)
    assert cascade(book, book.prices, no_impact(3)).first_round.tolist() == [1, 0]


def test_markets_where_nobody_can_liquidate() -> None:
    book = small_book([({"A": 100.0}, {"USD": 9000.0})], {"A": 100.0, "USD": 1.0})
    result = cascade(book, book.prices, no_impact(2), blocked=np.array([True]))
    assert result.rounds == 0
    assert not result.account_repaid.any()


@pytest.mark.parametrize("pairing", list(Pairing))
def test_what_is_paused_counts_but_cannot_be_seized_or_repaid(pairing: Pairing) -> None:
    wallets = [
        ({"A": 50.0, "B": 50.0}, {"USD": 9000.0}),  # half of the collateral is paused
        ({"B": 100.0}, {"USD": 9000.0}),  # all of it
        ({"A": 100.0}, {"EUR": 9000.0}),  # the debt is
        ({"A": 10.0, "B": 1.0}, {"USD": 9000.0}),  # what is left over is, so nothing is written off
        ({"A": 10.0}, {"USD": 5000.0, "EUR": 1000.0}),  # a debt that nobody can repay is written off with the rest
    ]
    book = small_book(wallets, {"A": 100.0, "B": 100.0, "USD": 1.0, "EUR": 1.0}, threshold=0.8, bonus=0.05, rule=WHOLE)
    paused = replace(book, reserves=replace(book.reserves, closed=np.array([False, True, False, True])))
    result = cascade(paused, book.prices, no_impact(4), terms=LiquidationTerms(pairing))
    assert result.settled
    assert result.account_repaid.tolist() == pytest.approx([5000 / 1.05, 0.0, 0.0, 1000 / 1.05, 1000 / 1.05])
    assert result.account_bad_debt.tolist() == pytest.approx([0.0, 0.0, 0.0, 0.0, 6000 - 1000 / 1.05])
    assert result.waiting_debt == pytest.approx(9000 - 5000 / 1.05 + 9000 + 9000 + 9000 - 1000 / 1.05)
    assert sum(result.ledger.losses().values()) == 0


def test_best_pair_takes_one_collateral_and_one_debt() -> None:
    wallets = [({"A": 60.0, "B": 50.0}, {"USD": 9000.0, "EUR": 500.0})]
    book = small_book(
        wallets, {"A": 100.0, "B": 100.0, "USD": 1.0, "EUR": 1.0}, threshold=0.8, bonus={"A": 0.05, "B": 0.08, "USD": 0.0, "EUR": 0.0}
    )
    result = cascade(book, book.prices, no_impact(4), terms=LiquidationTerms(Pairing.BEST_PAIR), maximum_rounds=1)
    prices = book.prices[book.reserves.asset]
    taken = np.bincount(book.collateral.reserves(), book.collateral.amounts - result.collateral.amounts, 4) * prices
    paid = np.bincount(book.debt.reserves(), book.debt.amounts - result.debt.amounts, 4) * prices
    # health 8800 / 9500 < 0.95: everything may be repaid; B pays most per dollar, A pays most in all
    assert taken.tolist() == pytest.approx([6000.0, 0.0, 0.0, 0.0]) or taken.tolist() == pytest.approx([0.0, 5000.0, 0.0, 0.0])
    gain = taken.sum() - paid.sum()
    assert gain == pytest.approx(max(6000.0 * 0.05 / 1.05, 5000.0 * 0.08 / 1.08))
    assert np.count_nonzero(paid) == 1


def test_positions_that_a_venue_closes_at_levels() -> None:
    found = liquidation_levels("perpetuals", 0, [(0.2, 300.0), (0.1, 100.0), (0.2, 50.0), (0.1005, 7.0)])
    assert forced_sales([found], np.array([0.901])).tolist() == [0.0]
    assert forced_sales([found], np.array([0.9])).tolist() == pytest.approx([100.0])
    assert forced_sales([found], np.array([0.85])).tolist() == pytest.approx([107.0])
    assert forced_sales([found], np.array([0.5])).tolist() == pytest.approx([457.0])
    assert forced_sales([found], np.array([1.1])).tolist() == [0.0]
    with pytest.raises(InputError, match="falls above 0"):
        liquidation_levels("perpetuals", 0, [(0.0, 1.0)])


@needs_vectors
def test_a_leveraged_holder_sells_back_to_his_target() -> None:
    given_values, expected = case("cs-threshold-1bank")
    thresholds = Thresholds(0.03, given_values["leverage_buffer"], given_values["leverage_target"])
    found = deleveraging("vault", 0, given_values["assets"], given_values["loan"], thresholds)
    sold = forced_sales([found], np.array([1.0 - given_values["shock_on_assets"]]))
    assert sold.tolist() == pytest.approx([expected["must_sell"]], rel=0.01)
    assert forced_sales([found], np.array([0.996])).tolist() == [0.0], "above the buffer nobody sells"
    assert forced_sales([found], np.array([0.97]))[0] == pytest.approx(98.2, rel=0.01), (
        "below the minimum everything goes, at what it was worth then"
    )
    with pytest.raises(InputError, match="expected less"):
        deleveraging("vault", 0, 100.0, 100.0, thresholds)


def test_thin_markets_fall_further() -> None:
    book = random_book(11, accounts=80, factors=(1.0, 1.3))
    impact = ExponentialImpact(np.full(6, _depth(book, 2.0)))
    whole = cascade(book, _fall(book, 0.2), impact)
    half = cascade(book, _fall(book, 0.2), impact, liquidity=np.full(6, 0.5))
    thin = cascade(book, _fall(book, 0.2), ExponentialImpact(np.full(6, _depth(book))))
    assert half.prices[-1] == pytest.approx(thin.prices[-1], rel=1e-12)
    assert half.amplification > whole.amplification > 1.0


def test_what_is_not_known_is_said() -> None:
    wallets = [({"A": 100.0}, {"USD": 7900.0}), ({"A": np.nan}, {"USD": 1.0})]
    book = small_book(wallets, {"A": 100.0, "USD": 1.0})
    result = cascade(book, book.prices * np.array([0.9, 1.0]), ExponentialImpact(np.array([np.nan, np.nan])))
    assert result.evidence.known_share == 0.0 and not result.evidence.sufficient
    assert result.evidence.missing == ("1 of 2 accounts have an amount or a price that is not known", "depth of A")
    assert result.first_round.tolist() == [1, 0]


def test_an_asset_without_a_market_price_moves_from_its_oracles() -> None:
    known = small_book([({"A": 100.0}, {"USD": 7900.0})], {"A": 100.0, "USD": 1.0})
    blind = replace(known, prices=np.array([np.nan, 1.0]))
    impact, betas = ExponentialImpact(np.array([50_000.0, np.inf])), np.array([1.0, 0.0])
    one, two = (cascade(book, fallen(book, betas, 0.25), impact) for book in (known, blind))
    assert two.total_bad_debt == one.total_bad_debt > 0.0
    assert two.evidence.sufficient and two.evidence.missing == ("market price of A, for which its oracle's was taken",)
    assert cascade(blind, blind.prices, impact).first_round.tolist() == [0], "what is not shocked stays where it was"
    assert loop_gain(blind, fallen(blind, betas, 0.005), impact) == loop_gain(known, fallen(known, betas, 0.005), impact) > 0.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda book: cascade(book, np.array([1.0]), no_impact(2)), "1 prices; the population has 2 assets"),
        (lambda book: cascade(book, np.array([-1.0, 1.0]), no_impact(2)), "the price of A would be -1"),
        (lambda book: cascade(book, book.prices, no_impact(1)), "price impact is given for 1 of 2 assets"),
        (lambda book: cascade(book, book.prices, no_impact(2), liquidity=np.array([0.0, 1.0])), "above 0 and up to 1"),
        (lambda book: cascade(book, book.prices, no_impact(2), round_seconds=-1.0), "0 seconds or more"),
        (lambda book: fallen(book, np.array([3.0, 0.0]), 0.5), "A would fall below zero"),
        (lambda book: loop_gain(book, book.prices, no_impact(2), bandwidth=0.0), "between 0 and 1"),
        (lambda _: ExponentialImpact(np.array([-1.0])), "depth of asset 0"),
        (lambda _: MeasuredImpact([np.array([0.0, 1.0])], [np.array([1.0, 1.1])]), "never in price"),
        (lambda _: Gate(-1.0), "gas of 0 USD or more"),
        (lambda _: Reaction("x", 0, np.array([0.1, 0.2]), np.array([0.0, 1.0])), "start at no fall"),
    ],
)
def test_bad_input_is_refused(call: object, words: str) -> None:
    book = small_book([({"A": 1.0}, {"USD": 50.0})], {"A": 100.0, "USD": 1.0})
    with pytest.raises(InputError, match=words):
        call(book)  # type: ignore[operator]
