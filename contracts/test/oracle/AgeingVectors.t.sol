// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Ageing} from "../../src/oracle/Ageing.sol";
import {Base} from "../Base.sol";

/// @dev The same integers as node/margrave/mirror/ageing.py: tests/vectors/ageing.json.
contract AgeingVectorsTest is Base {
    function test_words_of_every_age_to_the_last_unit() external view {
        string memory json = vectors("ageing");
        uint256[] memory risk = vm.parseJsonUintArray(json, ".risk");
        uint256[] memory market = vm.parseJsonUintArray(json, ".market");
        uint256[] memory age = vm.parseJsonUintArray(json, ".age");
        uint256[] memory aging = vm.parseJsonUintArray(json, ".agingAfter");
        uint256[] memory stale = vm.parseJsonUintArray(json, ".staleAfter");
        uint256[] memory share = vm.parseJsonUintArray(json, ".share");
        uint256[] memory tightenedRisk = vm.parseJsonUintArray(json, ".tightenedRisk");
        uint256[] memory tightenedMarket = vm.parseJsonUintArray(json, ".tightenedMarket");
        for (uint256 i = 0; i < risk.length; ++i) {
            same(Ageing.shareUp(age[i], aging[i], stale[i]), share[i], "share");
            (uint256 r, uint256 m) = Ageing.tightenedUp(risk[i], market[i], share[i]);
            same(r, tightenedRisk[i], "risk");
            same(m, tightenedMarket[i], "market");
        }
    }
}
