// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title What a clearinghouse asks about an account's own risk.
/// @notice A multiplier of the account's margin: 10,000 is none. It is never lower, and it expires: a committee that
/// falls silent takes nothing from anybody, and gives nothing either.
interface IAccountRisk {
    /// @notice The multiplier that holds for an account now, in basis points.
    function multiplierOf(address account) external view returns (uint256 bp);
}
