// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @dev The cheats of Foundry's EVM that these tests use.
interface Vm {
    function addr(uint256 key) external pure returns (address);
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function chainId(uint256 id) external;
    function warp(uint256 time) external;
    function prank(address sender) external;
    function startPrank(address sender) external;
    function stopPrank() external;
    function assume(bool condition) external pure;
    function expectRevert(bytes calldata data) external;
    function expectRevert(bytes4 selector) external;
    function expectRevert() external;
    function expectPartialRevert(bytes4 selector) external;
    function expectEmit(address emitter) external;
    function record() external;
    /// @dev Slots that `target` read and wrote since `record`.
    function accesses(address target) external returns (bytes32[] memory reads, bytes32[] memory writes);
    function load(address target, bytes32 slot) external view returns (bytes32);
    function snapshotState() external returns (uint256 id);
    function revertToState(uint256 id) external returns (bool done);
    function roll(uint256 blockNumber) external;
    /// @dev Gas of the last call, into foundry.toml's `snapshots` folder: file `group`, entry `name`.
    function snapshotGasLastCall(string calldata group, string calldata name) external returns (uint256 gas);
    function readFile(string calldata path) external view returns (string memory);
    function parseJsonUintArray(string calldata json, string calldata key) external pure returns (uint256[] memory);
    function parseJsonIntArray(string calldata json, string calldata key) external pure returns (int256[] memory);
    function parseJsonUint(string calldata json, string calldata key) external pure returns (uint256);
    function parseJsonBytes32(string calldata json, string calldata key) external pure returns (bytes32);
    function parseJsonBytes32Array(string calldata json, string calldata key) external pure returns (bytes32[] memory);
    function parseJsonAddress(string calldata json, string calldata key) external pure returns (address);
    function parseJsonAddressArray(string calldata json, string calldata key) external pure returns (address[] memory);
}

abstract contract Base {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error NotEqual(uint256 got, uint256 wanted, string what);
    error NotEqualSigned(int256 got, int256 wanted, string what);
    error Untrue(string what);

    function check(bool holds, string memory what) internal pure {
        if (!holds) revert Untrue(what);
    }

    function same(uint256 got, uint256 wanted, string memory what) internal pure {
        if (got != wanted) revert NotEqual(got, wanted, what);
    }

    function same(int256 got, int256 wanted, string memory what) internal pure {
        if (got != wanted) revert NotEqualSigned(got, wanted, what);
    }

    function within(uint256 x, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + x % (high - low + 1);
    }

    function vectors(string memory name) internal view returns (string memory) {
        return vm.readFile(string.concat("tests/vectors/", name, ".json"));
    }
}
