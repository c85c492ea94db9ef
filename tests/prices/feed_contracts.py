"""Aggregators behind proxies, for the reader to read: rounds numbered from 1 in each phase."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from eth_abi.exceptions import DecodingError

from aggregator.model.identifiers import Address
from tests.adapters.scripted import Chain, Contract, Reverts

RoundWords = tuple[int, int, int, int, int]


class StrictContract(Contract):
    """Reverts on arguments that are not of the declared types, such as a round number below zero."""

    def call(self, data: bytes) -> bytes:
        try:
            return super().call(data)
        except DecodingError:
            raise Reverts from None


class FeedContract:
    """One feed: `phases` of (timestamp, answer), the last one current."""

    def __init__(
        self,
        phases: Sequence[Sequence[tuple[int, int]]],
        decimals: int = 8,
        bounds: tuple[int, int] | None = (1, 10**20),
    ) -> None:
        self.phases = [list(phase) for phase in phases]
        self.decimals, self.bounds = decimals, bounds

    def latest(self) -> RoundWords:
        if not self.phases or not self.phases[-1]:
            raise Reverts
        return self.round(len(self.phases) << 64 | len(self.phases[-1]))

    def round(self, round_id: int) -> RoundWords:
        phase, number = round_id >> 64, round_id & (1 << 64) - 1
        if not 1 <= phase <= len(self.phases) or not 1 <= number <= len(self.phases[phase - 1]):
            raise Reverts
        timestamp, answer = self.phases[phase - 1][number - 1]
        return round_id, answer, timestamp, timestamp, round_id

    def place(self, chain: Chain, proxy: Address) -> None:
        """Put proxy and aggregators on a scripted chain."""

        def inside(phase: int) -> Address:
            return Address(f"0x{(int(proxy, 16) << 8 | phase) % 2**160:040x}")

        def within(phase: int) -> Callable[[int], RoundWords]:
            def answer(number: int) -> RoundWords:
                _, value, started, updated, _ = self.round(phase << 64 | number)
                return number, value, started, updated, number

            return answer

        chain.contracts[proxy] = StrictContract(
            {
                "latestRoundData()(uint80,int256,uint256,uint256,uint80)": self.latest,
                "getRoundData(uint80)(uint80,int256,uint256,uint256,uint80)": self.round,
                "decimals()(uint8)": lambda: self.decimals,
                "aggregator()(address)": lambda: inside(len(self.phases)),
                "phaseAggregators(uint16)(address)": inside,
            }
        )
        for phase, rounds in enumerate(self.phases, start=1):
            contract = StrictContract(
                {
                    "getRoundData(uint80)(uint80,int256,uint256,uint256,uint80)": within(phase),
                    "latestRound()(uint256)": lambda rounds=rounds: len(rounds),
                }
            )
            if self.bounds is not None:
                contract.put("minAnswer()(int192)", self.bounds[0])
                contract.put("maxAnswer()(int192)", self.bounds[1])
            chain.contracts[inside(phase)] = contract
