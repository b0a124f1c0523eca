// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Leg} from "../margin/Leg.sol";

/// @notice A European, cash-settled option series; its id is its terms, so nothing need be listed.
/// @dev Bits 0-15 market, 16-79 strike (8 decimals), 80-119 expiry (Unix seconds), 120 set for a call. Above the market
/// it is what a packed leg holds from bit 64 on, so that a position is found by one comparison.
library Series {
    uint256 private constant TERMS = (1 << 105) - 1;
    uint256 private constant TERMS_IN_LEG = 64;

    error NoSuchSeries(uint256 id);

    function pack(uint16 market_, uint40 expiry_, uint64 strike_, bool isCall_) internal pure returns (uint256) {
        return uint256(market_) | uint256(strike_) << 16 | uint256(expiry_) << 80 | (isCall_ ? 1 << 120 : 0);
    }

    /// @notice The series that a packed leg is a position in.
    function ofLeg(uint16 market_, uint256 packed) internal pure returns (uint256) {
        return uint256(market_) | (packed >> TERMS_IN_LEG & TERMS) << 16;
    }

    function validate(uint256 id) internal pure {
        if (id >> 121 != 0 || strike(id) == 0 || expiry(id) == 0) revert NoSuchSeries(id);
    }

    /// @notice A position in the series as one packed word.
    function leg(uint256 id, int64 quantity) internal pure returns (uint256) {
        return Leg.pack(expiry(id), strike(id), isCall(id), quantity);
    }

    /// @return Whether a packed leg of the series' market is a position in it.
    function isOf(uint256 id, uint256 packed) internal pure returns (bool) {
        return packed >> TERMS_IN_LEG & TERMS == id >> 16;
    }

    function market(uint256 id) internal pure returns (uint16) {
        return uint16(id);
    }

    function strike(uint256 id) internal pure returns (uint64) {
        return uint64(id >> 16);
    }

    function expiry(uint256 id) internal pure returns (uint40) {
        return uint40(id >> 80);
    }

    function isCall(uint256 id) internal pure returns (bool) {
        return id >> 120 != 0;
    }
}
