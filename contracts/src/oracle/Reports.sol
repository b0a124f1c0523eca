// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title What members sign, as EIP-712 typed data.
/// @dev In assembly where words are hashed: they go from calldata to the scratch space behind the free memory and are
/// never kept, where `abi.encode` would allocate and copy them once more for each member.
library Reports {
    bytes32 internal constant OWN_WORDS_TYPEHASH = keccak256(
        "OwnWords(uint32 epoch,uint32 round,uint16 firstMarket,bytes32 modelSet,bytes32 policy,uint256[] words)"
    );
    bytes32 internal constant CO_SIGNED_TYPEHASH = keccak256(
        "CoSigned(uint32 epoch,uint32 round,uint16 firstMarket,bytes32 modelSet,bytes32 policy,bytes32 evidenceRoot,uint256[] words)"
    );

    /// @notice The digest that each member signs of its own words.
    /// @param fields The encoded struct but for its last field, which is the hash of the member's words.
    function ownWords(bytes32 domain, bytes32[7] memory fields, uint256[] calldata words, uint256 members)
        internal
        pure
        returns (bytes32[] memory digests)
    {
        unchecked {
            digests = new bytes32[](members);
            uint256 each = words.length / members;
            for (uint256 i = 0; i < members; ++i) {
                bytes32 digest;
                fields[6] = _hash(words, i * each, each);
                assembly ("memory-safe") {
                    digest := keccak256(fields, 0xe0)
                }
                digest = _typed(domain, digest);
                assembly ("memory-safe") {
                    mstore(add(add(digests, 32), shl(5, i)), digest)
                }
            }
        }
    }

    /// @notice The one digest that a quorum signs of its medians.
    /// @param fields The encoded struct but for its last field, which is the hash of the words.
    function coSigned(bytes32 domain, bytes32[8] memory fields, uint256[] calldata words)
        internal
        pure
        returns (bytes32[] memory digests)
    {
        bytes32 digest;
        fields[7] = _hash(words, 0, words.length);
        assembly ("memory-safe") {
            digest := keccak256(fields, 0x100)
        }
        digests = new bytes32[](1);
        digests[0] = _typed(domain, digest);
    }

    function _hash(uint256[] calldata words, uint256 from, uint256 count) private pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let scratch := mload(0x40)
            calldatacopy(scratch, add(words.offset, shl(5, from)), shl(5, count))
            hash := keccak256(scratch, shl(5, count))
        }
    }

    function _typed(bytes32 domain, bytes32 structHash) private pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let scratch := mload(0x40)
            mstore(scratch, shl(240, 0x1901))
            mstore(add(scratch, 2), domain)
            mstore(add(scratch, 34), structHash)
            digest := keccak256(scratch, 66)
        }
    }
}
