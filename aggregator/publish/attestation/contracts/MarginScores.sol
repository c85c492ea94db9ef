// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

import {COMPLETE, ChainBlock, MarginScore, OffchainLookup, ScoreEpoch} from "./MarginScoreTypes.sol";

/// What a gateway is asked, as the selector and arguments of the request.
interface IMarginScoreGateway {
    function attest(address owner, uint256 chainId, address verifier) external view returns (MarginScore memory, bytes memory);
}

/// Verifies signed margin scores: in hand, fetched from a gateway (ERC-3668), or included in a signed epoch.
///
/// A statement is good on one chain and in one contract only, until it expires, from a known signer, and when it covers
/// as much as the caller asks for. Everything else reverts with the reason. What a signer signed ends when the admin lets him go, and
/// within a day by itself.
contract MarginScores is EIP712, Ownable2Step {
    /// How far the clock of this chain may be behind the chains that a statement was read at.
    uint64 public constant CLOCK_TOLERANCE = 15 minutes;
    /// How long anything may be good, counted from its oldest block: no signer can sign for ever.
    uint64 public constant LONGEST_VALIDITY = 1 days;

    bytes32 private constant _BLOCK_TYPE = keccak256("ChainBlock(uint64 chainId,uint64 number,bytes32 hash)");
    bytes32 private constant _SCORE_TYPE = keccak256(
        "MarginScore(address owner,uint16 score,uint64 probabilityHour,uint64 probabilityDay,uint64 probabilityWeek,"
        "int256 marginRatio,int256 lowestHealthFactor,uint16 coverage,ChainBlock[] blocks,string model,bytes32 parameters,"
        "bytes32 snapshot,uint64 asOf,uint64 validUntil)ChainBlock(uint64 chainId,uint64 number,bytes32 hash)"
    );
    bytes32 private constant _EPOCH_TYPE =
        keccak256("ScoreEpoch(uint64 epoch,bytes32 root,uint32 count,uint64 asOf,uint64 validUntil)");

    /// An epoch that somebody brought, and whose signature it came with.
    struct PublishedEpoch {
        ScoreEpoch epoch;
        address signer;
    }

    mapping(address signer => bool known) public isSigner;
    mapping(uint64 epoch => PublishedEpoch published) private _epochs;
    string[] private _urls;

    event SignerSet(address indexed signer, bool known);
    event UrlsSet(string[] urls);
    event EpochPublished(uint64 indexed epoch, bytes32 root, uint32 count, uint64 validUntil, address indexed signer);

    error WrongSigner(address signer);
    error WrongOwner(address asked, address answered);
    error Expired(uint64 validUntil, uint256 timestamp);
    error TooOld(uint64 asOf, uint256 timestamp);
    error FromTheFuture(uint64 asOf, uint256 timestamp);
    error GoodForTooLong(uint64 asOf, uint64 validUntil);
    error LowCoverage(uint16 coverage, uint16 minimum);
    error NotIncluded(bytes32 root);
    error UnknownEpoch(uint64 epoch);
    error EpochExists(uint64 epoch);

    constructor(address admin, address signer, string[] memory gateways) EIP712("Crossmargin", "1") Ownable(admin) {
        isSigner[signer] = true;
        emit SignerSet(signer, true);
        _urls = gateways;
        emit UrlsSet(gateways);
    }

    // --- asking -----------------------------------------------------------------------------------------------------

    /// The verified score of `owner`, of complete coverage. The caller's library follows the off-chain lookup by itself.
    function marginScore(address owner) external view returns (MarginScore memory) {
        _lookUp(owner, COMPLETE, type(uint64).max);
    }

    /// The same with the caller's own limits: coverage in basis points, and age of the oldest block in seconds.
    function marginScoreWithin(address owner, uint16 minimumCoverage, uint64 maximumAge) external view returns (MarginScore memory) {
        _lookUp(owner, minimumCoverage, maximumAge);
    }

    /// Where a lookup comes back to.
    function marginScoreAnswer(bytes calldata response, bytes calldata extraData) external view returns (MarginScore memory) {
        (address owner, uint16 minimumCoverage, uint64 maximumAge) = abi.decode(extraData, (address, uint16, uint64));
        return check(owner, response, minimumCoverage, maximumAge);
    }

    /// Verifies a gateway's answer for another contract that did the lookup.
    function check(address owner, bytes calldata response, uint16 minimumCoverage, uint64 maximumAge)
        public
        view
        returns (MarginScore memory score)
    {
        bytes memory signature;
        (score, signature) = abi.decode(response, (MarginScore, bytes));
        if (score.owner != owner) revert WrongOwner(owner, score.owner);
        _requireSigned(hashScore(score), signature);
        _requireGood(score, minimumCoverage, maximumAge);
    }

    // --- verifying what is in hand ------------------------------------------------------------------------------------

    /// Reverts unless `score` is signed for this contract, in time and complete.
    function verify(MarginScore calldata score, bytes calldata signature) external view {
        _requireSigned(hashScore(score), signature);
        _requireGood(score, COMPLETE, type(uint64).max);
    }

    /// Reverts unless `score` is part of the signed epoch, in time and complete.
    function verifyIncluded(MarginScore calldata score, ScoreEpoch calldata epoch, bytes calldata signature, bytes32[] calldata proof)
        external
        view
    {
        _requireSigned(hashEpoch(epoch), signature);
        _requireCurrent(epoch.asOf, epoch.validUntil);
        _requireIncluded(score, epoch.root, proof);
    }

    /// The same against an epoch that was published here.
    function verifyPublished(MarginScore calldata score, uint64 epoch, bytes32[] calldata proof) external view {
        ScoreEpoch memory published = publishedEpoch(epoch);
        _requireCurrent(published.asOf, published.validUntil);
        _requireIncluded(score, published.root, proof);
    }

    // --- epochs -----------------------------------------------------------------------------------------------------------

    /// Stores a signed epoch; anybody may bring it. Its number is taken as long as the signer of what stands there is known.
    function publishEpoch(ScoreEpoch calldata epoch, bytes calldata signature) external {
        PublishedEpoch storage place = _epochs[epoch.epoch];
        if (place.epoch.validUntil != 0 && isSigner[place.signer]) revert EpochExists(epoch.epoch);
        address signer = _requireSigned(hashEpoch(epoch), signature);
        _requireCurrent(epoch.asOf, epoch.validUntil);
        place.epoch = epoch;
        place.signer = signer;
        emit EpochPublished(epoch.epoch, epoch.root, epoch.count, epoch.validUntil, signer);
    }

    /// Reverts where there is none, and where its signer is no longer known.
    function publishedEpoch(uint64 epoch) public view returns (ScoreEpoch memory published) {
        PublishedEpoch storage place = _epochs[epoch];
        published = place.epoch;
        if (published.validUntil == 0) revert UnknownEpoch(epoch);
        if (!isSigner[place.signer]) revert WrongSigner(place.signer);
    }

    // --- administration -------------------------------------------------------------------------------------------------

    function setSigner(address signer, bool known) external onlyOwner {
        isSigner[signer] = known;
        emit SignerSet(signer, known);
    }

    function setUrls(string[] calldata gateways) external onlyOwner {
        _urls = gateways;
        emit UrlsSet(gateways);
    }

    function urls() external view returns (string[] memory) {
        return _urls;
    }

    // --- hashes -----------------------------------------------------------------------------------------------------------

    /// The request that a gateway answers for `owner` on behalf of this contract.
    function request(address owner) public view returns (bytes memory) {
        return abi.encodeCall(IMarginScoreGateway.attest, (owner, block.chainid, address(this)));
    }

    /// EIP-712 hash of a statement without the domain: what a Merkle leaf commits to.
    function hashScore(MarginScore memory score) public pure returns (bytes32) {
        bytes32[] memory blocks = new bytes32[](score.blocks.length);
        for (uint256 i = 0; i < blocks.length; ++i) {
            ChainBlock memory one = score.blocks[i];
            blocks[i] = keccak256(abi.encode(_BLOCK_TYPE, one.chainId, one.number, one.hash));
        }
        bytes memory figures = abi.encode(
            _SCORE_TYPE,
            score.owner,
            score.score,
            score.probabilityHour,
            score.probabilityDay,
            score.probabilityWeek,
            score.marginRatio,
            score.lowestHealthFactor
        );
        bytes memory provenance = abi.encode(
            score.coverage,
            keccak256(abi.encodePacked(blocks)),
            keccak256(bytes(score.model)),
            score.parameters,
            score.snapshot,
            score.asOf,
            score.validUntil
        );
        return keccak256(bytes.concat(figures, provenance));
    }

    function hashEpoch(ScoreEpoch memory epoch) public pure returns (bytes32) {
        return keccak256(abi.encode(_EPOCH_TYPE, epoch.epoch, epoch.root, epoch.count, epoch.asOf, epoch.validUntil));
    }

    // --- checks -----------------------------------------------------------------------------------------------------------

    function _lookUp(address owner, uint16 minimumCoverage, uint64 maximumAge) private view {
        revert OffchainLookup(
            address(this), _urls, request(owner), this.marginScoreAnswer.selector, abi.encode(owner, minimumCoverage, maximumAge)
        );
    }

    function _requireSigned(bytes32 structHash, bytes memory signature) private view returns (address signer) {
        signer = ECDSA.recover(_hashTypedDataV4(structHash), signature);
        if (!isSigner[signer]) revert WrongSigner(signer);
    }

    function _requireGood(MarginScore memory score, uint16 minimumCoverage, uint64 maximumAge) private view {
        _requireCurrent(score.asOf, score.validUntil);
        if (block.timestamp > score.asOf && block.timestamp - score.asOf > maximumAge) revert TooOld(score.asOf, block.timestamp);
        if (score.coverage < minimumCoverage) revert LowCoverage(score.coverage, minimumCoverage);
    }

    function _requireIncluded(MarginScore calldata score, bytes32 root, bytes32[] calldata proof) private view {
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(score.owner, hashScore(score)))));
        if (!MerkleProof.verifyCalldata(proof, root, leaf)) revert NotIncluded(root);
        _requireGood(score, COMPLETE, type(uint64).max);
    }

    function _requireCurrent(uint64 asOf, uint64 validUntil) private view {
        if (validUntil > asOf && validUntil - asOf > LONGEST_VALIDITY) revert GoodForTooLong(asOf, validUntil);
        if (block.timestamp > validUntil) revert Expired(validUntil, block.timestamp);
        if (asOf > block.timestamp + CLOCK_TOLERANCE) revert FromTheFuture(asOf, block.timestamp);
    }
}
