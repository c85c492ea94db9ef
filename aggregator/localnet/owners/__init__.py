"""Seeded owners: somebody for every kind of position, at the same address on every chain.

``seed`` puts them on the chains before the lived month, ``halfway`` and ``settle`` let them act in its middle and at
its end, after which each is what his story says. They are data: a ``Profile`` is a story and the parts it is made of.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aggregator.localnet.owners.borrowers import AAVE, SPARK
from aggregator.localnet.owners.combined import COMBINED
from aggregator.localnet.owners.lenders import MORPHO
from aggregator.localnet.owners.liquidity import CONCENTRATED, PAIRS, SINGLETON
from aggregator.localnet.owners.profile import Part, Profile, address_of
from aggregator.localnet.owners.savers import FUNDS, STAKING, VAULTS
from aggregator.localnet.owners.wallets import WALLETS
from aggregator.localnet.together import together
from aggregator.localnet.world import World

__all__ = ["PROFILES", "Profile", "address_of", "halfway", "seed", "settle"]

PROFILES: tuple[Profile, ...] = (
    *COMBINED,
    *WALLETS,
    *AAVE,
    *SPARK,
    *MORPHO,
    *PAIRS,
    *CONCENTRATED,
    *SINGLETON,
    *VAULTS,
    *STAKING,
    *FUNDS,
)


async def seed(world: World) -> None:
    """Give every owner what he has before the month, and record who they are."""
    world.owners = tuple(profile.owner for profile in PROFILES)
    await _each(world, lambda part, who: part.open(world, who))


async def halfway(world: World) -> None:
    """What owners do in the middle of the month."""
    await _each(world, lambda part, who: part.halfway(world, who))


async def settle(world: World) -> None:
    """Bring every owner to what his story says, at the prices that the feeds show now."""
    await _each(world, lambda part, who: part.settle(world, who))


async def _each(world: World, act: Callable[[Part, str], Awaitable[None]]) -> None:
    """Every part's turn: one after the other on a chain, the chains side by side."""

    async def one_chain(chain_id: int) -> None:
        for profile in PROFILES:
            for part in profile.parts:
                if part.chain_id == chain_id:
                    try:
                        await act(part, address_of(profile.name))
                    except Exception as error:
                        error.add_note(f"owner {profile.name}, chain {chain_id}, {part}")
                        raise

    await together(*(one_chain(chain_id) for chain_id in world.chains))
