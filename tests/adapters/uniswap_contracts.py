"""Uniswap in Python: position managers, pools and pairs of a scripted chain, for the adapters to read."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from eth_abi.abi import encode
from eth_hash.auto import keccak

from adapters.uniswap_v2.maths import PairState
from adapters.uniswap_v2.pairs import pair_of
from aggregator.model.identifiers import ZERO_ADDRESS, Address, evm_chain
from aggregator.model.outcome import Outcome, Value
from aggregator.model.snapshot import Block
from aggregator.reading.adapter import Adapter, Holdings, Memory
from aggregator.reading.catalogue import adapters
from aggregator.reading.concentrated import Pair, fee_growth_inside
from aggregator.reading.kit import scope_of
from aggregator.reading.reads import KeccakRequest, Log, Request, Word, word_value
from tests.adapters.scripted import Chain, Contract, Reverts, RoundReads, text, token, topic

CHAIN = evm_chain(1)
OWNER, OTHER = (Address("0x" + digit * 40) for digit in "12")
USDC = Address("0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48")
WETH = Address("0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2")
NOTHING = Pair(0, 0)
BLOCK = Block(25_000_000, "0x" + "ab" * 32, 1_700_000_000)


class HashingChain(Chain):
    """A scripted chain that hashes, for ids that are hashes of answers."""

    def answer(self, request: Request) -> Outcome[Any]:
        if isinstance(request, KeccakRequest):
            return Value(keccak(b"".join(_bytes_of(piece) for piece in request.pieces)))
        return super().answer(request)


def _bytes_of(piece: bytes | Word) -> bytes:
    if isinstance(piece, bytes):
        return piece
    value = word_value(piece)
    assert value is not None
    return value.to_bytes(32, "big")


def adapter_of(slug: str) -> Adapter:
    return next(adapter for adapter in adapters() if adapter.slug == slug)


@dataclass
class Scene:
    """One adapter on a scripted chain. `memory` carries over between reads where a test passes it on."""

    slug: str
    chain: HashingChain = field(default_factory=HashingChain)

    def contract(self, role: str) -> Address:
        return adapter_of(self.slug).manifest.deployments[CHAIN][0].contracts[role]

    async def read(
        self, *owners: Address, block: Block = BLOCK, memory: Memory | None = None, discover: bool = False
    ) -> tuple[Holdings, RoundReads]:
        adapter = adapter_of(self.slug)
        reads = RoundReads(self.chain, block)
        deployment = adapter.manifest.deployments[CHAIN][0]
        scope = scope_of(adapter, CHAIN, deployment, reads, owners or (OWNER,), memory=memory, discover=discover)
        return await adapter.read(scope), reads


@dataclass
class PoolState:
    """A pool's price, tick and fee growth."""

    sqrt_price: int = 1 << 96
    tick: int = 0
    growth: Pair = NOTHING
    outside: dict[int, Pair] = field(default_factory=dict)

    def at(self, tick: int) -> Pair:
        return self.outside.get(tick, NOTHING)

    def inside(self, lower: int, upper: int) -> Pair:
        return fee_growth_inside(self.tick, lower, upper, self.growth, self.at(lower), self.at(upper))

    def contract(self) -> Contract:
        """The pool of v3 with this state, as the state changes."""
        return Contract(
            {
                "slot0()(uint160,int24,uint16,uint16,uint16,uint8,bool)": lambda: (self.sqrt_price, self.tick, 0, 1, 1, 0, True),
                "feeGrowthGlobal0X128()(uint256)": lambda: self.growth.token0,
                "feeGrowthGlobal1X128()(uint256)": lambda: self.growth.token1,
                "ticks(int24)(uint128,int128,uint256,uint256,int56,uint160,uint32,bool)": lambda tick: (
                    1,
                    1,
                    *self.at(tick),
                    0,
                    0,
                    0,
                    True,
                ),
            }
        )


@dataclass
class Nft:
    """A position NFT: what the managers of v3 and v4 know of it."""

    owner: Address
    lower: int
    upper: int
    liquidity: int
    last: Pair = NOTHING
    owed: Pair = NOTHING
    tokens: tuple[Address, Address] = (USDC, WETH)
    fee: int = 500
    spacing: int = 10
    hooks: Address = ZERO_ADDRESS

    @property
    def pool_id(self) -> bytes:
        return keccak(encode(["address", "address", "uint24", "int24", "address"], [*self.tokens, self.fee, self.spacing, self.hooks]))

    @property
    def info(self) -> int:
        lower, upper = self.lower & 0xFFFFFF, self.upper & 0xFFFFFF
        return int.from_bytes(self.pool_id[:25], "big") << 56 | upper << 32 | lower << 8 | 1


