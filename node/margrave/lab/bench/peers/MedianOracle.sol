// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

/// @title A median oracle as one writes it with OpenZeppelin's ECDSA, for comparison in the gas benchmark only.
/// @dev Ours, not anyone's product: members in a mapping, 65-byte signatures, each member's own values, the median by
/// insertion sort, value and time in one slot. Carefully written but with no trick; no bounds, no steps, no governance.
contract MedianOracle {
    struct Feed {
        uint128 value;
        uint64 observedAt;
    }

    uint256 public immutable quorum;
    mapping(address member => uint256 indexPlusOne) public memberIndex;
    mapping(uint256 id => Feed) public feeds;

    event Updated(uint64 observedAt, uint256 feeds);

    error WrongLength(uint256 got, uint256 wanted);
    error NotMember(address signer);
    error SignedTwice(address signer);
    error NotNewer(uint64 got, uint64 has);
    error Future(uint64 observedAt);

    constructor(address[] memory members, uint256 quorum_) {
        for (uint256 i = 0; i < members.length; ++i) {
            memberIndex[members[i]] = i + 1;
        }
        quorum = quorum_;
    }

    /// @param values Each signer's value of each feed, signer by signer.
    function update(uint64 observedAt, uint256[] calldata ids, uint128[] calldata values, bytes[] calldata signatures)
        external
    {
        uint256 n = quorum;
        uint256 k = ids.length;
        if (signatures.length != n) revert WrongLength(signatures.length, n);
        if (values.length != n * k) revert WrongLength(values.length, n * k);
        if (observedAt > block.timestamp) revert Future(observedAt);
        uint256 seen = 0;
        for (uint256 i = 0; i < n; ++i) {
            bytes32 hash = digest(observedAt, ids, values[i * k:(i + 1) * k]);
            address signer = ECDSA.recover(MessageHashUtils.toEthSignedMessageHash(hash), signatures[i]);
            uint256 index = memberIndex[signer];
            if (index == 0) revert NotMember(signer);
            if (seen >> index & 1 != 0) revert SignedTwice(signer);
            seen |= 1 << index;
        }
        for (uint256 j = 0; j < k; ++j) {
            Feed memory old = feeds[ids[j]];
            if (observedAt <= old.observedAt) revert NotNewer(observedAt, old.observedAt);
            feeds[ids[j]] = Feed(median(values, j, k, n), observedAt);
        }
        emit Updated(observedAt, k);
    }

    function read(uint256 id) external view returns (uint128 value, uint64 observedAt) {
        Feed memory feed = feeds[id];
        return (feed.value, feed.observedAt);
    }

    function digest(uint64 observedAt, uint256[] calldata ids, uint128[] calldata values)
        public
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(block.chainid, address(this), observedAt, ids, values));
    }

    function median(uint128[] calldata values, uint256 j, uint256 k, uint256 n) private pure returns (uint128) {
        uint128[] memory sorted = new uint128[](n);
        for (uint256 i = 0; i < n; ++i) {
            uint128 value = values[i * k + j];
            uint256 at = i;
            while (at > 0 && sorted[at - 1] > value) {
                sorted[at] = sorted[at - 1];
                --at;
            }
            sorted[at] = value;
        }
        return sorted[n / 2];
    }
}
