// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {OrderDesk} from "../../src/protocol/OrderDesk.sol";
import {LiquidationAuctions} from "../../src/protocol/LiquidationAuctions.sol";
import {InsuranceFund} from "../../src/protocol/InsuranceFund.sol";
import {Series} from "../../src/protocol/Series.sol";
import {Settlement} from "../../src/protocol/Settlement.sol";
import {SettlementPrices} from "../../src/protocol/SettlementPrices.sol";
import {HouseSetup} from "./HouseSetup.sol";

contract SettlementTest is HouseSetup {
    address private constant BUYER = address(0xB1D);

    // --- prices -----------------------------------------------------------------------------------------------------

    function test_a_price_is_one_observed_at_or_after_the_expiry() external {
        publish(0, 100, BTC);
        vm.warp(EXPIRY);
        bytes4 unusable = SettlementPrices.NoUsablePrice.selector;
        vm.expectRevert(abi.encodeWithSelector(unusable, START, EXPIRY - 1, IRiskOracle.Status.FRESH));
        prices.propose(0, EXPIRY);
        publish(0, 100, 61_000e8);
        oracle.setStatus(0, IRiskOracle.Status.HALTED);
        vm.expectRevert(abi.encodeWithSelector(unusable, EXPIRY, EXPIRY - 1, IRiskOracle.Status.HALTED));
        prices.propose(0, EXPIRY);
        oracle.setStatus(0, IRiskOracle.Status.AGING);
        prices.propose(0, EXPIRY);
        vm.expectRevert(abi.encodeWithSelector(SettlementPrices.AlreadyProposed.selector, 61_000e8, EXPIRY + 1 hours));
        prices.propose(0, EXPIRY);
        (uint256 price,) = prices.finalPrice(0, EXPIRY);
        same(price, 0, "not final yet");
        vm.warp(EXPIRY + 1 hours);
        (price,) = prices.finalPrice(0, EXPIRY);
        same(price, 61_000e8, "final");
    }

    function test_a_disputed_price_needs_a_later_observation_and_disputes_end() external {
        for (uint256 i = 0; i < 3; ++i) {
            vm.warp(EXPIRY + 300 * i);
            publish(0, 100, BTC + i);
            prices.propose(0, EXPIRY);
            vm.prank(guardian);
            prices.dispute(0, EXPIRY);
            vm.expectRevert(
                abi.encodeWithSelector(
                    SettlementPrices.NoUsablePrice.selector,
                    EXPIRY + 300 * i,
                    EXPIRY + 300 * i,
                    IRiskOracle.Status.FRESH
                )
            );
            prices.propose(0, EXPIRY);
        }
        vm.warp(EXPIRY + 900);
        publish(0, 100, 62_000e8);
        prices.propose(0, EXPIRY);
        same(prices.proposalOf(0, EXPIRY).disputes, 3, "disputes");
        vm.prank(guardian);
        vm.expectRevert(abi.encodeWithSelector(SettlementPrices.TooManyDisputes.selector, 4, 3));
        prices.dispute(0, EXPIRY);
    }

    function test_disputes_are_for_the_guardian_in_time_and_of_something() external {
        vm.expectPartialRevert(bytes4(keccak256("AccessManagedUnauthorized(address)")));
        vm.prank(taker);
        prices.dispute(0, EXPIRY);
        vm.startPrank(guardian);
        vm.expectRevert(abi.encodeWithSelector(SettlementPrices.NotProposed.selector, 0, EXPIRY));
        prices.dispute(0, EXPIRY);
        vm.stopPrank();
        _final(61_000e8);
        vm.expectRevert(
            abi.encodeWithSelector(SettlementPrices.AlreadyFinal.selector, EXPIRY + 1 hours, EXPIRY + 1 hours)
        );
        vm.prank(guardian);
        prices.dispute(0, EXPIRY);
    }

    function test_the_delay_has_bounds_and_proposals_keep_theirs() external {
        vm.expectRevert(abi.encodeWithSelector(SettlementPrices.DelayOutOfRange.selector, 299, 300, 3 days));
        prices.setDelay(299);
        vm.expectRevert(abi.encodeWithSelector(SettlementPrices.DelayOutOfRange.selector, 3 days + 1, 300, 3 days));
        prices.setDelay(3 days + 1);
        vm.warp(EXPIRY);
        publish(0, 100, BTC);
        prices.propose(0, EXPIRY);
        prices.setDelay(2 days);
        same(prices.proposalOf(0, EXPIRY).finalAt, EXPIRY + 1 hours, "as proposed");
    }

    // --- money ------------------------------------------------------------------------------------------------------

    function test_fuzz_settlement_pays_the_payoff_and_creates_no_dollar(uint256 price, bool isCall) external {
        price = within(price, 45_000e8, 75_000e8);
        uint256 series = sell(60_000e8, isCall, 3e6 + 1, 1500e6);
        vm.expectRevert(abi.encodeWithSelector(Settlement.NoFinalPrice.selector, 0, EXPIRY));
        house.settle(one(taker), 0, EXPIRY);
        _final(price);
        uint256 before = house.cashOf(maker);
        house.settle(_both(), 0, EXPIRY);
        int256 inside = isCall ? int256(price) - 60_000e8 : 60_000e8 - int256(price);
        uint256 paid = inside > 0 ? (3e6 + 1) * uint256(inside) / 1e8 : 0;
        same(house.cashOf(maker) - before, paid, "paid to the holder");
        uint256 left = 1_100_000e6 - house.cashOf(maker) - house.cashOf(taker) - house.cashOf(house.insurance());
        check(left <= 1, "rounding stays in the house");
        same(house.legsOf(maker, 0).length, 0, "gone");
        same(house.openInterest(series), 0, "nothing open");
    }

    function test_holders_wait_for_the_last_writer_and_nothing_else_does() external {
        sell(60_000e8, true, 2e6, 1500e6);
        _final(65_000e8);
        house.settle(one(maker), 0, EXPIRY);
        same(house.claimsOf(maker), 10_000e6, "a claim");
        same(house.claimOn(maker, 0, EXPIRY), 10_000e6, "on the expiry");
        same(house.cashOf(maker), 997_000e6, "not paid yet");
        check(equity(maker) == 1_007_000e6, "counted");
        vm.prank(maker);
        house.withdraw(address(usd), 997_000e6);
        house.settle(_both(), 0, EXPIRY);
        same(house.cashOf(maker), 10_000e6, "paid");
        same(house.claimsOf(maker), 0, "no claim left");
        house.settle(_both(), 0, EXPIRY);
        same(house.cashOf(maker), 10_000e6, "once");
        (uint256 open, uint256 due, uint256 paid) = house.settlementOf(0, EXPIRY);
        check(open == 0 && due == 10_000e6 && paid == 10_000e6, "complete");
    }

    function test_a_spread_is_settled_net() external {
        sell(60_000e8, true, 2e6, 1500e6);
        fill(order(70_000e8, true, -2e6, 300e6));
        _final(80_000e8);
        same(house.netPayoff(taker, 0, EXPIRY), int256(-20_000e6), "capped");
        house.settle(_both(), 0, EXPIRY);
        same(house.cashOf(taker), 100_000e6 + 3_000e6 - 600e6 - 20_000e6, "net");
    }

    function test_positions_of_a_settled_expiry_carry_no_more_risk() external {
        sell(60_000e8, true, 2e6, 1500e6);
        _final(65_000e8);
        publish(0, 300, 90_000e8);
        oracle.setStatus(0, IRiskOracle.Status.STALE);
        same(house.health(taker).value, int256(-10_000e6), "what it owes");
        same(house.health(taker).initial, 0, "no margin");
        check(house.health(taker).usable, "and no market");
        vm.startPrank(taker);
        house.withdraw(address(usd), 93_000e6);
        vm.expectRevert();
        house.withdraw(address(usd), 1);
    }

    function test_expired_positions_without_a_price_stay_margined() external {
        sell(60_000e8, true, 2e6, 1500e6);
        vm.warp(EXPIRY + 1);
        publish(0, 100, 65_000e8);
        check(house.health(taker).initial > 0, "at risk");
        same(house.netPayoff(taker, 0, EXPIRY), int256(0), "unknown");
    }

    // --- writers who cannot pay -------------------------------------------------------------------------------------

    function test_a_writers_collateral_is_sold_for_what_is_missing_and_no_more() external {
        _writeOnTokens();
        _final(70_000e8);
        house.settle(_both(), 0, EXPIRY);
        check(house.legsOf(taker, 0).length == 1, "waits");
        fund(BUYER, 1_000_000e6);
        vm.prank(BUYER);
        (uint256 bought, uint256 paid) = auctions.buyCollateral(taker, 0, EXPIRY, 1, 200e18, 700_000e6);
        same(paid, 85_000e6, "what is missing");
        // 5 % above 3,000 dollars.
        same(bought, 85_000e18 / uint256(3150), "at the first price");
        same(house.holdingOf(BUYER, 1).amount, bought, "delivered");
        vm.expectRevert(abi.encodeWithSelector(LiquidationAuctions.NotShort.selector, 100_000e6, int256(-100_000e6)));
        vm.prank(BUYER);
        auctions.buyCollateral(taker, 0, EXPIRY, 1, 1e18, 4_000e6);
        house.settle(_both(), 0, EXPIRY);
        same(house.cashOf(taker), 0, "all of it");
        same(house.cashOf(maker), 1_000_000e6 - 15_000e6 + 100_000e6, "in full");
    }

    function test_the_price_of_collateral_falls_to_nothing_and_is_bounded_by_the_buyer() external {
        _writeOnTokens();
        _final(70_000e8);
        fund(BUYER, 1_000_000e6);
        oracle.setStatus(2, IRiskOracle.Status.STALE);
        vm.warp(block.timestamp + 2 hours);
        vm.startPrank(BUYER);
        vm.expectRevert(abi.encodeWithSelector(LiquidationAuctions.TooMuch.selector, 15_750e6, 15_749e6));
        auctions.buyCollateral(taker, 0, EXPIRY, 1, 10e18, 15_749e6);
        (uint256 bought, uint256 paid) = auctions.buyCollateral(taker, 0, EXPIRY, 1, 10e18, 15_750e6);
        check(bought == 10e18 && paid == 15_750e6, "half of 105 %");
        vm.expectRevert(abi.encodeWithSelector(LiquidationAuctions.NothingToTake.selector, 191e18, 190e18));
        auctions.buyCollateral(taker, 0, EXPIRY, 1, 191e18, 1e12);
        vm.expectRevert(abi.encodeWithSelector(LiquidationAuctions.NothingToTake.selector, 0, 190e18));
        auctions.buyCollateral(taker, 0, EXPIRY, 1, 0, 1e12);
        vm.warp(EXPIRY + 5 hours);
        vm.expectRevert(
            abi.encodeWithSelector(LiquidationAuctions.SaleOver.selector, EXPIRY + 5 hours, EXPIRY + 5 hours)
        );
        auctions.buyCollateral(taker, 0, EXPIRY, 1, 1e18, 1e12);
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(LiquidationAuctions.SelfBid.selector, taker));
        vm.prank(taker);
        auctions.buyCollateral(taker, 0, EXPIRY, 1, 1e18, 1e12);
    }

    function test_dust_delays_a_settlement_no_longer_than_the_sale() external {
        sell(60_000e8, true, 10e6, 1500e6);
        _final(90_000e8);
        bring(taker, dai, 1);
        house.settle(one(taker), 0, EXPIRY);
        check(house.legsOf(taker, 0).length == 1, "waits");
        vm.warp(EXPIRY + 5 hours);
        bring(taker, dai, 1);
        house.settle(one(taker), 0, EXPIRY);
        check(house.legsOf(taker, 0).length == 0, "written off");
        same(house.tokensOf(taker), 0, "what nobody bought");
        same(house.holdingOf(house.insurance(), 2).amount, 2, "is the fund's");
        InsuranceFund(house.insurance()).release(address(dai), address(this), 2);
    }

    function test_a_bad_debt_falls_on_the_fund_and_then_on_the_expirys_claims_in_proportion() external {
        address other = address(0x07);
        fund(other, 50_000e6);
        uint256 series = sell(60_000e8, true, 10e6, 1500e6);
        // The maker passes 4 of its 10 contracts on.
        _passOn(other, series, 4e6);
        _insure(50_000e6);
        _final(100_000e8);
        address[] memory all = new address[](3);
        (all[0], all[1], all[2]) = (maker, taker, other);
        uint256 makerBefore = house.cashOf(maker);
        uint256 otherBefore = house.cashOf(other);
        house.settle(all, 0, EXPIRY);
        // 400,000 due; the writer had 115,000 and the fund 50,000.
        same(house.cashOf(taker), 0, "writer");
        same(house.cashOf(house.insurance()), 0, "fund");
        same(house.cashOf(maker) - makerBefore, 240_000e6 * uint256(165) / 400, "six tenths");
        same(house.cashOf(other) - otherBefore, 160_000e6 * uint256(165) / 400, "four tenths");
        (, uint256 due, uint256 paid) = house.settlementOf(0, EXPIRY);
        check(due == 400_000e6 && paid == 165_000e6, "what came in");
    }

    function test_another_expirys_holders_lose_nothing_by_a_bad_debt() external {
        uint40 later = EXPIRY + 7 days;
        fund(taker, 0);
        fill(orderIn(Series.pack(0, later, 60_000e8, true), 1e6, 2_000e6));
        sell(60_000e8, true, 8e6, 1500e6);
        _final(100_000e8);
        int256 value = house.health(maker).value;
        house.settle(_both(), 0, EXPIRY);
        check(house.quantityOf(maker, Series.pack(0, later, 60_000e8, true)) == 1e6, "still held");
        check(value > 0, "and marked");
        same(usd.balanceOf(address(house)), 1_100_000e6, "every dollar is there");
    }

    // --- hands ------------------------------------------------------------------------------------------------------

    function _final(uint256 price) private {
        vm.warp(EXPIRY);
        publish(0, 100, price);
        prices.propose(0, EXPIRY);
        vm.warp(EXPIRY + 1 hours);
    }

    function _both() private view returns (address[] memory accounts) {
        accounts = new address[](2);
        (accounts[0], accounts[1]) = (maker, taker);
    }

    /// @dev Ten calls written on 200 ether of collateral, with the premium as only cash.
    function _writeOnTokens() private {
        bring(taker, weth, 200e18);
        vm.prank(taker);
        house.withdraw(address(usd), 100_000e6);
        sell(60_000e8, true, 10e6, 1500e6);
    }

    function _passOn(address to, uint256 series, int256 quantity) private {
        address seller = maker;
        bytes memory signature = signed(MAKER_KEY, _offer(series, -quantity));
        vm.prank(to);
        desk.fill(_offer(series, -quantity), signature, uint256(quantity));
        check(house.quantityOf(seller, series) == 6e6, "passed on");
    }

    function _offer(uint256 series, int256 quantity) private view returns (OrderDesk.Order memory) {
        return OrderDesk.Order(maker, series, quantity, 1500e6, block.timestamp + 60, 1e6);
    }

    function _insure(uint256 amount) private {
        InsuranceFund insurance = InsuranceFund(house.insurance());
        usd.mint(address(this), amount);
        usd.approve(address(insurance), amount);
        insurance.fund(amount);
    }
}
