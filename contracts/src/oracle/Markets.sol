// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IRiskOracle} from "../interfaces/IRiskOracle.sol";
import {IScheduled} from "../interfaces/IRegistry.sol";
import {Ageing} from "./Ageing.sol";
import {Config, ReportKind} from "./Config.sol";
import "./Lanes.sol";
import {Timing} from "./Policy.sol";
import {Stamp} from "./Stamp.sol";

/// @title What the oracle keeps, and everything that reads it.
abstract contract Markets is IRiskOracle, IScheduled {
    using Config for address;
    using Config for bytes;
    using Stamp for uint256;

    /// @dev One slot: whatever a publication must read and write besides its markets.
    struct Head {
        bytes20 historyHash;
        uint32 epoch;
        uint32 nextEpoch;
        uint32 nextFromRound;
    }

    /// @dev A market's ring of overwritten words; it starts anew when governance changes its length.
    struct Ring {
        uint8 length;
        uint8 next; // where the next overwritten words go
        uint8 kept;
    }

    /// @notice What a node needs of an epoch's settings to sign; the limits behind the digest are the registry's to tell.
    struct EpochState {
        uint32 epoch;
        uint32 fromRound;
        ReportKind kind;
        bool paused;
        uint8 quorum;
        bytes32 modelSet;
        bytes32 policyDigest;
        Timing timing;
        address[] members;
    }

    /// @notice The whole oracle at one block, for a node or a dashboard. `next` binds rounds from its `fromRound` on;
    /// its epoch is 0 when nothing is pending.
    struct State {
        uint256 blockNumber;
        uint256 timestamp;
        uint256 period;
        uint256 agingAfter;
        uint256 staleAfter;
        bytes20 historyHash;
        EpochState current;
        EpochState next;
        MarketState[] markets;
    }

    uint256 private constant RING_SLOTS = 512; // two words for each of at most 255 entries

    /// @inheritdoc IRiskOracle
    address public immutable registry;
    /// @inheritdoc IRiskOracle
    uint256 public immutable period;
    /// @inheritdoc IRiskOracle
    uint256 public immutable agingAfter;
    /// @inheritdoc IRiskOracle
    uint256 public immutable staleAfter;

    Head internal _head;
    /// @dev Risk word at 2·id, market word after it: an array of fixed size needs no hash to find a slot.
    uint256[131_072] private _words;
    Ring[65_536] private _rings;
    uint256[33_554_432] private _overwritten;

    /// @notice Epoch `epoch` binds rounds from `fromRound` on.
    event Scheduled(uint32 indexed epoch, uint32 fromRound);

    error BadAges(uint256 agingAfter, uint256 staleAfter);
    error NoPeriod();
    error OnlyRegistry(address caller, address registry);
    error EpochNotNewer(uint32 got, uint32 newest);
    error NoConfig(uint32 epoch, address config);

    constructor(address registry_, uint32 period_, uint32 agingAfter_, uint32 staleAfter_) {
        if (period_ == 0) revert NoPeriod();
        if (agingAfter_ == 0 || agingAfter_ >= staleAfter_) revert BadAges(agingAfter_, staleAfter_);
        (registry, period, agingAfter, staleAfter) = (registry_, period_, agingAfter_, staleAfter_);
    }

    // --- epochs -----------------------------------------------------------------------------------------------------

    /// @inheritdoc IScheduled
    /// @dev What was pending and has come into force meanwhile becomes the epoch before; rounds older than it that
    /// nobody published yet are then no longer bound by the epoch before that, and their signatures are void.
    function schedule(uint32 epoch, uint32 fromRound) external {
        if (msg.sender != registry) revert OnlyRegistry(msg.sender, registry);
        Head memory h = _head;
        uint32 newest = h.nextEpoch > h.epoch ? h.nextEpoch : h.epoch;
        if (epoch <= newest) revert EpochNotNewer(epoch, newest);
        address config = Config.addressOf(registry, epoch);
        if (config.code.length == 0) revert NoConfig(epoch, config);
        if (fromRound == 0) {
            (h.epoch, h.nextEpoch, h.nextFromRound) = (epoch, 0, 0);
        } else {
            if (h.nextEpoch != 0 && h.nextFromRound * period <= block.timestamp) h.epoch = h.nextEpoch;
            (h.nextEpoch, h.nextFromRound) = (epoch, fromRound);
        }
        _head = h;
        emit Scheduled(epoch, fromRound);
    }

    /// @inheritdoc IRiskOracle
    function configOf(uint32 round) external view returns (uint32 epoch, address config) {
        epoch = _epochOf(_head, round);
        config = epoch == 0 ? address(0) : Config.addressOf(registry, epoch);
    }

    /// @inheritdoc IRiskOracle
    function head() external view returns (bytes20, uint32, uint32, uint32) {
        Head memory h = _head;
        return (h.historyHash, h.epoch, h.nextEpoch, h.nextFromRound);
    }

    function _epochOf(Head memory h, uint256 round) internal pure returns (uint32) {
        return h.nextEpoch != 0 && round >= h.nextFromRound ? h.nextEpoch : h.epoch;
    }

    // --- reading ----------------------------------------------------------------------------------------------------

    /// @inheritdoc IRiskOracle
    function read(uint16 id) external view returns (uint256 risk, uint256 market, uint256 ageS, Status status) {
        return _read(id);
    }

    /// @inheritdoc IRiskOracle
    function effective(uint16 id) external view returns (uint256 risk, uint256 market, uint256 ageS, Status status) {
        (risk, market, ageS, status) = _read(id);
        if (status == Status.FRESH || !market.isWritten()) return (risk, market, ageS, status);
        uint256 asOld = market.has(Stamp.RESUMED) ? staleAfter : ageS;
        (risk, market) = Ageing.tightenedUp(risk, market, Ageing.shareUp(asOld, agingAfter, staleAfter));
    }

    /// @inheritdoc IRiskOracle
    function readMany(uint16[] calldata ids) external view returns (MarketState[] memory markets) {
        markets = new MarketState[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            markets[i] = _state(ids[i]);
        }
    }

    /// @inheritdoc IRiskOracle
    function readPacked(uint16[] calldata ids) external view returns (uint256[] memory words) {
        words = new uint256[](2 * ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            (uint256 risk, uint256 market,, Status status) = _read(ids[i]);
            words[2 * i] = risk;
            words[2 * i + 1] = market | uint256(status) << FLAGS_SHIFT + Stamp.STATUS_SHIFT;
        }
    }

    /// @inheritdoc IRiskOracle
    function historyOf(uint16 id, uint256 back) external view returns (uint256 risk, uint256 market) {
        if (back == 0) return _load(id);
        Ring memory ring = _rings[id];
        if (back > ring.kept) revert HistoryTooShort(back, ring.kept);
        uint256 place = RING_SLOTS * id + 2 * ((uint256(ring.next) + ring.length - back) % ring.length);
        return (_overwritten[place], _overwritten[place + 1]);
    }

    /// @notice What a node must know to take part, and every market, at one block.
    function state() external view returns (State memory x) {
        Head memory h = _head;
        (x.blockNumber, x.timestamp) = (block.number, block.timestamp);
        (x.period, x.agingAfter, x.staleAfter) = (period, agingAfter, staleAfter);
        x.historyHash = h.historyHash;
        x.current = _epochState(h.epoch, 0);
        x.next = _epochState(h.nextEpoch, h.nextFromRound);
        uint32 newest = h.nextEpoch == 0 ? h.epoch : h.nextEpoch;
        if (newest == 0) return x;
        x.markets = new MarketState[](Config.addressOf(registry, newest).load().marketCount());
        for (uint256 i = 0; i < x.markets.length; ++i) {
            x.markets[i] = _state(i);
        }
    }

    function _epochState(uint32 epoch, uint32 fromRound) private view returns (EpochState memory x) {
        if (epoch == 0) return x;
        bytes memory config = Config.addressOf(registry, epoch).load();
        (x.epoch, x.fromRound) = (epoch, fromRound);
        (x.kind, x.paused, x.quorum) = (config.kind(), config.paused(), uint8(config.quorum()));
        (x.modelSet, x.policyDigest, x.timing) = (config.modelSet(), config.digest(), config.timing());
        x.members = config.members();
    }

    function _state(uint256 id) private view returns (MarketState memory x) {
        (x.risk, x.market, x.ageS, x.status) = _read(id);
    }

    function _read(uint256 id) private view returns (uint256 risk, uint256 market, uint256 ageS, Status status) {
        (risk, market) = _load(id);
        uint256 observedAt = market.observedAt();
        ageS = block.timestamp > observedAt ? block.timestamp - observedAt : 0;
        status = _status(market, ageS);
    }

    function _status(uint256 market, uint256 ageS) private view returns (Status) {
        if (market.has(Stamp.HALT)) return Status.HALTED;
        if (!market.isWritten()) return Status.EMPTY;
        if (market.has(Stamp.RESUMED) || ageS >= staleAfter) return Status.STALE;
        return ageS >= agingAfter ? Status.AGING : Status.FRESH;
    }

    // --- slots ------------------------------------------------------------------------------------------------------

    /// @dev In assembly without the bounds checks of an array: an id has 16 bits wherever it comes from.
    function _load(uint256 id) internal view returns (uint256 risk, uint256 market) {
        assembly ("memory-safe") {
            let slot := add(_words.slot, shl(1, id))
            risk := sload(slot)
            market := sload(add(slot, 1))
        }
    }

    /// @dev As `_load`.
    function _store(uint256 id, uint256 risk, uint256 market) internal {
        assembly ("memory-safe") {
            let slot := add(_words.slot, shl(1, id))
            sstore(slot, risk)
            sstore(add(slot, 1), market)
        }
    }

    /// @dev Keep the words that are about to be overwritten, if there are any.
    function _remember(uint256 id, uint256 length) internal {
        (uint256 risk, uint256 market) = _load(id);
        if (!market.isWritten()) return;
        Ring memory ring = _rings[id];
        if (ring.length != length) ring = Ring(uint8(length), 0, 0);
        uint256 place = RING_SLOTS * id + 2 * ring.next;
        (_overwritten[place], _overwritten[place + 1]) = (risk, market);
        ring.next = uint8((ring.next + 1) % length);
        if (ring.kept < length) ++ring.kept;
        _rings[id] = ring;
    }
}
