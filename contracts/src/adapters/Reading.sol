// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IRiskOracle} from "../interfaces/IRiskOracle.sol";
import {Stamp} from "../oracle/Stamp.sol";
import {Field, Fields} from "./Fields.sol";

/// @notice What the oracle says of one market, checked by `RiskConsumer`. Take figures from it with `Readings`, whose
/// functions name their units; the words themselves are for passing on.
struct Reading {
    uint256 risk;
    uint256 market;
    uint256 ageS;
    IRiskOracle.Status status;
}

/// @title Figures of a reading, with their units in the functions' names.
/// @dev A field asked for in a unit that is not its own reverts, so that a volatility is never taken for a share.
library Readings {
    using Fields for Field;

    error WrongUnit(Field field, uint8 decimals, bool signed);

    /// @return Index price in US dollars, 8 decimals.
    function priceE8(Reading memory x) internal pure returns (uint256) {
        return uint256(_valueOf(x, Field.PRICE));
    }

    /// @return How far the committee trusts the reading, in basis points; falls to zero as an effective reading ages.
    function confidenceBp(Reading memory x) internal pure returns (uint256) {
        return uint256(_valueOf(x, Field.CONFIDENCE));
    }

    /// @return A share that is never negative, such as a loss of price or a probability, in basis points.
    function shareBp(Reading memory x, Field field) internal pure returns (uint256) {
        return uint256(_checked(x, field, 4, false));
    }

    /// @return A signed share, the basis or the surface's correlation, in basis points.
    function signedBp(Reading memory x, Field field) internal pure returns (int256) {
        return _checked(x, field, 4, true);
    }

    /// @return Total volatility to a tenor, sigma * sqrt(T), 5 decimals.
    function totalVolE5(Reading memory x, Field field) internal pure returns (uint256) {
        return uint256(_checked(x, field, 5, false));
    }

    /// @return Composite risk score, 0 (calm) to 10,000.
    function score(Reading memory x) internal pure returns (uint256) {
        return uint256(_valueOf(x, Field.SCORE));
    }

    /// @return When the market was observed, Unix seconds.
    function observedAt(Reading memory x) internal pure returns (uint256) {
        return Stamp.observedAt(x.market);
    }

    function _checked(Reading memory x, Field field, uint8 decimals, bool signed) private pure returns (int256) {
        if (field.decimals() != decimals || field.isSigned() != signed) {
            revert WrongUnit(field, field.decimals(), field.isSigned());
        }
        return _valueOf(x, field);
    }

    function _valueOf(Reading memory x, Field field) private pure returns (int256) {
        return field.valueOf(x.risk, x.market);
    }
}
