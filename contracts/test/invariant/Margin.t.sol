// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IMarginEngine} from "../../src/interfaces/IMarginEngine.sol";
import {Leg} from "../../src/margin/Leg.sol";
import {MarginHandler} from "./MarginHandler.sol";
import {Runs} from "./Runs.sol";

/// @dev Whatever is bought, written and closed, wherever the market goes, however long it takes.
/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: long.invariant.fail-on-revert = true
contract MarginInvariants is Runs {
    using Leg for uint256;

    MarginHandler private _desk;

    function setUp() external {
        _desk = new MarginHandler();
        handler = address(_desk);
        actions = [
            MarginHandler.buys.selector,
            MarginHandler.writes.selector,
            MarginHandler.closes.selector,
            MarginHandler.moves.selector,
            MarginHandler.waits.selector,
            MarginHandler.splits.selector,
            MarginHandler.agesAWriter.selector
        ];
    }

    function invariant_initial_is_at_least_maintenance_and_an_empty_book_needs_nothing() external view {
        IMarginEngine.Requirement memory r = _desk.requirement(10_000);
        check(r.initial >= r.maintenance, "initial");
        if (_desk.theBook().length == 0) check(r.initial == 0 && r.value == 0 && r.worstLoss == 0, "nothing");
    }

    function invariant_who_has_written_nothing_needs_nothing_beyond_the_mark() external view {
        uint256[] memory legs = _desk.theBook();
        for (uint256 i = 0; i < legs.length; ++i) {
            if (legs[i].quantity() < 0) return;
        }
        IMarginEngine.Requirement memory r = _desk.requirement(10_000);
        check(int256(r.initial) <= r.value || r.initial == 0, "longs only");
    }

    function invariant_a_multiplier_below_one_is_one_and_a_greater_one_asks_for_more() external view {
        IMarginEngine.Requirement memory one = _desk.requirement(10_000);
        IMarginEngine.Requirement memory none = _desk.requirement(0);
        IMarginEngine.Requirement memory twice = _desk.requirement(20_000);
        check(none.initial == one.initial && none.maintenance == one.maintenance, "below one");
        check(twice.initial >= one.initial && twice.maintenance >= one.maintenance, "twice");
    }

    /// @dev So that a suite whose actions do nothing is not taken for a good one.
    function test_the_actions_reach_what_they_are_about() external {
        for (uint256 i = 0; i < 40; ++i) {
            uint256 seed = uint256(keccak256(abi.encode(i)));
            if (i % 2 == 0) _desk.buys(seed);
            else _desk.writes(seed);
            if (i % 4 == 3) _desk.moves(seed);
            if (i % 8 == 7) _desk.waits(seed);
            _desk.splits(seed);
            if (i % 3 == 2) _desk.closes(seed);
        }
        check(_desk.trades() > 10, "trades");
    }
}
