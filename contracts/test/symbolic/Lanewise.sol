// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import "../../src/oracle/Lanes.sol";

/// @dev One lane at a time, and comparisons as numbers: a branch here would double the paths that must be explored.
abstract contract Lanewise {
    function lanes(uint256 guards) internal pure returns (uint256) {
        return guards == RISK_GUARDS ? 16 : 11;
    }

    /// @return shift Where lane i begins; in the market word lane 10 is the price.
    /// @return most Its largest value.
    function lane(uint256 guards, uint256 i) internal pure returns (uint256 shift, uint256 most) {
        return guards == MARKET_GUARDS && i == 10 ? (PRICE_SHIFT, PRICE_MAX) : (16 * i, LANE_MAX);
    }

    function width(uint256 most) internal pure returns (uint256) {
        return most == PRICE_MAX ? 63 : 15;
    }

    function atMost(uint256 x, uint256 y) internal pure returns (uint256 holds) {
        assembly ("memory-safe") {
            holds := iszero(gt(x, y))
        }
    }

    function equal(uint256 x, uint256 y) internal pure returns (uint256 holds) {
        assembly ("memory-safe") {
            holds := eq(x, y)
        }
    }

    function lesser(uint256 x, uint256 y) internal pure returns (uint256) {
        unchecked {
            return y ^ ((x ^ y) * atMost(x, y));
        }
    }
}
