"""Reading feeds: one round, whatever the chain answers; structure is read once and prices every time."""

from __future__ import annotations

from decimal import Decimal

from aggregator.model.identifiers import Address, ChainId
from aggregator.model.outcome import Outcome, Reason, Unknown
from aggregator.model.price import PriceQuality
from aggregator.prices.answers import FeedAnswer, FeedAnswers
from aggregator.prices.feeds import ChainFeeds, FeedKind, FeedShape, SequencerFeed, chain_feeds
from aggregator.prices.reader import PriceReader
from aggregator.reading.kit import ScriptedReads, not_deployed, unreachable
from aggregator.reading.reads import Request
from aggregator.reading.registry import registry
from tests.adapters.scripted import Chain, Contract, RoundReads
from tests.prices.feed_contracts import FeedContract
from tests.prices.kit import ARBITRUM, ETHEREUM, NOW, address, block, feed

ETH_FEED = feed("ETH", number=0xE1)
STETH_FEED = feed("stETH", "ETH", number=0xE2)
UPTIME = address(0x5E0)


def reader(*feeds: object, chain: ChainId = ETHEREUM, sequencer: Address | None = None) -> PriceReader:
    uptime = SequencerFeed(address=sequencer, grace_seconds=3_600, source="test") if sequencer is not None else None
    return PriceReader(chain, ChainFeeds(chain=chain, sequencer=uptime, feeds=feeds or (ETH_FEED, STETH_FEED)))  # type: ignore[arg-type]


def placed(**contracts: FeedContract) -> Chain:
    chain = Chain()
    for name, contract in contracts.items():
        contract.place(chain, {"eth": ETH_FEED, "steth": STETH_FEED}[name].address)
    return chain


def of(answers: FeedAnswers, base: str) -> FeedAnswer:
    return next(answer for answer in answers.feeds if answer.feed.base == base)


async def test_all_feeds_in_one_round() -> None:
    chain = placed(
        eth=FeedContract([[(NOW - 9_000, 1)], [(NOW - 60, 2_500 * 10**8)]]),
        steth=FeedContract([[(NOW - 90, 998 * 10**15)]], decimals=18, bounds=None),
    )
    reads = RoundReads(chain, block())
    answers = await reader().read_feeds(reads)
    eth, steth = of(answers, "ETH"), of(answers, "stETH")
    assert reads.rounds == 1
    assert eth.estimate is not None and steth.estimate is not None
    assert (eth.estimate.value, eth.estimate.age_seconds, eth.estimate.quality) == (Decimal(2500), 60, PriceQuality.FRESH)
    assert eth.round is not None and eth.round.round_id == 2 << 64 | 1
    assert steth.estimate.value == Decimal("0.998")
    assert answers.gaps == ()


async def test_structure_is_read_once_and_again_after_a_new_phase() -> None:
    contract = FeedContract([[(NOW - 60, 2_500 * 10**8)]], bounds=(1, 2_600 * 10**8))
    chain = placed(eth=contract)
    prices = reader(ETH_FEED)
    await prices.read_feeds(RoundReads(chain, block()))
    cold, chain.calls = chain.calls, 0
    contract.phases[0].append((NOW - 30, 2_600 * 10**8))
    warm = await prices.read_feeds(RoundReads(chain, block()))
    assert chain.calls == 1 < cold
    bounded = of(warm, "ETH").estimate
    assert bounded is not None and bounded.quality is PriceQuality.BOUNDED
    contract.phases.append([(NOW - 10, 2_600 * 10**8)])
    contract.bounds = (1, 10**20)
    contract.place(chain, ETH_FEED.address)
    for calls in (cold, 1):
        chain.calls = 0
        switched = of(await prices.read_feeds(RoundReads(chain, block())), "ETH").estimate
        assert switched is not None and switched.quality is PriceQuality.FRESH
        assert chain.calls == calls


async def test_a_feed_without_code_is_no_gap_and_an_unreadable_one_is() -> None:
    chain = Chain(contracts={STETH_FEED.address: Contract()})
    answers = await reader().read_feeds(RoundReads(chain, block()))
    assert not of(answers, "ETH").deployed and of(answers, "ETH").estimate is None
    assert of(answers, "stETH").deployed
    assert [(gap.protocol, gap.what, gap.why) for gap in answers.gaps] == [("prices", f"feed {STETH_FEED.label}", "reverted")]


