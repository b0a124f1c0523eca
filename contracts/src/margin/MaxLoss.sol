// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {LibSort} from "solady/utils/LibSort.sol";
import {Leg} from "./Leg.sol";
import {Sheet} from "./Sheet.sol";

/// @title The most that a portfolio can owe at expiry, whatever the price: no model, only payoffs.
library MaxLoss {
    using Leg for uint256;

    /// @dev Each expiry by itself. A payoff is piecewise linear in the price, so its extremes are at zero and at strikes;
    /// in order of strikes its slope is carried along: every option, put or call, bends it upwards by its quantity.
    /// @return bounded False where more calls are short than long in an expiry.
    /// @return most Quantity times price, 14 decimals; negative where even the least payoff is a gain.
    function mostOwed(uint256[] calldata legs) internal pure returns (bool bounded, int256 most) {
        unchecked {
            (uint256 place, uint256 end) = _sorted(legs);
            while (place < end) {
                (uint256 next, int256 paid, int256 slope) = _atZero(place, end);
                int256 least = paid;
                int256 price = 0;
                for (; place < next; place += 0x20) {
                    uint256 x = uint256(Sheet.load(place));
                    int256 strike = _strike(x);
                    paid += slope * (strike - price);
                    if (paid < least) least = paid;
                    price = strike;
                    slope += int64(uint64(x));
                }
                if (slope < 0) return (false, 0);
                most -= least;
            }
            return (true, most);
        }
    }

    /// @return next Where the next expiry begins.
    /// @return paid At a price of zero, when puts pay their strikes.
    /// @return slope Of the payoff there.
    function _atZero(uint256 place, uint256 end) private pure returns (uint256 next, int256 paid, int256 slope) {
        unchecked {
            uint256 expiry = uint256(Sheet.load(place)) >> 129;
            for (next = place; next < end; next += 0x20) {
                uint256 x = uint256(Sheet.load(next));
                if (x >> 129 != expiry) return (next, paid, slope);
                if (x >> 64 & 1 != 0) continue;
                int256 quantity = int64(uint64(x));
                paid += quantity * _strike(x);
                slope -= quantity;
            }
        }
    }

    /// @return place Where the first leg lies in memory, each a word: expiry from bit 129, strike from 65, 64 set for a
    /// call, quantity.
    /// @return end Behind the last.
    function _sorted(uint256[] calldata legs) private pure returns (uint256 place, uint256 end) {
        unchecked {
            uint256[] memory book = new uint256[](legs.length);
            assembly ("memory-safe") {
                place := add(book, 0x20)
            }
            end = place;
            for (uint256 i = 0; i < legs.length; ++i) {
                uint256 leg = legs[i];
                Sheet.store(end, int256(leg.sortKey() << 65 | (leg >> 168 & 1) << 64 | leg >> 192));
                end += 0x20;
            }
            LibSort.sort(book);
        }
    }

    function _strike(uint256 x) private pure returns (int256) {
        return int256(uint256(uint64(x >> 65)));
    }
}
