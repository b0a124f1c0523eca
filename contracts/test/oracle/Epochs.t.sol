// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Config, Settings} from "../../src/oracle/Config.sol";
import {Markets} from "../../src/oracle/Markets.sol";
import {Quorum} from "../../src/oracle/Quorum.sol";
import {RiskOracle} from "../../src/oracle/RiskOracle.sol";
import {OracleSetup} from "./OracleSetup.sol";
import {Settler} from "./Settler.sol";

/// @dev Which settings bind which round.
contract EpochsTest is OracleSetup {
    function rotated() internal view returns (Settings memory x) {
        x = settings();
        x.members[0] = vm.addr(keys[3]);
        x.members[3] = vm.addr(0xE5);
    }

    function test_a_rotation_from_a_round_on_misses_no_round() external {
        registry.set(oracle, rotated(), round + 2);
        publish(report(riskWord(100), marketWord(BTC)));
        nextRound();
        publish(report(riskWord(101), marketWord(BTC)));
        nextRound();
        Report memory r = report(riskWord(102), marketWord(BTC));
        same(r.epoch, 2, "the new epoch binds");
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        vm.expectRevert(abi.encodeWithSelector(Quorum.WrongSigner.selector, vm.addr(keys[0]), vm.addr(keys[3])));
        oracle.publish(r.round, 0, ALL_BUT_LAST, rvs, words); // the removed member no longer counts
        keys[0] = keys[3];
        publish(r);
        same(oracle.state().markets[0].risk, riskWord(102), "not a round was missed");
    }

    function test_a_report_of_an_older_round_stays_valid_after_the_new_epoch_began() external {
        registry.set(oracle, rotated(), round + 1);
        Report memory old = report(riskWord(100), marketWord(BTC));
        nextRound();
        publish(old);
        same(oracle.state().markets[0].risk, riskWord(100), "written");
    }

    function test_a_change_at_once_voids_what_was_signed_before() external {
        Report memory old = report(riskWord(100), marketWord(BTC));
        set(settings());
        (bytes32[] memory rvs, uint256[] memory words) = sign(old);
        vm.expectPartialRevert(Quorum.WrongSigner.selector);
        oracle.publish(old.round, 0, ALL_BUT_LAST, rvs, words);
    }

    function test_a_later_change_takes_the_place_of_a_pending_one() external {
        registry.set(oracle, rotated(), round + 5);
        registry.set(oracle, settings(), round + 3);
        (, uint32 epoch, uint32 next, uint32 from) = oracle.head();
        same(epoch, 1, "in force");
        same(next, 3, "pending");
        same(from, round + 3, "from");
        registry.set(oracle, settings(), 0);
        (, epoch, next, from) = oracle.head();
        check(epoch == 4 && next == 0 && from == 0, "at once");
    }

    function test_a_pending_change_that_came_into_force_is_the_one_before_the_next() external {
        registry.set(oracle, rotated(), round + 1);
        nextRound();
        registry.set(oracle, settings(), round + 2);
        (, uint32 epoch, uint32 next,) = oracle.head();
        check(epoch == 2 && next == 3, "handed on");
    }

    function test_the_blob_of_a_round_is_where_the_registry_made_it() external {
        registry.set(oracle, rotated(), round + 1);
        (uint32 epoch, address config) = oracle.configOf(round);
        check(epoch == 1 && config == Config.addressOf(address(registry), 1), "now");
        (epoch, config) = oracle.configOf(round + 1);
        check(epoch == 2 && config == Config.addressOf(address(registry), 2), "then");
        (, RiskOracle fresh) = deployed();
        (epoch, config) = fresh.configOf(round);
        check(epoch == 0 && config == address(0), "none");
    }

    function test_only_the_registry_schedules_and_only_newer_settings_that_exist() external {
        vm.expectRevert(abi.encodeWithSelector(Markets.OnlyRegistry.selector, address(this), address(registry)));
        oracle.schedule(2, 0);
        vm.expectRevert(abi.encodeWithSelector(Markets.EpochNotNewer.selector, 1, 1));
        registry.schedule(oracle, 1, 0);
        address none = Config.addressOf(address(registry), 2);
        vm.expectRevert(abi.encodeWithSelector(Markets.NoConfig.selector, 2, none));
        registry.schedule(oracle, 2, 0);
        registry.set(oracle, settings(), round + 9);
        vm.expectRevert(abi.encodeWithSelector(Markets.EpochNotNewer.selector, 2, 2));
        registry.schedule(oracle, 2, 0);
    }

    function test_before_the_first_epoch_or_a_first_member_nothing_can_be_published() external {
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        (Settler writer, RiskOracle fresh) = deployed();
        vm.expectRevert(Quorum.NoEpoch.selector);
        fresh.publish(r.round, 0, ALL_BUT_LAST, rvs, words);
        check(fresh.state().markets.length == 0, "nothing to tell");
        Settings memory nobody = settings();
        (nobody.members, nobody.quorum) = (new address[](0), 0);
        writer.set(fresh, nobody, 0);
        vm.expectRevert(Quorum.NoEpoch.selector);
        fresh.publish(r.round, 0, 0, new bytes32[](0), words);
    }

    function test_two_oracles_of_one_committee_take_nothing_of_each_other() external {
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        (Settler writer, RiskOracle other) = deployed();
        writer.set(other, settings(), 0);
        vm.expectPartialRevert(Quorum.WrongSigner.selector);
        other.publish(r.round, 0, ALL_BUT_LAST, rvs, words);
        oracle.publish(r.round, 0, ALL_BUT_LAST, rvs, words);
    }

    function test_ages_and_period_are_fixed_at_deployment() external {
        same(oracle.period(), PERIOD, "period");
        same(oracle.agingAfter(), 5400, "aging");
        same(oracle.staleAfter(), 14_400, "stale");
        notDeployed(0, 1, 2, abi.encodeWithSelector(Markets.NoPeriod.selector));
        notDeployed(1, 2, 2, abi.encodeWithSelector(Markets.BadAges.selector, 2, 2));
        notDeployed(1, 0, 2, abi.encodeWithSelector(Markets.BadAges.selector, 0, 2));
    }

    /// @dev Not by `expectRevert`, which a linked test's deployment passes by.
    function notDeployed(uint32 period, uint32 aging, uint32 stale, bytes memory wanted) private {
        try new RiskOracle(address(manager), address(registry), period, aging, stale) {
            revert Untrue("an oracle without sound times");
        } catch (bytes memory why) {
            check(keccak256(why) == keccak256(wanted), "why");
        }
    }
}
