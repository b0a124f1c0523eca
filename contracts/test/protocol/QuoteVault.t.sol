// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IClearinghouse} from "../../src/interfaces/IClearinghouse.sol";
import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {Book} from "../../src/protocol/Book.sol";
import {OrderDesk} from "../../src/protocol/OrderDesk.sol";
import {QuoteVault} from "../../src/protocol/QuoteVault.sol";
import {Series} from "../../src/protocol/Series.sol";
import {HouseSetup} from "./HouseSetup.sol";

contract QuoteVaultTest is HouseSetup {
    uint256 private constant QUOTER_KEY = 0xABBA;
    address private constant LENDER = address(0x1E);
    QuoteVault private vault;
    uint256 private series = Series.pack(0, EXPIRY, 60_000e8, true);

    function setUp() public override {
        super.setUp();
        vault = new QuoteVault(address(authority), IClearinghouse(address(house)), desk);
        vault.setQuoter(vm.addr(QUOTER_KEY));
        vault.setMarketQuotes(0, QuoteVault.MarketQuotes({mostSize: 2e6, mostDelta: 3e6}));
        _enter(LENDER, 500_000e6);
    }

    function test_a_share_has_a_name_and_nine_decimals() external view {
        check(keccak256(bytes(vault.name())) == keccak256("Margrave Quote Vault"), "name");
        check(keccak256(bytes(vault.symbol())) == keccak256("mQUOTE"), "symbol");
        same(vault.decimals(), 9, "decimals");
    }

    // --- quotes -----------------------------------------------------------------------------------------------------

    function test_anyone_trades_at_the_open_quote_without_a_signature() external {
        (uint256 bid, uint256 ask) = vault.quote(series);
        check(bid > 0 && bid < ask, "a spread");
        _take(_order(-1e6, ask), "");
        same(house.quantityOf(address(vault), series), int256(-1e6), "sold");
        same(house.quantityOf(taker, series), int256(1e6), "bought");
        (bid,) = vault.quote(series);
        _take(_order(1e6, bid), "");
        same(house.quantityOf(address(vault), series), int256(0), "bought back");
        check(vault.totalAssets() > 500_000e6, "the spread stays");
    }

    function test_a_price_inside_the_spread_needs_the_quoter_and_its_own_least_spread() external {
        (uint256 bid, uint256 ask) = vault.quote(series);
        OrderDesk.Order memory o = _order(-1e6, ask - 10e6);
        _refused(o, "");
        _take(o, signed(QUOTER_KEY, o));
        o = _order(-1e6, (bid + ask) / 2);
        _refused(o, signed(QUOTER_KEY, o));
        _saysWhy(o, signed(QUOTER_KEY, o), QuoteVault.PriceTooLow.selector);
        o = _order(1e6, (bid + ask) / 2);
        _saysWhy(o, signed(QUOTER_KEY, o), QuoteVault.PriceTooHigh.selector);
        _saysWhy(o, signed(MAKER_KEY, o), QuoteVault.NotQuoter.selector);
    }

    function test_a_quote_of_another_order_is_no_quote() external {
        (, uint256 ask) = vault.quote(series);
        OrderDesk.Order memory o = _order(-1e6, ask);
        OrderDesk.Order memory other = _order(-1e6, ask);
        bytes memory signature = abi.encode(o, bytes(""));
        vm.expectPartialRevert(OrderDesk.WrongSignature.selector);
        vm.prank(taker);
        desk.fill(other, signature, 1e6);
        bytes32 digest = desk.orderDigest(other);
        vm.expectRevert(
            abi.encodeWithSelector(QuoteVault.NotOurOrder.selector, address(vault), desk.orderDigest(o), digest)
        );
        vault.isValidSignature(digest, signature);
    }

    function test_quotes_end_with_fresh_figures_the_pause_and_the_series() external {
        (, uint256 ask) = vault.quote(series);
        OrderDesk.Order memory o = _order(-1e6, ask);
        oracle.setStatus(0, IRiskOracle.Status.AGING);
        _saysWhy(o, "", QuoteVault.MarketNotFresh.selector);
        oracle.setStatus(0, IRiskOracle.Status.FRESH);
        vault.pause();
        _saysWhy(o, "", QuoteVault.QuotesPaused.selector);
        vault.unpause();
        OrderDesk.Order memory other = _order(-1e6, ask);
        other.series = Series.pack(1, EXPIRY, 3000e8, true);
        _saysWhy(other, "", QuoteVault.NotQuoted.selector);
        vm.warp(EXPIRY - 1 hours + 1);
        publish(0, 100, BTC);
        _saysWhy(o, "", QuoteVault.TooCloseToExpiry.selector);
    }

    function test_an_order_has_a_size_and_the_book_a_delta() external {
        OrderDesk.Order memory o = _order(-2e6 - 1, 60_000e6);
        _saysWhy(o, "", QuoteVault.OrderTooLarge.selector);
        fund(taker, 200_000e6);
        uint256 sold = 0;
        while (true) {
            o = _order(-2e6, 5_000e6);
            (bool good,) = _asks(o);
            if (!good) break;
            _take(o, "");
            sold += 2e6;
        }
        _saysWhy(o, "", QuoteVault.DeltaLimit.selector);
        int256 delta = vault.deltaIn(0);
        check(delta < 0 && delta >= -3e6 && sold >= 4e6, "within the limit");
        vault.setMarketQuotes(0, QuoteVault.MarketQuotes({mostSize: 2e6, mostDelta: 1}));
        (uint256 bid,) = vault.quote(series);
        _take(_order(1e6, bid), "");
        check(vault.deltaIn(0) > delta, "what brings it nearer is taken");
    }

    function test_the_vault_is_margined_like_anyone() external {
        vault.setMarketQuotes(0, QuoteVault.MarketQuotes({mostSize: 1e9, mostDelta: 1e12}));
        fund(taker, 10_000_000e6);
        (, uint256 ask) = vault.quote(series);
        OrderDesk.Order memory o = _order(-400e6, ask);
        bytes memory signature = abi.encode(o, bytes(""));
        vm.expectPartialRevert(Book.Insufficient.selector);
        vm.prank(taker);
        desk.fill(o, signature, 400e6);
    }

    function test_the_quoter_voids_its_quotes_and_nobody_else_does() external {
        (, uint256 ask) = vault.quote(series);
        OrderDesk.Order memory o = _order(-1e6, ask);
        vm.expectRevert(abi.encodeWithSelector(QuoteVault.NotQuoter.selector, taker));
        vm.prank(taker);
        vault.voidBelow(o.salt + 1);
        vm.prank(vm.addr(QUOTER_KEY));
        vault.voidBelow(o.salt + 1);
        bytes memory signature = abi.encode(o, bytes(""));
        vm.expectRevert(abi.encodeWithSelector(OrderDesk.OrderVoid.selector, o.salt, o.salt + 1));
        vm.prank(taker);
        desk.fill(o, signature, 1e6);
    }

    // --- depositors -------------------------------------------------------------------------------------------------

    function test_a_depositor_has_what_it_brought_less_the_exit_fee() external {
        same(vault.balanceOf(LENDER), 500_000e9, "a share a dollar");
        _enter(taker, 100_000e6);
        vm.startPrank(taker);
        vm.expectRevert(abi.encodeWithSelector(QuoteVault.Locked.selector, START + 1 hours, START));
        vault.redeem(1, 0);
        vm.expectRevert(abi.encodeWithSelector(QuoteVault.Locked.selector, START + 1 hours, START));
        vault.transfer(LENDER, 1);
        vm.warp(START + 1 hours);
        uint256 shares = vault.balanceOf(taker);
        vm.expectPartialRevert(QuoteVault.TooFew.selector);
        vault.redeem(shares, 100_000e6);
        uint256 got = vault.redeem(shares, 99_000e6);
        check(got <= 99_800e6 && got >= 99_800e6 - 1, "less 0.2 %");
        check(vault.totalAssets() >= 500_200e6, "which stays");
    }

    function test_leaving_is_open_while_paused_and_refused_while_the_money_is_margin() external {
        (, uint256 ask) = vault.quote(series);
        _take(_order(-2e6, ask), "");
        vault.pause();
        vm.warp(START + 1 hours);
        publish(0, 100, BTC);
        vm.startPrank(LENDER);
        vault.redeem(200_000e9, 0);
        uint256 rest = vault.balanceOf(LENDER);
        vm.expectPartialRevert(Book.Insufficient.selector);
        vault.redeem(rest, 0);
    }

    function test_nobody_enters_or_leaves_at_an_unknown_mark() external {
        (, uint256 ask) = vault.quote(series);
        _take(_order(-1e6, ask), "");
        vm.warp(START + 1 hours);
        oracle.setStatus(0, IRiskOracle.Status.STALE);
        vm.startPrank(LENDER);
        vm.expectRevert(QuoteVault.UnknownWorth.selector);
        vault.redeem(1, 0);
        vm.expectRevert(QuoteVault.UnknownWorth.selector);
        vault.deposit(1e6, 0);
    }

    function test_a_donation_before_the_first_deposit_gains_nothing() external {
        QuoteVault fresh = new QuoteVault(address(authority), IClearinghouse(address(house)), desk);
        usd.mint(taker, 30_000e6);
        vm.startPrank(taker);
        usd.approve(address(fresh), type(uint256).max);
        fresh.deposit(1, 0);
        usd.transfer(address(fresh), 20_000e6);
        fresh.deposit(1, 0);
        vm.stopPrank();
        usd.mint(LENDER, 10_000e6);
        vm.startPrank(LENDER);
        usd.approve(address(fresh), type(uint256).max);
        fresh.deposit(10_000e6, 0);
        vm.warp(START + 1 hours);
        uint256 got = fresh.redeem(fresh.balanceOf(LENDER), 0);
        check(got > 9_970e6, "the victim has its money");
    }

    function test_a_deposit_too_small_for_a_share_or_below_what_is_asked_is_refused() external {
        usd.mint(taker, 1e6);
        vm.startPrank(taker);
        usd.approve(address(vault), 1e6);
        vm.expectPartialRevert(QuoteVault.TooFew.selector);
        vault.deposit(0, 0);
        vm.expectPartialRevert(QuoteVault.TooFew.selector);
        vault.deposit(1e6, 2e9);
    }

    function test_a_vault_below_nothing_takes_no_deposit() external {
        (, uint256 ask) = vault.quote(series);
        _take(_order(-2e6, ask), "");
        publish(0, 100, BTC * 8);
        vm.expectPartialRevert(QuoteVault.Worthless.selector);
        vm.prank(taker);
        vault.deposit(1e6, 0);
    }

    function test_rules_have_bounds_and_an_owner() external {
        QuoteVault.VaultRules memory r = QuoteVault.VaultRules(50, 10_001, 20, 1, 1);
        _refusedRules(r, 10_001, 10_000);
        r = QuoteVault.VaultRules(301, 300, 20, 1, 1);
        _refusedRules(r, 301, 300);
        r = QuoteVault.VaultRules(50, 300, 501, 1, 1);
        _refusedRules(r, 501, 500);
        r = QuoteVault.VaultRules(50, 300, 20, 30 days + 1, 1);
        _refusedRules(r, 30 days + 1, 30 days);
        vault.setRules(QuoteVault.VaultRules(10, 20, 0, 0, 0));
        vm.expectPartialRevert(bytes4(keccak256("AccessManagedUnauthorized(address)")));
        vm.prank(taker);
        vault.setRules(r);
    }

    function test_fuzz_shares_never_pay_out_more_than_was_brought(uint256 a, uint256 b, uint256 part) external {
        vault.setRules(QuoteVault.VaultRules(50, 300, 0, 0, 0));
        (a, b) = (within(a, 1, 1e12), within(b, 1, 1e12));
        _enter(maker, a);
        _enter(taker, b);
        uint256 shares = vault.balanceOf(taker);
        vm.startPrank(taker);
        uint256 got = vault.redeem(within(part, 0, shares), 0);
        got += vault.redeem(vault.balanceOf(taker), 0);
        vm.stopPrank();
        check(got <= b, "no more than it brought");
        vm.startPrank(maker);
        got = vault.redeem(vault.balanceOf(maker), 0);
        check(got <= a + 1, "nor the other");
    }

    // --- hands ------------------------------------------------------------------------------------------------------

    function _enter(address who, uint256 amount) private {
        usd.mint(who, amount);
        vm.startPrank(who);
        usd.approve(address(vault), amount);
        vault.deposit(amount, 0);
        vm.stopPrank();
    }

    function _order(int256 quantity, uint256 price) private returns (OrderDesk.Order memory o) {
        o = orderIn(series, quantity, uint128(price));
        o.maker = address(vault);
    }

    function _take(OrderDesk.Order memory o, bytes memory quoterSignature) private {
        vm.prank(taker);
        desk.fill(o, abi.encode(o, quoterSignature), size(o));
    }

    function _refused(OrderDesk.Order memory o, bytes memory quoterSignature) private {
        bytes32 digest = desk.orderDigest(o);
        vm.expectRevert(abi.encodeWithSelector(OrderDesk.WrongSignature.selector, address(vault), digest));
        vm.prank(taker);
        desk.fill(o, abi.encode(o, quoterSignature), size(o));
    }

    function _saysWhy(OrderDesk.Order memory o, bytes memory quoterSignature, bytes4 why) private {
        bytes32 digest = desk.orderDigest(o);
        vm.expectPartialRevert(why);
        vault.isValidSignature(digest, abi.encode(o, quoterSignature));
    }

    function _asks(OrderDesk.Order memory o) private view returns (bool good, bytes4 why) {
        try vault.isValidSignature(desk.orderDigest(o), abi.encode(o, bytes(""))) {
            return (true, 0);
        } catch (bytes memory reason) {
            return (false, bytes4(reason));
        }
    }

    function _refusedRules(QuoteVault.VaultRules memory r, uint256 value, uint256 most) private {
        vm.expectRevert(abi.encodeWithSelector(QuoteVault.RuleOutOfRange.selector, value, most));
        vault.setRules(r);
    }
}
