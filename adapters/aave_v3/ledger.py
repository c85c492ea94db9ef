"""Everybody's scaled balances, collateral switches and e-modes, folded from the logs of a pool and its tokens. Pure.

A `Mint` or `Burn` tells how much a balance changed besides interest, at an index. To 3.4 that change is an amount of underlying, of
which the scaled part is amount / index rounded half up. From 3.5 it is the difference of two rounded balances; because an index is
never below one ray, a rounded balance belongs to one scaled balance only, so the new one follows from the old. Transfers of supply tell
their scaled amount themselves. Sources: `protocol/tokenization/base/ScaledBalanceTokenBase.sol`, `AToken.sol`,
`protocol/libraries/helpers/TokenMath.sol`, `protocol/libraries/configuration/UserConfiguration.sol`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from adapters.aave_v3.maths import Generation
from aggregator.model.identifiers import ZERO_ADDRESS, Address
from aggregator.model.units import RAY, mul_div_down, mul_div_half_up, mul_div_up
from aggregator.reading.abi import Event, MalformedAnswer
from aggregator.reading.reads import Log

MINT = Event("Mint(address indexed,address indexed,uint256,uint256,uint256)").topic
BURN = Event("Burn(address indexed,address indexed,uint256,uint256,uint256)").topic
BALANCE_TRANSFER = Event("BalanceTransfer(address indexed,address indexed,uint256,uint256)").topic
STABLE_MINT = Event("Mint(address indexed,address indexed,uint256,uint256,uint256,uint256,uint256,uint256)").topic
COLLATERAL_ON = Event("ReserveUsedAsCollateralEnabled(address indexed,address indexed)").topic
COLLATERAL_OFF = Event("ReserveUsedAsCollateralDisabled(address indexed,address indexed)").topic
E_MODE_SET = Event("UserEModeSet(address indexed,uint8)").topic
TOPICS = (MINT, BURN, BALANCE_TRANSFER, STABLE_MINT, COLLATERAL_ON, COLLATERAL_OFF, E_MODE_SET)


class TokenRole(Enum):
    SUPPLY = "supply"
    VARIABLE = "variable"
    STABLE = "stable"


@dataclass(slots=True)
class Ledger:
    """What logs up to and including block `until` say. Scaled balances by token and user; nobody with nothing stands in it."""

    until: int
    scaled: dict[Address, dict[Address, int]] = field(default_factory=dict)
    collateral: dict[Address, set[Address]] = field(default_factory=dict)
    """users who use the reserve as collateral, by underlying"""
    e_modes: dict[Address, int] = field(default_factory=dict)
    stable: dict[Address, set[Address]] = field(default_factory=dict)
    """users who ever had a stable debt, by token: such a debt grows at its owner's own rate, so it is read where there is one"""
    doubtful: set[Address] = field(default_factory=set)
    """tokens whose logs do not add up as this generation writes them, as after an upgrade: their balances have to be read"""
    logs: int = 0
    """folded so far"""

    def fold(self, logs: Iterable[Log], pool: Address, roles: Mapping[Address, TokenRole], generation: Generation) -> None:
        """Take further logs, in the chain's order. MalformedAnswer for one that the contracts cannot have written."""
        for log in logs:
            self.logs += 1
            topic = log.topics[0]
            if log.address == pool:
                self._of_pool(topic, log)
            elif (role := roles.get(log.address)) is TokenRole.STABLE:
                if topic == STABLE_MINT:
                    self.stable.setdefault(log.address, set()).add(_address(log, 2))
            elif role is not None and topic in (MINT, BURN):
                self._change(topic, log, role, generation)
            elif role is TokenRole.SUPPLY and topic == BALANCE_TRANSFER:
                amount = _word(log, 0)
                self._add(log.address, _address(log, 1), -amount)
                self._add(log.address, _address(log, 2), amount)

    def _of_pool(self, topic: str, log: Log) -> None:
        if topic == COLLATERAL_ON:
            self.collateral.setdefault(_address(log, 1), set()).add(_address(log, 2))
        elif topic == COLLATERAL_OFF:
            self.collateral.setdefault(_address(log, 1), set()).discard(_address(log, 2))
        elif topic == E_MODE_SET:
            category = _word(log, 0)
            if category:
                self.e_modes[_address(log, 1)] = category
            else:
                self.e_modes.pop(_address(log, 1), None)

    def _change(self, topic: str, log: Log, role: TokenRole, generation: Generation) -> None:
        user = _address(log, 2 if topic == MINT else 1)
        value, increase, index = _word(log, 0), _word(log, 1), _word(log, 2)
        change = value - increase if topic == MINT else -(value + increase)
        if index < RAY:
            raise MalformedAnswer(f"an index of {index} below one ray")
        if generation < Generation.V3_5:
            self._add(log.address, user, (1 if change >= 0 else -1) * mul_div_half_up(abs(change), RAY, index))
            return
        before = self.scaled.get(log.address, {}).get(user, 0)
        after = balance(before, index, role, generation) + change
        # the inverse of the rounding in `balance`: the one scaled balance that is worth `after`
        inverse = mul_div_up if role is TokenRole.SUPPLY else mul_div_down
        self._add(log.address, user, inverse(after, RAY, index) - before)

    def _add(self, token: Address, user: Address, amount: int) -> None:
        if user == ZERO_ADDRESS or not amount:
            return
        users = self.scaled.setdefault(token, {})
        held = users.get(user, 0) + amount
        if held < 0:
            self.doubtful.add(token)
        if held > 0:
            users[user] = held
        else:
            users.pop(user, None)


def balance(scaled: int, index: int, role: TokenRole, generation: Generation) -> int:
    """What `balanceOf` says of a scaled balance: half up to 3.4; supplies down and debts up since."""
    if generation < Generation.V3_5:
        return mul_div_half_up(scaled, index, RAY)
    return (mul_div_down if role is TokenRole.SUPPLY else mul_div_up)(scaled, index, RAY)


def _address(log: Log, topic: int) -> Address:
    if len(log.topics) <= topic:
        raise MalformedAnswer(f"a log of {log.address} lacks its topic {topic}")
    return Address("0x" + log.topics[topic][-40:])


def _word(log: Log, index: int) -> int:
    if len(log.data) < 32 * (index + 1):
        raise MalformedAnswer(f"a log of {log.address} is too short")
    return int.from_bytes(log.data[32 * index : 32 * index + 32], "big")
