// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IClearinghouse} from "../../src/interfaces/IClearinghouse.sol";
import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {Book} from "../../src/protocol/Book.sol";
import {InsuranceFund} from "../../src/protocol/InsuranceFund.sol";
import {LiquidationAuctions} from "../../src/protocol/LiquidationAuctions.sol";
import {Series} from "../../src/protocol/Series.sol";
import {TakeOvers} from "../../src/protocol/TakeOvers.sol";
import {HouseSetup} from "./HouseSetup.sol";

contract LiquidationTest is HouseSetup {
    address private constant BIDDER = address(0x1D);
    uint256 private constant ALL = 1e18;
    /// @dev What a millionth of a contract, the smallest part of a position, moves at most.
    int256 private constant UNIT = 0.1e6;
    uint256 private series;

    function setUp() public override {
        super.setUp();
        fund(BIDDER, 500_000e6);
        series = sell(60_000e8, true, 10e6, 1500e6);
    }

    // --- the flag ---------------------------------------------------------------------------------------------------

    function test_a_healthy_account_cannot_be_flagged() external {
        (LiquidationAuctions.Distress memory d) = auctions.distressOf(taker);
        vm.expectRevert(abi.encodeWithSelector(LiquidationAuctions.Healthy.selector, d.equity, d.maintenance));
        auctions.flag(taker);
    }

    function test_an_owner_has_a_grace_before_the_auction() external {
        _below();
        auctions.flag(taker);
        uint256 start = START + 30 minutes;
        same(auctions.startsAt(taker), start, "later");
        vm.expectRevert(abi.encodeWithSelector(LiquidationAuctions.AlreadyFlagged.selector, start));
        auctions.flag(taker);
        vm.expectRevert(
            abi.encodeWithSelector(LiquidationAuctions.AuctionNotOpen.selector, start, start + 1 days, START)
        );
        vm.prank(BIDDER);
        auctions.bid(taker, ALL, type(int128).min);
        fund(taker, 100_000e6);
        auctions.unflag(taker);
        same(auctions.startsAt(taker), 0, "unflagged");
        vm.expectRevert(abi.encodeWithSelector(LiquidationAuctions.NotFlagged.selector, taker));
        auctions.unflag(taker);
    }

    function test_far_below_maintenance_there_is_no_grace() external {
        _below();
        auctions.flag(taker);
        publish(0, 200, _price() * 106 / 100);
        auctions.flag(taker);
        same(auctions.startsAt(taker), block.timestamp, "at once");
    }

    function test_a_flag_stays_while_below_and_lapses_unused() external {
        _below();
        auctions.flag(taker);
        vm.expectPartialRevert(LiquidationAuctions.BelowMaintenance.selector);
        auctions.unflag(taker);
        vm.warp(START + 30 minutes + 1 days + 1);
        publish(0, 100, _price());
        vm.expectPartialRevert(LiquidationAuctions.AuctionNotOpen.selector);
        vm.prank(BIDDER);
        auctions.bid(taker, ALL, type(int128).min);
        auctions.flag(taker);
        check(auctions.startsAt(taker) > block.timestamp, "a new grace");
    }

    function test_only_fresh_figures_liquidate() external {
        _below();
        oracle.setStatus(0, IRiskOracle.Status.AGING);
        vm.expectPartialRevert(LiquidationAuctions.Healthy.selector);
        auctions.flag(taker);
        oracle.setStatus(0, IRiskOracle.Status.FRESH);
        _open();
        oracle.setStatus(0, IRiskOracle.Status.HALTED);
        vm.expectPartialRevert(LiquidationAuctions.Healthy.selector);
        vm.prank(BIDDER);
        auctions.bid(taker, ALL, type(int128).min);
    }

    // --- bids -------------------------------------------------------------------------------------------------------

    function test_a_bid_restores_initial_margin_and_the_buffer_and_takes_no_more() external {
        _below();
        _open();
        IClearinghouse.Health memory before = house.health(taker);
        (LiquidationAuctions.Distress memory d, uint256 discount, uint256 most) = auctions.quote(taker);
        same(discount, d.cost, "the cost of closing at first");
        check(most > 0 && most < ALL, "a part");
        vm.prank(BIDDER);
        (uint256 taken, int256 cash) = auctions.bid(taker, ALL, type(int256).min);
        same(taken, most, "what it needs");
        check(cash > 0, "paid to take on a liability");
        IClearinghouse.Health memory h = house.health(taker);
        int256 target = int256(h.initial * 105 / 100);
        check(equity(taker) >= target - UNIT, "restored");
        check(equity(taker) <= target + UNIT, "and no more");
        check(h.initial < before.initial, "smaller");
        same(house.quantityOf(taker, series) + house.quantityOf(BIDDER, series), int256(-10e6), "moved");
        same(auctions.startsAt(taker), 0, "the flag is gone");
        check(house.cashOf(house.insurance()) > 0, "the fund has its share");
        _conserved(1_600_000e6);
    }

    function test_the_discount_grows_with_time_until_equity() external {
        _below();
        _open();
        (LiquidationAuctions.Distress memory d, uint256 first,) = auctions.quote(taker);
        vm.warp(block.timestamp + 1 minutes);
        publish(0, 100, _price());
        (, uint256 second,) = auctions.quote(taker);
        check(second > first + d.cost / 2 - 2 && second < first + d.cost / 2 + d.cost / 50, "half a step");
        vm.warp(block.timestamp + 20 hours);
        publish(0, 100, _price());
        (d, second,) = auctions.quote(taker);
        same(int256(second), d.equity, "at most what the account has");
    }

    function test_small_bids_do_not_take_more_either() external {
        _below();
        publish(0, 100, _price() * 102 / 100);
        _open();
        (,, uint256 most) = auctions.quote(taker);
        vm.startPrank(BIDDER);
        auctions.bid(taker, most / 4, type(int128).min);
        (LiquidationAuctions.Distress memory d,, uint256 rest) = auctions.quote(taker);
        check(d.equity < int256(d.maintenance), "still below");
        // A share of what is left, which is three quarters and more.
        check(rest < most, "less is needed");
        auctions.bid(taker, ALL, type(int128).min);
        vm.stopPrank();
        check(equity(taker) <= int256(house.health(taker).initial * 105 / 100) + UNIT, "no more than needed");
    }

    function test_a_bid_at_maintenance_or_by_the_owner_or_unflagged_is_refused() external {
        _below();
        vm.expectRevert(abi.encodeWithSelector(LiquidationAuctions.NotFlagged.selector, taker));
        vm.prank(BIDDER);
        auctions.bid(taker, ALL, type(int128).min);
        _open();
        vm.expectRevert(abi.encodeWithSelector(LiquidationAuctions.SelfBid.selector, taker));
        vm.prank(taker);
        auctions.bid(taker, ALL, type(int128).min);
        vm.expectPartialRevert(LiquidationAuctions.NothingToTake.selector);
        vm.prank(BIDDER);
        auctions.bid(taker, 0, type(int128).min);
        fund(taker, 200_000e6);
        vm.expectPartialRevert(LiquidationAuctions.Healthy.selector);
        vm.prank(BIDDER);
        auctions.bid(taker, ALL, type(int128).min);
    }

    function test_a_bidder_names_its_price_for_the_whole() external {
        _below();
        _open();
        (,, uint256 most) = auctions.quote(taker);
        vm.startPrank(BIDDER);
        vm.expectPartialRevert(LiquidationAuctions.TooLittle.selector);
        auctions.bid(taker, most, 1_000_000e6);
        (, int256 cash) = auctions.bid(taker, most / 2, 1e6);
        check(cash >= 1e6, "at least that");
    }

    function test_a_bidder_must_be_able_to_carry_it() external {
        _below();
        _open();
        vm.expectPartialRevert(Book.Insufficient.selector);
        vm.prank(address(0xD00));
        auctions.bid(taker, ALL, type(int128).min);
    }

    function test_tokens_move_with_the_positions() external {
        bring(taker, weth, 30e18);
        vm.prank(taker);
        house.withdraw(address(usd), 65_000e6);
        _below();
        _open();
        (LiquidationAuctions.Distress memory d,, uint256 most) = auctions.quote(taker);
        check(d.haircuts == 30 * 303e6, "what the house does not count");
        vm.prank(BIDDER);
        (uint256 taken,) = auctions.bid(taker, ALL, type(int128).min);
        same(taken, most, "taken");
        same(house.holdingOf(BIDDER, 1).amount, 30e18 * taken / 1e18, "tokens");
        same(house.holdingOf(BIDDER, 1).amount + house.holdingOf(taker, 1).amount, 30e18, "none lost");
        check(equity(taker) <= int256(house.health(taker).initial * 105 / 100) + UNIT, "no more than needed");
        _conserved(1_535_000e6);
    }

    function test_who_takes_over_more_than_it_owes_pays_for_it() external {
        bring(taker, weth, 60e18);
        vm.prank(taker);
        house.withdraw(address(usd), 110_000e6);
        _below();
        _open();
        (LiquidationAuctions.Distress memory d, uint256 discount,) = auctions.quote(taker);
        int256 price = d.taken - int256(discount) + int256(discount / 10); // the last is the fund's
        check(price > 0, "tokens worth more than the positions cost");
        uint256 cash = house.cashOf(taker);
        vm.expectPartialRevert(LiquidationAuctions.TooLittle.selector);
        vm.prank(BIDDER);
        auctions.bid(taker, ALL, 0);
        vm.prank(BIDDER);
        (uint256 taken, int256 got) = auctions.bid(taker, ALL, -price - 1);
        check(got < 0 && -got >= price * int256(taken) / 1e18 - 1, "paid");
        check(-got <= price * int256(taken) / 1e18 + 2, "and no more");
        same(house.cashOf(taker) + house.cashOf(house.insurance()), cash + uint256(-got), "to the account");
        _conserved(1_490_000e6);
    }

    function test_a_position_in_a_stopped_market_protects_nobody() external {
        uint256 dust = Series.pack(1, EXPIRY, 3000e8, true);
        fill(orderIn(dust, 1e4, 100e6));
        oracle.setStatus(1, IRiskOracle.Status.HALTED);
        _below();
        _open();
        vm.prank(BIDDER);
        auctions.bid(taker, ALL, type(int128).min);
        same(house.quantityOf(taker, dust), int256(-1e4), "stays where it is");
        check(house.quantityOf(taker, series) > -10e6, "the other is taken");
    }

    function test_below_nothing_the_fund_pays_the_bidder() external {
        _insure(200_000e6);
        publish(0, 100, BTC * 130 / 100);
        LiquidationAuctions.Distress memory d = auctions.distressOf(taker);
        check(d.equity < 0, "insolvent");
        auctions.flag(taker);
        vm.prank(BIDDER);
        (uint256 taken, int256 cash) = auctions.bid(taker, ALL, 0);
        same(taken, ALL, "all of it");
        same(house.cashOf(taker), 0, "nothing left");
        same(200_000e6 - house.cashOf(house.insurance()), uint256(-d.equity) + d.cost, "the hole and the discount");
        same(cash, int256(115_000e6 + uint256(-d.equity) + d.cost), "to the bidder");
        same(house.legsOf(taker, 0).length, 0, "handed over");
        _conserved(1_800_000e6);
    }

    function test_an_empty_fund_pays_nothing_and_the_bidder_may_say_no() external {
        publish(0, 100, BTC * 130 / 100);
        auctions.flag(taker);
        vm.startPrank(BIDDER);
        vm.expectPartialRevert(LiquidationAuctions.TooLittle.selector);
        auctions.bid(taker, ALL, 116_000e6);
        auctions.bid(taker, ALL, 115_000e6);
        vm.stopPrank();
        _conserved(1_600_000e6);
    }

    function test_liquidation_goes_on_in_close_only() external {
        _below();
        vm.prank(guardian);
        house.setCloseOnlyEverywhere();
        _open();
        vm.prank(BIDDER);
        auctions.bid(taker, ALL, type(int128).min);
    }

    function test_fuzz_no_bid_makes_a_dollar_or_takes_too_much(uint256 price, uint256 share, uint256 wait) external {
        _insure(20_000e6);
        publish(0, 100, within(price, BTC * 105 / 100, BTC * 135 / 100));
        LiquidationAuctions.Distress memory d = auctions.distressOf(taker);
        if (d.equity >= int256(d.maintenance)) return;
        auctions.flag(taker);
        vm.warp(auctions.startsAt(taker) + within(wait, 0, 3 hours));
        publish(0, 100, _price());
        d = auctions.distressOf(taker);
        if (d.equity >= int256(d.maintenance)) return;
        (,, uint256 most) = auctions.quote(taker);
        share = within(share, 1e9, ALL);
        vm.prank(BIDDER);
        try auctions.bid(taker, share, type(int128).min) returns (uint256 taken, int256) {
            check(taken <= share && taken <= most, "a share");
            int256 target = int256(house.health(taker).initial * 105 / 100);
            check(taken < most || taken == ALL || equity(taker) <= target + UNIT, "no more than needed");
        } catch (bytes memory why) {
            check(bytes4(why) == Book.Insufficient.selector, "only for want of margin");
        }
        _conserved(1_620_000e6);
    }

    // --- who may ----------------------------------------------------------------------------------------------------

    function test_only_the_auctions_move_what_is_others() external {
        IClearinghouse.TakeOver memory t;
        vm.expectRevert(abi.encodeWithSelector(TakeOvers.NotTheAuctions.selector, address(this), address(auctions)));
        house.takeOver(t);
        vm.expectRevert(abi.encodeWithSelector(TakeOvers.NotTheAuctions.selector, address(this), address(auctions)));
        house.sellCollateral(maker, taker, 1, 1, 1);
    }

    function test_rules_have_bounds() external {
        LiquidationAuctions.AuctionRules memory r =
            LiquidationAuctions.AuctionRules(1 days, 1 hours, 7 days, 10_000, 10_000, 5_000, 10_000);
        auctions.setRules(r);
        r.graceS += 1;
        _refusedRules(r, 1 days + 1, 1 days);
        (r.graceS, r.stepS) = (0, 0);
        _refusedRules(r, 1, 0);
        r.stepS = 3601;
        _refusedRules(r, 3601, 3600);
        (r.stepS, r.lifeS) = (60, 7 days + 1);
        _refusedRules(r, 7 days + 1, 7 days);
        (r.lifeS, r.urgentBp) = (0, 10_001);
        _refusedRules(r, 10_001, 10_000);
        (r.urgentBp, r.bufferBp) = (0, 10_001);
        _refusedRules(r, 10_001, 10_000);
        (r.bufferBp, r.insuranceBp) = (0, 5_001);
        _refusedRules(r, 5_001, 5_000);
        (r.insuranceBp, r.leastCostBp) = (0, 0);
        _refusedRules(r, 1, 0);
        r.leastCostBp = 10_001;
        _refusedRules(r, 10_001, 10_000);
        vm.expectPartialRevert(bytes4(keccak256("AccessManagedUnauthorized(address)")));
        vm.prank(guardian);
        auctions.setRules(r);
    }

    // --- hands ------------------------------------------------------------------------------------------------------

    /// @dev Raises the price until the taker, who wrote calls, is below maintenance.
    function _below() private {
        for (uint256 price = BTC;; price += BTC / 200) {
            publish(0, 100, price);
            LiquidationAuctions.Distress memory d = auctions.distressOf(taker);
            if (d.equity < int256(d.maintenance)) return;
        }
    }

    /// @dev Flags the taker and lets the grace pass.
    function _open() private {
        auctions.flag(taker);
        uint256 price = _price();
        vm.warp(auctions.startsAt(taker));
        publish(0, 100, price);
        publish(2, 100, ETH);
    }

    function _price() private view returns (uint256) {
        (, uint256 words,,) = oracle.read(0);
        return words >> 192;
    }

    function _conserved(uint256 dollars) private view {
        uint256 all = house.cashOf(maker) + house.cashOf(taker) + house.cashOf(BIDDER);
        same(all + house.cashOf(house.insurance()), dollars, "conserved");
        same(usd.balanceOf(address(house)), dollars, "held");
    }

    function _insure(uint256 amount) private {
        InsuranceFund insurance = InsuranceFund(house.insurance());
        usd.mint(address(this), amount);
        usd.approve(address(insurance), amount);
        insurance.fund(amount);
    }

    function _refusedRules(LiquidationAuctions.AuctionRules memory r, uint256 value, uint256 most) private {
        vm.expectRevert(abi.encodeWithSelector(LiquidationAuctions.RuleOutOfRange.selector, value, most));
        auctions.setRules(r);
    }
}
