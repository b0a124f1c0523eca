// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title What a protocol reads from Margrave.
/// @notice Each market is two 256-bit words of 16-bit lanes (src/oracle/Lanes.sol): `risk` holds the return ladder and
/// the stress add-ons, `market` the index price, the volatility surface, confidence and the time of observation.
/// @dev Words are always the last good ones. Whether they may be used is what `Status` says: read it every time.
interface IRiskOracle {
    enum Status {
        EMPTY, // nothing was ever published
        FRESH, // younger than `agingAfter`
        AGING, // usable, with care: between `agingAfter` and `staleAfter`
        STALE, // too old to take risk on, or resumed by governance and not published since
        HALTED // the last quorum's figures were refused; waits for governance
    }

    enum HaltReason {
        OUT_OF_BOUNDS,
        PRICE_JUMP,
        INCOHERENT
    }

    /// @return risk The risk word.
    /// @return market The market word, with the time of observation and the contract's flags stamped in.
    /// @return ageS Seconds since the observation (since 1970 for an empty market).
    /// @return status Whether the words may be used.
    function read(uint16 id) external view returns (uint256 risk, uint256 market, uint256 ageS, Status status);

    struct MarketState {
        uint256 risk;
        uint256 market;
        uint256 ageS;
        Status status;
    }

    /// @notice `read` for several markets at once.
    function readMany(uint16[] calldata ids) external view returns (MarketState[] memory);

    /// @notice Seconds from one round to the next; round `r` is observed at `r * period`.
    function period() external view returns (uint256);
}
