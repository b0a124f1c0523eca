// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Base} from "../Base.sol";

/// @dev Which functions of a handler forge's invariant runner may call, as it asks for them.
struct FuzzSelector {
    address addr;
    bytes4[] selectors;
}

/// @dev A stateful suite: one handler, whose listed functions are called in random order with random arguments.
abstract contract Runs is Base {
    address internal handler;
    bytes4[] internal actions;

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = handler;
    }

    function targetSelectors() external view returns (FuzzSelector[] memory selectors) {
        selectors = new FuzzSelector[](1);
        selectors[0] = FuzzSelector(handler, actions);
    }
}
