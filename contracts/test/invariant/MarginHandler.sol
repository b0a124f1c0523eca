// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IMarginEngine} from "../../src/interfaces/IMarginEngine.sol";
import {Leg} from "../../src/margin/Leg.sol";
import {Ageing} from "../../src/oracle/Ageing.sol";
import {PRICE_SHIFT} from "../../src/oracle/Lanes.sol";
import {Policy} from "../../src/oracle/Policy.sol";
import {MarginSetup} from "../margin/MarginSetup.sol";

/// @dev A book that is traded fill by fill while the market moves and time passes. Fills of one series are kept apart
/// until the book is tidied: neither may matter.
contract MarginHandler is MarginSetup {
    using Leg for uint256;

    uint256 private constant MOST = 14;
    uint256 private constant PAR = 10_000;

    uint256[] private _book;
    uint256 public risk;
    uint256 public market;
    uint256 public trades;
    uint256 public expired;

    constructor() {
        MarginSetup.setUp();
        (risk, market) = (riskWord(100), marketWord(BTC));
    }

    function setUp() public override {}

    function theBook() public view returns (uint256[] memory) {
        return _book;
    }

    function requirement(uint256 multiplierBp) public view returns (IMarginEngine.Requirement memory) {
        return engine.requirement(0, _book, multiplierBp);
    }

    // --- actions ------------------------------------------------------------------------------------------------------

    /// @dev I10: a long that is added raises what is asked for by no more than its premium.
    function buys(uint256 seed) external {
        if (_book.length == MOST) return;
        IMarginEngine.Requirement memory before = requirement(PAR);
        uint256 leg = _option(seed, 1);
        _book.push(leg);
        IMarginEngine.Requirement memory then = requirement(PAR);
        int256 premium = then.value - before.value;
        check(premium >= -_grain(leg), "an option is no debt");
        check(int256(then.maintenance) <= int256(before.maintenance) + premium + _grain(leg), "a long raised margin");
        ++trades;
    }

    /// @dev What is written is asked for: cash for it never falls below what it was by more than the premium.
    function writes(uint256 seed) external {
        if (_book.length == MOST) return;
        IMarginEngine.Requirement memory before = requirement(PAR);
        uint256 leg = _option(seed, -1);
        _book.push(leg);
        IMarginEngine.Requirement memory then = requirement(PAR);
        check(then.value <= before.value + _grain(leg), "a short is no asset");
        ++trades;
    }

    function closes(uint256 seed) external {
        if (_book.length == 0) return;
        _book[seed % _book.length] = _book[_book.length - 1];
        _book.pop();
    }

    function moves(uint256 seed) external {
        (risk, market) = (riskWord(within(seed, 20, 400)), marketWord(within(seed >> 32, 20_000e8, 200_000e8)));
        say(risk, market);
    }

    function waits(uint256 seed) external {
        vm.warp(block.timestamp + within(seed, 0, 20 days));
        for (uint256 i = _book.length; i > 0; --i) {
            if (_book[i - 1].expiry() + 60 days < block.timestamp) {
                _book[i - 1] = _book[_book.length - 1];
                _book.pop();
                ++expired;
            }
        }
    }

    // --- what must be true of it -----------------------------------------------------------------------------------------

    function splits(uint256 seed) external view {
        if (_book.length == 0) return;
        uint256 i = seed % _book.length;
        int64 part = _book[i].quantity() / int64(int256(2 + seed % 5));
        if (part == 0) return;
        uint256[] memory legs = new uint256[](_book.length + 1);
        for (uint256 k = 0; k < _book.length; ++k) {
            legs[(k + i) % _book.length] = k == i ? _book[k].withQuantity(_book[k].quantity() - part) : _book[k];
        }
        legs[_book.length] = _book[i].withQuantity(part);
        check(_digest(ask(legs)) == _digest(requirement(PAR)), "order or splitting mattered");
    }

    /// @dev I7: as the words age, the cash that a book of written options needs only grows, but for the prices' error.
    function agesAWriter(uint256 seed) external {
        uint256 n = within(seed, 1, 5);
        uint256[] memory legs = new uint256[](n);
        for (uint256 i = 0; i < n; ++i) {
            legs[i] = _option(uint256(keccak256(abi.encode(seed, i))), -1);
        }
        int256 last = type(int256).min;
        int256 error = 0; // both prices are within 5e-6 of the forward: M6
        for (uint256 i = 0; i < n; ++i) {
            error += -int256(legs[i].quantity()) * int256(market >> PRICE_SHIFT) / 8;
        }
        for (uint256 share = 0; share <= 1 << 16; share += 1 << 13) {
            (uint256 agedRisk, uint256 agedMarket) = Ageing.tightenedUp(risk, market, share);
            check(Policy.coherent(agedRisk, agedMarket), "coherent");
            say(agedRisk, agedMarket);
            IMarginEngine.Requirement memory r = ask(legs);
            int256 needed = int256(r.maintenance) - r.value;
            check(needed + error >= last, "age eased a requirement");
            last = needed;
        }
        say(risk, market);
    }

    function _option(uint256 seed, int64 sign) private view returns (uint256) {
        uint40 expiry = uint40((block.timestamp / 1 days + within(seed >> 8, 1, 60)) * 1 days);
        uint64 strike = uint64(within(seed >> 32, 3, 60) * 5000e8);
        return Leg.pack(expiry, strike, seed & 1 == 1, sign * int64(int256(within(seed >> 96, 1, 1e9))));
    }

    /// @dev A node of the table has 32 bits: a price far from the money is known to that.
    function _grain(uint256 leg) private pure returns (int256) {
        int256 quantity = leg.quantity();
        return (quantity < 0 ? -quantity : quantity) * 300_000 * 1e12 / 1e9 + 2;
    }

    function _digest(IMarginEngine.Requirement memory r) private pure returns (bytes32) {
        return keccak256(abi.encode(r));
    }
}
