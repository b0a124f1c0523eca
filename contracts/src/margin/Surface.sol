// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPointMathLib as Math} from "solady/utils/FixedPointMathLib.sol";
import "../oracle/Lanes.sol";

/// @notice One market's volatility surface in 18 decimals, and what of it depends on the market only.
struct SurfaceParams {
    int256 spot;
    int256 basis;
    int256[3] theta; // total variance at 7, 30 and 90 days
    int256 rho;
    int256 eta;
    int256 gamma;
}

/// @notice What of it depends on the expiry only.
struct Slice {
    int256 forward;
    int256 logForward;
    int256 theta;
    int256 phi;
}

/// @title The SSVI surface that the market word carries.
/// @dev Gatheral and Jacquier (2014): w(k) = θ/2·(1 + ρφk + sqrt((φk + ρ)² + 1 − ρ²)), φ = η / (θ^γ·(1 + θ)^(1 − γ)).
/// Total variance θ is proportional to time below 7 days, linear between the tenors, and goes on at its last slope.
library Surface {
    int256 private constant WAD = 1e18;
    int256 private constant YEAR = 365 days;
    int256 private constant VOL_UNIT = 5e13;
    int256 private constant UNIT = 1e14;
    /// @dev A forward below a tenth of the index is a broken basis, not a market.
    int256 private constant LEAST_CARRY = 1e17;

    function unpack(uint256 market) internal pure returns (SurfaceParams memory x) {
        unchecked {
            x.spot = int256(market >> PRICE_SHIFT) * 1e10;
            x.basis = _signed(market, BASIS_SHIFT) * UNIT;
            x.theta[0] = _theta(market, TOTAL_VOL_7D_SHIFT);
            x.theta[1] = _theta(market, TOTAL_VOL_30D_SHIFT);
            x.theta[2] = _theta(market, TOTAL_VOL_90D_SHIFT);
            x.rho = _signed(market, SSVI_RHO_SHIFT) * UNIT;
            int256 b = _lane(market, SSVI_WING_SHIFT) * UNIT;
            x.eta = b * WAD / (WAD + (x.rho < 0 ? -x.rho : x.rho));
            x.gamma = _lane(market, SSVI_DECAY_SHIFT) * UNIT;
        }
    }

    /// @param t Seconds to expiry, above zero.
    function slice(SurfaceParams memory x, int256 t) internal pure returns (Slice memory s) {
        unchecked {
            int256 carry = WAD + x.basis * t / YEAR;
            s.forward = x.spot * (carry < LEAST_CARRY ? LEAST_CARRY : carry) / WAD;
            s.logForward = Math.lnWad(s.forward);
            s.theta = _thetaAt(x.theta, t);
            if (s.theta == 0) return s;
            int256 exponent = x.gamma * Math.lnWad(s.theta) + (WAD - x.gamma) * Math.lnWad(WAD + s.theta);
            s.phi = x.eta * Math.expWad(-exponent / WAD) / WAD;
        }
    }

    /// @param k ln(strike / forward).
    /// @return sigma·sqrt(T) at that strike.
    function totalVol(SurfaceParams memory x, Slice memory s, int256 k) internal pure returns (int256) {
        unchecked {
            int256 phiK = s.phi * k / WAD;
            int256 a = phiK + x.rho;
            int256 root = int256(Math.sqrt(uint256(a * a + WAD * WAD - x.rho * x.rho)));
            int256 w = s.theta * (WAD + x.rho * phiK / WAD + root) / (2 * WAD);
            return int256(Math.sqrt(uint256(w * WAD)));
        }
    }

    function _thetaAt(int256[3] memory theta, int256 t) private pure returns (int256) {
        unchecked {
            if (t <= 7 days) return theta[0] * t / 7 days;
            if (t <= 30 days) return theta[0] + (theta[1] - theta[0]) * (t - 7 days) / 23 days;
            return theta[1] + (theta[2] - theta[1]) * (t - 30 days) / 60 days;
        }
    }

    function _theta(uint256 market, uint256 shift) private pure returns (int256) {
        unchecked {
            int256 vol = _lane(market, shift) * VOL_UNIT;
            return vol * vol / WAD;
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
