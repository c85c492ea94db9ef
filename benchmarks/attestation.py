"""Signing scores: statements a second, beside eth-account's general EIP-712 encoder with the same key in the same run.

`python -m benchmarks.attestation [COUNT]`: hash, sign and encode COUNT statements of five chains each (default 20,000), and seal them
in one epoch with a proof for each.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import replace

from eth_account import Account

from aggregator.model.identifiers import Address
from aggregator.publish.attestation.document import attest
from aggregator.publish.attestation.epoch import seal
from aggregator.publish.attestation.signer import KeySigner
from aggregator.publish.attestation.statement import COMPLETE, ChainBlock, Domain, MarginScore
from aggregator.publish.attestation.typed_data import encode_answer, typed_data

SECRET = bytes(31) + b"\x09"
DOMAIN = Domain(1, Address("0x" + "5c" * 20))
PEER_SHARE = 50
"""the peer signs one in so many: it is that much slower"""


def statement(number: int) -> MarginScore:
    """One of many different statements."""
    return MarginScore(
        owner=Address(f"0x{number + 1:040x}"),
        score=number % 10_001,
        probability_hour=number * 10**9,
        probability_day=number * 10**10,
        probability_week=number * 10**11,
        margin_ratio=number * 10**15,
        lowest_health_factor=10**18 + number,
        coverage=COMPLETE,
        blocks=tuple(ChainBlock(chain, 20_000_000 + number, number.to_bytes(32, "big")) for chain in (1, 10, 137, 8453, 42161)),
        model="unified/1 score/1",
        parameters=bytes(32),
        snapshot=number.to_bytes(32, "big"),
        as_of=1_750_000_000,
        valid_until=1_750_000_900,
    )


async def main(count: int) -> None:
    signer, statements = KeySigner.of(SECRET), [statement(number) for number in range(count)]
    start = time.perf_counter()
    for one in statements:
        encode_answer(one, await signer.sign(DOMAIN, one))
    ours = (time.perf_counter() - start) / count

    start = time.perf_counter()
    for one in statements[: count // 10]:
        document, _ = await attest(signer, DOMAIN, one)
        document.model_dump_json(by_alias=True)
    documents = (time.perf_counter() - start) / (count // 10)

    few = statements[: max(1, count // PEER_SHARE)]
    start = time.perf_counter()
    signatures = [Account.sign_typed_data(SECRET, full_message=typed_data(DOMAIN, one)).signature for one in few]
    peer = (time.perf_counter() - start) / len(few)
    if [bytes(one) for one in signatures] != [await signer.sign(DOMAIN, one) for one in few]:
        raise SystemExit("the signatures differ")

    start = time.perf_counter()
    epoch = seal(1, [replace(one, score=1) for one in statements])
    for one in statements:
        epoch.proof(one.owner)
    sealing = time.perf_counter() - start
    print(f"hash, sign, encode  {1 / ours:10,.0f} scores/s   {peer / ours:.0f} × eth-account ({1 / peer:,.0f}/s)")
    print(f"as JSON documents   {1 / documents:10,.0f} scores/s")
    print(f"an epoch of {count:,} with every proof  {sealing * 1e3:.0f} ms")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000))
