// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Quorum} from "../../src/oracle/Quorum.sol";
import {Lanewise} from "./Lanewise.sol";

/// @dev Who is counted, for every bitmap and any signatures: `ecrecover` is any function, as to the solver.
contract SymbolicQuorum is Lanewise {
    uint256 private constant MEMBERS = 4;
    uint256 private constant NEEDED = 3;

    /// @dev A quorum is accepted for exactly the bitmaps of three of the four members.
    function check_exactly_a_quorum_of_known_members_is_accepted(uint256 bitmap, uint256 length) external view {
        uint256 count = 0;
        for (uint256 i = 0; i < MEMBERS; ++i) {
            count += bitmap >> i & 1;
        }
        uint256 good = equal(count, NEEDED) & equal(bitmap >> MEMBERS, 0) & equal(length, 2 * NEEDED);
        try this.quorumOf(bitmap, length) returns (uint256 quorum) {
            assert(good == 1);
            assert(quorum == NEEDED);
        } catch {
            assert(good == 0);
        }
    }

    /// @dev If signatures pass, each seat in the bitmap is filled by its own member's signature of this digest, with a
    /// low s: no seat is filled twice, none by a stranger.
    function check_each_seat_is_filled_by_its_own_member(bytes32 digest, uint8 bits, bytes32[6] calldata pairs)
        external
        view
    {
        uint256 bitmap = bits & 15;
        bytes32[] memory rvs = new bytes32[](6);
        for (uint256 i = 0; i < 6; ++i) {
            rvs[i] = pairs[i];
        }
        try this.coSigned(digest, bitmap, rvs) {
            uint256 seat = 0;
            for (uint256 i = 0; i < MEMBERS; ++i) {
                if (bitmap >> i & 1 == 0) continue;
                (bytes32 r, uint256 vs) = (rvs[2 * seat], uint256(rvs[2 * seat + 1]));
                bytes32 s = bytes32(vs & type(uint256).max >> 1);
                assert(ecrecover(digest, uint8((vs >> 255) + 27), r, s) == _member(i));
                assert(uint256(s) <= 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0);
                ++seat;
            }
            assert(seat == NEEDED);
        } catch {}
    }

    function quorumOf(uint256 bitmap, uint256 length) external pure returns (uint256) {
        return Quorum.requireQuorum(_config(), bitmap, length);
    }

    function coSigned(bytes32 digest, uint256 bitmap, bytes32[] calldata rvs) external view {
        Quorum.requireQuorum(_config(), bitmap, rvs.length);
        Quorum.requireCoSigned(_config(), digest, bitmap, rvs);
    }

    /// @dev A settings blob of four members and nothing else.
    function _config() private pure returns (bytes memory) {
        bytes memory head = abi.encodePacked(NEEDED | MEMBERS << 8, bytes32(0), bytes32(0));
        return abi.encodePacked(head, abi.encode(_member(0), _member(1), _member(2), _member(3)));
    }

    function _member(uint256 i) private pure returns (address) {
        return address(uint160(0xA11CE000 + i));
    }
}
