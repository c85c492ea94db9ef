// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

struct MarketParams {
    address loanToken;
    address collateralToken;
    address oracle;
    address irm;
    uint256 lltv;
}

struct Market {
    uint128 totalSupplyAssets;
    uint128 totalSupplyShares;
    uint128 totalBorrowAssets;
    uint128 totalBorrowShares;
    uint128 lastUpdate;
    uint128 fee;
}

/// Borrow rate that follows utilisation along a curve through 90 % and moves the curve over time:
/// above the target the rate at target grows, below it shrinks, by up to a factor e^50 a year.
contract AdaptiveCurveRate {
    int256 private constant WAD = 1e18;
    int256 private constant YEAR = 365 days;

    int256 public constant TARGET_UTILIZATION = 0.9 ether;
    int256 public constant CURVE_STEEPNESS = 4 ether;
    int256 public constant ADJUSTMENT_SPEED = 50 ether / YEAR;
    int256 public constant INITIAL_RATE_AT_TARGET = 0.04 ether / YEAR;
    int256 public constant MIN_RATE_AT_TARGET = 0.001 ether / YEAR;
    int256 public constant MAX_RATE_AT_TARGET = 2 ether / YEAR;

    int256 private constant LN_2 = 0.693147180559945309 ether;

    address public immutable MORPHO;

    /// Rate per second at 90 % utilisation, by market id, 1e18.
    mapping(bytes32 => int256) public rateAtTarget;

    event BorrowRateUpdate(bytes32 indexed id, uint256 avgBorrowRate, uint256 rateAtTarget);

    constructor(address morpho) {
        MORPHO = morpho;
    }

    function borrowRateView(MarketParams calldata params, Market calldata market) external view returns (uint256 rate) {
        (rate,) = _rates(keccak256(abi.encode(params)), market);
    }

    function borrowRate(MarketParams calldata params, Market calldata market) external returns (uint256) {
        require(msg.sender == MORPHO, "not Morpho");
        bytes32 id = keccak256(abi.encode(params));
        (uint256 rate, int256 newRateAtTarget) = _rates(id, market);
        rateAtTarget[id] = newRateAtTarget;
        emit BorrowRateUpdate(id, rate, uint256(newRateAtTarget));
        return rate;
    }

    /// The mean rate since the market's last update, and the rate at target now.
    function _rates(bytes32 id, Market calldata market) private view returns (uint256, int256) {
        int256 utilization = market.totalSupplyAssets == 0
            ? int256(0)
            : (int256(uint256(market.totalBorrowAssets)) * WAD) / int256(uint256(market.totalSupplyAssets));
        // distance from the target, in units of the room on that side: between -1 and 1
        int256 room = utilization > TARGET_UTILIZATION ? WAD - TARGET_UTILIZATION : TARGET_UTILIZATION;
        int256 distance = ((utilization - TARGET_UTILIZATION) * WAD) / room;

        int256 start = rateAtTarget[id];
        if (start == 0) return (uint256(_onCurve(INITIAL_RATE_AT_TARGET, distance)), INITIAL_RATE_AT_TARGET);

        int256 growth = (ADJUSTMENT_SPEED * distance / WAD) * int256(block.timestamp - market.lastUpdate);
        if (growth == 0) return (uint256(_onCurve(start, distance)), start);
        int256 end = _grown(start, growth);
        // trapezoid over the two halves of the interval
        int256 mean = (start + end + 2 * _grown(start, growth / 2)) / 4;
        return (uint256(_onCurve(mean, distance)), end);
    }

    function _onCurve(int256 atTarget, int256 distance) private pure returns (int256) {
        int256 slope = distance < 0 ? WAD - (WAD * WAD) / CURVE_STEEPNESS : CURVE_STEEPNESS - WAD;
        return (((slope * distance) / WAD + WAD) * atTarget) / WAD;
    }

    function _grown(int256 start, int256 growth) private pure returns (int256 rate) {
        rate = (start * _exp(growth)) / WAD;
        if (rate < MIN_RATE_AT_TARGET) return MIN_RATE_AT_TARGET;
        if (rate > MAX_RATE_AT_TARGET) return MAX_RATE_AT_TARGET;
    }

    /// e^x as 2^q * (1 + r + r^2/2) with |r| <= ln(2)/2; flat outside [-41.4, 93.8].
    function _exp(int256 x) private pure returns (int256) {
        if (x < -41.446531673892822312 ether) return 0;
        if (x > 93.859467695000404319 ether) x = 93.859467695000404319 ether;
        int256 q = (x + (x < 0 ? -LN_2 / 2 : LN_2 / 2)) / LN_2;
        int256 r = x - q * LN_2;
        int256 factor = WAD + r + (r * r) / WAD / 2;
        return q >= 0 ? factor << uint256(q) : factor >> uint256(-q);
    }
}
