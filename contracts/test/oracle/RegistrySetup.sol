// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {Settings} from "../../src/oracle/Config.sol";
import "../../src/oracle/Lanes.sol";
import {Limits, Timing} from "../../src/oracle/Policy.sol";
import {Registry} from "../../src/oracle/Registry.sol";
import {RiskOracle} from "../../src/oracle/RiskOracle.sol";
import {Base} from "../Base.sol";

/// @dev A registry of four members with a quorum of three, one class and two markets, whose governor is this contract.
abstract contract RegistrySetup is Base {
    uint256 internal constant PERIOD = 300;
    uint256 internal constant START = 1_800_000_000;
    bytes32 internal constant MODELS = bytes32(uint256(0xabcd));
    uint32 internal constant NOW = uint32(START / PERIOD);
    uint64 internal constant GUARDIAN_ROLE = 2;
    address internal constant GUARDIAN = address(0x6a4d);
    address internal constant STRANGER = address(0xbad);

    AccessManager internal manager;
    Registry internal registry;
    RiskOracle internal oracle;

    function setUp() public virtual {
        vm.warp(START);
        manager = new AccessManager(address(this));
        registry = new Registry(address(manager));
        oracle = oracleOf(registry);
        registry.connect(address(oracle));
        registry.setTiming(Timing(30, 900, 60), 0);
        registry.setClass(0, limits(40), 0);
        registry.setMarkets(0, new uint8[](2), 0);
        registry.approveModelSet(MODELS, "ipfs://models");
        registry.setEpoch(members(4), 3, MODELS, 0);
        bytes4[] memory safe = new bytes4[](3);
        (safe[0], safe[1], safe[2]) =
        (Registry.pause.selector, Registry.removeMember.selector, Registry.tightenClass.selector);
        manager.setTargetFunctionRole(address(registry), safe, GUARDIAN_ROLE);
        manager.grantRole(GUARDIAN_ROLE, GUARDIAN, 0);
    }

    function oracleOf(Registry of_) internal returns (RiskOracle) {
        return new RiskOracle(address(manager), address(of_), uint32(PERIOD), 5_400, 14_400);
    }

    function members(uint256 n) internal pure returns (address[] memory all) {
        all = new address[](n);
        for (uint256 i = 0; i < n; ++i) {
            all[i] = vm.addr(i + 1);
        }
    }

    /// @dev Every lane may fall by `fall` a write and by ten times as much a day, and rise freely; the price is free.
    function limits(uint256 fall) internal pure returns (Limits memory x) {
        uint256 each = 0;
        for (uint256 i = 0; i < 16; ++i) {
            each |= 1 << 16 * i;
        }
        uint256 market = ~(MARKET_FORBIDDEN | PRICE_MAX << PRICE_SHIFT);
        x.riskHigh = RISK_BOX_HIGH;
        x.riskMaxRise = each * LANE_MAX;
        x.riskMaxFall = each * fall;
        x.riskDaily = each * (10 * fall);
        x.marketLow = MARKET_BOX_LOW;
        x.marketHigh = MARKET_BOX_HIGH;
        x.marketMaxRise = each * LANE_MAX & market | PRICE_MAX << PRICE_SHIFT;
        x.marketMaxFall = x.marketMaxRise;
        x.marketDaily = each * (10 * fall) & market;
        x.maxPriceMoveBp = 5000;
    }

    function current() internal view returns (Settings memory x) {
        (, x) = registry.current();
    }

    function live() internal view returns (Settings memory) {
        (, uint32 epoch,,) = oracle.head();
        return registry.settings(epoch);
    }

    function unauthorized(address caller) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, caller);
    }
}
