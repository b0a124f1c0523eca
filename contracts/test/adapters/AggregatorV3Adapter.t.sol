// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AggregatorV3Adapter} from "../../src/adapters/AggregatorV3Adapter.sol";
import {Field, Fields} from "../../src/adapters/Fields.sol";
import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {AdapterSetup} from "./AdapterSetup.sol";

contract AggregatorV3AdapterTest is AdapterSetup {
    AggregatorV3Adapter private _price;

    function setUp() public override {
        super.setUp();
        _price = feed(Field.PRICE);
    }

    function feed(Field field) private returns (AggregatorV3Adapter) {
        return new AggregatorV3Adapter(oracle, 3, field, "ETH / USD");
    }

    function answerOf(AggregatorV3Adapter adapter) private view returns (int256 answer) {
        (, answer,,,) = adapter.latestRoundData();
    }

    function test_a_price_feed_says_what_it_is() external view {
        same(_price.decimals(), 8, "decimals");
        same(_price.version(), 1, "version");
        check(keccak256(bytes(_price.description())) == keccak256("ETH / USD price"), "description");
        same(_price.market(), 3, "market");
    }

    function test_the_latest_round_is_the_observation() external {
        after_(40); // into a round
        publish(ETH);
        after_(100);
        (uint80 id, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound) =
            _price.latestRoundData();
        same(answer, int256(ETH), "answer");
        same(id, START / PERIOD, "round");
        same(answeredInRound, id, "answered in its own round");
        same(updatedAt, START, "when it was observed, not when it was written");
        same(startedAt, START, "started");
    }

    function test_each_field_has_its_own_decimals_and_sign() external {
        publish(ETH);
        same(answerOf(feed(Field.DOWN_ES99)), 350, "a loss in basis points");
        same(feed(Field.DOWN_ES99).decimals(), 4, "share");
        same(answerOf(feed(Field.SSVI_RHO)), -2000, "a negative correlation");
        same(answerOf(feed(Field.BASIS)), 500, "a positive basis");
        same(answerOf(feed(Field.SCORE)), 2000, "a score");
        same(feed(Field.SCORE).decimals(), 0, "whole points");
        same(answerOf(feed(Field.TOTAL_VOL_30D)), 3440 * 5, "counts of half a basis point");
        same(feed(Field.TOTAL_VOL_30D).decimals(), 5, "volatility");
        same(answerOf(feed(Field.CONTAGION)), 100, "the risk word's highest lane");
    }

    function test_an_empty_market_has_no_answer() external {
        vm.expectRevert(abi.encodeWithSelector(AggregatorV3Adapter.Unusable.selector, 3, IRiskOracle.Status.EMPTY));
        _price.latestRoundData();
        vm.expectRevert(abi.encodeWithSelector(AggregatorV3Adapter.NoRound.selector, 7, 0));
        _price.getRoundData(7);
    }

    function test_a_halted_market_has_no_answer_however_young() external {
        publish(ETH);
        oracle.halt();
        vm.expectRevert(abi.encodeWithSelector(AggregatorV3Adapter.Unusable.selector, 3, IRiskOracle.Status.HALTED));
        _price.latestRoundData();
    }

    function test_a_stale_market_has_no_answer() external {
        publish(ETH);
        after_(oracle.staleAfter());
        vm.expectRevert(abi.encodeWithSelector(AggregatorV3Adapter.Unusable.selector, 3, IRiskOracle.Status.STALE));
        _price.latestRoundData();
    }

    function test_an_aging_risk_figure_tightens_and_keeps_its_time() external {
        AggregatorV3Adapter loss = feed(Field.DOWN_ES99);
        publish(ETH);
        after_((oracle.agingAfter() + oracle.staleAfter()) / 2);
        (, int256 answer,, uint256 updatedAt,) = loss.latestRoundData();
        same(answer, 525, "half way to stale: half as much again");
        same(updatedAt, START, "its age shows");
        same(answerOf(_price), int256(ETH), "a price has no safe side");
    }

    function test_a_past_round_is_found_in_the_ring() external {
        oracle.setRing(8);
        uint80 first = uint80(START / PERIOD);
        for (uint256 i = 0; i < 6; ++i) {
            publish(ETH + i * 1e8);
            after_(i == 2 ? 2 * PERIOD : PERIOD); // round first + 3 was missed
        }
        (uint80 id, int256 answer,, uint256 updatedAt,) = _price.getRoundData(first + 1);
        same(id, first + 1, "round");
        same(answer, int256(ETH + 1e8), "answer");
        same(updatedAt, START + PERIOD, "time");
        (, answer,,,) = _price.getRoundData(first + 4);
        same(answer, int256(ETH + 3e8), "after the gap");
        vm.expectRevert(abi.encodeWithSelector(AggregatorV3Adapter.NoRound.selector, first + 3, first + 6));
        _price.getRoundData(first + 3);
        vm.expectRevert(abi.encodeWithSelector(AggregatorV3Adapter.NoRound.selector, first + 7, first + 6));
        _price.getRoundData(first + 7);
        vm.expectRevert(abi.encodeWithSelector(IRiskOracle.HistoryTooShort.selector, 6, 5));
        _price.getRoundData(first - 1);
    }

    function test_without_a_ring_only_the_newest_round_is_known() external {
        publish(ETH);
        after_(PERIOD);
        publish(ETH + 1e8);
        uint80 newest = uint80(START / PERIOD + 1);
        (, int256 answer,,,) = _price.getRoundData(newest);
        same(answer, int256(ETH + 1e8), "newest");
        vm.expectRevert(abi.encodeWithSelector(IRiskOracle.HistoryTooShort.selector, 1, 0));
        _price.getRoundData(newest - 1);
    }

    function test_a_past_round_is_as_published_even_while_the_market_is_halted() external {
        AggregatorV3Adapter loss = feed(Field.DOWN_ES99);
        publish(ETH);
        oracle.halt();
        after_(oracle.staleAfter());
        (, int256 answer,,,) = loss.getRoundData(uint80(START / PERIOD));
        same(answer, 350, "not ratcheted");
    }

    function test_the_time_of_a_resumption_is_no_round() external {
        publish(ETH);
        after_(PERIOD);
        oracle.halt();
        oracle.resume();
        uint80 resumed = uint80(START / PERIOD + 1);
        vm.expectRevert(abi.encodeWithSelector(AggregatorV3Adapter.NoRound.selector, resumed, resumed));
        _price.getRoundData(resumed);
        vm.expectRevert(abi.encodeWithSelector(AggregatorV3Adapter.Unusable.selector, 3, IRiskOracle.Status.STALE));
        _price.latestRoundData();
    }

    /// @dev Any words: an adapter never reverts on a usable market, and gives the lane it was made for.
    function testFuzz_any_words_give_the_lane(uint256 risk, uint256 market, uint8 which) external {
        Field field = Field(within(which, 0, Fields.COUNT - 1));
        uint256 stamp = 0xffffffff << 160;
        oracle.publish(risk, market & ~(stamp | 0x7fff << 32));
        int256 answer = answerOf(feed(field));
        int256 scale = field >= Field.TOTAL_VOL_7D && field <= Field.TOTAL_VOL_90D ? int256(5) : int256(1);
        int256 excess = field == Field.SSVI_RHO || field == Field.BASIS ? int256(16_384) : int256(0);
        uint256 i = uint256(field);
        // The flags lane is the market word's third, so fields after CONFIDENCE lie one lane higher than they count.
        uint256 lane = i < 16 ? risk >> 16 * i : market >> 16 * (i - 16 + (i > 17 ? 1 : 0));
        if (field == Field.PRICE) same(answer, int256(market >> 192 & (1 << 63) - 1), "price");
        else same(answer, (int256(lane & 0x7fff) - excess) * scale, "lane");
    }
}
