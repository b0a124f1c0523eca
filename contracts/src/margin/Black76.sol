// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Sheet} from "./Sheet.sol";

/// @title Undiscounted Black (1976) calls over a whole grid at once.
/// @dev forward·N(d1) − strike·N(d2) with N from the table of Normal.sol, within 5e-6 of the forward.
library Black76 {
    /// @notice A price of one in the unit of the sums: the table's one times its 52 fractional bits.
    int256 internal constant ONE = int256((1 << 32) - 1) << 52;
    /// @notice Total volatility from which the table cannot hold d1 and d2 both; a call is the forward long before.
    uint256 internal constant MOST_VOL = 10825960642717;
    /// @notice Total volatility below 1e-9 is none.
    uint256 private constant LEAST_VOL = 1 << 10;

    /// @dev Cells of the table to a unit of d, and the fractional bits of a place in the table less those of d.
    uint256 private constant CELLS = 104 << 12;
    uint256 private constant MIDDLE = 512 << 52;
    uint256 private constant TOP = 1024 << 52;
    uint256 private constant FRACTION = (1 << 52) - 1;

    /// @notice Adds quantity·price of a call to each of the grid's 23 sums.
    /// @param sheet The grid (see Sheet), with this leg's three volatilities.
    /// @param nodes The table, as NORMAL_NODES.
    /// @param moneyness ln(forward / strike) before the moves, 40 fractional bits.
    /// @param strike In the unit of the sheet's forwards.
    /// @param quantity Signed.
    function addCalls(uint256 sheet, uint256 nodes, int256 moneyness, uint256 strike, int256 quantity) internal pure {
        if (uint256(Sheet.load(sheet + Sheet.VOLS + 0x40)) < LEAST_VOL) return _addIntrinsic(sheet, strike, quantity);
        // The engine's whole cost is here: 46 readings of the table a leg. As Solidity it costs twice as much, which is
        // why it is assembly. No overflow: forwards are below 2^96 and nodes below 2^84, quantity below 2^63, and the
        // engine takes at most 256 legs, so that a sum stays below 2^252.
        assembly ("memory-safe") {
            // Where few words fit on the stack, two live in scratch space.
            mstore(0x00, quantity)
            mstore(0x20, moneyness)
            for { let column := 0x40 } lt(column, 0xa0) { column := add(column, 0x20) } {
                // A place in the table is d·104 + 512, 52 fractional bits: `a` times a logarithm, plus `b`. The place of
                // d2 lies `step` below that of d1; both are on the table where the lower has `room` above it.
                let step := mload(add(add(sheet, 0x680), column))
                let a := div(shl(40, CELLS), step)
                step := mul(step, CELLS)
                let b := add(sub(mul(a, mload(0x20)), shr(1, step)), MIDDLE)
                let room := sub(TOP, step)
                let end := add(sheet, 0x6c0)
                if gt(column, 0x40) { end := sub(end, 0x180) }
                for { let row := sheet } lt(row, end) { row := add(row, 0xc0) } {
                    let v := add(mul(a, mload(row)), b)
                    let u := add(v, step)
                    if gt(v, room) {
                        if gt(u, TOP) { u := mul(TOP, sgt(u, 0)) }
                        if gt(v, TOP) { v := mul(TOP, sgt(v, 0)) }
                    }
                    // One load brings a cell's two nodes: N = left + (right - left)·fraction.
                    let cell := mload(add(nodes, and(shr(50, u), 0x1ffc)))
                    let left := shr(224, cell)
                    u := add(shl(52, left), mul(sub(and(shr(192, cell), 0xffffffff), left), and(u, FRACTION)))
                    cell := mload(add(nodes, and(shr(50, v), 0x1ffc)))
                    left := shr(224, cell)
                    v := add(shl(52, left), mul(sub(and(shr(192, cell), 0xffffffff), left), and(v, FRACTION)))
                    let at := add(row, column)
                    mstore(at, add(mload(at), mul(mload(0x00), sub(mul(mload(add(row, 0x20)), u), mul(strike, v)))))
                }
            }
        }
    }

    /// @notice The same where no volatility is left: each price is intrinsic, exactly.
    function _addIntrinsic(uint256 sheet, uint256 strike, int256 quantity) private pure {
        unchecked {
            for (uint256 row = sheet; row < sheet + Sheet.ROWS_END; row += Sheet.ROW) {
                int256 inside = Sheet.load(row + Sheet.FORWARD) - int256(strike);
                if (inside <= 0) continue;
                int256 value = quantity * inside * ONE;
                Sheet.add(row + Sheet.RAISED, value);
                Sheet.add(row + Sheet.UNCHANGED, value);
                Sheet.add(row + Sheet.LOWERED, value);
            }
        }
    }
}
