// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {LaneMath} from "./LaneMath.sol";
import "./Lanes.sol";
import {Stamp} from "./Stamp.sol";

/// @title How words tighten while nobody publishes: a slope instead of a cliff.
library Ageing {
    using LaneMath for uint256;
    using Stamp for uint256;

    uint256 private constant WHOLE = 1 << 16;
    uint256 private constant CONFIDENCE = LANE_MAX << CONFIDENCE_SHIFT;

    /// @notice How far an age has come from `agingAfter` to `staleAfter`, in 2^-16, rounded up.
    function shareUp(uint256 ageS, uint256 agingAfter, uint256 staleAfter) internal pure returns (uint256) {
        unchecked {
            if (ageS <= agingAfter) return 0;
            if (ageS >= staleAfter) return WHOLE;
            uint256 span = staleAfter - agingAfter;
            return ((ageS - agingAfter) * WHOLE + span - 1) / span;
        }
    }

    /// @notice Lanes that tighten upwards plus `share` of themselves, held at what their meaning allows; confidence less
    /// `share` of itself; everything else, stamps included, as it is.
    function tightenedUp(uint256 risk, uint256 market, uint256 share) internal pure returns (uint256, uint256) {
        unchecked {
            uint256 stamps = market & MARKET_STAMPED;
            market = market.unstamped();
            risk = risk.sum((risk & RISK_TIGHTENS_UP).scaledUp(share), RISK_GUARDS.kept())
                .min(RISK_BOX_HIGH, RISK_GUARDS.kept());
            uint256 grown = market.sum((market & MARKET_TIGHTENS_UP).scaledUp(share), MARKET_GUARDS.kept());
            market = grown.min(MARKET_BOX_HIGH, MARKET_GUARDS.kept()) - (market & CONFIDENCE).scaledUp(share);
            return (risk, market | stamps);
        }
    }
}
