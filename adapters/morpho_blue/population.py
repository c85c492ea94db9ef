"""All borrowers of Morpho Blue: collateral and borrow shares folded from logs, markets once for what they are worth now.

The logs carry exact amounts and shares, so nobody's position is read; each market's borrow shares must add up to the contract's own
total. Rounds: cold three (logs; the markets in use; the head), warm two. Source: morpho-org/morpho-blue `EventsLib.sol`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from adapters.erc20 import Missing, unlisted
from adapters.morpho_blue import accounts, maths
from adapters.morpho_blue.accounts import Market
from adapters.morpho_blue.surface import MarketReads, fee_recipient
from aggregator.model.book import WHOLE
from aggregator.model.identifiers import Address
from aggregator.model.outcome import Absent, Value
from aggregator.model.snapshot import Gap
from aggregator.model.units import WAD, to_decimal
from aggregator.reading.abi import Event, MalformedAnswer
from aggregator.reading.adapter import Adapter, Scope
from aggregator.reading.population import Population, PopulationLegs, PopulationMarket, PopulationReserve
from aggregator.reading.reads import Log, why

SUPPLY_COLLATERAL = Event("SupplyCollateral(bytes32 indexed,address indexed,address indexed,uint256)").topic
WITHDRAW_COLLATERAL = Event("WithdrawCollateral(bytes32 indexed,address,address indexed,address indexed,uint256)").topic
BORROW = Event("Borrow(bytes32 indexed,address,address indexed,address indexed,uint256,uint256)").topic
REPAY = Event("Repay(bytes32 indexed,address indexed,address indexed,uint256,uint256)").topic
LIQUIDATE = Event("Liquidate(bytes32 indexed,address indexed,address indexed,uint256,uint256,uint256,uint256,uint256)").topic
TOPICS = (SUPPLY_COLLATERAL, WITHDRAW_COLLATERAL, BORROW, REPAY, LIQUIDATE)

_LEDGER = "population"


@dataclass(slots=True)
class Ledger:
    """What logs up to and including block `until` say: collateral and borrow shares by market and user."""

    until: int
    collateral: dict[bytes, dict[Address, int]] = field(default_factory=dict)
    borrow_shares: dict[bytes, dict[Address, int]] = field(default_factory=dict)

    def fold(self, logs: Iterable[Log]) -> None:
        """Take further logs, in the chain's order. MalformedAnswer for one that the contract cannot have written."""
        for log in logs:
            if len(log.topics) != 4 or len(log.data) % 32:
                raise MalformedAnswer(f"a log of {log.address} has another shape")
            market, words = (
                bytes.fromhex(log.topics[1][2:]),
                [int.from_bytes(log.data[i : i + 32], "big") for i in range(0, len(log.data), 32)],
            )
            topic = log.topics[0]
            # the borrower stands third where the caller is indexed before it, else second
            user = Address("0x" + log.topics[2 if topic in (WITHDRAW_COLLATERAL, BORROW) else 3][-40:])
            if topic == SUPPLY_COLLATERAL:
                _add(self.collateral, market, user, words[0])
            elif topic == WITHDRAW_COLLATERAL:
                _add(self.collateral, market, user, -words[1])
            elif topic == BORROW:
                _add(self.borrow_shares, market, user, words[2])
            elif topic == REPAY:
                _add(self.borrow_shares, market, user, -words[1])
            elif topic == LIQUIDATE:
                _, repaid_shares, seized, _, bad_shares = words
                _add(self.borrow_shares, market, user, -repaid_shares - bad_shares)
                _add(self.collateral, market, user, -seized)

    def markets(self) -> set[bytes]:
        """Markets with anybody in them."""
        return {market for side in (self.collateral, self.borrow_shares) for market, users in side.items() if users}


def _add(side: dict[bytes, dict[Address, int]], market: bytes, user: Address, amount: int) -> None:
    users = side.setdefault(market, {})
    held = users.get(user, 0) + amount
    if held < 0:
        raise MalformedAnswer(f"{user} gave more than it had in market 0x{market.hex()}")
    if held:
        users[user] = held
    else:
        users.pop(user, None)


