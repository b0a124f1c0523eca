// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {Settings} from "../../src/oracle/Config.sol";
import "../../src/oracle/Lanes.sol";
import {RiskOracle} from "../../src/oracle/RiskOracle.sol";
import {Stamp} from "../../src/oracle/Stamp.sol";
import {OracleSetup} from "../oracle/OracleSetup.sol";

/// @dev What has gone wrong elsewhere, done to this oracle.
contract IncidentsTest is OracleSetup {
    using Stamp for uint256;

    // --- 10 March 2026: a price cap's ratio was held to its step, the time that belongs to it was not -----------------

    /// @dev There the parameter update carried both fields; the on-chain check limited one of them, and the cap was
    /// computed from a held ratio and a fresh time: 2.85 % below the market. Here time is the round's, not a field.
    function test_capo_no_member_can_send_a_time_of_its_own() external {
        publish(report(riskWord(100), marketWord(BTC)));
        nextRound();
        uint256 timed = marketWord(BTC) | (block.timestamp + 86_400) << STAMP_SHIFT;
        refused(
            report(pair(riskWord(100), marketWord(BTC)), pair(riskWord(100), timed), pair(riskWord(100), timed)),
            abi.encodeWithSelector(RiskOracle.StrayBits.selector, timed & MARKET_FORBIDDEN)
        );
    }

    /// @dev A held figure lies in one slot with its time and with the flag that says it was held, and the next step
    /// counts from that time.
    function test_capo_a_held_figure_its_time_and_its_flag_move_together() external {
        publish(report(riskWord(200), marketWord(BTC)));
        nextRound();
        publish(report(riskWord(100), marketWord(BTC + 1e8)));
        (uint256 risk, uint256 market,,) = oracle.read(0);
        same(risk >> DOWN_ES99_SHIFT & LANE_MAX, 660, "held to its step of 40");
        same(market.observedAt(), uint256(round) * PERIOD, "at the time of the round");
        same(market >> PRICE_SHIFT, BTC + 1e8, "with the price of the same round");
        check(market.has(Stamp.LIMITED), "and it says so");
    }

    /// @dev A ratio and the market it belongs to are a group: one cannot move without the other.
    function test_capo_coupled_markets_move_both_or_neither() external {
        Settings memory x = settings();
        (x.groupOf[0], x.groupOf[1]) = (0x01, 0x01);
        set(x);
        publish(_both(BTC, 3000e8));
        same(priceOf(0), BTC, "both");
        same(priceOf(1), 3000e8, "both");
        nextRound();
        publish(_both(BTC + 1e8, 4600e8)); // the second jumps beyond policy
        check(statusOf(1) == IRiskOracle.Status.HALTED, "the second halts");
        same(priceOf(0), BTC, "the first does not move without it");
        nextRound();
        Report memory alone = report(riskWord(100), marketWord(BTC + 2e8));
        refused(alone, abi.encodeWithSelector(RiskOracle.NothingNew.selector, block.timestamp, START));
        same(priceOf(0), BTC, "nor is it taken alone");
    }

    // --- May 2022: a price fell through a feed's least answer, and the least answer was given as the price ------------

    function test_luna_a_price_below_the_bound_halts_and_the_bound_is_never_an_answer() external {
        Settings memory x = settings();
        uint256 least = 0.1e8;
        x.classes[0].marketLow = x.classes[0].marketLow & ~(PRICE_MAX << PRICE_SHIFT) | least << PRICE_SHIFT;
        set(x);
        uint256 price = 80e8;
        publish(report(riskWord(100), marketWord(price)));
        while (price / 2 >= least) {
            nextRound();
            price = price / 2 + 1;
            publish(report(riskWord(100), marketWord(price)));
            same(priceOf(0), price, "followed down");
        }
        nextRound();
        publish(report(riskWord(100), marketWord(price / 2)));
        check(statusOf(0) == IRiskOracle.Status.HALTED, "halted");
        check(priceOf(0) == price && price != least, "the last good price, not the bound");
        (,,, IRiskOracle.Status status) = oracle.effective(0);
        check(status == IRiskOracle.Status.HALTED, "the effective read says so too");
        for (uint256 i = 0; i < 5; ++i) {
            nextRound();
            Report memory r = report(riskWord(100), marketWord(least));
            (bytes32[] memory rvs, uint256[] memory words) = sign(r);
            vm.expectPartialRevert(RiskOracle.NothingNew.selector);
            oracle.publish(r.round, 0, ALL_BUT_LAST, rvs, words);
        }
        same(priceOf(0), price, "nothing is written until governance resumes it");
    }

    // --- the block that held the report is replaced -------------------------------------------------------------------

    /// @dev After a reorganisation the same report, or another quorum's of the same round, is taken once and whole; what
    /// was in the lost block leaves no trace, and cannot be added afterwards.
    function test_reorg_the_report_of_a_lost_block_or_another_of_its_round_is_taken_once() external {
        publish(report(riskWord(100), marketWord(BTC)));
        nextRound();
        Report memory first = report(riskWord(110), marketWord(BTC + 1e8));
        Report memory other = report(riskWord(120), marketWord(BTC + 2e8));
        other.memberBitmap = 14;
        uint256 fork = vm.snapshotState();
        publish(first);
        (bytes20 lostHistory,,,) = oracle.head();
        vm.revertToState(fork);

        publish(other);
        same(priceOf(0), BTC + 2e8, "the other quorum's");
        (bytes20 history,,,) = oracle.head();
        check(history != lostHistory, "the history is of what is on the chain");
        refused(first, abi.encodeWithSelector(RiskOracle.NothingNew.selector, block.timestamp, block.timestamp));

        vm.revertToState(fork);
        publish(first);
        (history,,,) = oracle.head();
        check(history == lostHistory, "the same report gives the same history");
        refused(first, abi.encodeWithSelector(RiskOracle.NothingNew.selector, block.timestamp, block.timestamp));
    }

    /// @dev A rotation in the lost block: signatures under the epoch that never was are void.
    function test_reorg_a_lost_rotation_leaves_no_signature_valid() external {
        uint256 fork = vm.snapshotState();
        Settings memory x = settings();
        x.modelSet = bytes32(uint256(0xbeef));
        set(x);
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        vm.revertToState(fork);
        vm.expectRevert();
        oracle.publish(r.round, 0, ALL_BUT_LAST, rvs, words);
        publish(report(riskWord(100), marketWord(BTC)));
    }

    function _both(uint256 price0, uint256 price1) private view returns (Report memory) {
        uint256[] memory words = new uint256[](4);
        (words[0], words[1]) = (riskWord(100), marketWord(price0));
        (words[2], words[3]) = (riskWord(100), marketWord(price1));
        return report(words, words, words);
    }
}
