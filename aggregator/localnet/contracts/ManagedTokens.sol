// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// An ordinary token that its issuer can mint.
contract ManagedToken is ERC20 {
    address public immutable issuer;
    uint8 private immutable places;

    constructor(string memory name_, string memory symbol_, uint8 decimals_, address issuer_) ERC20(name_, symbol_) {
        places = decimals_;
        issuer = issuer_;
    }

    function decimals() public view override returns (uint8) {
        return places;
    }

    function mint(address to, uint256 amount) external {
        require(msg.sender == issuer, "not the issuer");
        _mint(to, amount);
    }
}

/// A token of the time before EIP-20 was settled, as USDT is one: `transfer`, `transferFrom` and `approve` return
/// nothing, and an allowance can only be changed through zero.
contract UnreturningToken {
    string public name;
    string public symbol;
    uint8 public immutable decimals;
    address public immutable issuer;
    uint256 public totalSupply;
    mapping(address owner => uint256) public balanceOf;
    mapping(address owner => mapping(address spender => uint256)) public allowance;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    constructor(string memory name_, string memory symbol_, uint8 decimals_, address issuer_) {
        name = name_;
        symbol = symbol_;
        decimals = decimals_;
        issuer = issuer_;
    }

    function mint(address to, uint256 amount) external {
        require(msg.sender == issuer, "not the issuer");
        totalSupply += amount;
        balanceOf[to] += amount;
        emit Transfer(address(0), to, amount);
    }

    function approve(address spender, uint256 value) external {
        require(value == 0 || allowance[msg.sender][spender] == 0, "approve to zero first");
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
    }

    function transfer(address to, uint256 value) external {
        _transfer(msg.sender, to, value);
    }

    function transferFrom(address from, address to, uint256 value) external {
        uint256 allowed = allowance[from][msg.sender];
        if (allowed != type(uint256).max) {
            allowance[from][msg.sender] = allowed - value;
        }
        _transfer(from, to, value);
    }

    function _transfer(address from, address to, uint256 value) private {
        balanceOf[from] -= value;
        balanceOf[to] += value;
        emit Transfer(from, to, value);
    }
}

/// A token whose name and symbol are `bytes32`, as MKR's are.
contract FixedNameToken is ERC20 {
    bytes32 private immutable fixedName;
    bytes32 private immutable fixedSymbol;
    address public immutable issuer;

    constructor(bytes32 name_, bytes32 symbol_, address issuer_) ERC20("", "") {
        fixedName = name_;
        fixedSymbol = symbol_;
        issuer = issuer_;
    }

    function mint(address to, uint256 amount) external {
        require(msg.sender == issuer, "not the issuer");
        _mint(to, amount);
    }

    // The same selectors with another return type: an override may not change it, so the string is cut short here.
    function name() public view override returns (string memory) {
        bytes32 word = fixedName;
        assembly {
            mstore(0, word)
            return(0, 32)
        }
    }

    function symbol() public view override returns (string memory) {
        bytes32 word = fixedSymbol;
        assembly {
            mstore(0, word)
            return(0, 32)
        }
    }
}
