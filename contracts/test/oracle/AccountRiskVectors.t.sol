// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccountRisk} from "../../src/oracle/AccountRisk.sol";
import {Settings} from "../../src/oracle/Config.sol";
import {OracleSetup} from "./OracleSetup.sol";

/// @dev The mirror signs reports and foretells the slots after each (tests/vectors/account_risk.json).
contract AccountRiskVectorsTest is OracleSetup {
    function test_the_mirror_s_reports_are_taken_and_its_slots_come_true() external {
        string memory json = vectors("account_risk");
        vm.prank(vm.parseJsonAddress(json, ".deployer"));
        AccountRisk risk = new AccountRisk(address(manager), oracle, AccountRisk.Bounds(30_000, 2_500, 1_000, 7_200));
        same(uint160(address(risk)), uint160(vm.parseJsonAddress(json, ".contract")), "address");
        address[] memory accounts = vm.parseJsonAddressArray(json, ".accounts");
        uint256[] memory times = vm.parseJsonUintArray(json, ".now");
        uint256[] memory written = vm.parseJsonUintArray(json, ".written");
        uint256[] memory held = vm.parseJsonUintArray(json, ".held");
        uint256[] memory multipliers = vm.parseJsonUintArray(json, ".multiplier");
        uint256 refused = 0;
        for (uint256 i = 0; i < times.length; ++i) {
            if (i == vm.parseJsonUint(json, ".pausedFrom")) pause(true);
            if (i == vm.parseJsonUint(json, ".pausedUntil")) pause(false);
            vm.warp(times[i]);
            if (written[i] == 0) {
                ++refused;
                vm.expectPartialRevert(AccountRisk.NothingWritten.selector);
            }
            publish(risk, json, i);
            for (uint256 a = 0; a < 3; ++a) {
                (uint256 bp, uint256 expiresAt, uint256 observedAt) = risk.held(accounts[a]);
                same(bp, held[9 * i + 3 * a], "multiplier");
                same(expiresAt, held[9 * i + 3 * a + 1], "expiry");
                same(observedAt, held[9 * i + 3 * a + 2], "observation");
                same(risk.multiplierOf(accounts[a]), multipliers[3 * i + a], "what holds");
            }
        }
        check(refused > 0 && refused < times.length / 2, "some of both");
    }

    function pause(bool paused) private {
        Settings memory s = settings();
        s.paused = paused;
        set(s);
    }

    function publish(AccountRisk risk, string memory json, uint256 i) private {
        address[] memory accounts = vm.parseJsonAddressArray(json, ".account");
        uint256[] memory bps = vm.parseJsonUintArray(json, ".bp");
        uint256[] memory expiries = vm.parseJsonUintArray(json, ".expires");
        bytes32[] memory all = vm.parseJsonBytes32Array(json, ".rvs");
        AccountRisk.Entry[] memory entries = new AccountRisk.Entry[](3);
        bytes32[] memory rvs = new bytes32[](6);
        for (uint256 j = 0; j < 3; ++j) {
            entries[j] = AccountRisk.Entry(accounts[3 * i + j], uint16(bps[3 * i + j]), uint40(expiries[3 * i + j]));
        }
        for (uint256 j = 0; j < 6; ++j) {
            rvs[j] = all[6 * i + j];
        }
        uint256[] memory rounds = vm.parseJsonUintArray(json, ".round");
        risk.publish(uint32(rounds[i]), ALL_BUT_LAST, rvs, entries);
    }
}
