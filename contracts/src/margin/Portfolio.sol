// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPointMathLib as Math} from "solady/utils/FixedPointMathLib.sol";
import "../oracle/Lanes.sol";
import {Black76} from "./Black76.sol";
import {Slice, Surface, SurfaceParams} from "./Surface.sol";

/// @notice One option position; strike in dollars and quantity in contracts, both with 18 decimals, negative is short.
struct Leg {
    uint64 expiry;
    uint256 strike;
    bool isCall;
    int256 quantity;
}

/// @notice Dollars with 18 decimals. Equity is collateral plus `value`; it must not be below a requirement.
struct Requirement {
    uint256 initial;
    uint256 maintenance;
    int256 value; // mark of the portfolio
    uint256 worstLoss;
    uint256 worstScenario;
}

/// @title Portfolio margin of one account in one market: the worst loss over 23 scenarios, and what closing costs.
/// @dev The scenarios come from the oracle's words, nothing is configured here:
///   moves    0, ±1/3, ±2/3, ±1 of the expected shortfall (99 %) of that side plus contagion; three volatilities each:
///            raised by `vol_up`, unchanged, lowered by `vol_down`, times (30 days / T)^0.3 with T at least a day
///   extremes ±(expected shortfall (99.9 %) + contagion + cascade probability · size), volatility raised, half weight
///   doubt    every move and shock is stretched by half of what confidence lacks
/// Volatility rises with the move on both sides of the price. A strike keeps its total volatility as the price moves.
/// Scenario index: 3·row + column for the 21; 10 is today; 21 and 22 are the extremes down and up.
///
/// maintenance = max(worst loss + liquidity · short notional, 0.4 % of naked short notional), at most what the
/// portfolio can lose at all; initial = maintenance plus a quarter of what of it is not covered by long options paid
/// for, under the same cap. So long options need nothing beyond their premium, and because each term is a maximum of
/// sums, no portfolio needs more than its parts. Every division that matters rounds against the account.
library Portfolio {
    int256 private constant WAD = 1e18;
    int256 private constant UNIT = 1e14;
    int256 private constant LARGEST_FALL = 99e16;
    int256 private constant LEAST_VOL = 1e17; // a lowered volatility keeps a tenth
    uint256 private constant NAKED_FLOOR = 4e15;
    uint256 private constant TODAY = 10;
    uint256 private constant SCENARIOS = 23;

    /// @dev Rows 0 to 6 are the moves, 7 and 8 the extremes.
    struct Grid {
        int256[9] factor; // price after the move over price before
        int256[9] logFactor;
        int256 volUp;
        int256 volDown;
    }

    /// @dev An expiry's slice and its volatility multipliers; kept while consecutive legs share the expiry.
    struct Expiry {
        uint256 expiry;
        Slice slice;
        int256 raised;
        int256 lowered;
    }

    /// @dev Sums over legs of quantity times price, 36 decimals, so that splitting a leg changes no digit.
    struct Sums {
        int256[23] values;
        int256 longValue;
        uint256 shortQuantity;
        int256 callQuantity;
        int256 putQuantity;
    }

    /// @notice What an account must hold for its legs in one market, each figure rounded up.
    /// @param risk Risk word as the oracle gives it.
    /// @param market Market word as the oracle gives it.
    /// @param legs Positions; a series twice only with the same sign.
    /// @param nowS Unix seconds; a leg that has expired counts at its intrinsic value.
    function requirementUp(uint256 risk, uint256 market, Leg[] memory legs, uint256 nowS)
        internal
        pure
        returns (Requirement memory r)
    {
        unchecked {
            if (legs.length == 0) return r;
            SurfaceParams memory surface = Surface.unpack(market);
            Sums memory sums = _sums(surface, _grid(risk, market), legs, nowS);
            int256 today = sums.values[TODAY];
            r.value = _floorDiv(today, WAD);
            (r.worstLoss, r.worstScenario) = _worst(sums.values);
            uint256 spot = uint256(surface.spot);
            uint256 closing = Math.fullMulDivUp(
                Math.fullMulDivUp(sums.shortQuantity, spot, 1e18), (risk >> LIQUIDITY_SHIFT & LANE_MAX) * 1e14, 1e18
            );
            uint256 naked = _short(sums.callQuantity) + _short(sums.putQuantity);
            r.maintenance = Math.max(
                r.worstLoss + closing, Math.fullMulDivUp(Math.fullMulDivUp(naked, spot, 1e18), NAKED_FLOOR, 1e18)
            );
            uint256 paidFor = uint256(sums.longValue / WAD);
            r.initial = r.maintenance + (Math.zeroFloorSub(r.maintenance, paidFor) + 3) / 4;
            (bool bounded, int256 most) = _mostCanBeLost(legs);
            if (bounded) {
                uint256 cap = today + most > 0 ? uint256(-_floorDiv(-(today + most), WAD)) : 0;
                r.maintenance = Math.min(r.maintenance, cap);
                r.initial = Math.min(r.initial, cap);
            }
        }
    }

    function _grid(uint256 risk, uint256 market) private pure returns (Grid memory g) {
        unchecked {
            int256 stretch = WAD + (WAD - _lane(market, CONFIDENCE_SHIFT)) / 2;
            int256 contagion = _lane(risk, CONTAGION_SHIFT);
            int256 cascade = _lane(risk, CASCADE_PROBABILITY_SHIFT) * _lane(risk, CASCADE_SIZE_SHIFT) / WAD;
            int256 down = (_lane(risk, DOWN_ES99_SHIFT) + contagion) * stretch / WAD;
            int256 up = (_lane(risk, UP_ES99_SHIFT) + contagion) * stretch / WAD;
            for (int256 i = 0; i < 4; ++i) {
                g.factor[uint256(3 - i)] = _after(-down * i / 3);
                g.factor[uint256(3 + i)] = _after(up * i / 3);
            }
            g.factor[7] = _after(-(_lane(risk, DOWN_ES999_SHIFT) + contagion + cascade) * stretch / WAD);
            g.factor[8] = _after((_lane(risk, UP_ES999_SHIFT) + contagion + cascade) * stretch / WAD);
            for (uint256 i = 0; i < 9; ++i) {
                g.logFactor[i] = Math.lnWad(g.factor[i]);
            }
            g.volUp = _lane(risk, VOL_UP_SHIFT) * stretch / WAD;
            g.volDown = _lane(risk, VOL_DOWN_SHIFT) * stretch / WAD;
        }
    }

    function _after(int256 move) private pure returns (int256) {
        unchecked {
            return WAD + (move < -LARGEST_FALL ? -LARGEST_FALL : move);
        }
    }

    function _sums(SurfaceParams memory surface, Grid memory g, Leg[] memory legs, uint256 nowS)
        private
        pure
        returns (Sums memory sums)
    {
        unchecked {
            Expiry memory e;
            for (uint256 i = 0; i < legs.length; ++i) {
                Leg memory leg = legs[i];
                int256 q = leg.quantity;
                if (e.expiry != leg.expiry || i == 0) e = _expiry(surface, g, leg.expiry, nowS);
                int256 today = _addLeg(sums.values, surface, g, e, leg);
                if (q > 0) sums.longValue += q * today;
                else sums.shortQuantity += uint256(-q);
                if (leg.isCall) sums.callQuantity += q;
                else sums.putQuantity += q;
            }
        }
    }

    function _expiry(SurfaceParams memory surface, Grid memory g, uint256 expiry, uint256 nowS)
        private
        pure
        returns (Expiry memory e)
    {
        unchecked {
            e.expiry = expiry;
            if (expiry <= nowS) {
                (e.slice.forward, e.slice.logForward) = (surface.spot, Math.lnWad(surface.spot));
                return e;
            }
            int256 t = int256(expiry - nowS);
            e.slice = Surface.slice(surface, t);
            int256 scale = Math.expWad(Math.lnWad(30 days * WAD / (t < 1 days ? int256(1 days) : t)) * 3 / 10);
            e.raised = WAD + g.volUp * scale / WAD;
            e.lowered = WAD - g.volDown * scale / WAD;
            if (e.lowered < LEAST_VOL) e.lowered = LEAST_VOL;
        }
    }

    /// @return today The price of one contract now.
    function _addLeg(
        int256[23] memory values,
        SurfaceParams memory surface,
        Grid memory g,
        Expiry memory e,
        Leg memory leg
    ) private pure returns (int256 today) {
        unchecked {
            int256 strike = int256(leg.strike);
            int256 logMoneyness = e.slice.logForward - Math.lnWad(strike);
            int256 vol = e.slice.theta == 0 ? int256(0) : Surface.totalVol(surface, e.slice, -logMoneyness);
            int256 raised = vol * e.raised / WAD;
            int256 lowered = vol * e.lowered / WAD;
            for (uint256 row = 0; row < 9; ++row) {
                int256 forward = e.slice.forward * g.factor[row] / WAD;
                int256 moneyness = logMoneyness + g.logFactor[row];
                int256 parity = leg.isCall ? int256(0) : strike - forward; // a put is a call less the forward
                if (row > 6) {
                    values[row + 14] += leg.quantity * (Black76.call(forward, strike, moneyness, raised) + parity);
                    continue;
                }
                int256 price = Black76.call(forward, strike, moneyness, vol) + parity;
                values[3 * row] += leg.quantity * (Black76.call(forward, strike, moneyness, raised) + parity);
                values[3 * row + 1] += leg.quantity * price;
                values[3 * row + 2] += leg.quantity * (Black76.call(forward, strike, moneyness, lowered) + parity);
                if (row == 3) today = price;
            }
        }
    }

    /// @return worst Largest loss, rounded up; the extremes count half.
    /// @return scenario Where; today when nothing loses.
    function _worst(int256[23] memory values) private pure returns (uint256 worst, uint256 scenario) {
        unchecked {
            scenario = TODAY;
            for (uint256 j = 0; j < SCENARIOS; ++j) {
                int256 loss = -_floorDiv(values[j] - values[TODAY], j < 21 ? WAD : 2 * WAD);
                if (loss > int256(worst)) (worst, scenario) = (uint256(loss), j);
            }
        }
    }

    /// @notice The most that is owed at expiry whatever the price, 36 decimals: each expiry by itself, at zero and at
    /// every strike, where a piecewise linear payoff has its extremes.
    /// @return bounded False where more calls are short than long in an expiry.
    function _mostCanBeLost(Leg[] memory legs) private pure returns (bool bounded, int256 most) {
        unchecked {
            for (uint256 i = 0; i < legs.length; ++i) {
                if (_seenBefore(legs, i)) continue;
                if (_netCalls(legs, legs[i].expiry) < 0) return (false, 0);
                int256 least = _payoff(legs, legs[i].expiry, 0);
                for (uint256 j = i; j < legs.length; ++j) {
                    if (legs[j].expiry != legs[i].expiry) continue;
                    int256 paid = _payoff(legs, legs[i].expiry, int256(legs[j].strike));
                    if (paid < least) least = paid;
                }
                most -= least;
            }
            return (true, most);
        }
    }

    function _seenBefore(Leg[] memory legs, uint256 i) private pure returns (bool) {
        unchecked {
            for (uint256 j = 0; j < i; ++j) {
                if (legs[j].expiry == legs[i].expiry) return true;
            }
            return false;
        }
    }

    function _netCalls(Leg[] memory legs, uint64 expiry) private pure returns (int256 net) {
        unchecked {
            for (uint256 i = 0; i < legs.length; ++i) {
                if (legs[i].expiry == expiry && legs[i].isCall) net += legs[i].quantity;
            }
        }
    }

    function _payoff(Leg[] memory legs, uint64 expiry, int256 price) private pure returns (int256 paid) {
        unchecked {
            for (uint256 i = 0; i < legs.length; ++i) {
                Leg memory leg = legs[i];
                if (leg.expiry != expiry) continue;
                int256 inside = leg.isCall ? price - int256(leg.strike) : int256(leg.strike) - price;
                if (inside > 0) paid += leg.quantity * inside;
            }
        }
    }

    function _short(int256 quantity) private pure returns (uint256) {
        unchecked {
            return quantity < 0 ? uint256(-quantity) : 0;
        }
    }

    /// @dev A share with four decimals, in 18.
    function _lane(uint256 word, uint256 shift) private pure returns (int256) {
        unchecked {
            return int256(word >> shift & LANE_MAX) * UNIT;
        }
    }

    /// @dev Solidity rounds towards zero; a loss must not.
    function _floorDiv(int256 x, int256 d) private pure returns (int256) {
        unchecked {
            return x < 0 ? -((-x + d - 1) / d) : x / d;
        }
    }
}
