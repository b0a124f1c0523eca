// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IMarginEngine} from "../interfaces/IMarginEngine.sol";
import {IRiskOracle} from "../interfaces/IRiskOracle.sol";
import {PRICE_SHIFT} from "../oracle/Lanes.sol";
import {Corners} from "./Corners.sol";
import {Portfolio} from "./Portfolio.sol";

/// @title Portfolio margin as a contract: stateless, bound to one oracle.
contract MarginEngine is IMarginEngine {
    uint256 private constant MOST_LEGS = 256;

    IRiskOracle public immutable oracle;

    constructor(IRiskOracle oracle_) {
        oracle = oracle_;
    }

    /// @inheritdoc IMarginEngine
    function requirement(uint16 market, uint256[] calldata legs, uint256 multiplierBp)
        external
        view
        returns (Requirement memory r)
    {
        if (legs.length > MOST_LEGS) revert TooManyLegs(legs.length, MOST_LEGS);
        uint256 risk;
        uint256 words;
        (risk, words,, r.status) = oracle.effective(market);
        if (legs.length == 0 || words >> PRICE_SHIFT == 0) return r;
        Portfolio.requirementUp(r, Corners.rowsOf(legs), risk, words, legs, multiplierBp);
    }
}
