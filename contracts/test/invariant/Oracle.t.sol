// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import "../../src/oracle/Lanes.sol";
import {Policy} from "../../src/oracle/Policy.sol";
import {RiskOracle} from "../../src/oracle/RiskOracle.sol";
import {Stamp} from "../../src/oracle/Stamp.sol";
import {OracleHandler} from "./OracleHandler.sol";
import {Runs} from "./Runs.sol";

/// @dev Whatever committees, governance, the guardian, strangers and time do, in any order. What each action may do to
/// the words is judged in the handler, transition by transition; here is what holds between any two.
/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: long.invariant.fail-on-revert = true
contract OracleInvariants is Runs {
    using Stamp for uint256;

    OracleHandler private _work;

    function setUp() external {
        _work = new OracleHandler();
        handler = address(_work);
        actions = [
            OracleHandler.publishes.selector,
            OracleHandler.publishes.selector,
            OracleHandler.publishes.selector,
            OracleHandler.publishes.selector,
            OracleHandler.forges.selector,
            OracleHandler.replaysAnything.selector,
            OracleHandler.waits.selector,
            OracleHandler.changesLimits.selector,
            OracleHandler.changesBounds.selector,
            OracleHandler.rotates.selector,
            OracleHandler.changesTiming.selector,
            OracleHandler.unpauses.selector,
            OracleHandler.resumes.selector,
            OracleHandler.resumes.selector,
            OracleHandler.pauses.selector,
            OracleHandler.halts.selector,
            OracleHandler.removes.selector,
            OracleHandler.tightens.selector,
            OracleHandler.guardianOversteps.selector,
            OracleHandler.strangerTries.selector,
            OracleHandler.growsOld.selector
        ];
    }

    function invariant_words_change_only_by_a_quorums_publication() external view {
        for (uint16 id = 0; id < 4; ++id) {
            (uint256 risk, uint256 market,,) = _oracle().read(id);
            check(risk == _work.risk(id) && market == _work.market(id), "words");
        }
    }

    function invariant_what_is_stored_is_coherent_and_within_its_meaning() external view {
        for (uint16 id = 0; id < 4; ++id) {
            (uint256 risk, uint256 market,,) = _oracle().read(id);
            if (!market.isWritten()) continue;
            check(Policy.coherent(risk, market.unstamped()), "coherent");
            check(risk & RISK_GUARDS == 0 && market & MARKET_GUARDS == 0, "clean guards");
            check(market >> FLAGS_SHIFT & LANE_MAX < 1 << Stamp.STATUS_SHIFT, "status bits are a reader's");
        }
    }

    function invariant_no_observation_is_of_the_future() external view {
        for (uint16 id = 0; id < 4; ++id) {
            (, uint256 market,,) = _oracle().read(id);
            check(market.observedAt() <= block.timestamp + 30, "future");
        }
    }

    function invariant_reads_agree_with_each_other() external view {
        uint16[] memory ids = new uint16[](4);
        for (uint16 id = 0; id < 4; ++id) {
            ids[id] = id;
        }
        IRiskOracle.MarketState[] memory many = _oracle().readMany(ids);
        uint256[] memory packed = _oracle().readPacked(ids);
        for (uint16 id = 0; id < 4; ++id) {
            (uint256 risk, uint256 market, uint256 ageS, IRiskOracle.Status status) = _oracle().read(id);
            check(many[id].risk == risk && many[id].market == market, "readMany");
            check(many[id].ageS == ageS && many[id].status == status, "readMany: status");
            same(packed[2 * id], risk, "readPacked: risk");
            same(packed[2 * id + 1], market | uint256(status) << FLAGS_SHIFT + Stamp.STATUS_SHIFT, "readPacked: market");
        }
    }

    /// @dev So that a suite whose actions do nothing is not taken for a good one.
    function test_the_actions_reach_what_they_are_about() external {
        for (uint256 i = 0; i < 60; ++i) {
            uint256 seed = uint256(keccak256(abi.encode(i)));
            _work.publishes(seed);
            _work.resumes(i);
            if (i % 3 == 0) _work.forges(seed);
            if (i % 5 == 0) _work.replaysAnything(seed);
            if (i % 20 == 10) _work.rotates(seed);
            if (i % 20 == 15) _work.changesLimits(seed);
        }
        check(_work.published() > 20, "published");
        check(_work.limited() > 10, "limited");
        check(_work.halted() > 2, "halted");
        check(_work.forgeries() > 10 && _work.replays() > 5 && _work.rotations() > 1, "attacks and rotations");
    }

    function _oracle() private view returns (RiskOracle) {
        return _work.theOracle();
    }
}
