// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title The price feed interface that most lending protocols read.
interface IAggregatorV3 {
    /// @notice Decimals of every answer.
    function decimals() external view returns (uint8);

    /// @notice What the answers are, for people.
    function description() external view returns (string memory);

    function version() external view returns (uint256);

    /// @param roundId As `latestRoundData` once gave it.
    /// @return roundId_ The round asked for.
    /// @return answer Its answer.
    /// @return startedAt Unix seconds.
    /// @return updatedAt Unix seconds.
    /// @return answeredInRound The round in which the answer was computed.
    function getRoundData(uint80 roundId)
        external
        view
        returns (uint80 roundId_, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound);

    /// @return roundId The newest round.
    /// @return answer Its answer.
    /// @return startedAt Unix seconds.
    /// @return updatedAt Unix seconds: the age that a consumer must judge.
    /// @return answeredInRound The round in which the answer was computed.
    function latestRoundData()
        external
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound);
}
