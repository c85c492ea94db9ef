// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

struct PoolKey {
    address currency0;
    address currency1;
    uint24 fee;
    int24 tickSpacing;
    address hooks;
}

struct SwapParams {
    bool zeroForOne;
    int256 amountSpecified;
    uint160 sqrtPriceLimitX96;
}

interface IPoolManager {
    function unlock(bytes calldata data) external returns (bytes memory);
    function swap(PoolKey memory key, SwapParams memory params, bytes calldata hookData) external returns (int256);
    function sync(address currency) external;
    function settle() external payable returns (uint256);
    function take(address currency, address to, uint256 amount) external;
    function updateDynamicLPFee(PoolKey memory key, uint24 newFee) external;
}

interface IPayable {
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

/// Swaps in Uniswap v4's pool manager for whoever calls; leftover ether goes back.
contract SingletonSwapRouter {
    IPoolManager public immutable manager;

    constructor(IPoolManager manager_) {
        manager = manager_;
    }

    receive() external payable {}

    /// `params.amountSpecified` below zero is exact input, above zero exact output. Returns the packed deltas.
    function swap(PoolKey calldata key, SwapParams calldata params) external payable returns (int256 delta) {
        delta = abi.decode(manager.unlock(abi.encode(msg.sender, key, params)), (int256));
        if (address(this).balance > 0) {
            (bool sent,) = msg.sender.call{value: address(this).balance}("");
            require(sent, "ether not returned");
        }
    }

    function unlockCallback(bytes calldata data) external returns (bytes memory) {
        require(msg.sender == address(manager), "only the pool manager");
        (address payer, PoolKey memory key, SwapParams memory params) =
            abi.decode(data, (address, PoolKey, SwapParams));
        int256 delta = manager.swap(key, params, "");
        _even(payer, key.currency0, int128(delta >> 128));
        _even(payer, key.currency1, int128(delta));
        return abi.encode(delta);
    }

    function _even(address payer, address currency, int128 delta) private {
        if (delta > 0) {
            manager.take(currency, payer, uint128(delta));
        } else if (delta < 0) {
            uint256 owed = uint256(-int256(delta));
            manager.sync(currency);
            if (currency == address(0)) {
                manager.settle{value: owed}();
            } else {
                (bool success, bytes memory answer) =
                    currency.call(abi.encodeCall(IPayable.transferFrom, (payer, address(manager), owed)));
                require(success && (answer.length == 0 || abi.decode(answer, (bool))), "token not paid");
                manager.settle();
            }
        }
    }
}

/// A hook without any permission: it may only set the fee of its dynamic-fee pools.
contract FeeSettingHook {
    IPoolManager public immutable manager;
    address public immutable operator;

    constructor(IPoolManager manager_, address operator_) {
        manager = manager_;
        operator = operator_;
    }

    function setFee(PoolKey calldata key, uint24 fee) external {
        require(msg.sender == operator, "not the operator");
        manager.updateDynamicLPFee(key, fee);
    }
}
