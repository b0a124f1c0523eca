// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {LaneMath} from "./LaneMath.sol";

/// @title The median of every lane at once.
/// @dev A comparator on words sorts all their lanes at once, so one sorting network sorts sixteen lists. For an even
/// count it is the lower median: a figure that a member signed, never an average that nobody did.
library Medians {
    /// @param words One word a member; reordered by the call.
    function median(uint256[] memory words, uint256 guards) internal pure returns (uint256) {
        uint256 n = words.length;
        _sort(words, guards);
        return words[(n - 1) / 2];
    }

    /// @notice The same for three, without a sort: max(min(a, b), min(max(a, b), c)).
    function of3(uint256 a, uint256 b, uint256 c, uint256 guards) internal pure returns (uint256) {
        unchecked {
            uint256 gap = LaneMath.excess(a, b, guards);
            uint256 low = a - gap;
            uint256 high = b + gap;
            return LaneMath.max(low, LaneMath.min(high, c, guards), guards);
        }
    }

    /// @dev Batcher's merge exchange for any length (Knuth, The Art of Computer Programming 3, algorithm 5.2.2M).
    function _sort(uint256[] memory words, uint256 guards) private pure {
        unchecked {
            uint256 n = words.length;
            if (n < 2) return;
            uint256 top = 1;
            while (top << 1 < n) top <<= 1;
            for (uint256 p = top; p > 0; p >>= 1) {
                uint256 q = top;
                uint256 r = 0;
                uint256 d = p;
                while (true) {
                    for (uint256 i = 0; i + d < n; ++i) {
                        if (i & p == r) _exchange(words, i, i + d, guards);
                    }
                    if (q == p) break;
                    d = q - p;
                    q >>= 1;
                    r = p;
                }
            }
        }
    }

    function _exchange(uint256[] memory words, uint256 i, uint256 j, uint256 guards) private pure {
        unchecked {
            uint256 gap = LaneMath.excess(words[i], words[j], guards);
            words[i] -= gap;
            words[j] += gap;
        }
    }
}