class V3Scene(Scene):
    """The position manager of v3, its factory and pools by (token0, token1, fee)."""

    def __init__(self) -> None:
        super().__init__("uniswap-v3")
        self.nfts: dict[int, Nft] = {}
        self.pools: dict[tuple[Address, Address, int], PoolState] = {}
        self.manager = Contract(
            {
                "balanceOf(address)(uint256)": lambda owner: len(self._ids(owner)),
                "tokenOfOwnerByIndex(address,uint256)(uint256)": self._by_index,
                "positions(uint256)"
                "(uint96,address,address,address,uint24,int24,int24,uint128,uint256,uint256,uint128,uint128)": self._position,
            }
        )
        self.chain.contracts[self.contract("position_manager")] = self.manager
        self.chain.contracts[self.contract("factory")] = Contract({"getPool(address,address,uint24)(address)": self._pool})

    def add(self, token_id: int, nft: Nft) -> PoolState:
        """Put an NFT there; gives its pool's state, which may be changed."""
        self.nfts[token_id] = nft
        key = (*nft.tokens, nft.fee)
        state = self.pools.setdefault(key, PoolState())
        self.chain.contracts.setdefault(self._pool(*key), state.contract())
        return state

    def _ids(self, owner: str) -> list[int]:
        return [token_id for token_id, nft in self.nfts.items() if nft.owner == owner]

    def _by_index(self, owner: str, index: int) -> int:
        if index >= len(self._ids(owner)):
            raise Reverts
        return self._ids(owner)[index]

    def _position(self, token_id: int) -> tuple[object, ...]:
        nft = self.nfts[token_id]
        return (0, ZERO_ADDRESS, *nft.tokens, nft.fee, nft.lower, nft.upper, nft.liquidity, *nft.last, *nft.owed)

    def _pool(self, token0: str, token1: str, fee: int) -> Address:
        known = (token0, token1, fee) in self.pools
        return Address("0x" + keccak(f"{token0}{token1}{fee}".encode())[12:].hex()) if known else ZERO_ADDRESS


class V4Scene(Scene):
    """The position manager and state view of v4, and the logs of its NFTs."""

    def __init__(self) -> None:
        super().__init__("uniswap-v4")
        self.nfts: dict[int, Nft] = {}
        self.pools: dict[bytes, PoolState] = {}
        self.manager = Contract(
            {
                "balanceOf(address)(uint256)": lambda owner: sum(nft.owner == owner for nft in self.nfts.values()),
                "ownerOf(uint256)(address)": self._owner,
                "getPoolAndPositionInfo(uint256)(address,address,uint24,int24,address,uint256)": self._info,
            }
        )
        self.view = Contract(
            {
                "getSlot0(bytes32)(uint160,int24,uint24,uint24)": lambda pool: (self._state(pool).sqrt_price, self._state(pool).tick, 0, 0),
                "getFeeGrowthInside(bytes32,int24,int24)(uint256,uint256)": lambda pool, low, up: self._state(pool).inside(low, up),
                "getPositionInfo(bytes32,address,int24,int24,bytes32)(uint128,uint256,uint256)": self._position,
            }
        )
        self.chain.contracts[self.contract("position_manager")] = self.manager
        self.chain.contracts[self.contract("state_view")] = self.view

    def add(self, token_id: int, nft: Nft, block: int = 22_000_000) -> PoolState:
        """Mint an NFT, with the log that tells of it; gives its pool's state, which may be changed."""
        self.nfts[token_id] = nft
        self.tell(token_id, nft.owner, block)
        return self.pools.setdefault(nft.pool_id, PoolState())

    def tell(self, token_id: int, receiver: Address, block: int) -> None:
        """The log of a transfer."""
        transfer = "0x" + keccak(b"Transfer(address,address,uint256)").hex()
        topics = (transfer, topic(ZERO_ADDRESS), topic(receiver), f"0x{token_id:064x}")
        self.chain.logs.append(Log(self.contract("position_manager"), topics, b"", block, token_id))

    def _owner(self, token_id: int) -> Address:
        if token_id not in self.nfts:
            raise Reverts
        return self.nfts[token_id].owner

    def _info(self, token_id: int) -> tuple[object, ...]:
        nft = self.nfts.get(token_id)
        if nft is None:
            return (ZERO_ADDRESS, ZERO_ADDRESS, 0, 0, ZERO_ADDRESS, 0)
        return (*nft.tokens, nft.fee, nft.spacing, nft.hooks, nft.info)

    def _state(self, pool: bytes) -> PoolState:
        return self.pools.get(pool, PoolState())

    def _position(self, pool: bytes, owner: str, lower: int, upper: int, salt: bytes) -> tuple[int, ...]:
        nft = self.nfts.get(int.from_bytes(salt, "big"))
        right = (
            nft is not None and owner == self.contract("position_manager") and (pool, lower, upper) == (nft.pool_id, nft.lower, nft.upper)
        )
        return (nft.liquidity, *nft.last) if right and nft is not None else (0, 0, 0)


