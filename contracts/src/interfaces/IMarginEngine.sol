// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IRiskOracle} from "./IRiskOracle.sol";

/// @title What a clearinghouse asks the margin engine.
/// @notice An account's equity is its collateral plus `value`; it must not be below a requirement.
interface IMarginEngine {
    /// @notice Dollars with 18 decimals, rounded against the account.
    struct Requirement {
        uint256 initial; // to add risk or to withdraw; never below `maintenance`
        uint256 maintenance; // below it the account may be liquidated
        int256 value; // mark of the positions
        uint256 worstLoss; // over the scenarios, before add-ons
        uint256 worstScenario; // 3·row + column of the grid, 10 is today; 21 and 22 are the extremes down and up
        IRiskOracle.Status status; // of the market's words; an EMPTY market prices nothing, all else is zero then
    }

    error TooManyLegs(uint256 legs, uint256 most);

    /// @notice What an account must hold for its positions in one market, on the oracle's effective words.
    /// @param market The oracle's market.
    /// @param legs Packed as `Leg` packs them, in any order; a series twice only with the same sign.
    /// @param multiplierBp The account's own multiplier in basis points, held between 10,000 and 2^32 - 1.
    function requirement(uint16 market, uint256[] calldata legs, uint256 multiplierBp)
        external
        view
        returns (Requirement memory);

    /// @notice Where the words come from.
    function oracle() external view returns (IRiskOracle);
}
