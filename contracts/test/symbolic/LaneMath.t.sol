// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {LaneMath} from "../../src/oracle/LaneMath.sol";
import "../../src/oracle/Lanes.sol";
import {Lanewise} from "./Lanewise.sol";

/// @dev For every pair of words that the wire admits: what is done to all lanes at once is done to each lane.
contract SymbolicLaneMath is Lanewise {
    function check_risk_comparison_is_exact_in_each_lane(uint256 a, uint256 b) external pure {
        _comparison(a & ~RISK_FORBIDDEN, b & ~RISK_FORBIDDEN, RISK_GUARDS);
    }

    function check_market_comparison_is_exact_in_each_lane(uint256 a, uint256 b) external pure {
        _comparison(a & ~MARKET_FORBIDDEN, b & ~MARKET_FORBIDDEN, MARKET_GUARDS);
    }

    function check_risk_min_max_and_excess_are_exact_in_each_lane(uint256 a, uint256 b) external pure {
        _pair(a & ~RISK_FORBIDDEN, b & ~RISK_FORBIDDEN, RISK_GUARDS);
    }

    function check_market_min_max_and_excess_are_exact_in_each_lane(uint256 a, uint256 b) external pure {
        _pair(a & ~MARKET_FORBIDDEN, b & ~MARKET_FORBIDDEN, MARKET_GUARDS);
    }

    function check_risk_sum_is_held_at_each_lanes_end(uint256 a, uint256 b) external pure {
        _sum(a & ~RISK_FORBIDDEN, b & ~RISK_FORBIDDEN, RISK_GUARDS);
    }

    function check_market_sum_is_held_at_each_lanes_end(uint256 a, uint256 b) external pure {
        _sum(a & ~MARKET_FORBIDDEN, b & ~MARKET_FORBIDDEN, MARKET_GUARDS);
    }

    function _comparison(uint256 a, uint256 b, uint256 guards) private pure {
        uint256 reached = LaneMath.atLeast(a, b, guards);
        uint256 holds = 1;
        for (uint256 i = 0; i < lanes(guards); ++i) {
            (uint256 shift, uint256 most) = lane(guards, i);
            uint256 guard = shift + width(most);
            holds &= equal(reached >> guard & 1, atMost(b >> shift & most, a >> shift & most));
        }
        assert(holds == 1);
        assert(reached & ~guards == 0);
    }

    function _pair(uint256 a, uint256 b, uint256 guards) private pure {
        uint256 low = LaneMath.min(a, b, guards);
        uint256 high = LaneMath.max(a, b, guards);
        uint256 excess = LaneMath.excess(a, b, guards);
        uint256 holds = 1;
        for (uint256 i = 0; i < lanes(guards); ++i) {
            (uint256 shift, uint256 most) = lane(guards, i);
            (uint256 x, uint256 y) = (a >> shift & most, b >> shift & most);
            holds &= equal(low >> shift & most, lesser(x, y));
            holds &= equal(high >> shift & most, x + y - lesser(x, y));
            holds &= equal(excess >> shift & most, x - lesser(x, y));
        }
        assert(holds == 1);
        assert((low | high | excess) & guards == 0);
    }

    function _sum(uint256 a, uint256 b, uint256 guards) private pure {
        uint256 sum = LaneMath.sum(a, b, guards);
        uint256 holds = 1;
        for (uint256 i = 0; i < lanes(guards); ++i) {
            (uint256 shift, uint256 most) = lane(guards, i);
            holds &= equal(sum >> shift & most, lesser((a >> shift & most) + (b >> shift & most), most));
        }
        assert(holds == 1);
        assert(sum & guards == 0);
    }
}
