// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Base} from "../Base.sol";

/// @dev Calls of any function with any bytes, half of them shaped like arguments, and what they left in storage.
abstract contract Arbitrary is Base {
    uint256 private constant WORDS = 14;
    address internal constant STRANGER = address(0xbad);

    address[] internal watched; // whose storage must stay
    address[] internal familiar; // addresses that arguments may be
    uint256[] internal known; // other words that they may be

    /// @return ok Whether the call went through.
    function tried(address target, bytes4[] memory selectors, uint256 seed, bytes memory noise)
        internal
        returns (bool ok)
    {
        bytes memory data = _calldata(selectors[seed % selectors.length], seed >> 8, noise);
        vm.prank(STRANGER);
        (ok,) = target.call{gas: 10_000_000}(data);
    }

    /// @dev The same, and afterwards every slot that the call touched in a watched contract must be as it was.
    function triedWithoutATrace(address target, bytes4[] memory selectors, uint256 seed, bytes memory noise) internal {
        uint256 before = vm.snapshotState();
        vm.record();
        tried(target, selectors, seed, noise);
        bytes32[][] memory slots = new bytes32[][](watched.length);
        bytes32[][] memory values = new bytes32[][](watched.length);
        for (uint256 i = 0; i < watched.length; ++i) {
            (, slots[i]) = vm.accesses(watched[i]);
            values[i] = new bytes32[](slots[i].length);
            for (uint256 j = 0; j < slots[i].length; ++j) {
                values[i][j] = vm.load(watched[i], slots[i][j]);
            }
        }
        vm.revertToState(before);
        for (uint256 i = 0; i < watched.length; ++i) {
            for (uint256 j = 0; j < slots[i].length; ++j) {
                check(vm.load(watched[i], slots[i][j]) == values[i][j], "a stranger wrote storage");
            }
        }
    }

    function _calldata(bytes4 selector, uint256 seed, bytes memory noise) private view returns (bytes memory data) {
        if (seed % 4 == 0) return abi.encodePacked(selector, noise);
        if (seed % 16 == 1) return noise; // any selector, or none
        data = abi.encodePacked(selector);
        for (uint256 i = 0; i < WORDS; ++i) {
            data = abi.encodePacked(data, _word(uint256(keccak256(abi.encode(seed, i)))));
        }
    }

    function _word(uint256 x) private view returns (uint256) {
        uint256 kind = x % 8;
        x >>= 8;
        if (kind == 0 && known.length != 0) return known[x % known.length];
        if (kind < 2) return x % 4;
        if (kind == 2) return 32 * (x % WORDS); // an offset
        if (kind == 3) return uint160(familiar[x % familiar.length]);
        if (kind == 4) return block.timestamp + x % 1e6;
        if (kind == 5) return x % 1e12;
        if (kind == 6) return type(uint256).max - x % 4;
        return x;
    }
}
