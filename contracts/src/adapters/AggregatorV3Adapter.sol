// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IAggregatorV3} from "../interfaces/IAggregatorV3.sol";
import {IRiskOracle} from "../interfaces/IRiskOracle.sol";
import {Stamp} from "../oracle/Stamp.sol";
import {Field, Fields} from "./Fields.sol";

/// @title One figure of one market as a price feed.
/// @notice A feed's reader sees no status, so what it may not use it does not get: an empty, stale or halted market
/// reverts. An aging one answers, with figures that have grown with their age; `updatedAt` is the observation's own time.
/// @dev No owner and no settings: another market or field is another adapter.
contract AggregatorV3Adapter is IAggregatorV3 {
    using Fields for Field;
    using Stamp for uint256;

    IRiskOracle public immutable oracle;
    uint16 public immutable market;
    Field public immutable field;
    uint256 private immutable _period;
    string private _marketName;

    error Unusable(uint16 market, IRiskOracle.Status status);
    error NoRound(uint80 roundId, uint80 newest);

    /// @param marketName For people, in `description`: "BTC / USD".
    constructor(IRiskOracle oracle_, uint16 market_, Field field_, string memory marketName) {
        (oracle, market, field) = (oracle_, market_, field_);
        _period = oracle_.period();
        _marketName = marketName;
    }

    /// @inheritdoc IAggregatorV3
    function decimals() external view returns (uint8) {
        return field.decimals();
    }

    /// @inheritdoc IAggregatorV3
    function description() external view returns (string memory) {
        return string.concat(_marketName, " ", field.name());
    }

    /// @inheritdoc IAggregatorV3
    function version() external pure returns (uint256) {
        return 1;
    }

    /// @inheritdoc IAggregatorV3
    /// @dev The oracle's effective figure: as published while fresh, ratcheted with age after that.
    function latestRoundData()
        external
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
    {
        (uint256 risk, uint256 word,, IRiskOracle.Status status) = oracle.effective(market);
        bool usable = status == IRiskOracle.Status.FRESH || status == IRiskOracle.Status.AGING;
        if (!usable) revert Unusable(market, status);
        return _round(risk, word);
    }

    /// @inheritdoc IAggregatorV3
    /// @dev Figures as they were published, whatever the market's status is now. Reaches back as far as the market's
    /// history ring (beyond it the oracle's own error says how far that is); without one, only to the newest round.
    function getRoundData(uint80 wanted)
        external
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
    {
        (uint256 risk, uint256 word,,) = oracle.read(market);
        uint80 newest = _roundOf(word);
        if (!word.isWritten() || wanted > newest) revert NoRound(wanted, newest);
        for (uint256 back = 1; _roundOf(word) > wanted; ++back) {
            (risk, word) = oracle.historyOf(market, back);
        }
        // A market that governance resumed carries the time of that, which is no observation.
        if (_roundOf(word) != wanted || word.has(Stamp.RESUMED)) revert NoRound(wanted, newest);
        return _round(risk, word);
    }

    function _round(uint256 risk, uint256 word) private view returns (uint80, int256, uint256, uint256, uint80) {
        (uint80 id, uint256 observedAt) = (_roundOf(word), word.observedAt());
        return (id, field.valueOf(risk, word), observedAt, observedAt, id);
    }

    function _roundOf(uint256 word) private view returns (uint80) {
        return uint80(word.observedAt() / _period);
    }
}
