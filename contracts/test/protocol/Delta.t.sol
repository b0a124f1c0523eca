// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import "../../src/oracle/Lanes.sol";
import {Delta} from "../../src/protocol/Delta.sol";
import {Series} from "../../src/protocol/Series.sol";
import {Base} from "../Base.sol";

contract DeltaTest is Base {
    using Series for uint256;

    uint256 private constant NOW = 1_800_000_000;
    uint64 private constant SPOT = 60_000e8;
    /// @dev What the logistic curve is off the normal distribution, of a contract.
    int256 private constant CURVE = 0.01e6;

    function deltaOf(uint256 after_, uint64 strike, bool isCall) private pure returns (int256) {
        uint256 words = uint256(SPOT) << PRICE_SHIFT | 1660 << TOTAL_VOL_7D_SHIFT | 3440 << TOTAL_VOL_30D_SHIFT | 5960
            << TOTAL_VOL_90D_SHIFT;
        uint256[] memory legs = new uint256[](1);
        legs[0] = Series.pack(0, uint40(NOW + after_), strike, isCall).leg(1e6);
        return Delta.ofLegs(words, legs, NOW);
    }

    function near(uint256 after_, int256 wanted) private pure {
        int256 call = deltaOf(after_, SPOT, true);
        check(call > wanted - CURVE && call < wanted + CURVE, "a call at the money");
        int256 put = deltaOf(after_, SPOT, false);
        check(call - put >= 1e6 - 1 && call - put <= 1e6 + 1, "a put is a call less one");
    }

    /// @dev N(σ√t / 2), by the published total volatilities: variance is straight between the tenors and on after them.
    function test_variance_is_straight_between_the_tenors() external pure {
        near(1 days, 0.5125e6);
        near(7 days, 0.5331e6);
        near(20 days, 0.5558e6);
        near(60 days, 0.5961e6);
        near(120 days, 0.6346e6);
    }

    function test_far_from_the_price_it_is_all_or_nothing() external pure {
        same(deltaOf(7 days, 60_000_000e8, true), int256(0), "a call far out");
        same(deltaOf(7 days, 60_000_000e8, false), -1e6, "a put far in");
        same(deltaOf(7 days, 60e8, true), 1e6, "a call far in");
        same(deltaOf(7 days, 60e8, false), int256(0), "a put far out");
    }

    function test_at_expiry_it_is_all_or_nothing() external pure {
        same(deltaOf(0, SPOT - 1e8, true), 1e6, "a call in the money");
        same(deltaOf(0, SPOT + 1e8, true), int256(0), "a call out of it");
        same(deltaOf(0, SPOT + 1e8, false), -1e6, "a put in the money");
    }

    function test_no_legs_have_no_delta() external pure {
        same(Delta.ofLegs(uint256(SPOT) << PRICE_SHIFT, new uint256[](0), NOW), int256(0), "nothing");
    }
}
