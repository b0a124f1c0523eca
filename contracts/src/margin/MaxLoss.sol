// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {LibSort} from "solady/utils/LibSort.sol";
import {Leg} from "./Leg.sol";

/// @title The most that a portfolio can owe at expiry, whatever the price: no model, only payoffs.
library MaxLoss {
    using Leg for uint256;

    /// @dev Each expiry by itself. A payoff is piecewise linear in the price, so its extremes are at zero and at strikes;
    /// in order of strikes its slope is carried along: every option, put or call, bends it upwards by its quantity.
    /// @return bounded False where more calls are short than long in an expiry.
    /// @return most Quantity times price, 14 decimals; negative where even the least payoff is a gain.
    function mostOwed(uint256[] calldata legs) internal pure returns (bool bounded, int256 most) {
        unchecked {
            uint256[] memory book = _sorted(legs);
            uint256 i = 0;
            while (i < book.length) {
                uint256 end = i;
                int256 paid = 0; // at a price of zero, puts pay their strikes
                int256 slope = 0;
                for (; end < book.length && _expiry(book[end]) == _expiry(book[i]); ++end) {
                    if (_isCall(book[end])) continue;
                    paid += _quantity(book[end]) * _strike(book[end]);
                    slope -= _quantity(book[end]);
                }
                int256 least = paid;
                int256 price = 0;
                for (; i < end; ++i) {
                    paid += slope * (_strike(book[i]) - price);
                    price = _strike(book[i]);
                    slope += _quantity(book[i]);
                    if (paid < least) least = paid;
                }
                if (slope < 0) return (false, 0);
                most -= least;
            }
            return (true, most);
        }
    }

    /// @dev Sort key on top (expiry 152-191, strike 88-151 after a shift), then kind and quantity.
    function _sorted(uint256[] calldata legs) private pure returns (uint256[] memory book) {
        unchecked {
            book = new uint256[](legs.length);
            for (uint256 i = 0; i < legs.length; ++i) {
                uint256 leg = legs[i];
                book[i] = leg.sortKey() << 65 | (leg.isCall() ? 1 << 64 : 0) | leg >> 192;
            }
            LibSort.sort(book);
        }
    }

    function _expiry(uint256 x) private pure returns (uint256) {
        return x >> 129;
    }

    function _strike(uint256 x) private pure returns (int256) {
        return int256(uint256(uint64(x >> 65)));
    }

    function _isCall(uint256 x) private pure returns (bool) {
        return x >> 64 & 1 != 0;
    }

    function _quantity(uint256 x) private pure returns (int256) {
        return int64(uint64(x));
    }
}
