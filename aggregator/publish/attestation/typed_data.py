"""EIP-712 hashes and the contract's encoding of statements, packed word by word.

Our own because a score is signed for every owner and every epoch: a general encoder walks the type description again for each one.
Checked in the tests against eth-account's encoder and against the contract itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from eth_hash.auto import keccak

from aggregator.publish.attestation.statement import ChainBlock, Domain, MarginScore, ScoreEpoch

DOMAIN_NAME: Final = "Crossmargin"
DOMAIN_VERSION: Final = "1"
BLOCK_FIELDS: Final = (("chainId", "uint64"), ("number", "uint64"), ("hash", "bytes32"))
SCORE_FIELDS: Final = (
    ("owner", "address"),
    ("score", "uint16"),
    ("probabilityHour", "uint64"),
    ("probabilityDay", "uint64"),
    ("probabilityWeek", "uint64"),
    ("marginRatio", "int256"),
    ("lowestHealthFactor", "int256"),
    ("coverage", "uint16"),
    ("blocks", "ChainBlock[]"),
    ("model", "string"),
    ("parameters", "bytes32"),
    ("snapshot", "bytes32"),
    ("asOf", "uint64"),
    ("validUntil", "uint64"),
)
EPOCH_FIELDS: Final = (("epoch", "uint64"), ("root", "bytes32"), ("count", "uint32"), ("asOf", "uint64"), ("validUntil", "uint64"))
_DOMAIN_FIELDS: Final = (("name", "string"), ("version", "string"), ("chainId", "uint256"), ("verifyingContract", "address"))


def _described(name: str, fields: tuple[tuple[str, str], ...]) -> str:
    return f"{name}({','.join(f'{kind} {field}' for field, kind in fields)})"


_BLOCK = _described("ChainBlock", BLOCK_FIELDS)
_BLOCK_TYPE = keccak(_BLOCK.encode())
_SCORE_TYPE = keccak((_described("MarginScore", SCORE_FIELDS) + _BLOCK).encode())
_EPOCH_TYPE = keccak(_described("ScoreEpoch", EPOCH_FIELDS).encode())
_DOMAIN_TYPE = keccak(_described("EIP712Domain", _DOMAIN_FIELDS).encode())


def hash_score(score: MarginScore) -> bytes:
    """hashStruct of a statement, 32 bytes: without the domain, so one for all contracts that it is signed for."""
    return keccak(
        b"".join(
            (
                _SCORE_TYPE,
                _address(score.owner),
                _word(score.score),
                _word(score.probability_hour),
                _word(score.probability_day),
                _word(score.probability_week),
                _word(score.margin_ratio),
                _word(score.lowest_health_factor),
                _word(score.coverage),
                _hash_blocks(score.blocks),
                _hash_text(score.model),
                score.parameters,
                score.snapshot,
                _word(score.as_of),
                _word(score.valid_until),
            )
        )
    )


def hash_epoch(epoch: ScoreEpoch) -> bytes:
    """hashStruct of an epoch, 32 bytes."""
    words = (_word(epoch.epoch), epoch.root, _word(epoch.count), _word(epoch.as_of), _word(epoch.valid_until))
    return keccak(_EPOCH_TYPE + b"".join(words))


@lru_cache(maxsize=256)
def separator(domain: Domain) -> bytes:
    """The domain's separator, 32 bytes."""
    names = _hash_text(DOMAIN_NAME) + _hash_text(DOMAIN_VERSION)
    return keccak(_DOMAIN_TYPE + names + _word(domain.chain_id) + _address(domain.verifier))


def digest(domain: Domain, struct_hash: bytes) -> bytes:
    """What is signed, 32 bytes."""
    return keccak(b"\x19\x01" + separator(domain) + struct_hash)


