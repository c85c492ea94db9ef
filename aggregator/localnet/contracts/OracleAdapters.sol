// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

interface Answers {
    function latestAnswer() external view returns (int256);
    function decimals() external view returns (uint8);
}

/// The lending market's price of a token that is worth a growing share of another: the base feed times a ratio that
/// is read from the token or from a feed, and capped at a yearly growth from a snapshot. It has no round data: how
/// old its price is can only be learnt from what is behind it.
contract CappedRatioAdapter {
    uint256 private constant BASIS_POINTS = 10_000;
    uint256 private constant YEAR = 365 days;

    Answers public immutable BASE_TO_USD_AGGREGATOR;
    address public immutable RATIO_PROVIDER;
    uint8 public immutable RATIO_DECIMALS;
    uint8 public constant DECIMALS = 8;
    string public description;

    bytes private ratioCall;
    uint256 private snapshotRatio;
    uint256 private snapshotTimestamp;
    uint256 private maxGrowthPerSecond;

    constructor(
        string memory description_,
        address base,
        address ratioProvider,
        bytes memory ratioCall_,
        uint8 ratioDecimals,
        uint256 maxYearlyGrowth,
        uint256 snapshotTimestamp_
    ) {
        description = description_;
        BASE_TO_USD_AGGREGATOR = Answers(base);
        RATIO_PROVIDER = ratioProvider;
        RATIO_DECIMALS = ratioDecimals;
        ratioCall = ratioCall_;
        snapshotRatio = uint256(_ratio(ratioProvider, ratioCall_));
        snapshotTimestamp = snapshotTimestamp_;
        maxGrowthPerSecond = (snapshotRatio * maxYearlyGrowth) / BASIS_POINTS / YEAR;
    }

    function decimals() external pure returns (uint8) {
        return DECIMALS;
    }

    function getRatio() public view returns (int256) {
        return _ratio(RATIO_PROVIDER, ratioCall);
    }

    function getSnapshotRatio() external view returns (uint256) {
        return snapshotRatio;
    }

    function getSnapshotTimestamp() external view returns (uint256) {
        return snapshotTimestamp;
    }

    function getMaxRatioGrowthPerSecond() external view returns (uint256) {
        return maxGrowthPerSecond;
    }

    function isCapped() public view returns (bool) {
        return getRatio() > _cap();
    }

    function latestAnswer() external view returns (int256) {
        int256 base = BASE_TO_USD_AGGREGATOR.latestAnswer();
        int256 ratio = getRatio();
        if (base <= 0 || ratio <= 0) {
            return 0;
        }
        int256 cap = _cap();
        return (base * (ratio > cap ? cap : ratio)) / int256(10 ** RATIO_DECIMALS);
    }

    function _cap() private view returns (int256) {
        return int256(snapshotRatio + maxGrowthPerSecond * (block.timestamp - snapshotTimestamp));
    }

    function _ratio(address provider, bytes memory call) private view returns (int256) {
        (bool success, bytes memory answer) = provider.staticcall(call);
        require(success && answer.length == 32, "no ratio");
        return abi.decode(answer, (int256));
    }
}

/// The lending market's price of a dollar token: the feed, capped a little above the dollar.
contract CappedStableAdapter {
    Answers public immutable ASSET_TO_USD_AGGREGATOR;
    string public description;
    int256 private immutable cap;

    constructor(string memory description_, address feed, int256 cap_) {
        description = description_;
        ASSET_TO_USD_AGGREGATOR = Answers(feed);
        cap = cap_;
    }

    function decimals() external view returns (uint8) {
        return ASSET_TO_USD_AGGREGATOR.decimals();
    }

    function getPriceCap() external view returns (int256) {
        return cap;
    }

    function isCapped() external view returns (bool) {
        return ASSET_TO_USD_AGGREGATOR.latestAnswer() > cap;
    }

    function latestAnswer() external view returns (int256) {
        int256 answer = ASSET_TO_USD_AGGREGATOR.latestAnswer();
        return answer > cap ? cap : answer;
    }
}

/// A price that never moves, whatever the market says.
contract FixedPriceAdapter {
    uint8 public constant decimals = 8;
    int256 public immutable latestAnswer;
    string public description;

    constructor(string memory description_, int256 price) {
        description = description_;
        latestAnswer = price;
    }
}

/// Two feeds multiplied: an asset in units of another, times that other in dollars.
contract ProductAdapter {
    uint8 public constant DECIMALS = 8;
    Answers public immutable ASSET_TO_PEG;
    Answers public immutable PEG_TO_BASE;
    string public description;

    constructor(string memory description_, address assetToPeg, address pegToBase) {
        description = description_;
        ASSET_TO_PEG = Answers(assetToPeg);
        PEG_TO_BASE = Answers(pegToBase);
    }

    function decimals() external pure returns (uint8) {
        return DECIMALS;
    }

    function latestAnswer() external view returns (int256) {
        int256 ratio = ASSET_TO_PEG.latestAnswer();
        int256 price = PEG_TO_BASE.latestAnswer();
        if (ratio <= 0 || price <= 0) {
            return 0;
        }
        return
            (ratio * price * int256(10 ** DECIMALS)) /
            int256(10 ** (ASSET_TO_PEG.decimals() + PEG_TO_BASE.decimals()));
    }
}
