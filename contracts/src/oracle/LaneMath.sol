// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {PRICE_GUARD} from "./Lanes.sol";

/// @title Arithmetic on all lanes of a word at once.
/// @dev Every lane has a guard bit above its value that is zero in an operand. `(a | guards) - b` then computes each
/// lane's `a - b` with no borrow reaching a neighbour, and leaves the guard set exactly where `a >= b`.
/// `guards` is RISK_GUARDS or MARKET_GUARDS; a lane without a guard (the time stamp) must be zero in both operands.
library LaneMath {
    /// @return Guard bits of the lanes in which `a >= b`.
    function atLeast(uint256 a, uint256 b, uint256 guards) internal pure returns (uint256) {
        unchecked {
            return ((a | guards) - b) & guards;
        }
    }

    /// @return The value bits of each lane whose guard bit is in `set`. Bit 255 guards the 63-bit price in the market
    /// word and a 15-bit lane in the risk word; the two words differ in bit 191, which only the risk word guards.
    function spread(uint256 set, uint256 guards) internal pure returns (uint256) {
        unchecked {
            uint256 wide = set & PRICE_GUARD & ~(guards << 64);
            return set - ((set ^ wide) >> 15) - (wide >> 63);
        }
    }

    /// @return `max(a - b, 0)` in each lane.
    function excess(uint256 a, uint256 b, uint256 guards) internal pure returns (uint256) {
        unchecked {
            uint256 difference = (a | guards) - b;
            return difference & spread(difference & guards, guards);
        }
    }

    function min(uint256 a, uint256 b, uint256 guards) internal pure returns (uint256) {
        unchecked {
            return a - excess(a, b, guards);
        }
    }

    function max(uint256 a, uint256 b, uint256 guards) internal pure returns (uint256) {
        unchecked {
            return b + excess(a, b, guards);
        }
    }

    /// @return Each lane's sum, held at the lane's largest value.
    function sum(uint256 a, uint256 b, uint256 guards) internal pure returns (uint256) {
        unchecked {
            uint256 s = a + b; // two 15-bit values reach bit 15 of their own lane at most
            return (s | spread(s & guards, guards)) & ~guards;
        }
    }
}
