// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPointMathLib as Math} from "solady/utils/FixedPointMathLib.sol";

/// @title One option position in one storage slot.
/// @dev Bits 0-63 ln(strike in dollars), signed, 40 of them fractional; 64-127 strike, 8 decimals; 128-167 expiry,
/// Unix seconds; 168 set for a call; 192-255 quantity in contracts, signed, 6 decimals, negative is short.
/// The logarithm is kept because margin needs it at every reading and the strike never changes: it is computed once,
/// when the position is opened. Expiry lies above strike, so that `sortKey` orders a book by both.
library Leg {
    uint256 internal constant LOG_UNIT_BITS = 40;

    error NoSuchOption(uint256 expiry, uint256 strike);

    /// @notice The terms of an option and how much of it.
    /// @dev Refuses what has no logarithm or no end.
    function pack(uint40 expiry_, uint64 strike_, bool isCall_, int64 quantity_) internal pure returns (uint256 leg) {
        if (strike_ == 0 || expiry_ == 0) revert NoSuchOption(expiry_, strike_);
        leg = uint64(logOf(strike_)) | uint256(strike_) << 64 | uint256(expiry_) << 128;
        if (isCall_) leg |= 1 << 168;
        leg = withQuantity(leg, quantity_);
    }

    /// @return ln(strike in dollars) of a strike with 8 decimals, 40 fractional bits.
    function logOf(uint64 strike_) internal pure returns (int64) {
        return int64(Math.lnWad(int256(uint256(strike_) * 1e10)) * int256(1 << LOG_UNIT_BITS) / 1e18);
    }

    /// @return The same option, another quantity.
    function withQuantity(uint256 leg, int64 quantity_) internal pure returns (uint256) {
        return terms(leg) | uint256(int256(quantity_)) << 192;
    }

    /// @return The option without its quantity: equal for equal series of one market.
    function terms(uint256 leg) internal pure returns (uint256) {
        return leg & (1 << 192) - 1;
    }

    function quantity(uint256 leg) internal pure returns (int64) {
        return int64(int256(leg) >> 192);
    }

    function expiry(uint256 leg) internal pure returns (uint40) {
        return uint40(leg >> 128);
    }

    function strike(uint256 leg) internal pure returns (uint64) {
        return uint64(leg >> 64);
    }

    function logStrike(uint256 leg) internal pure returns (int64) {
        return int64(uint64(leg));
    }

    function isCall(uint256 leg) internal pure returns (bool) {
        return leg >> 168 & 1 != 0;
    }

    /// @param i Below the length: Solidity's own reading asks that each time.
    function nth(uint256[] calldata legs, uint256 i) internal pure returns (uint256 leg) {
        assembly ("memory-safe") {
            leg := calldataload(add(legs.offset, shl(5, i)))
        }
    }

    /// @return Expiry, then strike.
    function sortKey(uint256 leg) internal pure returns (uint256) {
        return leg >> 64 & (1 << 104) - 1;
    }
}
