// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {PRICE_GUARD, RISK_GUARDS} from "./Lanes.sol";

/// @title Arithmetic on all lanes of a word at once.
/// @dev Every lane has a guard bit above its value that is zero in an operand. `(a | guards) - b` then computes each
/// lane's `a - b` with no borrow reaching a neighbour, and leaves the guard set exactly where `a >= b`.
/// `guards` is RISK_GUARDS or MARKET_GUARDS; a lane without a guard (the time stamp) must be zero in both operands.
library LaneMath {
    uint256 private constant EVEN_LANES = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;

    /// @return value The constant, kept on the stack: where code is not on the path of every publication, one copy of it
    /// for both kinds of word is worth more than 32 bytes at each use. Word 0x60 of memory is always zero, which the
    /// optimiser does not know.
    function kept(uint256 constant_) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := or(constant_, mload(0x60))
        }
    }

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

    /// @return Each lane times `share / 2^16`, rounded down; `share` at most 2^16. The wide lane must be zero.
    function scaledDown(uint256 word, uint256 share) internal pure returns (uint256) {
        unchecked {
            // Every second lane in a 32-bit cell of its own: 15 bits times 17 cannot reach the next one.
            uint256 even = (word & EVEN_LANES) * share >> 16 & EVEN_LANES;
            uint256 odd = (word >> 16 & EVEN_LANES) * share & EVEN_LANES << 16;
            return even | odd;
        }
    }

    /// @return Each lane times `share / 2^16`, rounded up; `share` at most 2^16. The wide lane must be zero.
    function scaledUp(uint256 word, uint256 share) internal pure returns (uint256) {
        unchecked {
            uint256 even = (word & EVEN_LANES) * share + EVEN_LANES >> 16 & EVEN_LANES;
            uint256 odd = (word >> 16 & EVEN_LANES) * share + EVEN_LANES & EVEN_LANES << 16;
            return even | odd;
        }
    }

    /// @return The value bits of each 16-bit lane that holds its largest value, zero elsewhere.
    function saturated(uint256 word) internal pure returns (uint256) {
        unchecked {
            uint256 guards = word + (RISK_GUARDS >> 15) & RISK_GUARDS;
            return guards - (guards >> 15);
        }
    }
}
