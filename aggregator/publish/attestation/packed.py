"""Many statements as few bytes: how an epoch is kept, so that its proofs can be given again.

Everything is big-endian. What statements share is written once: blocks, model names and parameters stand in tables, statements refer to
them. The whole is deflated. A version byte leads, so that what an older release wrote is known as such.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Hashable, Iterable, Sequence
from struct import Struct
from typing import Final, TypeVar

from aggregator.model.identifiers import Address
from aggregator.publish.attestation.statement import ChainBlock, MarginScore, StatementError

T = TypeVar("T", bound=Hashable)

VERSION: Final = 1
_LEVEL: Final = 1
"""of deflate: the rest is hashes, on which more effort gains nothing"""
_TABLES: Final = Struct(">IHHI")
"""how many blocks, models, parameters and statements follow"""
_BLOCK: Final = Struct(">QQ32s")
_MODEL: Final = Struct(">H")
_SCORE: Final = Struct(">20sHQQQ32s32sHHH32sQQH")
"""owner, score, three probabilities, ratio, health, coverage, model, parameters, snapshot, as of, valid until, how many blocks"""


class PackedError(ValueError):
    """These bytes are no packed statements."""


def pack(scores: Sequence[MarginScore]) -> bytes:
    """The statements in their order."""
    blocks = _numbered(block for score in scores for block in score.blocks)
    models = _numbered(score.model for score in scores)
    parameters = _numbered(score.parameters for score in scores)
    parts = [_TABLES.pack(len(blocks), len(models), len(parameters), len(scores))]
    parts += [_BLOCK.pack(block.chain_id, block.number, block.hash) for block in blocks]
    for model in models:
        text = model.encode()
        parts += [_MODEL.pack(len(text)), text]
    parts += parameters
    for one in scores:
        parts.append(
            _SCORE.pack(
                bytes.fromhex(one.owner[2:]),
                one.score,
                *(one.probability_hour, one.probability_day, one.probability_week),
                *(value.to_bytes(32, "big", signed=True) for value in (one.margin_ratio, one.lowest_health_factor)),
                *(one.coverage, models[one.model], parameters[one.parameters], one.snapshot, one.as_of, one.valid_until),
                len(one.blocks),
            )
        )
        parts += [blocks[block].to_bytes(4, "big") for block in one.blocks]
    return bytes([VERSION]) + zlib.compress(b"".join(parts), _LEVEL)


def unpack(packed: bytes) -> tuple[MarginScore, ...]:
    """The statements that `pack` was given. Raises PackedError for anything else."""
    if packed[:1] != bytes([VERSION]):
        raise PackedError("packed by another version")
    try:
        return _read(zlib.decompress(packed[1:]))
    except (zlib.error, struct.error, IndexError, UnicodeDecodeError, StatementError) as error:
        raise PackedError(f"not what was packed: {error}") from None


def _read(raw: bytes) -> tuple[MarginScore, ...]:
    block_count, model_count, parameter_count, score_count = _TABLES.unpack_from(raw)
    at = _TABLES.size
    blocks = []
    for _ in range(block_count):
        blocks.append(ChainBlock(*_BLOCK.unpack_from(raw, at)))
        at += _BLOCK.size
    models = []
    for _ in range(model_count):
        (size,) = _MODEL.unpack_from(raw, at)
        at += _MODEL.size + size
        models.append(raw[at - size : at].decode())
    parameters = [raw[at + 32 * number : at + 32 * (number + 1)] for number in range(parameter_count)]
    at += 32 * parameter_count
    scores = []
    for _ in range(score_count):
        owner, score, hour, day, week, ratio, health, coverage, model, parameter, snapshot, as_of, until, size = _SCORE.unpack_from(raw, at)
        at += _SCORE.size
        standing = tuple(blocks[int.from_bytes(raw[place : place + 4], "big")] for place in range(at, at + 4 * size, 4))
        at += 4 * size
        scores.append(
            MarginScore(
                owner=Address("0x" + owner.hex()),
                score=score,
                probability_hour=hour,
                probability_day=day,
                probability_week=week,
                margin_ratio=int.from_bytes(ratio, "big", signed=True),
                lowest_health_factor=int.from_bytes(health, "big", signed=True),
                coverage=coverage,
                blocks=standing,
                model=models[model],
                parameters=parameters[parameter],
                snapshot=snapshot,
                as_of=as_of,
                valid_until=until,
            )
        )
    if at != len(raw):
        raise PackedError(f"{len(raw) - at} bytes too many")
    return tuple(scores)


def _numbered(values: Iterable[T]) -> dict[T, int]:
    """Each value once, with its place."""
    return {value: number for number, value in enumerate(dict.fromkeys(values))}
