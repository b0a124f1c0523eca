// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {MarginEngine} from "../../src/margin/MarginEngine.sol";
import {Leg} from "../../src/margin/Leg.sol";
import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {Base} from "../Base.sol";

contract LegTest is Base {
    using Leg for uint256;

    function test_fuzz_a_leg_keeps_what_it_was_given(uint40 expiry, uint64 strike, bool isCall, int64 quantity)
        external
        pure
    {
        vm.assume(expiry != 0 && strike != 0);
        uint256 leg = Leg.pack(expiry, strike, isCall, quantity);
        same(uint256(leg.expiry()), expiry, "expiry");
        same(uint256(leg.strike()), strike, "strike");
        same(int256(leg.quantity()), quantity, "quantity");
        check(leg.isCall() == isCall, "kind");
        same(leg.sortKey(), uint256(expiry) << 64 | strike, "key");
        same(leg.withQuantity(7).terms(), leg.terms(), "terms");
        same(int256(leg.withQuantity(-7).quantity()), -7, "other quantity");
        same(int256(leg.withQuantity(-7).logStrike()), leg.logStrike(), "logarithm");
    }

    function test_the_logarithm_of_a_dollar_is_nothing() external pure {
        same(int256(Leg.logOf(1e8)), 0, "one dollar");
        same(int256(Leg.logOf(60_000e8)), 12_096_936_705_356, "sixty thousand"); // 11.0020998412042 * 2^40
        check(Leg.logOf(1) < 0, "a cent's millionth");
    }

    function test_without_a_strike_or_an_end_there_is_no_option() external {
        vm.expectRevert(abi.encodeWithSelector(Leg.NoSuchOption.selector, 0, 1));
        this.packed(0, 1);
        vm.expectRevert(abi.encodeWithSelector(Leg.NoSuchOption.selector, 1, 0));
        this.packed(1, 0);
    }

    function packed(uint40 expiry, uint64 strike) external pure returns (uint256) {
        return Leg.pack(expiry, strike, true, 1);
    }

    function test_the_engine_knows_its_oracle() external {
        check(address(new MarginEngine(IRiskOracle(address(7))).oracle()) == address(7), "oracle");
    }
}
