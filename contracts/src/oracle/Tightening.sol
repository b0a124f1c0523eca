// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {LaneMath} from "./LaneMath.sol";
import "./Lanes.sol";
import {Limits} from "./Policy.sol";

/// @title What the guardian may do to the limits of a class: make loosening slower, and nothing else.
library Tightening {
    using LaneMath for uint256;

    error BoundsMoved(uint256 got, uint256 wanted);
    error LooserStep(uint256 got, uint256 held);
    error LooserBudget(uint256 got, uint256 held);
    error LooserPriceMove(uint256 got, uint256 held);

    /// @notice Refuse limits of which a lane is looser than in those that are held.
    /// @dev Bounds must stay: a bound that excluded the stored figures would let the next median in whole, past every
    /// step. The guardian has `pause` and `halt` for a figure that should not be there.
    function requireNoLooser(Limits memory held, Limits memory wanted) internal pure {
        _requireSame(held.riskLow, wanted.riskLow);
        _requireSame(held.riskHigh, wanted.riskHigh);
        _requireSame(held.marketLow, wanted.marketLow);
        _requireSame(held.marketHigh, wanted.marketHigh);
        _requireStep(held.riskMaxRise, wanted.riskMaxRise, RISK_RISE_LOOSENS, RISK_GUARDS);
        _requireStep(held.riskMaxFall, wanted.riskMaxFall, RISK_FALL_LOOSENS, RISK_GUARDS);
        _requireStep(held.marketMaxRise, wanted.marketMaxRise, MARKET_RISE_LOOSENS, MARKET_GUARDS);
        _requireStep(held.marketMaxFall, wanted.marketMaxFall, MARKET_FALL_LOOSENS, MARKET_GUARDS);
        _requireBudget(held.riskDaily, wanted.riskDaily, RISK_GUARDS);
        _requireBudget(held.marketDaily, wanted.marketDaily, MARKET_GUARDS);
        if (wanted.maxPriceMoveBp > held.maxPriceMoveBp) {
            revert LooserPriceMove(wanted.maxPriceMoveBp, held.maxPriceMoveBp);
        }
    }

    /// @notice The bounds of `held`, and of its steps and budgets and those of `wanted` the tighter in each lane.
    /// @dev Order along a chain survives: the smaller, or the larger, of two ordered rows is ordered.
    function tighter(Limits memory held, Limits memory wanted) internal pure returns (Limits memory x) {
        x = held;
        x.riskMaxRise = _tighterStep(held.riskMaxRise, wanted.riskMaxRise, RISK_RISE_LOOSENS, RISK_GUARDS);
        x.riskMaxFall = _tighterStep(held.riskMaxFall, wanted.riskMaxFall, RISK_FALL_LOOSENS, RISK_GUARDS);
        x.marketMaxRise = _tighterStep(held.marketMaxRise, wanted.marketMaxRise, MARKET_RISE_LOOSENS, MARKET_GUARDS);
        x.marketMaxFall = _tighterStep(held.marketMaxFall, wanted.marketMaxFall, MARKET_FALL_LOOSENS, MARKET_GUARDS);
        x.riskDaily = held.riskDaily.min(wanted.riskDaily, RISK_GUARDS);
        x.marketDaily = held.marketDaily.min(wanted.marketDaily, MARKET_GUARDS);
        if (wanted.maxPriceMoveBp < held.maxPriceMoveBp) x.maxPriceMoveBp = wanted.maxPriceMoveBp;
    }

    function _tighterStep(uint256 held, uint256 wanted, uint256 loosens, uint256 guards)
        private
        pure
        returns (uint256)
    {
        uint256 price = _price(guards);
        uint256 slowest = held.min(wanted, guards) & loosens;
        uint256 promptest = held.max(wanted, guards) & ~(guards | loosens | price);
        return slowest | promptest | held & price;
    }

    function _requireSame(uint256 held, uint256 wanted) private pure {
        if (held != wanted) revert BoundsMoved(wanted, held);
    }

    /// @dev Where a move loosens the step may only shrink; where it tightens only grow, or the guardian could keep
    /// margins from rising. The price does neither, and its step stays.
    function _requireStep(uint256 held, uint256 wanted, uint256 loosens, uint256 guards) private pure {
        uint256 price = _price(guards);
        uint256 tightens = ~(guards | loosens);
        bool slower = (held & (loosens | price)).atLeast(wanted & (loosens | price), guards) == guards;
        bool prompt = (wanted & tightens).atLeast(held & tightens, guards) == guards;
        if (!slower || !prompt) revert LooserStep(wanted, held);
    }

    function _requireBudget(uint256 held, uint256 wanted, uint256 guards) private pure {
        if (held.atLeast(wanted, guards) != guards) revert LooserBudget(wanted, held);
    }

    /// @return The value bits of the price, which only the market word has.
    function _price(uint256 guards) private pure returns (uint256) {
        return guards == MARKET_GUARDS ? PRICE_MAX << PRICE_SHIFT : 0;
    }
}
