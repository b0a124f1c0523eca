// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {LaneMath} from "../../src/oracle/LaneMath.sol";
import "../../src/oracle/Lanes.sol";
import {Limits, Policy, Steps} from "../../src/oracle/Policy.sol";
import {Lanewise} from "./Lanewise.sol";

/// @dev Step limits, the daily budget and the pause, for every pair of stored and new words.
contract SymbolicPolicy is Lanewise {
    uint256 private constant DAY = 1 days;

    function check_risk_is_held_to_the_step_in_each_lane(uint256 old, uint256 word, uint256 rise, uint256 fall)
        external
        pure
    {
        Steps memory s;
        (s.riskRise, s.riskFall) = (rise & ~RISK_FORBIDDEN, fall & ~RISK_FORBIDDEN);
        (old, word) = (old & ~RISK_FORBIDDEN, word & ~RISK_FORBIDDEN);
        (uint256 held,) = Policy.limit(s, old, 0, word, 0);
        _held(old, word, s.riskRise, s.riskFall, held, RISK_GUARDS);
    }

    function check_market_is_held_to_the_step_in_each_lane(uint256 old, uint256 word, uint256 rise, uint256 fall)
        external
        pure
    {
        Steps memory s;
        (s.marketRise, s.marketFall) = (rise & ~MARKET_FORBIDDEN, fall & ~MARKET_FORBIDDEN);
        (old, word) = (old & ~MARKET_FORBIDDEN, word & ~MARKET_FORBIDDEN);
        (, uint256 held) = Policy.limit(s, 0, old, 0, word);
        _held(old, word, s.marketRise, s.marketFall, held, MARKET_GUARDS);
    }

    /// @dev `passes` is the branch that ordinary figures take, `judge` the rule; one price move as a product of two
    /// unknowns is out of a solver's reach.
    function check_the_quick_rule_says_what_the_whole_rule_says(
        uint256 oldRisk,
        uint256 oldMarket,
        uint256 risk,
        uint256 market,
        Limits memory x,
        Steps memory s
    ) external pure {
        _clean(x);
        if (x.marketLow >> PRICE_SHIFT == 0) return; // MARKET_BOX_LOW: a price is something
        x.maxPriceMoveBp = 5000;
        s.riskRise &= ~RISK_FORBIDDEN;
        s.riskFall &= ~RISK_FORBIDDEN;
        s.marketRise &= ~MARKET_FORBIDDEN;
        s.marketFall &= ~MARKET_FORBIDDEN;
        (oldRisk, risk) = (oldRisk & ~RISK_FORBIDDEN, risk & ~RISK_FORBIDDEN);
        (oldMarket, market) = (oldMarket & ~MARKET_FORBIDDEN, market & ~MARKET_FORBIDDEN);
        if (!Policy.passes(x, s, oldRisk, oldMarket, risk, market)) return;
        assert(risk != 0 && market != 0);
        (bool refused,) = Policy.check(x, risk, market, oldMarket >> PRICE_SHIFT);
        assert(!refused);
        (uint256 heldRisk, uint256 heldMarket) = Policy.limit(s, oldRisk, oldMarket, risk, market);
        assert(heldRisk == risk);
        assert(heldMarket == market);
    }

    function check_while_paused_no_lane_loosens(
        uint256 oldRisk,
        uint256 oldMarket,
        uint256 risk,
        uint256 market,
        Limits memory x,
        uint32 last,
        uint32 observedAt
    ) external pure {
        _clean(x);
        Steps memory s;
        Policy.setSteps(s, x, last, observedAt, true);
        (oldRisk, risk) = (oldRisk & ~RISK_FORBIDDEN, risk & ~RISK_FORBIDDEN);
        (oldMarket, market) = (oldMarket & ~MARKET_FORBIDDEN, market & ~MARKET_FORBIDDEN);
        (uint256 heldRisk, uint256 heldMarket) = Policy.limit(s, oldRisk, oldMarket, risk, market);
        uint256 holds = 1;
        for (uint256 shift = 0; shift < 256; shift += 16) {
            holds &= atMost(oldRisk >> shift & LANE_MAX, heldRisk >> shift & LANE_MAX);
        }
        for (uint256 shift = 0; shift < 160; shift += 16) {
            (uint256 was, uint256 now_) = (oldMarket >> shift & LANE_MAX, heldMarket >> shift & LANE_MAX);
            holds &= atMost(was, now_) | equal(MARKET_FALL_LOOSENS >> shift & LANE_MAX, 0);
            holds &= atMost(now_, was) | equal(MARKET_RISE_LOOSENS >> shift & LANE_MAX, 0);
        }
        assert(holds == 1);
    }

    /// @dev What `validate` asks of limits is enough: two coherent words, limited, leave a coherent word.
    function check_ascending_words_stay_ascending(uint256 old, uint256 word, uint256 rise, uint256 fall) external pure {
        uint256 clean = ~RISK_FORBIDDEN;
        (old, word, rise, fall) = (old & clean, word & clean, rise & clean, fall & clean);
        uint256 given = _ascends(old) & _ascends(word) & _ascends(rise) & _ascends(~fall & clean);
        Steps memory s;
        (s.riskRise, s.riskFall) = (rise, fall);
        (uint256 held,) = Policy.limit(s, old, 0, word, 0);
        assert(atMost(given, _ascends(held)) == 1);
    }

    /// @dev For any two times of a day, and a budget: a product of two unknowns is out of a solver's reach.
    function check_a_budget_grants_at_most_a_days(uint16 from, uint16 elapsed) external pure {
        assert(Policy.grantedDown(400, from, uint256(from) + elapsed) <= 400);
    }

    function check_budgets_of_two_writes_add_up_to_that_of_one(uint16 daily, uint32 from, uint24 first, uint24 second)
        external
        pure
    {
        uint256 each = daily & LANE_MAX;
        (uint256 a, uint256 b) = (uint256(first) & 0xffff, uint256(second) & 0x3fff); // together below a day
        uint256 middle = uint256(from) + a;
        uint256 apart = Policy.grantedDown(each, from, middle) + Policy.grantedDown(each, middle, middle + b);
        uint256 whole = Policy.grantedDown(each, from, middle + b);
        assert(equal(each, LANE_MAX) | equal(apart, whole) == 1);
    }

    /// @dev For every word, and a few shares.
    function check_scaling_is_exact_in_each_lane(uint256 word) external pure {
        word &= ~RISK_FORBIDDEN;
        uint256[3] memory shares = [uint256(1), 12_345, 0x10000];
        uint256 holds = 1;
        for (uint256 i = 0; i < 3; ++i) {
            uint256 down = LaneMath.scaledDown(word, shares[i]);
            uint256 up = LaneMath.scaledUp(word, shares[i]);
            for (uint256 shift = 0; shift < 256; shift += 16) {
                uint256 product = (word >> shift & LANE_MAX) * shares[i];
                holds &= equal(down >> shift & 0xffff, product >> 16);
                holds &= equal(up >> shift & 0xffff, product + 0xffff >> 16);
            }
        }
        assert(holds == 1);
    }

    function check_a_lane_is_saturated_at_its_largest_value_only(uint256 word) external pure {
        word &= ~RISK_FORBIDDEN;
        uint256 full = LaneMath.saturated(word);
        uint256 holds = 1;
        for (uint256 shift = 0; shift < 256; shift += 16) {
            uint256 reached = equal(word >> shift & LANE_MAX, LANE_MAX);
            holds &= equal(full >> shift & 0xffff, reached * LANE_MAX);
        }
        assert(holds == 1);
    }

    /// @dev 63-bit prices; a few of the moves that `validate` admits, the largest among them, as a product of two
    /// unknowns is out of a solver's reach.
    function check_a_price_jump_is_judged_without_overflow(uint64 price, uint64 last) external pure {
        (uint256 p, uint256 l) = (price & PRICE_MAX, last & PRICE_MAX);
        uint256[3] memory moves = [uint256(1), 5000, type(uint32).max];
        uint256 holds = 1;
        for (uint256 i = 0; i < 3; ++i) {
            uint256 move = p > l ? p - l : l - p;
            bool wanted = move * 10_000 > l * moves[i]; // checked arithmetic: would panic if it could overflow
            holds &= Policy.jumps(p, l, moves[i]) == wanted ? 1 : 0;
        }
        assert(holds == 1);
    }

    function _held(uint256 old, uint256 word, uint256 rise, uint256 fall, uint256 held, uint256 guards) private pure {
        uint256 holds = 1;
        for (uint256 i = 0; i < lanes(guards); ++i) {
            (uint256 shift, uint256 most) = lane(guards, i);
            (uint256 o, uint256 w) = (old >> shift & most, word >> shift & most);
            uint256 top = lesser(o + (rise >> shift & most), most);
            uint256 bottom = o - lesser(o, fall >> shift & most);
            uint256 wanted = lesser(w, top);
            holds &= equal(held >> shift & most, wanted + bottom - lesser(wanted, bottom));
        }
        assert(holds == 1);
        assert(held & guards == 0);
    }

    function _ascends(uint256 word) private pure returns (uint256 holds) {
        holds = 1;
        for (uint256 i = 0; i < 9; ++i) {
            uint256 next = atMost(word >> 16 * i & LANE_MAX, word >> 16 * (i + 1) & LANE_MAX);
            holds &= next | equal(RISK_ASCENDING >> 16 * i & LANE_MAX, 0);
        }
    }

    function _clean(Limits memory x) private pure {
        (x.riskLow, x.riskHigh) = (x.riskLow & ~RISK_FORBIDDEN, x.riskHigh & ~RISK_FORBIDDEN);
        (x.marketLow, x.marketHigh) = (x.marketLow & ~MARKET_FORBIDDEN, x.marketHigh & ~MARKET_FORBIDDEN);
        (x.riskMaxRise, x.riskMaxFall) = (x.riskMaxRise & ~RISK_FORBIDDEN, x.riskMaxFall & ~RISK_FORBIDDEN);
        (x.marketMaxRise, x.marketMaxFall) = (x.marketMaxRise & ~MARKET_FORBIDDEN, x.marketMaxFall & ~MARKET_FORBIDDEN);
        x.riskDaily &= ~RISK_FORBIDDEN;
        x.marketDaily &= ~(MARKET_FORBIDDEN | PRICE_MAX << PRICE_SHIFT);
    }
}
