// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {LaneMath} from "./LaneMath.sol";
import {MARKET_GUARDS, PRICE_MAX, PRICE_SHIFT, RISK_GUARDS} from "./Lanes.sol";
import {Networks} from "./Networks.sol";

/// @title The median of every lane at once.
/// @dev A comparator on words sorts all their lanes at once, so one sorting network sorts sixteen lists. For an even
/// count it is the lower median: a figure that a member signed, never an average that nobody did.
library Medians {
    uint256 private constant PRICE = PRICE_MAX << PRICE_SHIFT;

    /// @notice Medians of each market over members' words.
    /// @param words Member by member: risk, market, risk, market, … of the same markets.
    /// @return figures Risk and market median of each market in turn; zero if a member's word is, which is to abstain.
    /// @return riskBits All risk words or-ed together: a guard bit in one makes the medians worthless.
    /// @return marketBits The same of the market words.
    function ofMembers(uint256[] calldata words, uint256 members)
        internal
        pure
        returns (uint256[] memory figures, uint256 riskBits, uint256 marketBits)
    {
        unchecked {
            uint256 length = words.length / members;
            figures = new uint256[](length);
            if (members > 9 || members == 6 || members == 8 || members < 3) return _ofAny(words, members, figures);
            uint256 data;
            uint256 out;
            assembly ("memory-safe") {
                data := words.offset
                out := add(figures, 32)
            }
            uint256 stride = 32 * length;
            (uint256 g, uint256 p) = (RISK_GUARDS, 0);
            for (uint256 end = out + stride; out < end; out += 32) {
                (uint256 median_, uint256 bits) = _network(members, data, stride, g, p);
                assembly ("memory-safe") {
                    mstore(out, median_)
                }
                (riskBits, marketBits) = (marketBits, riskBits | bits); // risk and market words take turns
                (g, p) = (g ^ RISK_GUARDS ^ MARKET_GUARDS, p ^ PRICE);
                data += 32;
            }
        }
    }

    function _network(uint256 members, uint256 data, uint256 stride, uint256 g, uint256 p)
        private
        pure
        returns (uint256, uint256)
    {
        if (members == 3) return Networks.of3(data, stride, g, p);
        if (members == 9) return Networks.of9(data, stride, g, p);
        if (members == 4) return Networks.of4(data, stride, g, p);
        if (members == 5) return Networks.of5(data, stride, g, p);
        return Networks.of7(data, stride, g, p);
    }

    /// @notice Figures that a quorum agreed on, in the same form.
    function ofOne(uint256[] calldata words)
        internal
        pure
        returns (uint256[] memory figures, uint256 riskBits, uint256 marketBits)
    {
        unchecked {
            figures = words;
            for (uint256 i = 0; i < words.length; i += 2) {
                riskBits |= words[i];
                marketBits |= words[i + 1];
            }
        }
    }

    /// @dev Large and unusual quorums: sorted in memory.
    function _ofAny(uint256[] calldata words, uint256 members, uint256[] memory figures)
        private
        pure
        returns (uint256[] memory, uint256 riskBits, uint256 marketBits)
    {
        unchecked {
            uint256[] memory risks = new uint256[](members);
            uint256[] memory markets = new uint256[](members);
            for (uint256 i = 0; i < figures.length; i += 2) {
                bool abstained = false;
                for (uint256 m = 0; m < members; ++m) {
                    (risks[m], markets[m]) = (words[m * figures.length + i], words[m * figures.length + i + 1]);
                    riskBits |= risks[m];
                    marketBits |= markets[m];
                    if (risks[m] == 0 || markets[m] == 0) abstained = true;
                }
                if (abstained) continue;
                (figures[i], figures[i + 1]) = (median(risks, RISK_GUARDS), median(markets, MARKET_GUARDS));
            }
            return (figures, riskBits, marketBits);
        }
    }

    /// @param words One word a member; reordered by the call.
    function median(uint256[] memory words, uint256 guards) internal pure returns (uint256) {
        uint256 n = words.length;
        _sort(words, guards);
        return words[(n - 1) / 2];
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
