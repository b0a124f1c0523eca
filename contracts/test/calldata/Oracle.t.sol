// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {AccountRisk} from "../../src/oracle/AccountRisk.sol";
import {Registry} from "../../src/oracle/Registry.sol";
import {RiskOracle} from "../../src/oracle/RiskOracle.sol";
import {IScheduled} from "../../src/interfaces/IRegistry.sol";
import {OracleHandler} from "../invariant/OracleHandler.sol";
import {Arbitrary} from "./Arbitrary.sol";

/// @dev What anybody may write to.
contract Open {
    uint256 public kept;

    function keep(uint256 x) external {
        kept = x | 1;
    }
}

/// @dev Nobody without a quorum's signatures or a role changes one slot of the oracle, the registry, the account risk or
/// the authority, whatever bytes they send.
contract OracleCalldataTest is Arbitrary {
    OracleHandler private _work;
    AccountRisk private _accounts;
    address private _registry;
    address private _oracle;

    function setUp() external {
        _work = new OracleHandler();
        for (uint256 i = 0; i < 6; ++i) {
            _work.publishes(uint256(keccak256(abi.encode("lived in", i))));
        }
        RiskOracle oracle = _work.theOracle();
        (_oracle, _registry) = (address(oracle), address(_work.rules()));
        address authority = oracle.authority();
        _accounts = new AccountRisk(authority, oracle, AccountRisk.Bounds(30_000, 5000, 5000, 1 days));
        watched = [_oracle, _registry, authority, address(_accounts)];
        familiar = [_oracle, _registry, authority, address(_accounts), STRANGER, address(_work)];
    }

    function test_fuzz_arbitrary_calldata_leaves_no_trace_in_the_oracle(uint256 seed, bytes calldata noise) external {
        bytes4[] memory all = new bytes4[](6);
        (all[0], all[1]) = (RiskOracle.publish.selector, RiskOracle.publishCoSigned.selector);
        (all[2], all[3]) = (RiskOracle.halt.selector, RiskOracle.resume.selector);
        (all[4], all[5]) = (IScheduled.schedule.selector, bytes4(keccak256("setAuthority(address)")));
        triedWithoutATrace(_oracle, all, seed, noise);
    }

    function test_fuzz_arbitrary_calldata_leaves_no_trace_in_the_registry(uint256 seed, bytes calldata noise) external {
        bytes4[] memory all = new bytes4[](15);
        (all[0], all[1], all[2]) = (Registry.setEpoch.selector, Registry.setKind.selector, Registry.setTiming.selector);
        (all[3], all[4], all[5]) =
        (Registry.setClass.selector, Registry.setMarkets.selector, Registry.setGroups.selector);
        (all[6], all[7], all[8]) =
        (Registry.setRings.selector, Registry.approveModelSet.selector, Registry.revokeModelSet.selector);
        (all[9], all[10], all[11]) =
        (Registry.pause.selector, Registry.unpause.selector, Registry.removeMember.selector);
        (all[12], all[13]) = (Registry.tightenClass.selector, Registry.connect.selector);
        all[14] = bytes4(keccak256("setAuthority(address)"));
        triedWithoutATrace(_registry, all, seed, noise);
    }

    function test_fuzz_arbitrary_calldata_leaves_no_trace_in_the_account_risk(uint256 seed, bytes calldata noise)
        external
    {
        bytes4[] memory all = new bytes4[](4);
        (all[0], all[1]) = (AccountRisk.publish.selector, AccountRisk.setBounds.selector);
        (all[2], all[3]) = (AccountRisk.clear.selector, bytes4(keccak256("setAuthority(address)")));
        triedWithoutATrace(address(_accounts), all, seed, noise);
    }

    function test_fuzz_arbitrary_calldata_leaves_no_trace_in_the_authority(uint256 seed, bytes calldata noise)
        external
    {
        bytes4[] memory all = new bytes4[](10);
        (all[0], all[1]) = (AccessManager.grantRole.selector, AccessManager.revokeRole.selector);
        (all[2], all[3]) = (AccessManager.setTargetFunctionRole.selector, AccessManager.setTargetClosed.selector);
        (all[4], all[5]) = (AccessManager.execute.selector, AccessManager.schedule.selector);
        (all[6], all[7]) = (AccessManager.cancel.selector, AccessManager.updateAuthority.selector);
        (all[8], all[9]) = (AccessManager.setGrantDelay.selector, AccessManager.setTargetAdminDelay.selector);
        triedWithoutATrace(watched[2], all, seed, noise);
    }

    /// @dev So that a probe that sees nothing is not taken for contracts that let nothing through.
    function test_the_probe_sees_a_write() external {
        bytes4[] memory all = new bytes4[](1);
        all[0] = Open.keep.selector;
        watched.push(address(new Open()));
        bytes memory why = abi.encodeWithSelector(Untrue.selector, "a stranger wrote storage");
        vm.expectRevert(why);
        this.probe(watched[4], all, 2); // shaped arguments
    }

    function probe(address target, bytes4[] calldata all, uint256 seed) external {
        triedWithoutATrace(target, all, seed << 8, "");
    }
}
