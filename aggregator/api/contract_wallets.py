"""When the contracts of an account prove a sign-in (ERC-1271): the rule over all chains that are read.

A session is for an address on every chain, but a contract proves its address on its own chain only: on another, somebody else may
control what stands at the same address. So wherever the address has code, the code there must accept too: the message that names
that chain, or else the first one. A chain without code at the address proves nothing and contradicts nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from aggregator.chains.account_contract import Stance, Verdict, ask_contract
from aggregator.engine.snapshot import Engine
from aggregator.model.errors import IncompleteError, InputError
from aggregator.model.identifiers import Address, ChainId

PATIENCE_SECONDS: Final = 20.0
"""for all chains together"""
_UNDEPLOYED: Final = bytes.fromhex("6492" * 16)
"""what an ERC-6492 signature ends with"""


@dataclass(frozen=True, slots=True)
class Proof:
    """One message as a contract is asked about it. `digest`: 32-byte hash of the message (EIP-191), which names `chain`."""

    chain: ChainId
    digest: bytes
    signature: bytes


def unwrapped(signature: bytes) -> bytes:
    """What a contract is asked about: of an ERC-6492 signature the one inside. The deployment beside it is never carried out.

    InputError where the wrapping is broken.
    """
    if not signature.endswith(_UNDEPLOYED):
        return signature
    try:
        _, _, inner = decode(["address", "bytes", "bytes"], signature[: -len(_UNDEPLOYED)])
    except (DecodingError, OverflowError, ValueError):
        raise InputError("the signature ends as ERC-6492 ones do and is none") from None
    return bytes(inner)


async def prove(engine: Engine, chains: Sequence[ChainId], account: Address, proofs: Sequence[Proof]) -> None:
    """Returns where the proofs, one a chain, show control of the account on all `chains`; InputError says why they do not.

    EndpointError or IncompleteError where a chain could not be asked: whether the account has a contract there is then not known.
    """
    by_chain = {proof.chain: proof for proof in proofs}
    if len(by_chain) < len(proofs):
        raise InputError("two of the messages name the same chain")
    foreign = [chain for chain in by_chain if chain not in chains]
    if foreign:
        raise InputError(f"the message names {foreign[0]}, which this service does not read; it reads {', '.join(chains)}")
    rest = tuple(chain for chain in chains if chain not in by_chain)
    # those that are named come first: without a contract there, nothing else is asked
    for asked in (tuple(by_chain), rest):
        for chain, verdict in (await _ask(engine, asked, account, by_chain, proofs[0])).items():
            _judge(chain, verdict, chain in by_chain)


async def _ask(
    engine: Engine, chains: Sequence[ChainId], account: Address, by_chain: Mapping[ChainId, Proof], otherwise: Proof
) -> dict[ChainId, Verdict]:
    """What each chain says, those first that contradict. Raises what a chain raised where none contradicts."""

    def ask(chain: ChainId, proof: Proof) -> asyncio.Future[Verdict]:
        abilities = engine.memory.of(chain).abilities
        return asyncio.ensure_future(ask_contract(engine.network.client(chain), abilities, account, proof.digest, proof.signature))

    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            found = await asyncio.gather(*(ask(chain, by_chain.get(chain, otherwise)) for chain in chains), return_exceptions=True)
    except TimeoutError:
        raise IncompleteError(f"the account's contract could not be asked within {PATIENCE_SECONDS:.0f} seconds") from None
    verdicts = {chain: one for chain, one in zip(chains, found, strict=True) if isinstance(one, Verdict)}
    against = {chain: one for chain, one in verdicts.items() if one.stance in (Stance.DELEGATED, Stance.REFUSES)}
    failed = [one for one in found if isinstance(one, BaseException)]
    if failed and not against:
        raise failed[0]
    return against | verdicts


def _judge(chain: ChainId, verdict: Verdict, named: bool) -> None:
    match verdict.stance:
        case Stance.DELEGATED:
            raise InputError(f"on {chain} the account is a key's own with delegated code (EIP-7702): sign with the key itself")
        case Stance.REFUSES if named:
            raise InputError(f"the account's contract on {chain} does not accept the signature: {verdict.why}")
        case Stance.REFUSES:
            raise InputError(
                f"on {chain} too the address has a contract, which does not accept the signature ({verdict.why}): "
                f"sign a message that names {chain} as well and send it in `others`"
            )
        case Stance.NO_CODE if named:
            raise InputError(
                f"the signature is not of the address in the message, and the address has no contract on {chain} that could accept it; "
                "a wallet that is not deployed yet (ERC-6492) cannot sign in"
            )
