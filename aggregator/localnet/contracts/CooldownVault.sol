// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// Holds what is cooling down, apart from the vault's assets.
contract CooldownSilo {
    using SafeERC20 for IERC20;

    address private immutable vault = msg.sender;
    IERC20 private immutable asset;

    constructor(IERC20 asset_) {
        asset = asset_;
    }

    function withdraw(address to, uint256 amount) external {
        require(msg.sender == vault, "only the vault");
        asset.safeTransfer(to, amount);
    }
}

/// Staked synthetic dollar with Ethena's surface: rewards vest over eight hours, leaving takes a cooldown
/// during which the assets are neither shares nor in the wallet (`cooldowns`).
contract CooldownVault is ERC4626 {
    using SafeERC20 for IERC20;

    struct UserCooldown {
        uint104 cooldownEnd;
        uint152 underlyingAmount;
    }

    uint256 private constant VESTING_PERIOD = 8 hours;

    address public immutable manager;
    CooldownSilo public immutable silo;

    uint24 public cooldownDuration;
    uint256 public vestingAmount;
    uint256 public lastDistributionTimestamp;
    mapping(address => UserCooldown) public cooldowns;

    event RewardsReceived(uint256 amount);
    event CooldownDurationUpdated(uint24 previousDuration, uint24 newDuration);

    error OperationNotAllowed();
    error ExcessiveWithdrawAmount();
    error InvalidCooldown();
    error StillVesting();

    constructor(IERC20 asset_, string memory name_, string memory symbol_, address manager_, uint24 duration)
        ERC20(name_, symbol_)
        ERC4626(asset_)
    {
        manager = manager_;
        cooldownDuration = duration;
        silo = new CooldownSilo(asset_);
    }

    modifier whenCooldown(bool on) {
        if ((cooldownDuration != 0) != on) revert OperationNotAllowed();
        _;
    }

    function totalAssets() public view override returns (uint256) {
        return IERC20(asset()).balanceOf(address(this)) - getUnvestedAmount();
    }

    function getUnvestedAmount() public view returns (uint256) {
        uint256 passed = block.timestamp - lastDistributionTimestamp;
        return passed >= VESTING_PERIOD ? 0 : ((VESTING_PERIOD - passed) * vestingAmount) / VESTING_PERIOD;
    }

    function transferInRewards(uint256 amount) external {
        require(msg.sender == manager, "not the manager");
        if (getUnvestedAmount() > 0) revert StillVesting();
        vestingAmount = amount;
        lastDistributionTimestamp = block.timestamp;
        IERC20(asset()).safeTransferFrom(msg.sender, address(this), amount);
        emit RewardsReceived(amount);
    }

    function setCooldownDuration(uint24 duration) external {
        require(msg.sender == manager, "not the manager");
        emit CooldownDurationUpdated(cooldownDuration, duration);
        cooldownDuration = duration;
    }

    function withdraw(uint256 assets, address receiver, address owner)
        public
        override
        whenCooldown(false)
        returns (uint256)
    {
        return super.withdraw(assets, receiver, owner);
    }

    function redeem(uint256 shares, address receiver, address owner)
        public
        override
        whenCooldown(false)
        returns (uint256)
    {
        return super.redeem(shares, receiver, owner);
    }

    function cooldownAssets(uint256 assets) external whenCooldown(true) returns (uint256 shares) {
        if (assets > maxWithdraw(msg.sender)) revert ExcessiveWithdrawAmount();
        shares = previewWithdraw(assets);
        _cool(assets, shares);
    }

    function cooldownShares(uint256 shares) external whenCooldown(true) returns (uint256 assets) {
        if (shares > maxRedeem(msg.sender)) revert ExcessiveWithdrawAmount();
        assets = previewRedeem(shares);
        _cool(assets, shares);
    }

    function unstake(address receiver) external {
        UserCooldown memory cooling = cooldowns[msg.sender];
        if (block.timestamp < cooling.cooldownEnd && cooldownDuration != 0) revert InvalidCooldown();
        delete cooldowns[msg.sender];
        silo.withdraw(receiver, cooling.underlyingAmount);
    }

    /// A second cooldown restarts the clock for the whole amount.
    function _cool(uint256 assets, uint256 shares) private {
        cooldowns[msg.sender].cooldownEnd = uint104(block.timestamp) + cooldownDuration;
        cooldowns[msg.sender].underlyingAmount += uint152(assets);
        _withdraw(msg.sender, address(silo), msg.sender, assets, shares);
    }
}