@dataclass
class ScriptedPair:
    """A pair's state and balances."""

    tokens: tuple[Address, Address]
    state: PairState
    balances: dict[Address, int]


class V2Scene(Scene):
    """The factory of v2 and its pairs, at the addresses that follow from their tokens, and the tokens' balances of the pairs."""

    def __init__(self) -> None:
        super().__init__("uniswap-v2")
        self.fee_to = ZERO_ADDRESS
        self.pairs: dict[Address, ScriptedPair] = {}
        self.factory = Contract(
            {
                "feeTo()(address)": lambda: self.fee_to,
                "getPair(address,address)(address)": lambda one, other: (
                    self.pair(one, other) if self._is_pair(one, other) else ZERO_ADDRESS
                ),
            }
        )
        self.chain.contracts[self.contract("factory")] = self.factory

    def pair(self, one: str, other: str) -> Address:
        """Address of the pair of two tokens, there or not."""
        parameters = adapter_of(self.slug).manifest.deployments[CHAIN][0].parameters
        init_code_hash = bytes.fromhex(str(parameters["init_code_hash"])[2:])
        return pair_of(self.contract("factory"), init_code_hash, Address(one), Address(other)).address

    def add(self, one: Address, other: Address, state: PairState, balances: dict[Address, int]) -> ScriptedPair:
        """Create a pair; tokens that are not there yet come into being with it."""
        token0, token1 = sorted((one, other))
        address = self.pair(token0, token1)
        made = self.pairs[address] = ScriptedPair((token0, token1), state, balances)
        self.chain.contracts[address] = Contract(
            {
                "balanceOf(address)(uint256)": lambda owner: made.balances.get(owner, 0),
                "totalSupply()(uint256)": lambda: made.state.supply,
                "getReserves()(uint112,uint112,uint32)": lambda: (made.state.reserve0, made.state.reserve1, 0),
                "kLast()(uint256)": lambda: made.state.k_last,
                "token0()(address)": token0,
                "token1()(address)": token1,
                "factory()(address)": self.contract("factory"),
                "symbol()()": text("UNI-V2"),
                "decimals()(uint8)": 18,
            }
        )
        for one in (token0, token1):
            contract = self.chain.contracts.setdefault(one, token("ODD", 9))
            contract.put("balanceOf(address)(uint256)", partial(self._held, one))
        return made

    def tell(self, token_address: Address, receiver: Address, block: int, topics: int = 3) -> None:
        """The log of a transfer of a token, or of an NFT where it has four topics."""
        transfer = "0x" + keccak(b"Transfer(address,address,uint256)").hex()
        known = (transfer, topic(ZERO_ADDRESS), topic(receiver), f"0x{7:064x}")
        self.chain.logs.append(Log(token_address, known[:topics], b"" if topics == 4 else bytes(32), block, len(self.chain.logs)))

    def _held(self, one: Address, holder: str) -> int:
        pair = self.pairs.get(Address(holder))
        if pair is None or one not in pair.tokens:
            return 0
        return pair.state.balance0 if one == pair.tokens[0] else pair.state.balance1

    def _is_pair(self, one: str, other: str) -> bool:
        return self.pair(one, other) in self.pairs
