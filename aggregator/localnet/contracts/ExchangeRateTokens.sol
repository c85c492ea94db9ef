// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// A staking token whose protocol rate grows by the second, and which the issuer can set (slashing).
abstract contract GrowingRateToken is ERC20 {
    uint256 internal constant WAD = 1e18;
    uint256 private constant YEAR = 365 days;

    address public immutable issuer;

    uint256 private anchorRate;
    uint256 private anchorTime;
    uint256 private yearlyGrowth;

    event RateSet(uint256 rate, uint256 yearlyGrowth);

    constructor(address issuer_, uint256 rate, uint256 yearlyGrowth_) {
        issuer = issuer_;
        _setRate(rate, yearlyGrowth_);
    }

    modifier onlyIssuer() {
        require(msg.sender == issuer, "not the issuer");
        _;
    }

    function mint(address to, uint256 amount) external onlyIssuer {
        _mint(to, amount);
    }

    function setRate(uint256 rate, uint256 yearlyGrowth_) external onlyIssuer {
        _setRate(rate, yearlyGrowth_);
    }

    function _setRate(uint256 rate, uint256 yearlyGrowth_) private {
        anchorRate = rate;
        anchorTime = block.timestamp;
        yearlyGrowth = yearlyGrowth_;
        emit RateSet(rate, yearlyGrowth_);
    }

    /// Ether per token, 1e18, linear since it was last set.
    function currentRate() internal view returns (uint256) {
        return anchorRate + (anchorRate * yearlyGrowth * (block.timestamp - anchorTime)) / (WAD * YEAR);
    }
}

contract RocketEther is ERC20("Rocket Pool ETH", "rETH"), GrowingRateToken {
    constructor(address issuer_, uint256 rate, uint256 growth) GrowingRateToken(issuer_, rate, growth) {}

    function getExchangeRate() external view returns (uint256) {
        return currentRate();
    }

    function getEthValue(uint256 rethAmount) external view returns (uint256) {
        return (rethAmount * currentRate()) / WAD;
    }

    function getRethValue(uint256 etherAmount) external view returns (uint256) {
        return (etherAmount * WAD) / currentRate();
    }
}

contract CoinbaseStakedEther is ERC20("Coinbase Wrapped Staked ETH", "cbETH"), GrowingRateToken {
    constructor(address issuer_, uint256 rate, uint256 growth) GrowingRateToken(issuer_, rate, growth) {}

    function exchangeRate() external view returns (uint256) {
        return currentRate();
    }
}

contract WrappedEEther is ERC20("Wrapped eETH", "weETH"), GrowingRateToken {
    constructor(address issuer_, uint256 rate, uint256 growth) GrowingRateToken(issuer_, rate, growth) {}

    function getRate() external view returns (uint256) {
        return currentRate();
    }

    function getEETHByWeETH(uint256 weETHAmount) external view returns (uint256) {
        return (weETHAmount * currentRate()) / WAD;
    }

    function getWeETHByeETH(uint256 eETHAmount) external view returns (uint256) {
        return (eETHAmount * WAD) / currentRate();
    }
}
