// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPointMathLib as Math} from "solady/utils/FixedPointMathLib.sol";
import "../oracle/Lanes.sol";
import {LogExp} from "./LogExp.sol";

/// @notice One market's volatility surface.
struct SurfaceParams {
    uint256 spot; // 8 decimals
    int256 basis; // basis points a year
    int256 theta7d; // total variance at 7, 30 and 90 days, 80 fractional bits
    int256 theta30d;
    int256 theta90d;
    int256 rho; // 40 fractional bits, as all below
    int256 eta;
    int256 gamma;
}

/// @title The SSVI surface that the market word carries.
/// @dev Gatheral and Jacquier (2014): w(k) = θ/2·(1 + ρφk + sqrt((φk + ρ)² + 1 − ρ²)), φ = η / (θ^γ·(1 + θ)^(1 − γ)).
/// Total variance θ is proportional to time below 7 days, linear between the tenors, and goes on at its last slope.
/// Every figure is held within bounds that a sound market never meets, so that no word and no expiry can overflow:
/// |ρ| ≤ 1, carry 1/10 to 10, 0 ≤ θ ≤ 64, φ ≤ η·e^20.
library Surface {
    int256 private constant ONE = LogExp.ONE;
    int256 private constant YEAR = 365 days;
    int256 private constant LEAST_CARRY = ONE / 10;
    int256 private constant MOST_CARRY = 10 * ONE;
    int256 private constant MOST_THETA = 64 << 80;
    int256 private constant MOST_EXPONENT = 20 * ONE;
    /// @dev 2^80 / 10^10 · 25: the square of a volatility lane's unit, 5e-5.
    int256 private constant VARIANCE_UNIT = 3022314549036572;
    /// @dev ln(2^16 / 10^8), from the forward's unit to dollars.
    int256 private constant LOG_OF_UNIT = -8059778512952;
    /// @dev ln(2^40), from 80 fractional bits to 40.
    int256 private constant LOG_OF_40_BITS = 30484935391432;

    function unpack(uint256 market) internal pure returns (SurfaceParams memory x) {
        unchecked {
            int256 rho = Math.clamp(_signed(market, SSVI_RHO_SHIFT), -10_000, 10_000);
            x.spot = market >> PRICE_SHIFT & PRICE_MAX;
            x.basis = _signed(market, BASIS_SHIFT);
            x.theta7d = _variance(market, TOTAL_VOL_7D_SHIFT);
            x.theta30d = _variance(market, TOTAL_VOL_30D_SHIFT);
            x.theta90d = _variance(market, TOTAL_VOL_90D_SHIFT);
            x.rho = rho * ONE / 10_000;
            x.eta = Math.rawSDiv(_lane(market, SSVI_WING_SHIFT) * ONE, 10_000 + (rho < 0 ? -rho : rho));
            x.gamma = _lane(market, SSVI_DECAY_SHIFT) * ONE / 10_000;
        }
    }

    /// @param t Seconds to expiry.
    /// @return 8 decimals and 24 fractional bits.
    function forwardAt(SurfaceParams memory x, int256 t) internal pure returns (uint256) {
        unchecked {
            int256 carry = Math.clamp(ONE + x.basis * t * ONE / (10_000 * YEAR), LEAST_CARRY, MOST_CARRY);
            return x.spot * uint256(carry) >> 16;
        }
    }

    /// @param t Seconds to expiry.
    /// @return 80 fractional bits.
    function thetaAt(SurfaceParams memory x, int256 t) internal pure returns (int256) {
        unchecked {
            int256 theta;
            if (t <= 7 days) theta = x.theta7d * t / 7 days;
            else if (t <= 30 days) theta = x.theta7d + (x.theta30d - x.theta7d) * (t - 7 days) / 23 days;
            else theta = x.theta30d + (x.theta90d - x.theta30d) * (t - 30 days) / 60 days;
            return Math.clamp(theta, 0, MOST_THETA);
        }
    }

    /// @param theta Above zero.
    function phiOf(SurfaceParams memory x, int256 theta) internal pure returns (int256) {
        unchecked {
            int256 exponent = x.gamma * (LogExp.ln(uint256(theta)) - LOG_OF_40_BITS) + (ONE - x.gamma)
                * LogExp.ln(uint256(ONE + (theta >> 40)));
            return x.eta * int256(LogExp.exp(Math.min(-exponent >> 40, MOST_EXPONENT))) >> 40;
        }
    }

    /// @return ln of dollars.
    /// @param price 8 decimals and 24 fractional bits.
    function logOf(uint256 price) internal pure returns (int256) {
        unchecked {
            return LogExp.ln(price) + LOG_OF_UNIT;
        }
    }

    /// @param theta Of the expiry, as `phi`.
    /// @param k ln(strike / forward).
    /// @return sigma·sqrt(T) at that strike, 40 fractional bits.
    function totalVol(int256 theta, int256 phi, int256 rho, int256 k) internal pure returns (uint256) {
        unchecked {
            int256 phiK = phi * k >> 40;
            int256 a = phiK + rho;
            int256 root = int256(Math.sqrt(uint256(a * a + ONE * ONE - rho * rho)));
            int256 w = theta * (ONE + (rho * phiK >> 40) + root) >> 41;
            return w < 0 ? 0 : Math.sqrt(uint256(w)); // the last bit of `root` may be missing where |rho| is one
        }
    }

    function _variance(uint256 market, uint256 shift) private pure returns (int256) {
        unchecked {
            int256 vol = _lane(market, shift);
            return vol * vol * VARIANCE_UNIT;
        }
    }

    function _lane(uint256 word, uint256 shift) private pure returns (int256) {
        return int256(word >> shift & LANE_MAX);
    }

    function _signed(uint256 word, uint256 shift) private pure returns (int256) {
        unchecked {
            return _lane(word, shift) - int256(EXCESS);
        }
    }
}
