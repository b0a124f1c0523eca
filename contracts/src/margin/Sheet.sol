// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title The scenario grid in memory, and the running sums of a portfolio's calls over it.
/// @dev Nine rows of six words: ln of the move, the forward after it, a sum for each volatility (raised, unchanged,
/// lowered), and the factor of the move. The first seven are the moves, from the deepest fall to the highest rise, then
/// the extremes down and up, where only the first sum is used. Behind them the volatilities of the leg at hand.
/// A sheet is a bare pointer and its fields are offsets in bytes: Solidity's arrays check bounds at every reading, which
/// costs more than the reading, and here are hundreds.
library Sheet {
    uint256 internal constant ROW = 0xc0;
    uint256 internal constant LOG = 0x00;
    uint256 internal constant FORWARD = 0x20;
    uint256 internal constant RAISED = 0x40;
    uint256 internal constant UNCHANGED = 0x60;
    uint256 internal constant LOWERED = 0x80;
    uint256 internal constant FACTOR = 0xa0;

    /// @dev The row of no move, the first extreme, the end of the rows, and the three volatilities there.
    uint256 internal constant HERE = 3 * ROW;
    uint256 internal constant EXTREMES = 7 * ROW;
    uint256 internal constant ROWS_END = 9 * ROW;
    uint256 internal constant VOLS = ROWS_END;

    uint256 private constant SIZE = 0x720;

    /// @return sheet All zero.
    function blank() internal pure returns (uint256 sheet) {
        assembly ("memory-safe") {
            sheet := mload(0x40)
            mstore(0x40, add(sheet, SIZE))
            calldatacopy(sheet, calldatasize(), SIZE) // from beyond the end: zeros
        }
    }

    function load(uint256 place) internal pure returns (int256 x) {
        assembly ("memory-safe") {
            x := mload(place)
        }
    }

    function store(uint256 place, int256 x) internal pure {
        assembly ("memory-safe") {
            mstore(place, x)
        }
    }

    function add(uint256 place, int256 x) internal pure {
        unchecked {
            store(place, load(place) + x);
        }
    }
}
