// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {LaneMath} from "./LaneMath.sol";
import "./Lanes.sol";
import {Networks} from "./Networks.sol";

/// @title The median of every lane at once.
/// @dev A comparator on words sorts all their lanes at once, so one sorting network sorts sixteen lists. For an even
/// count it is the lower median: a figure that a member signed, never an average that nobody did.
library Medians {
    using LaneMath for uint256;

    /// @notice Medians of each market over members' words.
    /// @param words Member by member: risk, market, risk, market, … of the same markets.
    /// @return figures Risk and market median of each market in turn; zero where one member's word is, which is
    /// to abstain from the market.
    /// @return stray Bits that no member may set: a guard bit in one word makes the medians worthless.
    function ofMembers(uint256[] calldata words, uint256 members)
        internal
        pure
        returns (uint256[] memory figures, uint256 stray)
    {
        unchecked {
            uint256 stride;
            uint256 data;
            uint256 out;
            assembly ("memory-safe") {
                stride := shl(5, div(words.length, members)) // there are members, or there would be no words to take
                data := words.offset
                figures := mload(0x40) // not cleared: every word is written
                out := add(figures, 32)
                mstore(figures, shr(5, stride))
                mstore(0x40, add(out, stride))
            }
            if (members != 3 && members != 9) return (figures, _ofAny(words, members, figures));
            // Each network is called twice, for the first market and for the others: what is called once, the compiler
            // puts into its caller, where so many values are too much for the stack.
            (uint256 second, uint256 end) = (out + 64, out + stride);
            uint256 risk;
            uint256 market;
            uint256 more;
            if (members == 3) {
                (risk, market) = Networks.medians3(data, stride, out, second);
                (stray, more) = Networks.medians3(data + 64, stride, second, end);
            } else {
                risk = Networks.risks9(data, stride, out, second);
                market = Networks.markets9(data + 32, stride, out + 32, second);
                stray = Networks.risks9(data + 64, stride, second, end);
                more = Networks.markets9(data + 96, stride, second + 32, end);
            }
            stray = (risk | stray) & RISK_FORBIDDEN | (market | more) & MARKET_FORBIDDEN;
        }
    }

    /// @notice Figures that a quorum agreed on, in the same form.
    /// @dev In assembly because the compiler copies an array word by word.
    function ofOne(uint256[] calldata words) internal pure returns (uint256[] memory figures) {
        assembly ("memory-safe") {
            figures := mload(0x40)
            mstore(figures, words.length)
            mstore(0x40, add(add(figures, 32), shl(5, words.length)))
            calldatacopy(add(figures, 32), words.offset, shl(5, words.length))
        }
    }

    /// @dev Large and unusual quorums: sorted in memory.
    function _ofAny(uint256[] calldata words, uint256 members, uint256[] memory figures)
        private
        pure
        returns (uint256 stray)
    {
        unchecked {
            uint256 riskBits = 0;
            uint256 marketBits = 0;
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
                figures[i] = abstained ? 0 : median(risks, RISK_GUARDS.kept());
                figures[i + 1] = abstained ? 0 : median(markets, MARKET_GUARDS.kept());
            }
            return riskBits & RISK_FORBIDDEN | marketBits & MARKET_FORBIDDEN;
        }
    }

    /// @param words One word a member; reordered by the call.
    /// @param guards RISK_GUARDS or MARKET_GUARDS.
    function median(uint256[] memory words, uint256 guards) internal pure returns (uint256) {
        uint256 n = words.length;
        _sort(words, guards);
        return words[(n - 1) / 2];
    }

    /// @dev Batcher's merge exchange for any length (Knuth, The Art of Computer Programming 3, algorithm 5.2.2M).
    function _sort(uint256[] memory words, uint256 guards) private pure {
        unchecked {
            uint256 n = words.length;
            uint256 wide = guards & RISK_GUARDS == RISK_GUARDS ? 0 : PRICE_MAX << PRICE_SHIFT;
            uint256 top = 1;
            while (top << 1 < n) top <<= 1;
            for (uint256 p = top; p > 0; p >>= 1) {
                uint256 q = top;
                uint256 r = 0;
                uint256 d = p;
                while (true) {
                    for (uint256 i = 0; i + d < n; ++i) {
                        if (i & p == r) _exchange(words, i, d, guards, wide);
                    }
                    if (q == p) break;
                    d = q - p;
                    q >>= 1;
                    r = p;
                }
            }
        }
    }

    /// @dev The smaller of each lane to place i, the greater to place i + d: the comparator of Networks.sol on memory,
    /// in assembly because the sort has more than a hundred of them for twenty-one members.
    function _exchange(uint256[] memory words, uint256 i, uint256 d, uint256 guards, uint256 wide) private pure {
        assembly ("memory-safe") {
            let first := add(add(words, 32), shl(5, i))
            let second := add(first, shl(5, d))
            let a := mload(first)
            let b := mload(second)
            let z := sub(or(a, guards), b)
            let t := and(z, guards)
            z := and(z, or(sub(t, shr(15, t)), and(sar(63, t), wide)))
            mstore(first, sub(a, z))
            mstore(second, add(b, z))
        }
    }
}
