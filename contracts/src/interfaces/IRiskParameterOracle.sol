// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title The risk oracle interface that stewards, injectors and agent hubs read.
/// @dev The order of the struct's fields is the interface: consumers decode by it.
interface IRiskParameterOracle {
    struct RiskParameterUpdate {
        uint256 timestamp; // Unix seconds
        bytes newValue;
        string referenceId;
        bytes previousValue; // empty when there is none
        string updateType;
        uint256 updateId; // rises with every update of a market and type
        address market;
        bytes additionalData;
    }

    /// @notice The newest update of one parameter of one market; reverts when there is none.
    function getLatestUpdateByParameterAndMarket(string calldata updateType, address market)
        external
        view
        returns (RiskParameterUpdate memory);

    /// @notice One update by its id; reverts when there is none.
    function getUpdateById(uint256 updateId) external view returns (RiskParameterUpdate memory);
}
