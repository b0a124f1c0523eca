// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {EIP712} from "solady/utils/EIP712.sol";
import {IAccountRisk} from "../interfaces/IAccountRisk.sol";
import {IRiskOracle} from "../interfaces/IRiskOracle.sol";
import {Config} from "./Config.sol";
import {Timing} from "./Policy.sol";
import {Quorum} from "./Quorum.sol";

/// @title Multipliers of single accounts' margin, signed by a quorum of the oracle's committee.
/// @notice The second kind of report: many accounts in one, each with a multiplier and the time until which it holds.
/// Governance bounds how high it may be, how far a report may move it and how long it may hold; below 10,000 it never
/// is, so that no signature makes an account's margin smaller than its positions ask for.
/// @dev Rises are limited too: a multiplier must not be a way to push an account into liquidation with one report.
contract AccountRisk is IAccountRisk, AccessManaged, EIP712 {
    using Config for address;
    using Config for bytes;
    using Quorum for bytes;

    /// @notice One account's part of a report.
    struct Entry {
        address account;
        uint16 multiplierBp;
        uint40 expiresAt;
    }

    /// @notice What governance allows.
    struct Bounds {
        uint16 maxMultiplierBp;
        uint16 maxRiseBp; // largest step up of one report
        uint16 maxFallBp; // largest step down of one report
        uint32 maxLifetime; // seconds from the observation
    }

    /// @dev One slot an account.
    struct Held {
        uint16 multiplierBp;
        uint40 expiresAt;
        uint40 observedAt;
    }

    enum SkipReason {
        NOT_NEWER, // the account's stored observation is as new or newer
        OUT_OF_BOUNDS, // the multiplier is below 10,000 or above what governance allows
        EXPIRED // it would not hold any more
    }

    bytes32 public constant ENTRY_TYPEHASH = keccak256("Entry(address account,uint16 multiplierBp,uint40 expiresAt)");
    bytes32 public constant REPORT_TYPEHASH = keccak256(
        "AccountReport(uint32 epoch,uint32 round,bytes32 modelSet,bytes32 bounds,Entry[] entries)"
        "Entry(address account,uint16 multiplierBp,uint40 expiresAt)"
    );
    /// @notice A multiplier of one: what an account without a word about it has.
    uint256 public constant ONE_BP = 10_000;

    /// @notice Whose committee and rounds these are.
    IRiskOracle public immutable oracle;
    uint256 private immutable _period;
    Bounds private _bounds;
    mapping(address account => Held) private _held;

    event BoundsSet(Bounds oldBounds, Bounds bounds);
    /// @notice A report was taken: `written` of its `entries`.
    event Published(uint32 indexed round, uint32 indexed epoch, uint256 written, uint256 entries);
    /// @notice An account's multiplier, and what the quorum had signed when a bound held it back.
    event MultiplierSet(
        address indexed account, uint32 indexed round, uint256 oldBp, uint256 bp, uint256 signedBp, uint256 expiresAt
    );
    event Skipped(address indexed account, uint32 indexed round, SkipReason reason);
    event Cleared(address indexed account, uint256 oldBp);

    error BadBounds(uint256 got, uint256 limit);
    error NoEntries();
    error FutureReport(uint256 observedAt, uint256 latest);
    error StaleReport(uint256 observedAt, uint256 earliest);
    error NothingWritten(uint32 round, uint256 entries);

    constructor(address authority_, IRiskOracle oracle_, Bounds memory bounds_) AccessManaged(authority_) {
        oracle = oracle_;
        _period = oracle_.period();
        _setBounds(bounds_);
    }

    // --- reading ----------------------------------------------------------------------------------------------------

    /// @inheritdoc IAccountRisk
    function multiplierOf(address account) external view returns (uint256 bp) {
        return _multiplier(_held[account]);
    }

    /// @notice An account's slot as it was written, whether it still holds or not; seconds since 1970.
    function held(address account) external view returns (uint256 multiplierBp, uint256 expiresAt, uint256 observedAt) {
        Held memory x = _held[account];
        return (x.multiplierBp, x.expiresAt, x.observedAt);
    }

    /// @notice What governance allows now.
    function bounds() external view returns (Bounds memory) {
        return _bounds;
    }

    /// @notice What members sign to say under which bounds they speak.
    function boundsDigest() public view returns (bytes32) {
        return keccak256(abi.encode(_bounds));
    }

    // --- publishing -------------------------------------------------------------------------------------------------

    /// @notice Take a report that exactly a quorum signed. Anybody may bring it.
    /// @param round Observed at `round * period` of the oracle; the oracle's epoch of this round binds.
    /// @param memberBitmap Who signed, by index in the epoch's committee.
    /// @param rvs Signatures as pairs r, vs (EIP-2098) in the order of the bitmap's bits.
    /// @param entries Accounts with their multipliers; one that cannot be taken is skipped and named in an event.
    function publish(uint32 round, uint256 memberBitmap, bytes32[] calldata rvs, Entry[] calldata entries) external {
        if (entries.length == 0) revert NoEntries();
        (uint32 epoch, address pointer) = oracle.configOf(round);
        if (epoch == 0) revert Quorum.NoEpoch();
        bytes memory config = pointer.load();
        uint256 observedAt = uint256(round) * _period;
        _requireTimely(config, observedAt);
        config.requireQuorum(memberBitmap, rvs.length);
        config.requireCoSigned(_digest(epoch, round, config.modelSet(), entries), memberBitmap, rvs);

        Bounds memory allowed = _bounds;
        if (config.paused()) allowed.maxFallBp = 0;
        uint256 written = 0;
        for (uint256 i = 0; i < entries.length; ++i) {
            if (_settle(entries[i], round, observedAt, allowed)) ++written;
        }
        if (written == 0) revert NothingWritten(round, entries.length);
        emit Published(round, epoch, written, entries.length);
    }

    function _requireTimely(bytes memory config, uint256 observedAt) private view {
        Timing memory timing = config.timing();
        uint256 latest = block.timestamp + timing.maxSkew;
        if (observedAt > latest) revert FutureReport(observedAt, latest);
        if (observedAt + timing.maxReportAge < block.timestamp) {
            revert StaleReport(observedAt, block.timestamp - timing.maxReportAge);
        }
    }

    /// @return Whether the entry was taken.
    function _settle(Entry calldata entry, uint32 round, uint256 observedAt, Bounds memory allowed)
        private
        returns (bool)
    {
        Held memory old = _held[entry.account];
        if (old.observedAt >= observedAt) return _skip(entry, round, SkipReason.NOT_NEWER);
        if (entry.multiplierBp < ONE_BP || entry.multiplierBp > allowed.maxMultiplierBp) {
            return _skip(entry, round, SkipReason.OUT_OF_BOUNDS);
        }
        uint256 expiresAt = _min(entry.expiresAt, observedAt + allowed.maxLifetime);
        if (expiresAt <= block.timestamp) return _skip(entry, round, SkipReason.EXPIRED);
        uint256 oldBp = _multiplier(old);
        uint256 bp = _stepped(oldBp, entry.multiplierBp, allowed);
        _held[entry.account] = Held(uint16(bp), uint40(expiresAt), uint40(observedAt));
        emit MultiplierSet(entry.account, round, oldBp, bp, entry.multiplierBp, expiresAt);
        return true;
    }

    function _skip(Entry calldata entry, uint32 round, SkipReason reason) private returns (bool) {
        emit Skipped(entry.account, round, reason);
        return false;
    }

    function _digest(uint32 epoch, uint32 round, bytes32 modelSet, Entry[] calldata entries)
        private
        view
        returns (bytes32)
    {
        bytes32[] memory hashes = new bytes32[](entries.length);
        for (uint256 i = 0; i < entries.length; ++i) {
            Entry calldata x = entries[i];
            hashes[i] = keccak256(abi.encode(ENTRY_TYPEHASH, x.account, x.multiplierBp, x.expiresAt));
        }
        return _hashTypedData(
            keccak256(
                abi.encode(REPORT_TYPEHASH, epoch, round, modelSet, boundsDigest(), keccak256(abi.encodePacked(hashes)))
            )
        );
    }

    // --- governance -------------------------------------------------------------------------------------------------

    /// @notice Change what is allowed. What was signed under other bounds is void; what holds goes on, no longer and no
    /// higher than it was taken.
    function setBounds(Bounds calldata bounds_) external restricted {
        _setBounds(bounds_);
    }

    /// @notice Take an account's multiplier away. No report of a round before this moment can bring it back.
    function clear(address account) external restricted {
        emit Cleared(account, _multiplier(_held[account]));
        _held[account] = Held(0, 0, uint40(block.timestamp));
    }

    function _setBounds(Bounds memory x) private {
        if (x.maxMultiplierBp < ONE_BP) revert BadBounds(x.maxMultiplierBp, ONE_BP);
        if (x.maxRiseBp == 0) revert BadBounds(x.maxRiseBp, 1);
        if (x.maxFallBp == 0) revert BadBounds(x.maxFallBp, 1);
        if (x.maxLifetime < _period) revert BadBounds(x.maxLifetime, _period);
        emit BoundsSet(_bounds, x);
        _bounds = x;
    }

    // --- arithmetic -------------------------------------------------------------------------------------------------

    function _multiplier(Held memory x) private view returns (uint256) {
        return x.expiresAt > block.timestamp ? x.multiplierBp : ONE_BP;
    }

    /// @return The wanted multiplier, or as far towards it as one report may go; above what is allowed now it never is,
    /// however far it has to come down.
    function _stepped(uint256 old, uint256 wanted, Bounds memory allowed) private pure returns (uint256) {
        if (wanted >= old) return _min(wanted, old + allowed.maxRiseBp);
        return _min(old - _min(old - wanted, allowed.maxFallBp), allowed.maxMultiplierBp);
    }

    function _min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }

    function _domainNameAndVersion() internal pure override returns (string memory, string memory) {
        return ("Margrave Account Risk", "1");
    }
}
