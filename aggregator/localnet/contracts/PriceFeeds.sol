// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

/// The contract behind a price feed: rounds numbered from 1, one storage slot each.
contract PriceAggregator {
    struct Round {
        int192 answer;
        uint64 timestamp;
    }

    uint256 public constant version = 6;
    uint8 public immutable decimals;
    int192 public immutable minAnswer;
    int192 public immutable maxAnswer;
    address public immutable transmitter;
    string public description;

    uint32 private latest;
    mapping(uint32 round => Round) private rounds;

    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);
    event NewRound(uint256 indexed roundId, address indexed startedBy, uint256 startedAt);

    modifier onlyTransmitter() {
        require(msg.sender == transmitter, "unauthorized transmitter");
        _;
    }

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

    /// A new round at this block's time. A price outside the bounds is refused: the feed keeps showing the last one.
    function transmit(int192 answer) external onlyTransmitter {
        require(minAnswer <= answer && answer <= maxAnswer, "median is out of min-max range");
        uint32 round = ++latest;
        rounds[round] = Round(answer, uint64(block.timestamp));
        emit NewRound(round, msg.sender, block.timestamp);
        emit AnswerUpdated(answer, round, block.timestamp);
    }

    /// Append past rounds, each packed as timestamp << 192 | answer.
    function append(uint256[] calldata packed) external onlyTransmitter {
        uint32 round = latest;
        for (uint256 index = 0; index < packed.length; index++) {
            rounds[++round] = Round(int192(uint192(packed[index])), uint64(packed[index] >> 192));
        }
        latest = round;
    }

    function latestRound() external view returns (uint256) {
        return latest;
    }

    function latestAnswer() external view returns (int256) {
        return rounds[latest].answer;
    }

    function latestTimestamp() external view returns (uint256) {
        return rounds[latest].timestamp;
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        require(latest != 0, "No data present");
        return getRoundData(latest);
    }

    /// A round that does not exist is all zeros, as the original answers.
    function getRoundData(
        uint80 roundId
    ) public view returns (uint80, int256 answer, uint256 startedAt, uint256 updatedAt, uint80) {
        Round memory round = roundId <= type(uint32).max ? rounds[uint32(roundId)] : Round(0, 0);
        return (roundId, round.answer, round.timestamp, round.timestamp, roundId);
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
