// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPointMathLib as Math} from "solady/utils/FixedPointMathLib.sol";

/// @title The normal distribution in 18 decimals.
/// @dev Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.17: absolute error below 7.5e-8.
library Normal {
    int256 private constant WAD = 1e18;

    /// @return The density at x.
    function density(int256 x) internal pure returns (int256) {
        unchecked {
            return Math.expWad(-(x * x) / (2 * WAD)) * 398942280401432678 / WAD;
        }
    }

    /// @param x Where.
    /// @param densityAtX The density there, which the caller has at hand.
    /// @return The distribution function at x.
    function cdf(int256 x, int256 densityAtX) internal pure returns (int256) {
        unchecked {
            int256 z = x < 0 ? -x : x;
            int256 t = Math.rawSDiv(WAD * WAD, WAD + 231641900000000000 * z / WAD);
            int256 p = 1330274429000000000;
            p = p * t / WAD - 1821255978000000000;
            p = p * t / WAD + 1781477937000000000;
            p = p * t / WAD - 356563782000000000;
            p = p * t / WAD + 319381530000000000;
            int256 tail = p * t / WAD * densityAtX / WAD;
            return x < 0 ? tail : WAD - tail;
        }
    }
}
