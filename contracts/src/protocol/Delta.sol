// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPointMathLib as Math} from "solady/utils/FixedPointMathLib.sol";
import {Leg} from "../margin/Leg.sol";
import {LANE_MAX, PRICE_SHIFT, TOTAL_VOL_30D_SHIFT, TOTAL_VOL_7D_SHIFT, TOTAL_VOL_90D_SHIFT} from "../oracle/Lanes.sol";

/// @title How many contracts of the underlying a book of options moves like, for limits.
/// @dev At-the-money volatility without smile or basis, and the normal distribution by a logistic curve, within 0.01:
/// what a limit needs, at a tenth of an option price's cost.
library Delta {
    using Leg for uint256;

    int256 private constant WAD = 1e18;
    int256 private constant LOGISTIC = 1.702e18;
    int256 private constant FAR = 40e18;
    uint256 private constant LANE_UNIT = 1e14;

    /// @param words The market word.
    /// @return sum Contracts, 6 decimals, over the legs of one market.
    function ofLegs(uint256 words, uint256[] memory legs, uint256 nowS) internal pure returns (int256 sum) {
        int256 logSpot = Math.lnWad(int256((words >> PRICE_SHIFT) * 1e10));
        for (uint256 i = 0; i < legs.length; ++i) {
            sum += ofLeg(words, logSpot, legs[i], nowS);
        }
    }

    /// @param logSpot ln(price in dollars), 18 decimals.
    /// @return Contracts, 6 decimals: the quantity times a delta between -1 and 1.
    function ofLeg(uint256 words, int256 logSpot, uint256 leg, uint256 nowS) internal pure returns (int256) {
        int256 logStrike = int256(leg.logStrike()) * WAD / int256(1 << Leg.LOG_UNIT_BITS);
        int256 inside = _probability(logSpot - logStrike, _variance(words, leg.expiry(), nowS));
        int256 delta = leg.isCall() ? inside : inside - WAD;
        return int256(leg.quantity()) * delta / WAD;
    }

    /// @return Of ending in the money as the price measure of the underlying counts it, 18 decimals.
    function _probability(int256 moneyness, int256 variance) private pure returns (int256) {
        if (variance == 0) return moneyness > 0 ? WAD : int256(0);
        int256 d1 = (moneyness + variance / 2) * WAD / int256(Math.sqrt(uint256(variance) * uint256(WAD)));
        int256 x = d1 * LOGISTIC / WAD;
        if (x > FAR) return WAD;
        if (x < -FAR) return 0;
        return WAD * WAD / (WAD + Math.expWad(-x));
    }

    /// @return Total variance at an expiry, 18 decimals: straight lines through nothing and the published tenors, and
    /// on at the last one's rate.
    function _variance(uint256 words, uint256 expiry, uint256 nowS) private pure returns (int256) {
        if (expiry <= nowS) return 0;
        uint256 t = expiry - nowS;
        uint256 v7 = _square(words, TOTAL_VOL_7D_SHIFT);
        if (t <= 7 days) return int256(v7 * t / 7 days);
        uint256 v30 = _square(words, TOTAL_VOL_30D_SHIFT);
        if (t <= 30 days) return int256(v7 + (v30 - v7) * (t - 7 days) / 23 days);
        uint256 v90 = _square(words, TOTAL_VOL_90D_SHIFT);
        if (t <= 90 days) return int256(v30 + (v90 - v30) * (t - 30 days) / 60 days);
        return int256(v90 * t / 90 days);
    }

    function _square(uint256 words, uint256 shift) private pure returns (uint256) {
        uint256 totalVol = (words >> shift & LANE_MAX) * LANE_UNIT;
        return totalVol * totalVol / uint256(WAD);
    }
}
