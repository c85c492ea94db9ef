// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ERC7739} from "@openzeppelin/contracts/utils/cryptography/signers/draft-ERC7739.sol";
import {SignerECDSA} from "@openzeppelin/contracts/utils/cryptography/signers/SignerECDSA.sol";

/// An account as OpenZeppelin's library makes it: one key, signatures nested in its own domain (ERC-7739).
contract KeyAccount is ERC7739, SignerECDSA {
    constructor(address key) EIP712("KeyAccount", "1") SignerECDSA(key) {}
}

/// Says yes to everybody, but never in the form that ERC-1271 demands; or says nothing, at length.
contract HostileAccount {
    bytes32 private constant MAGIC = bytes32(bytes4(0x1626ba7e));
    uint256 private immutable manner;
    uint256 private counter;

    constructor(uint256 manner_) {
        manner = manner_;
    }

    fallback(bytes calldata data) external returns (bytes memory) {
        if (manner == 0) while (true) {}
        if (manner == 1) return abi.encode(MAGIC, new bytes(1 << 20));
        if (manner == 2) revert(string(new bytes(4096)));
        if (manner == 3) return data;
        if (manner == 4) return abi.encode(uint256(MAGIC) | 1);
        if (manner == 5) return abi.encodePacked(bytes4(MAGIC));
        if (manner == 6) counter += 1;
        if (manner == 7) {
            assembly {
                return(0, shl(20, 64))
            }
        }
        if (manner == 8) return "";
        if (manner == 9) {
            assembly {
                invalid()
            }
        }
        return abi.encode(MAGIC);
    }
}
