// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

// Generated from node/margrave/lanes.py by `python -m margrave.lab.package`: change it there.

import {EXCESS, LANE_MAX, PRICE_MAX} from "../oracle/Lanes.sol";

/// @notice Every figure that is published of a market, by name; the first 16 lie in the risk word.
enum Field {
    DOWN_Q975, // loss of the index over the MPOR that is exceeded with probability 2.5 %
    DOWN_Q995, // the same at 0.5 %
    DOWN_ES99, // expected shortfall of the lower tail, 1 %
    DOWN_Q9995, // the same loss at 0.05 %
    DOWN_ES999, // expected shortfall of the lower tail, 0.1 %
    UP_Q975, // gain of the index over the MPOR that is exceeded with probability 2.5 %
    UP_Q995, // the same at 0.5 %
    UP_ES99, // expected gain in the upper tail, 1 %
    UP_Q9995, // the same gain at 0.05 %
    UP_ES999, // expected gain in the upper tail, 0.1 %
    VOL_UP, // rise of 30-day implied volatility over the MPOR, relative, 99 %
    VOL_DOWN, // fall of 30-day implied volatility over the MPOR, relative, 99 %
    LIQUIDITY, // half-spread plus impact of closing the reference size, share of notional
    CASCADE_PROBABILITY, // probability of a liquidation cascade within 24 h
    CASCADE_SIZE, // price impact of that cascade, share of price
    CONTAGION, // add-on for losses that arrive from other markets and protocols, share of notional
    SCORE, // composite risk score, 0 (calm) to 10,000
    CONFIDENCE, // how far the node trusts this row, 0 to 1
    TOTAL_VOL_7D, // at-the-money sigma * sqrt(T) at 7 days
    TOTAL_VOL_30D, // the same at 30 days
    TOTAL_VOL_90D, // the same at 90 days
    SSVI_RHO, // SSVI correlation rho, -1 to 1
    SSVI_WING, // SSVI wing b = eta * (1 + |rho|), at most 2
    SSVI_DECAY, // SSVI decay gamma, above 0 to 1/2
    BASIS, // forward over index, annualised
    PRICE // index price in US dollars
}

/// @title Figures of a market's two words, as integers with decimals.
library Fields {
    uint256 internal constant COUNT = 26;
    uint256 private constant RISK_FIELDS = 16;
    // Shift of each field in its word, one byte a field; decimals, four bits a field; one bit a field for the rest.
    uint256 private constant SHIFTS = 0x000000000000c0908070605040301000f0e0d0c0b0a090807060504030201000;
    uint256 private constant DECIMALS = 0x84444555404444444444444444;
    uint256 private constant SIGNED = 0x1200000;
    uint256 private constant FIVEFOLD = 0x1c0000;

    /// @param risk A market's risk word, as the oracle gives it.
    /// @param market Its market word.
    /// @return The figure, with `decimals(field)` decimals.
    function valueOf(Field field, uint256 risk, uint256 market) internal pure returns (int256) {
        uint256 i = uint256(field);
        uint256 word = i < RISK_FIELDS ? risk : market;
        uint256 count = word >> (SHIFTS >> 8 * i & 0xff) & (field == Field.PRICE ? PRICE_MAX : LANE_MAX);
        int256 value = int256(count) - int256(isSigned(field) ? EXCESS : 0);
        return FIVEFOLD >> i & 1 != 0 ? value * 5 : value;
    }

    function decimals(Field field) internal pure returns (uint8) {
        return uint8(DECIMALS >> 4 * uint256(field) & 0xf);
    }

    function isSigned(Field field) internal pure returns (bool) {
        return SIGNED >> uint256(field) & 1 != 0;
    }

    /// @return Its name in the wire table.
    function name(Field field) internal pure returns (string memory) {
        if (field == Field.DOWN_Q975) return "down_q975";
        if (field == Field.DOWN_Q995) return "down_q995";
        if (field == Field.DOWN_ES99) return "down_es99";
        if (field == Field.DOWN_Q9995) return "down_q9995";
        if (field == Field.DOWN_ES999) return "down_es999";
        if (field == Field.UP_Q975) return "up_q975";
        if (field == Field.UP_Q995) return "up_q995";
        if (field == Field.UP_ES99) return "up_es99";
        if (field == Field.UP_Q9995) return "up_q9995";
        if (field == Field.UP_ES999) return "up_es999";
        if (field == Field.VOL_UP) return "vol_up";
        if (field == Field.VOL_DOWN) return "vol_down";
        if (field == Field.LIQUIDITY) return "liquidity";
        if (field == Field.CASCADE_PROBABILITY) return "cascade_probability";
        if (field == Field.CASCADE_SIZE) return "cascade_size";
        if (field == Field.CONTAGION) return "contagion";
        if (field == Field.SCORE) return "score";
        if (field == Field.CONFIDENCE) return "confidence";
        if (field == Field.TOTAL_VOL_7D) return "total_vol_7d";
        if (field == Field.TOTAL_VOL_30D) return "total_vol_30d";
        if (field == Field.TOTAL_VOL_90D) return "total_vol_90d";
        if (field == Field.SSVI_RHO) return "ssvi_rho";
        if (field == Field.SSVI_WING) return "ssvi_wing";
        if (field == Field.SSVI_DECAY) return "ssvi_decay";
        if (field == Field.BASIS) return "basis";
        return "price";
    }
}
