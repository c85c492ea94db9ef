// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// OpenZeppelin's vault with a chosen decimals offset and a gate: closed, nothing can leave
/// (maxWithdraw and maxRedeem are 0) while convertToAssets still shows the full value.
contract PlainVault is ERC4626 {
    address public immutable manager;
    uint8 private immutable offset;
    bool public gated;

    event GateSet(bool gated);

    constructor(IERC20 asset_, string memory name_, string memory symbol_, uint8 offset_, address manager_)
        ERC20(name_, symbol_)
        ERC4626(asset_)
    {
        offset = offset_;
        manager = manager_;
    }

    function setGated(bool gated_) external {
        require(msg.sender == manager, "not the manager");
        gated = gated_;
        emit GateSet(gated_);
    }

    function maxWithdraw(address owner) public view override returns (uint256) {
        return gated ? 0 : super.maxWithdraw(owner);
    }

    function maxRedeem(address owner) public view override returns (uint256) {
        return gated ? 0 : super.maxRedeem(owner);
    }

    function _decimalsOffset() internal view override returns (uint8) {
        return offset;
    }
}
