// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {AccountRisk} from "../../src/oracle/AccountRisk.sol";
import {Config, Settings} from "../../src/oracle/Config.sol";
import {Quorum} from "../../src/oracle/Quorum.sol";
import {RiskOracle} from "../../src/oracle/RiskOracle.sol";
import {OracleSetup} from "./OracleSetup.sol";
import {Settler} from "./Settler.sol";

/// @dev Account multipliers on the oracle of `OracleSetup`: four members, a quorum of three.
abstract contract AccountRiskSetup is OracleSetup {
    address internal constant ALICE = address(0xa11ce);
    address internal constant BOB = address(0xb0b);

    AccountRisk internal risk;

    struct Signing {
        uint32 epoch;
        uint32 round;
        bytes32 modelSet;
        bytes32 bounds;
        uint256 bitmap;
        uint256 chainId;
        address contract_;
    }

    function setUp() public virtual override {
        super.setUp();
        risk = new AccountRisk(address(manager), oracle, bounds());
    }

    function bounds() internal pure returns (AccountRisk.Bounds memory) {
        return AccountRisk.Bounds({maxMultiplierBp: 30_000, maxRiseBp: 2_500, maxFallBp: 1_000, maxLifetime: 86_400});
    }

    function one(address account, uint256 bp, uint256 expiresAt) internal pure returns (AccountRisk.Entry[] memory x) {
        x = new AccountRisk.Entry[](1);
        x[0] = AccountRisk.Entry(account, uint16(bp), uint40(expiresAt));
    }

    function signing() internal view returns (Signing memory x) {
        (x.round, x.modelSet, x.bounds, x.bitmap) = (round, MODELS, risk.boundsDigest(), ALL_BUT_LAST);
        (x.epoch,) = oracle.configOf(round);
        (x.chainId, x.contract_) = (block.chainid, address(risk));
    }

    function digestOf(Signing memory x, AccountRisk.Entry[] memory entries) internal pure returns (bytes32) {
        bytes32 domain_ = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Margrave Account Risk"),
                keccak256("1"),
                x.chainId,
                x.contract_
            )
        );
        bytes memory hashes;
        for (uint256 i = 0; i < entries.length; ++i) {
            bytes32 type_ = keccak256("Entry(address account,uint16 multiplierBp,uint40 expiresAt)");
            hashes = abi.encodePacked(hashes, keccak256(abi.encode(type_, entries[i])));
        }
        bytes32 type__ = keccak256(
            "AccountReport(uint32 epoch,uint32 round,bytes32 modelSet,bytes32 bounds,Entry[] entries)Entry(address account,uint16 multiplierBp,uint40 expiresAt)"
        );
        bytes32 struct_ = keccak256(abi.encode(type__, x.epoch, x.round, x.modelSet, x.bounds, keccak256(hashes)));
        return keccak256(abi.encodePacked(hex"1901", domain_, struct_));
    }

    function signed(Signing memory x, AccountRisk.Entry[] memory entries) internal view returns (bytes32[] memory rvs) {
        uint256 n = 0;
        for (uint256 bits = x.bitmap; bits != 0; bits &= bits - 1) {
            ++n;
        }
        rvs = new bytes32[](2 * n);
        uint256 signer = 0;
        for (uint256 i = 0; i < n; ++i) {
            while (x.bitmap >> signer & 1 == 0) ++signer;
            (rvs[2 * i], rvs[2 * i + 1]) = signedBy(keys[signer++ % 4], digestOf(x, entries));
        }
    }

    function publish(Signing memory x, AccountRisk.Entry[] memory entries) internal {
        risk.publish(x.round, x.bitmap, signed(x, entries), entries);
    }

    function publish(address account, uint256 bp) internal {
        publish(signing(), one(account, bp, block.timestamp + 3_600));
    }
}

