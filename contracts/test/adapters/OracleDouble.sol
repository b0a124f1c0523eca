// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import "../../src/oracle/Lanes.sol";

/// @dev An oracle whose every market is what a test says: for states that a quorum would take many rounds to reach.
contract OracleDouble is IRiskOracle {
    uint256 public constant period = 300;
    uint256 public constant agingAfter = 1800;
    uint256 public constant staleAfter = 7200;
    address public constant registry = address(0);
    uint256 private constant HALT = 2;
    uint256 private constant RESUMED = 4;

    uint256[2][] private _words; // newest last; one market, every id
    uint256 public ring = 0;

    function publish(uint256 risk, uint256 market) external {
        _words.push([risk, market | block.timestamp / period * period << STAMP_SHIFT]);
    }

    function setRing(uint256 length) external {
        ring = length;
    }

    function halt() external {
        _words[_words.length - 1][1] |= HALT << FLAGS_SHIFT;
    }

    function resume() external {
        uint256[2] storage words = _words[_words.length - 1];
        words[1] = words[1] & ~(HALT << FLAGS_SHIFT | STAMP_MAX << STAMP_SHIFT) | RESUMED << FLAGS_SHIFT
            | block.timestamp << STAMP_SHIFT;
    }

    function read(uint16) public view returns (uint256 risk, uint256 market, uint256 ageS, Status status) {
        if (_words.length == 0) return (0, 0, block.timestamp, Status.EMPTY);
        (risk, market) = (_words[_words.length - 1][0], _words[_words.length - 1][1]);
        ageS = block.timestamp - (market >> STAMP_SHIFT & STAMP_MAX);
        uint256 flags = market >> FLAGS_SHIFT & LANE_MAX;
        if (flags & HALT != 0) return (risk, market, ageS, Status.HALTED);
        if (flags & RESUMED != 0 || ageS >= staleAfter) return (risk, market, ageS, Status.STALE);
        return (risk, market, ageS, ageS >= agingAfter ? Status.AGING : Status.FRESH);
    }

    /// @dev Only the lanes that these tests look at: the tail losses and the add-ons grow, confidence falls.
    function effective(uint16 id) external view returns (uint256 risk, uint256 market, uint256 ageS, Status status) {
        (risk, market, ageS, status) = read(id);
        if (ageS <= agingAfter || status == Status.EMPTY) return (risk, market, ageS, status);
        uint256 over = (ageS > staleAfter ? staleAfter : ageS) - agingAfter;
        uint256 span = staleAfter - agingAfter;
        uint256 grown = 0;
        for (uint256 i = 0; i < 16; ++i) {
            uint256 lane = risk >> 16 * i & LANE_MAX;
            grown |= (lane + lane * over / span) << 16 * i;
        }
        uint256 confidence = market >> CONFIDENCE_SHIFT & LANE_MAX;
        uint256 left = confidence - confidence * over / span;
        return (grown, market & ~(LANE_MAX << CONFIDENCE_SHIFT) | left << CONFIDENCE_SHIFT, ageS, status);
    }

    function historyOf(uint16, uint256 back) external view returns (uint256 risk, uint256 market) {
        uint256 older = _words.length == 0 ? 0 : _words.length - 1;
        uint256 kept = older < ring ? older : ring;
        if (back > kept) revert HistoryTooShort(back, kept);
        return (_words[_words.length - 1 - back][0], _words[_words.length - 1 - back][1]);
    }

    function readMany(uint16[] calldata ids) external view returns (MarketState[] memory markets) {
        markets = new MarketState[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            MarketState memory x = markets[i];
            (x.risk, x.market, x.ageS, x.status) = read(ids[i]);
        }
    }

    function readPacked(uint16[] calldata ids) external view returns (uint256[] memory words) {
        words = new uint256[](2 * ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            (words[2 * i], words[2 * i + 1],,) = read(ids[i]);
        }
    }

    function configOf(uint32) external pure returns (uint32, address) {
        return (1, address(0));
    }

    function head() external pure returns (bytes20, uint32, uint32, uint32) {
        return (bytes20(0), 1, 0, 0);
    }
}
