// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IMarginEngine} from "../../src/interfaces/IMarginEngine.sol";
import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {Leg} from "../../src/margin/Leg.sol";
import {MarginEngine} from "../../src/margin/MarginEngine.sol";
import "../../src/oracle/Lanes.sol";
import {Base} from "../Base.sol";

/// @dev An oracle that says what a test tells it.
contract WordsDouble {
    struct Row {
        uint256 risk;
        uint256 market;
        IRiskOracle.Status status;
    }

    Row[65_536] private _rows;

    function set(uint16 id, uint256 risk, uint256 market, IRiskOracle.Status status) external {
        _rows[id] = Row(risk, market, status);
    }

    function effective(uint16 id) external view returns (uint256, uint256, uint256, IRiskOracle.Status) {
        Row storage row = _rows[id];
        return (row.risk, row.market, 60, row.status);
    }
}

/// @dev The engine over words for one market, and portfolios for it.
abstract contract MarginSetup is Base {
    uint256 internal constant NOW = 1_800_000_000;
    uint256 internal constant BTC = 60_000e8;
    int64 internal constant ONE = 1e6;

    WordsDouble internal words;
    IMarginEngine internal engine;

    function setUp() public virtual {
        vm.warp(NOW);
        words = new WordsDouble();
        engine = new MarginEngine(IRiskOracle(address(words)));
        say(riskWord(100), marketWord(BTC));
    }

    function say(uint256 risk, uint256 market) internal {
        words.set(0, risk, market, IRiskOracle.Status.FRESH);
    }

    function ask(uint256[] memory legs) internal view returns (IMarginEngine.Requirement memory) {
        return engine.requirement(0, legs, 10_000);
    }

    /// @dev A calm market: a day-sized ladder times `stress` percent, 60 % volatility, a sound surface.
    function riskWord(uint256 stress) internal pure returns (uint256 word) {
        uint16[16] memory lanes = [200, 300, 350, 500, 600, 180, 280, 330, 470, 560, 3000, 2000, 10, 1000, 500, 100];
        for (uint256 i = 0; i < 16; ++i) {
            word |= uint256(lanes[i]) * stress / 100 << 16 * i;
        }
    }

    function marketWord(uint256 price) internal pure returns (uint256) {
        return price << PRICE_SHIFT | 2000 << SCORE_SHIFT | 9000 << CONFIDENCE_SHIFT | 1660 << TOTAL_VOL_7D_SHIFT | 3440
            << TOTAL_VOL_30D_SHIFT | 5960 << TOTAL_VOL_90D_SHIFT | (EXCESS - 2000) << SSVI_RHO_SHIFT | 8000
            << SSVI_WING_SHIFT | 4000 << SSVI_DECAY_SHIFT | (EXCESS + 500) << BASIS_SHIFT;
    }

    function with(uint256 word, uint256 shift, uint256 lane) internal pure returns (uint256) {
        return word & ~(LANE_MAX << shift) | lane << shift;
    }

    function option(uint256 life, uint256 strike, bool isCall, int64 quantity) internal pure returns (uint256) {
        return Leg.pack(uint40(NOW + life), uint64(strike), isCall, quantity);
    }

    function only(uint256 leg) internal pure returns (uint256[] memory legs) {
        legs = new uint256[](1);
        legs[0] = leg;
    }

    function both(uint256 a, uint256 b) internal pure returns (uint256[] memory legs) {
        legs = new uint256[](2);
        (legs[0], legs[1]) = (a, b);
    }

    /// @dev Options as they are listed: an hour to a year, strikes from a fifth to four times the price.
    function book(uint256 seed, uint256 n) internal pure returns (uint256[] memory legs) {
        legs = new uint256[](n);
        for (uint256 i = 0; i < n; ++i) {
            uint256 x = uint256(keccak256(abi.encode(seed, i)));
            int64 size = int64(int256(within(x >> 96, 1, 1e9)));
            legs[i] = option(
                within(x, 1 hours, 365 days),
                within(x >> 32, 12_000e8, 240_000e8),
                x >> 254 & 1 == 1,
                x >> 255 == 1 ? size : -size
            );
        }
    }
}
