// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {MarginScore} from "attestation/MarginScoreTypes.sol";
import {MarginScoreReader} from "attestation/MarginScoreReader.sol";
import {MarginScores} from "attestation/MarginScores.sol";

/// A lender that gives credit by margin score: another contract that asks.
contract CreditDesk is MarginScoreReader {
    constructor(MarginScores scores) MarginScoreReader(scores) {}

    /// In whole dollars: ten for every hundredth of a point.
    function creditOf(address borrower) external view returns (uint256) {
        _askMarginScore(borrower, this.creditAnswer.selector, abi.encode(borrower));
    }

    function creditAnswer(bytes calldata response, bytes calldata extraData) external view returns (uint256) {
        MarginScore memory score = _verifiedMarginScore(abi.decode(extraData, (address)), response, 10_000, 1 hours);
        return uint256(score.score) * 10;
    }
}
