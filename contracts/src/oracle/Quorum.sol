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

    error WrongQuorum(uint256 got, uint256 wanted);
    error UnknownMembers(uint256 memberBitmap, uint256 memberCount);
    error WrongLength(uint256 got, uint256 wanted);
    error NoEpoch();
    error HighS(uint256 memberIndex);
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
        pure
    {
        uint256 index = 0;
        for (uint256 i = 0; i < rvs.length; i += 2) {
            while (memberBitmap >> index & 1 == 0) ++index;
            requireSigned(digest, rvs[i], rvs[i + 1], config.member(index), index);
            ++index;
        }
    }

    /// @notice Refuse unless the member signed the digest.
    function requireSigned(bytes32 digest, bytes32 r, bytes32 vs, address member, uint256 index) internal pure {
        uint256 s = uint256(vs) & type(uint256).max >> 1;
        if (s > HALF_ORDER) revert HighS(index);
        address recovered = ecrecover(digest, uint8((uint256(vs) >> 255) + 27), r, bytes32(s));
        if (recovered != member) revert WrongSigner(recovered, member); // a member is never zero
    }
}
