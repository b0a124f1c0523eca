// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IClearinghouse} from "../../src/interfaces/IClearinghouse.sol";
import {OrderDesk} from "../../src/protocol/OrderDesk.sol";
import {Series} from "../../src/protocol/Series.sol";
import {HouseSetup} from "./HouseSetup.sol";
import {TokenDouble} from "./Doubles.sol";

/// @dev The clearinghouse against tests/vectors/clearinghouse.json, which margrave.mirror.clearinghouse made.
contract ClearinghouseVectorsTest is HouseSetup {
    string private json;

    function setUp() public override {
        json = vectors("clearinghouse");
    }

    function test_orders_and_series_hash_as_in_python() external {
        vm.chainId(vm.parseJsonUint(json, ".chainId"));
        vm.startPrank(vm.parseJsonAddress(json, ".deployer"));
        OrderDesk other = new OrderDesk(IClearinghouse(address(0)));
        vm.stopPrank();
        address[] memory makers = vm.parseJsonAddressArray(json, ".maker");
        uint256[] memory series = _uints(".series");
        int256[] memory quantity = vm.parseJsonIntArray(json, ".quantity");
        uint256[] memory price = _uints(".price");
        uint256[] memory deadline = _uints(".deadline");
        uint256[] memory salt = _uints(".salt");
        bytes32[] memory digest = vm.parseJsonBytes32Array(json, ".digest");
        for (uint256 i = 0; i < makers.length; ++i) {
            OrderDesk.Order memory o =
                OrderDesk.Order(makers[i], series[i], quantity[i], uint128(price[i]), deadline[i], salt[i]);
            check(other.orderDigest(o) == digest[i], "digest");
        }
    }

    function test_series_are_their_terms_as_in_python() external view {
        uint256[] memory series = _uints(".series");
        uint256[] memory market = _uints(".market");
        uint256[] memory expiry = _uints(".expiry");
        uint256[] memory strike = _uints(".strike");
        uint256[] memory isCall = _uints(".isCall");
        for (uint256 i = 0; i < series.length; ++i) {
            same(Series.pack(uint16(market[i]), uint40(expiry[i]), uint64(strike[i]), isCall[i] == 1), series[i], "id");
            uint256 leg = Series.leg(series[i], -1);
            check(Series.isOf(series[i], leg), "found");
            same(Series.ofLeg(uint16(market[i]), leg), series[i], "back");
        }
    }

    function test_premiums_round_as_in_python() external {
        super.setUp();
        uint256[] memory quantity = _abs(".quantity");
        uint256[] memory price = _uints(".price");
        uint256[] memory paid = _uints(".premiumPaid");
        uint256[] memory received = _uints(".premiumReceived");
        for (uint256 i = 0; i < price.length; ++i) {
            // The same fraction at an amount that accounts have.
            (uint256 q, uint256 p) = (quantity[i] % 1e6 + 1, price[i] % 1e10);
            uint256 dust = house.cashOf(house.insurance());
            uint256 before = house.cashOf(maker);
            fill(order(60_000e8, true, int256(q), uint128(p)));
            same(before - house.cashOf(maker), (q * p + 999_999) / 1e6, "paid");
            same(house.cashOf(house.insurance()) - dust, q * p % 1e6 == 0 ? 0 : 1, "dust");
            same(paid[i] - received[i], quantity[i] * price[i] % 1e6 == 0 ? 0 : 1, "python's dust");
        }
    }

    function test_settlements_pay_as_in_python() external {
        uint256[] memory price = _uints(".settlementPrice");
        for (uint256 book = 0; book < price.length; ++book) {
            super.setUp();
            _open(book);
            vm.warp(EXPIRY);
            publish(0, 100, price[book]);
            prices.propose(0, EXPIRY);
            vm.warp(EXPIRY + 1 hours);
            same(house.netPayoff(taker, 0, EXPIRY), vm.parseJsonIntArray(json, ".netPayoff")[book], "net");
        }
    }

    function test_collateral_counts_as_in_python() external {
        super.setUp();
        uint256[] memory amount = _uints(".amount");
        uint256[] memory decimals = _uints(".decimals");
        uint256[] memory price = _uints(".tokenPrice");
        uint256[] memory peg = _uints(".peg");
        uint256[] memory haircut = _uints(".haircut");
        uint256[] memory liquidity = _uints(".liquidity");
        uint256[] memory counted = _uints(".counted");
        for (uint256 i = 0; i < amount.length; ++i) {
            if (i % 12 == 0) super.setUp();
            TokenDouble token = new TokenDouble(uint8(decimals[i]));
            house.addCollateral(address(token), tokenRules(9, uint16(haircut[i]), uint64(peg[i])));
            oracle.publish(9, liquidity[i] << 192, price[i] << 192);
            address owner = address(uint160(0x1000 + i));
            bring(owner, token, amount[i]);
            same(house.health(owner).collateral, counted[i], "counted");
        }
    }

    /// @dev Three positions of one expiry, the taker's as in the file, in a market without limits.
    function _open(uint256 book) private {
        uint256[] memory strike = _uints(".settledStrike");
        uint256[] memory isCall = _uints(".settledIsCall");
        int256[] memory quantity = vm.parseJsonIntArray(json, ".settledQuantity");
        publish(0, 1, 1e8);
        fund(maker, 1e27);
        fund(taker, 1e27);
        for (uint256 i = 3 * book; i < 3 * book + 3; ++i) {
            fill(order(uint64(strike[i]), isCall[i] == 1, -quantity[i], 1));
        }
    }

    function _uints(string memory key) private view returns (uint256[] memory) {
        return vm.parseJsonUintArray(json, key);
    }

    function _abs(string memory key) private view returns (uint256[] memory x) {
        int256[] memory signed_ = vm.parseJsonIntArray(json, key);
        x = new uint256[](signed_.length);
        for (uint256 i = 0; i < x.length; ++i) {
            x[i] = uint256(signed_[i] < 0 ? -signed_[i] : signed_[i]);
        }
    }
}
