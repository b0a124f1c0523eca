// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {IClearinghouse} from "../../src/interfaces/IClearinghouse.sol";
import {IAccountRisk} from "../../src/interfaces/IAccountRisk.sol";
import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {MarginEngine} from "../../src/margin/MarginEngine.sol";
import {Collateral} from "../../src/protocol/Collateral.sol";
import {LiquidationAuctions} from "../../src/protocol/LiquidationAuctions.sol";
import {OptionsClearinghouse} from "../../src/protocol/OptionsClearinghouse.sol";
import {OrderDesk} from "../../src/protocol/OrderDesk.sol";
import {Rules} from "../../src/protocol/Rules.sol";
import {Series} from "../../src/protocol/Series.sol";
import {SettlementPrices} from "../../src/protocol/SettlementPrices.sol";
import "../../src/oracle/Lanes.sol";
import {Base} from "../Base.sol";
import {AccountRiskDouble, OracleDouble, TokenDouble} from "./Doubles.sol";

/// @dev A house on the real margin engine over words that the tests set: markets 0 (an underlying) and 1 (another),
/// 2 (a token's, volatile) and 3 (a stablecoin's). The test itself is governance; the guardian may stop and dispute.
abstract contract HouseSetup is Base {
    uint256 internal constant START = 1_800_000_000;
    uint256 internal constant BTC = 60_000e8;
    uint256 internal constant ETH = 3_000e8;
    uint40 internal constant EXPIRY = uint40(START + 7 days);
    uint256 internal constant MAKER_KEY = 0xBEEF;
    uint256 internal constant TAKER_KEY = 0xCAFE;
    uint64 internal constant GUARDIAN_ROLE = 2;
    uint64 internal constant LIMIT = 1e12; // a million contracts

    OracleDouble internal oracle;
    AccountRiskDouble internal accountRisk;
    AccessManager internal authority;
    MarginEngine internal engine;
    SettlementPrices internal prices;
    OptionsClearinghouse internal house;
    OrderDesk internal desk;
    LiquidationAuctions internal auctions;
    TokenDouble internal usd;
    TokenDouble internal weth;
    TokenDouble internal dai;
    address internal maker = vm.addr(MAKER_KEY);
    address internal taker = vm.addr(TAKER_KEY);
    address internal guardian = address(0x6A4D);
    uint256 private _salt;

    function setUp() public virtual {
        vm.warp(START);
        oracle = new OracleDouble();
        accountRisk = new AccountRiskDouble();
        authority = new AccessManager(address(this));
        usd = new TokenDouble(6);
        weth = new TokenDouble(18);
        dai = new TokenDouble(18);
        IRiskOracle oracle_ = IRiskOracle(address(oracle));
        engine = new MarginEngine(oracle_);
        prices = new SettlementPrices(address(authority), oracle_);
        house = new OptionsClearinghouse(
            address(authority), engine, IAccountRisk(address(accountRisk)), prices, address(usd)
        );
        (desk, auctions) = (house.desk(), house.auctions());
        publish(0, 100, BTC);
        publish(1, 100, ETH);
        publish(2, 100, ETH);
        publish(3, 10, 1e8);
        for (uint16 market = 0; market < 2; ++market) {
            house.setMarket(market, Rules.MarketRules(LIMIT, LIMIT, LIMIT, 366 days));
        }
        house.addCollateral(address(weth), tokenRules(2, 1000, 0));
        house.addCollateral(address(dai), tokenRules(3, 200, 1e8));
        bytes4[] memory stops = new bytes4[](2);
        (stops[0], stops[1]) = (house.setCloseOnly.selector, house.setCloseOnlyEverywhere.selector);
        authority.setTargetFunctionRole(address(house), stops, GUARDIAN_ROLE);
        bytes4[] memory disputes = new bytes4[](1);
        disputes[0] = prices.dispute.selector;
        authority.setTargetFunctionRole(address(prices), disputes, GUARDIAN_ROLE);
        authority.grantRole(GUARDIAN_ROLE, guardian, 0);
        fund(maker, 1_000_000e6);
        fund(taker, 100_000e6);
    }

    function tokenRules(uint16 market, uint16 haircutBp, uint64 peg)
        internal
        pure
        returns (Collateral.TokenRules memory)
    {
        return Collateral.TokenRules({market: market, haircutBp: haircutBp, peg: peg, cap: type(uint96).max});
    }

    // --- the oracle -------------------------------------------------------------------------------------------------

    /// @dev A day-sized ladder times `stress` percent, 60 % volatility, a sound surface, full confidence but for 10 %.
    function publish(uint16 market, uint256 stress, uint256 price) internal {
        oracle.publish(market, riskWord(stress), marketWord(price));
    }

    function riskWord(uint256 stress) internal pure returns (uint256 word) {
        uint16[16] memory lanes = [200, 300, 350, 500, 600, 180, 280, 330, 470, 560, 3000, 2000, 10, 1000, 500, 100];
        for (uint256 i = 0; i < 16; ++i) {
            uint256 lane = uint256(lanes[i]) * stress / 100;
            word |= (lane > LANE_MAX ? LANE_MAX : lane) << 16 * i;
        }
    }

    function marketWord(uint256 price) internal pure returns (uint256) {
        return price << PRICE_SHIFT | 2000 << SCORE_SHIFT | 9000 << CONFIDENCE_SHIFT | 1660 << TOTAL_VOL_7D_SHIFT | 3440
            << TOTAL_VOL_30D_SHIFT | 5960 << TOTAL_VOL_90D_SHIFT | (EXCESS - 2000) << SSVI_RHO_SHIFT | 8000
            << SSVI_WING_SHIFT | 4000 << SSVI_DECAY_SHIFT | (EXCESS + 500) << BASIS_SHIFT;
    }

    // --- accounts ---------------------------------------------------------------------------------------------------

    function fund(address account, uint256 amount) internal {
        bring(account, usd, amount);
    }

    function bring(address account, TokenDouble token, uint256 amount) internal {
        token.mint(account, amount);
        vm.startPrank(account);
        token.approve(address(house), amount);
        house.deposit(address(token), amount);
        vm.stopPrank();
    }

    function equity(address account) internal view returns (int256) {
        IClearinghouse.Health memory h = house.health(account);
        return int256(h.cash + h.claims + h.collateral) + h.value;
    }

    // --- orders -----------------------------------------------------------------------------------------------------

    /// @dev The taker sells to the maker, who is rich.
    function sell(uint64 strike, bool isCall, int256 quantity, uint128 price) internal returns (uint256 series) {
        OrderDesk.Order memory o = order(strike, isCall, quantity, price);
        fill(o);
        return o.series;
    }

    function fill(OrderDesk.Order memory o) internal {
        bytes memory signature = signed(MAKER_KEY, o);
        vm.prank(taker);
        desk.fill(o, signature, size(o));
    }

    function refused(OrderDesk.Order memory o, bytes4 why) internal {
        bytes memory signature = signed(MAKER_KEY, o);
        vm.expectPartialRevert(why);
        vm.prank(taker);
        desk.fill(o, signature, size(o));
    }

    function order(uint64 strike, bool isCall, int256 quantity, uint128 price)
        internal
        returns (OrderDesk.Order memory)
    {
        return orderIn(Series.pack(0, EXPIRY, strike, isCall), quantity, price);
    }

    function orderIn(uint256 series, int256 quantity, uint128 price) internal returns (OrderDesk.Order memory) {
        return OrderDesk.Order(maker, series, quantity, price, block.timestamp + 60, ++_salt);
    }

    function signed(uint256 key, OrderDesk.Order memory o) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, desk.orderDigest(o));
        return abi.encodePacked(r, s, v);
    }

    function size(OrderDesk.Order memory o) internal pure returns (uint256) {
        return uint256(o.quantity < 0 ? -o.quantity : o.quantity);
    }

    function one(address account) internal pure returns (address[] memory accounts) {
        accounts = new address[](1);
        accounts[0] = account;
    }
}
