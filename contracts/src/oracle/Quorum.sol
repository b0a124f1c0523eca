// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {LibBit} from "solady/utils/LibBit.sol";
import {Config} from "./Config.sol";

/// @title Signatures of a quorum against the members in a settings blob.
/// @dev Signatures are pairs r, vs (EIP-2098) in the order of the bitmap's bits; only low s (EIP-2), so that nobody can
/// make a second valid signature of one.
library Quorum {
    using Config for bytes;

    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    error NoEpoch();
    error WrongQuorum(uint256 got, uint256 wanted);
    error UnknownMembers(uint256 memberBitmap, uint256 memberCount);
    error WrongLength(uint256 got, uint256 wanted);
    error HighS(uint256 memberIndex, uint256 s);
    error WrongSigner(address recovered, address member);

    /// @notice Refuse a bitmap that is not exactly a quorum of the blob's members, or signatures not two words each.
    /// @return quorum How many signed.
    function requireQuorum(bytes memory config, uint256 memberBitmap, uint256 rvsLength)
        internal
        pure
        returns (uint256 quorum)
    {
        quorum = config.quorum();
        if (quorum == 0) revert NoEpoch();
        uint256 signers = LibBit.popCount(memberBitmap);
        if (signers != quorum) revert WrongQuorum(signers, quorum);
        if (memberBitmap >> config.memberCount() != 0) revert UnknownMembers(memberBitmap, config.memberCount());
        if (rvsLength != 2 * quorum) revert WrongLength(rvsLength, 2 * quorum);
    }

    /// @notice Refuse unless each member in the bitmap signed the digest. Call `requireQuorum` first.
    function requireCoSigned(bytes memory config, bytes32 digest, uint256 memberBitmap, bytes32[] calldata rvs)
        internal
        view
    {
        bytes32[] memory digests = new bytes32[](1);
        digests[0] = digest;
        requireSigned(config, digests, memberBitmap, rvs);
    }

    /// @notice Refuse unless each member in the bitmap signed. Call `requireQuorum` first.
    /// @dev In assembly to call the pre-compile without the copies of `ecrecover`, and to read without the bounds checks
    /// of arrays whose lengths `requireQuorum` has compared.
    /// @param digests One that all signed, or one for each signer in the order of the bits.
    function requireSigned(bytes memory config, bytes32[] memory digests, uint256 memberBitmap, bytes32[] calldata rvs)
        internal
        view
    {
        uint256 member = config.membersOf();
        bool refused = false;
        uint256 s;
        address recovered;
        assembly ("memory-safe") {
            let input := mload(0x40)
            let rv := rvs.offset
            let digest := add(digests, 32)
            let step := shl(5, gt(mload(digests), 1))
            for { let bits := memberBitmap } bits { bits := shr(1, bits) } {
                if and(bits, 1) {
                    let vs := calldataload(add(rv, 32))
                    s := shr(1, shl(1, vs))
                    mstore(input, mload(digest))
                    mstore(add(input, 32), add(27, shr(255, vs)))
                    mstore(add(input, 64), calldataload(rv))
                    mstore(add(input, 96), s)
                    mstore(0, 0) // what is not a signature returns nothing, and no member is zero
                    pop(staticcall(gas(), 1, input, 128, 0, 32))
                    if or(gt(s, HALF_ORDER), xor(mload(0), mload(member))) {
                        refused := 1
                        recovered := mload(0)
                        break
                    }
                    rv := add(rv, 64)
                    digest := add(digest, step)
                }
                member := add(member, 32)
            }
        }
        if (!refused) return;
        uint256 index = (member - config.membersOf()) / 32;
        if (s > HALF_ORDER) revert HighS(index, s);
        revert WrongSigner(recovered, config.member(index));
    }
}
