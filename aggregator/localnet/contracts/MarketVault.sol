// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Market, MarketParams} from "./AdaptiveCurveRate.sol";

interface IMarkets {
    function supply(MarketParams memory params, uint256 assets, uint256 shares, address onBehalf, bytes memory data)
        external
        returns (uint256, uint256);
    function withdraw(MarketParams memory params, uint256 assets, uint256 shares, address onBehalf, address receiver)
        external
        returns (uint256, uint256);
    function idToMarketParams(bytes32 id) external view returns (MarketParams memory);
    function market(bytes32 id) external view returns (Market memory);
    function position(bytes32 id, address user) external view returns (uint256, uint128, uint128);
}

interface IBorrowRate {
    function borrowRateView(MarketParams memory params, Market memory market) external view returns (uint256);
}

/// A vault that lends its assets in Morpho markets, with MetaMorpho's read surface:
/// deposits fill the supply queue up to each cap, withdrawals drain the withdraw queue.
contract MarketVault is ERC4626 {
    using Math for uint256;

    struct MarketConfig {
        uint184 cap;
        bool enabled;
        uint64 removableAt;
    }

    uint256 private constant WAD = 1e18;
    uint256 private constant VIRTUAL_SHARES = 1e6;

    IMarkets public immutable MORPHO;
    uint8 public immutable DECIMALS_OFFSET;
    address public immutable curator;

    bytes32[] public supplyQueue;
    bytes32[] public withdrawQueue;
    mapping(bytes32 => MarketConfig) public config;

    error AllCapsReached();
    error NotEnoughLiquidity();

    constructor(IMarkets morpho, IERC20 asset_, string memory name_, string memory symbol_, address curator_)
        ERC20(name_, symbol_)
        ERC4626(asset_)
    {
        MORPHO = morpho;
        DECIMALS_OFFSET = 18 - IERC20Metadata(address(asset_)).decimals();
        curator = curator_;
        asset_.approve(address(morpho), type(uint256).max);
    }

    function addMarket(bytes32 id, uint184 cap) external {
        require(msg.sender == curator, "not the curator");
        require(MORPHO.idToMarketParams(id).loanToken == asset(), "another loan token");
        require(!config[id].enabled, "already enabled");
        config[id] = MarketConfig(cap, true, 0);
        supplyQueue.push(id);
        withdrawQueue.push(id);
    }

    function supplyQueueLength() external view returns (uint256) {
        return supplyQueue.length;
    }

    function withdrawQueueLength() external view returns (uint256) {
        return withdrawQueue.length;
    }

    /// Interest up to now included, rounded down market by market.
    function totalAssets() public view override returns (uint256 assets) {
        for (uint256 i; i < withdrawQueue.length; ++i) {
            (uint256 supplied,) = _suppliedAndLiquid(withdrawQueue[i]);
            assets += supplied;
        }
    }

    /// What can leave now: limited by what the markets hold.
    function maxWithdraw(address owner) public view override returns (uint256) {
        return super.maxWithdraw(owner).min(_liquid());
    }

    function maxRedeem(address owner) public view override returns (uint256) {
        return super.maxRedeem(owner).min(_convertToShares(_liquid(), Math.Rounding.Floor));
    }

    function _liquid() private view returns (uint256 assets) {
        for (uint256 i; i < withdrawQueue.length; ++i) {
            (uint256 supplied, uint256 liquid) = _suppliedAndLiquid(withdrawQueue[i]);
            assets += supplied.min(liquid);
        }
    }

    function _decimalsOffset() internal view override returns (uint8) {
        return DECIMALS_OFFSET;
    }

    function _deposit(address caller, address receiver, uint256 assets, uint256 shares) internal override {
        super._deposit(caller, receiver, assets, shares);
        for (uint256 i; i < supplyQueue.length && assets > 0; ++i) {
            bytes32 id = supplyQueue[i];
            (uint256 supplied,) = _suppliedAndLiquid(id);
            uint256 part = assets.min(config[id].cap > supplied ? config[id].cap - supplied : 0);
            if (part == 0) continue;
            MORPHO.supply(MORPHO.idToMarketParams(id), part, 0, address(this), "");
            assets -= part;
        }
        if (assets > 0) revert AllCapsReached();
    }

    function _withdraw(address caller, address receiver, address owner, uint256 assets, uint256 shares)
        internal
        override
    {
        uint256 left = assets;
        for (uint256 i; i < withdrawQueue.length && left > 0; ++i) {
            bytes32 id = withdrawQueue[i];
            (uint256 supplied, uint256 liquid) = _suppliedAndLiquid(id);
            uint256 part = left.min(supplied.min(liquid));
            if (part == 0) continue;
            MORPHO.withdraw(MORPHO.idToMarketParams(id), part, 0, address(this), address(this));
            left -= part;
        }
        if (left > 0) revert NotEnoughLiquidity();
        super._withdraw(caller, receiver, owner, assets, shares);
    }

    /// The vault's supply in a market with interest accrued to now, and what the market could pay out.
    function _suppliedAndLiquid(bytes32 id) private view returns (uint256 supplied, uint256 liquid) {
        MarketParams memory params = MORPHO.idToMarketParams(id);
        Market memory market = MORPHO.market(id);
        (uint256 shares,,) = MORPHO.position(id, address(this));
        uint256 totalAssets_ = market.totalSupplyAssets;
        uint256 totalShares = market.totalSupplyShares;
        liquid = totalAssets_ - market.totalBorrowAssets;
        if (market.totalBorrowAssets > 0 && params.irm != address(0)) {
            uint256 elapsed = block.timestamp - market.lastUpdate;
            uint256 interest = uint256(market.totalBorrowAssets).mulDiv(
                _compounded(IBorrowRate(params.irm).borrowRateView(params, market), elapsed), WAD
            );
            totalAssets_ += interest;
            if (market.fee > 0) {
                uint256 feeAssets = interest.mulDiv(market.fee, WAD);
                totalShares += feeAssets.mulDiv(totalShares + VIRTUAL_SHARES, totalAssets_ - feeAssets + 1);
            }
        }
        supplied = shares.mulDiv(totalAssets_ + 1, totalShares + VIRTUAL_SHARES);
    }

    /// e^(rate * time) - 1 by the first three terms, as the market accrues.
    function _compounded(uint256 rate, uint256 time) private pure returns (uint256) {
        uint256 first = rate * time;
        uint256 second = first.mulDiv(first, 2 * WAD);
        return first + second + second.mulDiv(first, 3 * WAD);
    }
}
