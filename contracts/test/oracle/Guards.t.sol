// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {Settings} from "../../src/oracle/Config.sol";
import "../../src/oracle/Lanes.sol";
import {SkipReason} from "../../src/oracle/Policy.sol";
import {RiskOracle} from "../../src/oracle/RiskOracle.sol";
import {Stamp} from "../../src/oracle/Stamp.sol";
import {OracleSetup} from "./OracleSetup.sol";

/// @dev Budgets, pauses, intervals, confidence, groups, rings and the guardian's halt.
contract GuardsTest is OracleSetup {
    uint256 private constant EACH = 0x0001000100010001000100010001000100010001000100010001000100010001;

    function es99() private view returns (uint256) {
        (uint256 risk,,,) = oracle.read(0);
        return risk >> DOWN_ES99_SHIFT & LANE_MAX;
    }

    function skipped(Report memory r, uint16 id, SkipReason why) private {
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        vm.expectEmit(address(oracle));
        emit RiskOracle.Skipped(id, round, why);
        oracle.publish(r.round, r.firstMarket, r.memberBitmap, rvs, words);
    }

    function both(uint256 stress, uint256 confidence1) private pure returns (uint256[] memory words) {
        words = new uint256[](4);
        (words[0], words[1], words[2]) = (riskWord(stress), marketWord(BTC), riskWord(stress));
        words[3] = marketWord(3000e8) & ~(LANE_MAX << CONFIDENCE_SHIFT) | confidence1 << CONFIDENCE_SHIFT;
    }

    // --- the daily budget ---

    function test_over_a_day_loosening_is_the_budget_and_not_the_steps() external {
        Settings memory x = settings();
        x.classes[0].riskDaily = EACH * 500; // 288 steps of 40 would be 11,520
        set(x);
        publish(report(riskWord(1000), marketWord(BTC)));
        uint256 before = es99();
        for (uint256 i = 0; i < 288; ++i) {
            nextRound();
            publish(report(riskWord(100), marketWord(BTC)));
        }
        uint256 fallen = before - es99();
        check(fallen <= 501 && fallen >= 499, "a day's budget");
    }

    function test_a_market_that_was_quiet_for_days_gets_one_day_of_budget_at_most() external {
        Settings memory x = settings();
        x.classes[0].riskDaily = EACH * 30;
        set(x);
        publish(report(riskWord(1000), marketWord(BTC)));
        uint256 before = es99();
        round += 3 * 288;
        vm.warp(round * PERIOD);
        publish(report(riskWord(100), marketWord(BTC)));
        same(before - es99(), 30, "one day's");
    }

    // --- the pause ---

    function test_paused_nothing_loosens_and_everything_tightens() external {
        publish(report(riskWord(200), marketWord(BTC)));
        Settings memory x = settings();
        x.paused = true;
        set(x);
        nextRound();
        uint256 calmer = riskWord(100);
        uint256 surer = marketWord(BTC + 1e8) + (500 << CONFIDENCE_SHIFT) + (100 << SSVI_WING_SHIFT);
        publish(report(calmer, surer));
        (uint256 risk, uint256 market,,) = oracle.read(0);
        same(risk, riskWord(200), "no risk lane fell");
        same(market & ~MARKET_STAMPED, marketWord(BTC + 1e8), "confidence and surface stay, the price moves");
        same(flagsOf(0) & Stamp.LIMITED, Stamp.LIMITED, "and says so");
        nextRound();
        uint256 unsure = marketWord(BTC) - (500 << CONFIDENCE_SHIFT);
        publish(report(riskWord(300), unsure));
        (risk, market,,) = oracle.read(0);
        same(risk, riskWord(300), "tightened");
        same(market & ~MARKET_STAMPED, unsure, "tightened by doubt");
    }

    // --- the least interval, and confidence ---

    function test_a_report_before_the_least_interval_is_too_soon() external {
        Settings memory x = settings();
        x.timing.minInterval = uint32(2 * PERIOD);
        set(x);
        publish(report(riskWord(100), marketWord(BTC)));
        nextRound();
        uint256 last = START;
        bytes memory why = abi.encodeWithSelector(RiskOracle.NothingNew.selector, round * PERIOD, last);
        refused(report(riskWord(100), marketWord(BTC)), why);
        nextRound();
        publish(report(riskWord(100), marketWord(BTC)));
    }

    function test_too_little_confidence_skips_and_does_not_halt() external {
        Settings memory x = settings();
        x.classes[0].marketLow |= 500 << CONFIDENCE_SHIFT;
        set(x);
        uint256[] memory words = both(100, 499);
        skipped(report(words, words, words), 1, SkipReason.LOW_CONFIDENCE);
        check(statusOf(0) == IRiskOracle.Status.FRESH && statusOf(1) == IRiskOracle.Status.EMPTY, "skipped");
        nextRound();
        words = both(100, 500);
        publish(report(words, words, words));
        check(statusOf(1) == IRiskOracle.Status.FRESH, "enough");
    }

    // --- groups ---

    function grouped() private {
        Settings memory x = settings();
        x.groupOf = hex"0101";
        x.classes[0].marketLow |= 500 << CONFIDENCE_SHIFT;
        set(x);
    }

    function test_a_group_is_written_whole() external {
        grouped();
        uint256[] memory words = both(100, 9000);
        publish(report(words, words, words));
        check(statusOf(0) == IRiskOracle.Status.FRESH && statusOf(1) == IRiskOracle.Status.FRESH, "both");
    }

    function test_one_that_cannot_be_written_holds_its_mates_back() external {
        grouped();
        uint256[] memory words = both(100, 499);
        Report memory r = report(words, words, words);
        refused(r, abi.encodeWithSelector(RiskOracle.NothingNew.selector, START, 0));
        words[3] = marketWord(0); // out of bounds: it halts, alone
        skipped(report(words, words, words), 0, SkipReason.GROUP);
        check(statusOf(0) == IRiskOracle.Status.EMPTY && statusOf(1) == IRiskOracle.Status.HALTED, "only the halt");
    }

    function test_a_group_of_which_a_market_is_not_in_the_report_is_held_back() external {
        grouped();
        Report memory first = report(riskWord(100), marketWord(BTC));
        refused(first, abi.encodeWithSelector(RiskOracle.NothingNew.selector, START, 0));
        Report memory second = report(riskWord(100), marketWord(3000e8));
        second.firstMarket = 1;
        refused(second, abi.encodeWithSelector(RiskOracle.NothingNew.selector, START, 0));
    }

    // --- rings ---

    function test_a_ring_keeps_what_was_overwritten_and_no_more() external {
        Settings memory x = settings();
        x.ringOf = hex"0300";
        set(x);
        vm.expectRevert(abi.encodeWithSelector(IRiskOracle.HistoryTooShort.selector, 1, 0));
        oracle.historyOf(0, 1);
        for (uint256 i = 0; i < 6; ++i) {
            publish(report(riskWord(100 + i), marketWord(BTC + i)));
            nextRound();
        }
        for (uint256 back = 0; back < 4; ++back) {
            (uint256 risk, uint256 market) = oracle.historyOf(0, back);
            same(risk, riskWord(105 - back), "risk");
            same(market >> PRICE_SHIFT, BTC + 5 - back, "price");
            same(market >> STAMP_SHIFT & STAMP_MAX, START + PERIOD * (5 - back), "time");
        }
        vm.expectRevert(abi.encodeWithSelector(IRiskOracle.HistoryTooShort.selector, 4, 3));
        oracle.historyOf(0, 4);
        vm.expectRevert(abi.encodeWithSelector(IRiskOracle.HistoryTooShort.selector, 1, 0));
        oracle.historyOf(1, 1);
        x.ringOf = hex"0200";
        set(x);
        publish(report(riskWord(106), marketWord(BTC)));
        (uint256 last,) = oracle.historyOf(0, 1);
        same(last, riskWord(105), "a ring of another length starts anew");
        vm.expectRevert(abi.encodeWithSelector(IRiskOracle.HistoryTooShort.selector, 2, 1));
        oracle.historyOf(0, 2);
    }

    function test_rings_of_neighbours_do_not_touch() external {
        Settings memory x = settings();
        x.ringOf = hex"ffff";
        set(x);
        for (uint256 i = 0; i < 257; ++i) {
            uint256[] memory words = both(100, 9000 - i);
            words[1] += i << PRICE_SHIFT;
            publish(report(words, words, words));
            nextRound();
        }
        for (uint256 back = 1; back <= 255; back += 127) {
            (, uint256 market) = oracle.historyOf(0, back);
            same(market >> PRICE_SHIFT, BTC + 256 - back, "first");
            (, market) = oracle.historyOf(1, back);
            same(market >> CONFIDENCE_SHIFT & LANE_MAX, 9000 - 256 + back, "second");
        }
    }

    // --- the guardian ---

    function test_the_guardian_halts_and_only_governance_resumes() external {
        publish(report(riskWord(100), marketWord(BTC)));
        vm.expectEmit(address(oracle));
        emit RiskOracle.Halted(0, round, IRiskOracle.HaltReason.GUARDIAN, riskWord(100), marketWord(BTC));
        oracle.halt(0);
        check(statusOf(0) == IRiskOracle.Status.HALTED, "halted");
        vm.expectRevert(abi.encodeWithSelector(RiskOracle.AlreadyHalted.selector, 0));
        oracle.halt(0);
        nextRound();
        Report memory r = report(riskWord(100), marketWord(BTC));
        refused(r, abi.encodeWithSelector(RiskOracle.NothingNew.selector, START + PERIOD, START));
        vm.expectEmit(address(oracle));
        emit RiskOracle.Resumed(0);
        oracle.resume(0);
        refused(r, abi.encodeWithSelector(RiskOracle.NothingNew.selector, START + PERIOD, START + PERIOD));
        nextRound();
        publish(report(riskWord(50), marketWord(BTC / 3))); // as if the first: no step, no price to jump from
        (uint256 risk,,,) = oracle.read(0);
        same(risk, riskWord(50), "whole");
    }

    function test_a_stranger_neither_halts_nor_resumes() external {
        vm.startPrank(address(0xBAD));
        bytes memory why = abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, address(0xBAD));
        vm.expectRevert(why);
        oracle.halt(0);
        vm.expectRevert(why);
        oracle.resume(0);
    }
}
