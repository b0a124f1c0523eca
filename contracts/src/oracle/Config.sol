// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {SSTORE2} from "solady/utils/SSTORE2.sol";
import {Limits, Timing} from "./Policy.sol";

/// @notice Everything that governance decides, as one value.
struct Settings {
    Timing timing;
    uint8 quorum;
    uint16 modelSetIndex;
    bytes32 modelSet;
    address[] members;
    Limits[] classes;
    bytes classOf; // one byte a market
}

/// @title The settings in one code blob, so that a publication reads them all for one cold account access.
/// @dev Layout in 32-byte words: packed header, model set, policy digest, members, classes of nine words, class of each
/// market one byte each. Every change writes a new blob; the old one stays on chain as a record.
library Config {
    uint256 private constant HEADER_BYTES = 96;
    uint256 private constant CLASS_BYTES = 288;

    /// @notice What members sign to say under which policy they speak; a node recomputes it from its own settings.
    function policyDigest(Settings memory x) internal pure returns (bytes32) {
        return keccak256(abi.encode(x.timing, x.classes, x.classOf));
    }

    function write(Settings memory x) internal returns (address) {
        uint256 packed = x.quorum;
        packed |= x.members.length << 8;
        packed |= x.classes.length << 16;
        packed |= x.classOf.length << 24;
        packed |= uint256(x.modelSetIndex) << 40;
        packed |= uint256(x.timing.period) << 64;
        packed |= uint256(x.timing.maxSkew) << 96;
        packed |= uint256(x.timing.maxReportAge) << 128;
        packed |= uint256(x.timing.agingAfter) << 160;
        packed |= uint256(x.timing.staleAfter) << 192;
        bytes memory blob = abi.encodePacked(packed, x.modelSet, policyDigest(x));
        for (uint256 i = 0; i < x.members.length; ++i) {
            blob = abi.encodePacked(blob, abi.encode(x.members[i]));
        }
        for (uint256 i = 0; i < x.classes.length; ++i) {
            blob = abi.encodePacked(blob, abi.encode(x.classes[i]));
        }
        return SSTORE2.write(abi.encodePacked(blob, x.classOf));
    }

    function read(address pointer) internal view returns (Settings memory x) {
        bytes memory blob = SSTORE2.read(pointer);
        x.timing = timing(blob);
        x.quorum = uint8(quorum(blob));
        x.modelSetIndex = uint16(modelSetIndex(blob));
        x.modelSet = modelSet(blob);
        x.members = new address[](memberCount(blob));
        for (uint256 i = 0; i < x.members.length; ++i) {
            x.members[i] = member(blob, i);
        }
        x.classes = new Limits[](_header(blob) >> 16 & 0xff);
        for (uint256 i = 0; i < x.classes.length; ++i) {
            x.classes[i] = _limits(blob, i);
        }
        x.classOf = new bytes(marketCount(blob));
        for (uint256 i = 0; i < x.classOf.length; ++i) {
            x.classOf[i] = bytes1(uint8(_classOf(blob, i)));
        }
    }

    // --- the blob in memory, without unpacking it: what the write path uses ---

    function load(address pointer) internal view returns (bytes memory) {
        return SSTORE2.read(pointer);
    }

    function quorum(bytes memory blob) internal pure returns (uint256) {
        return _header(blob) & 0xff;
    }

    function memberCount(bytes memory blob) internal pure returns (uint256) {
        return _header(blob) >> 8 & 0xff;
    }

    function marketCount(bytes memory blob) internal pure returns (uint256) {
        return _header(blob) >> 24 & 0xffff;
    }

    function modelSetIndex(bytes memory blob) internal pure returns (uint256) {
        return _header(blob) >> 40 & 0xffff;
    }

    function timing(bytes memory blob) internal pure returns (Timing memory) {
        uint256 h = _header(blob);
        return Timing(uint32(h >> 64), uint32(h >> 96), uint32(h >> 128), uint32(h >> 160), uint32(h >> 192));
    }

    function modelSet(bytes memory blob) internal pure returns (bytes32) {
        return bytes32(_word(blob, 32));
    }

    function digest(bytes memory blob) internal pure returns (bytes32) {
        return bytes32(_word(blob, 64));
    }

    function member(bytes memory blob, uint256 index) internal pure returns (address) {
        unchecked {
            return address(uint160(_word(blob, HEADER_BYTES + 32 * index)));
        }
    }

    /// @dev A view into the blob: nine consecutive words are a `Limits` in memory.
    function limitsOf(bytes memory blob, uint256 market) internal pure returns (Limits memory) {
        return _limits(blob, _classOf(blob, market));
    }

    function _limits(bytes memory blob, uint256 class) private pure returns (Limits memory x) {
        unchecked {
            uint256 offset = 32 + HEADER_BYTES + 32 * memberCount(blob) + CLASS_BYTES * class;
            assembly ("memory-safe") {
                x := add(blob, offset)
            }
        }
    }

    function _classOf(bytes memory blob, uint256 market) private pure returns (uint256) {
        unchecked {
            uint256 classes = _header(blob) >> 16 & 0xff;
            uint256 start = HEADER_BYTES + 32 * memberCount(blob) + CLASS_BYTES * classes;
            return _word(blob, start + market) >> 248;
        }
    }

    function _header(bytes memory blob) private pure returns (uint256) {
        return _word(blob, 0);
    }

    function _word(bytes memory blob, uint256 offset) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(blob, 32), offset))
        }
    }
}
