// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// A savings vault whose share price is an index compounding by the second (sDAI, sUSDS):
/// value = shares * chi / 1e27, whatever the vault happens to hold.
contract SavingsVault is ERC4626 {
    uint256 private constant RAY = 1e27;

    address public immutable manager;

    /// Index at `rho`, 1e27.
    uint192 public chi;
    /// Time of the last drip.
    uint64 public rho;
    /// Savings rate per second, 1e27.
    uint256 public ssr;

    event Drip(uint256 chi);
    event RateSet(uint256 ssr);

    constructor(IERC20 asset_, string memory name_, string memory symbol_, address manager_, uint192 chi_, uint256 ssr_)
        ERC20(name_, symbol_)
        ERC4626(asset_)
    {
        require(chi_ >= RAY && ssr_ >= RAY, "index and rate start at one");
        manager = manager_;
        chi = chi_;
        ssr = ssr_;
        rho = uint64(block.timestamp);
    }

    function drip() public returns (uint256 index) {
        index = currentIndex();
        chi = uint192(index);
        rho = uint64(block.timestamp);
        emit Drip(index);
    }

    function setRate(uint256 ssr_) external {
        require(msg.sender == manager && ssr_ >= RAY, "refused");
        drip();
        ssr = ssr_;
        emit RateSet(ssr_);
    }

    /// The index now, rounded down.
    function currentIndex() public view returns (uint256) {
        return Math.mulDiv(_power(ssr, block.timestamp - rho), chi, RAY);
    }

    function totalAssets() public view override returns (uint256) {
        return _convertToAssets(totalSupply(), Math.Rounding.Floor);
    }

    function _convertToAssets(uint256 shares, Math.Rounding rounding) internal view override returns (uint256) {
        return Math.mulDiv(shares, currentIndex(), RAY, rounding);
    }

    function _convertToShares(uint256 assets, Math.Rounding rounding) internal view override returns (uint256) {
        return Math.mulDiv(assets, RAY, currentIndex(), rounding);
    }

    function _power(uint256 base, uint256 exponent) private pure returns (uint256 result) {
        result = RAY;
        for (; exponent > 0; exponent >>= 1) {
            if (exponent & 1 == 1) result = (result * base + RAY / 2) / RAY;
            base = (base * base + RAY / 2) / RAY;
        }
    }
}
