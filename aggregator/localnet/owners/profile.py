"""What an owner is before he is put on the chains: a name, a story, and the parts that he holds."""

from __future__ import annotations

from dataclasses import dataclass

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from aggregator.localnet.world import CHAINS, Owner, World

SHOP = "0x0000000000000000000000000000000000005409"
"""Gets what owners spend."""


class Part:
    """Something that an owner does on one chain. Subclasses are frozen dataclasses with a ``chain_id``.

    ``open`` gives him what he has before the month, ``halfway`` and ``settle`` are what he does in the middle and at
    the end of it.
    """

    __slots__ = ()
    chain_id: int

    async def open(self, world: World, owner: str) -> None:
        raise NotImplementedError

    async def halfway(self, world: World, owner: str) -> None:
        """Nothing, for most."""

    async def settle(self, world: World, owner: str) -> None:
        """Nothing, for most."""


@dataclass(frozen=True, slots=True)
class Profile:
    """An owner to be: ``story`` is one sentence for people."""

    name: str
    story: str
    parts: tuple[Part, ...] = ()

    @property
    def owner(self) -> Owner:
        held = {part.chain_id for part in self.parts}
        chains = tuple(chain_id for chain_id in CHAINS if chain_id in held)
        return Owner(self.name, address_of(self.name), self.story, chains)


def address_of(name: str) -> str:
    """The owner's address, the same on every chain: the last 20 bytes of the keccak of his name."""
    return str(to_checksum_address(keccak(text=f"crossmargin owner {name}")[12:]))


async def spend(world: World, chain_id: int, owner: str, symbol: str, amount: int) -> None:
    """The owner's tokens go somewhere else. Allowed inside ``chain.block()``."""
    token = world.token(chain_id, symbol).address
    await world.chains[chain_id].send(owner, token, "transfer(address,uint256)", SHOP, amount)
