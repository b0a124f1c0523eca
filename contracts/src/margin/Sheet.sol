// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title The engine's working memory: the scenario grid, the running sums of a portfolio's calls over it, the table.
/// @dev Nine rows of six words: ln of the move, the forward after it, a sum for each volatility (raised, unchanged,
/// lowered), and the factor of the move. The first seven are the moves, from the deepest fall to the highest rise, then
/// the extremes down and up, where only the first sum is used. Behind them the volatilities of the leg at hand, and the
/// table of the normal distribution.
/// All at fixed addresses: Solidity's arrays check bounds at every reading, which costs more than the reading, and here
/// are hundreds. node/margrave/lab/scenarios.py has the same map.
library Sheet {
    uint256 internal constant START = 0x300;
    uint256 internal constant ROW = 0xc0;
    uint256 internal constant LOG = 0x00;
    uint256 internal constant FORWARD = 0x20;
    uint256 internal constant RAISED = 0x40;
    uint256 internal constant UNCHANGED = 0x60;
    uint256 internal constant LOWERED = 0x80;
    uint256 internal constant FACTOR = 0xa0;

    /// @dev The row of no move, the first extreme, the end of the rows, and the three volatilities there.
    uint256 internal constant HERE = START + 3 * ROW;
    uint256 internal constant EXTREMES = START + 7 * ROW;
    uint256 internal constant ROWS_END = START + 9 * ROW;
    uint256 internal constant VOLS = ROWS_END;
    /// @dev Least and greatest ln of all moves, where all rows count.
    uint256 internal constant LOWEST = VOLS + 0x60;
    uint256 internal constant HIGHEST = VOLS + 0x80;
    /// @dev Shocks of the 30-day volatility, doubt included.
    uint256 internal constant VOL_UP = VOLS + 0xa0;
    uint256 internal constant VOL_DOWN = VOLS + 0xc0;

    error MemoryTaken(uint256 pointer);

    /// @notice Takes the working memory from Solidity, which must not have come that far, nor have written there.
    /// @dev Memory is zero until it is written, so the sums start at zero. Four words less than there are: where Solidity
    /// may have written behind its pointer. Unoptimised code, which coverage and mutants are built as, comes to 0x280.
    function claim() internal pure {
        uint256 pointer;
        assembly ("memory-safe") {
            pointer := mload(0x40)
            mstore(0x40, 0x1ac0)
        }
        if (pointer > 0x280) revert MemoryTaken(pointer);
    }

    /// @return The place of the first row of a list: see `Corners`.
    function rowOf(uint256 rows) internal pure returns (uint256) {
        unchecked {
            return (rows >> 3 & 15) * ROW;
        }
    }

    /// @notice Writes the forward after the move of each row of a list, rounded down.
    function moveForward(uint256 rows, uint256 forward) internal pure {
        assembly ("memory-safe") {
            for {} rows { rows := shr(8, rows) } {
                let row := mul(and(shr(3, rows), 15), ROW)
                mstore(add(row, FORWARD), shr(40, mul(forward, mload(add(row, FACTOR)))))
            }
        }
    }

    /// @param place Of a sum.
    /// @return 3·row + column, and 21 and 22 for the extremes.
    function scenarioAt(uint256 place) internal pure returns (uint256) {
        unchecked {
            uint256 row = (place - START) / ROW;
            return place < EXTREMES ? 3 * row + (place - START - RAISED) % ROW / 0x20 : 14 + row;
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
