// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ReportKind, Settings} from "../../src/oracle/Config.sol";
import "../../src/oracle/Lanes.sol";
import {Markets} from "../../src/oracle/Markets.sol";
import {Medians} from "../../src/oracle/Medians.sol";
import {Fate, Limits, Policy, Timing, Verdict} from "../../src/oracle/Policy.sol";
import {RiskOracle} from "../../src/oracle/RiskOracle.sol";
import {Base} from "../Base.sol";
import {Settler} from "./Settler.sol";

/// @dev The oracle against tests/vectors, which the Python mirror made and is held to as well.
contract OracleVectorsTest is Base {
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

    /// @dev Through the entrance that publications use, so that the networks of the usual quorums are met, too.
    function test_medians_of_one_to_thirty_one_members() external view {
        string memory json = vectors("medians");
        uint256[] memory count = vm.parseJsonUintArray(json, ".count");
        uint256[] memory risk = vm.parseJsonUintArray(json, ".risk");
        uint256[] memory market = vm.parseJsonUintArray(json, ".market");
        uint256[] memory medianRisk = vm.parseJsonUintArray(json, ".medianRisk");
        uint256[] memory medianMarket = vm.parseJsonUintArray(json, ".medianMarket");
        uint256 next = 0;
        for (uint256 i = 0; i < count.length; ++i) {
            uint256[] memory words = new uint256[](2 * count[i]);
            for (uint256 j = 0; j < count[i]; ++j) {
                (words[2 * j], words[2 * j + 1]) = (risk[next], market[next]);
                ++next;
            }
            uint256[] memory figures = this.medians(words, count[i]);
            same(figures[0], medianRisk[i], "risk");
            same(figures[1], medianMarket[i], "market");
        }
    }

    function medians(uint256[] calldata words, uint256 members) external pure returns (uint256[] memory figures) {
        uint256 stray;
        (figures, stray) = Medians.ofMembers(words, members);
        same(stray, 0, "stray bits");
    }

    struct Cases {
        uint256[] oldRisk;
        uint256[] oldMarket;
        uint256[] risk;
        uint256[] market;
        uint256[] observedAt;
        uint256[] minInterval;
        uint256[] paused;
        uint256[] halt;
        uint256[] skip;
        uint256[] limited;
        uint256[] heldRisk;
        uint256[] heldMarket;
    }

    function test_figures_halt_are_skipped_held_or_pass_as_python_says() external view {
        string memory json = vectors("limits");
        Limits memory x = _limits(vm.parseJsonUintArray(json, ".policy"));
        Policy.validate(x);
        Cases memory c;
        c.oldRisk = vm.parseJsonUintArray(json, ".oldRisk");
        c.oldMarket = vm.parseJsonUintArray(json, ".oldMarket");
        c.risk = vm.parseJsonUintArray(json, ".risk");
        c.market = vm.parseJsonUintArray(json, ".market");
        c.observedAt = vm.parseJsonUintArray(json, ".observedAt");
        c.minInterval = vm.parseJsonUintArray(json, ".minInterval");
        c.paused = vm.parseJsonUintArray(json, ".paused");
        c.halt = vm.parseJsonUintArray(json, ".halt");
        c.skip = vm.parseJsonUintArray(json, ".skip");
        c.limited = vm.parseJsonUintArray(json, ".limited");
        c.heldRisk = vm.parseJsonUintArray(json, ".heldRisk");
        c.heldMarket = vm.parseJsonUintArray(json, ".heldMarket");
        for (uint256 i = 0; i < c.risk.length; ++i) {
            _case(x, c, i);
        }
    }

    function _case(Limits memory x, Cases memory c, uint256 i) private pure {
        Verdict memory v = Policy.judge(
            x, c.oldRisk[i], c.oldMarket[i], c.risk[i], c.market[i], c.observedAt[i], c.minInterval[i], c.paused[i] != 0
        );
        same(v.fate == Fate.HALT ? 1 + uint256(v.halt) : 0, c.halt[i], "halt");
        same(v.fate == Fate.SKIP ? 1 + uint256(v.skip) : 0, c.skip[i], "skip");
        same(v.fate == Fate.LIMIT ? 1 : 0, c.limited[i], "limited");
        if (v.fate == Fate.HALT || v.fate == Fate.SKIP) return;
        same(v.risk, c.heldRisk[i], "risk");
        same(v.market, c.heldMarket[i], "market");
    }

    function test_publications_made_in_python_are_accepted_stored_and_remembered_as_foretold() external {
        string memory json = vectors("digests");
        vm.chainId(vm.parseJsonUint(json, ".chainId"));
        uint256 period = vm.parseJsonUint(json, ".period");
        uint32 round = uint32(vm.parseJsonUint(json, ".round"));
        vm.warp(round * period + 60);
        vm.startPrank(vm.parseJsonAddress(json, ".deployer"));
        Settler registry = new Settler();
        RiskOracle oracle = new RiskOracle(address(this), address(registry), uint32(period), 5400, 14_400);
        vm.stopPrank();
        same(uint160(address(oracle)), uint160(vm.parseJsonAddress(json, ".oracle")), "address");

        Settings memory x = _settings(json);
        registry.set(oracle, x, 0);
        x.kind = ReportKind.CO_SIGNED;
        registry.set(oracle, x, round + 1);
        Markets.State memory s = oracle.state();
        bytes32[] memory policies = vm.parseJsonBytes32Array(json, ".policyDigest");
        check(s.current.policyDigest == policies[0] && s.next.policyDigest == policies[1], "policy digests");

        oracle.publish(round, 0, 7, vm.parseJsonBytes32Array(json, ".rvs"), vm.parseJsonUintArray(json, ".words"));
        _isStored(oracle, json, 0);
        vm.warp((round + 1) * period + 60);
        oracle.publishCoSigned(
            round + 1,
            0,
            7,
            vm.parseJsonBytes32Array(json, ".coSignedRvs"),
            vm.parseJsonBytes32(json, ".evidenceRoot"),
            vm.parseJsonUintArray(json, ".medians")
        );
        _isStored(oracle, json, 1);
    }

    function _isStored(RiskOracle oracle, string memory json, uint256 publication) private view {
        uint256[] memory stored = vm.parseJsonUintArray(json, ".stored");
        for (uint16 id = 0; id < 2; ++id) {
            (uint256 risk, uint256 market,,) = oracle.read(id);
            same(risk, stored[4 * publication + 2 * id], "risk");
            same(market, stored[4 * publication + 2 * id + 1], "market");
        }
        (bytes20 history,,,) = oracle.head();
        check(bytes32(history) == vm.parseJsonBytes32Array(json, ".history")[publication], "history hash");
    }

    function _settings(string memory json) private pure returns (Settings memory x) {
        uint256[] memory t = vm.parseJsonUintArray(json, ".timing");
        (x.quorum, x.modelSetIndex) = (uint8(vm.parseJsonUint(json, ".quorum")), 1);
        x.modelSet = vm.parseJsonBytes32(json, ".modelSet");
        x.timing = Timing(uint32(t[0]), uint32(t[1]), uint32(t[2]));
        x.members = vm.parseJsonAddressArray(json, ".members");
        x.classes = new Limits[](1);
        x.classes[0] = _limits(vm.parseJsonUintArray(json, ".policy"));
        (x.classOf, x.groupOf, x.ringOf) = (new bytes(2), new bytes(2), new bytes(2));
    }

    function _limits(uint256[] memory p) private pure returns (Limits memory) {
        return Limits(p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10]);
    }
}
