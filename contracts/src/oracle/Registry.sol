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
    using Config for bytes;

    /// @dev Which epochs bind at this moment: `live` now, `next` (if not zero) from round `nextFrom` on; and over which
    /// of them a change writes a new one.
    struct Binding {
        uint32 live;
        uint32 next;
        uint32 nextFrom;
        uint32 round;
        bool overLive;
        bool overNext;
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
    function setEpoch(address[] calldata, uint8, bytes32 modelSet, uint32 fromRound) external restricted {
        if (bytes(_modelSetUri[modelSet]).length == 0) revert NotApproved(modelSet);
        _change(fromRound);
    }

    /// @inheritdoc IRegistry
    function setKind(ReportKind, uint32 fromRound) external restricted {
        _change(fromRound);
    }

    /// @inheritdoc IRegistry
    function setTiming(Timing calldata, uint32 fromRound) external restricted {
        _change(fromRound);
    }

    /// @inheritdoc IRegistry
    function setClass(uint8, Limits calldata, uint32 fromRound) external restricted {
        _change(fromRound);
    }

    /// @inheritdoc IRegistry
    function setMarkets(uint16, uint8[] calldata, uint32 fromRound) external restricted {
        _change(fromRound);
    }

    /// @inheritdoc IRegistry
    function setGroups(uint16, uint8[] calldata, uint32 fromRound) external restricted {
        _change(fromRound);
    }

    /// @inheritdoc IRegistry
    function setRings(uint16, uint8[] calldata, uint32 fromRound) external restricted {
        _change(fromRound);
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
        _change(0);
    }

    // --- the guardian -----------------------------------------------------------------------------------------------

    /// @inheritdoc IRegistry
    function pause() external restricted {
        _change(0);
    }

    /// @inheritdoc IRegistry
    /// @dev The quorum stays as it is, so the committee can lose no more than its spare members: fewer signatures for
    /// the same trust would be a loosening.
    function removeMember(address member) external restricted {
        Binding memory b = _binding();
        bool bound = _isMember(b.live, member);
        bool pending = _isMember(b.next, member);
        if (!bound && !pending) revert NotMember(member);
        // What binds at once takes the place of what is pending, so that both are written, or the live one to drop it.
        bool drops = pending && !_hasSpare(b.next);
        b.overLive = bound || drops;
        b.overNext = b.next != 0 && !drops;
        if (drops) emit PendingDropped(b.next);
        _rewrite(b);
    }

    /// @inheritdoc IRegistry
    function tightenClass(uint8, Limits calldata) external restricted {
        _change(0);
    }

    // --- one change after another -----------------------------------------------------------------------------------

    /// @dev A change with a round to come is built on the pending epoch, and replaces it. One that binds at once is
    /// made to the live and to the pending settings alike: built on the pending ones alone it would bring them forward,
    /// and a pause would be a way to skip a delay.
    function _change(uint32 fromRound) private {
        Binding memory b = _binding();
        if (fromRound == 0) {
            (b.overLive, b.overNext) = (true, b.next != 0);
        } else {
            if (fromRound <= b.round) revert RoundPassed(fromRound, b.round);
            b.overNext = true;
            b.nextFrom = fromRound;
            if (b.next == 0) b.next = b.live;
        }
        _rewrite(b);
    }

    /// @dev One way through for every change, or the compiler would copy the writing of a blob into each of them.
    function _rewrite(Binding memory b) private {
        for (uint256 i = b.overLive ? 0 : 1; i < (b.overNext ? 2 : 1); ++i) {
            (uint32 previous, uint32 fromRound) = i == 0 ? (b.live, 0) : (b.next, b.nextFrom);
            Settings memory x = _settings(previous);
            _apply(x, fromRound != 0);
            uint32 epoch = ++newestEpoch;
            address config = Config.write(x);
            IScheduled(oracle).schedule(epoch, fromRound);
            emit Configured(epoch, previous, fromRound, Config.load(config).digest(), config);
        }
    }

    /// @dev The change is the call itself: its selector says which, its arguments what.
    function _apply(Settings memory x, bool later) private {
        bytes calldata told = msg.data[4:];
        if (msg.sig == IRegistry.setEpoch.selector) _withEpoch(x, told);
        else if (msg.sig == IRegistry.setKind.selector) _withKind(x, told);
        else if (msg.sig == IRegistry.setTiming.selector) _withTiming(x, told);
        else if (msg.sig == IRegistry.setClass.selector) _withClass(x, told);
        else if (msg.sig == IRegistry.setMarkets.selector) _withMarkets(x, told);
        else if (msg.sig == IRegistry.setGroups.selector) _withGroups(x, told);
        else if (msg.sig == IRegistry.setRings.selector) _withRings(x, told);
        else if (msg.sig == IRegistry.removeMember.selector) _withoutMember(x, told);
        else if (msg.sig == IRegistry.tightenClass.selector) _withTighterClass(x, told, later);
        else _withPause(x, msg.sig == IRegistry.pause.selector);
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

    function _blob(uint32 epoch) private view returns (bytes memory) {
        return epoch == 0 ? new bytes(96) : Config.load(Config.addressOf(address(this), epoch));
    }

    function _usesModelSet(uint32 epoch, bytes32 modelSet) private view returns (bool) {
        return _blob(epoch).modelSet() == modelSet;
    }

    function _isMember(uint32 epoch, address member) private view returns (bool) {
        bytes memory config = _blob(epoch);
        for (uint256 i = 0; i < config.memberCount(); ++i) {
            if (config.member(i) == member) return true;
        }
        return false;
    }

    /// @dev Whether the epoch's committee can lose a member and still has a quorum.
    function _hasSpare(uint32 epoch) private view returns (bool) {
        bytes memory config = _blob(epoch);
        return config.memberCount() > config.quorum();
    }

    // --- the changes ------------------------------------------------------------------------------------------------

    function _withEpoch(Settings memory x, bytes calldata told) private {
        (address[] memory members, uint8 quorum, bytes32 modelSet) = abi.decode(told, (address[], uint8, bytes32));
        emit EpochSet(newestEpoch + 1, x.members, members, x.quorum, quorum, x.modelSet, modelSet);
        (x.members, x.quorum, x.modelSet) = (members, quorum, modelSet);
        x.modelSetIndex = _modelSetIndex[modelSet];
    }

    function _withoutMember(Settings memory x, bytes calldata told) private {
        address member = abi.decode(told, (address));
        uint256 kept = 0;
        address[] memory others = new address[](x.members.length);
        for (uint256 i = 0; i < x.members.length; ++i) {
            if (x.members[i] != member) others[kept++] = x.members[i];
        }
        if (kept == x.members.length) return;
        emit MemberRemoved(newestEpoch + 1, member, x.quorum, kept);
        x.members = new address[](kept);
        for (uint256 i = 0; i < kept; ++i) {
            x.members[i] = others[i];
        }
    }

    function _withKind(Settings memory x, bytes calldata told) private {
        ReportKind kind = abi.decode(told, (ReportKind));
        emit KindSet(newestEpoch + 1, x.kind, kind);
        x.kind = kind;
    }

    function _withTiming(Settings memory x, bytes calldata told) private {
        Timing memory timing = abi.decode(told, (Timing));
        emit TimingSet(newestEpoch + 1, x.timing, timing);
        x.timing = timing;
    }

    function _withPause(Settings memory x, bool paused) private {
        emit PausedSet(newestEpoch + 1, x.paused, paused);
        x.paused = paused;
    }

    function _withClass(Settings memory x, bytes calldata told) private {
        (uint8 class, Limits memory limits) = abi.decode(told, (uint8, Limits));
        if (class > x.classes.length) revert NotConsecutive(class, x.classes.length);
        if (class == x.classes.length) x.classes = _grown(x.classes);
        _putClass(x, class, limits);
    }

    /// @dev What governance has decided for later is held to the tighter of both in each lane, so that the guardian
    /// neither loosens it nor is kept from acting by it.
    function _withTighterClass(Settings memory x, bytes calldata told, bool later) private {
        (uint8 class, Limits memory limits) = abi.decode(told, (uint8, Limits));
        if (class >= x.classes.length) revert Config.UnknownClass(class, x.classes.length);
        if (later) limits = Tightening.tighter(x.classes[class], limits);
        else Tightening.requireTighter(x.classes[class], limits);
        _putClass(x, class, limits);
    }

    function _putClass(Settings memory x, uint8 class, Limits memory limits) private {
        emit ClassSet(newestEpoch + 1, class, x.classes[class], limits);
        x.classes[class] = limits;
    }

    function _withMarkets(Settings memory x, bytes calldata told) private {
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

    function _withGroups(Settings memory x, bytes calldata told) private {
        (uint16 first, uint8[] memory groups) = abi.decode(told, (uint16, uint8[]));
        _requireMarkets(first + groups.length, x);
        emit GroupsSet(newestEpoch + 1, first, _slice(x.groupOf, first, groups.length), _bytesOf(groups));
        _put(x.groupOf, first, groups);
    }

    function _withRings(Settings memory x, bytes calldata told) private {
        (uint16 first, uint8[] memory lengths) = abi.decode(told, (uint16, uint8[]));
        _requireMarkets(first + lengths.length, x);
        emit RingsSet(newestEpoch + 1, first, _slice(x.ringOf, first, lengths.length), _bytesOf(lengths));
        _put(x.ringOf, first, lengths);
    }

    function _requireMarkets(uint256 end, Settings memory x) private pure {
        if (end > x.classOf.length) revert UnknownMarkets(end, x.classOf.length);
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
