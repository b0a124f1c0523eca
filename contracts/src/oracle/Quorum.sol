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
    /// @param digests One that all signed, or one for each signer in the order of the bits.
    function requireSigned(bytes memory config, bytes32[] memory digests, uint256 memberBitmap, bytes32[] calldata rvs)
        internal
        view
    {
        unchecked {
            uint256 step = digests.length == 1 ? 0 : 1;
            uint256 index = 0;
            for (uint256 i = 0; 2 * i < rvs.length; ++i) {
                while (memberBitmap >> index & 1 == 0) ++index;
                (address recovered, uint256 s) = _recover(digests, i * step, rvs, i);
                address member = config.member(index);
                if (s > HALF_ORDER) revert HighS(index, s);
                if (recovered != member) revert WrongSigner(recovered, member); // a member is never zero
                ++index;
            }
        }
    }

    /// @dev In assembly to call the pre-compile without the copies of `ecrecover`, and to read without the bounds checks
    /// of arrays whose lengths `requireQuorum` has compared.
    /// @return recovered Zero for a signature that is none.
    function _recover(bytes32[] memory digests, uint256 which, bytes32[] calldata rvs, uint256 i)
        private
        view
        returns (address recovered, uint256 s)
    {
        assembly ("memory-safe") {
            let input := mload(0x40)
            let rv := add(rvs.offset, shl(6, i))
            let vs := calldataload(add(rv, 32))
            s := shr(1, shl(1, vs))
            mstore(input, mload(add(add(digests, 32), shl(5, which))))
            mstore(add(input, 32), add(27, shr(255, vs)))
            calldatacopy(add(input, 64), rv, 32)
            mstore(add(input, 96), s)
            mstore(0, 0) // what is not a signature returns nothing
            pop(staticcall(gas(), 1, input, 128, 0, 32))
            recovered := mload(0)
        }
    }
}
