// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Config} from "./Config.sol";
import {Markets} from "./Markets.sol";

/// @title The oracle's largest answer, in a contract of its own.
/// @dev Its encoder is two kilobytes that the oracle has no room for. The oracle makes one of these when it is made, and
/// runs its code on its own storage: this contract's storage stays empty, and what it answers by itself means nothing.
contract WholeState is Markets {
    using Config for address;
    using Config for bytes;

    constructor(address registry_, uint32 period_, uint32 agingAfter_, uint32 staleAfter_)
        Markets(registry_, period_, agingAfter_, staleAfter_)
    {}

    /// @notice What a node must know to take part, and every market, at one block.
    function state() external view returns (State memory x) {
        (x.blockNumber, x.timestamp) = (block.number, block.timestamp);
        (x.period, x.agingAfter, x.staleAfter) = (period, agingAfter, staleAfter);
        uint32 epoch;
        uint32 next;
        uint32 nextFromRound;
        (x.historyHash, epoch, next, nextFromRound) = _unpacked(_header);
        uint256 markets;
        uint256 more;
        (x.current, markets) = _epochState(epoch, 0);
        (x.next, more) = _epochState(next, nextFromRound);
        x.markets = new MarketState[](next == 0 ? markets : more);
        for (uint256 i = 0; i < x.markets.length; ++i) {
            x.markets[i] = _state(i);
        }
    }

    /// @return x The epoch. @return markets How many it has.
    function _epochState(uint32 epoch, uint32 fromRound) private view returns (EpochState memory x, uint256 markets) {
        if (epoch == 0) return (x, 0);
        bytes memory config = Config.addressOf(registry, epoch).load();
        (x.epoch, x.fromRound) = (epoch, fromRound);
        (x.kind, x.paused, x.quorum) = (config.kind(), config.paused(), uint8(config.quorum()));
        (x.modelSet, x.policyDigest, x.timing) = (config.modelSet(), config.digest(), config.timing());
        markets = config.marketCount();
        x.members = config.members();
    }
}
