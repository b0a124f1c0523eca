// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Config} from "./Config.sol";

/// @title What members sign, as EIP-712 typed data.
/// @dev In assembly, because a large committee hashes thousands of words: they go from calldata to the scratch space
/// behind the free memory and are never kept, where `abi.encode` would allocate and copy them once more for each member.
/// The encoded struct lies in the same scratch space, so that only its last field changes from member to member.
library Reports {
    using Config for bytes;

    bytes32 internal constant OWN_WORDS_TYPEHASH = keccak256(
        "OwnWords(uint32 epoch,uint32 round,uint16 firstMarket,bytes32 modelSet,bytes32 policy,uint256[] words)"
    );
    bytes32 internal constant CO_SIGNED_TYPEHASH = keccak256(
        "CoSigned(uint32 epoch,uint32 round,uint16 firstMarket,bytes32 modelSet,bytes32 policy,bytes32 evidenceRoot,uint256[] words)"
    );

    /// @notice The domain of this contract on this chain: no signature counts anywhere else.
    function domain() internal view returns (bytes32) {
        bytes32 kind = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        return keccak256(abi.encode(kind, keccak256("Margrave"), keccak256("1"), block.chainid, address(this)));
    }

    /// @notice The digest that each member signs of its own words, in the order of the words.
    function ownWords(
        bytes32 domain_,
        uint256 epoch,
        uint256 round,
        uint256 firstMarket,
        bytes memory config,
        uint256[] calldata words,
        uint256 members
    ) internal pure returns (bytes32[] memory digests) {
        (bytes32 typehash, bytes32 modelSet, bytes32 policy) = (OWN_WORDS_TYPEHASH, config.modelSet(), config.digest());
        assembly ("memory-safe") {
            digests := mload(0x40)
            mstore(digests, members)
            let out := add(digests, 32)
            let fields := add(out, shl(5, members))
            mstore(0x40, fields) // what follows is scratch: seven fields, then 66 bytes of typed data, then the words
            mstore(fields, typehash)
            mstore(add(fields, 0x20), epoch)
            mstore(add(fields, 0x40), round)
            mstore(add(fields, 0x60), firstMarket)
            mstore(add(fields, 0x80), modelSet)
            mstore(add(fields, 0xa0), policy)
            let typed := add(fields, 0xe0)
            mstore(typed, shl(240, 0x1901))
            mstore(add(typed, 2), domain_)
            let copy := add(typed, 0x60)
            let size := shl(5, div(words.length, members))
            let data := words.offset
            for {} lt(out, fields) { out := add(out, 32) } {
                calldatacopy(copy, data, size)
                mstore(add(fields, 0xc0), keccak256(copy, size))
                mstore(add(typed, 34), keccak256(fields, 0xe0))
                mstore(out, keccak256(typed, 66))
                data := add(data, size)
            }
        }
    }

    /// @notice The one digest that a quorum signs of its medians.
    function coSigned(
        bytes32 domain_,
        uint256 epoch,
        uint256 round,
        uint256 firstMarket,
        bytes memory config,
        bytes32 evidenceRoot,
        uint256[] calldata words
    ) internal pure returns (bytes32[] memory digests) {
        (bytes32 typehash, bytes32 modelSet, bytes32 policy) = (CO_SIGNED_TYPEHASH, config.modelSet(), config.digest());
        assembly ("memory-safe") {
            digests := mload(0x40)
            mstore(digests, 1)
            let fields := add(digests, 64)
            mstore(0x40, fields) // as above, with one field more
            mstore(fields, typehash)
            mstore(add(fields, 0x20), epoch)
            mstore(add(fields, 0x40), round)
            mstore(add(fields, 0x60), firstMarket)
            mstore(add(fields, 0x80), modelSet)
            mstore(add(fields, 0xa0), policy)
            mstore(add(fields, 0xc0), evidenceRoot)
            let typed := add(fields, 0x100)
            let size := shl(5, words.length)
            calldatacopy(typed, words.offset, size)
            mstore(add(fields, 0xe0), keccak256(typed, size))
            let hash := keccak256(fields, 0x100)
            mstore(typed, shl(240, 0x1901))
            mstore(add(typed, 2), domain_)
            mstore(add(typed, 34), hash)
            mstore(add(digests, 32), keccak256(typed, 66))
        }
    }
}
