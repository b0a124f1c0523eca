// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AggregatorV3Adapter} from "../../src/adapters/AggregatorV3Adapter.sol";
import {LendingDesk} from "../../src/adapters/examples/LendingDesk.sol";
import {Field} from "../../src/adapters/Fields.sol";
import {Demands} from "../../src/adapters/RiskConsumer.sol";
import {RiskOracleFacade} from "../../src/adapters/RiskOracleFacade.sol";
import {MockUSD} from "../../src/mock/MockUSD.sol";
import {AdapterSetup} from "../adapters/AdapterSetup.sol";
import {Arbitrary} from "./Arbitrary.sol";

/// @dev A desk with a borrower, and a stranger without a token who sends anything to it and to the adapters: not one slot
/// changes, and the adapters answer afterwards what they answered before.
contract AdaptersCalldataTest is AdapterSetup, Arbitrary {
    address private constant BORROWER = address(0xB0);
    address private constant WETH = address(0xE7);

    AggregatorV3Adapter private _price;
    RiskOracleFacade private _facade;
    LendingDesk private _desk;

    function setUp() public override {
        super.setUp();
        publish(ETH);
        _price = new AggregatorV3Adapter(oracle, 0, Field.PRICE, "ETH / USD");
        (address[] memory markets, uint16[] memory ids) = (new address[](1), new uint16[](1));
        markets[0] = WETH;
        _facade = new RiskOracleFacade(oracle, markets, ids);
        (MockUSD ether_, MockUSD dollars) = (new MockUSD(), new MockUSD());
        _desk = new LendingDesk(
            oracle,
            0,
            address(ether_),
            address(dollars),
            Demands({maxAgeS: 1800, minConfidenceBp: 4000, lowestPriceE8: 100e8, highestPriceE8: 100_000e8})
        );
        dollars.mint(address(_desk), 1e12);
        ether_.mint(BORROWER, 1e18);
        vm.startPrank(BORROWER);
        ether_.approve(address(_desk), 1e18);
        _desk.deposit(1e18);
        _desk.borrow(1000e6);
        vm.stopPrank();
        watched =
            [address(_desk), address(ether_), address(dollars), address(_price), address(_facade), address(oracle)];
        familiar = [BORROWER, STRANGER, WETH, address(_desk), address(ether_), address(dollars), address(_price)];
        known = [1e18, 1000e6];
    }

    function test_fuzz_arbitrary_calldata_leaves_no_trace_in_the_desk(uint256 seed, bytes calldata noise) external {
        bytes4[] memory all = new bytes4[](5);
        (all[0], all[1], all[2]) = (_desk.deposit.selector, _desk.withdraw.selector, _desk.borrow.selector);
        (all[3], all[4]) = (_desk.repay.selector, _desk.liquidate.selector);
        triedWithoutATrace(address(_desk), all, seed, noise);
    }

    function test_fuzz_arbitrary_calldata_leaves_no_trace_in_the_adapters(uint256 seed, bytes calldata noise) external {
        bytes4[] memory all = new bytes4[](9);
        (all[0], all[1], all[2]) =
        (_price.latestRoundData.selector, _price.getRoundData.selector, _price.description.selector);
        (all[3], all[4]) = (_price.decimals.selector, _price.version.selector);
        (all[5], all[6]) = (_facade.getLatestUpdateByParameterAndMarket.selector, _facade.getUpdateById.selector);
        (all[7], all[8]) = (_facade.latestUpdateIdByMarketAndType.selector, _facade.decimalsOf.selector);
        (uint80 id, int256 answer,,,) = _price.latestRoundData();
        triedWithoutATrace(seed % 2 == 0 ? address(_price) : address(_facade), all, seed >> 1, noise);
        (uint80 id_, int256 answer_,,,) = _price.latestRoundData();
        check(id == id_ && answer == answer_, "another answer");
    }
}
