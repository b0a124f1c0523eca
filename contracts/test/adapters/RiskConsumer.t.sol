// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Field} from "../../src/adapters/Fields.sol";
import {Reading, Readings} from "../../src/adapters/Reading.sol";
import {Demands, RiskConsumer} from "../../src/adapters/RiskConsumer.sol";
import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {AdapterSetup} from "./AdapterSetup.sol";

/// @dev Opens the base contract's reads.
contract Consumer is RiskConsumer {
    using Readings for Reading;

    Demands private _demands;

    constructor(IRiskOracle oracle, Demands memory demands) RiskConsumer(oracle) {
        _demands = demands;
    }

    function forNewRisk() external view returns (Reading memory) {
        return _readForNewRisk(3);
    }

    function toLiquidate() external view returns (Reading memory) {
        return _readToLiquidate(3);
    }

    function ifUsable() external view returns (bool, Reading memory) {
        return _readIfUsable(3);
    }

    function figures() external view returns (uint256[6] memory x, int256 rho) {
        Reading memory r = _readForNewRisk(3);
        x = [
            r.priceE8(),
            r.confidenceBp(),
            r.shareBp(Field.DOWN_ES99),
            r.totalVolE5(Field.TOTAL_VOL_7D),
            r.score(),
            r.observedAt()
        ];
        rho = r.signedBp(Field.SSVI_RHO);
    }

    function shareOf(Field field) external view returns (uint256) {
        return _readForNewRisk(3).shareBp(field);
    }

    function signedOf(Field field) external view returns (int256) {
        return _readForNewRisk(3).signedBp(field);
    }

    function volOf(Field field) external view returns (uint256) {
        return _readForNewRisk(3).totalVolE5(field);
    }

    function _demandsOf(uint16 market) internal view override returns (Demands memory demands) {
        if (market == 3) return _demands;
    }

    function other() external view returns (Reading memory) {
        return _readForNewRisk(4);
    }
}

