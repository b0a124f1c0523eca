// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @notice Roundings between the engine's 18 decimals and the house's 6, each named for its direction.
/// @dev Amounts of this world are far below 2^255, so that adding a divisor cannot overflow.
library Dollars {
    uint256 private constant TO_WAD = 1e12;

    /// @return Dollars with 6 decimals of dollars with 18, never less.
    function fromWadUp(uint256 wad) internal pure returns (uint256) {
        return divUp(wad, TO_WAD);
    }

    /// @return Dollars with 6 decimals of dollars with 18, never more: a debt grows, a mark shrinks.
    function fromWadDown(int256 wad) internal pure returns (int256) {
        return divDown(wad, int256(TO_WAD));
    }

    /// @dev Solidity rounds towards zero, which would forgive part of a debt.
    function divDown(int256 x, int256 divisor) internal pure returns (int256) {
        unchecked {
            return x < 0 ? -((-x + divisor - 1) / divisor) : x / divisor;
        }
    }

    function divUp(uint256 x, uint256 divisor) internal pure returns (uint256) {
        unchecked {
            return (x + divisor - 1) / divisor;
        }
    }
}
