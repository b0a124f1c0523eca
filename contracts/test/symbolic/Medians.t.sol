// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import "../../src/oracle/Lanes.sol";
import {Medians} from "../../src/oracle/Medians.sol";
import {Lanewise} from "./Lanewise.sol";

/// @dev The lower median of each lane, by its definition: a member's figure, with enough figures on either side of it.
/// Of seven and nine with a bit a lane: a network of comparators that sorts every list of bits sorts every list.
contract SymbolicMedians is Lanewise {
    function check_three_members_risk(uint256[3] calldata words) external view {
        _risk(_list(words[0], words[1], words[2]), ~RISK_FORBIDDEN);
    }

    function check_three_members_market(uint256[3] calldata words) external view {
        _market(_list(words[0], words[1], words[2]), ~MARKET_FORBIDDEN);
    }

    function check_a_zero_word_is_an_abstention(uint256[3] calldata words) external view {
        for (uint256 who = 0; who < 3; ++who) {
            uint256[] memory each = new uint256[](6);
            for (uint256 i = 0; i < 3; ++i) {
                (each[2 * i], each[2 * i + 1]) = (words[i] & ~RISK_FORBIDDEN, words[i] & ~MARKET_FORBIDDEN);
            }
            (each[2 * who], each[2 * who + 1]) = (0, 0);
            (uint256[] memory figures,) = this.medians(each, 3);
            assert(figures[0] == 0 && figures[1] == 0);
        }
    }

    function check_a_stray_bit_anywhere_shows(uint256[6] calldata words) external view {
        uint256[] memory each = new uint256[](6);
        uint256 wanted = 0;
        for (uint256 i = 0; i < 6; ++i) {
            each[i] = words[i];
            wanted |= words[i] & (i % 2 == 0 ? RISK_FORBIDDEN : MARKET_FORBIDDEN);
        }
        (, uint256 stray) = this.medians(each, 3);
        assert(equal(stray, 0) == equal(wanted, 0));
    }

    function check_four_members_risk(uint256[4] calldata words) external view {
        uint256[] memory all = new uint256[](4);
        for (uint256 i = 0; i < 4; ++i) {
            all[i] = words[i];
        }
        _risk(all, ~RISK_FORBIDDEN);
    }

    function check_seven_members_in_bits(uint256[7] calldata words) external view {
        uint256[] memory all = new uint256[](7);
        for (uint256 i = 0; i < 7; ++i) {
            all[i] = words[i];
        }
        _risk(all, RISK_GUARDS >> 15);
    }

    function check_nine_members_in_bits(uint256[9] calldata words) external view {
        uint256[] memory all = new uint256[](9);
        for (uint256 i = 0; i < 9; ++i) {
            all[i] = words[i];
        }
        _risk(all, RISK_GUARDS >> 15);
    }

    function medians(uint256[] calldata words, uint256 members) external pure returns (uint256[] memory, uint256) {
        return Medians.ofMembers(words, members);
    }

    function _risk(uint256[] memory all, uint256 kept) private view {
        uint256[] memory each = new uint256[](2 * all.length);
        for (uint256 i = 0; i < all.length; ++i) {
            all[i] = all[i] & kept | 1 << CONTAGION_SHIFT; // not an abstention
            (each[2 * i], each[2 * i + 1]) = (all[i], 1 << PRICE_SHIFT);
        }
        (uint256[] memory figures,) = this.medians(each, all.length);
        _ranked(all, figures[0], RISK_GUARDS);
    }

    function _market(uint256[] memory all, uint256 kept) private view {
        uint256[] memory each = new uint256[](2 * all.length);
        for (uint256 i = 0; i < all.length; ++i) {
            all[i] = all[i] & kept | 1 << PRICE_SHIFT; // not an abstention
            each[2 * i + 1] = all[i];
        }
        (uint256[] memory figures,) = this.medians(each, all.length);
        _ranked(all, figures[1], MARKET_GUARDS);
    }

    function _ranked(uint256[] memory all, uint256 median, uint256 guards) private pure {
        uint256 rank = (all.length + 1) / 2;
        uint256 holds = 1;
        for (uint256 i = 0; i < lanes(guards); ++i) {
            (uint256 shift, uint256 most) = lane(guards, i);
            uint256 got = median >> shift & most;
            uint256 someones = 0;
            uint256 upTo = 0;
            uint256 fromOn = 0;
            for (uint256 j = 0; j < all.length; ++j) {
                uint256 x = all[j] >> shift & most;
                someones |= equal(x, got);
                upTo += atMost(x, got);
                fromOn += atMost(got, x);
            }
            holds &= someones & atMost(rank, upTo) & atMost(all.length - rank + 1, fromOn);
        }
        assert(holds == 1);
        assert(median & guards == 0);
    }

    function _list(uint256 a, uint256 b, uint256 c) private pure returns (uint256[] memory all) {
        all = new uint256[](3);
        (all[0], all[1], all[2]) = (a, b, c);
    }
}