contract AccountRiskTest is AccountRiskSetup {
    // --- what is taken ----------------------------------------------------------------------------------------------

    function test_an_account_of_which_nothing_was_said_has_a_multiplier_of_one() external view {
        same(risk.multiplierOf(ALICE), 10_000, "none");
    }

    function test_a_signed_multiplier_holds_until_it_expires() external {
        vm.expectEmit(address(risk));
        emit AccountRisk.MultiplierSet(ALICE, round, 10_000, 12_000, 12_000, block.timestamp + 3_600);
        vm.expectEmit(address(risk));
        emit AccountRisk.Published(round, 1, 1, 1);
        publish(ALICE, 12_000);
        same(risk.multiplierOf(ALICE), 12_000, "holds");
        same(risk.multiplierOf(BOB), 10_000, "of one account only");
        vm.warp(block.timestamp + 3_599);
        same(risk.multiplierOf(ALICE), 12_000, "still holds");
        vm.warp(block.timestamp + 1);
        same(risk.multiplierOf(ALICE), 10_000, "expired");
        (uint256 bp, uint256 expiresAt, uint256 observedAt) = risk.held(ALICE);
        same(bp, 12_000, "kept to be read");
        same(expiresAt, START + 3_600, "kept to be read");
        same(observedAt, START, "kept to be read");
    }

    function test_a_rise_and_a_fall_are_held_to_a_step() external {
        vm.expectEmit(address(risk));
        emit AccountRisk.MultiplierSet(ALICE, round, 10_000, 12_500, 30_000, block.timestamp + 3_600);
        publish(ALICE, 30_000);
        nextRound();
        publish(ALICE, 30_000);
        same(risk.multiplierOf(ALICE), 15_000, "one more step");
        nextRound();
        publish(ALICE, 10_000);
        same(risk.multiplierOf(ALICE), 14_000, "down again by a step");
    }

    function test_after_expiry_steps_count_from_one() external {
        publish(ALICE, 12_500);
        for (uint256 i = 0; i < 13; ++i) {
            nextRound();
        }
        same(risk.multiplierOf(ALICE), 10_000, "expired");
        publish(ALICE, 14_000);
        same(risk.multiplierOf(ALICE), 12_500, "a step from one");
    }

    function test_a_lifetime_is_cut_to_what_governance_allows() external {
        publish(signing(), one(ALICE, 12_000, type(uint40).max));
        (, uint256 expiresAt,) = risk.held(ALICE);
        same(expiresAt, START + 86_400, "cut");
    }

    function test_an_entry_that_cannot_be_taken_does_not_stop_the_others() external {
        publish(ALICE, 12_000);
        AccountRisk.Entry[] memory x = new AccountRisk.Entry[](5);
        uint40 later = uint40(block.timestamp + 3_600);
        x[0] = AccountRisk.Entry(ALICE, 12_500, later);
        x[1] = AccountRisk.Entry(address(1), 9_999, later);
        x[2] = AccountRisk.Entry(address(2), 30_001, later);
        x[3] = AccountRisk.Entry(address(3), 12_000, uint40(block.timestamp));
        x[4] = AccountRisk.Entry(BOB, 11_000, later);
        vm.expectEmit(address(risk));
        emit AccountRisk.Skipped(ALICE, round, AccountRisk.SkipReason.NOT_NEWER);
        vm.expectEmit(address(risk));
        emit AccountRisk.Skipped(address(1), round, AccountRisk.SkipReason.OUT_OF_BOUNDS);
        vm.expectEmit(address(risk));
        emit AccountRisk.Skipped(address(2), round, AccountRisk.SkipReason.OUT_OF_BOUNDS);
        vm.expectEmit(address(risk));
        emit AccountRisk.Skipped(address(3), round, AccountRisk.SkipReason.EXPIRED);
        vm.expectEmit(address(risk));
        emit AccountRisk.MultiplierSet(BOB, round, 10_000, 11_000, 11_000, later);
        vm.expectEmit(address(risk));
        emit AccountRisk.Published(round, 1, 1, 5);
        publish(signing(), x);
        same(risk.multiplierOf(ALICE), 12_000, "as it was");
        same(risk.multiplierOf(BOB), 11_000, "taken");
    }

    function test_the_same_account_twice_counts_once() external {
        AccountRisk.Entry[] memory x = new AccountRisk.Entry[](2);
        x[0] = AccountRisk.Entry(ALICE, 12_000, uint40(block.timestamp + 60));
        x[1] = AccountRisk.Entry(ALICE, 12_500, uint40(block.timestamp + 60));
        publish(signing(), x);
        same(risk.multiplierOf(ALICE), 12_000, "the first");
    }

    function test_while_the_oracle_is_paused_nothing_falls() external {
        publish(ALICE, 12_000);
        Settings memory s = settings();
        s.paused = true;
        set(s);
        nextRound();
        publish(ALICE, 11_500);
        same(risk.multiplierOf(ALICE), 12_000, "held");
        nextRound();
        publish(ALICE, 12_400);
        same(risk.multiplierOf(ALICE), 12_400, "rises go on");
    }

    function test_fuzz_no_report_takes_a_multiplier_out_of_its_bounds(uint16[8] memory bps, uint40[8] memory expiries)
        external
    {
        uint256 last = 10_000;
        for (uint256 i = 0; i < 8; ++i) {
            AccountRisk.Entry[] memory x = one(ALICE, bps[i], block.timestamp + expiries[i] % 200_000);
            bytes32[] memory rvs = signed(signing(), x);
            try risk.publish(round, ALL_BUT_LAST, rvs, x) {} catch {}
            uint256 bp = risk.multiplierOf(ALICE);
            check(bp >= 10_000 && bp <= 30_000, "bounds");
            check(bp <= last + 2_500 && bp + 1_000 >= last, "steps");
            (, uint256 expiresAt, uint256 observedAt) = risk.held(ALICE);
            check(expiresAt <= observedAt + 86_400, "lifetime");
            nextRound();
            last = risk.multiplierOf(ALICE);
        }
    }

    // --- what is refused --------------------------------------------------------------------------------------------

    function refused(Signing memory x, AccountRisk.Entry[] memory told, bytes memory why) private {
        bytes32[] memory rvs = signed(x, told);
        vm.expectRevert(why);
        risk.publish(x.round, x.bitmap, rvs, told);
    }

    /// @dev Whatever was signed about something else recovers to some other address.
    function forged(Signing memory x, AccountRisk.Entry[] memory told) private {
        bytes32[] memory rvs = signed(x, told);
        vm.expectPartialRevert(Quorum.WrongSigner.selector);
        risk.publish(round, ALL_BUT_LAST, rvs, told);
    }

    function entries() private view returns (AccountRisk.Entry[] memory) {
        return one(ALICE, 12_000, block.timestamp + 3_600);
    }

    function test_a_replay_and_an_older_report_write_nothing() external {
        Signing memory first = signing();
        AccountRisk.Entry[] memory x = entries();
        publish(first, x);
        bytes memory why = abi.encodeWithSelector(AccountRisk.NothingWritten.selector, first.round, 1);
        refused(first, x, why);
        nextRound();
        Signing memory second = signing();
        nextRound();
        publish(ALICE, 12_100);
        why = abi.encodeWithSelector(AccountRisk.NothingWritten.selector, second.round, 1);
        refused(second, entries(), why);
        same(risk.multiplierOf(ALICE), 12_100, "the newest");
    }

    function test_a_report_from_the_future_or_too_old_is_refused() external {
        Signing memory x = signing();
        x.round = round + 1;
        vm.warp(START + PERIOD - 31);
        refused(x, entries(), abi.encodeWithSelector(AccountRisk.FutureReport.selector, START + 300, START + 299));
        vm.warp(START + PERIOD + 901);
        refused(x, entries(), abi.encodeWithSelector(AccountRisk.StaleReport.selector, START + 300, START + 301));
        vm.warp(START + PERIOD + 900);
        publish(x, entries());
    }

    function test_signatures_for_another_chain_contract_epoch_round_model_set_bounds_or_content_are_worth_nothing()
        external
    {
        Signing memory x = signing();
        x.chainId = 1;
        forged(x, entries());
        x = signing();
        x.contract_ = address(oracle);
        forged(x, entries());
        x = signing();
        ++x.epoch;
        forged(x, entries());
        x = signing();
        ++x.round;
        forged(x, entries());
        x = signing();
        x.modelSet = keccak256("another");
        forged(x, entries());
        x = signing();
        x.bounds = keccak256("another");
        forged(x, entries());
        bytes32[] memory rvs = signed(signing(), entries());
        AccountRisk.Entry[] memory other = entries();
        other[0].account = BOB;
        vm.expectPartialRevert(Quorum.WrongSigner.selector);
        risk.publish(round, ALL_BUT_LAST, rvs, other);
    }

    function test_fuzz_nothing_of_a_report_can_be_changed(uint256 seed) external {
        AccountRisk.Entry[] memory x = new AccountRisk.Entry[](3);
        for (uint256 i = 0; i < 3; ++i) {
            x[i] = AccountRisk.Entry(address(uint160(i + 1)), 12_000, uint40(block.timestamp + 60));
        }
        bytes32[] memory rvs = signed(signing(), x);
        AccountRisk.Entry memory y = x[seed % 3];
        uint256 bit = seed >> 8;
        if (seed % 4 == 0) y.account = address(uint160(y.account) ^ uint160(1 << bit % 160));
        else if (seed % 4 == 1) y.multiplierBp ^= uint16(1 << bit % 16);
        else if (seed % 4 == 2) y.expiresAt ^= uint40(1 << bit % 40);
        else (x[0], x[1]) = (x[1], x[0]);
        vm.expectPartialRevert(Quorum.WrongSigner.selector);
        risk.publish(round, ALL_BUT_LAST, rvs, x);
    }

    function test_two_deployments_of_the_same_members_do_not_take_each_other_s_reports() external {
        AccountRisk other = new AccountRisk(address(manager), oracle, bounds());
        AccountRisk.Entry[] memory x = entries();
        bytes32[] memory rvs = signed(signing(), x);
        vm.expectPartialRevert(Quorum.WrongSigner.selector);
        other.publish(round, ALL_BUT_LAST, rvs, x);
        vm.chainId(10);
        vm.expectPartialRevert(Quorum.WrongSigner.selector);
        risk.publish(round, ALL_BUT_LAST, rvs, x);
        vm.chainId(31_337);
        risk.publish(round, ALL_BUT_LAST, rvs, x);
    }

    function test_too_few_too_many_strange_or_malleable_signatures_are_refused() external {
        Signing memory x = signing();
        x.bitmap = 3;
        refused(x, entries(), abi.encodeWithSelector(Quorum.WrongQuorum.selector, 2, 3));
        x.bitmap = 15;
        refused(x, entries(), abi.encodeWithSelector(Quorum.WrongQuorum.selector, 4, 3));
        x.bitmap = 19;
        refused(x, entries(), abi.encodeWithSelector(Quorum.UnknownMembers.selector, 19, 4));
        x = signing();
        bytes32[] memory rvs = signed(x, entries());
        (rvs[2], rvs[3]) = (rvs[0], rvs[1]);
        vm.expectRevert(abi.encodeWithSelector(Quorum.WrongSigner.selector, vm.addr(keys[0]), vm.addr(keys[1])));
        risk.publish(round, ALL_BUT_LAST, rvs, entries());
        rvs = signed(x, entries());
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        uint256 s = uint256(rvs[1]) & type(uint256).max >> 1;
        rvs[1] = bytes32(order - s | (~uint256(rvs[1]) >> 255) << 255);
        vm.expectPartialRevert(Quorum.WrongSigner.selector); // the high s does not fit beside the recovery bit
        risk.publish(round, ALL_BUT_LAST, rvs, entries());
        rvs = new bytes32[](5);
        vm.expectRevert(abi.encodeWithSelector(Quorum.WrongLength.selector, 5, 6));
        risk.publish(round, ALL_BUT_LAST, rvs, entries());
    }

    function test_a_removed_member_s_signature_counts_no_more() external {
        AccountRisk.Entry[] memory x = entries();
        bytes32[] memory rvs = signed(signing(), x);
        Settings memory s = settings();
        address[] memory left = new address[](3);
        (left[0], left[1], left[2]) = (s.members[1], s.members[2], s.members[3]);
        s.members = left;
        set(s);
        vm.expectPartialRevert(Quorum.WrongSigner.selector);
        risk.publish(round, ALL_BUT_LAST, rvs, x);
    }

    function test_a_report_without_entries_or_before_any_epoch_is_refused() external {
        refused(signing(), new AccountRisk.Entry[](0), abi.encodeWithSelector(AccountRisk.NoEntries.selector));
        (, RiskOracle bare) = deployed();
        AccountRisk fresh = new AccountRisk(address(manager), bare, bounds());
        vm.expectRevert(Quorum.NoEpoch.selector);
        fresh.publish(round, 7, new bytes32[](6), entries());
    }

    function test_rounds_are_bound_by_their_own_epoch_across_a_rotation() external {
        Settings memory s = settings();
        s.modelSet = keccak256("next");
        registry.set(oracle, s, round + 1);
        publish(ALICE, 11_000);
        nextRound();
        Signing memory x = signing();
        same(x.epoch, 2, "the next epoch");
        x.modelSet = s.modelSet;
        publish(x, entries());
        same(risk.multiplierOf(ALICE), 12_000, "taken");
    }

    // --- governance -------------------------------------------------------------------------------------------------

    function test_governance_sets_bounds_and_what_was_signed_before_is_void() external {
        publish(ALICE, 12_500);
        nextRound();
        AccountRisk.Entry[] memory x = entries();
        bytes32[] memory rvs = signed(signing(), x);
        AccountRisk.Bounds memory tighter = bounds();
        (tighter.maxMultiplierBp, tighter.maxFallBp) = (11_000, 10);
        vm.expectEmit(address(risk));
        emit AccountRisk.BoundsSet(bounds(), tighter);
        risk.setBounds(tighter);
        check(keccak256(abi.encode(risk.bounds())) == keccak256(abi.encode(tighter)), "bounds");
        vm.expectPartialRevert(Quorum.WrongSigner.selector);
        risk.publish(round, ALL_BUT_LAST, rvs, x);
        publish(ALICE, 11_000);
        same(risk.multiplierOf(ALICE), 11_000, "no step keeps it above what is allowed now");
    }

    function test_bounds_that_would_mean_nothing_are_refused() external {
        AccountRisk.Bounds memory x = bounds();
        x.maxMultiplierBp = 9_999;
        vm.expectRevert(abi.encodeWithSelector(AccountRisk.BadBounds.selector, 9_999, 10_000));
        risk.setBounds(x);
        x = bounds();
        x.maxRiseBp = 0;
        vm.expectRevert(abi.encodeWithSelector(AccountRisk.BadBounds.selector, 0, 1));
        risk.setBounds(x);
        x = bounds();
        x.maxFallBp = 0;
        vm.expectRevert(abi.encodeWithSelector(AccountRisk.BadBounds.selector, 0, 1));
        risk.setBounds(x);
        x = bounds();
        x.maxLifetime = 299;
        vm.expectRevert(abi.encodeWithSelector(AccountRisk.BadBounds.selector, 299, 300));
        risk.setBounds(x);
    }

    function test_a_cleared_account_stays_clear_of_older_reports() external {
        publish(ALICE, 12_000);
        nextRound();
        Signing memory x = signing();
        vm.expectEmit(address(risk));
        emit AccountRisk.Cleared(ALICE, 12_000);
        risk.clear(ALICE);
        same(risk.multiplierOf(ALICE), 10_000, "cleared");
        refused(x, entries(), abi.encodeWithSelector(AccountRisk.NothingWritten.selector, x.round, 1));
        nextRound();
        publish(ALICE, 11_000);
        same(risk.multiplierOf(ALICE), 11_000, "a newer one is taken");
    }

    function test_nobody_else_governs() external {
        vm.startPrank(BOB);
        bytes memory why = abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, BOB);
        vm.expectRevert(why);
        risk.setBounds(bounds());
        vm.expectRevert(why);
        risk.clear(ALICE);
    }

    function test_fuzz_arbitrary_calldata_changes_nothing(bytes calldata data) external {
        publish(ALICE, 12_000);
        vm.startPrank(BOB);
        (bool done,) = address(risk).call(abi.encodePacked(AccountRisk.publish.selector, data));
        check(!done, "refused");
        same(risk.multiplierOf(ALICE), 12_000, "as it was");
    }
}
