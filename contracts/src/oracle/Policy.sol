// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IRiskOracle} from "../interfaces/IRiskOracle.sol";
import {LaneMath} from "./LaneMath.sol";
import "./Lanes.sol";
import {Stamp} from "./Stamp.sol";

/// @notice When a report may be written; seconds.
struct Timing {
    uint32 maxSkew; // how far ahead of the block's clock a round may be observed
    uint32 maxReportAge; // how long after its observation a report may still be written
    uint32 minInterval; // least time from one observation of a market that is written to the next
}

/// @notice Hard bounds, largest steps and daily budgets of every lane, as words of the lanes' own layout. A step or a
/// budget of the lane's largest value is no limit.
struct Limits {
    uint256 riskLow;
    uint256 riskHigh;
    uint256 riskMaxRise;
    uint256 riskMaxFall;
    uint256 riskDaily;
    uint256 marketLow;
    uint256 marketHigh;
    uint256 marketMaxRise;
    uint256 marketMaxFall;
    uint256 marketDaily;
    uint256 maxPriceMoveBp;
}

/// @notice How far each lane may go in this write: the step limits, and where a move loosens also the budget.
struct Steps {
    uint256 riskRise;
    uint256 riskFall;
    uint256 marketRise;
    uint256 marketFall;
}

enum SkipReason {
    ABSTAINED, // a member of this quorum has no figure for the market
    NOT_NEWER, // the stored observation is as new or newer
    HALTED, // governance must resume it first
    TOO_SOON, // the stored observation is younger than the least interval
    LOW_CONFIDENCE, // the median trusts itself less than governance asks
    GROUP // another market of its group could not be written, or was not in the report
}

enum Fate {
    WRITE,
    LIMIT, // written, held back by a step or a budget
    HALT,
    SKIP
}

/// @notice What becomes of a market's figures.
struct Verdict {
    Fate fate;
    IRiskOracle.HaltReason halt; // if it halts
    SkipReason skip; // if it is skipped
    uint256 risk; // what is stored, unstamped, or what was refused
    uint256 market;
}

