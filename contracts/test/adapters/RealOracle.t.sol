// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AggregatorV3Adapter} from "../../src/adapters/AggregatorV3Adapter.sol";
import {LendingDesk} from "../../src/adapters/examples/LendingDesk.sol";
import {Field, Fields} from "../../src/adapters/Fields.sol";
import {Demands, RiskConsumer} from "../../src/adapters/RiskConsumer.sol";
import {RiskOracleFacade} from "../../src/adapters/RiskOracleFacade.sol";
import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {IRiskParameterOracle} from "../../src/interfaces/IRiskParameterOracle.sol";
import {MockUSD} from "../../src/mock/MockUSD.sol";
import {Settings} from "../../src/oracle/Config.sol";
import {OracleSetup} from "../oracle/OracleSetup.sol";

/// @dev The adapters on the oracle itself, fed by a quorum.
contract RealOracleTest is OracleSetup {
    address private constant WBTC = address(0xB7C);
    uint256 private constant ONE = 1e18;

    AggregatorV3Adapter private _price;
    AggregatorV3Adapter private _loss;
    RiskOracleFacade private _facade;
    LendingDesk private _desk;

    function setUp() public override {
        super.setUp();
        Settings memory x = settings();
        x.ringOf[0] = bytes1(uint8(4));
        set(x);
        _price = new AggregatorV3Adapter(oracle, 0, Field.PRICE, "BTC / USD");
        _loss = new AggregatorV3Adapter(oracle, 0, Field.DOWN_ES99, "BTC / USD");
        (address[] memory markets, uint16[] memory ids) = (new address[](1), new uint16[](1));
        markets[0] = WBTC;
        _facade = new RiskOracleFacade(oracle, markets, ids);
        (MockUSD bitcoin, MockUSD dollars) = (new MockUSD(), new MockUSD());
        _desk = new LendingDesk(
            oracle,
            0,
            address(bitcoin),
            address(dollars),
            Demands({maxAgeS: 14_400, minConfidenceBp: 4000, lowestPriceE8: 1000e8, highestPriceE8: 1_000_000e8})
        );
        dollars.mint(address(_desk), 1e12);
        bitcoin.mint(address(this), ONE);
        bitcoin.approve(address(_desk), ONE);
        _desk.deposit(ONE);
    }

    function everything(IRiskOracle.Status status) private {
        vm.expectRevert(abi.encodeWithSelector(AggregatorV3Adapter.Unusable.selector, 0, status));
        _price.latestRoundData();
        vm.expectRevert(abi.encodeWithSelector(RiskOracleFacade.Unusable.selector, WBTC, status));
        _facade.getLatestUpdateByParameterAndMarket("price", WBTC);
        vm.expectRevert(abi.encodeWithSelector(RiskConsumer.Unusable.selector, 0, status));
        _desk.borrow(1);
    }

    function test_a_quorum_s_round_is_read_through_every_adapter() external {
        publish(report(riskWord(100), marketWord(BTC)));
        (uint80 id, int256 answer,, uint256 updatedAt,) = _price.latestRoundData();
        same(answer, int256(BTC), "price");
        same(id, round, "round");
        same(updatedAt, round * PERIOD, "observed");
        same(abi.decode(_facade.getLatestUpdateByParameterAndMarket("down_es99", WBTC).newValue, (uint256)), 350, "es");
        same(_desk.limitOf(address(this)), 60_000e6 * (10_000 - 600 - 10 - 100) / 10_000, "limit");
    }

    function test_nothing_is_read_before_the_first_round_or_after_a_halt() external {
        everything(IRiskOracle.Status.EMPTY);
        publish(report(riskWord(100), marketWord(BTC)));
        oracle.halt(0);
        everything(IRiskOracle.Status.HALTED);
        oracle.resume(0);
        everything(IRiskOracle.Status.STALE);
        nextRound();
        publish(report(riskWord(100), marketWord(BTC)));
        _price.latestRoundData();
        vm.warp(block.timestamp + oracle.staleAfter());
        everything(IRiskOracle.Status.STALE);
    }

    function test_a_market_that_was_halted_before_it_was_ever_written_has_no_round() external {
        oracle.halt(0);
        everything(IRiskOracle.Status.HALTED);
        vm.expectRevert(abi.encodeWithSelector(AggregatorV3Adapter.NoRound.selector, 0, 0));
        _price.getRoundData(0);
    }

    function test_a_price_beyond_the_bounds_halts_and_is_never_an_answer() external {
        publish(report(riskWord(100), marketWord(BTC)));
        nextRound();
        publish(report(riskWord(100), marketWord(BTC / 100))); // as LUNA's, far below any bound
        everything(IRiskOracle.Status.HALTED);
        (, int256 answer,,,) = _price.getRoundData(round - 1);
        same(answer, int256(BTC), "what was published before stays history");
    }

    function test_an_aging_market_s_loss_has_grown() external {
        publish(report(riskWord(100), marketWord(BTC)));
        vm.warp(block.timestamp + (oracle.agingAfter() + oracle.staleAfter()) / 2);
        (, int256 answer,, uint256 updatedAt,) = _loss.latestRoundData();
        same(answer, 525, "half as much again");
        same(updatedAt, round * PERIOD, "and its age shows");
        (, answer,,,) = _loss.getRoundData(round);
        same(answer, 350, "as published");
    }

    function test_past_rounds_come_from_the_ring_until_it_is_full() external {
        for (uint256 i = 0; i < 7; ++i) {
            publish(report(riskWord(100), marketWord(BTC + i * 1e8)));
            if (i < 6) nextRound();
        }
        for (uint80 back = 0; back <= 4; ++back) {
            (uint80 id, int256 answer,,,) = _price.getRoundData(round - back);
            same(id, round - back, "round");
            same(answer, int256(BTC + (6 - back) * 1e8), "answer");
        }
        vm.expectRevert(abi.encodeWithSelector(IRiskOracle.HistoryTooShort.selector, 5, 4));
        _price.getRoundData(round - 5);
        IRiskParameterOracle.RiskParameterUpdate memory x = _facade.getLatestUpdateByParameterAndMarket("price", WBTC);
        same(abi.decode(x.previousValue, (uint256)), BTC + 5e8, "the value before");
        x = _facade.getUpdateById(x.updateId - (4 << 24));
        same(abi.decode(x.newValue, (uint256)), BTC + 2e8, "the oldest that is kept");
        same(x.previousValue.length, 0, "and nothing before it");
    }

    /// @dev Whatever a quorum signs, an adapter answers with the oracle's own word or not at all.
    function testFuzz_an_answer_is_the_oracle_s_own_word(uint64 price, uint16 stress, uint8 which) external {
        publish(report(riskWord(within(stress, 1, 400)), marketWord(within(price, 1, (1 << 63) - 1))));
        Field field = Field(within(which, 0, Fields.COUNT - 1));
        (uint256 risk, uint256 market,, IRiskOracle.Status status) = oracle.read(0);
        AggregatorV3Adapter feed = new AggregatorV3Adapter(oracle, 0, field, "");
        if (status != IRiskOracle.Status.FRESH) vm.expectRevert();
        (, int256 answer,,,) = feed.latestRoundData();
        if (status == IRiskOracle.Status.FRESH) same(answer, Fields.valueOf(field, risk, market), "answer");
    }
}
