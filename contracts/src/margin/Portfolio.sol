// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPointMathLib as Math} from "solady/utils/FixedPointMathLib.sol";
import {IMarginEngine} from "../interfaces/IMarginEngine.sol";
import "../oracle/Lanes.sol";
import {Black76} from "./Black76.sol";
import {Corners} from "./Corners.sol";
import {Leg} from "./Leg.sol";
import {LogExp} from "./LogExp.sol";
import {MaxLoss} from "./MaxLoss.sol";
import {Normal} from "./Normal.sol";
import {Sheet} from "./Sheet.sol";
import {Surface, SurfaceParams} from "./Surface.sol";

/// @title Portfolio margin of one account in one market: the worst loss over 23 scenarios, and what closing costs.
/// @dev The scenarios come from the oracle's words, nothing is configured here:
///   moves    0, ±1/3, ±2/3, ±1 of the expected shortfall (99 %) of that side plus contagion; three volatilities each:
///            raised by `vol_up`, unchanged, lowered by `vol_down`, times (30 days / T)^0.3 with T at least a day
///   extremes ±(expected shortfall (99.9 %) + contagion + cascade probability · size), volatility raised, half weight
///   doubt    every move and shock is stretched by half of what confidence lacks
/// Volatility rises with the move on both sides of the price. A strike keeps its total volatility as the price moves.
/// Scenario index: 3·row + column for the 21; 10 is today; 21 and 22 are the extremes down and up.
///
/// maintenance = max(worst loss + liquidity · short notional + basis add-on, 0.4 % of naked short notional); initial =
/// maintenance plus a quarter of what of it is not covered by long options paid for; both times the account's own
/// multiplier, and neither more than the portfolio can lose at all. The basis add-on is a quarter of what a short
/// option's forward is away from the index: a calendar spread is flat to a move of the index, not to one of the basis.
/// So long options need nothing beyond their premium, and because each term is a maximum of sums, no portfolio needs
/// more than its parts. Every division of a dollar figure rounds against the account.
///
/// Sums are over quantity (6 decimals) times price (8 decimals, 24 fractional bits, times `Black76.ONE`), whole numbers
/// all through, so that neither order nor splitting of legs changes a digit.
library Portfolio {
    using Leg for uint256;

    int256 private constant ONE = LogExp.ONE;
    int256 private constant LARGEST_FALL = ONE * 99 / 100;
    int256 private constant LEAST_VOL = ONE / 10; // a lowered volatility keeps a tenth
    uint256 private constant NAKED_FLOOR_BP = 40;
    uint256 private constant FORWARD_BITS = 24;
    /// @dev One, in the basis points that lanes are; confidence stretches by (30,000 - confidence) / 20,000.
    int256 private constant PAR = 10_000;
    uint256 private constant PAR_BP = 10_000;
    int256 private constant STRETCHED = 2 * PAR * PAR;

    /// @dev Kept while consecutive legs share the expiry.
    struct Expiry {
        uint256 expiry;
        uint256 forward; // 8 decimals and 24 fractional bits
        int256 logForward;
        int256 theta; // zero once expired
        int256 phi;
        int256 rho;
        int256 raised; // volatility multipliers
        int256 lowered;
    }

    /// @dev Over legs, in the units of their factors.
    struct Sums {
        int256 callQuantity;
        int256 putQuantity;
        int256 putStrikes; // puts' quantity · strike
        int256 putForwards; // puts' quantity · forward
        int256 longValue; // of what is held, as the sheet's sums
        uint256 shortQuantity;
        uint256 shortGap;
    }

    /// @notice What an account must hold for its legs in one market, each figure rounded up.
    /// @param r Where the answer goes.
    /// @param rows Which scenarios count: see `Corners`.
    /// @param risk Risk word as the oracle gives it.
    /// @param market Market word as the oracle gives it, with a price.
    /// @param legs At least one; a series twice only with the same sign.
    /// @param multiplierBp The account's own, held between 10,000 and what 32 bits hold.
    function requirementUp(
        IMarginEngine.Requirement memory r,
        uint256 rows,
        uint256 risk,
        uint256 market,
        uint256[] calldata legs,
        uint256 multiplierBp
    ) internal view {
        unchecked {
            Sheet.claim();
            Normal.load();
            _writeGrid(risk, market, rows);
            SurfaceParams memory surface = Surface.unpack(market);
            Sums memory sums = _sum(surface, rows, legs);
            int256 today = Sheet.load(Sheet.HERE + Sheet.UNCHANGED)
                + ((sums.putStrikes << FORWARD_BITS) - sums.putForwards) * Black76.ONE;
            (r.worstLoss, r.worstScenario) = _worst(sums, rows, today);
            r.value = _dollarsDown(today);
            uint256 maintenance = _maintenanceUp(risk, surface.spot, sums, r.worstLoss);
            uint256 paidFor = uint256(_dollarsDown(sums.longValue));
            uint256 initial = maintenance + (Math.zeroFloorSub(maintenance, paidFor) + 3) / 4;
            multiplierBp = Math.clamp(multiplierBp, PAR_BP, type(uint32).max);
            r.maintenance = (maintenance * multiplierBp + PAR_BP - 1) / PAR_BP;
            r.initial = (initial * multiplierBp + PAR_BP - 1) / PAR_BP;
            _capByMaxLoss(r, sums, legs);
        }
    }

    /// @dev The moves of the rows that count and the shocks, onto the sheet.
    function _writeGrid(uint256 risk, uint256 market, uint256 rows) private pure {
        unchecked {
            int256 stretch = 3 * PAR - int256(Math.min(market >> CONFIDENCE_SHIFT & LANE_MAX, PAR_BP));
            int256 contagion = _lane(risk, CONTAGION_SHIFT);
            int256 cascade = _lane(risk, CASCADE_PROBABILITY_SHIFT) * _lane(risk, CASCADE_SIZE_SHIFT);
            stretch *= ONE;
            Sheet.store(Sheet.HERE + Sheet.FACTOR, ONE);
            if (Corners.hasFalls(rows)) {
                int256 fall = -(_lane(risk, DOWN_ES99_SHIFT) + contagion) * stretch;
                _move(Sheet.START, fall / STRETCHED);
                if (rows == Corners.ALL) {
                    _move(Sheet.START + Sheet.ROW, fall * 2 / (3 * STRETCHED));
                    _move(Sheet.START + 2 * Sheet.ROW, fall / (3 * STRETCHED));
                }
                fall = -((_lane(risk, DOWN_ES999_SHIFT) + contagion) * PAR + cascade) * stretch;
                _move(Sheet.EXTREMES, fall / (STRETCHED * PAR));
            }
            if (Corners.hasRises(rows)) {
                int256 rise = (_lane(risk, UP_ES99_SHIFT) + contagion) * stretch;
                if (rows == Corners.ALL) {
                    _move(Sheet.START + 4 * Sheet.ROW, rise / (3 * STRETCHED));
                    _move(Sheet.START + 5 * Sheet.ROW, rise * 2 / (3 * STRETCHED));
                }
                _move(Sheet.START + 6 * Sheet.ROW, rise / STRETCHED);
                rise = ((_lane(risk, UP_ES999_SHIFT) + contagion) * PAR + cascade) * stretch;
                _move(Sheet.EXTREMES + Sheet.ROW, rise / (STRETCHED * PAR));
            }
            Sheet.store(Sheet.VOL_UP, _lane(risk, VOL_UP_SHIFT) * stretch / STRETCHED);
            Sheet.store(Sheet.VOL_DOWN, _lane(risk, VOL_DOWN_SHIFT) * stretch / STRETCHED);
            if (rows != Corners.ALL) return;
            Sheet.store(Sheet.LOWEST, Math.min(Sheet.load(Sheet.START), Sheet.load(Sheet.EXTREMES)));
            Sheet.store(
                Sheet.HIGHEST, Math.max(Sheet.load(Sheet.EXTREMES - Sheet.ROW), Sheet.load(Sheet.EXTREMES + Sheet.ROW))
            );
        }
    }

    function _move(uint256 row, int256 move) private pure {
        unchecked {
            int256 factor = ONE + Math.max(move, -LARGEST_FALL);
            Sheet.store(row + Sheet.FACTOR, factor);
            Sheet.store(row + Sheet.LOG, LogExp.ln(uint256(factor)));
        }
    }

    function _sum(SurfaceParams memory surface, uint256 rows, uint256[] calldata legs)
        private
        view
        returns (Sums memory sums)
    {
        unchecked {
            Expiry memory e = _expiry(surface, rows, Leg.nth(legs, 0).expiry());
            uint256 gap = Math.dist(e.forward, surface.spot << FORWARD_BITS);
            for (uint256 i = 0; i < legs.length; ++i) {
                uint256 leg = Leg.nth(legs, i);
                if (e.expiry != leg.expiry()) {
                    e = _expiry(surface, rows, leg.expiry());
                    gap = Math.dist(e.forward, surface.spot << FORWARD_BITS);
                }
                _addLeg(sums, e.forward, gap, leg, _addCalls(e, rows, leg));
            }
        }
    }

    function _expiry(SurfaceParams memory surface, uint256 rows, uint256 expiry)
        private
        view
        returns (Expiry memory e)
    {
        unchecked {
            int256 t = expiry > block.timestamp ? int256(expiry - block.timestamp) : int256(0);
            uint256 forward = Surface.forwardAt(surface, t);
            Sheet.moveForward(rows, forward);
            int256 theta = Surface.thetaAt(surface, t);
            int256 months = 30 days * ONE / (t < 1 days ? int256(1 days) : t);
            int256 scale = int256(LogExp.exp(LogExp.ln(uint256(months)) * 3 / 10));
            e.expiry = expiry;
            e.forward = forward;
            e.logForward = Surface.logOf(forward);
            e.theta = theta;
            if (theta != 0) e.phi = Surface.phiOf(surface, theta);
            e.rho = surface.rho;
            e.raised = ONE + (Sheet.load(Sheet.VOL_UP) * scale >> 40);
            e.lowered = Math.max(ONE - (Sheet.load(Sheet.VOL_DOWN) * scale >> 40), LEAST_VOL);
        }
    }

    /// @return added What today's sum has grown by.
    function _addCalls(Expiry memory e, uint256 rows, uint256 leg) private pure returns (int256 added) {
        unchecked {
            int256 moneyness = e.logForward - leg.logStrike();
            int256 vol = 0;
            if (e.theta != 0) {
                vol = int256(Math.min(Surface.totalVol(e.theta, e.phi, e.rho, -moneyness), Black76.MOST_VOL));
            }
            Sheet.store(Sheet.VOLS, int256(Math.min(uint256(vol * e.raised >> 40), Black76.MOST_VOL)));
            Sheet.store(Sheet.VOLS + 0x20, vol);
            Sheet.store(Sheet.VOLS + 0x40, vol * e.lowered >> 40);
            added = -Sheet.load(Sheet.HERE + Sheet.UNCHANGED);
            Black76.addCalls(rows, moneyness, uint256(leg.strike()) << FORWARD_BITS, leg.quantity());
            added += Sheet.load(Sheet.HERE + Sheet.UNCHANGED);
        }
    }

    /// @param value Of the leg, were it a call.
    function _addLeg(Sums memory sums, uint256 forward, uint256 gap, uint256 leg, int256 value) private pure {
        unchecked {
            int256 q = leg.quantity();
            if (leg.isCall()) {
                sums.callQuantity += q;
            } else {
                int256 strikes = q * int256(uint256(leg.strike()));
                int256 forwards = q * int256(forward);
                sums.putQuantity += q;
                sums.putStrikes += strikes;
                sums.putForwards += forwards;
                value += ((strikes << FORWARD_BITS) - forwards) * Black76.ONE;
            }
            if (q > 0) {
                sums.longValue += value;
            } else {
                sums.shortQuantity += uint256(-q);
                sums.shortGap += uint256(-q) * gap;
            }
        }
    }

    /// @return Largest loss over the rows that count, rounded up, and where: the first such scenario, or today when
    /// nothing loses. The extremes count half.
    function _worst(Sums memory sums, uint256 rows, int256 today) private pure returns (uint256, uint256) {
        unchecked {
            int256 strikes = sums.putStrikes << FORWARD_BITS;
            int256 forwards = sums.putForwards;
            int256 worst = 0;
            uint256 place = Sheet.HERE + Sheet.UNCHANGED;
            for (; rows != 0; rows >>= 8) {
                uint256 columns = rows & 7;
                if (columns == Corners.UNCHANGED) continue; // today, which loses nothing
                uint256 row = Sheet.rowOf(rows);
                int256 rest = today - (strikes - (forwards * Sheet.load(row + Sheet.FACTOR) >> 40)) * Black76.ONE;
                if (columns == Corners.ANY) {
                    int256 loss = rest - Sheet.load(row + Sheet.RAISED);
                    if (loss > worst) (worst, place) = (loss, row + Sheet.RAISED);
                    loss = rest - Sheet.load(row + Sheet.UNCHANGED);
                    if (loss > worst) (worst, place) = (loss, row + Sheet.UNCHANGED);
                    loss = rest - Sheet.load(row + Sheet.LOWERED);
                    if (loss > worst) (worst, place) = (loss, row + Sheet.LOWERED);
                } else {
                    uint256 sum = row + (columns == Corners.RAISED ? Sheet.RAISED : Sheet.LOWERED);
                    int256 loss = rest - Sheet.load(sum);
                    if (row >= Sheet.EXTREMES) loss = loss + 1 >> 1;
                    if (loss > worst) (worst, place) = (loss, sum);
                }
            }
            return (uint256(-_dollarsDown(-worst)), Sheet.scenarioAt(place));
        }
    }

    /// @dev Quantities have 6 decimals, prices 8 and shares 4: their product has 18.
    function _maintenanceUp(uint256 risk, uint256 spot, Sums memory sums, uint256 worstLoss)
        private
        pure
        returns (uint256)
    {
        unchecked {
            uint256 closing = sums.shortQuantity * spot * (risk >> LIQUIDITY_SHIFT & LANE_MAX);
            uint256 basis = (sums.shortGap * PAR_BP + (4 << FORWARD_BITS) - 1) / (4 << FORWARD_BITS);
            uint256 naked = _short(sums.callQuantity) + _short(sums.putQuantity);
            return Math.max(worstLoss + closing + basis, naked * spot * NAKED_FLOOR_BP);
        }
    }

    /// @dev With more calls short than long the loss has no bound, and at a price of zero all puts are paid in full: two
    /// cheap reasons, true of most books, why the exact figure cannot bind.
    function _capByMaxLoss(IMarginEngine.Requirement memory r, Sums memory sums, uint256[] calldata legs) private pure {
        unchecked {
            if (sums.callQuantity < 0 || r.value - sums.putStrikes * PAR >= int256(r.initial)) return;
            (bool bounded, int256 most) = MaxLoss.mostOwed(legs);
            if (!bounded) return;
            uint256 cap = uint256(Math.max(r.value + most * PAR, 0));
            r.maintenance = Math.min(r.maintenance, cap);
            r.initial = Math.min(r.initial, cap);
        }
    }

    function _short(int256 quantity) private pure returns (uint256) {
        unchecked {
            return quantity < 0 ? uint256(-quantity) : 0;
        }
    }

    /// @dev From the unit of the sums to 18 decimals: 6 + 8 of them are there. Solidity rounds towards zero; a value
    /// must not.
    function _dollarsDown(int256 x) private pure returns (int256 dollars) {
        unchecked {
            x = (x >> FORWARD_BITS) * PAR;
            dollars = x / Black76.ONE;
            if (x % Black76.ONE < 0) --dollars;
        }
    }

    function _lane(uint256 word, uint256 shift) private pure returns (int256) {
        return int256(word >> shift & LANE_MAX);
    }
}
