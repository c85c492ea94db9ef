"""Looking through tokens that hold tokens: closed forms, a plain iteration, loops, trust, and what is not known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.contagion.composition import Composition, composition
from aggregator.contagion.liquidation import loop_leverage
from aggregator.contagion.lookthrough import LookThrough, look_through
from aggregator.contagion.loops import looped_accounts
from aggregator.contagion.trust import trust, ultimate
from aggregator.model.book import WHOLE
from aggregator.model.errors import InputError
from tests.contagion.analytic import case, needs_vectors, number, numbers
from tests.contagion.books import random_book, seeds, small_book

EXACT = 1e-12


@needs_vectors
def test_two_tokens_that_back_one_another() -> None:
    given_values, expected = case("cross-backing")
    first, second = given_values["own_real_assets"]
    shares = given_values["share_of_other_held"]
    rows = [("X", "D", shares["X_holds_of_D"]), ("D", "X", shares["D_holds_of_X"])]
    found = look_through(composition({"X": first, "D": second}, rows))
    assert found.value.tolist() == pytest.approx(numbers(expected["value"]), rel=EXACT)
    assert found.gross == pytest.approx(number(expected["gross_sum"]), rel=EXACT)
    assert found.multiple == pytest.approx(number(expected["double_count_ratio"]), rel=EXACT)
    after = look_through(composition({"X": 7.0, "D": second}, rows))
    assert after.value.tolist() == pytest.approx(numbers(expected["after_X_real_assets_drop_to_7"]), rel=EXACT)
    assert (1.0 - after.value / found.value).tolist() == pytest.approx(expected["drop_pct"], rel=EXACT)
    (loop,) = found.loops
    assert str(loop) in ("X → D → X", "D → X → D")
    assert loop.multiple == pytest.approx(number(expected["double_count_ratio"]), rel=EXACT)
    assert found.looped.all()


def _random(seed: int, tokens: int) -> Composition:
    """Shares that leave something of most tokens outside; some tokens with a par, some with debts."""
    random = np.random.default_rng(seed)
    names = [f"t{number}" for number in range(tokens)]
    rows = []
    for held in range(tokens):
        holders = random.choice(tokens, int(random.integers(0, min(4, tokens) + 1)), replace=False)
        split = random.dirichlet(np.ones(len(holders) + 1))
        rows += [(names[holder], names[held], float(share)) for holder, share in zip(holders, split, strict=False)]
    assets = {name: float(random.lognormal(3.0, 1.0)) * float(random.random() < 0.7) for name in names}
    par = {name: float(random.lognormal(3.0, 1.0)) for name in names if random.random() < 0.3}
    debts = {name: float(random.lognormal(1.5, 1.0)) for name in names if random.random() < 0.3}
    return composition(assets, rows, par=par, borrowed=debts)


@settings(max_examples=60)
@given(seeds, st.integers(1, 14))
def test_the_fixed_point_of_a_plain_iteration(seed: int, tokens: int) -> None:
    given_tokens = _random(seed, tokens)
    found = look_through(given_tokens)
    holdings, par = given_tokens.holdings.toarray(), given_tokens.par
    net = given_tokens.real_assets - given_tokens.borrowed
    start = np.linalg.solve(np.eye(tokens) - holdings, given_tokens.real_assets)
    value = np.minimum(start, par) + 1.0
    for _ in range(20_000):
        after = np.minimum(np.maximum(net + holdings @ value, 0.0), par)
        if np.abs(after - value).max() <= 1e-14:
            break
        value = after
    assert found.value == pytest.approx(value, rel=1e-9, abs=1e-9)
    assert found.real == pytest.approx(start, rel=1e-9, abs=1e-9)


@settings(max_examples=30)
@given(seeds, st.integers(2, 12))
def test_what_everybody_outside_holds_is_what_is_real(seed: int, tokens: int) -> None:
    """Without pars and debts, value held outside the graph adds up to the real assets: nothing is counted twice, nothing lost."""
    shaped = _random(seed, tokens)
    plain = composition(
        dict(zip(shaped.names, shaped.real_assets.tolist(), strict=True)),
        [(shaped.names[i], shaped.names[j], float(x)) for i, j, x in zip(*_triples(shaped), strict=True)],
    )
    found = look_through(plain)
    outside = 1.0 - np.asarray(plain.holdings.sum(axis=0)).ravel()
    assert float(outside @ found.value) == pytest.approx(float(plain.real_assets.sum()), rel=1e-9, abs=1e-9)
    split = ultimate(found)
    backed = found.real > 1e-9
    assert split[backed].sum(axis=1) == pytest.approx(np.ones(int(backed.sum())), rel=1e-9)
    assert found.layers[backed] == pytest.approx(np.asarray(np.linalg.inv(np.eye(tokens) - found.weights.toarray()).sum(axis=1))[backed])


def _triples(given_tokens: Composition) -> tuple[list[int], list[int], list[float]]:
    edges = given_tokens.holdings.tocoo()
    return edges.row.tolist(), edges.col.tolist(), edges.data.tolist()


@settings(max_examples=20)
@given(seeds)
def test_the_order_of_tokens_does_not_matter(seed: int) -> None:
    one = _random(seed, 9)
    order = np.random.default_rng(seed).permutation(9).tolist()
    rows = [(one.names[i], one.names[j], x) for i, j, x in zip(*_triples(one), strict=True)]
    other = composition(
        {one.names[place]: float(one.real_assets[place]) for place in order},
        rows[::-1],
        par={one.names[place]: float(one.par[place]) for place in order if np.isfinite(one.par[place])},
        borrowed={one.names[place]: float(one.borrowed[place]) for place in order},
    )
    first, second = look_through(one), look_through(other)
    for name in ("value", "real", "layers", "debt_financed"):
        assert getattr(second, name) == pytest.approx(getattr(first, name)[order], rel=1e-9, abs=1e-9)
    assert second.depth.tolist() == first.depth[order].tolist()
    assert {frozenset(loop.members) for loop in first.loops} == {frozenset(loop.members) for loop in second.loops}


def _stack() -> LookThrough:
    """ETH → stETH → wstETH → a vault that borrowed → a token on another chain; a stablecoin backed in half by the vault."""
    return look_through(
        composition(
            {"ETH": 1000.0, "stETH": 0.0, "wstETH": 0.0, "vault": 0.0, "bridged": 0.0, "dollar": 30.0},
            [
                ("stETH", "ETH", 1.0),
                ("wstETH", "stETH", 0.5),
                ("vault", "wstETH", 0.8),
                ("bridged", "vault", 0.25),
                ("dollar", "vault", 0.1),
            ],
            borrowed={"vault": 300.0},
            par={"dollar": 45.0},
            claimed={"bridged": 50.0, "dollar": 45.0},
            domains={
                "stETH": ["issuer:Lido"],
                "wstETH": ["issuer:Lido"],
                "vault": ["curator:Alpha", "oracle:rate"],
                "bridged": ["bridge:Span"],
                "dollar": ["issuer:Mint", "custodian:Bank"],
            },
        )
    )


def test_a_stack_of_wraps_with_debt_in_it() -> None:
    found = _stack()
    place = found.composition.code
    value = {name: float(found.value[place(name)]) for name in found.composition.names}
    assert value == pytest.approx({"ETH": 1000.0, "stETH": 1000.0, "wstETH": 500.0, "vault": 100.0, "bridged": 25.0, "dollar": 40.0})
    assert found.depth.tolist() == [0, 1, 2, 3, 4, 4]
    assert found.debt_financed[place("vault")] == pytest.approx(0.75)
    assert found.leverage[place("vault")] == pytest.approx(4.0)
    assert found.debt_financed[place("bridged")] == pytest.approx(0.75)
    assert found.debt_financed[place("dollar")] == pytest.approx(30.0 / 70.0)
    assert found.layers[place("bridged")] == pytest.approx(5.0)
    assert found.gap[place("bridged")] == pytest.approx(1.0), "claimed to be worth twice what is behind it"
    assert not found.looped.any() and not found.loops


def test_trust_on_every_path() -> None:
    found = trust(_stack())
    assert found.on_every_path("bridged") == ("bridge:Span", "curator:Alpha", "issuer:Lido", "oracle:rate")
    assert found.on_every_path("dollar") == ("custodian:Bank", "issuer:Mint")
    assert found.of("dollar")["issuer:Lido"] == pytest.approx(0.25)
    paths = found.paths("dollar")
    assert [path.tokens for path in paths] == [("dollar",), ("dollar", "vault", "wstETH", "stETH", "ETH")]
    assert [path.share for path in paths] == pytest.approx([0.75, 0.25])
    assert paths[1].domains == ("issuer:Mint", "custodian:Bank", "curator:Alpha", "oracle:rate", "issuer:Lido")
    assert paths[1].wraps == 4
    assert found.exposure("issuer:Lido") == pytest.approx(1000.0 + 500.0 + 100.0 + 25.0 + 10.0)
    assert found.exposure("issuer:Nobody") == 0.0


@settings(max_examples=20)
@given(seeds)
def test_a_domains_share_is_what_its_failure_costs(seed: int) -> None:
    """Without pars and debts: taking a domain's tokens to nothing takes that share off every token."""
    random = np.random.default_rng(seed)
    shaped = _random(seed, 8)
    names, rows = shaped.names, list(zip(*_triples(shaped), strict=True))
    assets = dict(zip(names, (shaped.real_assets + 0.1).tolist(), strict=True))
    marked = random.random(8) < 0.3
    domains = {name: ["custodian:x"] for name, mark in zip(names, marked.tolist(), strict=True) if mark}
    whole = composition(assets, [(names[i], names[j], x) for i, j, x in rows], domains=domains)
    found = look_through(whole)
    failed = look_through(
        composition(
            {name: 0.0 if name in domains else amount for name, amount in assets.items()},
            [(names[i], names[j], x) for i, j, x in rows if not marked[i]],
        )
    )
    shares = trust(found).shares
    lost = 1.0 - failed.value / found.value
    assert (shares[0] if len(shares) else np.zeros(8)) == pytest.approx(lost, abs=1e-9)


