// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {HouseSetup} from "../protocol/HouseSetup.sol";

/// @dev What the clearinghouse costs, whole transactions from their 21,000 on, each from cold. The oracle is a double:
/// the figures are for noticing a change, `scripts/bench gas` has them with the real one.
contract HouseGas is HouseSetup {
    function test_money_in_and_out() external {
        usd.mint(taker, 2e6);
        vm.startPrank(taker);
        usd.approve(address(house), 2e6);
        house.deposit(address(usd), 2e6);
        vm.snapshotGasLastCall("clearinghouse", "deposit");
        house.withdraw(address(usd), 1e6);
        vm.snapshotGasLastCall("clearinghouse", "withdraw, no positions");
        vm.stopPrank();
    }

    function test_trades_and_margin() external {
        sell(60_000e8, true, 1e6, 2000e6);
        vm.snapshotGasLastCall("clearinghouse", "fill, first position");
        sell(61_000e8, true, 1e6, 2000e6);
        vm.snapshotGasLastCall("clearinghouse", "fill, second position");
        house.health(taker);
        vm.snapshotGasLastCall("clearinghouse", "health, legs 2");
    }
}
