// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPointMathLib as Math} from "solady/utils/FixedPointMathLib.sol";

/// @title Natural logarithm and exponential with 40 fractional bits, good to 3e-8 and, relatively, 2e-7.
/// @dev A third of the cost of 18 exact decimals, which margin has no use for: an error in ln(forward / strike) moves d1
/// and d2 alike, and to first order a price does not depend on that.
library LogExp {
    int256 internal constant ONE = 1 << 40;
    int256 private constant ONE64 = 1 << 64;
    int256 private constant LN2_64 = 12786308645202655659;
    int256 private constant LOG2E_64 = 26613026195688644983;
    uint256 private constant ABOVE_SQRT2_64 = 26087635650665564425;
    /// @dev One over root two, and how far root two is from it, 40 bits.
    uint256 private constant NEAR = 777472127993;
    uint256 private constant NEAR_WIDTH = 777472127994;

    /// @param x Above zero, below 2^191.
    function ln(uint256 x) internal pure returns (int256) {
        unchecked {
            int256 y = int256(x << 24);
            int256 halvings = 0;
            // Most arguments are close to one; only the others need to be brought there.
            if (x - NEAR > NEAR_WIDTH) {
                uint256 bits = Math.log2(x);
                uint256 scaled = x << 255 - bits >> 191;
                uint256 upper = scaled / ABOVE_SQRT2_64; // below two of them: one or none
                y = int256(scaled >> upper);
                halvings = int256(bits + upper) - 40;
            }
            // ln y = 2·(z + z³/3 + z⁵/5 + z⁷/7 + …) with z = (y - 1)/(y + 1), at most 0.172.
            int256 z = Math.rawSDiv((y - ONE64) << 64, y + ONE64);
            int256 square = z * z >> 64;
            int256 p = (square * 2635249153387078802 >> 64) + 3689348814741910323; // 1/7, 1/5
            p = (p * square >> 64) + 6148914691236517205; // 1/3
            p = (p * square >> 64) + ONE64;
            return (z * p >> 63) + halvings * LN2_64 >> 24;
        }
    }

    /// @param x At most 60; far below zero the result is zero.
    function exp(int256 x) internal pure returns (uint256) {
        unchecked {
            int256 doublings = (x * LOG2E_64 >> 40) + (1 << 63) >> 64;
            int256 z = (x << 24) - doublings * LN2_64; // within ±ln(2)/2
            // 1 + z + z²/2! + … + z⁶/6!
            int256 p = ONE64 + z / 6;
            p = ONE64 + z * p / (5 << 64);
            p = ONE64 + (z * p >> 66);
            p = ONE64 + z * p / (3 << 64);
            p = ONE64 + (z * p >> 65);
            p = ONE64 + (z * p >> 64);
            return doublings > 24 ? uint256(p) << uint256(doublings - 24) : uint256(p) >> uint256(24 - doublings);
        }
    }
}
