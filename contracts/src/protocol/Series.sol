// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @notice A European, cash-settled option series; its id is its terms, so nothing need be listed.
/// @dev Bits 0-15 market, 16-79 expiry (Unix seconds), 80-143 strike (8 decimals), 144 set for a call.
library Series {
    error NoSuchSeries(uint256 id);

    function pack(uint16 market_, uint64 expiry_, uint64 strike_, bool isCall_) internal pure returns (uint256) {
        return uint256(market_) | uint256(expiry_) << 16 | uint256(strike_) << 80 | (isCall_ ? 1 << 144 : 0);
    }

    function validate(uint256 id) internal pure {
        if (id >> 145 != 0 || strike(id) == 0 || expiry(id) == 0) revert NoSuchSeries(id);
    }

    function market(uint256 id) internal pure returns (uint16) {
        return uint16(id);
    }

    function expiry(uint256 id) internal pure returns (uint64) {
        return uint64(id >> 16);
    }

    function strike(uint256 id) internal pure returns (uint64) {
        return uint64(id >> 80);
    }

    function isCall(uint256 id) internal pure returns (bool) {
        return id >> 144 != 0;
    }
}
