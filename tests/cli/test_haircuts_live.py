"""`crossmargin haircuts` against the local network's feeds and pools, and against chains that do not answer."""

from __future__ import annotations

from typing import Any

import pytest

from aggregator.localnet.world import World
from tests.cli import live

pytestmark = pytest.mark.localnet


async def document(world: World, *words: str, rpc: dict[int, str] | None = None) -> dict[str, Any]:
    return await live.document(world, "haircuts", *words, rpc=rpc)


def by_chain(made: dict[str, Any], symbol: str) -> dict[str, dict[str, Any]]:
    return {one["chain"]: one for one in made["haircuts"] if one["symbol"] == symbol}


async def test_every_part_is_reported_and_multiplies_to_the_haircut(deployed: World) -> None:
    made = await document(deployed, "WETH", "wstETH", "USDC")
    assert made["schema"] == "crossmargin/haircuts/1"
    for one in made["haircuts"]:
        kept = 1.0
        for part in one["parts"].values():
            kept *= 1 - float(part)
        assert float(one["haircut"]) == pytest.approx(1 - kept, abs=5e-6)
        times = one["liquidation_days"]
        assert times["total"] == pytest.approx(sum(times[name] for name in ("reaction", "oracle", "inclusion", "way_out")))
        assert one["volatility"]["path_quantile"] is not None, one["notes"]
    ether, staked = by_chain(made, "WETH"), by_chain(made, "wstETH")
    assert float(staked["eip155:1"]["haircut"]) > float(ether["eip155:1"]["haircut"])
    assert float(ether["eip155:42161"]["parts"]["structure"]) > float(ether["eip155:1"]["parts"]["structure"])


async def test_size_costs_and_pools_are_read(deployed: World) -> None:
    small, large = [by_chain(await document(deployed, "WETH", "--size", size), "WETH")["eip155:1"] for size in ("1000", "100000000")]
    assert small["depth"] is not None and small["depth"]["pools"] >= 1 and small["depth"]["usd_within_edge"] > 0
    assert float(large["parts"]["liquidity"]) > float(small["parts"]["liquidity"])
    assert float(large["haircut"]) > float(small["haircut"])


async def test_implied_volatility_has_half_a_say(deployed: World) -> None:
    plain, wild = [
        by_chain(await document(deployed, "WETH", *words), "WETH")["eip155:1"]["volatility"]["path_quantile"]
        for words in ((), ("--implied", "ETH=300%"))
    ]
    assert wild == pytest.approx(0.5 * plain + 0.5 * 3.02 * 3.0 / 365**0.5, rel=1e-6)


async def test_a_chain_that_is_down_leaves_its_assets_to_their_class(deployed: World) -> None:
    made = await document(deployed, "LINK", rpc={42161: "http://127.0.0.1:1"})
    assert not made["coverage"]["complete"]
    assert [one["chain"] for one in made["snapshots"] if one["status"] == "unreachable"] == ["eip155:42161"]
    away = by_chain(made, "LINK")["eip155:42161"]
    assert away["price_age_seconds"] is None or away["depth"] is None
    assert "pools were not told: volume of the class only" in away["notes"]
    assert float(away["haircut"]) >= float(by_chain(made, "LINK")["eip155:1"]["haircut"])


async def test_a_caip_19_id_names_any_token_and_an_unlisted_one_is_cut_hard(deployed: World) -> None:
    made = await document(deployed, "eip155:1/erc20:0x00000000000000000000000000000000000000aa", "eip155:1/slip44:60")
    unlisted, native = made["haircuts"]
    assert float(unlisted["haircut"]) > 0.5 and any("not listed" in note for note in unlisted["notes"])
    assert native["symbol"] == "ETH" and native["depth"] is not None


async def test_without_a_name_every_listed_token_is_shown(deployed: World) -> None:
    code, out, err = await live.crossmargin(deployed, "haircuts", columns=100)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 100
    assert sum(line.startswith("WETH ") for line in lines) == 3
    assert "Not known, so taken to be worse" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("NOSUCH",), "no token of that name is listed"),
        (("eip155:1/erc721:0x00",), "expected a symbol or a CAIP-19 id"),
        (("WETH", "--size", "-5"), "--size: '-5' is not a number of dollars from a cent to a trillion"),
        (("WETH", "--implied", "ETH=lots"), "expected FACTOR=VOL"),
        (("WETH", "--history", "x.csv"), "belong to `crossmargin haircuts backtest`"),
    ],
)
async def test_bad_input_is_one_line(deployed: World, words: tuple[str, ...], message: str) -> None:
    code, out, err = await live.crossmargin(deployed, "haircuts", *words, columns=100)
    assert (code, out, err.count("\n")) == (2, "", 1) and message in err
