// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ReportKind, Settings} from "../oracle/Config.sol";
import {Limits, Timing, Verdict} from "../oracle/Policy.sol";

/// @title What a registry tells the contracts that read its settings.
interface IScheduled {
    /// @notice Epoch `epoch` binds from round `fromRound` on; 0 is at once, and voids what was signed before. It takes
    /// the place of an epoch that was still pending. Only the registry may call.
    function schedule(uint32 epoch, uint32 fromRound) external;
}

/// @title What governance decides, and what the guardian may do at once.
/// @notice Every change writes one settings blob (src/oracle/Config.sol), begins an epoch and tells the oracle from
/// which round on it binds; `fromRound` 0 is at once. A later change is built on a pending one and replaces it.
interface IRegistry {
    // --- reading ----------------------------------------------------------------------------------------------------

    /// @notice The settings of an epoch, past, present or pending; epochs begin at 1.
    function settings(uint32 epoch) external view returns (Settings memory);

    /// @notice The newest settings, which bind now or from a round to come.
    function current() external view returns (uint32 epoch, Settings memory);

    /// @notice Where the card of an approved model set is published.
    function modelSetUri(bytes32 modelSet) external view returns (string memory);

    /// @notice What the oracle would do with figures: written, limited, skipped or halted, and with which words.
    /// @param oldRisk The stored risk word; zero if there is none.
    /// @param oldMarket The stored market word with its stamp.
    /// @param observedAt Unix seconds of the figures' round.
    function simulate(
        Limits calldata limits,
        uint256 oldRisk,
        uint256 oldMarket,
        uint256 risk,
        uint256 market,
        uint256 observedAt,
        uint256 minInterval,
        bool paused
    ) external pure returns (Verdict memory);

    // --- governance -------------------------------------------------------------------------------------------------

    /// @notice Who may sign, how many of them must (more than two thirds), and with which approved models.
    function setEpoch(address[] calldata members, uint8 quorum, bytes32 modelSet, uint32 fromRound) external;

    function setKind(ReportKind kind, uint32 fromRound) external;

    function setTiming(Timing calldata timing, uint32 fromRound) external;

    /// @notice Change the limits of a class of markets, or add the next class.
    function setClass(uint8 class, Limits calldata limits, uint32 fromRound) external;

    /// @notice Put consecutive markets into classes; ids beyond the last one are new markets.
    function setMarkets(uint16 firstMarket, uint8[] calldata classes, uint32 fromRound) external;

    /// @notice Which consecutive markets are written all or none; group 0 is alone.
    function setGroups(uint16 firstMarket, uint8[] calldata groups, uint32 fromRound) external;

    /// @notice How many overwritten figures of each market stay readable on chain.
    function setRings(uint16 firstMarket, uint8[] calldata lengths, uint32 fromRound) external;

    function approveModelSet(bytes32 modelSet, string calldata cardUri) external;

    function revokeModelSet(bytes32 modelSet) external;

    function unpause() external;

    // --- the guardian: at once, and only towards safety ---------------------------------------------------------------

    /// @notice Stop all loosening; tightening and reading go on.
    function pause() external;

    function removeMember(address member) external;

    /// @notice Replace a class by limits none of whose lanes is looser.
    function tightenClass(uint8 class, Limits calldata limits) external;
}
