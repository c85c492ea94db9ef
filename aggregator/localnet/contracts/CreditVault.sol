// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// A private-credit pool (Maple's surface): most assets are lent out, leaving goes through a queue
/// (maxWithdraw is 0), impaired loans lower the exit value (convertToExitAssets) before the share price.
contract CreditVault is ERC4626 {
    using SafeERC20 for IERC20;

    uint256 private constant WAD = 1e18;
    uint256 private constant YEAR = 365 days;

    address public immutable operator;

    uint256 private lentOut;
    uint256 private lentAt;
    uint256 private yearlyRate;
    uint256 public unrealizedLosses;
    mapping(address => uint256) public requestedShares;

    event LoansSet(uint256 lentOut, uint256 yearlyRate, uint256 unrealizedLosses);
    event RedemptionRequested(address indexed owner, uint256 shares, uint256 exitAssets);

    constructor(IERC20 asset_, string memory name_, string memory symbol_, address operator_, uint256 yearlyRate_)
        ERC20(name_, symbol_)
        ERC4626(asset_)
    {
        operator = operator_;
        yearlyRate = yearlyRate_;
        lentAt = block.timestamp;
    }

    modifier onlyOperator() {
        require(msg.sender == operator, "not the operator");
        _;
    }

    /// Principal and interest due on the loans.
    function assetsUnderManagement() public view returns (uint256) {
        return lentOut + (lentOut * yearlyRate * (block.timestamp - lentAt)) / (WAD * YEAR);
    }

    function totalAssets() public view override returns (uint256) {
        return IERC20(asset()).balanceOf(address(this)) + assetsUnderManagement();
    }

    function convertToExitAssets(uint256 shares) public view returns (uint256) {
        uint256 supply = totalSupply();
        return supply == 0 ? shares : Math.mulDiv(shares, totalAssets() - unrealizedLosses, supply);
    }

    function lend(address borrower, uint256 amount) external onlyOperator {
        lentOut = assetsUnderManagement() + amount;
        lentAt = block.timestamp;
        IERC20(asset()).safeTransfer(borrower, amount);
        emit LoansSet(lentOut, yearlyRate, unrealizedLosses);
    }

    /// Marks part of the loans as impaired, or takes the mark away.
    function impair(uint256 losses) external onlyOperator {
        require(losses <= totalAssets(), "losses exceed assets");
        unrealizedLosses = losses;
        emit LoansSet(assetsUnderManagement(), yearlyRate, losses);
    }

    /// Writes off a loss for good: the share price falls.
    function writeOff(uint256 loss) external onlyOperator {
        lentOut = assetsUnderManagement() - loss;
        lentAt = block.timestamp;
        unrealizedLosses = unrealizedLosses > loss ? unrealizedLosses - loss : 0;
        emit LoansSet(lentOut, yearlyRate, unrealizedLosses);
    }

    function requestRedeem(uint256 shares, address owner) external returns (uint256) {
        if (owner != msg.sender) _spendAllowance(owner, msg.sender, shares);
        _transfer(owner, address(this), shares);
        requestedShares[owner] += shares;
        emit RedemptionRequested(owner, shares, convertToExitAssets(shares));
        return shares;
    }

    /// The pool manager, the withdrawal manager and the pool are one contract here.
    function manager() external view returns (address) {
        return address(this);
    }

    function withdrawalManager() external view returns (address) {
        return address(this);
    }

    function userEscrowedShares(address owner) external view returns (uint256) {
        return requestedShares[owner];
    }

    /// Shares that the queue has served for owners who redeem by hand; none here.
    function manualSharesAvailable(address) external pure returns (uint256) {
        return 0;
    }

    function maxWithdraw(address) public pure override returns (uint256) {
        return 0;
    }

    function maxRedeem(address) public pure override returns (uint256) {
        return 0;
    }
}
