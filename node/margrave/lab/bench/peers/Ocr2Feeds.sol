// SPDX-License-Identifier: MIT
pragma solidity ^0.8.0;

import {OCR2Base} from "@chainlink/contracts/src/v0.8/dev/ocr2/OCR2Base.sol";

/// @title Chainlink's OCR2Base with the smallest application that stores feeds, for the gas benchmark only.
/// @dev Signatures and configuration are theirs; the hooks are ours: a report is a time and one int192 a feed, already
/// aggregated by the oracles, of a later epoch and round than the one before, and each feed is one slot.
contract Ocr2Feeds is OCR2Base {
    struct Feed {
        int192 answer;
        uint64 observedAt;
    }

    string public constant override typeAndVersion = "Ocr2Feeds 1";
    mapping(uint256 => Feed) public feeds;

    uint40 private _latestEpochAndRound;

    constructor() OCR2Base(false) {}

    function read(uint256 id) external view returns (int192 answer, uint64 observedAt) {
        Feed memory feed = feeds[id];
        return (feed.answer, feed.observedAt);
    }

    function _validateReport(bytes32, uint40 epochAndRound, bytes memory) internal override returns (bool) {
        if (epochAndRound <= _latestEpochAndRound) return false;
        _latestEpochAndRound = epochAndRound;
        return true;
    }

    function _report(uint256, address, uint8, address[maxNumOracles] memory, bytes calldata report) internal override {
        (uint64 observedAt, int192[] memory answers) = abi.decode(report, (uint64, int192[]));
        for (uint256 id = 0; id < answers.length; ++id) {
            feeds[id] = Feed(answers[id], observedAt);
        }
    }

    function _beforeSetConfig(uint8, bytes memory) internal override {}

    function _afterSetConfig(uint8, bytes memory) internal override {}
}