def test_a_self_holding_and_a_larger_circle_are_named() -> None:
    rows = [("a", "b", 0.3), ("b", "c", 0.3), ("c", "a", 0.3), ("b", "a", 0.2), ("s", "s", 0.5), ("top", "a", 0.1)]
    found = look_through(composition({"a": 10.0, "b": 5.0, "c": 0.0, "s": 4.0, "top": 1.0}, rows))
    assert sorted(len(loop.tokens) for loop in found.loops) == [1, 2]
    (own,) = [loop for loop in found.loops if len(loop.members) == 1]
    assert str(own) == "s → s" and own.multiple == pytest.approx(2.0)
    (circle,) = [loop for loop in found.loops if len(loop.members) == 3]
    assert set(circle.members) == {"a", "b", "c"} and set(circle.tokens) == {"a", "b"}
    assert found.looped.tolist() == [True, True, True, True, True], "top stands on a circle too"


def test_what_stands_behind_nobody_knows() -> None:
    rows = [("vault", "opaque", 0.5), ("outer", "vault", 1.0)]
    without_claim = look_through(composition({"opaque": None, "vault": 50.0, "outer": 0.0}, rows))
    assert np.isnan(without_claim.known[1:]).all(), "what is held has no weight at all: no share can be told"
    assert not without_claim.evidence("outer").sufficient
    assert without_claim.evidence("outer").missing == ("real assets of opaque",)
    claimed = look_through(composition({"opaque": None, "vault": 50.0, "outer": 0.0}, rows, claimed={"opaque": 100.0}))
    assert claimed.known.tolist() == pytest.approx([0.0, 0.5, 0.5])
    assert look_through(composition({"plain": 1.0})).evidence("plain").sufficient


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (({},), "the composition is empty"),
        (({"a": 1.0}, [("a", "b", 0.5)]), "holding 1: b is not one of the 1 tokens"),
        (({"a": 1.0, "b": 1.0}, [("a", "b", 1.5)]), "holding 1: a holds 1.5 of b; expected a share of 0 to 1"),
        (({"a": 1.0, "b": 1.0}, [("a", "b", float("nan"))]), "holding 1: a holds nan of b"),
        (({"a": 1.0, "b": 1.0, "c": 1.0}, [("a", "b", 0.7), ("c", "b", 0.7)]), "1.4 times the whole of b is held by others"),
        (({"a": -1.0},), "real assets of a is -1"),
        (({"a": float("nan")},), "real assets of a is nan"),
    ],
)
def test_bad_compositions_are_refused(arguments: tuple[object, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        composition(*arguments)  # type: ignore[arg-type]


def test_tokens_that_nobody_outside_holds_have_no_value_to_tell() -> None:
    with pytest.raises(InputError, match="a, b hold the whole of one another"):
        look_through(composition({"a": 1.0, "b": 1.0}, [("a", "b", 1.0), ("b", "a", 1.0)]))
    with pytest.raises(InputError, match="x is not one of the 1 tokens"):
        look_through(composition({"a": 1.0})).evidence("x")


@needs_vectors
@pytest.mark.parametrize("name", ["loop-0.9-5", "loop-0.93-10"])
def test_looped_borrowing_is_recognised(name: str) -> None:
    given_values, expected = case(name)
    ltv, turns = given_values["ltv"], given_values["loops"]
    leverage = loop_leverage(ltv, turns)
    assert leverage == pytest.approx(number(expected["leverage"]), rel=EXACT)
    wallets = [
        ({"wstETH": leverage}, {"ETH": leverage - 1.0}),
        ({"wstETH": 3.0, "BTC": 5.0}, {"ETH": 1.0}),
        ({"wstETH": 3.0}, {"BTC": 1.0}),
        ({"wstETH": 3.0}, {}),
    ]
    book = small_book(wallets, {"wstETH": 1.0, "ETH": 1.0, "BTC": 1.0}, threshold=ltv, rule=WHOLE)
    found = looped_accounts(book, np.array([1, 1, 2]))
    assert found.underlying.tolist() == [1, -1, -1, -1]
    assert found.collateral[0] == pytest.approx(number(expected["collateral"]), rel=EXACT)
    assert found.debt[0] == pytest.approx(number(expected["debt"]), rel=EXACT)
    assert found.leverage[0] == pytest.approx(leverage, rel=EXACT)
    assert found.turns[0] == pytest.approx(turns, rel=1e-9)
    assert (found.gross, found.real) == pytest.approx((leverage, 1.0))


@needs_vectors
def test_how_far_a_loop_is_from_liquidation() -> None:
    given_values, expected = case("loop-distance")
    ltv = given_values["ltv_now"]
    book = small_book([({"wstETH": 1.0}, {"ETH": ltv})], {"wstETH": 1.0, "ETH": 1.0}, threshold=given_values["liq_threshold"])
    found = looped_accounts(book, np.array([1, 1]))
    assert found.drop[0] == pytest.approx(expected["max_collateral_drop_before_liquidation"], rel=EXACT)
    assert found.leverage[0] == pytest.approx(expected["leverage"], rel=EXACT)
    assert found.equity_lost[0] == pytest.approx(expected["equity_loss_at_liquidation"], rel=EXACT)
    with pytest.raises(InputError, match="underlyings are given for 1 of 6 assets"):
        looped_accounts(random_book(1), np.array([0]))
