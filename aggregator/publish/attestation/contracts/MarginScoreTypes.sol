// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// A block that a statement was read at.
struct ChainBlock {
    uint64 chainId;
    uint64 number;
    bytes32 hash;
}

/// What is said of one owner. Ratios and probabilities have 18 decimals, the score is in hundredths of a point.
struct MarginScore {
    address owner;
    /// 0…10000: a fixed map of −log10 of `probabilityDay`, higher is safer
    uint16 score;
    /// that at least one margin account of the owner is liquidated within the hour, day or week if nobody acts
    uint64 probabilityHour;
    uint64 probabilityDay;
    uint64 probabilityWeek;
    /// equity over the unified requirement; UNKNOWN or UNBOUNDED where there is no figure
    int256 marginRatio;
    /// the lowest of the protocols' own health factors; UNKNOWN, or UNBOUNDED without debt
    int256 lowestHealthFactor;
    /// share of what had to be read that was, in basis points; only a complete one has 10000
    uint16 coverage;
    ChainBlock[] blocks;
    /// model and score version
    string model;
    /// hash of the model's parameters
    bytes32 parameters;
    /// identifier of the health document that it summarises
    bytes32 snapshot;
    /// time of the oldest block it rests on
    uint64 asOf;
    uint64 validUntil;
}

/// All scores of one epoch: the root of the standard Merkle tree over (owner, hash of the statement).
struct ScoreEpoch {
    uint64 epoch;
    bytes32 root;
    uint32 count;
    uint64 asOf;
    uint64 validUntil;
}

int256 constant UNKNOWN = type(int256).min;
int256 constant UNBOUNDED = type(int256).max;
uint16 constant COMPLETE = 10_000;

/// ERC-3668: ask `urls` and come back to `callbackFunction` with the answer.
error OffchainLookup(address sender, string[] urls, bytes callData, bytes4 callbackFunction, bytes extraData);
