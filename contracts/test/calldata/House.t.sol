// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {LiquidationAuctions} from "../../src/protocol/LiquidationAuctions.sol";
import {OrderDesk} from "../../src/protocol/OrderDesk.sol";
import {OptionsClearinghouse} from "../../src/protocol/OptionsClearinghouse.sol";
import {SettlementPrices} from "../../src/protocol/SettlementPrices.sol";
import {HouseSetup} from "../protocol/HouseSetup.sol";
import {Arbitrary} from "./Arbitrary.sol";

/// @dev Two healthy accounts with positions, and a stranger who sends anything to every contract of the house: their
/// money and positions stay, and what the house says it holds is what it holds.
contract HouseCalldataTest is HouseSetup, Arbitrary {
    function setUp() public override {
        super.setUp();
        sell(60_000e8, true, 1e6, 2000e6);
        sell(50_000e8, false, 1e6, 500e6);
        familiar = [maker, taker, STRANGER, address(usd), address(weth), address(house), address(desk)];
    }

    function test_fuzz_arbitrary_calldata_to_the_house_touches_nobody(uint256 seed, bytes calldata noise) external {
        bytes4[] memory all = new bytes4[](13);
        (all[0], all[1]) = (house.deposit.selector, house.withdraw.selector);
        (all[2], all[3]) = (house.trade.selector, house.settle.selector);
        (all[4], all[5]) = (house.takeOver.selector, house.sellCollateral.selector);
        (all[6], all[7]) = (house.addCollateral.selector, house.setCollateral.selector);
        (all[8], all[9]) = (house.setMarket.selector, house.setCloseOnly.selector);
        (all[10], all[11]) = (house.setCloseOnlyEverywhere.selector, house.reopen.selector);
        all[12] = house.reopenEverywhere.selector;
        _harmless(address(house), all, seed, noise);
    }

    function test_fuzz_arbitrary_calldata_to_the_desk_touches_nobody(uint256 seed, bytes calldata noise) external {
        bytes4[] memory all = new bytes4[](4);
        (all[0], all[1]) = (OrderDesk.fill.selector, OrderDesk.matchOrders.selector);
        (all[2], all[3]) = (OrderDesk.cancel.selector, OrderDesk.cancelBelow.selector);
        _harmless(address(desk), all, seed, noise);
    }

    function test_fuzz_arbitrary_calldata_to_the_auctions_touches_nobody(uint256 seed, bytes calldata noise) external {
        bytes4[] memory all = new bytes4[](5);
        (all[0], all[1]) = (LiquidationAuctions.flag.selector, LiquidationAuctions.unflag.selector);
        (all[2], all[3]) = (LiquidationAuctions.bid.selector, LiquidationAuctions.buyCollateral.selector);
        all[4] = LiquidationAuctions.setRules.selector;
        _harmless(address(auctions), all, seed, noise);
        check(auctions.startsAt(taker) == 0 && auctions.startsAt(maker) == 0, "a healthy account was flagged");
    }

    function test_fuzz_arbitrary_calldata_to_the_prices_touches_nobody(uint256 seed, bytes calldata noise) external {
        bytes4[] memory all = new bytes4[](3);
        (all[0], all[1]) = (SettlementPrices.propose.selector, SettlementPrices.dispute.selector);
        all[2] = SettlementPrices.setDelay.selector;
        _harmless(address(prices), all, seed, noise);
        (uint256 price,) = prices.finalPrice(0, EXPIRY);
        same(price, 0, "no price before expiry");
    }

    function _harmless(address target, bytes4[] memory all, uint256 seed, bytes calldata noise) private {
        bytes32 makers = _stateOf(maker);
        bytes32 takers = _stateOf(taker);
        uint256 tokens = usd.balanceOf(address(house));
        tried(target, all, seed, noise);
        check(_stateOf(maker) == makers && _stateOf(taker) == takers, "an account was touched");
        same(usd.balanceOf(address(house)), tokens, "dollars moved");
        check(house.tokenAt(0).held == tokens, "what it says it holds");
        same(house.cashOf(STRANGER), 0, "a stranger has cash");
        same(house.accountCount(), 2, "accounts with positions");
    }

    function _stateOf(address account) private view returns (bytes32) {
        return keccak256(
            abi.encode(
                house.cashOf(account),
                house.claimsOf(account),
                house.tokensOf(account),
                house.legsOf(account, 0),
                house.legsOf(account, 1),
                house.marketsOf(account)
            )
        );
    }
}
