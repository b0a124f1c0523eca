// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IRiskOracle} from "../src/interfaces/IRiskOracle.sol";
import "../src/oracle/Lanes.sol";
import {Medians} from "../src/oracle/Medians.sol";
import {Limits, Policy, Timing} from "../src/oracle/Policy.sol";
import {RiskOracle} from "../src/oracle/RiskOracle.sol";
import {Base} from "./Base.sol";

/// @dev The contracts against tests/vectors, which the Python mirror made and is held to as well.
contract VectorsTest is Base {
    function test_words_carry_their_lanes_where_python_put_them() external view {
        string memory json = vectors("words");
        uint256[] memory risk = vm.parseJsonUintArray(json, ".risk");
        uint256[] memory market = vm.parseJsonUintArray(json, ".market");
        _lane(json, ".down_q975", risk, DOWN_Q975_SHIFT);
        _lane(json, ".down_es99", risk, DOWN_ES99_SHIFT);
        _lane(json, ".down_es999", risk, DOWN_ES999_SHIFT);
        _lane(json, ".up_es99", risk, UP_ES99_SHIFT);
        _lane(json, ".up_es999", risk, UP_ES999_SHIFT);
        _lane(json, ".vol_up", risk, VOL_UP_SHIFT);
        _lane(json, ".vol_down", risk, VOL_DOWN_SHIFT);
        _lane(json, ".liquidity", risk, LIQUIDITY_SHIFT);
        _lane(json, ".cascade_probability", risk, CASCADE_PROBABILITY_SHIFT);
        _lane(json, ".cascade_size", risk, CASCADE_SIZE_SHIFT);
        _lane(json, ".contagion", risk, CONTAGION_SHIFT);
        _lane(json, ".score", market, SCORE_SHIFT);
        _lane(json, ".confidence", market, CONFIDENCE_SHIFT);
        _lane(json, ".total_vol_7d", market, TOTAL_VOL_7D_SHIFT);
        _lane(json, ".total_vol_30d", market, TOTAL_VOL_30D_SHIFT);
        _lane(json, ".total_vol_90d", market, TOTAL_VOL_90D_SHIFT);
        _lane(json, ".ssvi_rho", market, SSVI_RHO_SHIFT);
        _lane(json, ".ssvi_wing", market, SSVI_WING_SHIFT);
        _lane(json, ".ssvi_decay", market, SSVI_DECAY_SHIFT);
        _lane(json, ".basis", market, BASIS_SHIFT);
        uint256[] memory price = vm.parseJsonUintArray(json, ".price");
        for (uint256 i = 0; i < price.length; ++i) {
            same(market[i] >> PRICE_SHIFT, price[i], "price");
            check(risk[i] & RISK_FORBIDDEN | market[i] & MARKET_FORBIDDEN == 0, "clean on the wire");
        }
    }

    function _lane(string memory json, string memory key, uint256[] memory words, uint256 shift) private pure {
        uint256[] memory wanted = vm.parseJsonUintArray(json, key);
        for (uint256 i = 0; i < wanted.length; ++i) {
            same(words[i] >> shift & LANE_MAX, wanted[i], key);
        }
    }

    function test_medians_of_one_to_thirty_one_members() external view {
        string memory json = vectors("medians");
        uint256[] memory count = vm.parseJsonUintArray(json, ".count");
        _medians(json, count, ".risk", ".medianRisk", RISK_GUARDS);
        _medians(json, count, ".market", ".medianMarket", MARKET_GUARDS);
    }

    function _medians(
        string memory json,
        uint256[] memory count,
        string memory words,
        string memory medians,
        uint256 guards
    ) private pure {
        uint256[] memory all = vm.parseJsonUintArray(json, words);
        uint256[] memory wanted = vm.parseJsonUintArray(json, medians);
        uint256 at_ = 0;
        for (uint256 i = 0; i < count.length; ++i) {
            uint256[] memory some = new uint256[](count[i]);
            for (uint256 j = 0; j < count[i]; ++j) {
                some[j] = all[at_++];
            }
            same(Medians.median(some, guards), wanted[i], medians);
        }
    }

    function test_limits_halt_hold_or_pass_as_python_says() external view {
        string memory json = vectors("limits");
        Limits memory x = _limits(vm.parseJsonUintArray(json, ".policy"));
        Policy.validate(x);
        uint256[] memory oldRisk = vm.parseJsonUintArray(json, ".oldRisk");
        uint256[] memory oldMarket = vm.parseJsonUintArray(json, ".oldMarket");
        uint256[] memory risk = vm.parseJsonUintArray(json, ".risk");
        uint256[] memory market = vm.parseJsonUintArray(json, ".market");
        uint256[] memory halt = vm.parseJsonUintArray(json, ".halt");
        uint256[] memory heldRisk = vm.parseJsonUintArray(json, ".heldRisk");
        uint256[] memory heldMarket = vm.parseJsonUintArray(json, ".heldMarket");
        for (uint256 i = 0; i < risk.length; ++i) {
            (bool refused, IRiskOracle.HaltReason why) =
                Policy.check(x, risk[i], market[i], oldMarket[i] >> PRICE_SHIFT);
            same(refused ? 1 + uint256(why) : 0, halt[i], "halt");
            if (refused) continue;
            (uint256 r, uint256 m) = (risk[i], market[i]);
            if (oldMarket[i] != 0 && Policy.withinBounds(x, oldRisk[i], oldMarket[i])) {
                (r, m) = Policy.limit(x, oldRisk[i], oldMarket[i], r, m);
            }
            same(r, heldRisk[i], "risk");
            same(m, heldMarket[i], "market");
        }
    }

    function test_a_publication_made_in_python_is_accepted_and_stored_as_foretold() external {
        string memory json = vectors("digests");
        vm.chainId(vm.parseJsonUint(json, ".chainId"));
        vm.startPrank(vm.parseJsonAddress(json, ".deployer"));
        uint256[] memory t = vm.parseJsonUintArray(json, ".timing");
        Timing memory timing = Timing(uint32(t[0]), uint32(t[1]), uint32(t[2]), uint32(t[3]), uint32(t[4]));
        RiskOracle oracle = new RiskOracle(vm.parseJsonAddress(json, ".deployer"), timing);
        same(uint160(address(oracle)), uint160(vm.parseJsonAddress(json, ".oracle")), "address");
        oracle.setClass(0, _limits(vm.parseJsonUintArray(json, ".policy")));
        oracle.setMarkets(0, new uint8[](2));
        oracle.setEpoch(
            vm.parseJsonAddressArray(json, ".members"),
            uint8(vm.parseJsonUint(json, ".quorum")),
            vm.parseJsonBytes32(json, ".modelSet")
        );
        RiskOracle.State memory s = oracle.state();
        check(s.policyDigest == vm.parseJsonBytes32(json, ".policyDigest"), "policy digest");
        same(s.epoch, vm.parseJsonUint(json, ".epoch"), "epoch");

        uint32 round = uint32(vm.parseJsonUint(json, ".round"));
        vm.warp(round * t[0] + 60);
        oracle.publish(round, 0, 7, vm.parseJsonBytes32Array(json, ".rvs"), vm.parseJsonUintArray(json, ".words"));
        uint256[] memory stored = vm.parseJsonUintArray(json, ".stored");
        for (uint16 id = 0; id < 2; ++id) {
            (uint256 risk, uint256 market,,) = oracle.read(id);
            same(risk, stored[2 * id], "risk");
            same(market, stored[2 * id + 1], "market");
        }
    }

    function _limits(uint256[] memory p) private pure returns (Limits memory) {
        return Limits(p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8]);
    }
}
