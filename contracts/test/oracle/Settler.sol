// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IScheduled} from "../../src/interfaces/IRegistry.sol";
import {Config, Settings} from "../../src/oracle/Config.sol";

/// @dev A registry without rules: it writes whatever settings a test wants, and schedules them.
contract Settler {
    uint32 public epoch;

    function set(IScheduled oracle, Settings calldata x, uint32 fromRound) external {
        Config.write(x);
        oracle.schedule(++epoch, fromRound);
    }

    function schedule(IScheduled oracle, uint32 epoch_, uint32 fromRound) external {
        oracle.schedule(epoch_, fromRound);
    }
}
