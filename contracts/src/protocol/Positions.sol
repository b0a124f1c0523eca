// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

/// @title One account's legs in one market: a slot each, one after another.
/// @dev How many there are is kept in bits 169 to 191 of the first, which `Leg` leaves free, and not in a slot of its own
/// as in a Solidity array: margin reads it at every turn, and a first position writes it. Nothing else writes there.
library Positions {
    /// @notice What one account may have in all, see `Book`.
    uint256 internal constant MOST = 64;

    struct List {
        uint256[MOST] slots;
    }

    uint256 private constant COUNT_SHIFT = 169;
    uint256 private constant COUNT = 0xfffffe000000000000000000000000000000000000000000;

    function count(List storage self) internal view returns (uint256) {
        return (_load(self, 0) & COUNT) >> COUNT_SHIFT;
    }

    /// @param i Below the count, here and below.
    function get(List storage self, uint256 i) internal view returns (uint256 leg) {
        return _load(self, i) & ~COUNT;
    }

    function set(List storage self, uint256 i, uint256 leg) internal {
        _store(self, i, i == 0 ? leg | _load(self, 0) & COUNT : leg);
    }

    /// @dev A leg has an expiry, so its slot is never zero; the first may be of any quantity.
    function push(List storage self, uint256 leg) internal {
        uint256 n = count(self);
        _store(self, n, leg);
        _store(self, 0, (_load(self, 0) & ~COUNT) | (n + 1) << COUNT_SHIFT);
    }

    /// @dev The last takes its place.
    function remove(List storage self, uint256 i) internal {
        uint256 last = count(self) - 1;
        uint256 moved = get(self, last);
        _store(self, last, 0);
        if (i != last) _store(self, i, moved);
        if (last != 0) _store(self, 0, (_load(self, 0) & ~COUNT) | last << COUNT_SHIFT);
    }

    /// @dev Every margin begins here: a third of what copying an array and looking at each leg would cost.
    /// @return legs All, as `Leg` packs them.
    /// @return expired Whether any of them has, by the expiry in its bits 128 to 167.
    function load(List storage self) internal view returns (uint256[] memory legs, bool expired) {
        assembly ("memory-safe") {
            let leg := sload(self.slot)
            let n := shr(COUNT_SHIFT, and(leg, COUNT))
            leg := and(leg, not(COUNT))
            legs := mload(0x40)
            mstore(legs, n)
            let to := add(legs, 0x20)
            for { let i := 1 } n { n := sub(n, 1) } {
                mstore(to, leg)
                to := add(to, 0x20)
                expired := or(expired, iszero(gt(and(shr(128, leg), 0xffffffffff), timestamp())))
                if eq(n, 1) { break }
                leg := sload(add(self.slot, i))
                i := add(i, 1)
            }
            mstore(0x40, to)
        }
    }

    /// @dev Every index is below the count or equal to it, and `Book` keeps that to `MOST`.
    function _load(List storage self, uint256 i) private view returns (uint256 x) {
        assembly ("memory-safe") {
            x := sload(add(self.slot, i))
        }
    }

    function _store(List storage self, uint256 i, uint256 x) private {
        assembly ("memory-safe") {
            sstore(add(self.slot, i), x)
        }
    }
}
