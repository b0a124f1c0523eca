// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Leg, Portfolio, Requirement} from "../src/margin/Portfolio.sol";
import "../src/oracle/Lanes.sol";
import {OracleSetup} from "./OracleSetup.sol";

/// @dev What must be true of every portfolio (contracts/invariants.md, M1 to M7).
contract PortfolioTest is OracleSetup {
    uint256 private constant NOW = START;

    function setUp() public override {}

    function test_an_empty_portfolio_requires_nothing() external pure {
        Requirement memory r = _of(new Leg[](0));
        check(r.initial == 0 && r.maintenance == 0 && r.value == 0, "nothing");
    }

    function test_fuzz_long_options_need_nothing_beyond_their_premium(uint256 seed) external pure {
        Leg[] memory legs = _legs(seed, 5);
        for (uint256 i = 0; i < 5; ++i) {
            if (legs[i].quantity < 0) legs[i].quantity = -legs[i].quantity;
        }
        Requirement memory r = _of(legs);
        check(int256(r.initial) <= r.value + 1, "initial within the mark");
    }

    function test_fuzz_order_does_not_matter(uint256 seed) external pure {
        Leg[] memory legs = _legs(seed, 6);
        Leg[] memory turned = new Leg[](6);
        for (uint256 i = 0; i < 6; ++i) {
            turned[i] = legs[(i + 1 + seed % 5) % 6];
        }
        _alike(_of(legs), _of(turned));
    }

    function test_fuzz_splitting_a_leg_changes_nothing(uint256 seed) external pure {
        Leg[] memory legs = _legs(seed, 4);
        Leg[] memory split = new Leg[](5);
        for (uint256 i = 0; i < 4; ++i) {
            split[i] = legs[i];
        }
        int256 part = legs[1].quantity / int256(2 + seed % 7);
        split[1] = Leg(legs[1].expiry, legs[1].strike, legs[1].isCall, legs[1].quantity - part);
        split[4] = Leg(legs[1].expiry, legs[1].strike, legs[1].isCall, part);
        _alike(_of(legs), _of(split));
    }

    function test_fuzz_a_portfolio_needs_no_more_than_its_legs(uint256 seed) external pure {
        Leg[] memory legs = _legs(seed, 5);
        uint256 maintenance = 0;
        uint256 initial = 0;
        for (uint256 i = 0; i < 5; ++i) {
            Leg[] memory one = new Leg[](1);
            one[0] = legs[i];
            Requirement memory r = _of(one);
            maintenance += r.maintenance;
            initial += r.initial;
        }
        Requirement memory whole = _of(legs);
        check(whole.maintenance <= maintenance, "maintenance");
        check(whole.initial <= initial + 5, "initial"); // a unit of rounding a leg
    }

    function test_fuzz_initial_is_never_below_maintenance_nor_that_below_the_worst_loss(uint256 seed) external pure {
        Leg[] memory legs = _legs(seed, 5);
        legs[0] = Leg(legs[0].expiry, legs[0].strike, true, -1e24); // unbounded: no cap
        Requirement memory r = _of(legs);
        check(r.initial >= r.maintenance, "initial");
        check(r.maintenance >= r.worstLoss, "worst loss");
    }

    function test_a_spread_needs_no_more_than_it_can_lose() external pure {
        Leg[] memory legs = new Leg[](2);
        legs[0] = Leg(uint64(NOW + 7 days), 60_000e18, true, -1e18);
        legs[1] = Leg(uint64(NOW + 7 days), 61_000e18, true, 1e18);
        Requirement memory r = _of(legs);
        check(int256(r.initial) <= 1000e18 + r.value + 1, "bounded by the width");
        check(r.maintenance > 0, "and not nothing");
    }

    function test_a_far_short_option_still_needs_the_floor() external pure {
        Leg[] memory legs = new Leg[](1);
        legs[0] = Leg(uint64(NOW + 1 hours), 240_000e18, true, -1e18);
        Requirement memory r = _of(legs);
        check(r.maintenance >= 240e18, "0.4 % of 60,000");
    }

    function test_more_stress_and_less_confidence_never_need_less() external pure {
        Leg[] memory legs = new Leg[](2);
        legs[0] = Leg(uint64(NOW + 14 days), 64_000e18, true, -1e18);
        legs[1] = Leg(uint64(NOW + 14 days), 56_000e18, false, -1e18);
        uint256 last = 0;
        for (uint256 stress = 50; stress <= 500; stress += 50) {
            uint256 now_ = Portfolio.requirementUp(riskWord(stress), marketWord(BTC), legs, NOW).maintenance;
            check(now_ > last, "stress");
            last = now_;
        }
        uint256 sure = _of(legs).maintenance;
        uint256 unsure = marketWord(BTC) & ~(LANE_MAX << CONFIDENCE_SHIFT) | 2000 << CONFIDENCE_SHIFT;
        check(Portfolio.requirementUp(riskWord(100), unsure, legs, NOW).maintenance > sure, "confidence");
    }

    function test_an_expired_leg_counts_at_its_intrinsic_value() external pure {
        Leg[] memory legs = new Leg[](1);
        legs[0] = Leg(uint64(NOW), 59_000e18, true, 2e18);
        same(_of(legs).value, 2000e18, "value");
    }

    function _of(Leg[] memory legs) private pure returns (Requirement memory) {
        return Portfolio.requirementUp(riskWord(100), marketWord(BTC), legs, NOW);
    }

    function _alike(Requirement memory a, Requirement memory b) private pure {
        same(a.initial, b.initial, "initial");
        same(a.maintenance, b.maintenance, "maintenance");
        same(a.value, b.value, "value");
        same(a.worstLoss, b.worstLoss, "worst loss");
        same(a.worstScenario, b.worstScenario, "worst scenario");
    }

    function _legs(uint256 seed, uint256 n) private pure returns (Leg[] memory legs) {
        legs = new Leg[](n);
        for (uint256 i = 0; i < n; ++i) {
            uint256 x = uint256(keccak256(abi.encode(seed, i)));
            int256 size = int256(within(x >> 96, 1, 1e6)) * 1e15;
            legs[i] = Leg({
                expiry: uint64(NOW + within(x, 1 hours, 365 days)),
                strike: within(x >> 32, 12_000e8, 240_000e8) * 1e10,
                isCall: x >> 254 & 1 == 1,
                quantity: x >> 255 == 1 ? size : -size
            });
        }
    }
}
