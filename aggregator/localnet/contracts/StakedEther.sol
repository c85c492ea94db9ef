// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

/// Share-based rebasing staked ether with Lido's read surface and rounding.
/// A balance is floor(shares * pooled / totalShares): a transfer of n may move n - 1.
contract StakedEther {
    string public constant name = "Liquid staked Ether 2.0";
    string public constant symbol = "stETH";
    uint8 public constant decimals = 18;

    address public immutable operator;
    address public immutable wrapper;

    uint256 private pooledEther;
    uint256 private totalShareSupply;
    mapping(address => uint256) private shareBalance;
    mapping(address => mapping(address => uint256)) public allowance;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event TransferShares(address indexed from, address indexed to, uint256 sharesValue);
    event Approval(address indexed owner, address indexed spender, uint256 value);
    event Submitted(address indexed sender, uint256 amount, address referral);
    event TokenRebased(
        uint256 indexed reportTimestamp,
        uint256 timeElapsed,
        uint256 preTotalShares,
        uint256 preTotalEther,
        uint256 postTotalShares,
        uint256 postTotalEther,
        uint256 sharesMintedAsFees
    );

    uint256 private lastReport;

    constructor(address operator_, address wrapper_) {
        operator = operator_;
        wrapper = wrapper_;
        lastReport = block.timestamp;
    }

    modifier onlyOperator() {
        require(msg.sender == operator, "APP_AUTH_FAILED");
        _;
    }

    // ---- reading ----

    function getTotalPooledEther() external view returns (uint256) {
        return pooledEther;
    }

    function getTotalShares() external view returns (uint256) {
        return totalShareSupply;
    }

    function totalSupply() external view returns (uint256) {
        return pooledEther;
    }

    function sharesOf(address account) external view returns (uint256) {
        return shareBalance[account];
    }

    function balanceOf(address account) external view returns (uint256) {
        return getPooledEthByShares(shareBalance[account]);
    }

    /// Rounds down.
    function getPooledEthByShares(uint256 sharesAmount) public view returns (uint256) {
        return totalShareSupply == 0 ? 0 : (sharesAmount * pooledEther) / totalShareSupply;
    }

    /// Rounds down; one to one before the first deposit.
    function getSharesByPooledEth(uint256 etherAmount) public view returns (uint256) {
        return pooledEther == 0 ? etherAmount : (etherAmount * totalShareSupply) / pooledEther;
    }

    // ---- moving ----

    receive() external payable {
        _submit(address(0));
    }

    function submit(address referral) external payable returns (uint256) {
        return _submit(referral);
    }

    function _submit(address referral) private returns (uint256 sharesAmount) {
        require(msg.value != 0, "ZERO_DEPOSIT");
        sharesAmount = getSharesByPooledEth(msg.value);
        emit Submitted(msg.sender, msg.value, referral);
        _grow(msg.sender, sharesAmount, msg.value);
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        emit Approval(msg.sender, spender, amount);
        return true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        _moveShares(msg.sender, to, getSharesByPooledEth(amount), amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        _spendAllowance(from, amount);
        _moveShares(from, to, getSharesByPooledEth(amount), amount);
        return true;
    }

    function transferShares(address to, uint256 sharesAmount) external returns (uint256 amount) {
        amount = getPooledEthByShares(sharesAmount);
        _moveShares(msg.sender, to, sharesAmount, amount);
    }

    function transferSharesFrom(address from, address to, uint256 sharesAmount) external returns (uint256 amount) {
        amount = getPooledEthByShares(sharesAmount);
        _spendAllowance(from, amount);
        _moveShares(from, to, sharesAmount, amount);
    }

    function _spendAllowance(address from, uint256 amount) private {
        uint256 allowed = allowance[from][msg.sender];
        if (allowed == type(uint256).max) return;
        require(allowed >= amount, "ALLOWANCE_EXCEEDED");
        allowance[from][msg.sender] = allowed - amount;
    }

    function _moveShares(address from, address to, uint256 sharesAmount, uint256 amount) private {
        require(to != address(0) && to != address(this), "TRANSFER_TO_REFUSED");
        require(shareBalance[from] >= sharesAmount, "BALANCE_EXCEEDED");
        shareBalance[from] -= sharesAmount;
        shareBalance[to] += sharesAmount;
        emit Transfer(from, to, amount);
        emit TransferShares(from, to, sharesAmount);
    }

    // ---- what the beacon chain and the oracle do ----

    /// An oracle report: the pooled ether becomes `newPooledEther` (more: rewards, less: slashing).
    /// `feeShares` go to the operator, which dilutes everybody else.
    function report(uint256 newPooledEther, uint256 feeShares) external payable onlyOperator {
        uint256 oldPooledEther = pooledEther;
        uint256 oldShares = totalShareSupply;
        pooledEther = newPooledEther;
        totalShareSupply = oldShares + feeShares;
        shareBalance[operator] += feeShares;
        emit TokenRebased(
            block.timestamp,
            block.timestamp - lastReport,
            oldShares,
            oldPooledEther,
            totalShareSupply,
            newPooledEther,
            feeShares
        );
        if (feeShares != 0) emit TransferShares(address(0), operator, feeShares);
        lastReport = block.timestamp;
    }

    /// A deposit whose ether is with the validators already.
    function mint(address to, uint256 amount) external onlyOperator {
        uint256 sharesAmount = getSharesByPooledEth(amount);
        _grow(to, sharesAmount, amount);
    }

    /// The same, in shares: what they are worth, rounded up, joins the pool. For the wrapper's own minting.
    function mintShares(address to, uint256 sharesAmount) external {
        require(msg.sender == wrapper, "APP_AUTH_FAILED");
        uint256 worth = totalShareSupply == 0
            ? sharesAmount
            : (sharesAmount * pooledEther + totalShareSupply - 1) / totalShareSupply;
        _grow(to, sharesAmount, worth);
    }

    function _grow(address to, uint256 sharesAmount, uint256 etherAmount) private {
        pooledEther += etherAmount;
        totalShareSupply += sharesAmount;
        shareBalance[to] += sharesAmount;
        emit Transfer(address(0), to, getPooledEthByShares(sharesAmount));
        emit TransferShares(address(0), to, sharesAmount);
    }

    /// Burns the caller's shares and sends ether to `recipient`; the withdrawal queue's way out.
    /// Shares worth more than the ether asked for leave the difference to the remaining holders.
    function burnShares(uint256 sharesAmount, uint256 etherAmount, address payable recipient) external {
        require(etherAmount <= getPooledEthByShares(sharesAmount), "ETHER_EXCEEDS_SHARES");
        shareBalance[msg.sender] -= sharesAmount;
        totalShareSupply -= sharesAmount;
        pooledEther -= etherAmount;
        emit TransferShares(msg.sender, address(0), sharesAmount);
        (bool sent,) = recipient.call{value: etherAmount}("");
        require(sent, "ETHER_NOT_SENT");
    }
}
