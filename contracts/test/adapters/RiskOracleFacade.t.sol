// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Field, Fields} from "../../src/adapters/Fields.sol";
import {RiskOracleFacade} from "../../src/adapters/RiskOracleFacade.sol";
import {IRiskOracle} from "../../src/interfaces/IRiskOracle.sol";
import {IRiskParameterOracle} from "../../src/interfaces/IRiskParameterOracle.sol";
import {AdapterSetup} from "./AdapterSetup.sol";

/// @dev What agent hubs and injectors do with such an oracle: skip what reverts, refuse expired updates and ids that
/// are not newer, keep a minimum delay, and remember the id in 208 bits and the time in 48.
contract HubLike {
    struct Last {
        uint48 timestamp;
        uint208 id;
    }

    uint256 public constant EXPIRATION = 6 hours;
    uint256 public constant MINIMUM_DELAY = 15 minutes;
    IRiskParameterOracle private immutable _oracle;
    string public updateType;
    mapping(address market => Last) public last;
    mapping(address market => uint256) public injected;

    constructor(IRiskParameterOracle oracle, string memory updateType_) {
        (_oracle, updateType) = (oracle, updateType_);
    }

    function check(address market) public view returns (bool) {
        try _oracle.getLatestUpdateByParameterAndMarket(updateType, market) returns (
            IRiskParameterOracle.RiskParameterUpdate memory update
        ) {
            if (update.timestamp + EXPIRATION < block.timestamp) return false;
            if (last[market].id >= update.updateId) return false;
            if (block.timestamp - last[market].timestamp < MINIMUM_DELAY) return false;
            return update.market == market && keccak256(bytes(update.updateType)) == keccak256(bytes(updateType));
        } catch {
            return false;
        }
    }

    function execute(address market) external {
        require(check(market), "no action can be performed");
        IRiskParameterOracle.RiskParameterUpdate memory update =
            _oracle.getLatestUpdateByParameterAndMarket(updateType, market);
        require(update.updateId <= type(uint208).max, "id");
        injected[market] = abi.decode(update.newValue, (uint256));
        last[market] = Last(uint48(block.timestamp), uint208(update.updateId));
    }
}

