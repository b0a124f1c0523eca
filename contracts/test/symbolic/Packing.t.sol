// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Leg} from "../../src/margin/Leg.sol";
import "../../src/oracle/Lanes.sol";
import {Stamp} from "../../src/oracle/Stamp.sol";

/// @dev What is packed comes out as it went in, and touches nothing else.
contract SymbolicPacking {
    function check_a_legs_terms_survive_a_change_of_quantity(uint256 leg, int64 quantity) external pure {
        uint256 changed = Leg.withQuantity(leg, quantity);
        assert(Leg.quantity(changed) == quantity);
        assert(Leg.terms(changed) == Leg.terms(leg));
        assert(Leg.expiry(changed) == Leg.expiry(leg));
        assert(Leg.strike(changed) == Leg.strike(leg));
        assert(Leg.logStrike(changed) == Leg.logStrike(leg));
        assert(Leg.isCall(changed) == Leg.isCall(leg));
        assert(Leg.sortKey(changed) == Leg.sortKey(leg));
    }

    /// @dev For a few strikes, as a logarithm is out of a solver's reach; the rest of the leg is any.
    function check_a_packed_leg_gives_back_its_fields(uint40 expiry, bool isCall, int64 quantity) external pure {
        uint64[3] memory strikes = [uint64(1), 60_000e8, type(uint64).max];
        if (expiry == 0) return;
        for (uint256 i = 0; i < 3; ++i) {
            uint256 leg = Leg.pack(expiry, strikes[i], isCall, quantity);
            assert(Leg.expiry(leg) == expiry);
            assert(Leg.strike(leg) == strikes[i]);
            assert(Leg.isCall(leg) == isCall);
            assert(Leg.quantity(leg) == quantity);
            assert(Leg.logStrike(leg) == Leg.logOf(strikes[i]));
        }
    }

    function check_a_stamp_touches_its_own_lanes_only(uint256 market, uint32 time, uint16 flags) external pure {
        market &= ~MARKET_FORBIDDEN;
        uint256 stamped = Stamp.stamp(market, time, flags & 0x7fff);
        assert(Stamp.unstamped(stamped) == market);
        assert(Stamp.observedAt(stamped) == time);
        assert(stamped >> FLAGS_SHIFT & LANE_MAX == flags & 0x7fff);
        assert(stamped & MARKET_GUARDS == 0);
        assert(Stamp.has(stamped, Stamp.HALT) == (flags & Stamp.HALT != 0));
    }
}
