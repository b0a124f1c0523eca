// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import "../../src/oracle/Lanes.sol";
import {Base} from "../Base.sol";
import {OracleDouble} from "./OracleDouble.sol";

/// @dev A double oracle at a known time, and an ordinary day's words.
abstract contract AdapterSetup is Base {
    uint256 internal constant START = 1_800_000_000; // a whole number of periods
    uint256 internal constant PERIOD = 300;
    uint256 internal constant ETH = 3000e8;
    uint256 internal constant CALM_ES99 = 350;
    uint256 internal constant CALM_ES999 = 600;
    uint256 internal constant CALM_LIQUIDITY = 10;
    uint256 internal constant CALM_CONTAGION = 100;

    OracleDouble internal oracle;

    function setUp() public virtual {
        vm.warp(START);
        oracle = new OracleDouble();
    }

    function publish(uint256 price) internal {
        oracle.publish(riskWord(100), marketWord(price));
    }

    function after_(uint256 seconds_) internal {
        vm.warp(block.timestamp + seconds_);
    }

    function riskWord(uint256 stress) internal pure returns (uint256 word) {
        uint16[16] memory lanes = [
            200,
            300,
            uint16(CALM_ES99),
            500,
            uint16(CALM_ES999),
            180,
            280,
            330,
            470,
            560,
            3000,
            2000,
            10,
            1000,
            500,
            100
        ];
        for (uint256 i = 0; i < 16; ++i) {
            word |= uint256(lanes[i]) * stress / 100 << 16 * i;
        }
    }

    function marketWord(uint256 price) internal pure returns (uint256) {
        return price << PRICE_SHIFT | 2000 << SCORE_SHIFT | 9000 << CONFIDENCE_SHIFT | 1660 << TOTAL_VOL_7D_SHIFT | 3440
            << TOTAL_VOL_30D_SHIFT | 5960 << TOTAL_VOL_90D_SHIFT | (EXCESS - 2000) << SSVI_RHO_SHIFT | 8000
            << SSVI_WING_SHIFT | 4000 << SSVI_DECAY_SHIFT | (EXCESS + 500) << BASIS_SHIFT;
    }
}
