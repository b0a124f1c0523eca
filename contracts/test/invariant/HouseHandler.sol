// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IClearinghouse} from "../../src/interfaces/IClearinghouse.sol";
import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {Series} from "../../src/protocol/Series.sol";
import {OrderDesk} from "../../src/protocol/OrderDesk.sol";
import {LiquidationAuctions} from "../../src/protocol/LiquidationAuctions.sol";
import {HouseSetup} from "../protocol/HouseSetup.sol";

/// @dev Four traders, a rich bidder, two markets, two expiries at a time: whatever order they act in. It keeps the
/// books that the house must agree with. In an honest world prices move by less than the published expected shortfall
/// between two visits of the keepers, who flag, bid, propose, settle and buy what is on sale.
contract HouseHandler is HouseSetup {
    uint256 private constant TRADERS = 4;
    address internal constant BIDDER = address(0x1D);
    bool public immutable honest;

    uint256[TRADERS] private _keys = [uint256(0xA11), 0xB22, 0xC33, 0xD44];
    address[] public everyone;
    uint256[] public allSeries;
    mapping(uint256 => bool) private _seen;
    uint40[] public expiries;
    uint256[2] public price = [BTC, ETH];
    /// @notice Dollars that expiries hold: what settling took from accounts less what it gave.
    int256 public pots;
    bool public blocked;
    bool public lowered;
    /// @notice What was reached: a run that trades nothing shows nothing.
    uint256 public trades;
    uint256 public bids;
    uint256 public settlements;
    uint256 private _nonce = 1 << 64;

    constructor(bool honest_) {
        honest = honest_;
        setUp();
        for (uint256 i = 0; i < TRADERS; ++i) {
            address trader = vm.addr(_keys[i]);
            everyone.push(trader);
            fund(trader, 12_000e6);
            bring(trader, weth, 2e18);
        }
        everyone.push(BIDDER);
        fund(BIDDER, 100_000_000e6);
        everyone.push(maker);
        everyone.push(taker);
        _list(EXPIRY);
        _list(EXPIRY + 7 days);
        // The witnesses' positions, which nobody else touches.
        uint256 series = Series.pack(0, uint40(START + 300 days), 60_000e8, true);
        fill(orderIn(series, 1e6, 9_000e6));
        _note(series);
    }

    /// @dev Once: the runner calls every function of a handler.
    function setUp() public override {
        if (address(oracle) == address(0)) super.setUp();
    }

    /// @dev What a member of the quorum did not sign must not make anybody's margin smaller.
    modifier watched() {
        (uint256 before,,,) = house.requirementOf(taker, 0);
        _;
        (uint256 afterwards,,,) = house.requirementOf(taker, 0);
        if (afterwards < before) lowered = true;
    }

    // --- what traders do --------------------------------------------------------------------------------------------

    /// @dev Several at a time, or most of what a run does would be without positions.
    function trade(uint256 seed, uint256 premium) external watched {
        for (uint256 i = 0; i < 4; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            _trade(seed % TRADERS, (seed >> 8) % TRADERS, seed >> 16, int256(seed >> 64) % 4e6, premium);
        }
    }

    function deposit(uint256 who, uint256 amount, bool token) external watched {
        address trader = everyone[who % TRADERS];
        if (token) bring(trader, weth, amount % 1e18);
        else fund(trader, amount % 2_000e6);
    }

    /// @dev What is free must leave, whatever others owe.
    function leave(uint256 who, uint256 part) external watched {
        address trader = everyone[who % TRADERS];
        IClearinghouse.Health memory h = house.health(trader);
        int256 headroom = int256(h.cash + h.claims + h.collateral) + h.value - int256(h.initial);
        uint256 free = h.cash;
        if (house.marketsOf(trader).length != 0) {
            if (!h.usable || headroom <= 0) return;
            if (uint256(headroom) < free) free = uint256(headroom);
        }
        uint256 amount = within(part, 0, free);
        vm.prank(trader);
        try house.withdraw(address(usd), amount) {}
        catch {
            blocked = true;
        }
    }

    function leaveWithTokens(uint256 who, uint256 amount) external watched {
        address trader = everyone[who % TRADERS];
        vm.prank(trader);
        try house.withdraw(address(weth), amount % 10e18) {} catch {}
    }

    // --- what the world does ----------------------------------------------------------------------------------------

    /// @dev By at most 3 %; the published expected shortfall is 3.5 %.
    function move(uint256 by, uint256 which) external {
        which %= 2;
        price[which] = price[which] * within(by, 9_700, 10_300) / 10_000;
        _publish();
        _keep();
    }

    function wait(uint256 time) external {
        vm.warp(block.timestamp + within(time, 1, 1 days));
        _publish();
        _keep();
    }

    function stop(uint256 market, uint256 status) external watched {
        if (!honest) oracle.setStatus(uint16(market % 3), IRiskOracle.Status(status % 5));
    }

    function jump(uint256 by) external {
        if (honest) return;
        price[0] = price[0] * within(by, 6_000, 15_000) / 10_000;
        _publish();
    }

    // --- what keepers do --------------------------------------------------------------------------------------------

    function flag(uint256 who) external watched {
        try auctions.flag(everyone[who % TRADERS]) {} catch {}
    }

    function unflag(uint256 who) external watched {
        try auctions.unflag(everyone[who % TRADERS]) {} catch {}
    }

    function bid(uint256 who, uint256 by, uint256 share) external watched {
        address bidder = everyone[by % (TRADERS + 1)];
        vm.prank(bidder);
        try auctions.bid(everyone[who % TRADERS], within(share, 1, 1e18), type(int128).min) {} catch {}
    }

    function propose(uint256 market, uint256 expiry) external watched {
        try prices.propose(uint16(market % 2), expiries[expiry % expiries.length]) {} catch {}
    }

    function dispute(uint256 market, uint256 expiry) external watched {
        if (honest) return;
        vm.prank(guardian);
        try prices.dispute(uint16(market % 2), expiries[expiry % expiries.length]) {} catch {}
    }

    function settle(uint256 who, uint256 market, uint256 expiry) external watched {
        _settle(one(everyone[who % TRADERS]), uint16(market % 2), expiries[expiry % expiries.length]);
    }

    function buy(uint256 who, uint256 market, uint256 expiry) external watched {
        _buy(everyone[who % TRADERS], uint16(market % 2), expiries[expiry % expiries.length]);
    }

    function closeOnly(uint256 market, bool yes) external watched {
        if (!yes) return house.reopen(uint16(market % 2));
        vm.prank(guardian);
        house.setCloseOnly(uint16(market % 2));
    }

    // --- the books --------------------------------------------------------------------------------------------------

    function people() external view returns (address[] memory) {
        return everyone;
    }

    function seriesSeen() external view returns (uint256[] memory) {
        return allSeries;
    }

    function expiriesSeen() external view returns (uint40[] memory) {
        return expiries;
    }

    function contracts()
        external
        view
        returns (IClearinghouse, LiquidationAuctions, address dollars, address ether_, address insurance)
    {
        return (IClearinghouse(address(house)), auctions, address(usd), address(weth), house.insurance());
    }

    // --- hands ------------------------------------------------------------------------------------------------------

    function _trade(uint256 a, uint256 b, uint256 terms, int256 quantity, uint256 premium) private {
        if (a == b) return;
        uint256 series = _pick(terms);
        OrderDesk.Order memory o = OrderDesk.Order({
            maker: vm.addr(_keys[a]),
            series: series,
            quantity: quantity,
            price: uint128(within(premium, 1, series % 2 == 0 ? 4_000e6 : 300e6)),
            deadline: block.timestamp,
            salt: ++_nonce
        });
        bytes memory signature = signed(_keys[a], o);
        vm.prank(vm.addr(_keys[b]));
        try desk.fill(o, signature, size(o)) {
            _note(series);
            ++trades;
        } catch {}
    }

    function _keep() private {
        if (expiries[expiries.length - 1] < block.timestamp + 3 days) _list(uint40(block.timestamp + 7 days));
        if (!honest) return;
        for (uint256 i = 0; i < TRADERS; ++i) {
            _rescue(everyone[i]);
        }
        uint256 from = expiries.length > 4 ? expiries.length - 4 : 0;
        for (uint256 i = from; i < expiries.length; ++i) {
            if (expiries[i] <= block.timestamp) _settleAll(expiries[i]);
        }
    }

    /// @dev The keepers wait for the grace and then take what is needed.
    function _rescue(address trader) private {
        LiquidationAuctions.Distress memory d = auctions.distressOf(trader);
        if (d.equity >= int256(d.maintenance)) return;
        try auctions.flag(trader) {} catch {}
        uint256 start = auctions.startsAt(trader);
        if (start > block.timestamp) {
            vm.warp(start);
            _publish();
        }
        vm.prank(BIDDER);
        try auctions.bid(trader, 1e18, type(int128).min) {
            ++bids;
        } catch {}
        try auctions.unflag(trader) {} catch {}
    }

    function _settleAll(uint40 expiry) private {
        for (uint16 market = 0; market < 2; ++market) {
            (uint256 open,,) = house.settlementOf(market, expiry);
            if (open == 0) continue;
            try prices.propose(market, expiry) {} catch {}
            vm.warp(block.timestamp + 1 hours);
            _publish();
            for (uint256 i = 0; i < TRADERS; ++i) {
                _buy(everyone[i], market, expiry);
            }
            _settle(everyone, market, expiry);
        }
    }

    function _settle(address[] memory whom, uint16 market, uint40 expiry) private {
        uint256 before = _cash();
        try house.settle(whom, market, expiry) {
            ++settlements;
        } catch {}
        pots += int256(before) - int256(_cash());
    }

    function _buy(address trader, uint16 market, uint40 expiry) private {
        uint256 has = house.holdingOf(trader, 1).amount;
        if (has == 0) return;
        vm.prank(BIDDER);
        try auctions.buyCollateral(trader, market, expiry, 1, has, type(uint96).max) {} catch {}
    }

    function _publish() private {
        publish(0, 100, price[0]);
        publish(1, 100, price[1]);
        publish(2, 100, price[1]);
        publish(3, 10, 1e8);
    }

    function _pick(uint256 terms) private view returns (uint256) {
        uint16 market = uint16(terms % 2);
        uint256 strike = (market == 0 ? BTC : ETH) * (90 + (terms >> 8) % 4 * 7) / 100;
        uint40 expiry = expiries[expiries.length - 1 - (terms >> 16) % 2];
        return Series.pack(market, expiry, uint64(strike), terms >> 24 & 1 == 0);
    }

    function _list(uint40 expiry) private {
        expiries.push(expiry);
    }

    function _note(uint256 series) private {
        if (_seen[series]) return;
        _seen[series] = true;
        allSeries.push(series);
    }

    function _cash() private view returns (uint256 sum) {
        sum = house.cashOf(house.insurance());
        for (uint256 i = 0; i < everyone.length; ++i) {
            sum += house.cashOf(everyone[i]);
        }
    }
}
