// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {LaneMath} from "../../src/oracle/LaneMath.sol";
import "../../src/oracle/Lanes.sol";
import {Medians} from "../../src/oracle/Medians.sol";
import {Policy, Steps} from "../../src/oracle/Policy.sol";
import {Base} from "../Base.sol";

/// @dev What is done to all lanes at once against the same done lane by lane.
contract LanesTest is Base {
    function test_fuzz_lane_arithmetic_is_arithmetic_on_each_lane(uint256 a, uint256 b) external pure {
        _arithmetic(a & ~RISK_FORBIDDEN, b & ~RISK_FORBIDDEN, RISK_GUARDS, false);
        _arithmetic(a & ~MARKET_FORBIDDEN, b & ~MARKET_FORBIDDEN, MARKET_GUARDS, true);
    }

    function test_lane_arithmetic_at_its_edges() external pure {
        uint256[3] memory edges = [uint256(0), type(uint256).max, 1 << 192 | 1];
        for (uint256 i = 0; i < 9; ++i) {
            uint256 a = edges[i / 3];
            uint256 b = edges[i % 3];
            _arithmetic(a & ~RISK_FORBIDDEN, b & ~RISK_FORBIDDEN, RISK_GUARDS, false);
            _arithmetic(a & ~MARKET_FORBIDDEN, b & ~MARKET_FORBIDDEN, MARKET_GUARDS, true);
        }
    }

    function test_fuzz_the_median_of_words_is_the_median_of_each_lane(uint256 seed, uint8 count) external pure {
        uint256 n = within(count, 1, 31);
        for (uint256 kind = 0; kind < 2; ++kind) {
            uint256 forbidden = kind == 0 ? RISK_FORBIDDEN : MARKET_FORBIDDEN;
            uint256[] memory words = new uint256[](n);
            for (uint256 i = 0; i < n; ++i) {
                words[i] = uint256(keccak256(abi.encode(seed, kind, i))) & ~forbidden;
                if (i > 0 && seed >> i & 1 == 1) words[i] = words[i - 1]; // ties
            }
            uint256[] memory copy = new uint256[](n);
            for (uint256 i = 0; i < n; ++i) {
                copy[i] = words[i];
            }
            uint256 got = Medians.median(copy, kind == 0 ? RISK_GUARDS : MARKET_GUARDS);
            for (uint256 lane = 0; lane < 16; ++lane) {
                if (kind == 1 && lane > 9) break;
                same(got >> 16 * lane & LANE_MAX, _median(words, 16 * lane, LANE_MAX), "lane");
            }
            if (kind == 1) same(got >> PRICE_SHIFT, _median(words, PRICE_SHIFT, PRICE_MAX), "price");
        }
    }

    /// @dev A quorum of seven of ten may hold three liars.
    function test_fuzz_a_third_of_liars_cannot_move_a_median_beyond_the_honest(uint256 seed) external pure {
        uint256[] memory words = new uint256[](7);
        uint256 low = LANE_MAX;
        uint256 high = 0;
        for (uint256 i = 0; i < 7; ++i) {
            words[i] = uint256(keccak256(abi.encode(seed, i))) & LANE_MAX;
            if (i < 3) words[i] = seed >> i & 1 == 0 ? 0 : LANE_MAX;
            else (low, high) = (words[i] < low ? words[i] : low, words[i] > high ? words[i] : high);
        }
        uint256 got = Medians.median(words, RISK_GUARDS);
        check(got >= low && got <= high, "beyond the honest");
    }

    function test_fuzz_limits_keep_order_and_stay_between_old_and_new(uint256 a, uint256 b, uint256 step)
        external
        pure
    {
        Steps memory x;
        uint256 each = 0x0001000100010001000100010001000100010001000100010001000100010001;
        x.riskFall = each * (step % 400);
        x.riskRise = each * (step / 400 % (LANE_MAX + 1));
        x.marketRise = x.riskRise & ~MARKET_FORBIDDEN;
        x.marketFall = x.riskFall & ~MARKET_FORBIDDEN;
        uint256 old = _ascending(a);
        uint256 wanted = _ascending(b);
        check(Policy.coherent(old, 0) && Policy.coherent(wanted, 0), "the fuzzer's words are coherent");
        (uint256 held,) = Policy.limit(x, old, 0, wanted, 0);
        check(Policy.coherent(held, 0), "still coherent");
        for (uint256 lane = 0; lane < 16; ++lane) {
            uint256 o = old >> 16 * lane & LANE_MAX;
            uint256 w = wanted >> 16 * lane & LANE_MAX;
            uint256 h = held >> 16 * lane & LANE_MAX;
            check(h >= (o < w ? o : w) && h <= (o < w ? w : o), "between");
            check(h + step % 400 >= o && h <= o + step / 400 % (LANE_MAX + 1), "within a step");
        }
    }

    function test_fuzz_lanes_times_a_share_are_each_lane_times_it(uint256 word, uint256 share) external pure {
        word &= ~RISK_FORBIDDEN;
        share = within(share, 0, 1 << 16);
        uint256 down = LaneMath.scaledDown(word, share);
        uint256 up = LaneMath.scaledUp(word, share);
        uint256 full = LaneMath.saturated(word);
        for (uint256 shift = 0; shift < 256; shift += 16) {
            uint256 lane = word >> shift & LANE_MAX;
            same(down >> shift & 0xffff, lane * share >> 16, "down");
            same(up >> shift & 0xffff, lane * share + 0xffff >> 16, "up");
            same(full >> shift & 0xffff, lane == LANE_MAX ? LANE_MAX : 0, "saturated");
        }
    }

    /// @dev Over any number of writes the grants are the budget of the whole time, to one unit.
    function test_fuzz_grants_of_a_daily_budget_add_up(uint256 daily, uint256 from, uint256 seed) external pure {
        daily &= ~RISK_FORBIDDEN;
        from = within(from, 1_700_000_000, 1_900_000_000);
        uint256[16] memory granted;
        uint256 to = from;
        for (uint256 i = 0; i < 24; ++i) {
            uint256 next = to + 1 + uint256(keccak256(abi.encode(seed, i))) % 1 days;
            uint256 word = Policy.grantedDown(daily, to, next);
            for (uint256 lane = 0; lane < 16; ++lane) {
                granted[lane] += word >> 16 * lane & 0xffff;
            }
            to = next;
        }
        for (uint256 lane = 0; lane < 16; ++lane) {
            uint256 each = daily >> 16 * lane & LANE_MAX;
            if (each == LANE_MAX) continue;
            uint256 due = each * (to - from) / 1 days;
            check(granted[lane] <= due + 2 && granted[lane] + 2 >= due, "not the budget");
        }
    }

    function _arithmetic(uint256 a, uint256 b, uint256 guards, bool market) private pure {
        uint256 excess = LaneMath.excess(a, b, guards);
        uint256 sum = LaneMath.sum(a, b, guards);
        uint256 low = LaneMath.min(a, b, guards);
        uint256 high = LaneMath.max(a, b, guards);
        uint256 reached = LaneMath.atLeast(a, b, guards);
        for (uint256 lane = 0; lane < (market ? 11 : 16); ++lane) {
            uint256 shift = lane == 10 && market ? PRICE_SHIFT : 16 * lane;
            uint256 most = lane == 10 && market ? PRICE_MAX : LANE_MAX;
            (uint256 x, uint256 y) = (a >> shift & most, b >> shift & most);
            same(excess >> shift & most, x > y ? x - y : 0, "excess");
            same(sum >> shift & most, x + y > most ? most : x + y, "sum");
            same(low >> shift & most, x < y ? x : y, "min");
            same(high >> shift & most, x > y ? x : y, "max");
            bool flagged = reached & (most + 1) << shift != 0;
            check(flagged == (x >= y), "atLeast");
        }
    }

    function _median(uint256[] memory words, uint256 shift, uint256 most) private pure returns (uint256) {
        uint256 rank = (words.length - 1) / 2;
        for (uint256 i = 0; i < words.length; ++i) {
            uint256 x = words[i] >> shift & most;
            uint256 below = 0;
            uint256 upTo = 0;
            for (uint256 j = 0; j < words.length; ++j) {
                uint256 y = words[j] >> shift & most;
                if (y < x) ++below;
                if (y <= x) ++upTo;
            }
            if (below <= rank && rank < upTo) return x;
        }
        revert Untrue("no median");
    }

    /// @dev Random words whose two ladders ascend.
    function _ascending(uint256 seed) private pure returns (uint256 word) {
        for (uint256 ladder = 0; ladder < 2; ++ladder) {
            uint256 rung = 0;
            for (uint256 i = 0; i < 5; ++i) {
                rung += uint256(keccak256(abi.encode(seed, ladder, i))) % 6000;
                word |= rung << 16 * (5 * ladder + i);
            }
        }
    }
}
