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
    uint256 private constant S_BITS = 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff;

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

    /// @notice Refuse unless each member in the bitmap signed, and exactly a quorum did. Settings must have taken the
    /// publication (`Config.takes`).
    function requireSignedBy(
        bytes memory config,
        bytes32[] memory digests,
        uint256 memberBitmap,
        bytes32[] calldata rvs
    ) internal view {
        (bool signed, uint256 index, uint256 s, address recovered) = _signed(config, digests, memberBitmap, rvs);
        if (signed) return;
        requireQuorum(config, memberBitmap, rvs.length);
        _refuse(config, index, s, recovered);
    }

    /// @notice Refuse unless each member in the bitmap signed. Call `requireQuorum` first.
    /// @param digests One that all signed, or one for each signer in the order of the bits.
    function requireSigned(bytes memory config, bytes32[] memory digests, uint256 memberBitmap, bytes32[] calldata rvs)
        internal
        view
    {
        (bool signed, uint256 index, uint256 s, address recovered) = _signed(config, digests, memberBitmap, rvs);
        if (!signed) _refuse(config, index, s, recovered);
    }

    /// @dev In assembly to call the pre-compile without the copies of `ecrecover`, its input at the beginning of memory
    /// where addresses are constants (the free memory pointer and the zero word lie there, and are put back), and to
    /// read without the bounds checks of arrays whose lengths were compared.
    /// @return signed Whether the signatures are all of them these members', and as many as the bitmap has bits.
    /// @return index The first member whose signature is not its own, with its s and whoever signed.
    function _signed(bytes memory config, bytes32[] memory digests, uint256 memberBitmap, bytes32[] calldata rvs)
        private
        view
        returns (bool signed, uint256 index, uint256 s, address recovered)
    {
        uint256 first = config.membersOf();
        assembly ("memory-safe") {
            let free := mload(0x40)
            let member := first
            let rv := rvs.offset
            let digest := add(digests, 32)
            let step := shl(5, gt(mload(digests), 1))
            let bits := memberBitmap
            for {} bits { bits := shr(1, bits) } {
                if and(bits, 1) {
                    let vs := calldataload(add(rv, 32))
                    mstore(0x00, mload(digest))
                    mstore(0x20, add(27, shr(255, vs)))
                    mstore(0x40, calldataload(rv))
                    vs := and(vs, S_BITS)
                    mstore(0x60, vs)
                    // What is not a signature returns nothing: then the digest is still there, which is no member.
                    pop(staticcall(gas(), 1, 0x00, 0x80, 0x00, 0x20))
                    if or(gt(vs, HALF_ORDER), xor(mload(0x00), mload(member))) { break }
                    rv := add(rv, 64)
                    digest := add(digest, step)
                }
                member := add(member, 32)
            }
            signed := and(iszero(bits), eq(rv, add(rvs.offset, shl(5, rvs.length))))
            index := shr(5, sub(member, first))
            s := mload(0x60)
            recovered := mul(mload(0x00), gt(returndatasize(), 0))
            mstore(0x40, free)
            mstore(0x60, 0)
        }
    }

    function _refuse(bytes memory config, uint256 index, uint256 s, address recovered) private pure {
        if (s > HALF_ORDER) revert HighS(index, s);
        revert WrongSigner(recovered, config.member(index));
    }
}
