// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

/// The contract behind a price feed, its rounds numbered from 1. The past lies in the code of a contract of its own
/// (11 bytes a round: minutes since the first round, answer), which costs a node nothing to carry from block to block;
/// what is transmitted lies in storage.
contract PriceAggregator {
    struct Round {
        int192 answer;
        uint64 timestamp;
    }

    uint256 private constant WIDTH = 11;

    uint256 public constant version = 6;
    uint8 public immutable decimals;
    int192 public immutable minAnswer;
    int192 public immutable maxAnswer;
    address public immutable transmitter;
    string public description;

    address private past;
    uint32 private pastRounds;
    uint64 private pastStart;
    uint32 private latest;
    mapping(uint32 round => Round) private rounds;

    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);
    event NewRound(uint256 indexed roundId, address indexed startedBy, uint256 startedAt);

    constructor(
        string memory description_,
        uint8 decimals_,
        int192 minAnswer_,
        int192 maxAnswer_,
        address transmitter_
    ) {
        description = description_;
        decimals = decimals_;
        minAnswer = minAnswer_;
        maxAnswer = maxAnswer_;
        transmitter = transmitter_;
    }

    /// The past, once and before anything else: rounds packed as timestamp << 192 | answer, oldest first, whole minutes
    /// after the first one, answers below 2^63.
    function append(uint256[] calldata packed) external {
        require(msg.sender == transmitter, "unauthorized transmitter");
        require(latest == 0, "already started");
        uint64 start = uint64(packed[0] >> 192);
        bytes memory records = new bytes(packed.length * WIDTH + 32);
        for (uint256 index = 0; index < packed.length; index++) {
            uint256 elapsed = (packed[index] >> 192) - start;
            uint256 answer = uint192(packed[index]);
            require(elapsed % 60 == 0 && elapsed / 60 < 2 ** 24 && answer < 2 ** 63, "round does not fit");
            uint256 record = ((elapsed / 60) << 64) | answer;
            assembly {
                mstore(add(add(records, 32), mul(index, WIDTH)), shl(168, record))
            }
        }
        assembly {
            mstore(records, mul(packed.length, WIDTH))
        }
        // Init code that returns what follows it.
        bytes memory creation = abi.encodePacked(hex"61", uint16(records.length), hex"80600a3d393df3", records);
        address store;
        assembly {
            store := create(0, add(creation, 32), mload(creation))
        }
        require(store != address(0), "past too long");
        past = store;
        pastStart = start;
        pastRounds = uint32(packed.length);
        latest = uint32(packed.length);
    }

    /// A new round at this block's time. A price outside the bounds is refused: the feed keeps showing the last one.
    function transmit(int192 answer) external {
        require(msg.sender == transmitter, "unauthorized transmitter");
        require(minAnswer <= answer && answer <= maxAnswer, "median is out of min-max range");
        uint32 round = ++latest;
        rounds[round] = Round(answer, uint64(block.timestamp));
        emit NewRound(round, msg.sender, block.timestamp);
        emit AnswerUpdated(answer, round, block.timestamp);
    }

    function latestRound() external view returns (uint256) {
        return latest;
    }

    function latestAnswer() external view returns (int256 answer) {
        (, answer, , , ) = getRoundData(latest);
    }

    function latestTimestamp() external view returns (uint256 updatedAt) {
        (, , , updatedAt, ) = getRoundData(latest);
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        require(latest != 0, "No data present");
        return getRoundData(latest);
    }

    /// A round that does not exist is all zeros, as the original answers.
    function getRoundData(
        uint80 roundId
    ) public view returns (uint80, int256 answer, uint256 startedAt, uint256 updatedAt, uint80) {
        Round memory round;
        if (roundId != 0 && roundId <= pastRounds) {
            round = _past(uint32(roundId));
        } else if (roundId <= latest) {
            round = rounds[uint32(roundId)];
        }
        return (roundId, round.answer, round.timestamp, round.timestamp, roundId);
    }

    function _past(uint32 number) private view returns (Round memory) {
        address store = past;
        uint256 offset = (number - 1) * WIDTH;
        uint256 record;
        assembly {
            mstore(0, 0)
            extcodecopy(store, 21, offset, WIDTH)
            record := mload(0)
        }
        return Round(int192(int256(record & type(uint64).max)), pastStart + uint64(record >> 64) * 60);
    }
}

