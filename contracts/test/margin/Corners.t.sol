// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IMarginEngine} from "../../src/interfaces/IMarginEngine.sol";
import {Corners} from "../../src/margin/Corners.sol";
import {Leg} from "../../src/margin/Leg.sol";
import {Portfolio} from "../../src/margin/Portfolio.sol";
import {Sheet} from "../../src/margin/Sheet.sol";
import "../../src/oracle/Lanes.sol";
import {MarginSetup} from "./MarginSetup.sol";

/// @dev The engine over any list of scenarios.
contract AnyScenarios {
    function requirement(uint256 rows, uint256 risk, uint256 market, uint256[] calldata legs)
        external
        view
        returns (IMarginEngine.Requirement memory r)
    {
        Portfolio.requirementUp(r, rows, risk, market, legs, 10_000);
    }
}

/// @dev M10: what is left out is never worse than the corner, but for what the table errs.
contract CornersTest is MarginSetup {
    using Leg for uint256;

    /// @dev Kinds of legs as in `Corners`.
    uint256 private constant LONG_PUT = 1;
    uint256 private constant LONG_CALL = 2;
    uint256 private constant SHORT_PUT = 4;
    uint256 private constant SHORT_CALL = 8;

    AnyScenarios private _any;

    function setUp() public override {
        super.setUp();
        _any = new AnyScenarios();
    }

    // --- which ------------------------------------------------------------------------------------------------------

    function test_each_kind_of_book_has_its_corners() external view {
        uint256 today = 1 << 10;
        same(_scenarios(0), today | 1 << 18 | 1 << 22, "nothing at all");
        same(_scenarios(SHORT_CALL), today | 1 << 18 | 1 << 22, "short calls");
        same(_scenarios(SHORT_PUT), today | 1 << 0 | 1 << 21, "short puts");
        same(_scenarios(LONG_CALL), today | 1 << 2 | 1 << 21, "long calls");
        same(_scenarios(LONG_PUT), today | 1 << 20 | 1 << 22, "long puts");
        same(_scenarios(SHORT_CALL | SHORT_PUT), today | 1 << 0 | 1 << 18 | 1 << 21 | 1 << 22, "a short strangle");
        same(_scenarios(SHORT_CALL | LONG_PUT), today | 7 << 18 | 1 << 22, "a short risk reversal");
        same(_scenarios(SHORT_PUT | LONG_CALL), today | 7 << 0 | 1 << 21, "a long risk reversal");
    }

    function test_every_other_book_needs_all() external view {
        uint256[8] memory kinds = [
            LONG_CALL | LONG_PUT,
            SHORT_CALL | LONG_CALL,
            SHORT_PUT | LONG_PUT,
            SHORT_CALL | SHORT_PUT | LONG_CALL,
            SHORT_CALL | SHORT_PUT | LONG_PUT,
            LONG_CALL | LONG_PUT | SHORT_CALL,
            LONG_CALL | LONG_PUT | SHORT_PUT,
            15
        ];
        for (uint256 i = 0; i < 8; ++i) {
            same(_scenarios(kinds[i]), (1 << 23) - 1, "all");
        }
    }

    function test_a_leg_without_a_quantity_changes_no_corner() external view {
        uint256 nothing = option(7 days, BTC, true, 0);
        uint256 sold = option(7 days, BTC, true, -ONE);
        same(this.rowsOf(both(nothing, sold)), this.rowsOf(only(sold)), "first");
        same(this.rowsOf(both(sold, nothing)), this.rowsOf(only(sold)), "last");
    }

    // --- and that none is missing -----------------------------------------------------------------------------------

    function test_fuzz_no_scenario_left_out_is_worse_than_the_corner(uint256 seed) external {
        (uint256 risk, uint256 market) = _words(seed);
        say(risk, market);
        uint256[] memory legs = _oneWay(seed);
        IMarginEngine.Requirement memory r = ask(legs);
        IMarginEngine.Requirement memory full = _any.requirement(Corners.ALL, risk, market, legs);
        same(r.value, full.value, "value");
        check(r.worstLoss <= full.worstLoss, "a corner is a scenario");
        check(full.worstLoss - r.worstLoss <= _grain(risk, legs), "worst loss");
        check(full.maintenance >= r.maintenance && full.initial >= r.initial, "none is asked for more");
        check(full.maintenance - r.maintenance <= _grain(risk, legs), "maintenance");
        check(this.rowsOf(legs) != Corners.ALL, "few were priced");
        check((_marked(this.rowsOf(legs)) >> r.worstScenario) & 1 == 1, "and the worst is one of them");
    }

    function test_fuzz_all_scenarios_are_what_a_mixed_book_gets(uint256 seed) external {
        (uint256 risk, uint256 market) = _words(seed);
        say(risk, market);
        uint256[] memory legs = book(seed, 4);
        legs[0] = option(7 days, BTC, true, ONE);
        legs[1] = option(7 days, BTC, false, ONE);
        IMarginEngine.Requirement memory r = ask(legs);
        IMarginEngine.Requirement memory full = _any.requirement(Corners.ALL, risk, market, legs);
        same(r.worstLoss, full.worstLoss, "worst loss");
        same(r.initial, full.initial, "initial");
        same(r.worstScenario, full.worstScenario, "scenario");
    }

    function test_fuzz_no_word_makes_a_corner_less_than_the_grid(uint256 risk, uint256 market, uint256 seed) external {
        market |= 1 << PRICE_SHIFT;
        risk &= ~RISK_GUARDS;
        market &= ~MARKET_GUARDS;
        say(risk, market);
        uint256[] memory legs = _oneWay(seed);
        uint256 price = market >> PRICE_SHIFT;
        uint256 highest = 0;
        for (uint256 i = 0; i < legs.length; ++i) {
            uint256 strike = within(seed >> i, 1, price > 1 << 60 ? 1 << 62 : 4 * price);
            legs[i] = Leg.pack(legs[i].expiry(), uint64(strike), legs[i].isCall(), legs[i].quantity());
            highest += uint256(_size(legs[i])) * (strike + 280 * price); // carry up to ten, a move up to 28
        }
        IMarginEngine.Requirement memory r = ask(legs);
        IMarginEngine.Requirement memory full = _any.requirement(Corners.ALL, risk, market, legs);
        check(full.worstLoss - r.worstLoss <= highest * 1e4 / 1e5 + 1, "worst loss");
    }

    // --- helpers ----------------------------------------------------------------------------------------------------

    function rowsOf(uint256[] calldata legs) external pure returns (uint256) {
        return Corners.rowsOf(legs);
    }

    function _scenarios(uint256 kinds) private view returns (uint256) {
        uint256[] memory legs = new uint256[](4);
        for (uint256 i = 0; i < 4; ++i) {
            int64 quantity = kinds >> i & 1 == 0 ? int64(0) : i < 2 ? ONE : -ONE;
            legs[i] = option(7 days, BTC, i % 2 == 1, quantity);
        }
        return _marked(this.rowsOf(legs));
    }

    /// @return marks A bit for each scenario of a list.
    function _marked(uint256 rows) private pure returns (uint256 marks) {
        for (; rows != 0; rows >>= 8) {
            uint256 row = Sheet.rowOf(rows);
            for (uint256 column = 0; column < 3; ++column) {
                if (rows >> column & 1 == 0) continue;
                marks |= 1 << Sheet.scenarioAt(row + Sheet.RAISED + 32 * column);
            }
        }
    }

    /// @dev A market in the domain of M6: shocks up to fivefold, 10 to 300 % of volatility, any confidence and skew.
    function _words(uint256 seed) private pure returns (uint256 risk, uint256 market) {
        uint256 x = uint256(keccak256(abi.encode(seed, "words")));
        risk = riskWord(within(x, 0, 500));
        risk = with(with(risk, VOL_UP_SHIFT, x >> 32 & 8191), VOL_DOWN_SHIFT, x >> 48 & 8191);
        uint256 vol = within(x >> 64, 1000, 30_000);
        market = with(marketWord(BTC), CONFIDENCE_SHIFT, within(x >> 96, 0, 10_000));
        market = with(market, TOTAL_VOL_7D_SHIFT, vol * 138 / 1000);
        market = with(market, TOTAL_VOL_30D_SHIFT, vol * 287 / 1000);
        market = with(market, TOTAL_VOL_90D_SHIFT, vol * 497 / 1000);
        market = with(market, SSVI_RHO_SHIFT, within(x >> 128, EXCESS - 9000, EXCESS + 9000));
        market = with(market, SSVI_WING_SHIFT, within(x >> 160, 500, 20_000));
    }

    /// @dev Up to four legs that all lose by the same kind of move, or that are all sold.
    function _oneWay(uint256 seed) private pure returns (uint256[] memory legs) {
        legs = book(seed, within(seed >> 8, 1, 4));
        uint256 way = seed % 7;
        for (uint256 i = 0; i < legs.length; ++i) {
            bool isCall = way < 4 ? way % 2 == 0 : legs[i].isCall();
            bool isShort = way < 4 ? way < 2 : way == 4 || (way == 5) == isCall;
            int64 size = int64(_size(legs[i]));
            legs[i] = Leg.pack(legs[i].expiry(), legs[i].strike(), isCall, isShort ? -size : size);
        }
    }

    function _size(uint256 leg) private pure returns (int256) {
        int256 quantity = leg.quantity();
        return quantity < 0 ? -quantity : quantity;
    }

    /// @dev Twice 5e-6 of the forward after the greatest move, for each contract; carry is below 1.1.
    function _grain(uint256 risk, uint256[] memory legs) private pure returns (uint256 dollars) {
        uint256 move = 10_000 + 3 * (risk >> UP_ES999_SHIFT & LANE_MAX) + 10_000;
        for (uint256 i = 0; i < legs.length; ++i) {
            dollars += uint256(_size(legs[i])) * BTC * move * 11 / 10 / 1e5;
        }
    }
}
