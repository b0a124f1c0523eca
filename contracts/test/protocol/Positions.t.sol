// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Leg} from "../../src/margin/Leg.sol";
import {Positions} from "../../src/protocol/Positions.sol";
import {Base} from "../Base.sol";

/// @dev A list of legs beside a plain array, which must always say the same.
contract PositionsTest is Base {
    using Leg for uint256;
    using Positions for Positions.List;

    uint256 private constant NOW = 1_800_000_000;

    Positions.List private _list;
    uint256[] private _array;
    uint256 private _behind = 7; // what a list must not reach

    function setUp() external {
        vm.warp(NOW);
    }

    function test_nothing_is_in_a_new_list() external view {
        (uint256[] memory legs, bool expired) = _list.load();
        check(legs.length == 0 && !expired && _list.count() == 0, "nothing");
    }

    function test_fuzz_a_list_says_what_an_array_says(uint256 seed) external {
        for (uint256 i = 0; i < 200; ++i) {
            uint256 x = uint256(keccak256(abi.encode(seed, i)));
            uint256 n = _array.length;
            // Grows to the most there may be in one half of the draws, and empties in the other.
            if (n == 0 || (n < Positions.MOST && x % 5 < (i < 100 ? 4 : 1))) _push(x);
            else if (x % 5 == 4 && x >> 200 & 1 == 0) _set(x, x >> 8 & 0xff);
            else _remove(x >> 8 & 0xff);
            _compare();
        }
        same(_behind, 7, "what lies behind the list");
    }

    function test_all_places_can_be_taken() external {
        for (uint256 i = 0; i < Positions.MOST; ++i) {
            _push(uint256(keccak256(abi.encode(i))));
        }
        _compare();
        for (uint256 i = Positions.MOST; i > 0; --i) {
            _remove(i / 2);
            _compare();
        }
        same(uint256(vm.load(address(this), _slot())), 0, "an empty list leaves nothing behind");
        same(_behind, 7, "what lies behind the list");
    }

    function test_a_list_knows_whether_a_leg_has_expired() external {
        _list.push(Leg.pack(uint40(NOW + 1), 1e8, true, 1));
        (, bool expired) = _list.load();
        check(!expired, "not yet");
        _list.push(Leg.pack(uint40(NOW), 1e8, true, 1));
        (, expired) = _list.load();
        check(expired, "at its second");
        _list.remove(1);
        (, expired) = _list.load();
        check(!expired, "gone");
        vm.warp(NOW + 1);
        (, expired) = _list.load();
        check(expired, "the first too");
    }

    function _push(uint256 x) private {
        uint256 leg = _leg(x);
        _list.push(leg);
        _array.push(leg);
    }

    function _set(uint256 x, uint256 place) private {
        place %= _array.length;
        _list.set(place, _leg(x));
        _array[place] = _leg(x);
    }

    function _remove(uint256 place) private {
        place %= _array.length;
        _list.remove(place);
        _array[place] = _array[_array.length - 1];
        _array.pop();
    }

    function _leg(uint256 x) private pure returns (uint256) {
        return Leg.pack(uint40(x | 1), uint64(x >> 40 | 1), x >> 104 & 1 == 1, int64(int256(x >> 105)));
    }

    function _slot() private pure returns (bytes32 slot) {
        assembly ("memory-safe") {
            slot := _list.slot
        }
    }

    function _compare() private view {
        (uint256[] memory legs, bool expired) = _list.load();
        same(legs.length, _array.length, "length");
        same(_list.count(), _array.length, "count");
        bool any = false;
        for (uint256 i = 0; i < legs.length; ++i) {
            same(legs[i], _array[i], "loaded");
            same(_list.get(i), _array[i], "one by one");
            any = any || legs[i].expiry() <= NOW;
        }
        check(expired == any, "expired");
    }
}
