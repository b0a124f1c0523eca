// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPointMathLib as Math} from "solady/utils/FixedPointMathLib.sol";
import {Normal} from "./Normal.sol";

/// @title Undiscounted Black (1976) in 18 decimals.
library Black76 {
    int256 private constant WAD = 1e18;
    int256 private constant FAR = 50e18;

    /// @notice Value of a call, held between its intrinsic value and the forward.
    /// @param forward Forward price.
    /// @param strike Strike price.
    /// @param logMoneyness ln(forward / strike).
    /// @param totalVol sigma·sqrt(T); zero gives the intrinsic value.
    function call(int256 forward, int256 strike, int256 logMoneyness, int256 totalVol) internal pure returns (int256) {
        unchecked {
            int256 intrinsic = forward > strike ? forward - strike : int256(0);
            if (totalVol == 0) return intrinsic;
            int256 d1 = Math.rawSDiv(logMoneyness * WAD, totalVol) + totalVol / 2;
            if (d1 > FAR || d1 < -FAR) return intrinsic;
            int256 density1 = Normal.density(d1);
            // forward·n(d1) = strike·n(d2) spares the second exponential.
            int256 n1 = Normal.cdf(d1, density1);
            int256 n2 = Normal.cdf(d1 - totalVol, Math.rawSDiv(density1 * forward, strike));
            int256 value = (forward * n1 - strike * n2) / WAD;
            if (value < intrinsic) return intrinsic;
            return value > forward ? forward : value;
        }
    }
}