/// @title What figures must pass before they are written.
library Policy {
    using LaneMath for uint256;
    using Stamp for uint256;

    uint256 private constant DAY = 1 days;
    /// @dev A day in the budget's clock: a lane of 15 bits times this fits its 32-bit cell.
    uint256 private constant TICKS = 1 << 16;
    uint256 private constant EVEN_LANES = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
    uint256 private constant ODD_LANES = EVEN_LANES << 16;
    /// @dev Guard bits of the lanes that need not be below their next higher neighbour.
    uint256 private constant RISK_FREE = RISK_GUARDS & ~(RISK_ASCENDING + (RISK_GUARDS >> 15));
    uint256 private constant MARKET_FREE = MARKET_GUARDS & ~(MARKET_ASCENDING + (RISK_GUARDS >> 15));

    error BoundsOutsideMeaning(uint256 got, uint256 allowed);
    error BoundsNotOrdered(uint256 low, uint256 high);
    error BoundsBreakOrder(uint256 low, uint256 high);
    error StepsBreakOrder(uint256 rise, uint256 fall);
    error BudgetBreaksOrder(uint256 daily, uint256 chains);
    error StrayBitsInLimits(uint256 got, uint256 forbidden);
    error PriceMoveOutOfRange(uint256 got, uint256 most);

    // --- what governance may set ------------------------------------------------------------------------------------

    /// @dev Limits that could let a coherent market become incoherent are refused here, so that the write path need
    /// not look again after it has limited a step. Along an ascending chain the lower lane must not fall slower nor
    /// rise faster than its upper neighbour; a budget is counted out on a clock, which would give two different
    /// budgets their next unit at different times, so a chain has one budget. Bounds ascend along it, so that stored
    /// words held to new bounds stay coherent.
    function validate(Limits memory x) internal pure {
        _requireBits(x.riskLow | x.riskHigh | x.riskMaxRise | x.riskMaxFall | x.riskDaily, RISK_FORBIDDEN);
        _requireBits(x.marketLow | x.marketHigh | x.marketMaxRise | x.marketMaxFall, MARKET_FORBIDDEN);
        _requireBits(x.marketDaily, MARKET_FORBIDDEN | PRICE_MAX << PRICE_SHIFT); // a price does not loosen
        _requireBounds(x.riskLow, x.riskHigh, RISK_BOX_LOW, RISK_BOX_HIGH, RISK_GUARDS);
        _requireBounds(x.marketLow, x.marketHigh, MARKET_BOX_LOW, MARKET_BOX_HIGH, MARKET_GUARDS);
        _requireAscending(x.riskLow, x.riskHigh, RISK_ASCENDING);
        _requireAscending(x.marketLow, x.marketHigh, MARKET_ASCENDING);
        _requireOrder(x.riskMaxRise, x.riskMaxFall, x.riskDaily, RISK_ASCENDING);
        _requireOrder(x.marketMaxRise, x.marketMaxFall, x.marketDaily, MARKET_ASCENDING);
        if (x.maxPriceMoveBp == 0 || x.maxPriceMoveBp > type(uint32).max) {
            revert PriceMoveOutOfRange(x.maxPriceMoveBp, type(uint32).max);
        }
    }

    function _requireBits(uint256 bits, uint256 forbidden) private pure {
        if (bits & forbidden != 0) revert StrayBitsInLimits(bits, forbidden);
    }

    function _requireBounds(uint256 low, uint256 high, uint256 least, uint256 most, uint256 guards) private pure {
        if (low.atLeast(least, guards) != guards) revert BoundsOutsideMeaning(low, least);
        if (most.atLeast(high, guards) != guards) revert BoundsOutsideMeaning(high, most);
        if (high.atLeast(low, guards) != guards) revert BoundsNotOrdered(low, high);
    }

    function _requireAscending(uint256 low, uint256 high, uint256 chains) private pure {
        if (!_ascends(low, chains) || !_ascends(high, chains)) revert BoundsBreakOrder(low, high);
    }

    function _requireOrder(uint256 rise, uint256 fall, uint256 daily, uint256 chains) private pure {
        if (!_ascends(rise, chains) || !_ascends(~fall & ~RISK_GUARDS, chains)) revert StepsBreakOrder(rise, fall);
        if ((daily ^ daily >> 16) & chains != 0) revert BudgetBreaksOrder(daily, chains);
    }

    // --- what becomes of figures ------------------------------------------------------------------------------------

    /// @notice The whole rule for one market, in the order in which it is applied.
    /// @param oldRisk Stored risk word.
    /// @param oldMarket Stored market word, with its stamp.
    /// @param risk Medians of a quorum, or what a quorum co-signed.
    /// @param market The same. A zero word of the two is an abstention.
    /// @param observedAt Unix seconds of the round that the figures are of.
    function judge(
        Limits memory x,
        uint256 oldRisk,
        uint256 oldMarket,
        uint256 risk,
        uint256 market,
        uint256 observedAt,
        uint256 minInterval,
        bool paused
    ) internal pure returns (Verdict memory) {
        uint256 last = oldMarket.observedAt();
        bool fresh = !oldMarket.isWritten() || oldMarket.has(Stamp.RESUMED); // nothing to step from
        if (oldMarket.has(Stamp.HALT)) return _skipped(SkipReason.HALTED);
        if (observedAt <= last) return _skipped(SkipReason.NOT_NEWER);
        if (!fresh && observedAt - last < minInterval) return _skipped(SkipReason.TOO_SOON);
        if (risk == 0 || market == 0) return _skipped(SkipReason.ABSTAINED);
        if (_confidence(market) < _confidence(x.marketLow)) return _skipped(SkipReason.LOW_CONFIDENCE);

        oldMarket = oldMarket.unstamped();
        (bool refused, IRiskOracle.HaltReason reason) = check(x, risk, market, fresh ? 0 : oldMarket >> PRICE_SHIFT);
        if (refused) return Verdict(Fate.HALT, reason, SkipReason.ABSTAINED, risk, market);
        if (fresh) return _written(Fate.WRITE, risk, market);
        // Stored figures may lie outside bounds that governance has changed since. Steps are counted from the bound
        // then, lane by lane, so that a change of one lane's bounds lifts no limit from the others.
        oldRisk = _hold(oldRisk, x.riskLow, x.riskHigh, RISK_GUARDS.kept());
        oldMarket = _hold(oldMarket, x.marketLow, x.marketHigh, MARKET_GUARDS.kept());
        Steps memory s = Steps(0, 0, 0, 0);
        setSteps(s, x, last, observedAt, paused);
        (uint256 heldRisk, uint256 heldMarket) = limit(s, oldRisk, oldMarket, risk, market);
        bool held = heldRisk != risk || heldMarket != market;
        return _written(held ? Fate.LIMIT : Fate.WRITE, heldRisk, heldMarket);
    }

    /// @notice Whether figures may be written as they are: within bounds and steps, coherent, the price near the last.
    /// @dev All lanes answer with their guard bits at once, so that ordinary figures cost one branch; `judge` says what
    /// becomes of the others. Whether the stored words are within today's bounds need not be asked: figures that are
    /// within the bounds and a step of the stored words are within a step of those words held to the bounds. A sum of
    /// two lanes may reach a guard bit, which then says "yes" by itself; a lane that no chain holds below the next one
    /// says "yes" there, too. False when nothing is stored, because any price is far from zero.
    function passes(Limits memory x, Steps memory s, uint256 oldRisk, uint256 oldMarket, uint256 risk, uint256 market)
        internal
        pure
        returns (bool passed)
    {
        unchecked {
            uint256 up = oldRisk + s.riskRise;
            uint256 down = risk + s.riskFall;
            uint256 yes = (up | ((up | RISK_GUARDS) - risk)) & (down | ((down | RISK_GUARDS) - oldRisk));
            yes &= ((risk | RISK_GUARDS) - x.riskLow) & ((x.riskHigh | RISK_GUARDS) - risk);
            yes &= ((risk >> 16 | RISK_GUARDS) - risk) | RISK_FREE;
            // A guard bit or a stamped lane in what should be figures is nothing that passes.
            yes = (yes | ~RISK_GUARDS) & ~(risk & RISK_FORBIDDEN);

            up = oldMarket + s.marketRise;
            down = market + s.marketFall;
            uint256 too = (up | ((up | MARKET_GUARDS) - market)) & (down | ((down | MARKET_GUARDS) - oldMarket));
            too &= ((market | MARKET_GUARDS) - x.marketLow) & ((x.marketHigh | MARKET_GUARDS) - market);
            too &= ((market >> 16 | MARKET_GUARDS) - market) | MARKET_FREE;
            yes &= (too | ~MARKET_GUARDS) & ~(market & MARKET_FORBIDDEN);

            uint256 lastPrice = oldMarket >> PRICE_SHIFT;
            uint256 move = lastPrice * x.maxPriceMoveBp / 10_000; // 63 bits times 32: validate holds the move to 32
            uint256 moved = (market >> PRICE_SHIFT) - lastPrice + move; // far up when below the least
            assembly ("memory-safe") {
                // One branch where `&&` would take three.
                passed := iszero(or(or(not(yes), iszero(risk)), gt(moved, add(move, move))))
            }
        }
    }

    /// @notice Whether figures may be written over what is stored.
    /// @param lastPrice Stored price, or zero when there is nothing to compare with.
    /// @return refused Whether the market must halt, and why.
    function check(Limits memory x, uint256 risk, uint256 market, uint256 lastPrice)
        internal
        pure
        returns (bool refused, IRiskOracle.HaltReason reason)
    {
        if (!withinBounds(x, risk, market)) return (true, IRiskOracle.HaltReason.OUT_OF_BOUNDS);
        if (!coherent(risk, market)) return (true, IRiskOracle.HaltReason.INCOHERENT);
        if (lastPrice != 0 && jumps(market >> PRICE_SHIFT, lastPrice, x.maxPriceMoveBp)) {
            return (true, IRiskOracle.HaltReason.PRICE_JUMP);
        }
    }

    function withinBounds(Limits memory x, uint256 risk, uint256 market) internal pure returns (bool) {
        return _within(risk, x.riskLow, x.riskHigh, RISK_GUARDS.kept())
            && _within(market, x.marketLow, x.marketHigh, MARKET_GUARDS.kept());
    }

    /// @notice Whether both return ladders and the term structure of total volatility ascend.
    function coherent(uint256 risk, uint256 market) internal pure returns (bool) {
        return _ascends(risk, RISK_ASCENDING) && _ascends(market, MARKET_ASCENDING);
    }

    /// @notice Whether the index price moved further than one write may take it.
    function jumps(uint256 price, uint256 lastPrice, uint256 maxMoveBp) internal pure returns (bool) {
        unchecked {
            uint256 move = price > lastPrice ? price - lastPrice : lastPrice - price;
            return move * 10_000 > lastPrice * maxMoveBp; // 63 bits times 32: validate holds the move to 32
        }
    }

    /// @notice Fill in how far each lane may go from an observation at `last` to one at `observedAt`.
    /// @dev While paused nothing loosens and everything may tighten. A price does not loosen, so its guard is left out and
    /// its step stays as it is.
    function setSteps(Steps memory s, Limits memory x, uint256 last, uint256 observedAt, bool paused) internal pure {
        (uint256 risk, uint256 market) = (0, 0);
        if (!paused) {
            (uint256 from, uint256 to) = _clock(last, observedAt);
            (risk, market) = (_between(x.riskDaily, from, to), _between(x.marketDaily, from, to));
        }
        s.riskRise = _loosened(x.riskMaxRise, risk, RISK_RISE_LOOSENS, RISK_GUARDS);
        s.riskFall = _loosened(x.riskMaxFall, risk, RISK_FALL_LOOSENS, RISK_GUARDS);
        s.marketRise = _loosened(x.marketMaxRise, market, MARKET_RISE_LOOSENS, MARKET_GUARDS ^ PRICE_GUARD);
        s.marketFall = _loosened(x.marketMaxFall, market, MARKET_FALL_LOOSENS, MARKET_GUARDS ^ PRICE_GUARD);
    }

    /// @dev A step, and where it loosens no more than what is granted.
    function _loosened(uint256 step, uint256 granted, uint256 loosens, uint256 guards) private pure returns (uint256) {
        unchecked {
            if (loosens == 0) return step;
            uint256 over = (step | guards) - (granted & loosens);
            uint256 set = over & guards;
            return step - (over & (set - (set >> 15)) & loosens);
        }
    }

    /// @notice What each lane's daily budget grants between two times, at most one day's.
    /// @dev The budget is counted out on a clock: by second t of a day `floor(daily * t / 1 day)` has been granted, so
    /// that over any number of writes the grants add up to the budget of the whole time. Granting `daily * elapsed`
    /// rounded down at each write would starve every lane whose budget is less than one unit a round.
    function grantedDown(uint256 daily, uint256 from, uint256 to) internal pure returns (uint256) {
        (from, to) = _clock(from, to);
        return _between(daily, from, to);
    }

    /// @dev Two times, at most a day apart, as readings of the budget's clock since the midnight before the first: 17
    /// bits, so that a lane of 15 bits times a reading stays within a cell of 32.
    function _clock(uint256 from, uint256 to) private pure returns (uint256, uint256) {
        unchecked {
            if (to - from > DAY) from = to - DAY;
            (from, to) = (from * TICKS / DAY, to * TICKS / DAY);
            uint256 midnight = from & ~(TICKS - 1);
            return (from - midnight, to - midnight);
        }
    }

    /// @dev Every second lane in a cell of 32 bits of its own; what the clock has granted is the cell's upper half.
    function _between(uint256 daily, uint256 from, uint256 to) private pure returns (uint256) {
        unchecked {
            (uint256 even, uint256 odd) = (daily & EVEN_LANES, daily >> 16 & EVEN_LANES);
            even = (even * to & ODD_LANES) - (even * from & ODD_LANES);
            odd = (odd * to & ODD_LANES) - (odd * from & ODD_LANES);
            return even >> 16 | odd | daily.saturated(); // the largest budget is none
        }
    }

    /// @notice Hold each lane within its largest step from the stored one. Stamped lanes must be zero in all.
    function limit(Steps memory s, uint256 oldRisk, uint256 oldMarket, uint256 risk, uint256 market)
        internal
        pure
        returns (uint256, uint256)
    {
        (uint256 low, uint256 high) =
            (oldRisk.excess(s.riskFall, RISK_GUARDS.kept()), oldRisk.sum(s.riskRise, RISK_GUARDS.kept()));
        risk = _hold(risk, low, high, RISK_GUARDS.kept());
        (low, high) =
        (oldMarket.excess(s.marketFall, MARKET_GUARDS.kept()), oldMarket.sum(s.marketRise, MARKET_GUARDS.kept()));
        return (risk, _hold(market, low, high, MARKET_GUARDS.kept()));
    }

    function _hold(uint256 word, uint256 low, uint256 high, uint256 guards) private pure returns (uint256) {
        return word.min(high, guards).max(low, guards);
    }

    function _within(uint256 word, uint256 low, uint256 high, uint256 guards) private pure returns (bool) {
        return word.atLeast(low, guards) & high.atLeast(word, guards) == guards;
    }

    function _ascends(uint256 word, uint256 chains) private pure returns (bool) {
        return ((word >> 16) & chains).atLeast(word & chains, RISK_GUARDS) == RISK_GUARDS;
    }

    function _confidence(uint256 market) private pure returns (uint256) {
        return market >> CONFIDENCE_SHIFT & LANE_MAX;
    }

    function _skipped(SkipReason reason) private pure returns (Verdict memory v) {
        (v.fate, v.skip) = (Fate.SKIP, reason);
    }

    function _written(Fate fate, uint256 risk, uint256 market) private pure returns (Verdict memory v) {
        (v.fate, v.risk, v.market) = (fate, risk, market);
    }
}