interface RoundSource {
    function decimals() external view returns (uint8);
    function description() external view returns (string memory);
    function version() external view returns (uint256);
    function getRoundData(uint80) external view returns (uint80, int256, uint256, uint256, uint80);
    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80);
}

/// What readers know as the feed: a stable address in front of one aggregator after another, each a phase. Round ids
/// hold the phase in their upper 16 bits, so going back by one ends at a phase's first round.
contract AggregatorProxy {
    uint256 private constant PHASE_OFFSET = 64;

    address public immutable owner;
    uint16 public phaseId;
    mapping(uint16 phase => address) public phaseAggregators;

    constructor(address[] memory aggregators, address owner_) {
        owner = owner_;
        for (uint256 index = 0; index < aggregators.length; index++) {
            phaseAggregators[++phaseId] = aggregators[index];
        }
    }

    /// The next phase begins: its aggregator's rounds follow the present one's.
    function switchTo(address next) external {
        require(msg.sender == owner, "Only callable by owner");
        phaseAggregators[++phaseId] = next;
    }

    function aggregator() public view returns (address) {
        return phaseAggregators[phaseId];
    }

    function decimals() external view returns (uint8) {
        return RoundSource(aggregator()).decimals();
    }

    function description() external view returns (string memory) {
        return RoundSource(aggregator()).description();
    }

    function version() external view returns (uint256) {
        return RoundSource(aggregator()).version();
    }

    function latestRoundData() public view returns (uint80, int256, uint256, uint256, uint80) {
        (uint80 round, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredIn) = RoundSource(
            aggregator()
        ).latestRoundData();
        return (_withPhase(phaseId, round), answer, startedAt, updatedAt, _withPhase(phaseId, answeredIn));
    }

    function getRoundData(uint80 roundId) public view returns (uint80, int256, uint256, uint256, uint80) {
        uint16 phase = uint16(roundId >> PHASE_OFFSET);
        (uint80 round, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredIn) = RoundSource(
            phaseAggregators[phase]
        ).getRoundData(uint64(roundId));
        return (_withPhase(phase, round), answer, startedAt, updatedAt, _withPhase(phase, answeredIn));
    }

    function latestAnswer() external view returns (int256 answer) {
        (, answer, , , ) = latestRoundData();
    }

    function latestTimestamp() external view returns (uint256 updatedAt) {
        (, , , updatedAt, ) = latestRoundData();
    }

    function latestRound() external view returns (uint256 round) {
        (round, , , , ) = latestRoundData();
    }

    function getAnswer(uint256 roundId) external view returns (int256 answer) {
        (, answer, , , ) = getRoundData(uint80(roundId));
    }

    function getTimestamp(uint256 roundId) external view returns (uint256 updatedAt) {
        (, , , updatedAt, ) = getRoundData(uint80(roundId));
    }

    function _withPhase(uint16 phase, uint80 round) private pure returns (uint80) {
        return uint80((uint256(phase) << PHASE_OFFSET) | round);
    }
}

/// Tells whether a rollup's sequencer is up: answer 0 is up, 1 is down, `startedAt` is since when.
contract SequencerUptime {
    uint8 public constant decimals = 0;
    string public constant description = "L2 Sequencer Uptime Status Feed";
    uint256 public constant version = 1;
    address public immutable transmitter;

    uint80 private round;
    bool private down;
    uint256 private since;
    uint256 private updated;

    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);

    constructor(uint256 upSince, address transmitter_) {
        transmitter = transmitter_;
        round = 1;
        since = upSince;
        updated = upSince;
    }

    function set(bool isDown) external {
        require(msg.sender == transmitter, "unauthorized transmitter");
        if (isDown != down) {
            round++;
            down = isDown;
            since = block.timestamp;
            emit AnswerUpdated(isDown ? int256(1) : int256(0), round, block.timestamp);
        }
        updated = block.timestamp;
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return (round, down ? int256(1) : int256(0), since, updated, round);
    }
}
