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
        HALTED // figures were refused, or the guardian stopped it; waits for governance
    }

    enum HaltReason {
        OUT_OF_BOUNDS,
        PRICE_JUMP,
        INCOHERENT,
        GUARDIAN
    }

    struct MarketState {
        uint256 risk;
        uint256 market;
        uint256 ageS;
        Status status;
    }

    /// @notice `back` overwrites ago is more than the market's history ring holds.
    error HistoryTooShort(uint256 back, uint256 kept);

    /// @notice The words as they were published, whatever their age.
    /// @return risk The risk word.
    /// @return market The market word, with the time of observation and the contract's flags stamped in.
    /// @return ageS Seconds since the observation, or since governance resumed the market (since 1970 if never written).
    /// @return status Whether the words may be used.
    function read(uint16 id) external view returns (uint256 risk, uint256 market, uint256 ageS, Status status);

    /// @notice The words as a margin must take them: they tighten with age instead of ending at a cliff.
    /// @dev Up to `agingAfter` they are the published ones. From there to `staleAfter` each lane that tightens upwards
    /// grows by `(age - agingAfter) / (staleAfter - agingAfter)` of itself, to twice the published figure (or the most
    /// that its meaning allows), and confidence falls by the same share, to zero; from then on they stay. A market that
    /// governance resumed and nobody published since is as at `staleAfter`. Price and surface shape never change.
    function effective(uint16 id) external view returns (uint256 risk, uint256 market, uint256 ageS, Status status);

    /// @notice `read` for several markets at once.
    function readMany(uint16[] calldata ids) external view returns (MarketState[] memory);

    /// @notice Risk and market word of each id in turn, nothing else: `Status` is in bits 12 to 14 of the flags lane.
    function readPacked(uint16[] calldata ids) external view returns (uint256[] memory words);

    /// @notice The words as they stood `back` overwrites ago; 0 is now. Only markets with a history ring have more.
    /// @dev If governance took a market's ring away and gave it back with the same length, what was overwritten in
    /// between is missing from it. Each market word carries its time of observation: look at it.
    function historyOf(uint16 id, uint256 back) external view returns (uint256 risk, uint256 market);

    /// @notice Seconds from one round to the next; round `r` is observed at `r * period`.
    function period() external view returns (uint256);

    /// @notice Age in seconds from which a market is AGING. Fixed at deployment: no vote makes old data look fresh.
    function agingAfter() external view returns (uint256);

    /// @notice Age in seconds from which a market is STALE. Fixed at deployment.
    function staleAfter() external view returns (uint256);

    /// @notice Where governance's settings come from.
    function registry() external view returns (address);

    /// @notice Which settings bind a round: their epoch, and the code blob that holds them (src/oracle/Config.sol).
    function configOf(uint32 round) external view returns (uint32 epoch, address config);

    /// @notice The header: rolling hash of all that was ever published, the epoch in force, and the one that follows it
    /// from round `nextFromRound` on (`nextEpoch` 0: none is pending).
    function head() external view returns (bytes20 historyHash, uint32 epoch, uint32 nextEpoch, uint32 nextFromRound);
}
