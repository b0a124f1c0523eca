// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IRegistry, IScheduled} from "../interfaces/IRegistry.sol";
import {IRiskOracle} from "../interfaces/IRiskOracle.sol";
import {Config, ReportKind, Settings} from "./Config.sol";
import {Limits, Policy, Timing, Verdict} from "./Policy.sol";
import {Stamp} from "./Stamp.sol";
import {Tightening} from "./Tightening.sol";

/// @title What governance decides for one oracle: members, models, timing, limits, and which market has which.
/// @notice Who may call what is the access manager's business; this contract sees to it that what is decided is sound,
/// that the guardian's functions never loosen, and that every change leaves its old and new value behind.
/// @dev It creates nothing but settings blobs, one an epoch: the oracle finds them by this contract's nonce.
contract Registry is IRegistry, AccessManaged {
    /// @dev Which epochs bind at this moment: `live` now, `next` (if not zero) from round `nextFrom` on.
    struct Binding {
        uint32 live;
        uint32 next;
        uint32 nextFrom;
        uint32 round;
    }

    /// @notice The oracle that is governed; set once.
    address public oracle;
    /// @notice The newest epoch.
    uint32 public newestEpoch;
    uint16 private _modelSets;
    mapping(bytes32 modelSet => uint16) private _modelSetIndex;
    mapping(bytes32 modelSet => string) private _modelSetUri;

    event Connected(address oracle);
    /// @notice Epoch `epoch` was written over epoch `previous`; it binds from round `fromRound` on, 0 is at once.
    event Configured(
        uint32 indexed epoch, uint32 indexed previous, uint32 fromRound, bytes32 policyDigest, address config
    );
    /// @notice The pending epoch will not begin: without the removed member it has no quorum.
    event PendingDropped(uint32 indexed epoch);
    event EpochSet(
        uint32 indexed epoch,
        address[] oldMembers,
        address[] members,
        uint8 oldQuorum,
        uint8 quorum,
        bytes32 oldModelSet,
        bytes32 modelSet
    );
    event KindSet(uint32 indexed epoch, ReportKind oldKind, ReportKind kind);
    event TimingSet(uint32 indexed epoch, Timing oldTiming, Timing timing);
    /// @notice The old limits are all zero when the class is new.
    event ClassSet(uint32 indexed epoch, uint8 indexed class, Limits oldLimits, Limits limits);
    /// @notice One byte a market from `firstMarket` on; the old ones are fewer when markets are new.
    event MarketsSet(uint32 indexed epoch, uint16 indexed firstMarket, bytes oldClasses, bytes classes);
    event GroupsSet(uint32 indexed epoch, uint16 indexed firstMarket, bytes oldGroups, bytes groups);
    event RingsSet(uint32 indexed epoch, uint16 indexed firstMarket, bytes oldLengths, bytes lengths);
    event PausedSet(uint32 indexed epoch, bool wasPaused, bool paused);
    event MemberRemoved(uint32 indexed epoch, address indexed member, uint8 quorum, uint256 members);
    /// @notice The old card is empty when the model set is new.
    event ModelSetApproved(bytes32 indexed modelSet, uint16 index, string oldCardUri, string cardUri);
    event ModelSetRevoked(bytes32 indexed modelSet, uint16 index, string cardUri);

    error NotConnected();
    error AlreadyConnected(address oracle);
    error ForeignOracle(address its, address wanted);
    error UnknownEpoch(uint32 epoch, uint32 newest);
    error RoundPassed(uint32 fromRound, uint32 round);
    error NotConsecutive(uint256 got, uint256 next);
    error UnknownMarkets(uint256 end, uint256 markets);
    error NotApproved(bytes32 modelSet);
    error ModelSetInUse(bytes32 modelSet, uint32 epoch);
    error NoCard(bytes32 modelSet);
    error NotMember(address member);

    constructor(address authority_) AccessManaged(authority_) {}

    /// @notice Say which oracle reads these settings. Once and for all: the oracle names this registry for ever, too.
    function connect(address oracle_) external restricted {
        if (oracle != address(0)) revert AlreadyConnected(oracle);
        address its = IRiskOracle(oracle_).registry();
        if (its != address(this)) revert ForeignOracle(its, address(this));
        oracle = oracle_;
        emit Connected(oracle_);
    }

    // --- reading ----------------------------------------------------------------------------------------------------

    /// @inheritdoc IRegistry
    function settings(uint32 epoch) external view returns (Settings memory) {
        return _settings(epoch);
    }

    /// @inheritdoc IRegistry
    function current() external view returns (uint32 epoch, Settings memory) {
        return (newestEpoch, _settings(newestEpoch));
    }

    /// @inheritdoc IRegistry
    function modelSetUri(bytes32 modelSet) external view returns (string memory) {
        return _modelSetUri[modelSet];
    }

    /// @notice What the stamps of the oracle call a model set; 0 if it was never approved.
    function modelSetIndex(bytes32 modelSet) external view returns (uint16) {
        return _modelSetIndex[modelSet];
    }

    /// @inheritdoc IRegistry
    function simulate(
        Limits calldata limits,
        uint256 oldRisk,
        uint256 oldMarket,
        uint256 risk,
        uint256 market,
        uint256 observedAt,
        uint256 minInterval,
        bool paused
    ) external pure returns (Verdict memory) {
        Policy.validate(limits);
        return Policy.judge(limits, oldRisk, oldMarket, risk, market, observedAt, minInterval, paused);
    }

    // --- governance -------------------------------------------------------------------------------------------------

    /// @inheritdoc IRegistry
    function setEpoch(address[] calldata members, uint8 quorum, bytes32 modelSet, uint32 fromRound)
        external
        restricted
    {
        if (bytes(_modelSetUri[modelSet]).length == 0) revert NotApproved(modelSet);
        _change(_withEpoch, abi.encode(members, quorum, modelSet), fromRound);
    }

    /// @inheritdoc IRegistry
    function setKind(ReportKind kind, uint32 fromRound) external restricted {
        _change(_withKind, abi.encode(kind), fromRound);
    }

    /// @inheritdoc IRegistry
    function setTiming(Timing calldata timing, uint32 fromRound) external restricted {
        _change(_withTiming, abi.encode(timing), fromRound);
    }

    /// @inheritdoc IRegistry
    function setClass(uint8 class, Limits calldata limits, uint32 fromRound) external restricted {
        _change(_withClass, abi.encode(class, limits), fromRound);
    }

    /// @inheritdoc IRegistry
    function setMarkets(uint16 firstMarket, uint8[] calldata classes, uint32 fromRound) external restricted {
        _change(_withMarkets, abi.encode(firstMarket, classes), fromRound);
    }

    /// @inheritdoc IRegistry
    function setGroups(uint16 firstMarket, uint8[] calldata groups, uint32 fromRound) external restricted {
        _change(_withGroups, abi.encode(firstMarket, groups), fromRound);
    }

    /// @inheritdoc IRegistry
    function setRings(uint16 firstMarket, uint8[] calldata lengths, uint32 fromRound) external restricted {
        _change(_withRings, abi.encode(firstMarket, lengths), fromRound);
    }

    /// @inheritdoc IRegistry
    /// @dev Approving a set again gives it a new card; its index stays.
    function approveModelSet(bytes32 modelSet, string calldata cardUri) external restricted {
        if (bytes(cardUri).length == 0) revert NoCard(modelSet);
        uint16 index = _modelSetIndex[modelSet];
        if (index == 0) {
            index = ++_modelSets;
            if (index > Stamp.MAX_MODEL_SETS) revert Config.TooManyModelSets(index, Stamp.MAX_MODEL_SETS);
            _modelSetIndex[modelSet] = index;
        }
        emit ModelSetApproved(modelSet, index, _modelSetUri[modelSet], cardUri);
        _modelSetUri[modelSet] = cardUri;
    }

    /// @inheritdoc IRegistry
    function revokeModelSet(bytes32 modelSet) external restricted {
        if (bytes(_modelSetUri[modelSet]).length == 0) revert NotApproved(modelSet);
        Binding memory b = _binding();
        if (_usesModelSet(b.live, modelSet)) revert ModelSetInUse(modelSet, b.live);
        if (_usesModelSet(b.next, modelSet)) revert ModelSetInUse(modelSet, b.next);
        emit ModelSetRevoked(modelSet, _modelSetIndex[modelSet], _modelSetUri[modelSet]);
        delete _modelSetUri[modelSet];
    }

    /// @inheritdoc IRegistry
    function unpause() external restricted {
        _change(_withPaused, abi.encode(false), 0);
    }

    // --- the guardian -----------------------------------------------------------------------------------------------

    /// @inheritdoc IRegistry
    function pause() external restricted {
        _change(_withPaused, abi.encode(true), 0);
    }

    /// @inheritdoc IRegistry
    /// @dev The quorum stays as it is, so the committee can lose no more than its spare members: fewer signatures for
    /// the same trust would be a loosening.
    function removeMember(address member) external restricted {
        Binding memory b = _binding();
        (bool bound, Settings memory live) = _without(b.live, member);
        (bool pending, Settings memory next) = _without(b.next, member);
        if (!bound && !pending) revert NotMember(member);
        bool drops = b.next != 0 && next.members.length < next.quorum;
        // What binds at once takes the place of what is pending: the live settings are written to drop it, too.
        if (bound || drops) _write(live, b.live, 0);
        if (drops) emit PendingDropped(b.next);
        else if (b.next != 0) _write(next, b.next, b.nextFrom);
        emit MemberRemoved(newestEpoch, member, live.quorum, live.members.length);
    }

    /// @inheritdoc IRegistry
    function tightenClass(uint8 class, Limits calldata limits) external restricted {
        Binding memory b = _binding();
        bytes memory told = abi.encode(class, limits);
        _rewrite(_withTighterClass, told, b.live, 0);
        if (b.next != 0) _rewrite(_withBothTighter, told, b.next, b.nextFrom);
    }

    // --- one change after another -----------------------------------------------------------------------------------

    /// @dev A change with a round to come is built on the pending epoch, and replaces it. One that binds at once is
    /// made to the live and to the pending settings alike: built on the pending ones alone it would bring them forward,
    /// and a pause would be a way to skip a delay.
    function _change(function(Settings memory, bytes memory) internal change, bytes memory told, uint32 fromRound)
        private
    {
        Binding memory b = _binding();
        if (fromRound == 0) {
            _rewrite(change, told, b.live, 0);
            if (b.next != 0) _rewrite(change, told, b.next, b.nextFrom);
        } else {
            if (fromRound <= b.round) revert RoundPassed(fromRound, b.round);
            _rewrite(change, told, b.next != 0 ? b.next : b.live, fromRound);
        }
    }

    function _rewrite(
        function(Settings memory, bytes memory) internal change,
        bytes memory told,
        uint32 previous,
        uint32 fromRound
    ) private {
        Settings memory x = _settings(previous);
        change(x, told);
        _write(x, previous, fromRound);
    }

    function _write(Settings memory x, uint32 previous, uint32 fromRound) private {
        uint32 epoch = ++newestEpoch;
        address config = Config.write(x);
        IScheduled(oracle).schedule(epoch, fromRound);
        emit Configured(epoch, previous, fromRound, Config.policyDigest(x), config);
    }

    function _binding() private view returns (Binding memory b) {
        if (oracle == address(0)) revert NotConnected();
        b.round = uint32(block.timestamp / IRiskOracle(oracle).period());
        (, b.live, b.next, b.nextFrom) = IRiskOracle(oracle).head();
        if (b.next != 0 && b.nextFrom <= b.round) (b.live, b.next, b.nextFrom) = (b.next, 0, 0);
    }

    /// @dev Epoch 0 is before the first change: nothing is set.
    function _settings(uint32 epoch) private view returns (Settings memory x) {
        if (epoch > newestEpoch) revert UnknownEpoch(epoch, newestEpoch);
        if (epoch != 0) x = Config.read(Config.addressOf(address(this), epoch));
    }

    function _usesModelSet(uint32 epoch, bytes32 modelSet) private view returns (bool) {
        return epoch != 0 && _settings(epoch).modelSet == modelSet;
    }

    // --- the changes ------------------------------------------------------------------------------------------------

    function _withEpoch(Settings memory x, bytes memory told) private {
        (address[] memory members, uint8 quorum, bytes32 modelSet) = abi.decode(told, (address[], uint8, bytes32));
        emit EpochSet(newestEpoch + 1, x.members, members, x.quorum, quorum, x.modelSet, modelSet);
        (x.members, x.quorum, x.modelSet) = (members, quorum, modelSet);
        x.modelSetIndex = _modelSetIndex[modelSet];
    }

    function _withKind(Settings memory x, bytes memory told) private {
        ReportKind kind = abi.decode(told, (ReportKind));
        emit KindSet(newestEpoch + 1, x.kind, kind);
        x.kind = kind;
    }

    function _withTiming(Settings memory x, bytes memory told) private {
        Timing memory timing = abi.decode(told, (Timing));
        emit TimingSet(newestEpoch + 1, x.timing, timing);
        x.timing = timing;
    }

    function _withPaused(Settings memory x, bytes memory told) private {
        bool paused = abi.decode(told, (bool));
        emit PausedSet(newestEpoch + 1, x.paused, paused);
        x.paused = paused;
    }

    function _withClass(Settings memory x, bytes memory told) private {
        (uint8 class, Limits memory limits) = abi.decode(told, (uint8, Limits));
        if (class > x.classes.length) revert NotConsecutive(class, x.classes.length);
        if (class == x.classes.length) x.classes = _grown(x.classes);
        emit ClassSet(newestEpoch + 1, class, x.classes[class], limits);
        x.classes[class] = limits;
    }

    function _withTighterClass(Settings memory x, bytes memory told) private {
        (uint8 class, Limits memory limits) = abi.decode(told, (uint8, Limits));
        if (class >= x.classes.length) revert Config.UnknownClass(class, x.classes.length);
        Tightening.requireNoLooser(x.classes[class], limits);
        _withClass(x, told);
    }

    /// @dev What governance has decided for later is held to the tighter of both in each lane, so that the guardian
    /// neither loosens it nor is kept from acting by it.
    function _withBothTighter(Settings memory x, bytes memory told) private {
        (uint8 class, Limits memory limits) = abi.decode(told, (uint8, Limits));
        _withClass(x, abi.encode(class, Tightening.tighter(x.classes[class], limits)));
    }

    function _withMarkets(Settings memory x, bytes memory told) private {
        (uint16 first, uint8[] memory classes) = abi.decode(told, (uint16, uint8[]));
        uint256 known = x.classOf.length;
        if (first > known) revert NotConsecutive(first, known);
        bytes memory old = x.classOf;
        if (first + classes.length > known) {
            bytes memory added = new bytes(first + classes.length - known);
            (x.classOf, x.groupOf, x.ringOf) =
                (bytes.concat(old, added), bytes.concat(x.groupOf, added), bytes.concat(x.ringOf, added));
        }
        emit MarketsSet(newestEpoch + 1, first, _slice(old, first, classes.length), _bytesOf(classes));
        _put(x.classOf, first, classes);
    }

    function _withGroups(Settings memory x, bytes memory told) private {
        (uint16 first, uint8[] memory groups) = abi.decode(told, (uint16, uint8[]));
        _requireMarkets(first + groups.length, x);
        emit GroupsSet(newestEpoch + 1, first, _slice(x.groupOf, first, groups.length), _bytesOf(groups));
        _put(x.groupOf, first, groups);
    }

    function _withRings(Settings memory x, bytes memory told) private {
        (uint16 first, uint8[] memory lengths) = abi.decode(told, (uint16, uint8[]));
        _requireMarkets(first + lengths.length, x);
        emit RingsSet(newestEpoch + 1, first, _slice(x.ringOf, first, lengths.length), _bytesOf(lengths));
        _put(x.ringOf, first, lengths);
    }

    function _requireMarkets(uint256 end, Settings memory x) private pure {
        if (end > x.classOf.length) revert UnknownMarkets(end, x.classOf.length);
    }

    /// @return found Whether the member is in the epoch's committee.
    /// @return x The epoch's settings without it.
    function _without(uint32 epoch, address member) private view returns (bool found, Settings memory x) {
        x = _settings(epoch);
        uint256 kept = 0;
        address[] memory others = new address[](x.members.length);
        for (uint256 i = 0; i < x.members.length; ++i) {
            if (x.members[i] != member) others[kept++] = x.members[i];
        }
        found = kept < x.members.length;
        x.members = new address[](kept);
        for (uint256 i = 0; i < kept; ++i) {
            x.members[i] = others[i];
        }
    }

    function _grown(Limits[] memory classes) private pure returns (Limits[] memory grown) {
        grown = new Limits[](classes.length + 1);
        for (uint256 i = 0; i < classes.length; ++i) {
            grown[i] = classes[i];
        }
    }

    function _put(bytes memory all, uint256 first, uint8[] memory values) private pure {
        for (uint256 i = 0; i < values.length; ++i) {
            all[first + i] = bytes1(values[i]);
        }
    }

    function _bytesOf(uint8[] memory values) private pure returns (bytes memory packed) {
        packed = new bytes(values.length);
        _put(packed, 0, values);
    }

    /// @return part What there is of `count` bytes from `first` on.
    function _slice(bytes memory all, uint256 first, uint256 count) private pure returns (bytes memory part) {
        uint256 end = first + count < all.length ? first + count : all.length;
        part = new bytes(end - first);
        for (uint256 i = 0; i < part.length; ++i) {
            part[i] = all[first + i];
        }
    }
}
