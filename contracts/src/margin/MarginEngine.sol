// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IMarginEngine} from "../interfaces/IMarginEngine.sol";
import {IRiskOracle} from "../interfaces/IRiskOracle.sol";
import {PRICE_SHIFT} from "../oracle/Lanes.sol";
import {Leg} from "./Leg.sol";
import {Leg as Position, Portfolio, Requirement as Total} from "./Portfolio.sol";

/// @title Portfolio margin as a contract: stateless, bound to one oracle.
contract MarginEngine is IMarginEngine {
    using Leg for uint256;

    uint256 private constant PAR_BP = 10_000;
    uint256 private constant MOST_LEGS = 1024;

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
        (risk, words,, r.status) = oracle.read(market);
        if (legs.length == 0 || words >> PRICE_SHIFT == 0) return r;
        Position[] memory positions = new Position[](legs.length);
        for (uint256 i = 0; i < legs.length; ++i) {
            positions[i] = Position({
                expiry: legs[i].expiry(),
                strike: uint256(legs[i].strike()) * 1e10,
                isCall: legs[i].isCall(),
                quantity: int256(legs[i].quantity()) * 1e12
            });
        }
        Total memory total = Portfolio.requirementUp(risk, words, positions, block.timestamp);
        if (multiplierBp < PAR_BP) multiplierBp = PAR_BP;
        r.initial = (total.initial * multiplierBp + PAR_BP - 1) / PAR_BP;
        r.maintenance = (total.maintenance * multiplierBp + PAR_BP - 1) / PAR_BP;
        (r.value, r.worstLoss, r.worstScenario) = (total.value, total.worstLoss, total.worstScenario);
    }
}