contract RiskOracleFacadeTest is AdapterSetup {
    address private constant WETH = address(0xE74);
    address private constant WBTC = address(0xB7C);

    RiskOracleFacade private _facade;

    function setUp() public override {
        super.setUp();
        (address[] memory markets, uint16[] memory ids) = (new address[](2), new uint16[](2));
        (markets[0], markets[1], ids[0], ids[1]) = (WETH, WBTC, 3, 0);
        _facade = new RiskOracleFacade(oracle, markets, ids);
    }

    function latest(string memory updateType) private view returns (IRiskParameterOracle.RiskParameterUpdate memory) {
        return _facade.getLatestUpdateByParameterAndMarket(updateType, WETH);
    }

    function test_the_newest_round_is_the_newest_update() external {
        publish(ETH);
        IRiskParameterOracle.RiskParameterUpdate memory x = latest("down_es99");
        same(x.timestamp, START, "time of observation");
        same(abi.decode(x.newValue, (uint256)), 350, "value");
        same(x.previousValue.length, 0, "nothing before it that is known");
        same(x.updateId, START / PERIOD << 24 | 3 << 8 | uint256(Field.DOWN_ES99) + 1, "id");
        check(x.market == WETH, "market");
        check(keccak256(bytes(x.updateType)) == keccak256("down_es99"), "type");
        (uint256 confidence, uint8 status) = abi.decode(x.additionalData, (uint256, uint8));
        same(confidence, 9000, "confidence");
        same(status, uint8(IRiskOracle.Status.FRESH), "status");
        same(_facade.latestUpdateIdByMarketAndType(WETH, "down_es99"), x.updateId, "the id alone");
        same(_facade.decimalsOf("down_es99"), 4, "decimals");
    }

    function test_a_signed_figure_decodes_as_signed() external {
        publish(ETH);
        same(abi.decode(latest("ssvi_rho").newValue, (int256)), -2000, "correlation");
    }

    function test_the_struct_is_encoded_in_the_order_that_consumers_decode() external {
        publish(ETH);
        (bool done, bytes memory raw) = address(_facade)
            .staticcall(abi.encodeWithSignature("getLatestUpdateByParameterAndMarket(string,address)", "price", WETH));
        check(done, "answers");
        uint256 start;
        assembly ("memory-safe") {
            start := mload(add(raw, 32)) // one dynamic tuple
        }
        same(start, 32, "offset");
        bytes memory inner = new bytes(raw.length - 32);
        for (uint256 i = 0; i < inner.length; ++i) {
            inner[i] = raw[i + 32];
        }
        (uint256 timestamp, bytes memory newValue,,, string memory updateType, uint256 id, address market,) =
            abi.decode(inner, (uint256, bytes, string, bytes, string, uint256, address, bytes));
        same(timestamp, START, "timestamp first");
        same(abi.decode(newValue, (uint256)), ETH, "then the value");
        check(keccak256(bytes(updateType)) == keccak256("price"), "type fifth");
        same(id >> 24, START / PERIOD, "id sixth");
        check(market == WETH, "market seventh");
    }

    function test_the_value_before_comes_from_the_ring() external {
        oracle.setRing(4);
        publish(ETH);
        after_(PERIOD);
        publish(ETH + 5e8);
        IRiskParameterOracle.RiskParameterUpdate memory x = latest("price");
        same(abi.decode(x.newValue, (uint256)), ETH + 5e8, "value");
        same(abi.decode(x.previousValue, (uint256)), ETH, "value before");
        x = _facade.getUpdateById(x.updateId - (1 << 24));
        same(abi.decode(x.newValue, (uint256)), ETH, "the round before");
        same(x.timestamp, START, "its time");
        same(x.previousValue.length, 0, "the ring holds nothing older");
    }

    function test_the_time_of_a_resumption_is_no_update() external {
        oracle.setRing(4);
        publish(ETH);
        after_(PERIOD);
        oracle.halt();
        oracle.resume();
        after_(PERIOD);
        publish(ETH + 1e8);
        uint256 id = latest("price").updateId;
        vm.expectRevert(abi.encodeWithSelector(RiskOracleFacade.UnknownUpdate.selector, id - (1 << 24)));
        _facade.getUpdateById(id - (1 << 24));
    }

    function test_an_id_finds_its_own_update_and_no_other() external {
        publish(ETH);
        uint256 id = latest("price").updateId;
        check(keccak256(abi.encode(_facade.getUpdateById(id))) == keccak256(abi.encode(latest("price"))), "the same");
        uint256[5] memory wrong = [
            uint256(0),
            id + 1, // beyond the last field
            id & ~uint256(0xff), // no field
            id + (1 << 24), // a round to come
            id & ~uint256(0xffff00) | 9 << 8 // a market that is not listed
        ];
        for (uint256 i = 0; i < wrong.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(RiskOracleFacade.UnknownUpdate.selector, wrong[i]));
            _facade.getUpdateById(wrong[i]);
        }
        vm.expectRevert(abi.encodeWithSelector(IRiskOracle.HistoryTooShort.selector, 1, 0));
        _facade.getUpdateById(id - (1 << 24));
    }

    function test_what_is_not_there_reverts() external {
        publish(ETH);
        vm.expectRevert(abi.encodeWithSelector(RiskOracleFacade.UnknownMarket.selector, address(1)));
        _facade.getLatestUpdateByParameterAndMarket("price", address(1));
        vm.expectRevert(abi.encodeWithSelector(RiskOracleFacade.UnknownUpdateType.selector, "supplyCap"));
        latest("supplyCap");
    }

    function test_an_empty_halted_or_stale_market_has_no_update() external {
        unusable(IRiskOracle.Status.EMPTY);
        publish(ETH);
        uint256 id = latest("price").updateId;
        oracle.halt();
        unusable(IRiskOracle.Status.HALTED);
        vm.expectRevert(abi.encodeWithSelector(RiskOracleFacade.Unusable.selector, WETH, IRiskOracle.Status.HALTED));
        _facade.getUpdateById(id);
        oracle.resume();
        unusable(IRiskOracle.Status.STALE);
        after_(PERIOD);
        publish(ETH);
        after_(oracle.staleAfter());
        unusable(IRiskOracle.Status.STALE);
    }

    function unusable(IRiskOracle.Status status) private {
        vm.expectRevert(abi.encodeWithSelector(RiskOracleFacade.Unusable.selector, WETH, status));
        latest("price");
        same(_facade.latestUpdateIdByMarketAndType(WETH, "price"), 0, "no id");
    }

    function test_every_update_type_is_a_field() external {
        publish(ETH);
        string[] memory types = _facade.getAllUpdateTypes();
        same(types.length, Fields.COUNT, "all");
        for (uint256 i = 0; i < types.length; ++i) {
            same(latest(types[i]).updateId & 0xff, i + 1, types[i]);
        }
    }

    function made(address[] calldata markets, uint16[] calldata ids) external returns (RiskOracleFacade) {
        return new RiskOracleFacade(oracle, markets, ids);
    }

    /// @dev By try and catch: the runner does not see what an expected revert of a constructor says.
    function refusesToBeMade(address[] memory markets, uint16[] memory ids, bytes memory why) private {
        try this.made(markets, ids) {
            check(false, "made");
        } catch (bytes memory said) {
            check(keccak256(said) == keccak256(why), "says why");
        }
    }

    function test_a_list_of_markets_must_make_sense() external {
        (address[] memory markets, uint16[] memory ids) = (new address[](2), new uint16[](2));
        bytes memory why = abi.encodeWithSelector(RiskOracleFacade.LengthMismatch.selector, 2, 1);
        refusesToBeMade(markets, new uint16[](1), why);
        refusesToBeMade(markets, ids, abi.encodeWithSelector(RiskOracleFacade.UnknownMarket.selector, address(0)));
        (markets[0], markets[1]) = (WETH, WBTC);
        refusesToBeMade(markets, ids, abi.encodeWithSelector(RiskOracleFacade.ListedTwice.selector, WBTC, 0));
        (markets[1], ids[1]) = (WETH, 1);
        refusesToBeMade(markets, ids, abi.encodeWithSelector(RiskOracleFacade.ListedTwice.selector, WETH, 1));
        (markets[1], ids[1]) = (WBTC, 1);
        this.made(markets, ids);
    }

    // --- under a consumer that was written for another oracle ---

    function test_a_hub_injects_each_round_once() external {
        HubLike hub = new HubLike(_facade, "down_es999");
        check(!hub.check(WETH), "nothing to inject");
        publish(ETH);
        check(hub.check(WETH), "an update");
        hub.execute(WETH);
        same(hub.injected(WETH), CALM_ES999, "injected");
        after_(16 minutes);
        check(!hub.check(WETH), "the same round again");
        publish(ETH);
        check(hub.check(WETH), "a later round is a newer id");
        hub.execute(WETH);
        check(!hub.check(address(2)), "a market that is not listed is skipped, not fatal");
    }

    function test_a_hub_sees_no_update_of_a_halted_or_stale_market() external {
        HubLike hub = new HubLike(_facade, "down_es999");
        publish(ETH);
        oracle.halt();
        check(!hub.check(WETH), "halted");
        vm.expectRevert(bytes("no action can be performed"));
        hub.execute(WETH);
        oracle.resume();
        check(!hub.check(WETH), "resumed, not yet published");
        after_(PERIOD);
        publish(ETH);
        check(hub.check(WETH), "published again");
        after_(oracle.staleAfter());
        check(!hub.check(WETH), "stale");
    }

    function testFuzz_ids_of_one_parameter_rise_with_rounds_and_never_meet(uint8 a, uint8 b, uint32 later) external {
        string[] memory types = _facade.getAllUpdateTypes();
        string memory one = types[a % types.length];
        string memory two = types[b % types.length];
        publish(ETH);
        uint256 before = latest(one).updateId;
        check((latest(two).updateId == before) == (a % types.length == b % types.length), "one id, one update");
        after_(within(later, PERIOD, 365 days));
        publish(ETH);
        check(latest(one).updateId > before, "rises");
        check(_facade.getLatestUpdateByParameterAndMarket(one, WBTC).updateId != latest(one).updateId, "by market");
    }
}
