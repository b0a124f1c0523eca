// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IClearinghouse} from "../../src/interfaces/IClearinghouse.sol";
import {Book} from "../../src/protocol/Book.sol";
import {OrderDesk} from "../../src/protocol/OrderDesk.sol";
import {Series} from "../../src/protocol/Series.sol";
import {HouseSetup} from "./HouseSetup.sol";

contract OrderDeskTest is HouseSetup {
    function test_an_order_fills_only_as_signed() external {
        OrderDesk.Order memory o = order(60_000e8, true, 1e6, 1500e6);
        bytes memory signature = signed(MAKER_KEY, o);
        o.price += 1;
        vm.expectRevert(abi.encodeWithSelector(OrderDesk.WrongSignature.selector, maker, desk.orderDigest(o)));
        vm.prank(taker);
        desk.fill(o, signature, 1e6);
        o.price -= 1;
        vm.prank(taker);
        desk.fill(o, signature, 1e6);
    }

    function test_parts_fill_up_to_the_whole_and_no_further() external {
        OrderDesk.Order memory o = order(60_000e8, true, 3e6, 1500e6);
        bytes memory signature = signed(MAKER_KEY, o);
        vm.startPrank(taker);
        desk.fill(o, signature, 1e6);
        desk.fill(o, signature, 15e5);
        vm.expectRevert(abi.encodeWithSelector(OrderDesk.OverFilled.selector, 5e5 + 1, 5e5));
        desk.fill(o, signature, 5e5 + 1);
        desk.fill(o, signature, 5e5);
        vm.expectRevert(abi.encodeWithSelector(OrderDesk.OverFilled.selector, 1, 0));
        desk.fill(o, signature, 1);
        same(desk.filled(desk.orderDigest(o)), 3e6, "filled");
        same(house.quantityOf(taker, o.series), int256(-3e6), "position");
    }

    function test_nothing_and_the_lowest_number_are_refused() external {
        OrderDesk.Order memory o = order(60_000e8, true, 1e6, 1500e6);
        bytes memory signature = signed(MAKER_KEY, o);
        vm.startPrank(taker);
        vm.expectRevert(abi.encodeWithSelector(OrderDesk.NothingToTrade.selector, desk.orderDigest(o)));
        desk.fill(o, signature, 0);
        o.quantity = type(int256).min;
        signature = signed(MAKER_KEY, o);
        vm.expectRevert(abi.encodeWithSelector(OrderDesk.OverFilled.selector, 1 << 255, type(uint128).max));
        desk.fill(o, signature, 1 << 255);
        vm.expectPartialRevert(Book.QuantityOutOfRange.selector);
        desk.fill(o, signature, type(uint128).max);
    }

    function test_a_late_order_is_refused_with_both_times() external {
        OrderDesk.Order memory o = order(60_000e8, true, 1e6, 1500e6);
        bytes memory signature = signed(MAKER_KEY, o);
        vm.warp(o.deadline);
        vm.prank(taker);
        desk.fill(o, signature, 1);
        vm.warp(o.deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(OrderDesk.OrderExpired.selector, o.deadline, o.deadline + 1));
        vm.prank(taker);
        desk.fill(o, signature, 1);
    }

    function test_only_the_maker_cancels_and_then_nobody_fills() external {
        OrderDesk.Order memory o = order(60_000e8, true, 2e6, 1500e6);
        bytes memory signature = signed(MAKER_KEY, o);
        vm.startPrank(taker);
        desk.fill(o, signature, 1e6);
        vm.expectRevert(abi.encodeWithSelector(OrderDesk.NotTheMaker.selector, taker, maker));
        desk.cancel(o);
        vm.stopPrank();
        vm.prank(maker);
        desk.cancel(o);
        vm.expectRevert(abi.encodeWithSelector(OrderDesk.OverFilled.selector, 1, 0));
        vm.prank(taker);
        desk.fill(o, signature, 1);
    }

    function test_all_orders_below_a_salt_are_voided_at_once() external {
        OrderDesk.Order memory old = order(60_000e8, true, 1e6, 1500e6);
        OrderDesk.Order memory young = order(60_000e8, true, 1e6, 1500e6);
        bytes memory signature = signed(MAKER_KEY, old);
        vm.startPrank(maker);
        desk.cancelBelow(young.salt);
        vm.expectRevert(abi.encodeWithSelector(OrderDesk.SaltNotHigher.selector, young.salt, young.salt));
        desk.cancelBelow(young.salt);
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(OrderDesk.OrderVoid.selector, old.salt, young.salt));
        vm.prank(taker);
        desk.fill(old, signature, 1e6);
        fill(young);
    }

    function test_two_signed_orders_are_matched_by_anyone_at_the_first_ones_price() external {
        (OrderDesk.Order memory buy, OrderDesk.Order memory ask) = _pair(1500e6, 1400e6);
        bytes memory buySignature = signed(MAKER_KEY, buy);
        bytes memory askSignature = signed(TAKER_KEY, ask);
        vm.prank(address(0xF00));
        desk.matchOrders(buy, buySignature, ask, askSignature, 1e6);
        same(house.cashOf(taker), 101_500e6, "the maker's price");
        same(desk.filled(desk.orderDigest(buy)), 1e6, "one");
        same(desk.filled(desk.orderDigest(ask)), 1e6, "and the other");
        desk.matchOrders(ask, askSignature, buy, buySignature, 1e6);
        same(house.cashOf(taker), 102_900e6, "the first is the maker");
        vm.expectRevert(abi.encodeWithSelector(OrderDesk.OverFilled.selector, 1, 0));
        desk.matchOrders(buy, buySignature, ask, askSignature, 1);
    }

    function test_orders_that_do_not_meet_are_not_matched() external {
        (OrderDesk.Order memory buy, OrderDesk.Order memory ask) = _pair(1399e6, 1400e6);
        bytes memory none;
        vm.expectRevert(abi.encodeWithSelector(OrderDesk.PricesDoNotCross.selector, 1399e6, 1400e6));
        desk.matchOrders(buy, none, ask, none, 1e6);
        vm.expectRevert(abi.encodeWithSelector(OrderDesk.PricesDoNotCross.selector, 1400e6, 1399e6));
        desk.matchOrders(ask, none, buy, none, 1e6);
        vm.expectRevert(abi.encodeWithSelector(OrderDesk.SameSide.selector, buy.quantity, buy.quantity));
        desk.matchOrders(buy, none, buy, none, 1e6);
        uint256 series = ask.series;
        ask.series = Series.pack(0, EXPIRY, 61_000e8, true);
        vm.expectRevert(abi.encodeWithSelector(OrderDesk.SeriesDiffer.selector, series, ask.series));
        desk.matchOrders(buy, none, ask, none, 1e6);
    }

    function test_both_signatures_are_checked_when_orders_are_matched() external {
        (OrderDesk.Order memory buy, OrderDesk.Order memory ask) = _pair(1500e6, 1400e6);
        bytes memory good = signed(MAKER_KEY, buy);
        bytes memory bad = signed(MAKER_KEY, ask);
        vm.expectRevert(abi.encodeWithSelector(OrderDesk.WrongSignature.selector, taker, desk.orderDigest(ask)));
        desk.matchOrders(buy, good, ask, bad, 1e6);
    }

    function test_a_signature_is_worth_nothing_on_another_chain_or_desk() external {
        OrderDesk.Order memory o = order(60_000e8, true, 1e6, 1500e6);
        bytes memory signature = signed(MAKER_KEY, o);
        OrderDesk other = new OrderDesk(IClearinghouse(address(house)));
        check(other.orderDigest(o) != desk.orderDigest(o), "another desk");
        check(other.domainSeparator() != desk.domainSeparator(), "another domain");
        vm.chainId(block.chainid + 1);
        vm.expectPartialRevert(OrderDesk.WrongSignature.selector);
        vm.prank(taker);
        desk.fill(o, signature, 1e6);
    }

    function test_a_contract_signs_by_its_word_and_cannot_have_a_part_filled_twice() external {
        Contract1271 wallet = new Contract1271();
        fund(address(wallet), 10_000e6);
        OrderDesk.Order memory o = order(60_000e8, true, 1e6, 1500e6);
        o.maker = address(wallet);
        wallet.approve(desk.orderDigest(o));
        vm.prank(taker);
        desk.fill(o, "", 1e6);
        same(house.quantityOf(address(wallet), o.series), int256(1e6), "bought");
        vm.expectRevert(abi.encodeWithSelector(OrderDesk.OverFilled.selector, 1e6, 0));
        vm.prank(taker);
        desk.fill(o, "", 1e6);
    }

    function test_a_series_id_is_checked_terms() external {
        same(desk.seriesId(1, EXPIRY, 3000e8, false), Series.pack(1, EXPIRY, 3000e8, false), "packed");
        vm.expectPartialRevert(Series.NoSuchSeries.selector);
        desk.seriesId(1, 0, 3000e8, false);
    }

    function test_fuzz_arbitrary_calldata_leaves_the_books_as_they_are(bytes calldata data) external {
        bytes4[5] memory targets = [
            desk.fill.selector,
            desk.matchOrders.selector,
            desk.cancel.selector,
            house.takeOver.selector,
            house.sellCollateral.selector
        ];
        for (uint256 i = 0; i < 5; ++i) {
            address target = i < 3 ? address(desk) : address(house);
            (bool ok,) = target.call(abi.encodePacked(targets[i], data));
            ok;
        }
        same(house.cashOf(maker), 1_000_000e6, "maker");
        same(house.cashOf(taker), 100_000e6, "taker");
        same(house.accountCount(), 0, "no position");
    }

    function _pair(uint128 bid, uint128 ask) private returns (OrderDesk.Order memory, OrderDesk.Order memory) {
        OrderDesk.Order memory buy = order(60_000e8, true, 2e6, bid);
        OrderDesk.Order memory offer = order(60_000e8, true, -2e6, ask);
        offer.maker = taker;
        return (buy, offer);
    }
}

/// @dev A wallet that answers for what was approved.
contract Contract1271 {
    mapping(bytes32 => bool) private _good;

    function approve(bytes32 hash) external {
        _good[hash] = true;
    }

    function isValidSignature(bytes32 hash, bytes calldata) external view returns (bytes4) {
        return _good[hash] ? this.isValidSignature.selector : bytes4(0);
    }
}
