// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Config, Settings} from "./Config.sol";
import {Limits, Policy, Timing} from "./Policy.sol";

/// @title What governance decides: members, quorum, models, timing, limits, and which market has which.
/// @dev Each change writes a new code blob and begins an epoch: what was signed under other settings is void.
abstract contract Governed is Ownable2Step {
    using Config for address;

    uint256 public constant MAX_MEMBERS = 31;
    uint256 private constant MAX_MODEL_SETS = 1 << 12;

    struct Head {
        address config;
        uint32 epoch;
        uint32 agingAfter;
        uint32 staleAfter;
    }

    /// @notice Governance changed the settings; nothing signed before is valid any more.
    event Configured(uint32 indexed epoch, bytes32 policyDigest, bytes32 modelSet, address config);

    error QuorumTooSmall(uint256 quorum, uint256 members);
    error BadMember(address member);
    error TooManyModelSets();
    error BadTiming();
    error NotConsecutive(uint256 got, uint256 next);
    error UnknownClass(uint256 class, uint256 classes);

    Head internal _head;
    uint16 private _modelSets;
    mapping(bytes32 modelSet => uint16 index) private _modelSetIndex;

    constructor(address governance, Timing memory timing) Ownable(governance) {
        Settings memory x;
        x.timing = timing;
        _requireTiming(timing);
        _configure(x);
    }

    /// @notice Everything that governance has decided.
    function configuration() external view returns (Settings memory) {
        return _head.config.read();
    }

    /// @notice Who may sign from now on, how many of them must, and with which approved models.
    /// @dev More than two thirds: with a third or fewer dishonest, honest members are a majority of every quorum, so
    /// that a median lies between honest figures.
    function setEpoch(address[] calldata members, uint8 quorum, bytes32 modelSet) external onlyOwner {
        uint256 n = members.length;
        if (n > MAX_MEMBERS || quorum > n || 3 * uint256(quorum) <= 2 * n) revert QuorumTooSmall(quorum, n);
        for (uint256 i = 0; i < n; ++i) {
            if (members[i] == address(0)) revert BadMember(members[i]);
            for (uint256 j = 0; j < i; ++j) {
                if (members[i] == members[j]) revert BadMember(members[i]);
            }
        }
        Settings memory x = _head.config.read();
        (x.members, x.quorum, x.modelSet) = (members, quorum, modelSet);
        x.modelSetIndex = _indexOf(modelSet);
        _configure(x);
    }

    function setTiming(Timing calldata timing) external onlyOwner {
        _requireTiming(timing);
        Settings memory x = _head.config.read();
        x.timing = timing;
        _configure(x);
    }

    /// @notice Change the limits of a class of markets, or add the next class.
    function setClass(uint8 class, Limits calldata limits) external onlyOwner {
        Policy.validate(limits);
        Settings memory x = _head.config.read();
        if (class > x.classes.length) revert NotConsecutive(class, x.classes.length);
        if (class == x.classes.length) x.classes = _grown(x.classes);
        x.classes[class] = limits;
        _configure(x);
    }

    /// @notice Put consecutive markets into classes; ids beyond the last one are new markets.
    function setMarkets(uint16 firstMarket, uint8[] calldata classes) external onlyOwner {
        Settings memory x = _head.config.read();
        uint256 known = x.classOf.length;
        if (firstMarket > known) revert NotConsecutive(firstMarket, known);
        if (firstMarket + classes.length > known) {
            x.classOf = abi.encodePacked(x.classOf, new bytes(firstMarket + classes.length - known));
        }
        for (uint256 i = 0; i < classes.length; ++i) {
            if (classes[i] >= x.classes.length) revert UnknownClass(classes[i], x.classes.length);
            x.classOf[firstMarket + i] = bytes1(classes[i]);
        }
        _configure(x);
    }

    function _configure(Settings memory x) internal {
        address config = Config.write(x);
        uint32 epoch = _head.epoch + 1;
        _head = Head(config, epoch, x.timing.agingAfter, x.timing.staleAfter);
        emit Configured(epoch, Config.policyDigest(x), x.modelSet, config);
    }

    function _indexOf(bytes32 modelSet) private returns (uint16 index) {
        index = _modelSetIndex[modelSet];
        if (index != 0) return index;
        index = ++_modelSets;
        if (index >= MAX_MODEL_SETS) revert TooManyModelSets();
        _modelSetIndex[modelSet] = index;
    }

    function _grown(Limits[] memory classes) private pure returns (Limits[] memory grown) {
        if (classes.length == type(uint8).max) revert UnknownClass(classes.length, classes.length);
        grown = new Limits[](classes.length + 1);
        for (uint256 i = 0; i < classes.length; ++i) {
            grown[i] = classes[i];
        }
    }

    function _requireTiming(Timing memory x) private pure {
        if (x.period == 0 || x.agingAfter == 0 || x.agingAfter >= x.staleAfter) revert BadTiming();
        if (x.maxReportAge < x.period) revert BadTiming();
    }
}
