// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import "../../src/oracle/Lanes.sol";
import {Medians} from "../../src/oracle/Medians.sol";
import {Fate, Limits, Policy, Steps, Verdict} from "../../src/oracle/Policy.sol";
import {OracleSetup} from "./OracleSetup.sol";

/// @dev What is quick against what is plain.
contract MediansTest is OracleSetup {
    function mediansOf(uint256[] calldata words, uint256 members)
        external
        pure
        returns (uint256[] memory figures, uint256 stray)
    {
        return Medians.ofMembers(words, members);
    }

    /// @dev Networks against the sort, with ties, abstentions and stray bits, several markets at once.
    function test_fuzz_networks_say_what_sorting_says(uint256 seed, bool nine) external view {
        uint256 members = nine ? 9 : 3;
        uint256[] memory words = new uint256[](members * 6);
        for (uint256 i = 0; i < words.length; ++i) {
            uint256 noise = uint256(keccak256(abi.encode(seed, i)));
            words[i] = noise & ~(i % 2 == 0 ? RISK_FORBIDDEN : MARKET_FORBIDDEN);
            if (i >= 6 && noise % 5 == 0) words[i] = words[i - 6];
            if (noise % 37 == 0) words[i] = 0;
        }
        (uint256[] memory figures, uint256 stray) = this.mediansOf(words, members);
        same(stray, 0, "clean");
        for (uint256 word = 0; word < 6; ++word) {
            uint256[] memory column = new uint256[](members);
            bool abstained = false;
            for (uint256 m = 0; m < members; ++m) {
                column[m] = words[6 * m + word];
                if (column[m] == 0) abstained = true;
            }
            uint256 wanted = abstained ? 0 : Medians.median(column, word % 2 == 0 ? RISK_GUARDS : MARKET_GUARDS);
            same(figures[word], wanted, "median");
        }
        uint256 at_ = seed % words.length;
        uint256 bit = 1 << (at_ % 2 == 0 ? 15 : 255);
        words[at_] |= bit;
        (, stray) = this.mediansOf(words, members);
        same(stray, bit, "a guard bit is told");
    }

    /// @dev Figures near the stored ones, so that the quick rule says yes often, under limits that bind now and then.
    function test_fuzz_what_passes_the_quick_rule_is_written_whole_by_the_whole_rule(uint256 seed) external pure {
        Limits memory x = limits();
        uint256 each = 0x0001000100010001000100010001000100010001000100010001000100010001;
        x.riskDaily = each * (seed % 3000);
        x.riskMaxRise = each * (seed / 3000 % 60);
        uint256 oldRisk = riskWord(100 + seed % 7);
        uint256 oldMarket = marketWord(BTC) | START << STAMP_SHIFT;
        uint256 risk = riskWord(100 + seed / 7 % 9);
        uint256 market = marketWord(BTC * (50 + seed / 63 % 110) / 100);
        if (seed / 9 % 11 == 0) risk |= 1 << (seed >> 8) % 256;
        if (seed / 9 % 11 == 1) market |= 1 << (seed >> 8) % 256;
        Steps memory steps = Steps(0, 0, 0, 0);
        Policy.setSteps(steps, x, START, START + PERIOD, seed % 5 == 0);
        bool quick = Policy.passes(x, steps, oldRisk, marketWord(BTC), risk, market);
        bool clean = risk & RISK_FORBIDDEN | market & MARKET_FORBIDDEN == 0;
        check(clean || !quick, "stray bits pass");
        if (!clean) return;
        Verdict memory v = Policy.judge(x, oldRisk, oldMarket, risk, market, START + PERIOD, 0, seed % 5 == 0);
        check(quick == (v.fate == Fate.WRITE), "the two rules differ");
        if (quick) check(v.risk == risk && v.market == market, "not whole");
    }
}
