// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IRiskOracle} from "../interfaces/IRiskOracle.sol";
import {LaneMath} from "./LaneMath.sol";
import "./Lanes.sol";

/// @notice When a report may be written, and from which age on a market is aging and stale; seconds.
struct Timing {
    uint32 period;
    uint32 maxSkew;
    uint32 maxReportAge;
    uint32 agingAfter;
    uint32 staleAfter;
}

/// @notice Hard bounds and largest steps of every lane, as words of the lanes' own layout. A step of the lane's largest
/// value is no limit.
struct Limits {
    uint256 riskLow;
    uint256 riskHigh;
    uint256 riskMaxRise;
    uint256 riskMaxFall;
    uint256 marketLow;
    uint256 marketHigh;
    uint256 marketMaxRise;
    uint256 marketMaxFall;
    uint256 maxPriceMoveBp;
}

/// @title What a median must pass before it is written.
library Policy {
    using LaneMath for uint256;

    error BoundsOutsideMeaning();
    error BoundsNotOrdered();
    error StepsBreakOrder();
    error StrayBits();
    error PriceMoveOutOfRange();

    /// @dev Limits that could let a coherent market become incoherent are refused here, so that the write path need
    /// not look again after it has limited a step: along an ascending chain the lower lane must not fall slower nor
    /// rise faster than its upper neighbour.
    function validate(Limits memory x) internal pure {
        uint256 riskBits = x.riskLow | x.riskHigh | x.riskMaxRise | x.riskMaxFall;
        uint256 marketBits = x.marketLow | x.marketHigh | x.marketMaxRise | x.marketMaxFall;
        if (riskBits & RISK_FORBIDDEN | marketBits & MARKET_FORBIDDEN != 0) revert StrayBits();
        if (!_within(x.riskLow, RISK_BOX_LOW, RISK_BOX_HIGH, RISK_GUARDS)) revert BoundsOutsideMeaning();
        if (!_within(x.riskHigh, RISK_BOX_LOW, RISK_BOX_HIGH, RISK_GUARDS)) revert BoundsOutsideMeaning();
        if (!_within(x.marketLow, MARKET_BOX_LOW, MARKET_BOX_HIGH, MARKET_GUARDS)) revert BoundsOutsideMeaning();
        if (!_within(x.marketHigh, MARKET_BOX_LOW, MARKET_BOX_HIGH, MARKET_GUARDS)) revert BoundsOutsideMeaning();
        if (x.riskHigh.atLeast(x.riskLow, RISK_GUARDS) != RISK_GUARDS) revert BoundsNotOrdered();
        if (x.marketHigh.atLeast(x.marketLow, MARKET_GUARDS) != MARKET_GUARDS) revert BoundsNotOrdered();
        bool rises = _ascends(x.riskMaxRise, RISK_ASCENDING) && _ascends(x.marketMaxRise, MARKET_ASCENDING);
        bool falls = _descends(x.riskMaxFall, RISK_ASCENDING) && _descends(x.marketMaxFall, MARKET_ASCENDING);
        if (!rises || !falls) revert StepsBreakOrder();
        if (x.maxPriceMoveBp == 0 || x.maxPriceMoveBp > type(uint32).max) revert PriceMoveOutOfRange();
    }

    /// @notice Whether a median may be written over what is stored.
    /// @param lastPrice Stored price, or zero when there is nothing to compare with.
    /// @return refused Whether the market must halt, and why.
    function check(Limits memory x, uint256 risk, uint256 market, uint256 lastPrice)
        internal
        pure
        returns (bool refused, IRiskOracle.HaltReason reason)
    {
        if (!withinBounds(x, risk, market)) return (true, IRiskOracle.HaltReason.OUT_OF_BOUNDS);
        if (!coherent(risk, market)) return (true, IRiskOracle.HaltReason.INCOHERENT);
        if (lastPrice != 0 && _jumps(market >> PRICE_SHIFT, lastPrice, x.maxPriceMoveBp)) {
            return (true, IRiskOracle.HaltReason.PRICE_JUMP);
        }
    }

    function withinBounds(Limits memory x, uint256 risk, uint256 market) internal pure returns (bool) {
        return
            _within(risk, x.riskLow, x.riskHigh, RISK_GUARDS)
                && _within(market, x.marketLow, x.marketHigh, MARKET_GUARDS);
    }

    /// @notice Whether both return ladders and the term structure of total volatility ascend.
    function coherent(uint256 risk, uint256 market) internal pure returns (bool) {
        return _ascends(risk, RISK_ASCENDING) && _ascends(market, MARKET_ASCENDING);
    }

    /// @notice Hold each lane within its largest step from the stored one. Stamped lanes must be zero in all.
    function limit(Limits memory x, uint256 oldRisk, uint256 oldMarket, uint256 risk, uint256 market)
        internal
        pure
        returns (uint256, uint256)
    {
        return (
            _limit(risk, oldRisk, x.riskMaxRise, x.riskMaxFall, RISK_GUARDS),
            _limit(market, oldMarket, x.marketMaxRise, x.marketMaxFall, MARKET_GUARDS)
        );
    }

    function _limit(uint256 word, uint256 old, uint256 rise, uint256 fall, uint256 guards)
        private
        pure
        returns (uint256)
    {
        uint256 top = old.sum(rise, guards);
        uint256 bottom = old.excess(fall, guards);
        if (_within(word, bottom, top, guards)) return word;
        return word.min(top, guards).max(bottom, guards);
    }

    function _within(uint256 word, uint256 low, uint256 high, uint256 guards) private pure returns (bool) {
        return word.atLeast(low, guards) & high.atLeast(word, guards) == guards;
    }

    function _ascends(uint256 word, uint256 lanes) private pure returns (bool) {
        uint256 guards = _guardsOf(lanes);
        return ((word >> 16) & lanes).atLeast(word & lanes, guards) == guards;
    }

    function _descends(uint256 word, uint256 lanes) private pure returns (bool) {
        uint256 guards = _guardsOf(lanes);
        return (word & lanes).atLeast((word >> 16) & lanes, guards) == guards;
    }

    function _guardsOf(uint256 lanes) private pure returns (uint256) {
        unchecked {
            return (lanes << 1) & RISK_GUARDS;
        }
    }

    function _jumps(uint256 price, uint256 lastPrice, uint256 maxMoveBp) private pure returns (bool) {
        unchecked {
            uint256 move = price > lastPrice ? price - lastPrice : lastPrice - price;
            return move * 10_000 > lastPrice * maxMoveBp; // 63 bits times 32: validate holds the move to 32
        }
    }
}
