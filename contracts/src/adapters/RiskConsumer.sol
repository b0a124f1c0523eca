// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IRiskOracle} from "../interfaces/IRiskOracle.sol";
import {Reading, Readings} from "./Reading.sol";

/// @notice What a consumer itself demands of a market's reading, whatever the oracle's governance allows.
struct Demands {
    uint32 maxAgeS; // older readings are refused
    uint16 minConfidenceBp;
    uint64 lowestPriceE8; // outside these the consumer stops: a price at its feed's bound is no price
    uint64 highestPriceE8;
}

/// @title Base of contracts that read Margrave.
/// @notice The oracle is private here, so that there is no unchecked way to it: a consumer says what it reads *for*,
/// and gets either figures that are good for that or a named error.
///
/// | to | call | gets | refuses |
/// | --- | --- | --- | --- |
/// | take new risk (lend, open, withdraw against debt) | `_readForNewRisk` | effective figures: they tighten with age | empty, stale, halted, own demands unmet |
/// | take from someone (liquidate, settle) | `_readToLiquidate` | figures as published | the same, and aging: silence of the oracle is not the debtor's fault |
/// | decide whether to go on | `_readIfUsable` | a flag, and effective figures or zeros | nothing |
///
/// Paying back and adding collateral need no reading; a contract that asks for one there locks its users in.
abstract contract RiskConsumer {
    using Readings for Reading;

    IRiskOracle private immutable _oracle;

    error Unusable(uint16 market, IRiskOracle.Status status);
    error TooOld(uint16 market, uint256 ageS, uint256 maxAgeS);
    error TooDoubtful(uint16 market, uint256 confidenceBp, uint256 minConfidenceBp);
    error PriceOutOfBounds(uint16 market, uint256 priceE8, uint256 lowestPriceE8, uint256 highestPriceE8);
    error NoOracle(address oracle);
    error NoDemands(uint16 market);

    constructor(IRiskOracle oracle) {
        if (address(oracle).code.length == 0) revert NoOracle(address(oracle));
        _oracle = oracle;
    }

    /// @notice The oracle that this contract reads.
    function riskOracle() external view returns (address) {
        return address(_oracle);
    }

    /// @dev What this consumer demands of a market. Without a default: each consumer must have thought about it. A
    /// market that it does not use has a `highestPriceE8` of zero, and every reading of it reverts.
    function _demandsOf(uint16 market) internal view virtual returns (Demands memory);

    /// @dev For whatever makes the contract owe or be owed more. Figures are the oracle's effective ones.
    function _readForNewRisk(uint16 market) internal view returns (Reading memory x) {
        (x.risk, x.market, x.ageS, x.status) = _oracle.effective(market);
        bool usable = x.status == IRiskOracle.Status.FRESH || x.status == IRiskOracle.Status.AGING;
        if (!usable) revert Unusable(market, x.status);
        _requireDemands(market, x);
    }

    /// @dev For whatever takes something from an account because of a price. Figures are as published, so that an
    /// account is never below a requirement that only the oracle's silence has raised.
    function _readToLiquidate(uint16 market) internal view returns (Reading memory x) {
        (x.risk, x.market, x.ageS, x.status) = _oracle.read(market);
        if (x.status != IRiskOracle.Status.FRESH) revert Unusable(market, x.status);
        _requireDemands(market, x);
    }

    /// @dev For contracts that have something else to do. When `usable` is false every figure reads as zero, and the
    /// price with it, so that a forgotten flag divides by zero instead of acting on an old price.
    function _readIfUsable(uint16 market) internal view returns (bool usable, Reading memory x) {
        (x.risk, x.market, x.ageS, x.status) = _oracle.effective(market);
        Demands memory demands = _demandsOf(market);
        uint256 price = x.priceE8();
        usable = (x.status == IRiskOracle.Status.FRESH || x.status == IRiskOracle.Status.AGING)
            && x.ageS <= demands.maxAgeS && x.confidenceBp() >= demands.minConfidenceBp && price != 0
            && price >= demands.lowestPriceE8 && price <= demands.highestPriceE8;
        if (!usable) (x.risk, x.market) = (0, 0);
    }

    function _requireDemands(uint16 market, Reading memory x) private view {
        Demands memory demands = _demandsOf(market);
        if (demands.highestPriceE8 == 0) revert NoDemands(market);
        if (x.ageS > demands.maxAgeS) revert TooOld(market, x.ageS, demands.maxAgeS);
        if (x.confidenceBp() < demands.minConfidenceBp) {
            revert TooDoubtful(market, x.confidenceBp(), demands.minConfidenceBp);
        }
        uint256 price = x.priceE8();
        if (price == 0 || price < demands.lowestPriceE8 || price > demands.highestPriceE8) {
            revert PriceOutOfBounds(market, price, demands.lowestPriceE8, demands.highestPriceE8);
        }
    }
}
