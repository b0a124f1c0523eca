// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {Ballot, MargraveGovernor} from "../../src/governance/MargraveGovernor.sol";
import {Grant, MargraveToken} from "../../src/governance/MargraveToken.sol";
import {Config, ReportKind, Settings} from "../../src/oracle/Config.sol";
import "../../src/oracle/Lanes.sol";
import {Limits, Timing} from "../../src/oracle/Policy.sol";
import {Registry} from "../../src/oracle/Registry.sol";
import {RiskOracle} from "../../src/oracle/RiskOracle.sol";
import {Tightening} from "../../src/oracle/Tightening.sol";
import {Base} from "../Base.sol";

/// @dev A whole deployment as the deploy scripts make it, handed over; this contract was the deployer.
contract LifeTest is Base {
    uint64 private constant ADMIN = 0;
    uint64 private constant GOVERNOR = 1;
    uint64 private constant GUARDIAN = 2;
    uint64 private constant GOVERNOR_SLOW = 3;
    uint32 private constant TIMELOCK_DELAY = 2 days;
    uint32 private constant SLOW_DELAY = 3 days;
    uint256 private constant START = 1_800_000_000;
    bytes32 private constant MODELS = keccak256("models");
    address private constant ALICE = address(0xa11ce);
    address private constant BOB = address(0xb0b);
    address private constant WARDEN = address(0x6a4d);

    AccessManager private manager;
    Registry private registry;
    RiskOracle private oracle;
    MargraveToken private token;
    TimelockController private timelock;
    MargraveGovernor private governor;

    function setUp() external {
        vm.warp(START);
        manager = new AccessManager(address(this));
        registry = new Registry(address(manager));
        oracle = new RiskOracle(address(manager), address(registry), 300, 5_400, 14_400);
        registry.connect(address(oracle));
        registry.setTiming(Timing(30, 900, 0), 0);
        registry.setClass(0, limits(40), 0);
        registry.setMarkets(0, new uint8[](2), 0);
        registry.approveModelSet(MODELS, "ipfs://models");
        registry.setEpoch(members(), 3, MODELS, 0);
        govern();
        vm.startPrank(ALICE);
        token.delegate(ALICE);
        vm.stopPrank();
        vm.warp(START + 60);
    }

    function govern() private {
        Grant[] memory grants = new Grant[](2);
        grants[0] = Grant(ALICE, 700_000e18);
        grants[1] = Grant(BOB, 300_000e18);
        token = new MargraveToken(grants);
        address[] memory anybody = new address[](1);
        timelock = new TimelockController(TIMELOCK_DELAY, new address[](0), anybody, address(this));
        governor = new MargraveGovernor(token, timelock, Ballot(1 days, 7 days, 2 days, 1_000e18, 4));
        timelock.grantRole(timelock.PROPOSER_ROLE(), address(governor));
        timelock.grantRole(timelock.PROPOSER_ROLE(), address(timelock));
        timelock.grantRole(timelock.CANCELLER_ROLE(), address(governor));
        bytes4[] memory fast = new bytes4[](8);
        (fast[0], fast[1], fast[2], fast[3]) =
        (
            Registry.setTiming.selector,
            Registry.setClass.selector,
            Registry.setMarkets.selector,
            Registry.setGroups.selector
        );
        (fast[4], fast[5], fast[6], fast[7]) =
        (
            Registry.setRings.selector,
            Registry.revokeModelSet.selector,
            Registry.unpause.selector,
            Registry.connect.selector
        );
        bytes4[] memory slow = new bytes4[](3);
        (slow[0], slow[1], slow[2]) =
        (Registry.setEpoch.selector, Registry.setKind.selector, Registry.approveModelSet.selector);
        bytes4[] memory safe = new bytes4[](3);
        (safe[0], safe[1], safe[2]) =
        (Registry.pause.selector, Registry.removeMember.selector, Registry.tightenClass.selector);
        manager.setTargetFunctionRole(address(registry), fast, GOVERNOR);
        manager.setTargetFunctionRole(address(registry), slow, GOVERNOR_SLOW);
        manager.setTargetFunctionRole(address(registry), safe, GUARDIAN);
        manager.setTargetFunctionRole(address(oracle), one(RiskOracle.halt.selector), GUARDIAN);
        manager.setTargetFunctionRole(address(oracle), one(RiskOracle.resume.selector), GOVERNOR);
        manager.setRoleGuardian(GOVERNOR_SLOW, GUARDIAN);
        manager.grantRole(GOVERNOR, address(timelock), 0);
        manager.grantRole(GOVERNOR_SLOW, address(timelock), SLOW_DELAY);
        manager.grantRole(GUARDIAN, WARDEN, 0);
        manager.grantRole(ADMIN, address(timelock), SLOW_DELAY);
        timelock.renounceRole(timelock.DEFAULT_ADMIN_ROLE(), address(this));
        manager.renounceRole(ADMIN, address(this));
    }

    // --- one life ---------------------------------------------------------------------------------------------------

    function test_a_proposal_is_voted_queued_and_changes_limits_and_the_guardian_can_only_tighten() external {
        bytes memory data = abi.encodeCall(Registry.setClass, (0, limits(60), 0));
        (uint256 id, uint256 deadline) = proposed(address(registry), data);
        vm.warp(deadline + 1);
        queue(address(registry), data);
        same(uint256(governor.state(id)), uint256(IGovernor.ProposalState.Queued), "queued");
        vm.expectRevert();
        execute(address(registry), data);
        vm.warp(deadline + 1 + TIMELOCK_DELAY);
        execute(address(registry), data);
        same(fall(), 60, "the vote's");
        same(uint256(governor.state(id)), uint256(IGovernor.ProposalState.Executed), "executed");

        vm.startPrank(WARDEN);
        registry.removeMember(vm.addr(4));
        same(current().members.length, 3, "at once");
        registry.tightenClass(0, limits(50));
        same(fall(), 50, "at once");
        vm.expectRevert(abi.encodeWithSelector(Tightening.NotTighter.selector, limits(51), limits(50)));
        registry.tightenClass(0, limits(51));
        registry.pause();
        oracle.halt(1);
        refusedTo(WARDEN, address(registry), abi.encodeCall(Registry.unpause, ()));
        refusedTo(WARDEN, address(registry), abi.encodeCall(Registry.setClass, (0, limits(60), 0)));
        refusedTo(WARDEN, address(registry), abi.encodeCall(Registry.setEpoch, (members(), 3, MODELS, 0)));
        refusedTo(WARDEN, address(oracle), abi.encodeCall(RiskOracle.resume, (1)));
    }

    function test_after_the_hand_over_the_deployer_can_do_nothing() external {
        refusedTo(address(this), address(registry), abi.encodeCall(Registry.setClass, (0, limits(60), 0)));
        refusedTo(address(this), address(registry), abi.encodeCall(Registry.setEpoch, (members(), 3, MODELS, 0)));
        refusedTo(address(this), address(registry), abi.encodeCall(Registry.connect, (address(this))));
        refusedTo(address(this), address(registry), abi.encodeCall(Registry.pause, ()));
        refusedTo(address(this), address(oracle), abi.encodeCall(RiskOracle.halt, (0)));
        refusedTo(address(this), address(registry), abi.encodeCall(IAccessManaged.setAuthority, (address(this))));
        vm.expectRevert(
            abi.encodeWithSelector(IAccessManager.AccessManagerUnauthorizedAccount.selector, address(this), ADMIN)
        );
        manager.grantRole(GOVERNOR, address(this), 0);
        vm.expectRevert(
            abi.encodeWithSelector(
                IAccessControl.AccessControlUnauthorizedAccount.selector, address(this), timelock.PROPOSER_ROLE()
            )
        );
        timelock.schedule(address(registry), 0, "", 0, 0, TIMELOCK_DELAY);
        same(token.balanceOf(address(this)), 0, "no votes");
    }

    // --- delays by selector -----------------------------------------------------------------------------------------

    function test_what_decides_whom_to_believe_waits_longer_and_needs_one_vote() external {
        bytes memory data = abi.encodeCall(Registry.setKind, (ReportKind.CO_SIGNED, 0));
        uint256 announced = passed(data);
        check(current().kind == ReportKind.OWN_WORDS, "only announced");
        bytes memory last = abi.encodeCall(IAccessManager.execute, (address(registry), data));
        vm.warp(announced + SLOW_DELAY - 1);
        vm.expectPartialRevert(TimelockController.TimelockUnexpectedOperationState.selector);
        timelock.execute(address(manager), 0, last, 0, 0);
        vm.warp(announced + SLOW_DELAY);
        timelock.execute(address(manager), 0, last, 0, 0);
        check(current().kind == ReportKind.CO_SIGNED, "done");
    }

    function test_the_timelock_alone_cannot_skip_the_longer_wait() external {
        bytes memory data = abi.encodeCall(Registry.setKind, (ReportKind.CO_SIGNED, 0));
        (, uint256 deadline) = proposed(address(registry), data);
        vm.warp(deadline + 1);
        queue(address(registry), data);
        vm.warp(deadline + 1 + TIMELOCK_DELAY);
        vm.expectPartialRevert(IAccessManager.AccessManagerNotScheduled.selector);
        execute(address(registry), data);
    }

    function test_the_guardian_may_stop_what_waits_longer_but_not_its_own_dismissal() external {
        bytes memory data = abi.encodeCall(Registry.setKind, (ReportKind.CO_SIGNED, 0));
        uint256 announced = passed(data);
        vm.prank(WARDEN);
        manager.cancel(address(timelock), address(registry), data);
        vm.warp(announced + SLOW_DELAY);
        bytes memory last = abi.encodeCall(IAccessManager.execute, (address(registry), data));
        vm.expectPartialRevert(IAccessManager.AccessManagerNotScheduled.selector);
        timelock.execute(address(manager), 0, last, 0, 0);

        data = abi.encodeCall(IAccessManager.revokeRole, (GUARDIAN, WARDEN));
        announced = passed(address(manager), data);
        vm.prank(WARDEN);
        vm.expectPartialRevert(IAccessManager.AccessManagerUnauthorizedCancel.selector);
        manager.cancel(address(timelock), address(manager), data);
        vm.warp(announced + SLOW_DELAY);
        timelock.execute(address(manager), 0, abi.encodeCall(IAccessManager.execute, (address(manager), data)), 0, 0);
        (bool isMember,) = manager.hasRole(GUARDIAN, WARDEN);
        check(!isMember, "dismissed");
    }

    function test_a_vote_without_a_quorum_or_a_majority_changes_nothing() external {
        bytes memory data = abi.encodeCall(Registry.setClass, (0, limits(60), 0));
        (address[] memory to, uint256[] memory value, bytes[] memory calls) = single(address(registry), data);
        vm.prank(ALICE);
        uint256 id = governor.propose(to, value, calls, "x");
        vm.warp(governor.proposalSnapshot(id) + 1);
        vm.prank(ALICE);
        governor.castVote(id, 0);
        vm.warp(governor.proposalDeadline(id) + 1);
        same(uint256(governor.state(id)), uint256(IGovernor.ProposalState.Defeated), "defeated");
        vm.expectPartialRevert(IGovernor.GovernorUnexpectedProposalState.selector);
        governor.queue(to, value, calls, keccak256("x"));
    }

    function test_a_quorum_at_the_last_moment_leaves_the_others_time_to_answer() external {
        bytes memory data = abi.encodeCall(Registry.setClass, (0, limits(60), 0));
        (address[] memory to, uint256[] memory value, bytes[] memory calls) = single(address(registry), data);
        vm.prank(ALICE);
        uint256 id = governor.propose(to, value, calls, "x");
        uint256 deadline = governor.proposalDeadline(id);
        vm.warp(deadline - 1);
        vm.prank(ALICE);
        governor.castVote(id, 1);
        same(governor.proposalDeadline(id), deadline - 1 + 2 days, "extended");
    }

    function test_a_proposer_needs_votes_of_its_own() external {
        (address[] memory to, uint256[] memory value, bytes[] memory calls) = single(address(registry), "");
        vm.prank(WARDEN);
        vm.expectPartialRevert(IGovernor.GovernorInsufficientProposerVotes.selector);
        governor.propose(to, value, calls, "x");
    }

    function test_a_proposal_can_be_withdrawn_by_its_proposer_before_the_vote_begins() external {
        (address[] memory to, uint256[] memory value, bytes[] memory calls) = single(address(registry), "");
        vm.startPrank(ALICE);
        uint256 id = governor.propose(to, value, calls, "x");
        governor.cancel(to, value, calls, keccak256("x"));
        same(uint256(governor.state(id)), uint256(IGovernor.ProposalState.Canceled), "withdrawn");
    }

    // --- arrangement ------------------------------------------------------------------------------------------------

    function refusedTo(address caller, address target, bytes memory data) private {
        vm.stopPrank();
        vm.prank(caller);
        (bool done, bytes memory why) = target.call(data);
        check(
            !done
                && keccak256(why)
                    == keccak256(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, caller)),
            "refused"
        );
    }

    function single(address target, bytes memory data)
        private
        pure
        returns (address[] memory to, uint256[] memory value, bytes[] memory calls)
    {
        (to, value, calls) = (new address[](1), new uint256[](1), new bytes[](1));
        (to[0], calls[0]) = (target, data);
    }

    function proposed(address target, bytes memory data) private returns (uint256 id, uint256 deadline) {
        (address[] memory to, uint256[] memory value, bytes[] memory calls) = single(target, data);
        vm.prank(ALICE);
        id = governor.propose(to, value, calls, "x");
        vm.warp(governor.proposalSnapshot(id) + 1);
        vm.prank(ALICE);
        governor.castVote(id, 1);
        deadline = governor.proposalDeadline(id);
    }

    function queue(address target, bytes memory data) private {
        (address[] memory to, uint256[] memory value, bytes[] memory calls) = single(target, data);
        governor.queue(to, value, calls, keccak256("x"));
    }

    function execute(address target, bytes memory data) private {
        (address[] memory to, uint256[] memory value, bytes[] memory calls) = single(target, data);
        governor.execute(to, value, calls, keccak256("x"));
    }

    function passed(bytes memory data) private returns (uint256) {
        return passed(address(registry), data);
    }

    /// @dev One vote for a call that waits: announced to the manager, and put into the timelock's queue.
    /// @return announced When the proposal was executed.
    function passed(address target, bytes memory data) private returns (uint256 announced) {
        (address[] memory to, uint256[] memory value, bytes[] memory calls) =
            (new address[](2), new uint256[](2), new bytes[](2));
        bytes memory last = abi.encodeCall(IAccessManager.execute, (target, data));
        (to[0], calls[0]) = (address(manager), abi.encodeCall(IAccessManager.schedule, (target, data, 0)));
        (to[1], calls[1]) =
        (address(timelock), abi.encodeCall(TimelockController.schedule, (address(manager), 0, last, 0, 0, SLOW_DELAY)));
        vm.prank(ALICE);
        uint256 id = governor.propose(to, value, calls, "slow");
        vm.warp(governor.proposalSnapshot(id) + 1);
        vm.prank(ALICE);
        governor.castVote(id, 1);
        vm.warp(governor.proposalDeadline(id) + 1);
        governor.queue(to, value, calls, keccak256("slow"));
        announced = governor.proposalEta(id);
        vm.warp(announced);
        governor.execute(to, value, calls, keccak256("slow"));
    }

    function current() private view returns (Settings memory x) {
        (, x) = registry.current();
    }

    function fall() private view returns (uint256) {
        return current().classes[0].riskMaxFall & LANE_MAX;
    }

    function one(bytes4 selector) private pure returns (bytes4[] memory all) {
        all = new bytes4[](1);
        all[0] = selector;
    }

    function members() private pure returns (address[] memory all) {
        all = new address[](4);
        for (uint256 i = 0; i < 4; ++i) {
            all[i] = vm.addr(i + 1);
        }
    }

    function limits(uint256 step) private pure returns (Limits memory x) {
        uint256 each = RISK_GUARDS >> 15;
        x.riskHigh = RISK_BOX_HIGH;
        x.riskMaxRise = each * LANE_MAX;
        x.riskMaxFall = each * step;
        x.riskDaily = each * LANE_MAX;
        x.marketLow = MARKET_BOX_LOW;
        x.marketHigh = MARKET_BOX_HIGH;
        x.marketMaxRise = (each * LANE_MAX | PRICE_MAX << PRICE_SHIFT) & ~MARKET_FORBIDDEN;
        x.marketMaxFall = x.marketMaxRise;
        x.marketDaily = each * LANE_MAX & ~(MARKET_FORBIDDEN | PRICE_MAX << PRICE_SHIFT);
        x.maxPriceMoveBp = 5_000;
    }
}
