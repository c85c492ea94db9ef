// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";

interface IQueuedStakedEther {
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
    function getSharesByPooledEth(uint256 etherAmount) external view returns (uint256);
    function getPooledEthByShares(uint256 sharesAmount) external view returns (uint256);
    function burnShares(uint256 sharesAmount, uint256 etherAmount, address payable recipient) external;
}

/// Withdrawal requests as NFTs, with the read surface of Lido's unstETH.
/// A request is worth at most its stETH amount; a slashing before finalisation lowers what can be claimed.
contract WithdrawalQueue is ERC721("Lido: stETH Withdrawal NFT", "unstETH") {
    using EnumerableSet for EnumerableSet.UintSet;

    struct WithdrawalRequestStatus {
        uint256 amountOfStETH;
        uint256 amountOfShares;
        address owner;
        uint256 timestamp;
        bool isFinalized;
        bool isClaimed;
    }

    struct Request {
        uint256 amount;
        uint256 shares;
        uint256 timestamp;
        uint256 claimable;
        bool claimed;
    }

    uint256 public constant MIN_STETH_WITHDRAWAL_AMOUNT = 100;
    uint256 public constant MAX_STETH_WITHDRAWAL_AMOUNT = 1000 ether;

    IQueuedStakedEther public immutable STETH;
    address public immutable operator;

    uint256 private lastRequest;
    uint256 private lastFinalized;
    mapping(uint256 => Request) private requests;
    mapping(address => EnumerableSet.UintSet) private requestsByOwner;

    event WithdrawalRequested(
        uint256 indexed requestId,
        address indexed requestor,
        address indexed owner,
        uint256 amountOfStETH,
        uint256 amountOfShares
    );
    event WithdrawalsFinalized(
        uint256 indexed from, uint256 indexed to, uint256 amountOfETHLocked, uint256 sharesToBurn, uint256 timestamp
    );
    event WithdrawalClaimed(
        uint256 indexed requestId, address indexed owner, address indexed receiver, uint256 amountOfETH
    );

    error InvalidRequestId(uint256 requestId);
    error RequestNotFoundOrNotFinalized(uint256 requestId);
    error RequestAlreadyClaimed(uint256 requestId);
    error NotOwner(address sender, address owner);

    constructor(IQueuedStakedEther stakedEther, address operator_) {
        STETH = stakedEther;
        operator = operator_;
    }

    receive() external payable {}

    function requestWithdrawals(uint256[] calldata amounts, address owner)
        external
        returns (uint256[] memory requestIds)
    {
        address receiver = owner == address(0) ? msg.sender : owner;
        requestIds = new uint256[](amounts.length);
        for (uint256 i; i < amounts.length; ++i) {
            require(
                amounts[i] >= MIN_STETH_WITHDRAWAL_AMOUNT && amounts[i] <= MAX_STETH_WITHDRAWAL_AMOUNT,
                "REQUEST_AMOUNT_OUT_OF_RANGE"
            );
            uint256 shares = STETH.getSharesByPooledEth(amounts[i]);
            STETH.transferFrom(msg.sender, address(this), amounts[i]);
            uint256 id = ++lastRequest;
            requests[id] = Request(amounts[i], shares, block.timestamp, 0, false);
            requestIds[i] = id;
            _mint(receiver, id);
            emit WithdrawalRequested(id, msg.sender, receiver, amounts[i], shares);
        }
    }

    /// Locks ether for every request up to `lastId`, at today's rate but never above the amount asked for.
    function finalize(uint256 lastId) external {
        require(msg.sender == operator, "APP_AUTH_FAILED");
        if (lastId <= lastFinalized || lastId > lastRequest) revert InvalidRequestId(lastId);
        uint256 locked;
        uint256 burned;
        for (uint256 id = lastFinalized + 1; id <= lastId; ++id) {
            Request storage request = requests[id];
            uint256 worth = STETH.getPooledEthByShares(request.shares);
            request.claimable = worth < request.amount ? worth : request.amount;
            STETH.burnShares(request.shares, request.claimable, payable(address(this)));
            locked += request.claimable;
            burned += request.shares;
        }
        emit WithdrawalsFinalized(lastFinalized + 1, lastId, locked, burned, block.timestamp);
        lastFinalized = lastId;
    }

    function claimWithdrawal(uint256 requestId) external {
        Request storage request = requests[requestId];
        if (requestId == 0 || requestId > lastFinalized) revert RequestNotFoundOrNotFinalized(requestId);
        if (request.claimed) revert RequestAlreadyClaimed(requestId);
        address owner = ownerOf(requestId);
        if (owner != msg.sender) revert NotOwner(msg.sender, owner);
        request.claimed = true;
        _burn(requestId);
        (bool sent,) = payable(owner).call{value: request.claimable}("");
        require(sent, "CANT_SEND_VALUE_RECIPIENT_MAY_HAVE_REVERTED");
        emit WithdrawalClaimed(requestId, owner, owner, request.claimable);
    }

    // ---- reading ----

    /// Requests that `owner` has not claimed yet.
    function getWithdrawalRequests(address owner) external view returns (uint256[] memory requestsIds) {
        return requestsByOwner[owner].values();
    }

    function getWithdrawalStatus(uint256[] calldata requestIds)
        external
        view
        returns (WithdrawalRequestStatus[] memory statuses)
    {
        statuses = new WithdrawalRequestStatus[](requestIds.length);
        for (uint256 i; i < requestIds.length; ++i) {
            uint256 id = requestIds[i];
            if (id == 0 || id > lastRequest) revert InvalidRequestId(id);
            Request storage request = requests[id];
            statuses[i] = WithdrawalRequestStatus(
                request.amount,
                request.shares,
                _ownerOf(id),
                request.timestamp,
                id <= lastFinalized,
                request.claimed
            );
        }
    }

    /// One checkpoint stands for all: this queue keeps what each request is worth beside it.
    function getLastCheckpointIndex() external pure returns (uint256) {
        return 1;
    }

    function findCheckpointHints(uint256[] calldata requestIds, uint256, uint256 last)
        external
        pure
        returns (uint256[] memory hints)
    {
        hints = new uint256[](requestIds.length);
        for (uint256 i; i < requestIds.length; ++i) {
            hints[i] = last;
        }
    }

    /// Ether per request; zero while it waits and after it was claimed. Hints are accepted and not needed.
    function getClaimableEther(uint256[] calldata requestIds, uint256[] calldata)
        external
        view
        returns (uint256[] memory claimable)
    {
        claimable = new uint256[](requestIds.length);
        for (uint256 i; i < requestIds.length; ++i) {
            Request storage request = requests[requestIds[i]];
            claimable[i] = request.claimed ? 0 : request.claimable;
        }
    }

    function getLastRequestId() external view returns (uint256) {
        return lastRequest;
    }

    function getLastFinalizedRequestId() external view returns (uint256) {
        return lastFinalized;
    }

    function _update(address to, uint256 tokenId, address auth) internal override returns (address from) {
        from = super._update(to, tokenId, auth);
        if (from != address(0)) requestsByOwner[from].remove(tokenId);
        if (to != address(0)) requestsByOwner[to].add(tokenId);
    }
}
