// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IMarginEngine} from "../../src/interfaces/IMarginEngine.sol";
import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {Leg} from "../../src/margin/Leg.sol";
import "../../src/oracle/Lanes.sol";
import {MarginSetup} from "./MarginSetup.sol";

/// @dev What must be true of every portfolio (contracts/invariants.md, M1 to M9).
contract MarginEngineTest is MarginSetup {
    using Leg for uint256;

    // --- order, splitting, parts ------------------------------------------------------------------------------------

    function test_an_empty_portfolio_requires_nothing() external view {
        IMarginEngine.Requirement memory r = ask(new uint256[](0));
        check(r.initial == 0 && r.maintenance == 0 && r.value == 0 && r.worstLoss == 0, "nothing");
        check(r.status == IRiskOracle.Status.FRESH, "but its market has a status");
    }

    function test_fuzz_order_does_not_matter(uint256 seed) external view {
        uint256[] memory legs = book(seed, 6);
        uint256[] memory turned = new uint256[](6);
        for (uint256 i = 0; i < 6; ++i) {
            turned[i] = legs[(i + 1 + seed % 5) % 6];
        }
        _alike(ask(legs), ask(turned));
    }

    function test_fuzz_splitting_a_leg_changes_nothing(uint256 seed) external view {
        uint256[] memory legs = book(seed, 4);
        uint256[] memory split = new uint256[](5);
        for (uint256 i = 0; i < 4; ++i) {
            split[i] = legs[i];
        }
        int64 part = legs[1].quantity() / int64(int256(2 + seed % 7));
        split[1] = legs[1].withQuantity(legs[1].quantity() - part);
        split[4] = legs[1].withQuantity(part);
        _alike(ask(legs), ask(split));
    }

    function test_fuzz_a_portfolio_needs_no_more_than_its_legs(uint256 seed) external view {
        uint256[] memory legs = book(seed, 5);
        for (uint256 i = 0; i < 5; ++i) {
            // Beyond a year of carry the cap at what can be lost binds a single put: see invariants.md.
            legs[i] = option(within(seed >> i, 1 days, 30 days), 40_000e8 + i * 10_000e8, i < 3, legs[i].quantity());
        }
        uint256 maintenance = 0;
        uint256 initial = 0;
        for (uint256 i = 0; i < 5; ++i) {
            IMarginEngine.Requirement memory r = ask(only(legs[i]));
            maintenance += r.maintenance;
            initial += r.initial;
        }
        IMarginEngine.Requirement memory whole = ask(legs);
        check(whole.maintenance <= maintenance, "maintenance");
        check(whole.initial <= initial + 5, "initial"); // a unit of rounding a leg
    }

    // --- bounds -----------------------------------------------------------------------------------------------------

    function test_fuzz_initial_is_never_below_maintenance_nor_that_below_the_worst_loss(uint256 seed) external view {
        uint256[] memory legs = book(seed, 5);
        legs[0] = legs[0].withQuantity(-1e12) | 1 << 168; // calls without bound: no cap
        IMarginEngine.Requirement memory r = ask(legs);
        check(r.initial >= r.maintenance, "initial");
        check(r.maintenance >= r.worstLoss, "worst loss");
    }

    function test_fuzz_long_options_need_nothing_beyond_their_premium(uint256 seed) external view {
        uint256[] memory legs = book(seed, 5);
        for (uint256 i = 0; i < 5; ++i) {
            if (legs[i].quantity() < 0) legs[i] = legs[i].withQuantity(-legs[i].quantity());
        }
        IMarginEngine.Requirement memory r = ask(legs);
        check(r.value >= 0, "no option is a debt");
        check(int256(r.initial) <= r.value, "initial within the mark");
    }

    function test_fuzz_adding_a_long_never_raises_a_requirement_beyond_its_premium(uint256 seed) external view {
        uint256[] memory legs = book(seed, 5);
        uint256[] memory fewer = new uint256[](4);
        for (uint256 i = 0; i < 4; ++i) {
            fewer[i] = legs[i];
        }
        if (legs[4].quantity() < 0) legs[4] = legs[4].withQuantity(-legs[4].quantity());
        IMarginEngine.Requirement memory before = ask(fewer);
        IMarginEngine.Requirement memory then = ask(legs);
        int256 premium = then.value - before.value;
        int256 grain = int256(legs[4].quantity()) / 1000 + 2; // a put's parity, and the rounding of a moved forward
        check(int256(then.maintenance) <= int256(before.maintenance) + premium + grain, "maintenance");
    }

    function test_fuzz_nobody_is_asked_for_more_than_the_model_free_maximum_loss(uint256 seed) external view {
        uint256 width = within(seed, 1e8, 20_000e8);
        uint256 low = within(seed >> 64, 30_000e8, 100_000e8);
        bool isCall = seed >> 255 == 1;
        uint256 sold = option(7 days, isCall ? low : low + width, isCall, -ONE);
        uint256 held = option(7 days, isCall ? low + width : low, isCall, ONE);
        IMarginEngine.Requirement memory r = engine.requirement(0, both(sold, held), 50_000);
        check(int256(r.initial) <= int256(width * 1e10) + r.value || r.initial == 0, "the spread's width");
        check(r.maintenance <= r.initial, "ordered");
    }

    function test_a_box_of_four_needs_next_to_nothing() external view {
        uint256[] memory legs = new uint256[](4);
        legs[0] = option(7 days, 55_000e8, true, ONE);
        legs[1] = option(7 days, 65_000e8, true, -ONE);
        legs[2] = option(7 days, 65_000e8, false, ONE);
        legs[3] = option(7 days, 55_000e8, false, -ONE);
        IMarginEngine.Requirement memory r = ask(legs);
        same(r.initial, 0, "a box pays its width whatever happens");
    }

    // --- the terms --------------------------------------------------------------------------------------------------

    function test_a_far_short_option_still_needs_the_floor() external view {
        IMarginEngine.Requirement memory r = ask(only(option(1 hours, 240_000e8, true, -ONE)));
        same(r.maintenance, 240e18, "0.4 % of 60,000");
        same(r.initial, 300e18, "and a quarter");
    }

    function test_a_calendar_spread_pays_for_the_basis() external {
        uint256[] memory legs = both(option(7 days, 60_000e8, true, ONE), option(300 days, 60_000e8, true, -ONE));
        uint256 risk = with(riskWord(100), LIQUIDITY_SHIFT, 0);
        say(risk, with(marketWord(BTC), BASIS_SHIFT, EXCESS));
        IMarginEngine.Requirement memory flat = ask(legs);
        same(flat.maintenance, flat.worstLoss, "without a basis there is nothing to add");
        say(risk, marketWord(BTC));
        IMarginEngine.Requirement memory steep = ask(legs);
        uint256 gap = uint256(60_000e18) * 5 * 300 / 36_500; // 5 % a year
        uint256 added = steep.maintenance - steep.worstLoss;
        check(_distance(int256(added), int256(gap / 4)) < 1e11, "a quarter of the gap");
    }

    function test_fuzz_an_accounts_multiplier_multiplies_and_never_reduces(uint256 bp) external view {
        uint256[] memory legs = only(option(14 days, 64_000e8, true, -ONE));
        bp = within(bp, 0, 60_000);
        IMarginEngine.Requirement memory alone = ask(legs);
        IMarginEngine.Requirement memory r = engine.requirement(0, legs, bp);
        uint256 counted = bp < 10_000 ? 10_000 : bp;
        same(r.maintenance, (alone.maintenance * counted + 9999) / 10_000, "maintenance");
        check(r.initial >= r.maintenance && r.initial >= alone.initial, "initial");
    }

    function test_no_multiplier_wraps_around() external view {
        uint256[] memory legs = only(option(14 days, 64_000e8, true, -ONE));
        uint256 most = engine.requirement(0, legs, type(uint32).max).maintenance;
        same(engine.requirement(0, legs, type(uint256).max).maintenance, most, "held at 32 bits");
        same(most, (ask(legs).maintenance * type(uint32).max + 9999) / 10_000, "which multiply");
    }

    function test_more_stress_and_less_confidence_never_need_less() external {
        uint256[] memory legs = both(option(14 days, 64_000e8, true, -ONE), option(14 days, 56_000e8, false, -ONE));
        uint256 last = 0;
        for (uint256 stress = 50; stress <= 500; stress += 50) {
            say(riskWord(stress), marketWord(BTC));
            uint256 needed = ask(legs).maintenance;
            check(needed > last, "stress");
            last = needed;
        }
        last = 0;
        for (uint256 doubt = 0; doubt <= 10_000; doubt += 1000) {
            say(riskWord(100), with(marketWord(BTC), CONFIDENCE_SHIFT, 10_000 - doubt));
            uint256 needed = ask(legs).maintenance;
            check(needed > last, "confidence");
            last = needed;
        }
    }

    function test_fuzz_an_expired_leg_counts_at_its_intrinsic_value(uint256 strike, uint256 ago) external view {
        strike = within(strike, 1, 1e14);
        uint40 expiry = uint40(NOW - within(ago, 0, 30 days));
        int256 inside = int256(BTC) - int256(strike);
        same(
            ask(only(Leg.pack(expiry, uint64(strike), true, 2e6))).value, inside > 0 ? 2e10 * inside : int256(0), "call"
        );
        same(
            ask(only(Leg.pack(expiry, uint64(strike), false, 2e6))).value,
            inside < 0 ? -2e10 * inside : int256(0),
            "put"
        );
    }

    // --- bad input --------------------------------------------------------------------------------------------------

    function test_a_market_without_words_prices_nothing() external {
        words.set(7, 0, 0, IRiskOracle.Status.EMPTY);
        IMarginEngine.Requirement memory r = engine.requirement(7, book(1, 3), 10_000);
        check(r.initial == 0 && r.value == 0 && r.status == IRiskOracle.Status.EMPTY, "empty");
    }

    function test_a_stale_or_halted_market_is_priced_and_says_so() external {
        for (uint8 status = 2; status < 5; ++status) {
            words.set(0, riskWord(100), marketWord(BTC), IRiskOracle.Status(status));
            IMarginEngine.Requirement memory r = ask(only(option(7 days, BTC, true, -ONE)));
            check(uint8(r.status) == status && r.initial > 0, "status");
        }
    }

    function test_more_legs_than_can_be_summed_are_refused() external {
        uint256[] memory legs = book(1, 257);
        vm.expectRevert(abi.encodeWithSelector(IMarginEngine.TooManyLegs.selector, 257, 256));
        engine.requirement(0, legs, 10_000);
    }

    function test_fuzz_no_words_and_no_legs_make_it_revert(uint256 risk, uint256 market, uint256[8] calldata bits)
        external
    {
        say(risk, market);
        uint256[] memory legs = new uint256[](8);
        for (uint256 i = 0; i < 8; ++i) {
            legs[i] = bits[i];
        }
        _sound(legs);
    }

    function test_fuzz_the_largest_book_does_not_overflow(uint256 risk, uint256 lanes, bool isCall, bool isShort)
        external
    {
        say(risk, PRICE_MAX << PRICE_SHIFT | with(lanes >> 96, BASIS_SHIFT, LANE_MAX));
        uint256 leg =
            Leg.pack(type(uint40).max, type(uint64).max / 3, isCall, isShort ? type(int64).min : type(int64).max);
        uint256[] memory legs = new uint256[](256);
        for (uint256 i = 0; i < 256; ++i) {
            legs[i] = leg;
        }
        _sound(legs);
        IMarginEngine.Requirement memory r = ask(legs);
        IMarginEngine.Requirement memory one = ask(only(leg));
        // 256 of the same are 256 times one, but for the rounding of each: nothing has wrapped around.
        check(_distance(r.value, one.value * 256) <= 256, "value");
        check(_distance(int256(r.worstLoss), int256(one.worstLoss) * 256) <= 256, "worst loss");
    }

    function test_without_any_volatility_an_option_is_its_intrinsic_value() external {
        uint256 market =
            with(with(with(marketWord(BTC), TOTAL_VOL_7D_SHIFT, 0), TOTAL_VOL_30D_SHIFT, 0), TOTAL_VOL_90D_SHIFT, 0);
        say(riskWord(100), with(market, BASIS_SHIFT, EXCESS));
        same(ask(only(option(40 days, 59_000e8, true, ONE))).value, 1000e18, "call");
        same(ask(only(option(3 days, 61_000e8, false, ONE))).value, 1000e18, "put");
    }

    // --- helpers ----------------------------------------------------------------------------------------------------

    function _sound(uint256[] memory legs) private view {
        IMarginEngine.Requirement memory r = ask(legs);
        check(r.initial >= r.maintenance, "ordered");
        check(r.worstScenario < 23, "scenario");
    }

    function _alike(IMarginEngine.Requirement memory a, IMarginEngine.Requirement memory b) private pure {
        same(a.initial, b.initial, "initial");
        same(a.maintenance, b.maintenance, "maintenance");
        same(a.value, b.value, "value");
        same(a.worstLoss, b.worstLoss, "worst loss");
        same(a.worstScenario, b.worstScenario, "worst scenario");
    }

    function _distance(int256 a, int256 b) private pure returns (uint256) {
        return uint256(a > b ? a - b : b - a);
    }
}
