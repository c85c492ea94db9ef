// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// A security-like ERC-20: only admitted accounts may hold it, the issuer may pause it and take tokens back.
/// In `openUnlessBlocked` mode everybody may hold it except blocked accounts (a note of USDY's kind).
contract PermissionedToken is ERC20 {
    uint8 private immutable unitDecimals;
    address public immutable issuer;
    bool public immutable openUnlessBlocked;

    bool public paused;
    mapping(address => bool) private listed;

    event AccountListed(address indexed account, bool listed);
    event PausedSet(bool paused);

    error AccountNotPermitted(address account);
    error TransfersPaused();

    constructor(string memory name_, string memory symbol_, uint8 decimals_, address issuer_, bool openUnlessBlocked_)
        ERC20(name_, symbol_)
    {
        unitDecimals = decimals_;
        issuer = issuer_;
        openUnlessBlocked = openUnlessBlocked_;
    }

    modifier onlyIssuer() {
        require(msg.sender == issuer, "not the issuer");
        _;
    }

    function decimals() public view override returns (uint8) {
        return unitDecimals;
    }

    /// Whether `account` may send and receive.
    function isAllowed(address account) public view returns (bool) {
        return listed[account] != openUnlessBlocked;
    }

    /// Puts accounts on the list (the allow list, or the block list in open mode) or takes them off.
    function setListed(address[] calldata accounts, bool listed_) external onlyIssuer {
        for (uint256 i; i < accounts.length; ++i) {
            listed[accounts[i]] = listed_;
            emit AccountListed(accounts[i], listed_);
        }
    }

    function setPaused(bool paused_) external onlyIssuer {
        paused = paused_;
        emit PausedSet(paused_);
    }

    function mint(address to, uint256 amount) external onlyIssuer {
        _mint(to, amount);
    }

    /// Forced redemption.
    function seize(address from, uint256 amount) external onlyIssuer {
        _burn(from, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        bool byIssuer = msg.sender == issuer && (from == address(0) || to == address(0));
        if (paused && !byIssuer) revert TransfersPaused();
        if (from != address(0) && !byIssuer && !isAllowed(from)) revert AccountNotPermitted(from);
        if (to != address(0) && !isAllowed(to)) revert AccountNotPermitted(to);
        super._update(from, to, amount);
    }
}
