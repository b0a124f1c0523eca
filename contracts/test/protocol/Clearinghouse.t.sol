// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IRiskOracle} from "../src/interfaces/IRiskOracle.sol";
import {MockUSD} from "../src/mock/MockUSD.sol";
import {Book, Health} from "../src/protocol/Book.sol";
import {OptionsClearinghouse} from "../src/protocol/OptionsClearinghouse.sol";
import {OracleSetup} from "./OracleSetup.sol";

contract ClearinghouseTest is OracleSetup {
    OptionsClearinghouse private house;
    MockUSD private usd;
    uint256 private constant MAKER_KEY = 0xBEEF;
    address private maker = vm.addr(MAKER_KEY);
    address private taker = address(0xCAFE);
    uint64 private constant EXPIRY = uint64(START + 7 days);
    uint256 private salt;

    function setUp() public override {
        super.setUp();
        usd = new MockUSD();
        house = new OptionsClearinghouse(oracle, address(usd));
        _fund(maker, 1_000_000e6);
        _fund(taker, 100_000e6);
        _publish(100, BTC);
    }

    // --- collateral ---

    function test_what_is_deposited_can_be_withdrawn_and_no_more() external {
        vm.startPrank(taker);
        vm.expectRevert(abi.encodeWithSelector(OptionsClearinghouse.Insufficient.selector, int256(-1), 0));
        house.withdraw(100_000e6 + 1);
        house.withdraw(100_000e6);
        same(usd.balanceOf(taker), 100_000e6, "back");
        same(house.cashOf(taker), int256(0), "empty");
    }

    function test_collateral_under_positions_stays() external {
        _sell(60_000e8, true, 5e6, 1500e6);
        (uint256 initial, uint256 maintenance) = house.requirement(taker);
        check(initial > maintenance && maintenance > 0, "requirement");
        Health memory h = house.health(taker);
        uint256 free = uint256(h.cash + h.value - int256(h.initial));
        vm.startPrank(taker);
        vm.expectPartialRevert(OptionsClearinghouse.Insufficient.selector);
        house.withdraw(free + 1);
        house.withdraw(free);
    }

    // --- trading ---

    function test_a_fill_moves_premium_and_position() external {
        uint256 series = _sell(60_000e8, true, 2e6, 1500e6);
        same(house.quantityOf(taker, series), int256(-2e6), "short");
        same(house.quantityOf(maker, series), int256(2e6), "long");
        same(house.cashOf(taker), int256(103_000e6), "premium in");
        same(house.cashOf(maker), int256(997_000e6), "premium out");
        Book.Position[] memory legs = house.legsOf(taker, 0);
        check(legs.length == 1 && legs[0].series == series && legs[0].quantity == -2e6, "legs");
        same(house.legsOf(taker, 1).length, 0, "other market");
    }

    function test_an_order_fills_once_and_only_as_signed() external {
        OptionsClearinghouse.Order memory order = _order(60_000e8, true, 1e6, 1500e6);
        bytes memory signature = _signed(order);
        vm.startPrank(taker);
        order.price += 1;
        vm.expectRevert(OptionsClearinghouse.WrongMaker.selector);
        house.fill(order, signature);
        order.price -= 1;
        house.fill(order, signature);
        bytes32 digest = house.orderDigest(order);
        vm.expectRevert(abi.encodeWithSelector(OptionsClearinghouse.OrderSpent.selector, digest));
        house.fill(order, signature);
    }

    function test_an_expired_a_cancelled_and_an_own_order_are_refused() external {
        OptionsClearinghouse.Order memory order = _order(60_000e8, true, 1e6, 1500e6);
        bytes memory signature = _signed(order);
        vm.prank(maker);
        vm.expectRevert(OptionsClearinghouse.SelfTrade.selector);
        house.fill(order, signature);
        vm.prank(taker);
        vm.expectRevert(OptionsClearinghouse.WrongMaker.selector);
        house.cancel(order);
        vm.prank(maker);
        house.cancel(order);
        bytes32 digest = house.orderDigest(order);
        vm.prank(taker);
        vm.expectRevert(abi.encodeWithSelector(OptionsClearinghouse.OrderSpent.selector, digest));
        house.fill(order, signature);
        vm.warp(order.deadline + 1);
        vm.prank(taker);
        vm.expectRevert(abi.encodeWithSelector(OptionsClearinghouse.OrderExpired.selector, order.deadline));
        house.fill(order, signature);
    }

    function test_a_position_beyond_initial_margin_is_refused() external {
        OptionsClearinghouse.Order memory order = _order(60_000e8, true, 100e6, 1500e6);
        bytes memory signature = _signed(order);
        vm.prank(taker);
        vm.expectPartialRevert(OptionsClearinghouse.Insufficient.selector);
        house.fill(order, signature);
    }

    function test_a_bought_option_needs_its_premium_only() external {
        vm.prank(taker);
        house.withdraw(98_500e6);
        OptionsClearinghouse.Order memory order = _order(60_000e8, true, -1e6, 1500e6);
        _fill(order);
        same(house.cashOf(taker), int256(0), "all of it");
        check(house.health(taker).value > 0, "and owns an option");
    }

    function test_while_stale_or_halted_risk_may_only_shrink_and_collateral_only_grow() external {
        uint256 series = _sell(60_000e8, true, 2e6, 1500e6);
        vm.warp(START + 14_400);
        _onlyShrinks(series);
        round += uint32(14_400 / PERIOD);
        _publish(100, BTC);
        nextRound();
        _publish(100, BTC / 4);
        check(statusOf(0) == IRiskOracle.Status.HALTED, "halted");
        _onlyShrinks(series);
    }

    function _onlyShrinks(uint256 series) private {
        OptionsClearinghouse.Order memory order = _order(60_000e8, true, 1e5, 1500e6);
        bytes memory signature = _signed(order);
        vm.startPrank(taker);
        vm.expectPartialRevert(OptionsClearinghouse.MarketUnusable.selector);
        house.fill(order, signature);
        vm.expectPartialRevert(OptionsClearinghouse.MarketUnusable.selector);
        house.withdraw(1);
        vm.expectPartialRevert(OptionsClearinghouse.MarketUnusable.selector);
        house.liquidate(maker);
        usd.mint(taker, 5e6);
        usd.approve(address(house), 5e6);
        house.deposit(5e6);
        vm.stopPrank();
        int256 held = house.quantityOf(taker, series);
        _fill(_order(60_000e8, true, -5e5, 1400e6));
        same(house.quantityOf(taker, series), held + 5e5, "closed some");
    }

    function test_closing_at_a_ruinous_premium_is_refused_below_initial_margin() external {
        _sell(60_000e8, true, 10e6, 1500e6);
        nextRound();
        _publish(500, BTC * 115 / 100);
        OptionsClearinghouse.Order memory order = _order(60_000e8, true, -1e6, 60_000e6);
        bytes memory signature = _signed(order);
        vm.prank(taker);
        vm.expectPartialRevert(OptionsClearinghouse.Insufficient.selector);
        house.fill(order, signature);
    }

    function test_an_empty_market_cannot_be_traded() external {
        OptionsClearinghouse.Order memory order = _order(3000e8, true, 1e6, 1e6);
        order.series = house.seriesId(1, EXPIRY, 3000e8, true);
        bytes memory signature = _signed(order);
        vm.prank(taker);
        vm.expectPartialRevert(OptionsClearinghouse.MarketUnusable.selector);
        house.fill(order, signature);
    }

    // --- expiry ---

    function test_fuzz_settlement_pays_the_payoff_and_creates_no_dollar(uint256 price, bool isCall) external {
        price = within(price, 45_000e8, 75_000e8);
        uint256 series = _sell(60_000e8, isCall, 3e6 + 1, 1500e6);
        vm.expectRevert(abi.encodeWithSelector(OptionsClearinghouse.NotExpired.selector, series));
        house.settle(taker, series);
        vm.expectRevert(abi.encodeWithSelector(OptionsClearinghouse.NoSettlementPrice.selector, 0, EXPIRY));
        house.fixPrice(0, EXPIRY);

        vm.warp(EXPIRY);
        round = uint32(EXPIRY / PERIOD);
        _publish(100, price);
        house.fixPrice(0, EXPIRY);
        same(house.settlementPrice(0, EXPIRY), price, "fixed");
        vm.expectRevert(abi.encodeWithSelector(OptionsClearinghouse.AlreadyFixed.selector, price));
        house.fixPrice(0, EXPIRY);
        int256 before = house.cashOf(maker);
        house.settle(maker, series);
        house.settle(taker, series);
        int256 inside = isCall ? int256(price) - 60_000e8 : 60_000e8 - int256(price);
        int256 paid = inside > 0 ? (3e6 + 1) * inside / 1e8 : int256(0);
        same(house.cashOf(maker) - before, paid, "paid to the long");
        int256 left = 1_100_000e6 - house.cashOf(maker) - house.cashOf(taker);
        check(left == 0 || left == 1, "rounding stays in the house");
        same(house.legsOf(maker, 0).length, 0, "gone");
    }

    // --- liquidation ---

    function test_an_account_below_maintenance_is_handed_over_and_keeps_what_is_left() external {
        uint256 series = _sell(60_000e8, true, 10e6, 1500e6);
        address liquidator = address(0x1D);
        _fund(liquidator, 500_000e6);
        vm.prank(liquidator);
        vm.expectPartialRevert(OptionsClearinghouse.Healthy.selector);
        house.liquidate(taker);

        nextRound();
        _publish(300, BTC * 112 / 100);
        Health memory h = house.health(taker);
        check(h.cash + h.value > 0 && h.cash + h.value < int256(h.maintenance), "solvent, below maintenance");
        int256 share = int256(h.maintenance * 2000 / 10_000);
        vm.prank(liquidator);
        house.liquidate(taker);
        same(house.quantityOf(liquidator, series), int256(-10e6), "taken over");
        same(house.legsOf(taker, 0).length, 0, "handed over");
        int256 equity = h.cash + h.value;
        same(house.cashOf(taker), equity > share ? equity - share : int256(0), "kept");
        same(house.cashOf(taker) + house.cashOf(liquidator) + house.cashOf(maker), int256(1_600_000e6), "conserved");
    }

    function test_a_liquidator_must_be_able_to_carry_it() external {
        _sell(60_000e8, true, 10e6, 1500e6);
        nextRound();
        _publish(300, BTC * 112 / 100);
        vm.prank(address(0x1D));
        vm.expectPartialRevert(OptionsClearinghouse.Insufficient.selector);
        house.liquidate(taker);
    }

    function test_totals_add_up() external {
        _sell(60_000e8, true, 2e6, 1500e6);
        (int256 cash, int256 value, uint256 maintenance) = house.totals();
        same(cash, int256(1_100_000e6), "cash");
        check(value <= 0 && value >= -2, "long and short marks cancel but for rounding");
        (, uint256 m1) = house.requirement(maker);
        (, uint256 m2) = house.requirement(taker);
        same(maintenance, m1 + m2, "maintenance");
    }

    // --- hands ---

    function _publish(uint256 stress, uint256 price) private {
        publish(report(riskWord(stress), marketWord(price)));
    }

    function _fund(address account, uint256 amount) private {
        usd.mint(account, amount);
        vm.startPrank(account);
        usd.approve(address(house), amount);
        house.deposit(amount);
        vm.stopPrank();
    }

    /// @dev The taker sells to the maker.
    function _sell(uint64 strike, bool isCall, int256 quantity, uint128 price) private returns (uint256 series) {
        OptionsClearinghouse.Order memory order = _order(strike, isCall, quantity, price);
        _fill(order);
        return order.series;
    }

    function _fill(OptionsClearinghouse.Order memory order) private {
        bytes memory signature = _signed(order);
        vm.prank(taker);
        house.fill(order, signature);
    }

    function _order(uint64 strike, bool isCall, int256 quantity, uint128 price)
        private
        returns (OptionsClearinghouse.Order memory)
    {
        uint256 series = house.seriesId(0, EXPIRY, strike, isCall);
        return OptionsClearinghouse.Order(maker, series, quantity, price, block.timestamp + 60, ++salt);
    }

    function _signed(OptionsClearinghouse.Order memory order) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(MAKER_KEY, house.orderDigest(order));
        return abi.encodePacked(r, s, v);
    }
}
