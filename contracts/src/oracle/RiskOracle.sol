// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {Config, ReportKind} from "./Config.sol";
import {LaneMath} from "./LaneMath.sol";
import "./Lanes.sol";
import {Markets} from "./Markets.sol";
import {Medians} from "./Medians.sol";
import {Fate, Limits, Policy, SkipReason, Steps, Verdict} from "./Policy.sol";
import {Quorum} from "./Quorum.sol";
import {Reports} from "./Reports.sol";
import {Stamp} from "./Stamp.sol";
import {WholeState} from "./WholeState.sol";

/// @title A quorum's signed figures, bounded and stamped, two words a market.
/// @notice Anyone may publish: authority is in the signatures. Governance chooses the kind of report: each member signs
/// its own words and the contract takes the median of every lane, or a quorum signs the medians. Either way figures
/// outside governance's bounds halt their market (its last good words stay), loosening is held to a step and a daily
/// budget, and the time of observation is stamped. One market never blocks another unless governance grouped them.
contract RiskOracle is Markets, AccessManaged {
    using Config for address;
    using Config for bytes;
    using LaneMath for uint256;
    using Stamp for uint256;

    /// @dev What one publication carries through the loop over its markets.
    struct Batch {
        bytes config;
        uint256 round;
        uint256 observedAt;
        uint256 firstMarket;
        uint256 end; // the market after the last
    }

    /// @dev A mark is all of a market that decides its limits and steps: its key in the top bits, and of the stored
    /// market word the time and the flags that stand in the way of writing.
    uint256 private constant KEY_SHIFT = 232;
    uint256 private constant TAG = STAMP_MAX << STAMP_SHIFT | (Stamp.HALT | Stamp.RESUMED) << FLAGS_SHIFT;

    /// @dev Of a mark, what a market has that is not written by the short way: a group or a ring, a halt or a resume.
    uint256 private constant UNUSUAL = 0xffff << KEY_SHIFT | (Stamp.HALT | Stamp.RESUMED) << FLAGS_SHIFT;

    uint256 private constant HISTORY = uint256(type(uint160).max) << 96;

    /// @notice A quorum published. The words are in the transaction's calldata; a market whose stored words are not the
    /// published ones has an event of its own in the same transaction.
    /// @param published From the lowest bit: first market (16 bits), number of markets (16), bitmap of the members who
    /// signed (32, then 32 zero), history hash after it (160).
    event Published(uint32 indexed round, uint256 published);
    /// @notice A step limit or a budget held at least one lane back; the words are those before it.
    event StepLimited(uint16 indexed id, uint32 indexed round, uint256 risk, uint256 market);
    /// @notice The words are those that were refused; if the guardian halted the market, those stored.
    event Halted(uint16 indexed id, uint32 indexed round, HaltReason reason, uint256 risk, uint256 market);
    event Skipped(uint16 indexed id, uint32 indexed round, SkipReason reason);
    event Resumed(uint16 indexed id);

    error WrongKind(ReportKind got, ReportKind wanted);
    error Future(uint256 observedAt, uint256 latest);
    error TooOld(uint256 observedAt, uint256 earliest);
    error UnknownMarket(uint256 id, uint256 markets);
    error StrayBits(uint256 stray);
    error NothingNew(uint256 observedAt, uint256 lastObservedAt);
    error NotHalted(uint16 id);
    error AlreadyHalted(uint16 id);

    /// @dev The domain separator, and the chain that it is of: after a fork of the chain it is worked out anew.
    bytes32 private immutable _domainAtFirst;
    uint256 private immutable _chainAtFirst;
    /// @dev Whose code answers `state`.
    address private immutable _wholeState;

    constructor(address authority, address registry_, uint32 period_, uint32 agingAfter_, uint32 staleAfter_)
        Markets(registry_, period_, agingAfter_, staleAfter_)
        AccessManaged(authority)
    {
        (_domainAtFirst, _chainAtFirst) = (Reports.domain(), block.chainid);
        _wholeState = address(new WholeState(registry_, period_, agingAfter_, staleAfter_));
    }

    // --- publishing -------------------------------------------------------------------------------------------------

    /// @notice Write the medians of a quorum's own words.
    /// @param round Observed at `round * period`.
    /// @param firstMarket Id of the first market; the words are of consecutive ones.
    /// @param memberBitmap Who signed: bit i is member i of the epoch. Exactly a quorum.
    /// @param rvs Signatures (EIP-2098) as pairs r, vs, in the order of the bits.
    /// @param words For each signer in that order: risk, market, risk, market, … A zero word is an abstention.
    function publish(
        uint32 round,
        uint16 firstMarket,
        uint256 memberBitmap,
        bytes32[] calldata rvs,
        uint256[] calldata words
    ) external {
        uint256 header = _header;
        (uint256 epoch, bytes memory config) = _bind(header, round);
        uint256 quorum = config.quorum();
        (uint256 observedAt, uint256 end) =
            _open(config, ReportKind.OWN_WORDS, round, firstMarket, memberBitmap, rvs.length, words.length, 2 * quorum);
        bytes32[] memory digests = Reports.ownWords(_domain(), epoch, round, firstMarket, config, words, quorum);
        Quorum.requireSignedBy(config, digests, memberBitmap, rvs);
        (uint256[] memory figures, uint256 stray) = Medians.ofMembers(words, quorum);
        if (stray != 0) revert StrayBits(stray);
        _settle(Batch(config, round, observedAt, firstMarket, end), figures);
        _close(header, digests, round, firstMarket, end, memberBitmap);
    }

    /// @notice Write medians that a quorum agreed on and signed.
    /// @param evidenceRoot Names the own words that the medians are of: the hash of, for each member whose words went in
    /// and in their order, its index (one byte) and the hash of its packed words. Signed, and not checked here.
    /// @param words Risk, market, risk, market, … A zero word is an abstention.
    function publishCoSigned(
        uint32 round,
        uint16 firstMarket,
        uint256 memberBitmap,
        bytes32[] calldata rvs,
        bytes32 evidenceRoot,
        uint256[] calldata words
    ) external {
        uint256 header = _header;
        (uint256 epoch, bytes memory config) = _bind(header, round);
        (uint256 observedAt, uint256 end) =
            _open(config, ReportKind.CO_SIGNED, round, firstMarket, memberBitmap, rvs.length, words.length, 2);
        bytes32[] memory digests = Reports.coSigned(_domain(), epoch, round, firstMarket, config, evidenceRoot, words);
        Quorum.requireSignedBy(config, digests, memberBitmap, rvs);
        uint256[] memory figures = Medians.ofOne(words);
        _settle(Batch(config, round, observedAt, firstMarket, end), figures);
        _close(header, digests, round, firstMarket, end, memberBitmap);
    }

    function _domain() private view returns (bytes32) {
        return block.chainid == _chainAtFirst ? _domainAtFirst : Reports.domain();
    }

    /// @dev The settings that bind a round.
    function _bind(uint256 header, uint256 round) private view returns (uint256 epoch, bytes memory config) {
        epoch = _epochOf(header, round);
        if (epoch == 0) revert Quorum.NoEpoch();
        config = Config.addressOf(registry, epoch).load();
    }

    /// @dev Everything about a publication that can be judged before its signatures.
    /// @param each How many words there are of each market.
    /// @return observedAt Unix seconds of the round. @return end The market after the last.
    function _open(
        bytes memory config,
        ReportKind kind,
        uint256 round,
        uint256 firstMarket,
        uint256 memberBitmap,
        uint256 signatures,
        uint256 length,
        uint256 each
    ) private view returns (uint256 observedAt, uint256 end) {
        unchecked {
            observedAt = round * period; // 32 bits each
            bool taken;
            (taken, end) = config.takes(kind, observedAt, firstMarket, memberBitmap, signatures, length, each);
            if (!taken) _refuse(config, kind, observedAt, firstMarket, memberBitmap, signatures, length, each);
        }
    }

    /// @dev Say what `Config.takes` did not take, each condition in the order in which it would have been judged.
    function _refuse(
        bytes memory config,
        ReportKind kind,
        uint256 observedAt,
        uint256 firstMarket,
        uint256 memberBitmap,
        uint256 signatures,
        uint256 length,
        uint256 each
    ) private view {
        if (kind != config.kind()) revert WrongKind(kind, config.kind());
        Quorum.requireQuorum(config, memberBitmap, signatures);
        uint256 latest = block.timestamp + config.maxSkew();
        if (observedAt > latest) revert Future(observedAt, latest);
        if (observedAt + config.maxReportAge() < block.timestamp) {
            revert TooOld(observedAt, block.timestamp - config.maxReportAge());
        }
        uint256 markets = length / each;
        if (markets == 0 || markets * each != length) {
            revert Quorum.WrongLength(length, each * (markets == 0 ? 1 : markets));
        }
        revert UnknownMarket(firstMarket + markets - 1, config.marketCount());
    }

    /// @dev history' = first 160 bits of keccak256(history ‖ 96 zero bits ‖ keccak256(digests signed)).
    function _close(
        uint256 header,
        bytes32[] memory digests,
        uint32 round,
        uint256 firstMarket,
        uint256 end,
        uint256 memberBitmap
    ) private {
        uint256 history = header & HISTORY;
        assembly ("memory-safe") {
            mstore(0x00, history)
            mstore(0x20, keccak256(add(digests, 32), shl(5, mload(digests))))
            history := keccak256(0x00, 0x40)
        }
        history &= HISTORY;
        _header = history | header & ~HISTORY;
        unchecked {
            emit Published(round, history | memberBitmap << 32 | (end - firstMarket) << 16 | firstMarket);
        }
    }

    // --- writing ----------------------------------------------------------------------------------------------------

    /// @param figures Risk and market word of each market in turn.
    /// @dev Markets of one key that were last written at the same time share limits and steps. Those are worked out at
    /// the first of them, and then all that pass are written in one tight loop.
    function _settle(Batch memory b, uint256[] memory figures) private {
        Steps memory steps;
        uint256 next = _writePassing(b, steps, figures, b.firstMarket);
        if (next != b.end) _settleFrom(b, steps, figures, next);
    }

    /// @dev All markets from `first` on, whatever becomes of them.
    function _settleFrom(Batch memory b, Steps memory steps, uint256[] memory figures, uint256 first) private {
        unchecked {
            uint256 idle = 0;
            for (uint256 id = first; id < b.end;) {
                (uint256 run, uint256 left) = _settleApart(b, figures, id - b.firstMarket);
                (id, idle) = (id + run, idle + left);
                if (id < b.end) id = _writePassing(b, steps, figures, id);
            }
            if (idle == b.end - b.firstMarket) _nothingNew(b);
        }
    }

    /// @dev Write markets from `id` on while nothing but their figures can stand in the way, they have the mark of the
    /// first, and their figures pass.
    /// @return The first that was not written.
    function _writePassing(Batch memory b, Steps memory steps, uint256[] memory figures, uint256 id)
        private
        returns (uint256)
    {
        unchecked {
            uint256 slot = _slotOf(id);
            (uint256 oldRisk, uint256 oldMarket) = _loadAt(slot);
            bytes memory config = b.config;
            uint256 key = config.keyPlace(id);
            uint256 mark = Config.maskedKeyAt(key) | oldMarket & TAG;
            if (!_usual(b, mark)) return id;
            Limits memory limits = config.class(Config.classIn(mark >> KEY_SHIFT))[0];
            Policy.setSteps(steps, limits, mark.observedAt(), b.observedAt, config.paused());
            uint256 stamp = _stamp(b);
            uint256 place = _placeOf(figures, id - b.firstMarket);
            uint256 end = _placeOf(figures, b.end - b.firstMarket);
            mark = mark.kept(); // or the optimiser would work it out again at every market
            while (true) {
                (uint256 risk, uint256 market) = _pairAt(place);
                if (!Policy.passes(limits, steps, oldRisk, oldMarket.unstamped(), risk, market)) break;
                _storeAt(slot, risk, market | stamp);
                (slot, place, key) = (slot + 2, place + 64, key + Config.MARKET_BYTES);
                if (place == end) break;
                (oldRisk, oldMarket) = _loadAt(slot);
                if (Config.maskedKeyAt(key) | oldMarket & TAG != mark) break;
            }
            return _idOf(slot);
        }
    }

    /// @dev Time and model set, as they are written into a market word.
    function _stamp(Batch memory b) private pure returns (uint256) {
        return Stamp.stamp(0, b.observedAt, b.config.modelSetIndex() << Stamp.MODEL_SET_SHIFT);
    }

    /// @dev Where the two words of the i-th market lie. Without a bounds check: there are two words a market.
    function _placeOf(uint256[] memory figures, uint256 i) private pure returns (uint256 place) {
        assembly ("memory-safe") {
            place := add(add(figures, 32), shl(6, i))
        }
    }

    function _pairAt(uint256 place) private pure returns (uint256 risk, uint256 market) {
        assembly ("memory-safe") {
            risk := mload(place)
            market := mload(add(place, 32))
        }
    }

    /// @dev Whether nothing but its figures can stand in the way of a market of this mark, and nothing else is written.
    function _usual(Batch memory b, uint256 mark) private pure returns (bool) {
        unchecked {
            if (mark & UNUSUAL != 0) return false;
            uint256 last = mark.observedAt();
            return b.observedAt > last && b.observedAt - last >= b.config.minInterval();
        }
    }

    function _nothingNew(Batch memory b) private view {
        revert NothingNew(b.observedAt, _marketOf(b.firstMarket).observedAt());
    }

    /// @dev One market for which something is out of the ordinary, or a group: judged first, all of them, then written.
    /// @return run How many markets. @return idle How many of them were neither written nor halted.
    function _settleApart(Batch memory b, uint256[] memory figures, uint256 i)
        private
        returns (uint256 run, uint256 idle)
    {
        unchecked {
            run = _runFrom(b, i);
            bool whole = _isWhole(b, i, run);
            Verdict[] memory verdicts = new Verdict[](run);
            for (uint256 k = 0; k < run; ++k) {
                verdicts[k] = _judge(b, figures, i + k);
                if (verdicts[k].fate == Fate.SKIP || verdicts[k].fate == Fate.HALT) whole = false;
            }
            for (uint256 k = 0; k < run; ++k) {
                Verdict memory v = verdicts[k];
                if (!whole && (v.fate == Fate.WRITE || v.fate == Fate.LIMIT)) {
                    (v.fate, v.skip) = (Fate.SKIP, SkipReason.GROUP);
                }
                if (!_apply(b, figures, i + k, v)) ++idle;
            }
        }
    }

    /// @dev How many markets of the batch, from the i-th on, are of its group.
    function _runFrom(Batch memory b, uint256 i) private pure returns (uint256 run) {
        unchecked {
            uint256 group = Config.groupIn(b.config.keyOf(b.firstMarket + i));
            if (group == 0) return 1;
            while (
                b.firstMarket + i + run < b.end && Config.groupIn(b.config.keyOf(b.firstMarket + i + run)) == group
            ) {
                ++run;
            }
        }
    }

    /// @dev Whether no market of the group lies outside the batch.
    function _isWhole(Batch memory b, uint256 i, uint256 run) private pure returns (bool) {
        unchecked {
            uint256 first = b.firstMarket + i;
            uint256 group = Config.groupIn(b.config.keyOf(first));
            if (group == 0) return true;
            if (first > 0 && Config.groupIn(b.config.keyOf(first - 1)) == group) return false;
            uint256 end = first + run;
            return end == b.config.marketCount() || Config.groupIn(b.config.keyOf(end)) != group;
        }
    }

    function _judge(Batch memory b, uint256[] memory figures, uint256 i) private view returns (Verdict memory) {
        unchecked {
            uint256 id = b.firstMarket + i;
            (uint256 oldRisk, uint256 oldMarket) = _load(id);
            (uint256 risk, uint256 market) = _pairAt(_placeOf(figures, i));
            uint256 stray = risk & RISK_FORBIDDEN | market & MARKET_FORBIDDEN;
            if (stray != 0) revert StrayBits(stray);
            Limits memory limits = b.config.class(Config.classIn(b.config.keyOf(id)))[0];
            return Policy.judge(
                limits, oldRisk, oldMarket, risk, market, b.observedAt, b.config.minInterval(), b.config.paused()
            );
        }
    }

    /// @return Whether the market was written or halted.
    function _apply(Batch memory b, uint256[] memory figures, uint256 i, Verdict memory v) private returns (bool) {
        uint16 id = uint16(b.firstMarket + i);
        uint32 round = uint32(b.round);
        if (v.fate == Fate.SKIP) {
            emit Skipped(id, round, v.skip);
            return false;
        }
        if (v.fate == Fate.HALT) {
            _halt(id, round, v.halt, v.risk, v.market);
            return true;
        }
        uint256 flags = 0;
        if (v.fate == Fate.LIMIT) {
            (uint256 risk, uint256 market) = _pairAt(_placeOf(figures, i));
            emit StepLimited(id, round, risk, market);
            flags = Stamp.LIMITED << FLAGS_SHIFT;
        }
        uint256 ring = Config.ringIn(b.config.keyOf(id));
        if (ring != 0) _remember(id, ring);
        _store(id, v.risk, v.market | _stamp(b) | flags);
        return true;
    }

    function _halt(uint16 id, uint32 round, HaltReason reason, uint256 risk, uint256 market) private {
        (uint256 oldRisk, uint256 oldMarket) = _load(id);
        _store(id, oldRisk, oldMarket | Stamp.HALT << FLAGS_SHIFT);
        emit Halted(id, round, reason, risk, market);
    }

    // --- the whole ------------------------------------------------------------------------------------------------

    /// @notice What a node must know to take part, and every market, at one block.
    function state() external view returns (State memory) {
        function(address) internal run = _answerWith;
        function(address) internal view read_;
        assembly ("memory-safe") {
            read_ := run // Solidity cannot know that the code it runs, `WholeState.state`, writes nothing
        }
        read_(_wholeState);
    }

    /// @dev Run another contract's code on this one's storage and calldata, and end with its answer.
    function _answerWith(address code) private {
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, 0, calldatasize())
            let ok := delegatecall(gas(), code, free, calldatasize(), 0, 0)
            returndatacopy(free, 0, returndatasize())
            if ok { return(free, returndatasize()) }
            revert(free, returndatasize())
        }
    }

    // --- guardian and governance ------------------------------------------------------------------------------------

    /// @notice Stop a market: its words stay readable, with a status that says not to use them. For the guardian.
    function halt(uint16 id) external restricted {
        (uint256 risk, uint256 market) = _load(id);
        if (market.has(Stamp.HALT)) revert AlreadyHalted(id);
        _halt(id, uint32(block.timestamp / period), HaltReason.GUARDIAN, risk, market.unstamped());
    }

    /// @notice Let a halted market be written again. Its next figures are taken whole, as if they were the first, and
    /// until then it reads as stale (or empty, if it never had any). For governance.
    /// @dev It is stamped with the present, so that nothing observed before, least of all what halted it, is newer.
    function resume(uint16 id) external restricted {
        (uint256 risk, uint256 market) = _load(id);
        if (!market.has(Stamp.HALT)) revert NotHalted(id);
        _store(id, risk, Stamp.stamp(market.unstamped(), block.timestamp, Stamp.RESUMED));
        emit Resumed(id);
    }
}
