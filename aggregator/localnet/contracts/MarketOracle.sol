// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

interface IFeed {
    function decimals() external view returns (uint8);
    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80);
}

interface IShareVault {
    function convertToAssets(uint256 shares) external view returns (uint256);
}

/// Price of collateral in loan tokens, 1e36 scaled by the tokens' decimals, from up to two feeds and a vault
/// on either side; the read surface of Morpho's Chainlink oracle.
contract MarketOracle {
    IShareVault public immutable BASE_VAULT;
    uint256 public immutable BASE_VAULT_CONVERSION_SAMPLE;
    IFeed public immutable BASE_FEED_1;
    IFeed public immutable BASE_FEED_2;
    IShareVault public immutable QUOTE_VAULT;
    uint256 public immutable QUOTE_VAULT_CONVERSION_SAMPLE;
    IFeed public immutable QUOTE_FEED_1;
    IFeed public immutable QUOTE_FEED_2;
    uint256 public immutable SCALE_FACTOR;

    struct Side {
        IShareVault vault;
        uint256 sample;
        IFeed feed1;
        IFeed feed2;
        uint8 decimals;
    }

    /// `decimals` are those of the token, or of the vault's asset where a vault converts first.
    constructor(Side memory base, Side memory quote) {
        BASE_VAULT = base.vault;
        BASE_VAULT_CONVERSION_SAMPLE = base.sample;
        BASE_FEED_1 = base.feed1;
        BASE_FEED_2 = base.feed2;
        QUOTE_VAULT = quote.vault;
        QUOTE_VAULT_CONVERSION_SAMPLE = quote.sample;
        QUOTE_FEED_1 = quote.feed1;
        QUOTE_FEED_2 = quote.feed2;
        uint256 up = 36 + uint256(quote.decimals) + _decimals(quote.feed1) + _decimals(quote.feed2);
        uint256 down = uint256(base.decimals) + _decimals(base.feed1) + _decimals(base.feed2);
        SCALE_FACTOR = (10 ** (up - down) * quote.sample) / base.sample;
    }

    function price() external view returns (uint256) {
        uint256 base = _assets(BASE_VAULT, BASE_VAULT_CONVERSION_SAMPLE) * _answer(BASE_FEED_1) * _answer(BASE_FEED_2);
        uint256 quote =
            _assets(QUOTE_VAULT, QUOTE_VAULT_CONVERSION_SAMPLE) * _answer(QUOTE_FEED_1) * _answer(QUOTE_FEED_2);
        return (SCALE_FACTOR * base) / quote;
    }

    function _decimals(IFeed feed) private view returns (uint256) {
        return address(feed) == address(0) ? 0 : feed.decimals();
    }

    function _answer(IFeed feed) private view returns (uint256) {
        if (address(feed) == address(0)) return 1;
        (, int256 answer,,,) = feed.latestRoundData();
        require(answer >= 0, "negative answer");
        return uint256(answer);
    }

    function _assets(IShareVault vault, uint256 sample) private view returns (uint256) {
        return address(vault) == address(0) ? 1 : vault.convertToAssets(sample);
    }
}

/// Passes another oracle's price on until it is told to fail.
contract BrittleOracle {
    MarketOracle public immutable source;
    address public immutable operator;
    bool public broken;

    error OracleBroken();

    constructor(MarketOracle source_, address operator_) {
        source = source_;
        operator = operator_;
    }

    function setBroken(bool broken_) external {
        require(msg.sender == operator, "not the operator");
        broken = broken_;
    }

    function price() external view returns (uint256) {
        if (broken) revert OracleBroken();
        return source.price();
    }
}

/// A rate read from a token, in the shape of a feed: `target` is called with `callData`.
contract RateFeed {
    address public immutable target;
    uint8 public immutable decimals;
    bytes public callData;
    string public description;

    constructor(address target_, bytes memory callData_, uint8 decimals_, string memory description_) {
        target = target_;
        callData = callData_;
        decimals = decimals_;
        description = description_;
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        (bool success, bytes memory answer) = target.staticcall(callData);
        require(success && answer.length == 32, "rate not readable");
        return (0, abi.decode(answer, (int256)), 0, block.timestamp, 0);
    }

    function latestAnswer() external view returns (int256 answer) {
        (, answer,,,) = this.latestRoundData();
    }
}