async def read_population(adapter: Adapter, scope: Scope) -> Population:
    """Everybody who has collateral or debt in any market."""
    morpho, missing = scope.contract("morpho"), Missing()
    ledger = scope.memory.recall(_LEDGER, Ledger)
    if ledger is not None and ledger.until > scope.block.number:
        ledger = None
    scope.memory.keep(_LEDGER, None)  # until all of it has been folded
    deployed = scope.deployment.deployed_at or 0
    start = deployed if deployed <= scope.block.number else 0  # a shorter chain is another network with the same contract
    since = start if ledger is None else ledger.until + 1
    present = fee_recipient(scope, morpho)
    logs_read = scope.reads.logs(morpho, [TOPICS], since)
    reads = {market: MarketReads.ask(scope, morpho, market) for market in (ledger.markets() if ledger is not None else ())}
    if isinstance(await present, Absent):
        return Population()
    logs = await logs_read
    if not isinstance(logs, Value):
        return Population(unread=(adapter.gap(scope, f"all accounts: logs since block {since}", why(logs)),))
    ledger = ledger if ledger is not None else Ledger(until=since - 1)
    try:
        ledger.fold(logs.value)
    except (MalformedAnswer, IndexError, ValueError) as error:
        return Population(unread=(adapter.gap(scope, "all accounts", str(error) or type(error).__name__),))
    ledger.until = scope.block.number
    scope.memory.keep(_LEDGER, ledger)
    wanted = sorted(ledger.markets())
    reads |= {market: MarketReads.ask(scope, morpho, market) for market in wanted if market not in reads}
    found, unread, tokens = [], [], []
    for market in wanted:
        state = await accounts.settle(scope, market, reads[market], missing)
        if state is None:
            unread.append(adapter.gap(scope, f"all accounts of market 0x{market.hex()}", "its figures could not be read"))
            continue
        found.append(_market(state, ledger, market, missing))
        tokens += [state.loan, *([state.collateral] if state.collateral is not None else [])]
        unread += _objections(adapter, scope, state, ledger, market)
    return Population(
        markets=tuple(found),
        unread=tuple(unread),
        gaps=missing.gaps(adapter, scope),
        tokens=unlisted(scope, list(dict.fromkeys(tokens))),
        facts={"logs": len(logs.value), "balances read": 0},
    )


def _objections(adapter: Adapter, scope: Scope, state: Market, ledger: Ledger, market: bytes) -> Iterable[Gap]:
    """Shares that the logs do not account for."""
    known = sum(ledger.borrow_shares.get(market, {}).values())
    if known != state.state.total_borrow_shares:
        why_not = f"logs account for {known} of {state.state.total_borrow_shares} borrow shares"
        yield adapter.gap(scope, f"all accounts of market {state.label}", why_not)


def _market(state: Market, ledger: Ledger, market: bytes, missing: Missing) -> PopulationMarket:
    collateral, shares = ledger.collateral.get(market, {}), ledger.borrow_shares.get(market, {})
    owners = tuple(dict.fromkeys((*collateral, *shares)))
    place = {user: row for row, user in enumerate(owners)}
    held, owed = PopulationLegs(), PopulationLegs()
    totals = state.state
    for user, amount in collateral.items():
        held.add(place[user], 0, amount)
    for user, share in shares.items():
        owed.add(place[user], 1, maths.to_assets_up(share, totals.total_borrow_assets, totals.total_borrow_shares))
    if state.price is None and shares:
        missing.note(f"collateral price of market {state.label} ({state.id})", state.price_missing)
    loan, pledged = state.loan, state.collateral if state.collateral is not None else state.loan
    # an oracle's price is raw loan units a raw collateral unit, scaled by 1e36
    price = None if state.price is None else to_decimal(state.price, 36 + loan.decimals - pledged.decimals)
    return PopulationMarket(
        state.id,
        state.label,
        loan.asset,
        WHOLE,
        owners,
        (
            PopulationReserve(
                pledged.asset,
                pledged.symbol,
                pledged.decimals,
                price,
                to_decimal(state.lltv, 18),
                to_decimal(maths.liquidation_incentive_factor(state.lltv) - WAD, 18),
            ),
            PopulationReserve(loan.asset, loan.symbol, loan.decimals, Decimal(1)),
        ),
        held,
        owed,
        {loan.asset: totals.total_supply_assets},
    )
