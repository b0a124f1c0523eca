// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
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

    /// @dev One slot, whatever a publication must read and write besides its markets: the history hash (160 bits), then
    /// epoch, next epoch and its first round (32 each). Unpacked by hand, because it is on the path of every publication.
    uint256 internal _header;
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
        (bytes20 historyHash, uint32 now_, uint32 next, uint32 nextFromRound) = _unpacked(_header);
        uint32 newest = next > now_ ? next : now_;
        if (epoch <= newest) revert EpochNotNewer(epoch, newest);
        address config = Config.addressOf(registry, epoch);
        if (config.code.length == 0) revert NoConfig(epoch, config);
        if (fromRound == 0) (now_, next) = (epoch, 0);
        else if (next != 0 && nextFromRound * period <= block.timestamp) (now_, next) = (next, epoch);
        else next = epoch;
        _header = _packed(historyHash, now_, next, fromRound);
        emit Scheduled(epoch, fromRound);
    }

    /// @inheritdoc IRiskOracle
    function configOf(uint32 round) external view returns (uint32 epoch, address config) {
        epoch = uint32(_epochOf(_header, round));
        config = epoch == 0 ? address(0) : Config.addressOf(registry, epoch);
    }

    /// @inheritdoc IRiskOracle
    function head() external view returns (bytes20, uint32, uint32, uint32) {
        return _unpacked(_header);
    }

    function _epochOf(uint256 header, uint256 round) internal pure returns (uint256) {
        uint256 next = header >> 32 & type(uint32).max;
        return next != 0 && round >= header & type(uint32).max ? next : header >> 64 & type(uint32).max;
    }

    function _unpacked(uint256 header) internal pure returns (bytes20, uint32, uint32, uint32) {
        return (bytes20(bytes32(header)), uint32(header >> 64), uint32(header >> 32), uint32(header));
    }

    function _packed(bytes20 historyHash, uint32 epoch, uint32 next, uint32 nextFromRound)
        private
        pure
        returns (uint256)
    {
        return uint256(bytes32(historyHash)) | uint256(epoch) << 64 | uint256(next) << 32 | nextFromRound;
    }

    // --- reading ----------------------------------------------------------------------------------------------------

    /// @inheritdoc IRiskOracle
    function read(uint16 id) external view returns (uint256 risk, uint256 market, uint256 ageS, Status status) {
        (risk, market, ageS, status) = _read(id);
        assembly ("memory-safe") {
            // What every consumer pays for: returned as it stands, where the compiler would check and copy it again.
            let out := mload(0x40)
            mstore(out, risk)
            mstore(add(out, 0x20), market)
            mstore(add(out, 0x40), ageS)
            mstore(add(out, 0x60), status)
            return(out, 0x80)
        }
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
        unchecked {
            markets = new MarketState[](ids.length);
            for (uint256 i = 0; i < ids.length; ++i) {
                markets[i] = _state(ids[i]);
            }
        }
    }

    /// @inheritdoc IRiskOracle
    function readPacked(uint16[] calldata ids) external view returns (uint256[] memory words) {
        unchecked {
            words = new uint256[](2 * ids.length);
            for (uint256 i = 0; i < ids.length; ++i) {
                (uint256 risk, uint256 market,, Status status) = _read(ids[i]);
                words[2 * i] = risk;
                words[2 * i + 1] = market | uint256(status) << FLAGS_SHIFT + Stamp.STATUS_SHIFT;
            }
        }
    }

    /// @inheritdoc IRiskOracle
    function historyOf(uint16 id, uint256 back) external view returns (uint256 risk, uint256 market) {
        unchecked {
            if (back == 0) return _load(id);
            Ring memory ring = _rings[id];
            if (back > ring.kept) revert HistoryTooShort(back, ring.kept);
            uint256 place = RING_SLOTS * id + 2 * ((uint256(ring.next) + ring.length - back) % ring.length);
            return (_overwritten[place], _overwritten[place + 1]);
        }
    }

    function _state(uint256 id) internal view returns (MarketState memory x) {
        (x.risk, x.market, x.ageS, x.status) = _read(id);
    }

    function _read(uint256 id) private view returns (uint256 risk, uint256 market, uint256 ageS, Status status) {
        unchecked {
            (risk, market) = _load(id);
            uint256 observedAt = market.observedAt();
            ageS = FixedPointMathLib.zeroFloorSub(block.timestamp, observedAt);
            status = _status(market, ageS);
        }
    }

    function _status(uint256 market, uint256 ageS) private view returns (Status) {
        uint256 closed = market & (Stamp.HALT | Stamp.RESUMED) << FLAGS_SHIFT;
        bool fresh;
        uint256 limit = agingAfter;
        assembly ("memory-safe") {
            // The common answer by one branch: neither halted nor resumed, young, and with a price.
            fresh := and(iszero(closed), and(lt(ageS, limit), gt(market, not(shl(192, not(0))))))
        }
        if (fresh) return Status.FRESH;
        if (market.has(Stamp.HALT)) return Status.HALTED;
        if (!market.isWritten()) return Status.EMPTY;
        return closed == 0 && ageS < staleAfter ? Status.AGING : Status.STALE;
    }

    // --- slots ------------------------------------------------------------------------------------------------------

    /// @dev Where a market's words lie. In assembly without the bounds checks of an array: an id has 16 bits wherever it
    /// comes from.
    function _slotOf(uint256 id) internal pure returns (uint256 slot) {
        assembly ("memory-safe") {
            slot := add(_words.slot, shl(1, id))
        }
    }

    function _idOf(uint256 slot) internal pure returns (uint256 id) {
        assembly ("memory-safe") {
            id := shr(1, sub(slot, _words.slot))
        }
    }

    function _loadAt(uint256 slot) internal view returns (uint256 risk, uint256 market) {
        assembly ("memory-safe") {
            risk := sload(slot)
            market := sload(add(slot, 1))
        }
    }

    function _storeAt(uint256 slot, uint256 risk, uint256 market) internal {
        assembly ("memory-safe") {
            sstore(slot, risk)
            sstore(add(slot, 1), market)
        }
    }

    function _load(uint256 id) internal view returns (uint256 risk, uint256 market) {
        return _loadAt(_slotOf(id));
    }

    function _marketOf(uint256 id) internal view returns (uint256 market) {
        (, market) = _load(id);
    }

    function _store(uint256 id, uint256 risk, uint256 market) internal {
        _storeAt(_slotOf(id), risk, market);
    }

    /// @dev Keep the words that are about to be overwritten, if there are any.
    function _remember(uint256 id, uint256 length) internal {
        unchecked {
            (uint256 risk, uint256 market) = _load(id);
            if (!market.isWritten()) return;
            Ring memory ring = _rings[id];
            if (ring.length != length) ring = Ring(uint8(length), 0, 0);
            uint256 place = RING_SLOTS * id + 2 * uint256(ring.next);
            (_overwritten[place], _overwritten[place + 1]) = (risk, market);
            ring.next = uint8((ring.next + 1) % length);
            if (ring.kept < length) ++ring.kept;
            _rings[id] = ring;
        }
    }
}