contract RiskConsumerTest is AdapterSetup {
    Consumer private _consumer;

    function setUp() public override {
        super.setUp();
        _consumer = new Consumer(oracle, demands());
    }

    function demands() private pure returns (Demands memory) {
        return Demands({maxAgeS: 5400, minConfidenceBp: 4000, lowestPriceE8: 100e8, highestPriceE8: 50_000e8});
    }

    /// @dev Both strict reads refuse with the same error, and the third says so.
    function refused(bytes memory why) private {
        vm.expectRevert(why);
        _consumer.forNewRisk();
        vm.expectRevert(why);
        _consumer.toLiquidate();
        (bool usable, Reading memory x) = _consumer.ifUsable();
        check(!usable, "not usable");
        same(x.risk | x.market, 0, "and no figures to use by mistake");
    }

    function status(IRiskOracle.Status s) private pure returns (bytes memory) {
        return abi.encodeWithSelector(RiskConsumer.Unusable.selector, 3, s);
    }

    function test_a_fresh_market_gives_figures_with_units() external {
        publish(ETH);
        (uint256[6] memory x, int256 rho) = _consumer.figures();
        same(x[0], ETH, "price");
        same(x[1], 9000, "confidence");
        same(x[2], CALM_ES99, "loss");
        same(x[3], 8300, "total volatility");
        same(x[4], 2000, "score");
        same(x[5], START, "time");
        same(rho, -2000, "correlation");
        (bool usable,) = _consumer.ifUsable();
        check(usable, "usable");
        check(_consumer.riskOracle() == address(oracle), "readable by others");
    }

    function test_a_figure_in_another_unit_is_refused() external {
        publish(ETH);
        vm.expectRevert(abi.encodeWithSelector(Readings.WrongUnit.selector, Field.TOTAL_VOL_7D, 5, false));
        _consumer.shareOf(Field.TOTAL_VOL_7D);
        vm.expectRevert(abi.encodeWithSelector(Readings.WrongUnit.selector, Field.BASIS, 4, true));
        _consumer.shareOf(Field.BASIS);
        vm.expectRevert(abi.encodeWithSelector(Readings.WrongUnit.selector, Field.PRICE, 8, false));
        _consumer.shareOf(Field.PRICE);
        vm.expectRevert(abi.encodeWithSelector(Readings.WrongUnit.selector, Field.LIQUIDITY, 4, false));
        _consumer.signedOf(Field.LIQUIDITY);
        vm.expectRevert(abi.encodeWithSelector(Readings.WrongUnit.selector, Field.DOWN_ES99, 4, false));
        _consumer.volOf(Field.DOWN_ES99);
    }

    function test_an_empty_market_is_refused() external {
        refused(status(IRiskOracle.Status.EMPTY));
    }

    function test_a_halted_market_is_refused_and_a_resumed_one_until_it_is_published() external {
        publish(ETH);
        oracle.halt();
        refused(status(IRiskOracle.Status.HALTED));
        oracle.resume();
        refused(status(IRiskOracle.Status.STALE));
        after_(PERIOD);
        publish(ETH);
        same(_consumer.forNewRisk().status == IRiskOracle.Status.FRESH ? 1 : 0, 1, "fresh again");
    }

    function test_a_stale_market_is_refused() external {
        publish(ETH);
        after_(oracle.staleAfter());
        refused(status(IRiskOracle.Status.STALE));
    }

    function test_an_aging_market_is_ratcheted_for_new_risk_and_refused_for_liquidations() external {
        publish(ETH);
        after_(oracle.agingAfter() + (oracle.staleAfter() - oracle.agingAfter()) / 4);
        same(_consumer.shareOf(Field.DOWN_ES99), CALM_ES99 + CALM_ES99 / 4, "a quarter more");
        vm.expectRevert(status(IRiskOracle.Status.AGING));
        _consumer.toLiquidate();
    }

    function test_the_consumer_s_own_age_is_kept_inside_the_oracle_s() external {
        publish(ETH);
        after_(5400);
        (bool usable,) = _consumer.ifUsable();
        check(!usable, "its ratcheted confidence is too low by then");
        _consumer = new Consumer(
            oracle, Demands({maxAgeS: 60, minConfidenceBp: 0, lowestPriceE8: 1, highestPriceE8: type(uint64).max})
        );
        after_(PERIOD);
        publish(ETH);
        after_(60);
        _consumer.forNewRisk();
        after_(1);
        refused(abi.encodeWithSelector(RiskConsumer.TooOld.selector, 3, 61, 60));
    }

    function test_a_doubtful_reading_is_refused() external {
        uint256 doubtful = marketWord(ETH) & ~(uint256(0x7fff) << 16) | 3999 << 16;
        oracle.publish(riskWord(100), doubtful);
        refused(abi.encodeWithSelector(RiskConsumer.TooDoubtful.selector, 3, 3999, 4000));
    }

    function test_a_price_at_which_the_feed_has_lost_its_meaning_is_refused() external {
        publish(100e8 - 1);
        refused(abi.encodeWithSelector(RiskConsumer.PriceOutOfBounds.selector, 3, 100e8 - 1, 100e8, 50_000e8));
        after_(PERIOD);
        publish(50_000e8 + 1);
        refused(abi.encodeWithSelector(RiskConsumer.PriceOutOfBounds.selector, 3, 50_000e8 + 1, 100e8, 50_000e8));
        after_(PERIOD);
        publish(100e8);
        _consumer.forNewRisk();
    }

    function test_a_price_of_zero_is_refused_even_without_bounds() external {
        _consumer = new Consumer(
            oracle, Demands({maxAgeS: 5400, minConfidenceBp: 0, lowestPriceE8: 0, highestPriceE8: type(uint64).max})
        );
        publish(0);
        refused(abi.encodeWithSelector(RiskConsumer.PriceOutOfBounds.selector, 3, 0, 0, type(uint64).max));
    }

    function test_a_market_without_demands_is_refused() external {
        publish(ETH);
        vm.expectRevert(abi.encodeWithSelector(RiskConsumer.NoDemands.selector, 4));
        _consumer.other();
    }

    function made(IRiskOracle other) external returns (Consumer) {
        return new Consumer(other, demands());
    }

    function test_an_address_without_code_is_no_oracle() external {
        try this.made(IRiskOracle(address(7))) {
            check(false, "made");
        } catch (bytes memory why) {
            bytes memory wanted = abi.encodeWithSelector(RiskConsumer.NoOracle.selector, address(7));
            check(keccak256(why) == keccak256(wanted), "says why");
        }
        this.made(oracle);
    }

    /// @dev The three reads never disagree: what one accepts for new risk the other calls usable, and nothing is
    /// liquidated on figures that new risk would be refused on.
    function testFuzz_the_three_reads_agree(uint64 price, uint16 confidence, uint256 ageS, uint8 what) external {
        uint256 raw = marketWord(within(price, 0, (1 << 63) - 1)) & ~(uint256(0x7fff) << 16);
        oracle.publish(riskWord(100), raw | within(confidence, 0, 10_000) << 16);
        if (what % 4 == 0) oracle.halt();
        after_(within(ageS, 0, 2 * oracle.staleAfter()));
        bool strict = succeeds(Consumer.forNewRisk.selector);
        (bool usable,) = _consumer.ifUsable();
        check(usable == strict, "usable is what new risk accepts");
        if (succeeds(Consumer.toLiquidate.selector)) check(strict, "stricter to liquidate");
    }

    function succeeds(bytes4 selector) private view returns (bool done) {
        (done,) = address(_consumer).staticcall(abi.encodeWithSelector(selector));
    }
}