def typed_data(domain: Domain, statement: MarginScore | ScoreEpoch) -> dict[str, object]:
    """The same as EIP-712 JSON (`eth_signTypedData_v4`), for signers that want to show what they sign."""
    score = isinstance(statement, MarginScore)
    types: dict[str, object] = {"EIP712Domain": _fields(_DOMAIN_FIELDS)}
    if score:
        types |= {"MarginScore": _fields(SCORE_FIELDS), "ChainBlock": _fields(BLOCK_FIELDS)}
    else:
        types |= {"ScoreEpoch": _fields(EPOCH_FIELDS)}
    return {
        "types": types,
        "primaryType": "MarginScore" if score else "ScoreEpoch",
        "domain": {
            "name": DOMAIN_NAME,
            "version": DOMAIN_VERSION,
            "chainId": domain.chain_id,
            "verifyingContract": domain.verifier,
        },
        "message": message(statement),
    }


def typed_data_json(domain: Domain, statement: MarginScore | ScoreEpoch) -> bytes:
    """As a wallet reads it: the message's integers are decimal strings, because JSON numbers above 2^53 lose digits in many readers."""
    document = typed_data(domain, statement)
    return json.dumps(document | {"message": _in_text(document["message"])}).encode()


def _in_text(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _in_text(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_in_text(part) for part in value]
    return str(value)


def message(statement: MarginScore | ScoreEpoch) -> dict[str, object]:
    """Field names as in Solidity, integers as they are, bytes as 0x-hex."""
    if isinstance(statement, ScoreEpoch):
        return {
            "epoch": statement.epoch,
            "root": "0x" + statement.root.hex(),
            "count": statement.count,
            "asOf": statement.as_of,
            "validUntil": statement.valid_until,
        }
    return {
        "owner": statement.owner,
        "score": statement.score,
        "probabilityHour": statement.probability_hour,
        "probabilityDay": statement.probability_day,
        "probabilityWeek": statement.probability_week,
        "marginRatio": statement.margin_ratio,
        "lowestHealthFactor": statement.lowest_health_factor,
        "coverage": statement.coverage,
        "blocks": [{"chainId": one.chain_id, "number": one.number, "hash": "0x" + one.hash.hex()} for one in statement.blocks],
        "model": statement.model,
        "parameters": "0x" + statement.parameters.hex(),
        "snapshot": "0x" + statement.snapshot.hex(),
        "asOf": statement.as_of,
        "validUntil": statement.valid_until,
    }


def encode_answer(score: MarginScore, signature: bytes) -> bytes:
    """`abi.encode(MarginScore, bytes)`: what the gateway answers and the contract decodes."""
    encoded = _encode_score(score)
    return b"".join((_word(64), _word(64 + len(encoded)), encoded, _encode_bytes(signature)))


def _encode_score(score: MarginScore) -> bytes:
    head = 14 * 32
    blocks = _word(len(score.blocks)) + b"".join(_word(one.chain_id) + _word(one.number) + one.hash for one in score.blocks)
    return b"".join(
        (
            _address(score.owner),
            _word(score.score),
            _word(score.probability_hour),
            _word(score.probability_day),
            _word(score.probability_week),
            _word(score.margin_ratio),
            _word(score.lowest_health_factor),
            _word(score.coverage),
            _word(head),
            _word(head + len(blocks)),
            score.parameters,
            score.snapshot,
            _word(score.as_of),
            _word(score.valid_until),
            blocks,
            _encode_bytes(score.model.encode()),
        )
    )


def _encode_bytes(value: bytes) -> bytes:
    return _word(len(value)) + value + bytes(-len(value) % 32)


def _hash_blocks(blocks: tuple[ChainBlock, ...]) -> bytes:
    return keccak(b"".join(map(_hash_block, blocks)))


@lru_cache(maxsize=4_096)
def _hash_block(block: ChainBlock) -> bytes:
    """Remembered, because the owners of an epoch stand on the same few blocks."""
    return keccak(_BLOCK_TYPE + _word(block.chain_id) + _word(block.number) + block.hash)


@lru_cache(maxsize=64)
def _hash_text(text: str) -> bytes:
    return keccak(text.encode())


def _word(value: int) -> bytes:
    return (value % 2**256).to_bytes(32, "big")


def _address(value: str) -> bytes:
    return bytes(12) + bytes.fromhex(value[2:])


def _fields(fields: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [{"name": name, "type": kind} for name, kind in fields]
