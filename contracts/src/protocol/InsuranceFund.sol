// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";
import {IClearinghouse} from "../interfaces/IClearinghouse.sol";

/// @title The clearinghouse's insurance fund.
/// @notice Its money lies in the clearinghouse as the cash of this contract's account, where a share of what
/// liquidations cost is added and bad debts are taken out. Anyone may add; only governance, after its delay, takes out.
contract InsuranceFund is AccessManaged {
    using SafeTransferLib for address;

    IClearinghouse public immutable house;
    address public immutable dollar;

    event Funded(address indexed from, uint256 amount);
    event Released(address indexed token, address indexed to, uint256 amount);

    constructor(address authority, IClearinghouse house_, address dollar_) AccessManaged(authority) {
        (house, dollar) = (house_, dollar_);
    }

    /// @notice What the fund can pay.
    function balance() external view returns (uint256) {
        return house.cashOf(address(this));
    }

    /// @notice Add dollars to the fund.
    function fund(uint256 amount) external {
        dollar.safeTransferFrom(msg.sender, address(this), amount);
        dollar.safeApproveWithRetry(address(house), amount);
        house.deposit(dollar, amount);
        emit Funded(msg.sender, amount);
    }

    /// @notice Take out dollars, or tokens of writers whose debts were written off: governance, after its delay.
    function release(address token, address to, uint256 amount) external restricted {
        house.withdraw(token, amount);
        token.safeTransfer(to, amount);
        emit Released(token, to, amount);
    }
}
