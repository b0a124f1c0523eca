// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @notice Up to fifteen market ids in one word: bits 0-239 the ids, 240-255 how many.
library MarketSet {
    uint256 internal constant MOST = 15;
    uint256 private constant COUNT_SHIFT = 240;

    error TooManyMarkets(uint256 wanted, uint256 most);

    function count(uint256 set) internal pure returns (uint256) {
        return set >> COUNT_SHIFT;
    }

    function idAt(uint256 set, uint256 i) internal pure returns (uint16) {
        return uint16(set >> 16 * i);
    }

    /// @notice The set with an id that is not in it.
    function with(uint256 set, uint16 id) internal pure returns (uint256) {
        uint256 n = count(set);
        if (n == MOST) revert TooManyMarkets(n + 1, MOST);
        return (set | uint256(id) << 16 * n) + (1 << COUNT_SHIFT);
    }

    /// @notice The set without an id that is in it; the last takes its place.
    function without(uint256 set, uint16 id) internal pure returns (uint256) {
        uint256 last = count(set) - 1;
        uint256 i = 0;
        while (idAt(set, i) != id) ++i;
        set ^= uint256(idAt(set, i) ^ idAt(set, last)) << 16 * i;
        set &= ~(uint256(0xffff) << 16 * last);
        return set - (1 << COUNT_SHIFT);
    }

    function toArray(uint256 set) internal pure returns (uint16[] memory ids) {
        ids = new uint16[](count(set));
        for (uint256 i = 0; i < ids.length; ++i) {
            ids[i] = idAt(set, i);
        }
    }
}
