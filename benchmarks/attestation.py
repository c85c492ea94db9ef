"""Signing scores: statements a second, beside eth-account's general EIP-712 encoder with the same key in the same run.

`python -m benchmarks.attestation [COUNT]`: hash, sign and encode COUNT statements of five chains each (default 20,000), seal them in one
epoch with a proof for each, keep the epoch in a database (SQLite, or the one that CROSSMARGIN_DATABASE_URL names) and open it again.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time
from dataclasses import replace

from eth_account import Account

from aggregator.model.identifiers import Address
from aggregator.publish.attestation.document import attest
from aggregator.publish.attestation.epoch import seal
from aggregator.publish.attestation.packed import pack, unpack
from aggregator.publish.attestation.signer import KeySigner
from aggregator.publish.attestation.statement import COMPLETE, ChainBlock, Domain, MarginScore
from aggregator.publish.attestation.typed_data import encode_answer, typed_data
from aggregator.store import epochs
from aggregator.store.database import Database
from aggregator.store.epochs import EpochHead

SECRET = bytes(31) + b"\x09"
DOMAIN = Domain(1, Address("0x" + "5c" * 20))
RECENT_BLOCKS = 30
"""of each chain, that an epoch's owners stand on"""
PEER_SHARE = 50
"""the peer signs one in so many: it is that much slower"""


def statement(number: int) -> MarginScore:
    """One of many different statements."""
    chance = random.Random(number)
    return MarginScore(
        owner=Address("0x" + chance.randbytes(20).hex()),
        score=number % 10_001,
        probability_hour=chance.randrange(10**16),
        probability_day=chance.randrange(10**17),
        probability_week=chance.randrange(10**18),
        margin_ratio=chance.randrange(10**20),
        lowest_health_factor=chance.randrange(10**19),
        coverage=COMPLETE,
        blocks=tuple(_block(chain, chance.randrange(RECENT_BLOCKS)) for chain in (1, 10, 137, 8453, 42161)),
        model="unified/1 score/1",
        parameters=bytes(32),
        snapshot=chance.randbytes(32),
        as_of=1_750_000_000,
        valid_until=1_750_000_900,
    )


def _block(chain: int, number: int) -> ChainBlock:
    return ChainBlock(chain, 20_000_000 + number, random.Random(chain * RECENT_BLOCKS + number).randbytes(32))


async def keeping(statements: list[MarginScore]) -> str:
    """One epoch through the database: what it takes, in words."""
    with tempfile.TemporaryDirectory() as folder:
        url = os.environ.get("CROSSMARGIN_DATABASE_URL", f"sqlite:///{folder}/epochs.db")
        async with Database.at(url) as database:
            start = time.perf_counter()
            packed = pack(statements)
            packing = time.perf_counter()
            async with database.writing() as connection:
                last = await epochs.newest(connection)
                head = EpochHead(last.number + 1 if last else 1, "0x" + "00" * 32, len(statements), 1, 2, 3)
                await epochs.keep(connection, head, packed)
                await epochs.prune(connection, 0)
            writing = time.perf_counter()
            async with database.reading() as connection:
                kept = await epochs.load(connection, head.number)
            assert kept is not None
            loading = time.perf_counter()
            seal(1, unpack(kept[1]))
            opening = time.perf_counter()
    each = ((packing - start), (writing - packing), (loading - writing), (opening - loading))
    times = "packed {:.0f}, written {:.0f}, read {:.0f}, opened {:.0f} ms".format(*(1e3 * one for one in each))
    return f"{len(packed):,} bytes; {times}"


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
    print(f"the same kept       {await keeping(statements)}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000))
