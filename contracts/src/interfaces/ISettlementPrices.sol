// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title At which price an expiry of a market settles.
interface ISettlementPrices {
    /// @return price With 8 decimals, zero while none is final.
    /// @return finalAt Since when it is, zero likewise.
    function finalPrice(uint16 market, uint40 expiry) external view returns (uint256 price, uint256 finalAt);
}
