// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {Ballot, MargraveGovernor} from "../../src/governance/MargraveGovernor.sol";
import {Grant, MargraveToken} from "../../src/governance/MargraveToken.sol";
import {Arbitrary} from "./Arbitrary.sol";

/// @dev What anybody may write to, if the timelock says so.
contract Governed {
    uint256 public kept;

    function keep(uint256 x) external {
        kept = x;
    }
}

/// @dev A proposal under vote, and a stranger without votes who sends anything to the governor, the timelock and the
/// token: nothing is decided, queued or done, and nobody's votes move.
contract GovernanceCalldataTest is Arbitrary {
    address private constant ALICE = address(0xa11ce);
    address private constant BOB = address(0xb0b);

    MargraveToken private _token;
    TimelockController private _timelock;
    MargraveGovernor private _governor;
    uint256 private _proposal;

    function setUp() external {
        vm.warp(1_800_000_000);
        Grant[] memory grants = new Grant[](2);
        (grants[0], grants[1]) = (Grant(ALICE, 700_000e18), Grant(BOB, 300_000e18));
        _token = new MargraveToken(grants);
        address[] memory anybody = new address[](1);
        _timelock = new TimelockController(2 days, new address[](0), anybody, address(this));
        _governor = new MargraveGovernor(_token, _timelock, Ballot(1 days, 7 days, 2 days, 1_000e18, 4));
        _timelock.grantRole(_timelock.PROPOSER_ROLE(), address(_governor));
        _timelock.grantRole(_timelock.CANCELLER_ROLE(), address(_governor));
        _timelock.renounceRole(_timelock.DEFAULT_ADMIN_ROLE(), address(this));
        vm.prank(ALICE);
        _token.delegate(ALICE);
        vm.warp(block.timestamp + 1);
        address[] memory targets = new address[](1);
        targets[0] = address(new Governed());
        bytes[] memory calls = new bytes[](1);
        calls[0] = abi.encodeCall(Governed.keep, (7));
        vm.prank(ALICE);
        _proposal = _governor.propose(targets, new uint256[](1), calls, "keep seven");
        vm.warp(block.timestamp + 2 days);
        vm.prank(ALICE);
        _governor.castVote(_proposal, 1);
        watched = [address(_governor), address(_timelock), address(_token), targets[0]];
        familiar = [ALICE, BOB, STRANGER, targets[0], address(_governor), address(_timelock), address(_token)];
        known = [
            _proposal,
            uint256(_timelock.PROPOSER_ROLE()),
            uint256(_timelock.CANCELLER_ROLE()),
            uint256(keccak256("keep seven"))
        ];
    }

    function test_fuzz_arbitrary_calldata_leaves_no_trace_in_the_governor(uint256 seed, bytes calldata noise) external {
        bytes4[] memory all = new bytes4[](13);
        (all[0], all[1], all[2]) =
        (_governor.propose.selector, _governor.relay.selector, _governor.setVotingDelay.selector);
        (all[3], all[4]) = (_governor.setVotingPeriod.selector, _governor.setProposalThreshold.selector);
        (all[5], all[6]) = (_governor.updateQuorumNumerator.selector, _governor.updateTimelock.selector);
        (all[7], all[8]) = (_governor.setLateQuorumVoteExtension.selector, _governor.onERC721Received.selector);
        all[9] = bytes4(keccak256("queue(address[],uint256[],bytes[],bytes32)"));
        all[10] = bytes4(keccak256("execute(address[],uint256[],bytes[],bytes32)"));
        all[11] = bytes4(keccak256("cancel(address[],uint256[],bytes[],bytes32)"));
        all[12] = _governor.castVoteBySig.selector;
        triedWithoutATrace(address(_governor), all, seed, noise);
    }

    function test_fuzz_arbitrary_calldata_leaves_no_trace_in_the_timelock(uint256 seed, bytes calldata noise) external {
        bytes4[] memory all = new bytes4[](9);
        (all[0], all[1], all[2]) =
        (_timelock.schedule.selector, _timelock.scheduleBatch.selector, _timelock.cancel.selector);
        (all[3], all[4]) = (_timelock.execute.selector, _timelock.executeBatch.selector);
        (all[5], all[6]) = (_timelock.updateDelay.selector, _timelock.grantRole.selector);
        (all[7], all[8]) = (_timelock.revokeRole.selector, _timelock.renounceRole.selector);
        triedWithoutATrace(address(_timelock), all, seed, noise);
    }

    function test_fuzz_a_stranger_s_votes_count_for_nothing(uint256 seed, bytes calldata noise) external {
        bytes4[] memory all = new bytes4[](3);
        (all[0], all[1]) = (_governor.castVote.selector, _governor.castVoteWithReason.selector);
        all[2] = _governor.castVoteWithReasonAndParams.selector;
        bytes32 before = _decided();
        tried(address(_governor), all, seed, noise);
        check(_decided() == before, "somebody without votes was counted");
    }

    function test_fuzz_arbitrary_calldata_to_the_token_moves_nobody_s_votes(uint256 seed, bytes calldata noise)
        external
    {
        bytes4[] memory all = new bytes4[](6);
        (all[0], all[1], all[2]) = (_token.transfer.selector, _token.transferFrom.selector, _token.approve.selector);
        (all[3], all[4], all[5]) = (_token.permit.selector, _token.delegate.selector, _token.delegateBySig.selector);
        bytes32 before = _decided();
        tried(address(_token), all, seed, noise);
        check(_decided() == before, "votes moved");
    }

    function _decided() private view returns (bytes32) {
        (uint256 against, uint256 for_, uint256 abstain) = _governor.proposalVotes(_proposal);
        bytes32 votes = keccak256(
            abi.encode(
                _token.totalSupply(),
                _token.balanceOf(ALICE),
                _token.balanceOf(BOB),
                _token.getVotes(ALICE),
                _token.getVotes(BOB),
                _token.delegates(ALICE),
                _token.delegates(BOB)
            )
        );
        return keccak256(
            abi.encode(votes, against, for_, abstain, _governor.state(_proposal), _governor.proposalDeadline(_proposal))
        );
    }
}
