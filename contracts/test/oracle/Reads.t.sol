// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {Ageing} from "../../src/oracle/Ageing.sol";
import "../../src/oracle/Lanes.sol";
import {Stamp} from "../../src/oracle/Stamp.sol";
import {OracleSetup} from "./OracleSetup.sol";

contract ReadsTest is OracleSetup {
    function test_packed_words_carry_their_status_in_the_flags_lane() external {
        publish(report(riskWord(100), marketWord(BTC)));
        oracle.halt(1);
        uint16[] memory ids = new uint16[](3);
        (ids[0], ids[1], ids[2]) = (1, 0, 999);
        vm.warp(START + 6000);
        uint256[] memory words = oracle.readPacked(ids);
        uint256 shift = FLAGS_SHIFT + Stamp.STATUS_SHIFT;
        check(words[1] >> shift & 7 == uint256(IRiskOracle.Status.HALTED), "halted");
        check(words[3] >> shift & 7 == uint256(IRiskOracle.Status.AGING), "aging");
        check(words[5] >> shift & 7 == uint256(IRiskOracle.Status.EMPTY), "empty");
        (uint256 risk, uint256 market,,) = oracle.read(0);
        same(words[2], risk, "risk");
        same(words[3] & ~(uint256(7) << shift), market, "market");
    }

    function test_effective_words_are_the_published_ones_while_fresh_and_twice_them_when_stale() external {
        publish(report(riskWord(100), marketWord(BTC)));
        (uint256 risk, uint256 market,,) = oracle.read(0);
        vm.warp(START + 5400);
        (uint256 r, uint256 m, uint256 ageS, IRiskOracle.Status status) = oracle.effective(0);
        check(r == risk && m == market && ageS == 5400 && status == IRiskOracle.Status.AGING, "from here on");
        vm.warp(START + 9900); // half way
        (r, m,,) = oracle.effective(0);
        same(r, riskWord(150), "half as much again");
        same(m >> CONFIDENCE_SHIFT & LANE_MAX, 4500, "half the confidence");
        same(m >> TOTAL_VOL_30D_SHIFT & LANE_MAX, 5160, "volatility");
        same(m >> SSVI_RHO_SHIFT & LANE_MAX, EXCESS - 2000, "shape stays");
        same(m >> STAMP_SHIFT, market >> STAMP_SHIFT, "price and time stay");
        for (uint256 age = 14_400; age < 1e6; age += 900_000) {
            vm.warp(START + age);
            (r, m,, status) = oracle.effective(0);
            same(r, riskWord(200), "twice");
            same(m >> CONFIDENCE_SHIFT & LANE_MAX, 0, "none");
            check(status == IRiskOracle.Status.STALE, "stale");
        }
    }

    function test_effective_words_of_a_resumed_market_are_as_stale_and_of_an_empty_one_nothing() external {
        publish(report(riskWord(100), marketWord(BTC)));
        oracle.halt(0);
        oracle.resume(0);
        (uint256 risk,, uint256 ageS, IRiskOracle.Status status) = oracle.effective(0);
        check(risk == riskWord(200) && ageS == 0 && status == IRiskOracle.Status.STALE, "resumed");
        uint256 market;
        (risk, market,, status) = oracle.effective(1);
        check(risk == 0 && market == 0 && status == IRiskOracle.Status.EMPTY, "empty");
    }

    /// @dev Margin never falls with age: no lane that tightens upwards falls, confidence never rises, ladders ascend.
    function test_fuzz_words_only_tighten_with_age(uint256 seed, uint256 age, uint256 more) external pure {
        (uint256 risk, uint256 market) = _coherent(seed);
        age = within(age, 0, 20_000);
        more = age + within(more, 0, 20_000);
        (uint256 r, uint256 m) = Ageing.tightenedUp(risk, market, Ageing.shareUp(age, 5400, 14_400));
        (uint256 s, uint256 n) = Ageing.tightenedUp(risk, market, Ageing.shareUp(more, 5400, 14_400));
        for (uint256 shift = 0; shift < 256; shift += 16) {
            check((s >> shift & 0xffff) >= (r >> shift & 0xffff), "risk fell");
            check((r >> shift & 0xffff) <= 2 * (risk >> shift & 0xffff), "more than twice");
        }
        check((n >> CONFIDENCE_SHIFT & LANE_MAX) <= (m >> CONFIDENCE_SHIFT & LANE_MAX), "confidence rose");
        check((n >> SCORE_SHIFT & LANE_MAX) >= (m >> SCORE_SHIFT & LANE_MAX), "score fell");
        for (uint256 i = 0; i < 4; ++i) {
            check((r >> 16 * i & LANE_MAX) <= (r >> 16 * i + 16 & LANE_MAX), "the ladder crossed");
        }
        check((r & RISK_GUARDS) == 0 && (m & MARKET_GUARDS) == 0, "a guard bit");
        same(m >> STAMP_SHIFT, market >> STAMP_SHIFT, "price or time");
    }

    function _coherent(uint256 seed) private pure returns (uint256 risk, uint256 market) {
        uint256 rung = 0;
        for (uint256 i = 0; i < 5; ++i) {
            rung += uint256(keccak256(abi.encode(seed, i))) % 6000;
            risk |= rung << 16 * i | rung << 16 * (i + 5);
        }
        for (uint256 i = 10; i < 16; ++i) {
            risk |= (seed >> 16 * i) % 10_001 << 16 * i;
        }
        market = marketWord(seed % PRICE_MAX + 1) | seed % STAMP_MAX << STAMP_SHIFT;
    }
}
