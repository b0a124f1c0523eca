// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {LaneMath} from "./LaneMath.sol";
import "./Lanes.sol";
import {Limits} from "./Policy.sol";

/// @title What the guardian may do to the limits of a class: make loosening slower, and nothing else.
library Tightening {
    using LaneMath for uint256;

    /// @notice A lane, a budget or a bound of `got` is not what it may be: `tightest` is the nearest that is allowed.
    error NotTighter(Limits got, Limits tightest);

    /// @notice Refuse limits of which a lane is looser than in those that are held, or which move a bound.
    function requireTighter(Limits memory held, Limits memory wanted) internal pure {
        Limits memory tightest = tighter(held, wanted);
        if (keccak256(abi.encode(wanted)) != keccak256(abi.encode(tightest))) revert NotTighter(wanted, tightest);
    }

    /// @notice Of both limits' steps and budgets the tighter in each lane, within the bounds of `held`.
    /// @dev Where a move loosens, the smaller step is the tighter; where it tightens the larger is, or the guardian
    /// could keep margins from rising. The price does neither, and keeps its step. Bounds stay, too: one that excluded
    /// the stored figures would let the next median in whole, past every step. Order along a chain survives: the
    /// smaller, and the larger, of two ordered rows is ordered.
    function tighter(Limits memory held, Limits memory wanted) internal pure returns (Limits memory x) {
        uint256 price = PRICE_MAX << PRICE_SHIFT;
        x.riskLow = held.riskLow;
        x.riskHigh = held.riskHigh;
        x.riskMaxRise = _step(held.riskMaxRise, wanted.riskMaxRise, RISK_RISE_LOOSENS, RISK_GUARDS);
        x.riskMaxFall = _step(held.riskMaxFall, wanted.riskMaxFall, RISK_FALL_LOOSENS, RISK_GUARDS);
        x.riskDaily = held.riskDaily.min(wanted.riskDaily, RISK_GUARDS);
        x.marketLow = held.marketLow;
        x.marketHigh = held.marketHigh;
        x.marketMaxRise = held.marketMaxRise & price
            | _step(held.marketMaxRise & ~price, wanted.marketMaxRise & ~price, MARKET_RISE_LOOSENS, MARKET_GUARDS);
        x.marketMaxFall = held.marketMaxFall & price
            | _step(held.marketMaxFall & ~price, wanted.marketMaxFall & ~price, MARKET_FALL_LOOSENS, MARKET_GUARDS);
        x.marketDaily = held.marketDaily.min(wanted.marketDaily, MARKET_GUARDS);
        x.maxPriceMoveBp = held.maxPriceMoveBp < wanted.maxPriceMoveBp ? held.maxPriceMoveBp : wanted.maxPriceMoveBp;
    }

    function _step(uint256 held, uint256 wanted, uint256 loosens, uint256 guards) private pure returns (uint256) {
        return held.min(wanted, guards) & loosens | held.max(wanted, guards) & ~loosens;
    }
}
