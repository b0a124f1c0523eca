// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {Settings} from "../../src/oracle/Config.sol";
import "../../src/oracle/Lanes.sol";
import {Markets} from "../../src/oracle/Markets.sol";
import {SkipReason} from "../../src/oracle/Policy.sol";
import {Quorum} from "../../src/oracle/Quorum.sol";
import {RiskOracle} from "../../src/oracle/RiskOracle.sol";
import {Stamp} from "../../src/oracle/Stamp.sol";
import {OracleSetup} from "./OracleSetup.sol";

contract RiskOracleTest is OracleSetup {
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    // --- the good path ---

    function test_a_quorum_writes_the_median_of_every_lane() external {
        publish(
            report(
                pair(riskWord(100), marketWord(BTC + 2e8)),
                pair(riskWord(300), marketWord(BTC)),
                pair(riskWord(200), marketWord(BTC + 1e8))
            )
        );
        (uint256 risk, uint256 market, uint256 ageS, IRiskOracle.Status status) = oracle.read(0);
        same(risk, riskWord(200), "risk");
        uint256 stamp = uint256(round) * PERIOD << STAMP_SHIFT | 1 << Stamp.MODEL_SET_SHIFT << FLAGS_SHIFT;
        same(market, marketWord(BTC + 1e8) | stamp, "market");
        same(ageS, 0, "age");
        check(status == IRiskOracle.Status.FRESH, "fresh");
    }

    function test_any_three_of_the_four_are_a_quorum() external {
        uint8[4] memory bitmaps = [7, 11, 13, 14];
        for (uint256 i = 0; i < 4; ++i) {
            Report memory r = report(riskWord(100), marketWord(BTC));
            r.memberBitmap = bitmaps[i];
            publish(r);
            nextRound();
        }
    }

    function test_two_markets_ride_in_one_report_from_any_first_market() external {
        uint256[] memory both = new uint256[](4);
        (both[0], both[1], both[2], both[3]) = (riskWord(100), marketWord(BTC), riskWord(150), marketWord(3000e8));
        publish(report(both, both, both));
        same(priceOf(0), BTC, "first");
        same(priceOf(1), 3000e8, "second");
        nextRound();
        Report memory r = report(riskWord(150), marketWord(3001e8));
        r.firstMarket = 1;
        publish(r);
        same(priceOf(0), BTC, "first stays");
        same(priceOf(1), 3001e8, "second moves");
    }

    function test_a_reading_ages_from_fresh_to_stale() external {
        check(statusOf(0) == IRiskOracle.Status.EMPTY, "empty");
        publish(report(riskWord(100), marketWord(BTC)));
        vm.warp(START + 5399);
        check(statusOf(0) == IRiskOracle.Status.FRESH, "fresh");
        vm.warp(START + 5400);
        check(statusOf(0) == IRiskOracle.Status.AGING, "aging");
        vm.warp(START + 14_400);
        check(statusOf(0) == IRiskOracle.Status.STALE, "stale");
        uint16[] memory ids = new uint16[](2);
        ids[1] = 1;
        IRiskOracle.MarketState[] memory many = oracle.readMany(ids);
        check(many[0].status == IRiskOracle.Status.STALE && many[0].ageS == 14_400, "many: stale");
        check(many[1].status == IRiskOracle.Status.EMPTY, "many: empty");
    }

    function test_the_state_tells_a_node_all_it_needs_at_one_block() external {
        publish(report(riskWord(100), marketWord(BTC)));
        Markets.State memory s = oracle.state();
        same(s.current.members.length, 4, "members");
        same(s.current.quorum, 3, "quorum");
        same(s.current.epoch, 1, "epoch");
        same(s.next.epoch, 0, "nothing pending");
        check(s.current.modelSet == MODELS, "models");
        same(s.period, PERIOD, "period");
        same(s.markets.length, 2, "markets");
        same(s.markets[0].risk, riskWord(100), "words");
        same(s.timestamp, START, "time");
    }

    // --- who signed what ---

    function test_a_replay_in_the_same_round_is_refused_with_both_times() external {
        Report memory r = report(riskWord(100), marketWord(BTC));
        publish(r);
        refused(r, abi.encodeWithSelector(RiskOracle.NothingNew.selector, START, START));
    }

    function test_an_older_round_is_refused_with_both_times() external {
        Report memory old = report(riskWord(100), marketWord(BTC));
        nextRound();
        publish(report(riskWord(100), marketWord(BTC)));
        refused(old, abi.encodeWithSelector(RiskOracle.NothingNew.selector, START, START + PERIOD));
    }

    function test_signatures_for_another_chain_contract_epoch_round_model_set_or_policy_are_refused() external {
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        vm.chainId(1);
        _wrongSigner(r, rvs, words);
        vm.chainId(31_337);

        RiskOracle ours = oracle;
        (, oracle) = deployed();
        (rvs, words) = sign(r);
        oracle = ours;
        _wrongSigner(r, rvs, words);

        r.epoch += 1;
        (rvs, words) = sign(r);
        _wrongSigner(r, rvs, words);
        r.epoch -= 1;

        r.modelSet = bytes32(uint256(1));
        (rvs, words) = sign(r);
        _wrongSigner(r, rvs, words);
        r.modelSet = MODELS;

        (bytes32 policy, uint32 signedRound) = (r.policy, r.round);
        r.policy = bytes32(uint256(1));
        (rvs, words) = sign(r);
        _wrongSigner(r, rvs, words);
        r.policy = policy;

        r.round -= 1;
        (rvs, words) = sign(r);
        r.round = signedRound;
        _wrongSigner(r, rvs, words);
        publish(r);
    }

    function test_words_that_were_not_signed_are_refused() external {
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        words[0] += 1;
        _wrongSigner(r, rvs, words);
    }

    function test_one_member_cannot_fill_two_seats() external {
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        (rvs[2], rvs[3]) = (rvs[0], rvs[1]);
        _wrongSigner(r, rvs, words);
    }

    function test_a_stranger_is_refused() external {
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        (rvs[4], rvs[5]) = signedBy(0xEEEE, digestOf(r, r.words[2]));
        vm.expectRevert(abi.encodeWithSelector(Quorum.WrongSigner.selector, vm.addr(0xEEEE), vm.addr(keys[2])));
        oracle.publish(r.round, 0, ALL_BUT_LAST, rvs, words);
    }

    function test_a_signature_with_a_high_s_is_refused() external {
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        rvs[1] = bytes32(HALF_ORDER + 1);
        vm.expectRevert(abi.encodeWithSelector(Quorum.HighS.selector, 0, HALF_ORDER + 1));
        oracle.publish(r.round, 0, ALL_BUT_LAST, rvs, words);
    }

    function test_fuzz_a_damaged_signature_is_refused(uint8 which, uint256 bit) external {
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        rvs[which % 6] ^= bytes32(1 << (bit % 256));
        vm.expectRevert();
        oracle.publish(r.round, 0, ALL_BUT_LAST, rvs, words);
    }

    function test_too_few_too_many_or_unknown_members_are_refused() external {
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        vm.expectRevert(abi.encodeWithSelector(Quorum.WrongQuorum.selector, 2, 3));
        oracle.publish(r.round, 0, 3, rvs, words);
        vm.expectRevert(abi.encodeWithSelector(Quorum.WrongQuorum.selector, 4, 3));
        oracle.publish(r.round, 0, 15, rvs, words);
        vm.expectRevert(abi.encodeWithSelector(Quorum.UnknownMembers.selector, 0x13, 4));
        oracle.publish(r.round, 0, 0x13, rvs, words);
    }

    function test_a_removed_member_no_longer_counts() external {
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        address[] memory three = new address[](3);
        (three[0], three[1], three[2]) = (vm.addr(keys[1]), vm.addr(keys[2]), vm.addr(keys[3]));
        Settings memory x = settings();
        x.members = three;
        set(x);
        _wrongSigner(r, rvs, words);
    }

    function _wrongSigner(Report memory r, bytes32[] memory rvs, uint256[] memory words) private {
        vm.expectPartialRevert(Quorum.WrongSigner.selector); // the recovered address is noise
        oracle.publish(r.round, r.firstMarket, r.memberBitmap, rvs, words);
        same(oracle.state().markets[0].market, 0, "nothing written");
    }

    // --- when ---

    function test_a_round_of_the_future_is_refused_beyond_the_skew() external {
        Report memory r = report(riskWord(100), marketWord(BTC));
        r.round += 1;
        vm.warp(START + PERIOD - 31);
        refused(r, abi.encodeWithSelector(RiskOracle.Future.selector, START + PERIOD, START + PERIOD - 1));
        vm.warp(START + PERIOD - 30);
        publish(r);
        (,, uint256 ageS,) = oracle.read(0);
        same(ageS, 0, "not negative");
    }

    function test_a_round_that_took_too_long_is_refused_with_its_age() external {
        Report memory r = report(riskWord(100), marketWord(BTC));
        vm.warp(START + 901);
        refused(r, abi.encodeWithSelector(RiskOracle.TooOld.selector, START, START + 1));
        vm.warp(START + 900);
        publish(r);
    }

    // --- what ---

    function test_guard_bits_and_stamped_lanes_are_refused_on_the_wire() external {
        for (uint256 bit = 0; bit < 256; ++bit) {
            if (RISK_FORBIDDEN >> bit & 1 == 1) _stray(riskWord(100) | 1 << bit, marketWord(BTC));
            if (MARKET_FORBIDDEN >> bit & 1 == 1) _stray(riskWord(100), marketWord(BTC) | 1 << bit);
        }
    }

    function _stray(uint256 risk, uint256 market) private {
        uint256[] memory good = pair(riskWord(100), marketWord(BTC));
        uint256 stray = risk & RISK_FORBIDDEN | market & MARKET_FORBIDDEN;
        bytes memory why = abi.encodeWithSelector(RiskOracle.StrayBits.selector, stray);
        refused(report(good, pair(risk, market), good), why);
    }

    function test_words_of_a_wrong_length_are_refused() external {
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs,) = sign(r);
        vm.expectRevert(abi.encodeWithSelector(Quorum.WrongLength.selector, 0, 6));
        oracle.publish(r.round, 0, ALL_BUT_LAST, rvs, new uint256[](0));
        vm.expectRevert(abi.encodeWithSelector(Quorum.WrongLength.selector, 7, 6));
        oracle.publish(r.round, 0, ALL_BUT_LAST, rvs, new uint256[](7));
        vm.expectRevert(abi.encodeWithSelector(Quorum.WrongLength.selector, 4, 6));
        oracle.publish(r.round, 0, ALL_BUT_LAST, new bytes32[](4), new uint256[](6));
        vm.expectRevert(abi.encodeWithSelector(RiskOracle.UnknownMarket.selector, 2, 2));
        oracle.publish(r.round, 2, ALL_BUT_LAST, rvs, new uint256[](6));
    }

    function test_an_abstention_skips_its_market_and_no_other() external {
        uint256[] memory both = new uint256[](4);
        (both[0], both[1], both[2], both[3]) = (riskWord(100), marketWord(BTC), riskWord(100), marketWord(3000e8));
        uint256[] memory one = new uint256[](4);
        (one[2], one[3]) = (both[2], both[3]);
        Report memory r = report(both, one, both);
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        vm.expectEmit(address(oracle));
        emit RiskOracle.Skipped(0, round, SkipReason.ABSTAINED);
        oracle.publish(r.round, 0, ALL_BUT_LAST, rvs, words);
        check(statusOf(0) == IRiskOracle.Status.EMPTY, "skipped");
        same(priceOf(1), 3000e8, "written");
    }

    function test_loosening_is_held_to_a_step_and_tightening_is_at_once() external {
        publish(report(riskWord(200), marketWord(BTC)));
        nextRound();
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        vm.expectEmit(address(oracle));
        emit RiskOracle.StepLimited(0, round, riskWord(100), marketWord(BTC));
        oracle.publish(r.round, 0, ALL_BUT_LAST, rvs, words);
        (uint256 risk,,,) = oracle.read(0);
        same(risk >> DOWN_ES99_SHIFT & LANE_MAX, 660, "es99 fell by a step");
        same(risk >> LIQUIDITY_SHIFT & LANE_MAX, 10, "a small lane arrived");
        same(flagsOf(0) & Stamp.LIMITED, 1, "flag");
        nextRound();
        publish(report(riskWord(300), marketWord(BTC)));
        (risk,,,) = oracle.read(0);
        same(risk, riskWord(300), "tightened at once");
        same(flagsOf(0) & Stamp.LIMITED, 0, "flag cleared");
    }

    function test_a_figure_out_of_bounds_halts_its_market_and_never_becomes_the_bound() external {
        publish(report(riskWord(100), marketWord(BTC)));
        nextRound();
        uint256 wild = riskWord(100) | LANE_MAX << CASCADE_PROBABILITY_SHIFT;
        _halts(wild, marketWord(BTC), IRiskOracle.HaltReason.OUT_OF_BOUNDS);
        (uint256 risk,,,) = oracle.read(0);
        same(risk, riskWord(100), "last good words stay");
    }

    function test_an_incoherent_median_halts_its_market() external {
        uint256 crossed = riskWord(100) & ~(LANE_MAX << DOWN_ES999_SHIFT) | 499 << DOWN_ES999_SHIFT;
        _halts(crossed, marketWord(BTC), IRiskOracle.HaltReason.INCOHERENT);
        check(statusOf(1) == IRiskOracle.Status.EMPTY, "not the other");
    }

    function test_a_falling_term_structure_halts_its_market() external {
        uint256 inverted = marketWord(BTC) & ~(LANE_MAX << TOTAL_VOL_30D_SHIFT) | 1659 << TOTAL_VOL_30D_SHIFT;
        _halts(riskWord(100), inverted, IRiskOracle.HaltReason.INCOHERENT);
    }

    function test_a_price_jump_beyond_policy_halts_its_market() external {
        publish(report(riskWord(100), marketWord(BTC)));
        nextRound();
        publish(report(riskWord(100), marketWord(BTC * 3 / 2)));
        same(priceOf(0), BTC * 3 / 2, "half is allowed");
        nextRound();
        _halts(riskWord(100), marketWord(BTC * 3 / 4 - 1), IRiskOracle.HaltReason.PRICE_JUMP);
        same(priceOf(0), BTC * 3 / 2, "last good price stays");
    }

    function test_a_halted_market_waits_for_governance_and_then_takes_the_next_figures_whole() external {
        publish(report(riskWord(200), marketWord(BTC)));
        nextRound();
        Report memory crash = report(riskWord(300), marketWord(BTC / 3));
        _halts(riskWord(300), marketWord(BTC / 3), IRiskOracle.HaltReason.PRICE_JUMP);
        vm.warp(block.timestamp + 10);
        Report memory again = report(riskWord(300), marketWord(BTC / 3));
        again.round = round;
        refused(again, abi.encodeWithSelector(RiskOracle.NothingNew.selector, round * PERIOD, START));

        oracle.resume(0);
        check(statusOf(0) == IRiskOracle.Status.STALE, "not to be used before it is published again");
        uint256 resumedAt = block.timestamp; // what halted it is older and cannot be replayed
        refused(crash, abi.encodeWithSelector(RiskOracle.NothingNew.selector, round * PERIOD, resumedAt));
        nextRound();
        publish(report(riskWord(100), marketWord(BTC / 3)));
        check(statusOf(0) == IRiskOracle.Status.FRESH, "fresh");
        (uint256 risk,,,) = oracle.read(0);
        same(risk, riskWord(100), "no step from before the halt");
        vm.expectRevert(abi.encodeWithSelector(RiskOracle.NotHalted.selector, 0));
        oracle.resume(0);
    }

    function test_a_halted_market_never_blocks_the_others() external {
        _halts(riskWord(100), marketWord(0), IRiskOracle.HaltReason.OUT_OF_BOUNDS);
        nextRound();
        uint256[] memory both = new uint256[](4);
        (both[0], both[1], both[2], both[3]) = (riskWord(100), marketWord(BTC), riskWord(100), marketWord(3000e8));
        publish(report(both, both, both));
        check(statusOf(0) == IRiskOracle.Status.HALTED, "halted");
        check(statusOf(1) == IRiskOracle.Status.FRESH, "fresh");
        oracle.resume(0);
        check(statusOf(0) == IRiskOracle.Status.EMPTY, "nothing was ever good");
        nextRound();
        publish(report(both, both, both));
        check(statusOf(0) == IRiskOracle.Status.FRESH, "published at last");
    }

    function _halts(uint256 risk, uint256 market, IRiskOracle.HaltReason why) private {
        Report memory r = report(risk, market);
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        vm.expectEmit(address(oracle));
        emit RiskOracle.Halted(0, round, why, risk, market);
        oracle.publish(r.round, 0, ALL_BUT_LAST, rvs, words);
        check(statusOf(0) == IRiskOracle.Status.HALTED, "halted");
    }

    function test_from_figures_that_new_bounds_exclude_steps_are_counted_from_the_bound() external {
        publish(report(riskWord(200), marketWord(BTC)));
        Settings memory x = settings();
        x.classes[0].riskHigh = riskWord(150);
        set(x);
        nextRound();
        publish(report(riskWord(100), marketWord(BTC)));
        (uint256 risk,,,) = oracle.read(0);
        same(risk >> DOWN_ES99_SHIFT & LANE_MAX, 525 - 40, "a step from the new bound");
        same(risk >> CONTAGION_SHIFT & LANE_MAX, 150 - 40, "and so every lane");
    }

    function test_a_zero_word_of_one_member_is_an_abstention_whichever_it_is() external {
        publish(report(riskWord(100), marketWord(BTC)));
        nextRound();
        uint256[] memory good = pair(riskWord(100), marketWord(BTC));
        bytes memory why = abi.encodeWithSelector(RiskOracle.NothingNew.selector, round * PERIOD, START);
        refused(report(pair(0, marketWord(BTC)), good, good), why);
        refused(report(good, pair(riskWord(100), 0), good), why);
        same(flagsOf(0) & Stamp.HALT, 0, "no halt");
    }
}
