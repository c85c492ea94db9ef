// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

/// Prices that issuers publish themselves, in the shapes of the contracts Ondo documents.
abstract contract IssuerOperated {
    address public immutable operator;

    constructor(address operator_) {
        operator = operator_;
    }

    modifier onlyOperator() {
        require(msg.sender == operator, "not the operator");
        _;
    }
}

/// USDY's redemption price: compounds daily inside a range the issuer announced, constant after its end.
/// Price 1e18, rounded to the 8th decimal; daily rate 1e27.
contract DailyAccrualOracle is IssuerOperated {
    struct Range {
        uint256 start;
        uint256 end;
        uint256 dailyInterestRate;
        uint256 prevRangeClosePrice;
    }

    uint256 private constant RAY = 1e27;
    uint256 private constant EIGHTH_DECIMAL = 1e10;

    Range[] public ranges;
    bool public paused;

    event RangeSet(
        uint256 indexed index, uint256 start, uint256 end, uint256 dailyInterestRate, uint256 prevRangeClosePrice
    );

    error PricesPaused();

    constructor(address operator_, uint256 start, uint256 end, uint256 dailyRate, uint256 startPrice)
        IssuerOperated(operator_)
    {
        require(start < end && dailyRate >= RAY, "invalid range");
        // the first day accrues from the start, hence the opening price is one day's growth below it
        ranges.push(Range(start, end, dailyRate, (startPrice * RAY) / dailyRate));
        emit RangeSet(0, start, end, dailyRate, ranges[0].prevRangeClosePrice);
    }

    function getPrice() public view returns (uint256) {
        if (paused) revert PricesPaused();
        for (uint256 i = ranges.length; i > 0; --i) {
            Range storage range = ranges[i - 1];
            if (block.timestamp >= range.start) {
                return _priceAt(range, block.timestamp < range.end ? block.timestamp : range.end - 1);
            }
        }
        return 0;
    }

    /// The time is always now: this price has no update time of its own.
    function getPriceData() external view returns (uint256 price, uint256 timestamp) {
        return (getPrice(), block.timestamp);
    }

    function setRange(uint256 end, uint256 dailyRate) external onlyOperator {
        Range storage last = ranges[ranges.length - 1];
        require(end > last.end && dailyRate >= RAY, "invalid range");
        uint256 close = _priceAt(last, last.end - 1);
        uint256 start = last.end;
        ranges.push(Range(start, end, dailyRate, close));
        emit RangeSet(ranges.length - 1, start, end, dailyRate, close);
    }

    function setPaused(bool paused_) external onlyOperator {
        paused = paused_;
    }

    function _priceAt(Range storage range, uint256 time) private view returns (uint256) {
        uint256 elapsedDays = (time - range.start) / 1 days;
        uint256 factor = _power(range.dailyInterestRate, elapsedDays + 1);
        uint256 price = _multiply(factor, range.prevRangeClosePrice);
        uint256 beyond = price % EIGHTH_DECIMAL;
        price -= beyond;
        return beyond >= EIGHTH_DECIMAL / 2 ? price + EIGHTH_DECIMAL : price;
    }

    function _multiply(uint256 a, uint256 b) private pure returns (uint256) {
        return (a * b + RAY / 2) / RAY;
    }

    function _power(uint256 base, uint256 exponent) private pure returns (uint256 result) {
        result = RAY;
        for (; exponent > 0; exponent >>= 1) {
            if (exponent & 1 == 1) result = _multiply(result, base);
            base = _multiply(base, base);
        }
    }
}

/// OUSG's former price contract: set by hand, with the time it was set (1e18).
contract ManualPriceOracle is IssuerOperated {
    string public description;
    int256 public rwaPrice;
    uint256 public priceTimestamp;

    event PriceSet(int256 price, uint256 timestamp);

    constructor(address operator_, string memory description_, int256 price) IssuerOperated(operator_) {
        description = description_;
        rwaPrice = price;
        priceTimestamp = block.timestamp;
    }

    function getPriceData() external view returns (uint256 price, uint256 timestamp) {
        return (uint256(rwaPrice), priceTimestamp);
    }

    function setPrice(int256 price) external onlyOperator {
        require(price > 0, "price must be positive");
        rwaPrice = price;
        priceTimestamp = block.timestamp;
        emit PriceSet(price, block.timestamp);
    }
}

/// The issuer's present price contract for all its tokens: price by token address, 1e18, no time.
/// A token may be served by another contract of the issuer (USDY by its daily accrual).
contract AssetPriceOracle is IssuerOperated {
    mapping(address => uint256) private fixedPrice;
    mapping(address => DailyAccrualOracle) private source;

    event AssetPriceSet(address indexed asset, uint256 price);
    event AssetSourceSet(address indexed asset, address source);

    constructor(address operator_) IssuerOperated(operator_) {}

    function getAssetPrice(address asset) external view returns (uint256 price) {
        DailyAccrualOracle accrual = source[asset];
        price = address(accrual) == address(0) ? fixedPrice[asset] : accrual.getPrice();
        require(price > 0, "price not set");
    }

    function setAssetPrice(address asset, uint256 price) external onlyOperator {
        fixedPrice[asset] = price;
        emit AssetPriceSet(asset, price);
    }

    function setAssetSource(address asset, DailyAccrualOracle accrual) external onlyOperator {
        source[asset] = accrual;
        emit AssetSourceSet(asset, address(accrual));
    }
}