async def test_decimals_that_cannot_be_read_leave_no_price() -> None:
    contract = FeedContract([[(NOW, 10**8)]])
    chain = placed(eth=contract)
    chain.contracts[ETH_FEED.address].put("decimals()(uint8)", 300)
    chain.contracts[ETH_FEED.address] = Contract({"latestRoundData()(uint80,int256,uint256,uint256,uint80)": contract.latest})
    answer = of(await reader(ETH_FEED).read_feeds(RoundReads(chain, block())), "ETH")
    assert answer.estimate is None and "decimals" in answer.reason


async def test_the_sequencer_is_read_with_them() -> None:
    chain = placed(eth=FeedContract([[(NOW - 60, 2_500 * 10**8)]]))
    chain.contracts[UPTIME] = Contract({"latestRoundData()(uint80,int256,uint256,uint256,uint80)": (1, 1, NOW - 9_000, NOW, 1)})
    reads = RoundReads(chain, block(), ARBITRUM)
    answers = await reader(ETH_FEED, chain=ARBITRUM, sequencer=UPTIME).read_feeds(reads)
    estimate = of(answers, "ETH").estimate
    assert reads.rounds == 1 and answers.sequencer.trouble == "the sequencer is down"
    assert estimate is not None and estimate.quality is PriceQuality.STALE


async def test_issuers_own_prices() -> None:
    dated = feed("OUSG", number=1, kind=FeedKind.NAV, shape=FeedShape.PRICE_DATA, deviation="0", heartbeat=86_400)
    asset = address(99)
    undated = dated.model_copy(update={"address": address(2), "shape": FeedShape.ASSET_PRICE, "asset": asset})
    chain = Chain(
        contracts={
            dated.address: Contract({"getPriceData()(uint256,uint256)": (113 * 10**18, NOW - 40 * 86_400)}),
            undated.address: Contract({"getAssetPrice(address)(uint256)": lambda token: 114 * 10**18 if token == asset else 0}),
        }
    )
    first, second = (await reader(dated, undated).read_feeds(RoundReads(chain, block()))).feeds
    assert first.estimate is not None and first.estimate.quality is PriceQuality.STALE
    assert second.estimate is not None and (second.estimate.value, second.estimate.age_seconds) == (Decimal(114), None)
    assert second.estimate.quality is PriceQuality.FRESH


async def test_the_shipped_feeds_of_every_chain_under_silence_and_absence() -> None:
    for chain in registry().chains:
        prices = PriceReader(chain)
        absent = await prices.read_feeds(ScriptedReads(chain, not_deployed))
        assert len(absent.feeds) == len(chain_feeds(chain).feeds) and absent.gaps == ()
        silent = await prices.read_feeds(ScriptedReads(chain, unreachable))
        assert all(answer.estimate is None for answer in silent.feeds)
        assert len(silent.gaps) <= 3 and silent.gaps[0].why.startswith("endpoint")
        assert silent.sequencer.unknown or chain_feeds(chain).sequencer is None


async def test_bounds_that_no_endpoint_gave_are_asked_for_again() -> None:
    contract = FeedContract([[(NOW - 60, 10**8)]], bounds=(10**8, 10**12))
    chain = placed(eth=contract)
    prices = reader(ETH_FEED)

    def without_bounds(request: Request) -> Outcome[object]:
        answer = chain.answer(request)
        pieces = getattr(request, "pieces", (b"",))
        # minAnswer() and maxAnswer() get lost on the way
        lost = pieces[0] in (bytes.fromhex("22adbc78"), bytes.fromhex("70da2f67"))
        return Unknown(Reason.ENDPOINT, "lost") if lost else answer

    first = of(await prices.read_feeds(ScriptedReads(ETHEREUM, without_bounds, block())), "ETH").estimate
    assert first is not None and first.quality is PriceQuality.FRESH
    second = of(await prices.read_feeds(RoundReads(chain, block())), "ETH").estimate
    assert second is not None and second.quality is PriceQuality.BOUNDED
