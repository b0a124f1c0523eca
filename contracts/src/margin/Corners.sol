// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Leg} from "./Leg.sol";

/// @title Which of the 23 scenarios can be the worst for a book, so that no other is priced.
/// @notice Left out is what another scenario dominates, whatever the words. An option is worth more when volatility is
/// higher, a call when the price is, a put when it is lower; its value is convex in the price; and all legs of a book
/// meet the same move. Hence
///   shorts only                 lose most where volatility is raised: calls after the highest rise, puts after the
///                               deepest fall, both together (their loss is convex) after one of the two
///   longs only, calls or puts   lose most where volatility is lowered, after the deepest fall or the highest rise
///   short calls and long puts   lose most after the highest rise, long calls and short puts after the deepest fall, at
///                               one of the three volatilities
/// and each may lose more in the extreme of that side, which has a weight of its own. Any other book needs all.
/// @dev It holds for exact prices: moves ascend row by row, and raised ≥ unchanged ≥ lowered, whatever the words. The
/// table errs by up to 5e-6 of the forward, so that on it a scenario left out may lose more by twice that: M10.
///
/// A list of rows, a byte each, the first lowest, ended by zero: bits 3-6 are four more than the row, so that times
/// `Sheet.ROW` they are its place; bits 0-2 the columns that count, one or all three: raised,
/// unchanged, lowered. Today always counts.
library Corners {
    /// @notice The columns of a row.
    uint256 internal constant RAISED = 1;
    uint256 internal constant UNCHANGED = 2;
    uint256 internal constant LOWERED = 4;
    uint256 internal constant ANY = 7;

    /// @notice All 23.
    uint256 internal constant ALL = 0x6159574f473f372f27;

    /// @dev The lowest row and the lower extreme, the highest row and the upper extreme, each with today; columns open.
    uint256 private constant FALL = 0x593a20;
    uint256 private constant RISE = 0x61503a;
    uint256 private constant RISE_COLUMNS_SHIFT = 8;
    /// @dev Both, where volatility is raised.
    uint256 private constant SHORTS = 0x6159513a21;

    /// @dev Kinds of legs, a bit each: long puts, long calls, short puts, short calls.
    uint256 private constant LONG = 3;
    uint256 private constant SHORT = 12;
    uint256 private constant LOSES_BY_FALL = 6;
    uint256 private constant LOSES_BY_RISE = 9;

    /// @dev Bit k: whether a book of kinds k needs all, for it has longs and loses either way.
    uint256 private constant NEED_ALL = 0xeca8;

    /// @return rows The list for these legs.
    function rowsOf(uint256[] calldata legs) internal pure returns (uint256 rows) {
        unchecked {
            uint256 kinds = 0;
            for (uint256 i = 0; i < legs.length; ++i) {
                uint256 leg = Leg.nth(legs, i);
                if (leg >> 192 == 0) continue; // without a quantity there is nothing to lose
                kinds |= 1 << (leg >> 255 << 1 | leg >> 168 & 1);
                if (NEED_ALL >> kinds & 1 != 0) return ALL;
            }
            uint256 columns = kinds & LONG == 0 ? RAISED : kinds & SHORT == 0 ? LOWERED : ANY;
            if (kinds & LOSES_BY_FALL == 0) return RISE | columns << RISE_COLUMNS_SHIFT;
            if (kinds & LOSES_BY_RISE == 0) return FALL | columns;
            return SHORTS;
        }
    }

    /// @return Whether the rows of the deepest fall and of the lower extreme are in a list.
    function hasFalls(uint256 rows) internal pure returns (bool) {
        return rows & ~ANY & 0xff == FALL & 0xff;
    }

    /// @return Whether those of the highest rise and of the upper extreme are.
    function hasRises(uint256 rows) internal pure returns (bool) {
        return rows | ANY != FALL | ANY;
    }
}
