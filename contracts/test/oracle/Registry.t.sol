// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Config, ReportKind, Settings} from "../../src/oracle/Config.sol";
import "../../src/oracle/Lanes.sol";
import {Fate, Limits, Policy, SkipReason, Timing, Verdict} from "../../src/oracle/Policy.sol";
import {Registry} from "../../src/oracle/Registry.sol";
import {RiskOracle} from "../../src/oracle/RiskOracle.sol";
import {Tightening} from "../../src/oracle/Tightening.sol";
import {RegistrySetup} from "./RegistrySetup.sol";

contract RegistryTest is RegistrySetup {
    uint32 private constant LATER = NOW + 10;

    // --- reading and simple changes ---------------------------------------------------------------------------------

    function test_what_governance_set_is_read_back() external view {
        (uint32 epoch, Settings memory x) = registry.current();
        same(epoch, registry.newestEpoch(), "epoch");
        same(x.quorum, 3, "quorum");
        same(x.members.length, 4, "members");
        same(uint160(x.members[3]), uint160(vm.addr(4)), "a member");
        check(x.modelSet == MODELS && x.modelSetIndex == 1, "models");
        check(keccak256(abi.encode(x.classes[0])) == keccak256(abi.encode(limits(40))), "limits");
        same(x.classOf.length, 2, "markets");
        same(x.timing.maxReportAge, 900, "timing");
        same(uint256(x.kind), uint256(ReportKind.OWN_WORDS), "kind");
        check(keccak256(bytes(registry.modelSetUri(MODELS))) == keccak256("ipfs://models"), "card");
        same(registry.modelSetIndex(MODELS), 1, "index");
    }

    function test_every_epoch_stays_readable() external {
        uint32 before = registry.newestEpoch();
        registry.setKind(ReportKind.CO_SIGNED, 0);
        same(uint256(registry.settings(before).kind), uint256(ReportKind.OWN_WORDS), "old");
        same(uint256(registry.settings(before + 1).kind), uint256(ReportKind.CO_SIGNED), "new");
        vm.expectRevert(abi.encodeWithSelector(Registry.UnknownEpoch.selector, before + 2, before + 1));
        registry.settings(before + 2);
    }

    function test_epoch_zero_is_before_everything() external view {
        Settings memory x = registry.settings(0);
        same(x.members.length + x.classes.length + x.classOf.length + x.quorum, 0, "nothing");
    }

    function test_a_change_leaves_its_old_and_new_value() external {
        uint32 epoch = registry.newestEpoch();
        Settings memory x = current();
        x.kind = ReportKind.CO_SIGNED;
        vm.expectEmit(address(registry));
        emit Registry.KindSet(epoch + 1, ReportKind.OWN_WORDS, ReportKind.CO_SIGNED);
        vm.expectEmit(address(registry));
        emit Registry.Configured(
            epoch + 1, epoch, 0, Config.policyDigest(x), Config.addressOf(address(registry), epoch + 1)
        );
        registry.setKind(ReportKind.CO_SIGNED, 0);
        vm.expectEmit(address(registry));
        emit Registry.TimingSet(epoch + 2, Timing(30, 900, 60), Timing(10, 600, 0));
        registry.setTiming(Timing(10, 600, 0), 0);
        vm.expectEmit(address(registry));
        emit Registry.ClassSet(epoch + 3, 0, limits(40), limits(50));
        registry.setClass(0, limits(50), 0);
        Limits memory none;
        vm.expectEmit(address(registry));
        emit Registry.ClassSet(epoch + 4, 1, none, limits(60));
        registry.setClass(1, limits(60), 0);
        vm.expectEmit(address(registry));
        emit Registry.MarketsSet(epoch + 5, 1, hex"00", hex"0101");
        registry.setMarkets(1, filled(2, 1), 0);
        vm.expectEmit(address(registry));
        emit Registry.GroupsSet(epoch + 6, 0, hex"0000", hex"0505");
        registry.setGroups(0, filled(2, 5), 0);
        vm.expectEmit(address(registry));
        emit Registry.RingsSet(epoch + 7, 2, hex"00", hex"08");
        registry.setRings(2, filled(1, 8), 0);
        vm.expectEmit(address(registry));
        emit Registry.EpochSet(epoch + 8, members(4), members(7), 3, 5, MODELS, MODELS);
        registry.setEpoch(members(7), 5, MODELS, 0);
        x = current();
        check(keccak256(bytes.concat(x.classOf, x.groupOf, x.ringOf)) == keccak256(hex"000101050500000008"), "markets");
        same(x.members.length, 7, "members");
    }

    function test_a_class_or_market_beyond_the_next_is_refused() external {
        vm.expectRevert(abi.encodeWithSelector(Registry.NotConsecutive.selector, 2, 1));
        registry.setClass(2, limits(40), 0);
        vm.expectRevert(abi.encodeWithSelector(Registry.NotConsecutive.selector, 3, 2));
        registry.setMarkets(3, filled(1, 0), 0);
        vm.expectRevert(abi.encodeWithSelector(Config.UnknownClass.selector, 1, 1));
        registry.setMarkets(2, filled(1, 1), 0);
        vm.expectRevert(abi.encodeWithSelector(Registry.UnknownMarkets.selector, 3, 2));
        registry.setGroups(1, filled(2, 1), 0);
        vm.expectRevert(abi.encodeWithSelector(Registry.UnknownMarkets.selector, 3, 2));
        registry.setRings(0, filled(3, 1), 0);
    }

    function test_limits_outside_a_lane_s_meaning_are_refused() external {
        Limits memory x = limits(40);
        x.maxPriceMoveBp = 0;
        vm.expectRevert(abi.encodeWithSelector(Policy.PriceMoveOutOfRange.selector, 0, type(uint32).max));
        registry.setClass(0, x, 0);
    }

    function test_fuzz_a_quorum_is_more_than_two_thirds(uint8 n, uint8 quorum) external {
        n = uint8(within(n, 1, 40));
        quorum = uint8(within(quorum, 0, 45));
        bool sound = n <= 31 && quorum <= n && 3 * uint256(quorum) > 2 * uint256(n);
        if (!sound) vm.expectRevert(abi.encodeWithSelector(Config.QuorumTooSmall.selector, quorum, n));
        registry.setEpoch(members(n), quorum, MODELS, 0);
        if (sound) same(current().members.length, n, "members");
    }

    // --- model sets -------------------------------------------------------------------------------------------------

    function test_only_an_approved_model_set_may_bind() external {
        bytes32 other = keccak256("other");
        vm.expectRevert(abi.encodeWithSelector(Registry.NotApproved.selector, other));
        registry.setEpoch(members(4), 3, other, 0);
        vm.expectRevert(abi.encodeWithSelector(Registry.NoCard.selector, other));
        registry.approveModelSet(other, "");
        vm.expectEmit(address(registry));
        emit Registry.ModelSetApproved(other, 2, "", "ipfs://other");
        registry.approveModelSet(other, "ipfs://other");
        registry.setEpoch(members(4), 3, other, 0);
        same(current().modelSetIndex, 2, "index");
    }

    function test_a_model_set_in_use_or_about_to_be_cannot_be_revoked() external {
        bytes32 other = keccak256("other");
        registry.approveModelSet(other, "ipfs://other");
        registry.setEpoch(members(4), 3, other, LATER);
        uint32 epoch = registry.newestEpoch();
        vm.expectRevert(abi.encodeWithSelector(Registry.ModelSetInUse.selector, MODELS, epoch - 1));
        registry.revokeModelSet(MODELS);
        vm.expectRevert(abi.encodeWithSelector(Registry.ModelSetInUse.selector, other, epoch));
        registry.revokeModelSet(other);
        vm.warp(LATER * PERIOD);
        vm.expectEmit(address(registry));
        emit Registry.ModelSetRevoked(MODELS, 1, "ipfs://models");
        registry.revokeModelSet(MODELS);
        vm.expectRevert(abi.encodeWithSelector(Registry.NotApproved.selector, MODELS));
        registry.setEpoch(members(4), 3, MODELS, 0);
        vm.expectRevert(abi.encodeWithSelector(Registry.NotApproved.selector, MODELS));
        registry.revokeModelSet(MODELS);
        registry.approveModelSet(MODELS, "ipfs://again");
        same(registry.modelSetIndex(MODELS), 1, "keeps its index");
    }

    function test_no_more_model_sets_than_a_stamp_can_name() external {
        for (uint256 i = 2; i <= 511; ++i) {
            registry.approveModelSet(bytes32(i << 128), "x");
        }
        vm.expectRevert(abi.encodeWithSelector(Config.TooManyModelSets.selector, 512, 511));
        registry.approveModelSet(bytes32(uint256(1) << 200), "x");
    }

    // --- pending epochs ---------------------------------------------------------------------------------------------

    function test_a_change_with_a_round_waits_for_it() external {
        registry.setEpoch(members(7), 5, MODELS, LATER);
        (, uint32 epoch, uint32 next, uint32 from) = oracle.head();
        same(next, registry.newestEpoch(), "pending");
        same(from, LATER, "round");
        same(registry.settings(epoch).members.length, 4, "still the old ones");
        same(current().members.length, 7, "the newest");
    }

    function test_a_passed_round_is_refused() external {
        vm.expectRevert(abi.encodeWithSelector(Registry.RoundPassed.selector, NOW, NOW));
        registry.setKind(ReportKind.CO_SIGNED, NOW);
    }

    function test_a_later_change_is_built_on_the_pending_one_and_replaces_it() external {
        registry.setEpoch(members(7), 5, MODELS, LATER);
        registry.setKind(ReportKind.CO_SIGNED, LATER + 5);
        (, uint32 epoch, uint32 next, uint32 from) = oracle.head();
        same(from, LATER + 5, "round");
        same(registry.settings(next).members.length, 7, "both changes");
        same(uint256(registry.settings(next).kind), uint256(ReportKind.CO_SIGNED), "both changes");
        same(registry.settings(epoch).members.length, 4, "live as before");
    }

    function test_a_change_at_once_does_not_bring_a_pending_one_forward() external {
        registry.setEpoch(members(7), 5, MODELS, LATER);
        registry.setKind(ReportKind.CO_SIGNED, 0);
        (, uint32 epoch, uint32 next, uint32 from) = oracle.head();
        same(registry.settings(epoch).members.length, 4, "the committee has not changed");
        same(uint256(registry.settings(epoch).kind), uint256(ReportKind.CO_SIGNED), "the kind has");
        same(from, LATER, "round");
        same(registry.settings(next).members.length, 7, "pending");
        same(uint256(registry.settings(next).kind), uint256(ReportKind.CO_SIGNED), "pending, too");
    }

    function test_a_pending_epoch_whose_round_has_come_is_the_live_one() external {
        registry.setEpoch(members(7), 5, MODELS, LATER);
        vm.warp(LATER * PERIOD);
        registry.setKind(ReportKind.CO_SIGNED, LATER + 3);
        (, uint32 epoch, uint32 next,) = oracle.head();
        same(registry.settings(epoch).members.length, 7, "live");
        same(registry.settings(next).members.length, 7, "pending");
        registry.setKind(ReportKind.OWN_WORDS, 0);
        same(live().members.length, 7, "live");
    }

    // --- connecting -------------------------------------------------------------------------------------------------

    function test_an_oracle_is_connected_once_and_must_name_its_registry() external {
        vm.expectRevert(abi.encodeWithSelector(Registry.AlreadyConnected.selector, address(oracle)));
        registry.connect(address(oracle));
        Registry fresh = new Registry(address(manager));
        vm.expectRevert(abi.encodeWithSelector(Registry.ForeignOracle.selector, address(registry), address(fresh)));
        fresh.connect(address(oracle));
        vm.expectRevert(Registry.NotConnected.selector);
        fresh.setKind(ReportKind.CO_SIGNED, 0);
        RiskOracle its = oracleOf(fresh);
        vm.expectEmit(address(fresh));
        emit Registry.Connected(address(its));
        fresh.connect(address(its));
        fresh.setKind(ReportKind.CO_SIGNED, NOW + 1);
        same(fresh.newestEpoch(), 1, "epoch");
    }

    // --- the guardian -----------------------------------------------------------------------------------------------

    function test_a_stranger_may_do_nothing() external {
        vm.startPrank(STRANGER);
        bytes[] memory calls = everyRestrictedCall();
        for (uint256 i = 0; i < calls.length; ++i) {
            (bool done, bytes memory why) = address(registry).call(calls[i]);
            check(!done && keccak256(why) == keccak256(unauthorized(STRANGER)), "refused");
        }
    }

    function test_the_guardian_may_pause_remove_and_tighten_and_nothing_else() external {
        vm.startPrank(GUARDIAN);
        bytes[] memory calls = everyRestrictedCall();
        for (uint256 i = 3; i < calls.length; ++i) {
            (bool done, bytes memory why) = address(registry).call(calls[i]);
            check(!done && keccak256(why) == keccak256(unauthorized(GUARDIAN)), "refused");
        }
        for (uint256 i = 0; i < 3; ++i) {
            (bool done,) = address(registry).call(calls[i]);
            check(done, "allowed");
        }
        check(live().paused, "paused");
        same(live().members.length, 3, "removed");
        same(live().classes[0].riskMaxFall & LANE_MAX, 30, "tightened");
    }

    function test_a_pause_holds_for_what_is_pending_and_ends_with_governance() external {
        registry.setEpoch(members(7), 5, MODELS, LATER);
        uint32 epoch = registry.newestEpoch();
        vm.expectEmit(address(registry));
        emit Registry.PausedSet(epoch + 1, false, true);
        vm.expectEmit(address(registry));
        emit Registry.PausedSet(epoch + 2, false, true);
        vm.prank(GUARDIAN);
        registry.pause();
        check(live().paused && current().paused, "both");
        same(live().members.length, 4, "no pending change was brought forward");
        same(current().members.length, 7, "nor dropped");
        registry.unpause();
        check(!live().paused && !current().paused, "both");
    }

    function test_a_removed_member_is_gone_from_now_on_and_from_what_is_pending() external {
        registry.setEpoch(members(7), 5, MODELS, LATER);
        vm.expectEmit(address(registry));
        emit Registry.MemberRemoved(registry.newestEpoch() + 1, vm.addr(2), 3, 3);
        vm.prank(GUARDIAN);
        registry.removeMember(vm.addr(2));
        same(live().members.length, 3, "live");
        same(uint160(live().members[1]), uint160(vm.addr(3)), "order stays");
        same(live().quorum, 3, "quorum stays");
        (,,, uint32 from) = oracle.head();
        same(from, LATER, "still pending");
        same(current().members.length, 6, "pending");
    }

    function test_a_member_who_is_only_to_come_can_be_removed() external {
        registry.setEpoch(members(7), 5, MODELS, LATER);
        (, uint32 before,,) = oracle.head();
        vm.prank(GUARDIAN);
        registry.removeMember(vm.addr(7));
        (, uint32 epoch,,) = oracle.head();
        same(epoch, before, "what binds now is untouched");
        same(current().members.length, 6, "pending");
    }

    function test_a_pending_committee_without_a_quorum_is_dropped() external {
        registry.setEpoch(members(5), 5, MODELS, LATER);
        uint32 pending = registry.newestEpoch();
        vm.expectEmit(address(registry));
        emit Registry.PendingDropped(pending);
        vm.prank(GUARDIAN);
        registry.removeMember(vm.addr(5));
        (,, uint32 next,) = oracle.head();
        same(next, 0, "nothing is pending");
        same(live().members.length, 4, "live");
        registry.setEpoch(members(5), 5, MODELS, LATER);
        vm.prank(GUARDIAN);
        registry.removeMember(vm.addr(4));
        (,, next,) = oracle.head();
        same(next, 0, "nothing is pending");
        same(live().members.length, 3, "live");
    }

    function test_the_guardian_cannot_take_the_quorum_away_or_remove_whom_nobody_knows() external {
        vm.startPrank(GUARDIAN);
        registry.removeMember(vm.addr(1));
        vm.expectRevert(abi.encodeWithSelector(Config.QuorumTooSmall.selector, 3, 2));
        registry.removeMember(vm.addr(2));
        vm.expectRevert(abi.encodeWithSelector(Registry.NotMember.selector, vm.addr(1)));
        registry.removeMember(vm.addr(1));
    }

    // --- tightening, lane by lane -----------------------------------------------------------------------------------

    function test_fuzz_the_guardian_s_limits_are_looser_in_no_lane(uint256 seed, uint8 field) external {
        registry.setClass(0, various(), 0);
        Limits memory held = various();
        Limits memory wanted = nudged(held, within(field, 0, 10), seed);
        bool allowed = looserIn(held, wanted) == 0;
        vm.prank(GUARDIAN);
        try registry.tightenClass(0, wanted) {
            check(allowed, "a looser lane passed");
        } catch (bytes memory why) {
            // Order is the policy's own business: what tightens may still be unsound. Comparing lanes is for words
            // without stray bits, and others are refused under either name.
            bool named = bytes4(why) != Tightening.NotTighter.selector;
            check(!allowed || strays(wanted) || named, "a tighter one was refused");
        }
    }

    function test_limits_with_stray_bits_are_refused_though_no_lane_is_looser() external {
        registry.setClass(0, various(), 0);
        Limits memory wanted = moved(various(), 8, 2, false); // borrows from the lane above: one tighter, one stray
        check(looserIn(various(), wanted) == 0 && strays(wanted), "no case of it");
        vm.prank(GUARDIAN);
        try registry.tightenClass(0, wanted) {
            check(false, "stray bits passed");
        } catch {}
    }

    function test_each_lane_that_could_be_loosened_is_refused() external {
        registry.setClass(0, various(), 0);
        uint256 refused = 0;
        for (uint256 field = 0; field < 11; ++field) {
            for (uint256 lane = 0; lane < 16; ++lane) {
                for (uint256 up = 0; up < 2; ++up) {
                    Limits memory held = various();
                    Limits memory wanted = moved(held, field, lane, up == 1);
                    if (looserIn(held, wanted) == 0) continue;
                    vm.prank(GUARDIAN);
                    try registry.tightenClass(0, wanted) {
                        check(false, "a looser lane passed");
                    } catch (bytes memory why) {
                        if (bytes4(why) == Tightening.NotTighter.selector) ++refused;
                    }
                }
            }
        }
        // Four bounds, six steps and budgets; most lanes have one loose direction, some both. The others of the 300 are
        // stray bits, which no class may have.
        check(refused > 200, "for being looser");
    }

    function test_a_bound_is_not_the_guardian_s_to_move() external {
        Limits memory x = limits(40);
        x.riskHigh -= 1;
        vm.prank(GUARDIAN);
        vm.expectRevert(abi.encodeWithSelector(Tightening.NotTighter.selector, x, limits(40)));
        registry.tightenClass(0, x);
        vm.prank(GUARDIAN);
        vm.expectRevert(abi.encodeWithSelector(Config.UnknownClass.selector, 1, 1));
        registry.tightenClass(1, limits(40));
    }

    function test_tightening_is_not_kept_up_by_a_pending_change_of_bounds_nor_loosens_it() external {
        Limits memory later = limits(20);
        later.riskHigh = RISK_BOX_HIGH & ~uint256(LANE_MAX) | 9_000;
        registry.setClass(0, later, LATER);
        vm.prank(GUARDIAN);
        registry.tightenClass(0, limits(30));
        same(live().classes[0].riskMaxFall & LANE_MAX, 30, "now");
        same(current().classes[0].riskMaxFall & LANE_MAX, 20, "later: governance's was tighter");
        same(current().classes[0].riskHigh & LANE_MAX, 9_000, "later: governance's bounds");
        vm.prank(GUARDIAN);
        registry.tightenClass(0, limits(10));
        same(current().classes[0].riskMaxFall & LANE_MAX, 10, "later: the guardian's was tighter");
    }

    // --- trying out -------------------------------------------------------------------------------------------------

    function test_a_vote_can_be_tried_out_before_it_is_cast() external view {
        uint256 risk = limits(1).riskMaxFall * 100;
        uint256 market = MARKET_BOX_LOW | 60_000e8 << PRICE_SHIFT | 9000 << CONFIDENCE_SHIFT;
        uint256 stored = market | START << STAMP_SHIFT;
        Verdict memory v = registry.simulate(limits(40), risk, stored, risk / 2, market, START + 300, 60, false);
        same(uint256(v.fate), uint256(Fate.LIMIT), "held back");
        same(v.risk & LANE_MAX, 99, "by what a day's budget grants in five minutes");
        v = registry.simulate(limits(40), risk, stored, risk / 2, market, START + 300, 60, true);
        same(v.risk, risk, "not at all while paused");
        v = registry.simulate(limits(40), risk, stored, risk / 2, market, START + 30, 60, false);
        same(uint256(v.fate), uint256(Fate.SKIP), "too soon");
        same(uint256(v.skip), uint256(SkipReason.TOO_SOON), "too soon");
    }

    function test_limits_that_could_not_be_set_cannot_be_tried_out() external {
        Limits memory x = limits(40);
        x.maxPriceMoveBp = 1 << 40;
        vm.expectRevert(abi.encodeWithSelector(Policy.PriceMoveOutOfRange.selector, 1 << 40, type(uint32).max));
        registry.simulate(x, 0, 0, 1, 1, START, 60, false);
    }

    // --- arrangement ------------------------------------------------------------------------------------------------

    function filled(uint256 n, uint8 value) private pure returns (uint8[] memory all) {
        all = new uint8[](n);
        for (uint256 i = 0; i < n; ++i) {
            all[i] = value;
        }
    }

    /// @dev The guardian's three come first.
    function everyRestrictedCall() private pure returns (bytes[] memory calls) {
        calls = new bytes[](13);
        calls[0] = abi.encodeCall(Registry.pause, ());
        calls[1] = abi.encodeCall(Registry.removeMember, (vm.addr(1)));
        calls[2] = abi.encodeCall(Registry.tightenClass, (0, limits(30)));
        calls[3] = abi.encodeCall(Registry.unpause, ());
        calls[4] = abi.encodeCall(Registry.setEpoch, (members(4), 3, MODELS, 0));
        calls[5] = abi.encodeCall(Registry.setKind, (ReportKind.CO_SIGNED, 0));
        calls[6] = abi.encodeCall(Registry.setTiming, (Timing(30, 900, 60), 0));
        calls[7] = abi.encodeCall(Registry.setClass, (0, limits(50), 0));
        calls[8] = abi.encodeCall(Registry.setMarkets, (0, new uint8[](1), 0));
        calls[9] = abi.encodeCall(Registry.setGroups, (0, new uint8[](1), 0));
        calls[10] = abi.encodeCall(Registry.approveModelSet, (bytes32(0), "x"));
        calls[11] = abi.encodeCall(Registry.revokeModelSet, (MODELS));
        calls[12] = abi.encodeCall(Registry.connect, (address(1)));
    }

    /// @dev Limits of which every lane can go both ways and stays sound alone.
    function various() private pure returns (Limits memory x) {
        x = limits(40);
        uint256 market = ~(MARKET_FORBIDDEN | PRICE_MAX << PRICE_SHIFT);
        x.riskLow = RISK_BOX_HIGH & RISK_GUARDS >> 15;
        x.riskHigh = x.riskLow * 5000;
        x.riskMaxRise = x.riskLow * 700;
        x.marketMaxRise = (RISK_GUARDS >> 15) * 300 & market | 1e8 << PRICE_SHIFT;
        x.marketMaxFall = (RISK_GUARDS >> 15) * 200 & market | 1e8 << PRICE_SHIFT;
    }

    function words(Limits memory x) private pure returns (uint256[11] memory all) {
        return abi.decode(abi.encode(x), (uint256[11]));
    }

    function moved(Limits memory x, uint256 field, uint256 lane, bool up) private pure returns (Limits memory) {
        uint256[11] memory all = words(x);
        uint256 unit = field == 10 ? 1 : 1 << 16 * lane;
        unchecked {
            all[field] = up ? all[field] + unit : all[field] - unit;
        }
        return abi.decode(abi.encode(all), (Limits));
    }

    function nudged(Limits memory x, uint256 field, uint256 seed) private pure returns (Limits memory) {
        x = moved(x, field, seed % 16, seed & 16 != 0);
        return moved(x, uint256(keccak256(abi.encode(seed))) % 11, seed / 32 % 16, seed & 1 << 40 != 0);
    }

    function strays(Limits memory x) private pure returns (bool) {
        uint256 market = MARKET_FORBIDDEN & ~(PRICE_MAX << PRICE_SHIFT);
        return (x.riskLow | x.riskHigh | x.riskMaxRise | x.riskMaxFall | x.riskDaily) & RISK_GUARDS != 0
            || (x.marketLow | x.marketHigh | x.marketMaxRise | x.marketMaxFall | x.marketDaily) & market != 0;
    }

    /// @dev How many lanes the second is looser in, one lane at a time: what `Tightening` does for all at once.
    function looserIn(Limits memory a, Limits memory b) private pure returns (uint256 looser) {
        (uint256[11] memory old, uint256[11] memory now_) = (words(a), words(b));
        for (uint256 field = 0; field < 11; ++field) {
            if (field == 10) {
                if (now_[10] > old[10]) ++looser;
                continue;
            }
            for (uint256 lane = 0; lane < 16; ++lane) {
                uint256 before = old[field] >> 16 * lane & 0xffff;
                uint256 after_ = now_[field] >> 16 * lane & 0xffff;
                if (before == after_) continue;
                bool risk = field < 5;
                bool price = !risk && lane >= 12;
                uint256 bit = 1 << 16 * lane;
                bool fallLoosens = (risk ? RISK_FALL_LOOSENS : MARKET_FALL_LOOSENS) & bit != 0;
                bool riseLoosens = (risk ? RISK_RISE_LOOSENS : MARKET_RISE_LOOSENS) & bit != 0;
                uint256 kind = field % 5; // low, high, rise, fall, daily
                if (kind < 2 || price && kind < 4) ++looser;
                else if (kind == 4 && after_ > before) ++looser;
                else if (kind == 2 && (riseLoosens ? after_ > before : after_ < before)) ++looser;
                else if (kind == 3 && (fallLoosens ? after_ > before : after_ < before)) ++looser;
            }
        }
    }
}
