// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IClearinghouse} from "../../src/interfaces/IClearinghouse.sol";
import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {Book} from "../../src/protocol/Book.sol";
import {Margining} from "../../src/protocol/Margining.sol";
import {MarketSet} from "../../src/protocol/MarketSet.sol";
import {OrderDesk} from "../../src/protocol/OrderDesk.sol";
import {Rules} from "../../src/protocol/Rules.sol";
import {Series} from "../../src/protocol/Series.sol";
import {Trading} from "../../src/protocol/Trading.sol";
import {HouseSetup} from "./HouseSetup.sol";

contract TradingTest is HouseSetup {
    function test_a_fill_moves_premium_and_position() external {
        uint256 series = sell(60_000e8, true, 2e6, 1500e6);
        same(house.quantityOf(taker, series), int256(-2e6), "short");
        same(house.quantityOf(maker, series), int256(2e6), "long");
        same(house.cashOf(taker), 103_000e6, "premium in");
        same(house.cashOf(maker), 997_000e6, "premium out");
        same(house.legsOf(taker, 0).length, 1, "legs");
        same(house.legsOf(taker, 1).length, 0, "other market");
        same(house.openInterest(series), 2e6, "open in the series");
        same(house.marketOpenInterest(0), 2e6, "open in the market");
        same(house.accountCount(), 2, "accounts");
        same(house.marketsOf(taker).length, 1, "markets");
    }

    function test_only_the_desk_trades_for_accounts() external {
        uint256 series = Series.pack(0, EXPIRY, 60_000e8, true);
        vm.expectRevert(abi.encodeWithSelector(Trading.NotTheDesk.selector, address(this), address(desk)));
        house.trade(maker, taker, series, 1e6, 1e6);
    }

    function test_nobody_trades_with_itself() external {
        OrderDesk.Order memory o = order(60_000e8, true, 1e6, 1500e6);
        bytes memory signature = signed(MAKER_KEY, o);
        vm.expectRevert(abi.encodeWithSelector(Trading.SelfTrade.selector, maker));
        vm.prank(maker);
        desk.fill(o, signature, 1e6);
    }

    function test_a_position_beyond_initial_margin_is_refused() external {
        refused(order(60_000e8, true, 100e6, 1500e6), Book.Insufficient.selector);
    }

    function test_a_premium_beyond_cash_is_refused_with_both_figures() external {
        OrderDesk.Order memory o = order(60_000e8, true, -1e6, 100_001e6);
        bytes memory signature = signed(MAKER_KEY, o);
        vm.expectRevert(abi.encodeWithSelector(Book.Insufficient.selector, int256(100_000e6), uint256(100_001e6)));
        vm.prank(taker);
        desk.fill(o, signature, 1e6);
    }

    function test_a_bought_option_needs_its_premium_only() external {
        vm.prank(taker);
        house.withdraw(address(usd), 98_500e6);
        fill(order(60_000e8, true, -1e6, 1500e6));
        same(house.cashOf(taker), 0, "all of it");
        check(house.health(taker).value > 0, "and owns an option");
    }

    function test_closing_ends_the_position_and_frees_its_margin() external {
        uint256 series = sell(60_000e8, true, 2e6, 1500e6);
        fill(order(60_000e8, true, -2e6, 1500e6));
        same(house.quantityOf(taker, series), int256(0), "closed");
        same(house.legsOf(taker, 0).length, 0, "no leg");
        same(house.marketsOf(taker).length, 0, "no market");
        same(house.openInterest(series), 0, "nothing open");
        same(house.marketOpenInterest(0), 0, "nothing open in the market");
        same(house.health(taker).initial, 0, "no requirement");
        vm.prank(taker);
        house.withdraw(address(usd), 100_000e6);
    }

    function test_fuzz_a_premium_creates_no_dollar(uint256 quantity, uint256 price) external {
        quantity = within(quantity, 1, 2e6);
        price = within(price, 0, 5_000e6);
        sell(60_000e8, false, int256(quantity), uint128(price));
        uint256 all = house.cashOf(maker) + house.cashOf(taker) + house.cashOf(house.insurance());
        same(all, 1_100_000e6, "conserved");
        check(house.cashOf(house.insurance()) <= 1, "at most a unit of rounding");
    }

    // --- markets that cannot be relied on ---------------------------------------------------------------------------

    function test_while_a_market_is_stale_risk_may_only_shrink_and_collateral_only_grow() external {
        uint256 series = sell(60_000e8, true, 2e6, 1500e6);
        oracle.setStatus(0, IRiskOracle.Status.STALE);
        _onlyShrinks(series);
    }

    function test_while_a_market_is_halted_risk_may_only_shrink_and_collateral_only_grow() external {
        uint256 series = sell(60_000e8, true, 2e6, 1500e6);
        oracle.setStatus(0, IRiskOracle.Status.HALTED);
        _onlyShrinks(series);
    }

    function test_aging_figures_may_be_traded_on() external {
        oracle.setStatus(0, IRiskOracle.Status.AGING);
        sell(60_000e8, true, 2e6, 1500e6);
    }

    function test_an_empty_market_cannot_be_traded() external {
        house.setMarket(7, Rules.MarketRules(LIMIT, LIMIT, LIMIT, 30 days));
        refused(orderIn(Series.pack(7, EXPIRY, 100e8, true), 1e6, 1e6), Margining.MarketUnusable.selector);
    }

    function _onlyShrinks(uint256 series) private {
        refused(order(60_000e8, true, 1e5, 1500e6), Margining.MarketUnusable.selector);
        vm.expectRevert(abi.encodeWithSelector(Margining.MarketUnusable.selector, taker));
        vm.prank(taker);
        house.withdraw(address(usd), 1);
        fund(taker, 5e6);
        fill(order(60_000e8, true, -5e5, 1400e6));
        same(house.quantityOf(taker, series), int256(-15e5), "closed some");
    }

    function test_closing_at_a_ruinous_premium_is_refused_below_initial_margin() external {
        sell(60_000e8, true, 10e6, 1500e6);
        publish(0, 500, BTC * 115 / 100);
        refused(order(60_000e8, true, -1e6, 60_000e6), Book.Insufficient.selector);
        fill(order(60_000e8, true, -1e6, 9_000e6));
    }

    // --- limits -----------------------------------------------------------------------------------------------------

    function test_an_accounts_limit_counts_both_sides_of_a_market() external {
        house.setMarket(0, Rules.MarketRules(3e6, uint64(LIMIT), uint64(LIMIT), 366 days));
        sell(60_000e8, true, 2e6, 1500e6);
        OrderDesk.Order memory o = order(50_000e8, false, -2e6, 100e6);
        bytes memory signature = signed(MAKER_KEY, o);
        vm.expectRevert(abi.encodeWithSelector(Rules.AccountLimit.selector, 4e6, 3e6));
        vm.prank(taker);
        desk.fill(o, signature, 2e6);
        fill(order(50_000e8, false, -1e6, 100e6));
        fill(order(60_000e8, true, -2e6, 1500e6));
    }

    function test_a_series_and_a_market_have_limits() external {
        house.setMarket(0, Rules.MarketRules(LIMIT, 2e6, 3e6, 366 days));
        sell(60_000e8, true, 2e6, 1500e6);
        refused(order(60_000e8, true, 1, 1500e6), Rules.SeriesLimit.selector);
        refused(order(61_000e8, true, 1e6 + 1, 1500e6), Rules.MarketLimit.selector);
        sell(61_000e8, true, 1e6, 1500e6);
    }

    function test_unlisted_markets_and_dead_or_distant_series_are_refused() external {
        refused(orderIn(Series.pack(9, EXPIRY, 100e8, true), 1e6, 1e6), Rules.MarketNotListed.selector);
        refused(orderIn(Series.pack(0, uint40(START), 100e8, true), 1e6, 1e6), Rules.SeriesExpired.selector);
        refused(orderIn(Series.pack(0, uint40(START + 367 days), 100e8, true), 1e6, 1e6), Rules.LivesTooLong.selector);
        refused(orderIn(Series.pack(0, EXPIRY, 0, true), 1e6, 1e6), Series.NoSuchSeries.selector);
        refused(orderIn(1 << 121 | Series.pack(0, EXPIRY, 1, true), 1e6, 1e6), Series.NoSuchSeries.selector);
    }

    function test_a_position_has_a_size_that_the_engine_can_carry() external {
        house.setMarket(0, Rules.MarketRules(type(uint64).max, type(uint64).max, type(uint64).max, 366 days));
        refused(order(60_000e8, true, 1e15 + 1, 0), Book.QuantityOutOfRange.selector);
    }

    function test_an_account_has_at_most_64_positions() external {
        for (uint64 i = 0; i < 64; ++i) {
            sell(60_000e8 + i * 100e8, true, 1e4, 1500e6);
        }
        same(house.legsOf(taker, 0).length, 64, "legs");
        OrderDesk.Order memory o = order(90_000e8, true, 1e4, 1e6);
        bytes memory signature = signed(MAKER_KEY, o);
        vm.expectRevert(abi.encodeWithSelector(Book.TooManyLegs.selector, 65, 64));
        vm.prank(taker);
        desk.fill(o, signature, 1e4);
    }

    function test_an_account_has_positions_in_at_most_15_markets() external {
        for (uint16 market = 10; market < 26; ++market) {
            publish(market, 100, BTC);
            house.setMarket(market, Rules.MarketRules(LIMIT, LIMIT, LIMIT, 30 days));
            OrderDesk.Order memory o = orderIn(Series.pack(market, EXPIRY, 60_000e8, true), 1e4, 1500e6);
            if (market < 25) fill(o);
            else refused(o, MarketSet.TooManyMarkets.selector);
        }
        uint16[] memory markets = house.marketsOf(taker);
        same(markets.length, 15, "markets");
        same(markets[14], 24, "the last");
    }

    // --- close-only -------------------------------------------------------------------------------------------------

    function test_a_closed_market_lets_both_sides_shrink_and_neither_grow() external {
        uint256 series = sell(60_000e8, true, 2e6, 1500e6);
        vm.prank(guardian);
        house.setCloseOnly(0);
        refused(order(60_000e8, true, 1e6, 1500e6), Rules.MarketCloseOnly.selector);
        refused(order(61_000e8, true, 1e6, 1500e6), Rules.MarketCloseOnly.selector);
        refused(order(60_000e8, true, -3e6, 1500e6), Rules.MarketCloseOnly.selector);
        fill(order(60_000e8, true, -1e6, 1500e6));
        same(house.quantityOf(taker, series), int256(-1e6), "closed some");
        vm.prank(taker);
        house.withdraw(address(usd), 1e6);
        house.reopen(0);
        sell(60_000e8, true, 1e6, 1500e6);
    }

    function test_the_guardian_stops_everything_and_only_governance_reopens() external {
        vm.prank(guardian);
        house.setCloseOnlyEverywhere();
        refused(order(60_000e8, true, 1e6, 1500e6), Rules.MarketCloseOnly.selector);
        bytes4 unauthorized = bytes4(keccak256("AccessManagedUnauthorized(address)"));
        vm.startPrank(guardian);
        vm.expectRevert(abi.encodeWithSelector(unauthorized, guardian));
        house.reopenEverywhere();
        vm.expectRevert(abi.encodeWithSelector(unauthorized, guardian));
        house.reopen(0);
        vm.expectRevert(abi.encodeWithSelector(unauthorized, guardian));
        house.setMarket(0, Rules.MarketRules(1, 1, 1, 1));
        vm.stopPrank();
        house.reopenEverywhere();
        sell(60_000e8, true, 1e6, 1500e6);
    }

    function test_a_market_lives_no_longer_than_the_engine_is_shown_for() external {
        vm.expectRevert(abi.encodeWithSelector(Rules.LifeOutOfRange.selector, 366 days + 1, 366 days));
        house.setMarket(0, Rules.MarketRules(LIMIT, LIMIT, LIMIT, 366 days + 1));
    }

    // --- requirement ------------------------------------------------------------------------------------------------

    function test_the_accounts_multiplier_raises_its_requirement_and_no_other() external {
        sell(60_000e8, true, 2e6, 1500e6);
        IClearinghouse.Health memory before = house.health(taker);
        accountRisk.set(taker, 15_000);
        IClearinghouse.Health memory h = house.health(taker);
        check(h.initial * 2 + 3 > before.initial * 3 && h.initial * 2 < before.initial * 3 + 3, "half as much again");
        accountRisk.set(taker, 5_000);
        same(house.multiplierOf(taker), 10_000, "never below one");
        same(house.health(taker).initial, before.initial, "back");
        (uint256 initial,,,) = house.requirementOf(taker, 0);
        same(initial, before.initial, "a market's share is before the multiplier");
    }

    function test_accounts_and_totals_are_read_page_by_page() external {
        sell(60_000e8, true, 2e6, 1500e6);
        (uint256 assets, int256 value, uint256 maintenance) = house.totals(0, 10);
        same(assets, 1_100_000e6, "assets");
        check(value <= 0 && value >= -2, "long and short marks cancel but for rounding");
        same(maintenance, house.health(maker).maintenance + house.health(taker).maintenance, "maintenance");
        (uint256 first,,) = house.totals(0, 1);
        (uint256 second,,) = house.totals(1, 1);
        same(first + second, assets, "pages");
        same(house.accounts(2, 5).length, 0, "beyond the end");
        same(house.accounts(1, type(uint256).max).length, 1, "to the end");
    }

    function test_fuzz_positions_come_and_go_in_any_order(uint256 seed) external {
        for (uint256 i = 0; i < 12; ++i) {
            uint256 r = uint256(keccak256(abi.encode(seed, i)));
            int256 quantity = int256(r % 3e5) - 15e4;
            if (quantity != 0) sell(uint64(58_000e8 + (r >> 32) % 4 * 1000e8), r >> 64 & 1 == 0, quantity, 900e6);
        }
        uint256 open = 0;
        for (uint256 k = 0; k < 8; ++k) {
            uint256 series = Series.pack(0, EXPIRY, uint64(58_000e8 + k / 2 * 1000e8), k % 2 == 0);
            int256 q = house.quantityOf(taker, series);
            same(house.quantityOf(maker, series), -q, "two sides");
            same(house.openInterest(series), uint256(q < 0 ? -q : q), "open interest");
            open += uint256(q < 0 ? -q : q);
        }
        same(house.marketOpenInterest(0), open, "market");
        same(house.legsOf(taker, 0).length, house.legsOf(maker, 0).length, "legs");
    }
}
