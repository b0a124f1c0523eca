// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {FixedPointMathLib as Math} from "solady/utils/FixedPointMathLib.sol";
import {IMarginEngine} from "../../src/interfaces/IMarginEngine.sol";
import {Black76} from "../../src/margin/Black76.sol";
import {Corners} from "../../src/margin/Corners.sol";
import {LogExp} from "../../src/margin/LogExp.sol";
import {Normal} from "../../src/margin/Normal.sol";
import {Sheet} from "../../src/margin/Sheet.sol";
import {MarginSetup} from "./MarginSetup.sol";

/// @dev The same integers as node/margrave/mirror: tests/vectors/numbers.json and margin.json.
contract MarginVectorsTest is MarginSetup {
    function test_elementary_functions_to_the_last_unit() external view {
        string memory json = vectors("numbers");
        int256[] memory x = vm.parseJsonIntArray(json, ".lnWadOf");
        int256[] memory y = vm.parseJsonIntArray(json, ".lnWad");
        for (uint256 i = 0; i < x.length; ++i) {
            same(Math.lnWad(x[i]), y[i], "ln of a strike");
        }
        uint256[] memory u = vm.parseJsonUintArray(json, ".lnOf");
        y = vm.parseJsonIntArray(json, ".ln");
        for (uint256 i = 0; i < u.length; ++i) {
            same(LogExp.ln(u[i]), y[i], "ln");
        }
        x = vm.parseJsonIntArray(json, ".expOf");
        u = vm.parseJsonUintArray(json, ".exp");
        for (uint256 i = 0; i < x.length; ++i) {
            same(LogExp.exp(x[i]), u[i], "exp");
        }
        u = vm.parseJsonUintArray(json, ".sqrtOf");
        uint256[] memory v = vm.parseJsonUintArray(json, ".sqrt");
        for (uint256 i = 0; i < u.length; ++i) {
            same(Math.sqrt(u[i]), v[i], "sqrt");
        }
    }

    function test_calls_to_the_last_unit() external view {
        string memory json = vectors("numbers");
        uint256[] memory forward = vm.parseJsonUintArray(json, ".callForward");
        uint256[] memory strike = vm.parseJsonUintArray(json, ".callStrike");
        int256[] memory moneyness = vm.parseJsonIntArray(json, ".callMoneyness");
        uint256[] memory vol = vm.parseJsonUintArray(json, ".callVol");
        int256[] memory wanted = vm.parseJsonIntArray(json, ".call");
        for (uint256 i = 0; i < wanted.length; ++i) {
            same(this.callOnASheet(forward[i], strike[i], moneyness[i], vol[i]), wanted[i], "call");
        }
    }

    function test_portfolio_margin_to_the_last_unit() external {
        string memory json = vectors("margin");
        uint256[] memory risk = vm.parseJsonUintArray(json, ".risk");
        uint256[] memory market = vm.parseJsonUintArray(json, ".market");
        uint256[] memory counts = vm.parseJsonUintArray(json, ".legs");
        uint256[] memory packed = vm.parseJsonUintArray(json, ".packed");
        uint256[] memory multiplier = vm.parseJsonUintArray(json, ".multiplier");
        uint256[] memory initial = vm.parseJsonUintArray(json, ".initial");
        uint256[] memory maintenance = vm.parseJsonUintArray(json, ".maintenance");
        int256[] memory value = vm.parseJsonIntArray(json, ".value");
        uint256[] memory worstLoss = vm.parseJsonUintArray(json, ".worstLoss");
        uint256[] memory worstScenario = vm.parseJsonUintArray(json, ".worstScenario");
        vm.warp(vm.parseJsonUint(json, ".now"));
        uint256 from = 0;
        for (uint256 i = 0; i < risk.length; ++i) {
            uint256[] memory legs = new uint256[](counts[i]);
            for (uint256 j = 0; j < counts[i]; ++j) {
                legs[j] = packed[from++];
            }
            say(risk[i], market[i]);
            IMarginEngine.Requirement memory r = engine.requirement(0, legs, multiplier[i]);
            same(r.value, value[i], "value");
            same(r.worstLoss, worstLoss[i], "worst loss");
            same(r.worstScenario, worstScenario[i], "worst scenario");
            same(r.maintenance, maintenance[i], "maintenance");
            same(r.initial, initial[i], "initial");
        }
    }

    /// @dev One contract on a sheet whose rows are all today, so that each of its 23 sums is the same price. External,
    /// because the sheet wants memory that nobody has written to.
    function callOnASheet(uint256 forward, uint256 strike, int256 moneyness, uint256 vol)
        external
        pure
        returns (int256 price)
    {
        Sheet.claim();
        Normal.load();
        for (uint256 row = Sheet.START; row < Sheet.ROWS_END; row += Sheet.ROW) {
            Sheet.store(row + Sheet.FORWARD, int256(forward));
        }
        for (uint256 i = 0; i < 3; ++i) {
            Sheet.store(Sheet.VOLS + 32 * i, int256(vol));
        }
        Black76.addCalls(Corners.ALL, moneyness, strike, 1);
        price = Sheet.load(Sheet.START + Sheet.RAISED);
        for (uint256 row = Sheet.START; row < Sheet.EXTREMES; row += Sheet.ROW) {
            same(Sheet.load(row + Sheet.RAISED), price, "raised");
            same(Sheet.load(row + Sheet.UNCHANGED), price, "unchanged");
            same(Sheet.load(row + Sheet.LOWERED), price, "lowered");
        }
        same(Sheet.load(Sheet.EXTREMES + Sheet.RAISED), price, "extreme down");
        same(Sheet.load(Sheet.EXTREMES + Sheet.ROW + Sheet.RAISED), price, "extreme up");
        same(Sheet.load(Sheet.EXTREMES + Sheet.UNCHANGED), 0, "and nothing else");
        uint256 some = Corners.ALL & 0xf9fafc; // a column each of the three deepest falls
        Black76.addCalls(some, moneyness, strike, 1);
        same(Sheet.load(Sheet.START + Sheet.LOWERED), 2 * price, "again, of a list");
        same(Sheet.load(Sheet.START + Sheet.ROW + Sheet.UNCHANGED), 2 * price, "row by row");
        same(Sheet.load(Sheet.START + 2 * Sheet.ROW + Sheet.RAISED), 2 * price, "each its column");
        same(Sheet.load(Sheet.START + 2 * Sheet.ROW + Sheet.LOWERED), price, "and no other");
    }

    function test_working_memory_is_not_taken_twice() external {
        vm.expectPartialRevert(Sheet.MemoryTaken.selector);
        this.claimTwice();
    }

    function claimTwice() external pure {
        Sheet.claim();
        Sheet.claim();
    }
}
