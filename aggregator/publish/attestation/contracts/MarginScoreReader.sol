// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {MarginScore, OffchainLookup} from "./MarginScoreTypes.sol";
import {MarginScores} from "./MarginScores.sol";

/// For a contract that wants to know a margin score: start a lookup in your view, verify its answer in your callback.
///
///     function limitOf(address borrower) external view returns (uint256) {
///         _askMarginScore(borrower, this.limitAnswer.selector, abi.encode(borrower));
///     }
///     function limitAnswer(bytes calldata response, bytes calldata extraData) external view returns (uint256) {
///         return _limit(_verifiedMarginScore(abi.decode(extraData, (address)), response, 10_000, 1 hours));
///     }
///
/// Anybody may call a callback, with any extraData: the response proves the score, nothing proves what was asked. That does no harm in a
/// view. Where state changes on it, take the owner from your own state or from the sender.
abstract contract MarginScoreReader {
    MarginScores public immutable marginScores;

    constructor(MarginScores scores) {
        marginScores = scores;
    }

    /// Never returns: the caller's library asks the gateway and calls `callback(response, extraData)` of this contract.
    function _askMarginScore(address owner, bytes4 callback, bytes memory extraData) internal view {
        revert OffchainLookup(address(this), marginScores.urls(), marginScores.request(owner), callback, extraData);
    }

    /// Reverts unless the answer is a good statement of `owner`.
    function _verifiedMarginScore(address owner, bytes calldata response, uint16 minimumCoverage, uint64 maximumAge)
        internal
        view
        returns (MarginScore memory)
    {
        return marginScores.check(owner, response, minimumCoverage, maximumAge);
    }
}
