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
            uint256 stride = words.length / members * 32;
            uint256 data;
            uint256 out;
            assembly ("memory-safe") {
                data := words.offset
                figures := mload(0x40) // not cleared: every word is written
                out := add(figures, 32)
                mstore(figures, shr(5, stride))
                mstore(0x40, add(out, stride))
            }
            uint256 end = out + stride;
            if (members != 3 && members != 9) return (figures, _ofAny(words, members, figures));
            // Called through pointers, so that the compiler gives each loop a stack of its own.
            function(uint256, uint256, uint256, uint256) pure returns (uint256) risks = _risks3;
            function(uint256, uint256, uint256, uint256) pure returns (uint256) markets = _markets3;
            if (members == 9) (risks, markets) = (_risks9, _markets9);
            stray = risks(data, stride, out, end) & RISK_FORBIDDEN;
            stray |= markets(data + 32, stride, out + 32, end) & MARKET_FORBIDDEN;
        }
    }

    // Risk words of all markets first, then market words: together they are more than the stack reaches.

    function _risks3(uint256 data, uint256 stride, uint256 out, uint256 end) private pure returns (uint256 bits) {
        unchecked {
            uint256 g = RISK_GUARDS.kept();

            for (; out < end; out += 64) {
                (uint256 word, uint256 more) = Networks.risk3(data, stride, g);
                bits |= more;
                assembly ("memory-safe") {
                    mstore(out, word)
                }
                data += 64;
            }
        }
    }

    function _markets3(uint256 data, uint256 stride, uint256 out, uint256 end) private pure returns (uint256 bits) {
        unchecked {
            uint256 g = MARKET_GUARDS.kept();
            uint256 p = (PRICE_MAX << PRICE_SHIFT).kept();
            for (; out < end; out += 64) {
                (uint256 word, uint256 more) = Networks.market3(data, stride, g, p);
                bits |= more;
                assembly ("memory-safe") {
                    mstore(out, word)
                }
                data += 64;
            }
        }
    }

    function _risks9(uint256 data, uint256 stride, uint256 out, uint256 end) private pure returns (uint256 bits) {
        unchecked {
            uint256 g = RISK_GUARDS.kept();

            for (; out < end; out += 64) {
                (uint256 word, uint256 more) = Networks.risk9(data, stride, g);
                bits |= more;
                assembly ("memory-safe") {
                    mstore(out, word)
                }
                data += 64;
            }
        }
    }

    function _markets9(uint256 data, uint256 stride, uint256 out, uint256 end) private pure returns (uint256 bits) {
        unchecked {
            uint256 g = MARKET_GUARDS.kept();
            uint256 p = (PRICE_MAX << PRICE_SHIFT).kept();
            for (; out < end; out += 64) {
                (uint256 word, uint256 more) = Networks.market9(data, stride, g, p);
                bits |= more;
                assembly ("memory-safe") {
                    mstore(out, word)
                }
                data += 64;
            }
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
