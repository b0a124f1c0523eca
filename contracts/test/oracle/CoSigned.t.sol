// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {ReportKind, Settings} from "../../src/oracle/Config.sol";
import "../../src/oracle/Lanes.sol";
import {SkipReason} from "../../src/oracle/Policy.sol";
import {Quorum} from "../../src/oracle/Quorum.sol";
import {RiskOracle} from "../../src/oracle/RiskOracle.sol";
import {OracleSetup} from "./OracleSetup.sol";

/// @dev Reports of the second kind: a quorum signs the medians.
contract CoSignedTest is OracleSetup {
    function setUp() public override {
        super.setUp();
        Settings memory x = settings();
        x.kind = ReportKind.CO_SIGNED;
        set(x);
    }

    function both() internal pure returns (uint256[] memory words) {
        words = new uint256[](4);
        (words[0], words[1], words[2], words[3]) = (riskWord(100), marketWord(BTC), riskWord(150), marketWord(3000e8));
    }

    function same3(uint256[] memory words) internal view returns (Report memory) {
        return report(words, words, words);
    }

    function test_what_a_quorum_co_signed_is_written_and_the_history_hash_folds() external {
        (bytes20 before,,,) = oracle.head();
        Report memory r = same3(both());
        publishCoSigned(r);
        same(priceOf(0), BTC, "first");
        same(priceOf(1), 3000e8, "second");
        bytes32 signed = keccak256(abi.encode(coSignedDigestOf(r)));
        (bytes20 hash,,,) = oracle.head();
        check(hash == bytes20(keccak256(abi.encode(before, signed))), "history");
    }

    function test_each_kind_refuses_the_other() external {
        Report memory r = same3(both());
        refused(r, abi.encodeWithSelector(RiskOracle.WrongKind.selector, 0, 1));
        set(settings());
        bytes32[] memory rvs = coSign(r);
        vm.expectRevert(abi.encodeWithSelector(RiskOracle.WrongKind.selector, 1, 0));
        oracle.publishCoSigned(r.round, 0, ALL_BUT_LAST, rvs, EVIDENCE, r.words[0]);
    }

    function test_words_evidence_and_everything_else_are_signed() external {
        Report memory r = same3(both());
        bytes32[] memory rvs = coSign(r);
        vm.expectPartialRevert(Quorum.WrongSigner.selector);
        oracle.publishCoSigned(r.round, 0, ALL_BUT_LAST, rvs, keccak256("other evidence"), r.words[0]);
        r.words[0][0] += 1;
        vm.expectPartialRevert(Quorum.WrongSigner.selector);
        oracle.publishCoSigned(r.round, 0, ALL_BUT_LAST, rvs, EVIDENCE, r.words[0]);
        r.words[0][0] -= 1;
        vm.expectPartialRevert(Quorum.WrongSigner.selector);
        oracle.publishCoSigned(r.round - 1, 0, ALL_BUT_LAST, rvs, EVIDENCE, r.words[0]);
        vm.chainId(1);
        vm.expectPartialRevert(Quorum.WrongSigner.selector);
        oracle.publishCoSigned(r.round, 0, ALL_BUT_LAST, rvs, EVIDENCE, r.words[0]);
    }

    function test_one_member_cannot_sign_for_two() external {
        Report memory r = same3(both());
        bytes32[] memory rvs = coSign(r);
        (rvs[2], rvs[3]) = (rvs[0], rvs[1]);
        vm.expectRevert(abi.encodeWithSelector(Quorum.WrongSigner.selector, vm.addr(keys[0]), vm.addr(keys[1])));
        oracle.publishCoSigned(r.round, 0, ALL_BUT_LAST, rvs, EVIDENCE, r.words[0]);
    }

    function test_the_malleable_twin_of_a_signature_is_refused() external {
        Report memory r = same3(both());
        bytes32[] memory rvs = coSign(r);
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        uint256 s = order - (uint256(rvs[1]) & type(uint256).max >> 1);
        rvs[1] = bytes32(s | (~uint256(rvs[1]) & 1 << 255)); // the same signer with the other v
        uint256 told = s & type(uint256).max >> 1; // its top bit is where v is
        if (s >> 255 == 0) {
            vm.expectRevert(abi.encodeWithSelector(Quorum.HighS.selector, 0, told));
        } else {
            vm.expectPartialRevert(Quorum.WrongSigner.selector);
        }
        oracle.publishCoSigned(r.round, 0, ALL_BUT_LAST, rvs, EVIDENCE, r.words[0]);
    }

    function test_guard_bits_and_stamped_lanes_are_refused() external {
        for (uint256 bit = 0; bit < 256; ++bit) {
            if (RISK_FORBIDDEN >> bit & 1 == 1) _stray(0, bit);
            if (MARKET_FORBIDDEN >> bit & 1 == 1) _stray(1, bit);
        }
    }

    function _stray(uint256 word, uint256 bit) private {
        Report memory r = same3(both());
        r.words[0][word] |= 1 << bit;
        bytes32[] memory rvs = coSign(r);
        vm.expectRevert(abi.encodeWithSelector(RiskOracle.StrayBits.selector, 1 << bit));
        oracle.publishCoSigned(r.round, 0, ALL_BUT_LAST, rvs, EVIDENCE, r.words[0]);
    }

    function test_stray_bits_are_refused_over_stored_words_too() external {
        publishCoSigned(same3(both()));
        nextRound();
        _stray(0, 15);
        _stray(1, 31);
        _stray(1, STAMP_SHIFT);
        _stray(1, FLAGS_SHIFT);
    }

    function test_a_zero_word_of_the_two_abstains_for_its_market_alone() external {
        for (uint256 word = 0; word < 2; ++word) {
            uint256[] memory words = both();
            words[word] = 0;
            Report memory r = same3(words);
            bytes32[] memory rvs = coSign(r);
            vm.expectEmit(address(oracle));
            emit RiskOracle.Skipped(0, round, SkipReason.ABSTAINED);
            oracle.publishCoSigned(r.round, 0, ALL_BUT_LAST, rvs, EVIDENCE, r.words[0]);
            check(statusOf(0) == IRiskOracle.Status.EMPTY && statusOf(1) == IRiskOracle.Status.FRESH, "alone");
            nextRound();
        }
    }

    function test_lengths_that_do_not_fit_are_refused() external {
        Report memory r = same3(both());
        bytes32[] memory rvs = coSign(r);
        vm.expectRevert(abi.encodeWithSelector(Quorum.WrongLength.selector, 0, 2));
        oracle.publishCoSigned(r.round, 0, ALL_BUT_LAST, rvs, EVIDENCE, new uint256[](0));
        vm.expectRevert(abi.encodeWithSelector(Quorum.WrongLength.selector, 3, 2));
        oracle.publishCoSigned(r.round, 0, ALL_BUT_LAST, rvs, EVIDENCE, new uint256[](3));
        vm.expectRevert(abi.encodeWithSelector(Quorum.WrongLength.selector, 5, 6));
        oracle.publishCoSigned(r.round, 0, ALL_BUT_LAST, new bytes32[](5), EVIDENCE, r.words[0]);
        vm.expectRevert(abi.encodeWithSelector(RiskOracle.UnknownMarket.selector, 2, 2));
        oracle.publishCoSigned(r.round, 1, ALL_BUT_LAST, rvs, EVIDENCE, r.words[0]);
    }

    /// @dev Offsets in calldata chosen by hand: two arrays that are one. What is hashed is what is written.
    function test_arrays_that_overlap_are_hashed_and_written_as_one() external {
        Settings memory x = settings();
        (x.classOf, x.groupOf, x.ringOf) = (new bytes(3), new bytes(3), new bytes(3)); // as many as six words are of
        x.kind = ReportKind.CO_SIGNED;
        set(x);
        Report memory r = same3(both());
        bytes memory head = abi.encodePacked(
            oracle.publishCoSigned.selector, uint256(r.round), uint256(0), ALL_BUT_LAST, uint256(0xc0), EVIDENCE
        );
        bytes memory data = abi.encodePacked(head, uint256(0xc0), uint256(6), new bytes(192));
        (bool done, bytes memory why) = address(oracle).call(data);
        check(!done && bytes4(why) == Quorum.WrongSigner.selector, "six zeros are no signatures");
        data = abi.encodePacked(head, type(uint256).max, uint256(6), new bytes(192));
        (done,) = address(oracle).call(data);
        check(!done, "an offset beyond the calldata");
        data = abi.encodePacked(head, uint256(0xc0), type(uint256).max, new bytes(192));
        (done,) = address(oracle).call(data);
        check(!done, "a length beyond the calldata");
    }

    function test_fuzz_calldata_without_a_quorum_changes_nothing(bytes calldata noise, bool own) external {
        publishCoSigned(same3(both()));
        (uint256 risk, uint256 market,,) = oracle.read(0);
        bytes4 selector = own ? oracle.publish.selector : oracle.publishCoSigned.selector;
        (bool done,) = address(oracle).call(abi.encodePacked(selector, noise));
        check(!done, "accepted");
        (uint256 risk_, uint256 market_,,) = oracle.read(0);
        check(risk == risk_ && market == market_, "changed");
    }
}
