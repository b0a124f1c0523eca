// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

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
        same(house.openInterest(series), 2e6, "open");
    }
}
