// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IClearinghouse} from "../../src/interfaces/IClearinghouse.sol";
import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {Book} from "../../src/protocol/Book.sol";
import {Collateral} from "../../src/protocol/Collateral.sol";
import {InsuranceFund} from "../../src/protocol/InsuranceFund.sol";
import {OptionsClearinghouse} from "../../src/protocol/OptionsClearinghouse.sol";
import {Hooked, HookedToken, TokenDouble} from "./Doubles.sol";
import {HouseSetup} from "./HouseSetup.sol";

contract CollateralTest is HouseSetup {
    function test_what_is_deposited_can_be_withdrawn_and_no_more() external {
        vm.startPrank(taker);
        vm.expectRevert(abi.encodeWithSelector(Book.Insufficient.selector, int256(100_000e6), uint256(100_000e6 + 1)));
        house.withdraw(address(usd), 100_000e6 + 1);
        house.withdraw(address(usd), 100_000e6);
        same(usd.balanceOf(taker), 100_000e6, "back");
        same(house.cashOf(taker), 0, "empty");
        same(house.tokenAt(0).held, 1_000_000e6, "held for the other");
    }

    function test_tokens_come_and_go_and_no_more_than_there_are() external {
        bring(taker, weth, 5e18);
        same(house.tokensOf(taker), 2, "held");
        vm.startPrank(taker);
        vm.expectRevert(abi.encodeWithSelector(Book.NotEnoughTokens.selector, 5e18, 5e18 + 1));
        house.withdraw(address(weth), 5e18 + 1);
        house.withdraw(address(weth), 2e18);
        house.withdraw(address(weth), 3e18);
        same(house.tokensOf(taker), 0, "gone");
        same(weth.balanceOf(taker), 5e18, "back");
    }

    function test_collateral_under_positions_stays() external {
        sell(60_000e8, true, 5e6, 1500e6);
        IClearinghouse.Health memory h = house.health(taker);
        check(h.initial > h.maintenance && h.maintenance > 0, "requirement");
        uint256 free = uint256(int256(h.cash) + h.value - int256(h.initial));
        vm.startPrank(taker);
        vm.expectPartialRevert(Book.Insufficient.selector);
        house.withdraw(address(usd), free + 1);
        house.withdraw(address(usd), free);
    }

    function test_a_token_counts_after_haircut_and_the_markets_liquidity() external {
        bring(taker, weth, 10e18);
        // 30,000 dollars, 10 % of haircut, 0.1 % of liquidity.
        same(house.health(taker).collateral, 26_970e6, "counted");
        publish(2, 1000, ETH);
        same(house.health(taker).collateral, 26_700e6, "less when the market dries up");
        IClearinghouse.Holding memory h = house.holdingOf(taker, 1);
        same(h.full, 30_000e6, "in full");
        same(h.amount, 10e18, "amount");
    }

    function test_a_stablecoin_counts_its_peg_at_most_and_less_when_it_is_lost() external {
        bring(taker, dai, 1000e18);
        same(house.health(taker).collateral, 979_900_000, "at the peg");
        publish(3, 10, 102_000_000);
        same(house.health(taker).collateral, 979_900_000, "not above it");
        publish(3, 10, 90_000_000);
        same(house.health(taker).collateral, 881_910_000, "below it");
    }

    function test_collateral_whose_market_cannot_be_relied_on_counts_nothing_for_new_risk() external {
        bring(taker, weth, 10e18);
        oracle.setStatus(2, IRiskOracle.Status.STALE);
        same(house.health(taker).collateral, 0, "stale");
        oracle.setStatus(2, IRiskOracle.Status.HALTED);
        same(house.health(taker).collateral, 0, "halted");
        same(house.holdingOf(taker, 1).counted, 26_970e6, "what a liquidation counts");
    }

    function test_without_positions_everything_leaves_whatever_the_markets_state() external {
        bring(taker, weth, 10e18);
        for (uint16 market = 0; market < 4; ++market) {
            oracle.setStatus(market, IRiskOracle.Status.HALTED);
        }
        vm.startPrank(taker);
        house.withdraw(address(weth), 10e18);
        house.withdraw(address(usd), 100_000e6);
    }

    function test_margin_may_lie_in_tokens_but_premiums_are_paid_in_dollars() external {
        bring(taker, weth, 50e18);
        vm.prank(taker);
        house.withdraw(address(usd), 100_000e6);
        sell(60_000e8, true, 5e6, 1500e6);
        check(house.health(taker).initial > house.cashOf(taker), "on tokens");
        refused(order(60_000e8, true, -5e6, 1501e6), Book.Insufficient.selector);
        vm.prank(taker);
        vm.expectPartialRevert(Book.Insufficient.selector);
        house.withdraw(address(weth), 50e18);
    }

    function test_a_token_that_keeps_a_fee_credits_what_came() external {
        dai.setFee(100);
        bring(taker, dai, 1000e18);
        same(house.holdingOf(taker, 2).amount, 990e18, "credited");
        same(house.tokenAt(2).held, dai.balanceOf(address(house)), "held");
    }

    function test_a_tokens_hooks_find_the_house_locked() external {
        HookedToken token = new HookedToken();
        house.addCollateral(address(token), tokenRules(2, 1000, 0));
        Reenterer thief = new Reenterer(house, token);
        token.mint(address(thief), 10e18);
        thief.run();
        same(house.holdingOf(address(thief), 3).amount, 4e18, "credited once");
        same(token.balanceOf(address(house)), 4e18, "held");
        check(thief.refusals() == 4, "refused on the way in and out");
    }

    function test_a_cap_refuses_what_is_beyond_it() external {
        Collateral.TokenRules memory rules = tokenRules(2, 1000, 0);
        rules.cap = 3e18;
        house.setCollateral(address(weth), rules);
        bring(taker, weth, 2e18);
        weth.mint(taker, 2e18);
        vm.startPrank(taker);
        weth.approve(address(house), 2e18);
        vm.expectRevert(abi.encodeWithSelector(Collateral.CapReached.selector, 4e18, 3e18));
        house.deposit(address(weth), 2e18);
        house.deposit(address(weth), 1e18);
    }

    function test_only_listed_tokens_are_taken() external {
        TokenDouble other = new TokenDouble(18);
        vm.expectRevert(abi.encodeWithSelector(Collateral.NotCollateral.selector, address(other)));
        house.deposit(address(other), 1);
        vm.expectRevert(abi.encodeWithSelector(Collateral.NotCollateral.selector, address(other)));
        house.withdraw(address(other), 1);
        vm.expectRevert(abi.encodeWithSelector(Collateral.NotCollateral.selector, address(other)));
        house.setCollateral(address(other), tokenRules(2, 0, 0));
    }

    function test_listing_refuses_what_makes_no_sense() external {
        vm.expectRevert(abi.encodeWithSelector(Collateral.AlreadyCollateral.selector, address(weth)));
        house.addCollateral(address(weth), tokenRules(2, 0, 0));
        TokenDouble fine = new TokenDouble(19);
        vm.expectRevert(abi.encodeWithSelector(Collateral.DecimalsOutOfRange.selector, 19, 18));
        house.addCollateral(address(fine), tokenRules(2, 0, 0));
        vm.expectRevert(abi.encodeWithSelector(Collateral.HaircutOutOfRange.selector, 10_001, 10_000));
        house.setCollateral(address(weth), tokenRules(2, 10_001, 0));
        for (uint256 i = 3; i < 16; ++i) {
            house.addCollateral(address(new TokenDouble(18)), tokenRules(2, 0, 0));
        }
        same(house.tokenCount(), 16, "tokens");
        address next = address(new TokenDouble(18));
        vm.expectRevert(abi.encodeWithSelector(Collateral.TooManyTokens.selector, 17, 16));
        house.addCollateral(next, tokenRules(2, 0, 0));
    }

    function test_only_governance_lists_tokens() external {
        bytes4 unauthorized = bytes4(keccak256("AccessManagedUnauthorized(address)"));
        vm.startPrank(guardian);
        vm.expectRevert(abi.encodeWithSelector(unauthorized, guardian));
        house.addCollateral(address(1), tokenRules(2, 0, 0));
        vm.expectRevert(abi.encodeWithSelector(unauthorized, guardian));
        house.setCollateral(address(weth), tokenRules(2, 0, 0));
    }

    function test_anyone_adds_to_the_insurance_fund_and_only_governance_takes_out() external {
        InsuranceFund insurance = InsuranceFund(house.insurance());
        usd.mint(address(this), 500e6);
        usd.approve(address(insurance), 500e6);
        insurance.fund(500e6);
        same(insurance.balance(), 500e6, "in the house");
        vm.prank(guardian);
        vm.expectPartialRevert(bytes4(keccak256("AccessManagedUnauthorized(address)")));
        insurance.release(address(usd), guardian, 1);
        insurance.release(address(usd), address(0xBB), 200e6);
        same(usd.balanceOf(address(0xBB)), 200e6, "released");
        same(insurance.balance(), 300e6, "left");
    }

    function test_fuzz_deposits_and_withdrawals_conserve_every_token(uint256 seed) external {
        TokenDouble[3] memory tokens = [usd, weth, dai];
        for (uint256 i = 0; i < 10; ++i) {
            uint256 r = uint256(keccak256(abi.encode(seed, i)));
            TokenDouble token = tokens[r % 3];
            address who = r >> 8 & 1 == 0 ? maker : taker;
            bring(who, token, (r >> 16) % 1e20);
            uint256 has = r % 3 == 0 ? house.cashOf(who) : house.holdingOf(who, uint8(r % 3)).amount;
            vm.prank(who);
            house.withdraw(address(token), (r >> 100) % (has + 1));
        }
        same(usd.balanceOf(address(house)), house.cashOf(maker) + house.cashOf(taker), "dollars");
        for (uint8 i = 1; i < 3; ++i) {
            uint256 held = house.holdingOf(maker, i).amount + house.holdingOf(taker, i).amount;
            same(tokens[i].balanceOf(address(house)), held, "tokens");
            same(house.tokenAt(i).held, held, "counted");
        }
    }
}

/// @dev Comes back into the house from a token's hooks, both ways.
contract Reenterer is Hooked {
    OptionsClearinghouse private immutable _house;
    HookedToken private immutable _token;
    uint256 public refusals;

    constructor(OptionsClearinghouse house, HookedToken token) {
        (_house, _token) = (house, token);
    }

    function run() external {
        _token.hook(true);
        _token.approve(address(_house), type(uint256).max);
        _house.deposit(address(_token), 5e18);
        _house.withdraw(address(_token), 1e18);
    }

    function called() external {
        _token.hook(false);
        try _house.deposit(address(_token), 1e18) {}
        catch {
            ++refusals;
        }
        try _house.withdraw(address(_token), 1) {}
        catch {
            ++refusals;
        }
        _token.hook(true);
    }
}
