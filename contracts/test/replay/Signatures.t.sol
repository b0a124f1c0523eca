// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ReportKind, Settings} from "../../src/oracle/Config.sol";
import {Quorum} from "../../src/oracle/Quorum.sol";
import {RiskOracle} from "../../src/oracle/RiskOracle.sol";
import {OracleSetup} from "../oracle/OracleSetup.sol";
import {Settler} from "../oracle/Settler.sol";

/// @dev Signatures brought again elsewhere, twice, in another form, or by members who have left.
contract SignaturesTest is OracleSetup {
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    // --- another feed of the same members -----------------------------------------------------------------------------

    function test_replay_words_of_one_market_are_not_words_of_another() external {
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        vm.expectPartialRevert(Quorum.WrongSigner.selector);
        oracle.publish(r.round, 1, ALL_BUT_LAST, rvs, words);
    }

    function test_replay_words_of_one_oracle_are_not_words_of_another_with_the_same_members() external {
        (Settler writer, RiskOracle twin) = deployed();
        writer.set(twin, settings(), 0);
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        vm.expectPartialRevert(Quorum.WrongSigner.selector);
        twin.publish(r.round, 0, ALL_BUT_LAST, rvs, words);
        publish(r);
    }

    function test_replay_words_on_one_chain_are_not_words_on_another() external {
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        vm.chainId(block.chainid + 1);
        vm.expectPartialRevert(Quorum.WrongSigner.selector);
        oracle.publish(r.round, 0, ALL_BUT_LAST, rvs, words);
    }

    /// @dev One member's own words must not pass for a quorum's agreed ones, nor the other way round.
    function test_replay_own_words_are_not_co_signed_ones() external {
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        vm.expectRevert(
            abi.encodeWithSelector(RiskOracle.WrongKind.selector, ReportKind.CO_SIGNED, ReportKind.OWN_WORDS)
        );
        oracle.publishCoSigned(r.round, 0, ALL_BUT_LAST, rvs, EVIDENCE, r.words[0]);

        Settings memory x = settings();
        x.kind = ReportKind.CO_SIGNED;
        set(x);
        vm.expectPartialRevert(Quorum.WrongSigner.selector);
        oracle.publishCoSigned(r.round, 0, ALL_BUT_LAST, rvs, EVIDENCE, r.words[0]);
        vm.expectRevert(
            abi.encodeWithSelector(RiskOracle.WrongKind.selector, ReportKind.OWN_WORDS, ReportKind.CO_SIGNED)
        );
        oracle.publish(r.round, 0, ALL_BUT_LAST, rvs, words);
    }

    // --- who has left, and who signs twice ----------------------------------------------------------------------------

    function test_replay_a_removed_members_signature_counts_no_more() external {
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        Settings memory x = settings();
        x.members[1] = vm.addr(0xE5);
        set(x);
        vm.expectPartialRevert(Quorum.WrongSigner.selector);
        oracle.publish(r.round, 0, ALL_BUT_LAST, rvs, words);

        r = report(riskWord(100), marketWord(BTC)); // under the new epoch, and the old member signs in its old seat
        (rvs, words) = sign(r);
        vm.expectRevert(abi.encodeWithSelector(Quorum.WrongSigner.selector, vm.addr(keys[1]), vm.addr(0xE5)));
        oracle.publish(r.round, 0, ALL_BUT_LAST, rvs, words);
    }

    function test_replay_a_member_that_leaves_later_still_counts_for_the_rounds_before() external {
        Settings memory x = settings();
        x.members[1] = vm.addr(0xE5);
        registry.set(oracle, x, round + 1);
        publish(report(riskWord(100), marketWord(BTC)));
        nextRound();
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        vm.expectRevert(abi.encodeWithSelector(Quorum.WrongSigner.selector, vm.addr(keys[1]), vm.addr(0xE5)));
        oracle.publish(r.round, 0, ALL_BUT_LAST, rvs, words);
    }

    function test_replay_one_member_cannot_sign_for_two_seats() external {
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        for (uint256 seat = 1; seat < 3; ++seat) {
            bytes32[] memory twice = new bytes32[](6);
            for (uint256 i = 0; i < 6; ++i) {
                twice[i] = rvs[i];
            }
            (twice[2 * seat], twice[2 * seat + 1]) = (rvs[0], rvs[1]);
            vm.expectPartialRevert(Quorum.WrongSigner.selector);
            oracle.publish(r.round, 0, ALL_BUT_LAST, twice, words);
        }
    }

    // --- another form of the same signature ---------------------------------------------------------------------------

    /// @dev (r, n - s) with the other parity recovers the same signer. The compact form has no room for most such s:
    /// its top bit is the parity's. What fits and is above half the order is refused for that.
    function test_replay_the_mirrored_signature_is_refused() external {
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        bytes32 digest = digestOf(r, r.words[1]);
        (uint8 v, bytes32 sr, bytes32 ss) = vm.sign(keys[1], digest);
        uint256 mirrored = ORDER - uint256(ss);
        address mirror = ecrecover(digest, v == 27 ? 28 : 27, sr, bytes32(mirrored));
        same(uint160(mirror), uint160(vm.addr(keys[1])), "both forms are of one signer");
        rvs[3] = bytes32(mirrored) | bytes32(uint256(v == 27 ? 1 : 0) << 255);
        vm.expectPartialRevert(Quorum.WrongSigner.selector);
        oracle.publish(r.round, 0, ALL_BUT_LAST, rvs, words);
        uint256 high = HALF_ORDER + 1;
        rvs[3] = bytes32(high);
        vm.expectRevert(abi.encodeWithSelector(Quorum.HighS.selector, 1, high));
        oracle.publish(r.round, 0, ALL_BUT_LAST, rvs, words);
    }

    function test_replay_a_signature_of_zeros_recovers_nobody() external {
        Report memory r = report(riskWord(100), marketWord(BTC));
        (bytes32[] memory rvs, uint256[] memory words) = sign(r);
        (rvs[2], rvs[3]) = (bytes32(0), bytes32(0));
        vm.expectRevert(abi.encodeWithSelector(Quorum.WrongSigner.selector, address(0), vm.addr(keys[1])));
        oracle.publish(r.round, 0, ALL_BUT_LAST, rvs, words);
    }
}
