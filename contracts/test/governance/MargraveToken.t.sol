// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Grant, MargraveToken} from "../../src/governance/MargraveToken.sol";
import {Base} from "../Base.sol";

contract MargraveTokenTest is Base {
    address private constant ALICE = address(0xa11ce);
    address private constant BOB = address(0xb0b);

    function token() private returns (MargraveToken) {
        Grant[] memory grants = new Grant[](2);
        grants[0] = Grant(ALICE, 600);
        grants[1] = Grant(BOB, 400);
        return new MargraveToken(grants);
    }

    function test_the_whole_supply_is_given_out_at_the_beginning() external {
        MargraveToken votes = token();
        same(votes.totalSupply(), 1_000, "supply");
        same(votes.balanceOf(ALICE), 600, "alice");
        same(votes.balanceOf(BOB), 400, "bob");
    }

    function test_nobody_can_mint() external {
        MargraveToken votes = token();
        bytes4[4] memory tries =
            [bytes4(keccak256("mint(address,uint256)")), bytes4(keccak256("mint(uint256)")), 0x8da5cb5b, 0xf2fde38b];
        for (uint256 i = 0; i < 4; ++i) {
            (bool done,) = address(votes).call(abi.encodePacked(tries[i], uint256(uint160(ALICE)), uint256(1)));
            check(!done, "there is no such function");
        }
        same(votes.totalSupply(), 1_000, "supply");
    }

    function test_a_token_for_nobody_is_refused() external {
        // Not by `expectRevert`, which a linked test's deployment passes by.
        try new MargraveToken(new Grant[](0)) {
            revert Untrue("a token for nobody");
        } catch (bytes memory why) {
            check(bytes4(why) == MargraveToken.NoGrants.selector, "why");
        }
    }

    function test_votes_count_by_time_and_only_once_delegated() external {
        MargraveToken votes = token();
        vm.warp(1_000);
        vm.prank(ALICE);
        votes.delegate(ALICE);
        vm.warp(1_001);
        same(votes.clock(), 1_001, "clock");
        same(votes.getPastVotes(ALICE, 1_000), 600, "delegated");
        same(votes.getPastVotes(ALICE, 999), 0, "not before");
        same(votes.getVotes(BOB), 0, "never delegated");
        check(keccak256(bytes(votes.CLOCK_MODE())) == keccak256("mode=timestamp"), "mode");
        vm.prank(ALICE);
        votes.transfer(BOB, 100);
        same(votes.getVotes(ALICE), 500, "votes follow the balance");
        same(votes.nonces(ALICE), 0, "nonce");
    }
}
