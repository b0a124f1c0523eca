// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {LendingDesk} from "../../src/adapters/examples/LendingDesk.sol";
import {Demands, RiskConsumer} from "../../src/adapters/RiskConsumer.sol";
import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {MockUSD} from "../../src/mock/MockUSD.sol";
import {AdapterSetup} from "./AdapterSetup.sol";

contract LendingDeskTest is AdapterSetup {
    address private constant LIQUIDATOR = address(0x11);
    uint256 private constant ONE = 1e18;

    LendingDesk private _desk;
    MockUSD private _ether; // a token is a token: only the desk reads its decimals as 18
    MockUSD private _dollars;

    function setUp() public override {
        super.setUp();
        (_ether, _dollars) = (new MockUSD(), new MockUSD());
        _desk = new LendingDesk(
            oracle,
            3,
            address(_ether),
            address(_dollars),
            Demands({maxAgeS: 5400, minConfidenceBp: 4000, lowestPriceE8: 100e8, highestPriceE8: 50_000e8})
        );
        _dollars.mint(address(_desk), 1e12);
        _dollars.mint(LIQUIDATOR, 1e12);
        vm.prank(LIQUIDATOR);
        _dollars.approve(address(_desk), type(uint256).max);
        _ether.mint(address(this), 10 * ONE);
        _ether.approve(address(_desk), type(uint256).max);
        _dollars.approve(address(_desk), type(uint256).max);
        _desk.deposit(10 * ONE);
    }

    /// @dev 10 ether at 3,000 less 6 % for the tail, 0.1 % to sell it and 1 % of contagion.
    uint256 private constant LIMIT = 30_000e6 * (10_000 - 600 - 10 - 100) / 10_000;

    function test_a_loan_is_limited_by_the_tail() external {
        publish(ETH);
        same(_desk.limitOf(address(this)), LIMIT, "limit");
        _desk.borrow(LIMIT);
        same(_dollars.balanceOf(address(this)), LIMIT, "lent");
        vm.expectRevert(abi.encodeWithSelector(LendingDesk.BeyondLimit.selector, LIMIT + 1, LIMIT));
        _desk.borrow(1);
    }

    function test_no_loan_is_made_on_figures_that_are_not_good_for_it() external {
        refused(IRiskOracle.Status.EMPTY);
        publish(ETH);
        oracle.halt();
        refused(IRiskOracle.Status.HALTED);
        oracle.resume();
        after_(PERIOD);
        publish(ETH);
        after_(oracle.staleAfter());
        refused(IRiskOracle.Status.STALE);
    }

    function refused(IRiskOracle.Status status) private {
        vm.expectRevert(abi.encodeWithSelector(RiskConsumer.Unusable.selector, 3, status));
        _desk.borrow(1);
        same(_desk.limitOf(address(this)), 0, "nothing may be owed");
    }

    function test_an_aging_market_lends_less_and_liquidates_no_one() external {
        publish(ETH);
        _desk.borrow(LIMIT);
        after_(oracle.agingAfter() + (oracle.staleAfter() - oracle.agingAfter()) / 2);
        uint256 aged = 30_000e6 * (10_000 - 900 - 15 - 150) / 10_000;
        same(_desk.limitOf(address(this)), aged, "half as much again is kept back");
        vm.expectRevert(abi.encodeWithSelector(LendingDesk.BeyondLimit.selector, LIMIT + 1, aged));
        _desk.borrow(1);
        vm.prank(LIQUIDATOR);
        vm.expectRevert(abi.encodeWithSelector(RiskConsumer.Unusable.selector, 3, IRiskOracle.Status.AGING));
        _desk.liquidate(address(this));
    }

    function test_paying_back_and_leaving_need_no_oracle() external {
        publish(ETH);
        _desk.borrow(1000e6);
        oracle.halt();
        after_(oracle.staleAfter());
        vm.expectRevert(abi.encodeWithSelector(RiskConsumer.Unusable.selector, 3, IRiskOracle.Status.HALTED));
        _desk.withdraw(1);
        _ether.mint(address(this), ONE);
        _desk.deposit(ONE);
        _desk.repay(address(this), 1000e6);
        _desk.withdraw(11 * ONE);
        same(_ether.balanceOf(address(this)), 11 * ONE, "all of it");
    }

    function test_collateral_behind_a_debt_leaves_only_within_the_limit() external {
        publish(ETH);
        _desk.borrow(LIMIT / 2);
        _desk.withdraw(5 * ONE);
        vm.expectPartialRevert(LendingDesk.BeyondLimit.selector);
        _desk.withdraw(1e15);
        vm.expectRevert(abi.encodeWithSelector(LendingDesk.TooMuch.selector, 6 * ONE, 5 * ONE));
        _desk.withdraw(6 * ONE);
        vm.expectRevert(abi.encodeWithSelector(LendingDesk.TooMuch.selector, LIMIT, LIMIT / 2));
        _desk.repay(address(this), LIMIT);
    }

    function test_a_loan_at_its_limit_is_not_liquidated_by_the_next_block() external {
        publish(ETH);
        _desk.borrow(LIMIT);
        uint256 kept = 30_000e6 * (10_000 - 350 - 10 - 100) / 10_000;
        vm.prank(LIQUIDATOR);
        vm.expectRevert(abi.encodeWithSelector(LendingDesk.Healthy.selector, LIMIT, kept));
        _desk.liquidate(address(this));
    }

    function test_a_loan_that_the_price_has_left_behind_is_liquidated_at_the_published_cost() external {
        publish(ETH);
        _desk.borrow(LIMIT);
        after_(PERIOD);
        publish(2800e8);
        vm.prank(LIQUIDATOR);
        _desk.liquidate(address(this));
        uint256 seized = LIMIT * (10_000 + 10) / 10_000 * 1e20 / 2800e8;
        same(_ether.balanceOf(LIQUIDATOR), seized, "its worth and 0.1 %");
        same(_desk.collateralOf(address(this)), 10 * ONE - seized, "the rest stays the debtor's");
        same(_desk.debtOf(address(this)), 0, "debt paid");
    }

    function test_a_loan_under_water_yields_all_its_collateral_and_no_more() external {
        publish(ETH);
        _desk.borrow(LIMIT);
        after_(PERIOD);
        publish(1000e8);
        vm.prank(LIQUIDATOR);
        _desk.liquidate(address(this));
        same(_ether.balanceOf(LIQUIDATOR), 10 * ONE, "all");
        same(_desk.collateralOf(address(this)), 0, "none left");
    }

    function test_a_market_worse_than_its_worth_lends_nothing() external {
        oracle.publish(riskWord(2000), marketWord(ETH)); // 120 % in the tail
        same(_desk.limitOf(address(this)), 0, "nothing");
    }

    function testFuzz_a_limit_is_never_above_the_worth(uint64 price, uint16 stress, uint96 held) external {
        uint256 p = within(price, 100e8, 50_000e8);
        _ether.mint(address(this), held);
        _desk.deposit(held);
        oracle.publish(riskWord(within(stress, 0, 5000)), marketWord(p));
        check(_desk.limitOf(address(this)) <= _desk.collateralOf(address(this)) * p / 1e20, "haircut");
    }
}
