// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import "./Lanes.sol";

/// @title What the contract itself writes into a stored market word: the time of observation, and the flags lane.
/// @dev Flags lane: LIMITED, HALT, RESUMED, then nine bits of the model set's index. Bits 12 to 14 are zero in storage;
/// a packed read puts the status there.
library Stamp {
    uint256 internal constant LIMITED = 1;
    uint256 internal constant HALT = 2;
    uint256 internal constant RESUMED = 4;
    uint256 internal constant MODEL_SET_SHIFT = 3;
    uint256 internal constant STATUS_SHIFT = 12;
    uint256 internal constant MAX_MODEL_SETS = 511;

    /// @notice Unix seconds of the observation, or of the last resume; zero if never written.
    function observedAt(uint256 market) internal pure returns (uint256) {
        return market >> STAMP_SHIFT & STAMP_MAX;
    }

    function has(uint256 market, uint256 flag) internal pure returns (bool) {
        return market & flag << FLAGS_SHIFT != 0;
    }

    /// @notice Whether there are words to step from: a market that was never written has no price.
    function isWritten(uint256 market) internal pure returns (bool) {
        return market >> PRICE_SHIFT != 0;
    }

    function unstamped(uint256 market) internal pure returns (uint256) {
        return market & ~MARKET_STAMPED;
    }

    function stamp(uint256 market, uint256 time, uint256 flags) internal pure returns (uint256) {
        return market | time << STAMP_SHIFT | flags << FLAGS_SHIFT;
    }
}
