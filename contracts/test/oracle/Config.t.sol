// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Config, ReportKind, Settings} from "../../src/oracle/Config.sol";
import {Limits, Policy, Timing} from "../../src/oracle/Policy.sol";
import "../../src/oracle/Lanes.sol";
import {Base} from "../Base.sol";

/// @dev Writes blobs and nothing else, as a registry does.
contract Writer {
    function write(Settings calldata x) external returns (address) {
        return Config.write(x);
    }
}

contract ConfigTest is Base {
    using Config for address;
    using Config for bytes;

    function settings(uint256 members, uint256 classes, uint256 markets) internal pure returns (Settings memory x) {
        x.kind = ReportKind.CO_SIGNED;
        x.paused = true;
        x.quorum = uint8(2 * members / 3 + 1);
        x.modelSetIndex = 511;
        x.modelSet = keccak256("models");
        x.timing = Timing(30, 900, 60);
        x.members = new address[](members);
        for (uint256 i = 0; i < members; ++i) {
            x.members[i] = address(uint160(i + 1));
        }
        x.classes = new Limits[](classes);
        for (uint256 i = 0; i < classes; ++i) {
            x.classes[i].riskHigh = RISK_BOX_HIGH;
            (x.classes[i].marketLow, x.classes[i].marketHigh) = (MARKET_BOX_LOW, MARKET_BOX_HIGH);
            x.classes[i].maxPriceMoveBp = i + 1;
        }
        (x.classOf, x.groupOf, x.ringOf) = (new bytes(markets), new bytes(markets), new bytes(markets));
        for (uint256 i = 0; i < markets; ++i) {
            x.classOf[i] = bytes1(uint8(i % classes));
            x.groupOf[i] = bytes1(uint8(i / 3));
            x.ringOf[i] = bytes1(uint8(i));
        }
    }

    function test_fuzz_settings_come_back_as_they_were_written(uint8 members, uint8 classes, uint8 markets) external {
        Writer writer = new Writer();
        Settings memory x = settings(within(members, 1, 31), within(classes, 1, 20), markets);
        Settings memory y = writer.write(x).read();
        check(keccak256(abi.encode(x)) == keccak256(abi.encode(y)), "settings");
        check(writer.write(x).load().digest() == Config.policyDigest(x), "digest");
    }

    /// @dev The nonces around each length of their encoding.
    function test_blob_number_n_lies_at_the_address_of_nonce_n() external {
        Writer writer = new Writer();
        Settings memory none;
        for (uint256 epoch = 1; epoch <= 260; ++epoch) {
            same(uint160(writer.write(none)), uint160(Config.addressOf(address(writer), epoch)), "address");
        }
    }

    // --- what is refused ---

    function refused(Settings memory x, bytes memory why) private {
        Writer writer = new Writer();
        vm.expectRevert(why);
        writer.write(x);
    }

    function test_members_are_distinct_and_a_quorum_is_more_than_two_thirds() external {
        Settings memory x = settings(6, 1, 1);
        x.quorum = 4;
        refused(x, abi.encodeWithSelector(Config.QuorumTooSmall.selector, 4, 6));
        x.quorum = 7;
        refused(x, abi.encodeWithSelector(Config.QuorumTooSmall.selector, 7, 6));
        x.quorum = 5;
        x.members[5] = x.members[2];
        refused(x, abi.encodeWithSelector(Config.BadMember.selector, x.members[2], 5));
        x.members[5] = address(0);
        refused(x, abi.encodeWithSelector(Config.BadMember.selector, address(0), 5));
        x = settings(32, 1, 1);
        refused(x, abi.encodeWithSelector(Config.QuorumTooSmall.selector, 22, 32));
        x = settings(1, 1, 1);
        x.members = new address[](0);
        refused(x, abi.encodeWithSelector(Config.QuorumTooSmall.selector, 1, 0));
    }

    function test_times_indices_and_counts_stay_in_their_range() external {
        Settings memory x = settings(1, 1, 1);
        x.timing = Timing(901, 900, 0);
        refused(x, abi.encodeWithSelector(Config.BadTiming.selector, 901, 900));
        x.timing = Timing(30, 900, 1 days + 1);
        refused(x, abi.encodeWithSelector(Config.BadTiming.selector, 1 days + 1, 1 days));
        x = settings(1, 1, 1);
        x.modelSetIndex = 512;
        refused(x, abi.encodeWithSelector(Config.TooManyModelSets.selector, 512, 511));
    }

    /// @dev What does not fit into a contract's code. The header, 31 members, 66 classes and 85 markets are all of it.
    function test_what_does_not_fit_into_a_blob_is_refused_by_name() external {
        Writer writer = new Writer();
        Settings memory x = settings(31, 66, 85);
        check(keccak256(abi.encode(writer.write(x).read())) == keccak256(abi.encode(x)), "the largest");
        refused(settings(31, 66, 86), abi.encodeWithSelector(Config.TooMuchToStore.selector, 24_578, 24_575));
        refused(settings(31, 67, 0), abi.encodeWithSelector(Config.TooMuchToStore.selector, 24_672, 24_575));
        refused(settings(1, 256, 0), abi.encodeWithSelector(Config.TooMuchToStore.selector, 90_240, 24_575));
        refused(settings(1, 1, 65_536), abi.encodeWithSelector(Config.TooMuchToStore.selector, 197_088, 24_575));
    }

    function test_each_market_has_a_class_that_is_there_a_group_and_a_ring() external {
        Settings memory x = settings(1, 2, 3);
        x.classOf[2] = 0x02;
        refused(x, abi.encodeWithSelector(Config.UnknownClass.selector, 2, 2));
        x = settings(1, 2, 3);
        x.groupOf = new bytes(2);
        refused(x, abi.encodeWithSelector(Config.WrongMarkets.selector, 2, 3));
        x = settings(1, 2, 3);
        x.ringOf = new bytes(4);
        refused(x, abi.encodeWithSelector(Config.WrongMarkets.selector, 4, 3));
        x = settings(1, 2, 3);
        x.groupOf = hex"070007";
        refused(x, abi.encodeWithSelector(Config.GroupNotConsecutive.selector, 7, 2));
    }

    function test_limits_that_contradict_the_lanes_meaning_or_order_are_refused() external {
        Settings memory x = settings(1, 1, 1);
        uint256 wide = RISK_BOX_HIGH + (1 << CASCADE_SIZE_SHIFT);
        x.classes[0].riskHigh = wide;
        refused(x, abi.encodeWithSelector(Policy.BoundsOutsideMeaning.selector, wide, RISK_BOX_HIGH));
        x = settings(1, 1, 1);
        x.classes[0].marketLow = 0;
        refused(x, abi.encodeWithSelector(Policy.BoundsOutsideMeaning.selector, 0, MARKET_BOX_LOW));
        x = settings(1, 1, 1);
        (x.classes[0].riskLow, x.classes[0].riskHigh) = (2 << LIQUIDITY_SHIFT, 1 << LIQUIDITY_SHIFT);
        refused(x, abi.encodeWithSelector(Policy.BoundsNotOrdered.selector, 2 << LIQUIDITY_SHIFT, 1 << LIQUIDITY_SHIFT));
        x = settings(1, 1, 1);
        x.classes[0].riskLow = 5 << DOWN_ES99_SHIFT;
        refused(x, abi.encodeWithSelector(Policy.BoundsBreakOrder.selector, 5 << DOWN_ES99_SHIFT, RISK_BOX_HIGH));
        x = settings(1, 1, 1);
        x.classes[0].riskMaxRise = 1 << DOWN_Q975_SHIFT; // the lowest rung would rise faster than the next
        refused(x, abi.encodeWithSelector(Policy.StepsBreakOrder.selector, 1 << DOWN_Q975_SHIFT, 0));
        x = settings(1, 1, 1);
        x.classes[0].marketMaxFall = 1 << TOTAL_VOL_90D_SHIFT; // the longest tenor would fall faster
        refused(x, abi.encodeWithSelector(Policy.StepsBreakOrder.selector, 0, 1 << TOTAL_VOL_90D_SHIFT));
        x = settings(1, 1, 1);
        x.classes[0].riskDaily = 1 << UP_ES99_SHIFT;
        refused(x, abi.encodeWithSelector(Policy.BudgetBreaksOrder.selector, 1 << UP_ES99_SHIFT, RISK_ASCENDING));
        x = settings(1, 1, 1);
        x.classes[0].maxPriceMoveBp = 0;
        refused(x, abi.encodeWithSelector(Policy.PriceMoveOutOfRange.selector, 0, type(uint32).max));
        x.classes[0].maxPriceMoveBp = 1 << 32;
        refused(x, abi.encodeWithSelector(Policy.PriceMoveOutOfRange.selector, 1 << 32, type(uint32).max));
    }

    function test_guard_bits_and_stamped_lanes_of_limits_are_refused_and_a_budget_of_the_price() external {
        Settings memory x = settings(1, 1, 1);
        x.classes[0].riskMaxFall = 1 << 15;
        uint256 all = RISK_BOX_HIGH | 1 << 15;
        refused(x, abi.encodeWithSelector(Policy.StrayBitsInLimits.selector, all, RISK_FORBIDDEN));
        x = settings(1, 1, 1);
        x.classes[0].marketMaxRise = 1 << STAMP_SHIFT;
        all = MARKET_BOX_LOW | MARKET_BOX_HIGH | 1 << STAMP_SHIFT;
        refused(x, abi.encodeWithSelector(Policy.StrayBitsInLimits.selector, all, MARKET_FORBIDDEN));
        x = settings(1, 1, 1);
        x.classes[0].marketDaily = 1 << PRICE_SHIFT;
        uint256 forbidden = MARKET_FORBIDDEN | PRICE_MAX << PRICE_SHIFT;
        refused(x, abi.encodeWithSelector(Policy.StrayBitsInLimits.selector, 1 << PRICE_SHIFT, forbidden));
    }
}
