// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// What strangers send to a wallet so that whoever lists its tokens trips over it. Each can tell the world through a
/// `Transfer` event that somebody holds it; what happens when it is then asked differs.
abstract contract UninvitedToken {
    uint8 public constant decimals = 18;

    event Transfer(address indexed from, address indexed to, uint256 value);

    function announce(address owner, uint256 value) external {
        emit Transfer(address(0), owner, value);
    }
}

/// Never ends: burns all the gas that it is given.
contract EndlessToken is UninvitedToken {
    uint256 private turns;

    function balanceOf(address) external view returns (uint256 total) {
        while (total != 1) {
            unchecked {
                total += 2 + turns;
            }
        }
    }

    function symbol() external pure returns (string memory) {
        return "LOOP";
    }
}

/// Answers with ten megabytes.
contract BloatedToken is UninvitedToken {
    function balanceOf(address) external pure returns (uint256) {
        assembly {
            mstore(0, 1000000000000000000)
            return(0, 10485760)
        }
    }

    function symbol() external pure returns (string memory) {
        assembly {
            mstore(0, 32)
            mstore(32, 10485696)
            return(0, 10485760)
        }
    }
}

/// Fails with a long reason.
contract RevertingToken is UninvitedToken {
    function balanceOf(address) external pure returns (uint256) {
        revert("\x1b[31m<script>alert(1)</script> balances are closed today");
    }

    function symbol() external pure returns (string memory) {
        revert();
    }
}

/// Answers with the wrong types: a text for the balance, two bytes for the symbol, 300 decimals.
contract MistypedToken {
    event Transfer(address indexed from, address indexed to, uint256 value);

    function announce(address owner, uint256 value) external {
        emit Transfer(address(0), owner, value);
    }

    function balanceOf(address) external pure returns (string memory) {
        return "a lot";
    }

    function symbol() external pure returns (uint256) {
        assembly {
            mstore(0, 0xABCD000000000000000000000000000000000000000000000000000000000000)
            return(0, 2)
        }
    }

    function decimals() external pure returns (uint256) {
        return 300;
    }
}

/// Asks the reader to fetch a URL and come back (EIP-3668).
contract LookupToken is UninvitedToken {
    error OffchainLookup(address sender, string[] urls, bytes callData, bytes4 callbackFunction, bytes extraData);

    function balanceOf(address owner) external view returns (uint256) {
        string[] memory urls = new string[](1);
        urls[0] = "http://127.0.0.1:9/{sender}/{data}.json";
        revert OffchainLookup(address(this), urls, abi.encode(owner), this.balanceOf.selector, "");
    }

    function symbol() external pure returns (string memory) {
        return "FETCH";
    }
}

/// Claims the greatest balance that there is, for everybody.
contract BoundlessToken is UninvitedToken {
    function balanceOf(address) external pure returns (uint256) {
        return type(uint256).max;
    }

    function symbol() external pure returns (string memory) {
        return "MAX";
    }
}

/// A well-behaved token with a name that lies: an advertisement, or another token's symbol.
contract SpamToken is ERC20 {
    constructor(string memory name_, string memory symbol_) ERC20(name_, symbol_) {}

    function announce(address owner, uint256 value) external {
        _mint(owner, value);
    }
}
