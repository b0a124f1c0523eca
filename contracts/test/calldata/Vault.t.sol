// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IClearinghouse} from "../../src/interfaces/IClearinghouse.sol";
import {OrderDesk} from "../../src/protocol/OrderDesk.sol";
import {QuoteVault} from "../../src/protocol/QuoteVault.sol";
import {Series} from "../../src/protocol/Series.sol";
import {HouseSetup} from "../protocol/HouseSetup.sol";
import {Arbitrary} from "./Arbitrary.sol";

/// @dev A vault with a depositor's money and a position, and a stranger who sends it anything: with nothing in hand the
/// stranger changes nothing of the vault, and with money no depositor's share is worth less afterwards.
contract VaultCalldataTest is HouseSetup, Arbitrary {
    address private constant LENDER = address(0x1E);
    address private constant RICH = address(0x51C4);
    QuoteVault private _vault;
    bytes4[] private _all;

    function setUp() public override {
        super.setUp();
        _vault = new QuoteVault(address(authority), IClearinghouse(address(house)), desk);
        _vault.setMarketQuotes(0, QuoteVault.MarketQuotes({mostSize: 2e6, mostDelta: 3e6}));
        usd.mint(LENDER, 500_000e6);
        vm.startPrank(LENDER);
        usd.approve(address(_vault), type(uint256).max);
        _vault.deposit(500_000e6, 0);
        vm.stopPrank();
        uint256 series = Series.pack(0, EXPIRY, 60_000e8, true);
        (, uint256 ask) = _vault.quote(series);
        OrderDesk.Order memory o = orderIn(series, -1e6, uint128(ask));
        o.maker = address(_vault);
        bytes memory signature = abi.encode(o, bytes(""));
        vm.prank(taker);
        desk.fill(o, signature, 1e6);
        vm.warp(START + 2 hours); // the lender's lock is over
        publish(0, 100, BTC);
        familiar = [LENDER, STRANGER, address(_vault), address(house), address(desk), address(usd), taker];
        known = [series, 500_000e6, uint256(desk.orderDigest(o)), _vault.balanceOf(LENDER)];
        _all = [_vault.deposit.selector, _vault.redeem.selector, _vault.voidBelow.selector, _vault.setRules.selector];
        _all.push(_vault.setMarketQuotes.selector);
        _all.push(_vault.setQuoter.selector);
        _all.push(_vault.pause.selector);
        _all.push(_vault.unpause.selector);
        _all.push(_vault.isValidSignature.selector);
        _all.push(_vault.setAuthority.selector);
        _all.push(_vault.transfer.selector);
        _all.push(_vault.transferFrom.selector);
        _all.push(_vault.approve.selector);
        _all.push(_vault.permit.selector);
    }

    function test_fuzz_arbitrary_calldata_to_the_vault_touches_nobody(uint256 seed, bytes calldata noise) external {
        bytes32 before = _state();
        tried(address(_vault), _all, seed, noise);
        check(_state() == before, "the vault was touched");
        same(_vault.balanceOf(STRANGER), 0, "shares for nothing");
        same(usd.balanceOf(STRANGER), 0, "dollars for nothing");
    }

    function test_fuzz_a_depositor_s_arbitrary_calls_take_nothing_from_the_others(uint256 seed, bytes calldata noise)
        external
    {
        usd.mint(STRANGER, 1_000e6);
        vm.startPrank(STRANGER);
        usd.approve(address(_vault), type(uint256).max);
        _vault.deposit(500e6, 0);
        vm.warp(block.timestamp + 2 hours);
        vm.stopPrank();
        publish(0, 100, BTC);
        uint256 lenders = _vault.balanceOf(LENDER);
        uint256 worth = _worth();
        tried(address(_vault), _all, seed, noise);
        check(_vault.balanceOf(LENDER) >= lenders, "the other's shares");
        check(_worth() >= worth, "a share is worth less");
        check(!_vault.paused() && _vault.quoter() == address(0), "rules");
    }

    /// @dev What a share is redeemed at, virtual ones among them.
    function _worth() private view returns (uint256) {
        return (_vault.totalAssets() + 1) * 1e18 / (_vault.totalSupply() + 1e3);
    }

    /// @dev All that the vault remembers but what a stranger may do with its own shares, and its account at the house.
    function _state() private view returns (bytes32) {
        (uint64 size, uint64 delta) = _vault.quotesIn(0);
        (uint16 signed, uint16 open, uint16 fee, uint32 lock, uint32 life) = _vault.rules();
        bytes32 rules_ = keccak256(
            abi.encode(size, delta, signed, open, fee, lock, life, _vault.quoter(), _vault.paused(), _vault.authority())
        );
        bytes32 shares = keccak256(
            abi.encode(
                _vault.totalSupply(),
                _vault.balanceOf(LENDER),
                _vault.allowance(LENDER, STRANGER),
                _vault.lockedUntil(LENDER),
                _vault.nonces(LENDER)
            )
        );
        bytes32 account = keccak256(
            abi.encode(house.cashOf(address(_vault)), house.legsOf(address(_vault), 0), usd.balanceOf(address(_vault)))
        );
        return keccak256(abi.encode(rules_, shares, account, usd.balanceOf(LENDER), desk.leastSalt(address(_vault))));
    }
}
