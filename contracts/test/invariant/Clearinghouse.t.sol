// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {LiquidationAuctions} from "../../src/protocol/LiquidationAuctions.sol";
import {OptionsClearinghouse} from "../../src/protocol/OptionsClearinghouse.sol";
import {Series} from "../../src/protocol/Series.sol";
import {ERC20} from "solady/tokens/ERC20.sol";
import {Base} from "../Base.sol";
import {HouseHandler} from "./HouseHandler.sol";

/// @dev What must hold after whatever the handler did (contracts/invariants.md, C1 to C9).
abstract contract ClearinghouseInvariants is Base {
    HouseHandler internal handler;
    OptionsClearinghouse internal house;
    LiquidationAuctions internal auctions;
    ERC20 internal usd;
    ERC20 internal weth;
    address internal insurance;

    function _start(bool honest) internal {
        handler = new HouseHandler(honest);
        (address h, address a, address d, address w, address i) = _addresses();
        (house, auctions, usd, weth, insurance) =
        (OptionsClearinghouse(h), LiquidationAuctions(a), ERC20(d), ERC20(w), i);
    }

    /// @dev As forge looks for it.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function _addresses() private view returns (address, address, address, address, address) {
        (bool ok, bytes memory data) = address(handler).staticcall(abi.encodeCall(handler.contracts, ()));
        check(ok, "contracts");
        return abi.decode(data, (address, address, address, address, address));
    }

    /// @dev C1: every dollar and token that the house holds is somebody's, and nothing more.
    function _conserved() internal view {
        address[] memory people = handler.people();
        uint256 cash = house.cashOf(insurance);
        uint256 tokens = house.holdingOf(insurance, 1).amount;
        uint256 claims = 0;
        for (uint256 i = 0; i < people.length; ++i) {
            cash += house.cashOf(people[i]);
            claims += house.claimsOf(people[i]);
            tokens += house.holdingOf(people[i], 1).amount;
        }
        int256 pots = handler.pots();
        check(pots >= 0, "an expiry never pays more than came in");
        same(usd.balanceOf(address(house)), cash + uint256(pots), "dollars");
        same(house.tokenAt(0).held, cash + uint256(pots), "dollars counted");
        same(weth.balanceOf(address(house)), tokens, "tokens");
        same(house.tokenAt(1).held, tokens, "tokens counted");
        _claimsAreDue(claims);
    }

    /// @dev C6: claims are never more than what writers owed, expiry by expiry and together.
    function _claimsAreDue(uint256 claims) private view {
        address[] memory people = handler.people();
        uint40[] memory expiries = handler.expiriesSeen();
        uint256 all = 0;
        for (uint256 e = 0; e < expiries.length; ++e) {
            for (uint16 market = 0; market < 2; ++market) {
                (uint256 open, uint256 due, uint256 paid) = house.settlementOf(market, expiries[e]);
                uint256 claimed = 0;
                for (uint256 i = 0; i < people.length; ++i) {
                    claimed += house.claimOn(people[i], market, expiries[e]);
                }
                check(paid <= due, "paid of what was due");
                check(open != 0 || claimed <= due, "claims are due");
                all += claimed;
            }
        }
        same(claims, all, "an account's claims are its claims on expiries");
    }

    /// @dev C5: what is held is written, and the counts of it are right.
    function _twoSided() internal view {
        uint256[] memory series = handler.seriesSeen();
        address[] memory people = handler.people();
        uint256[2] memory open;
        for (uint256 s = 0; s < series.length; ++s) {
            int256 sum = 0;
            uint256 written = 0;
            for (uint256 i = 0; i < people.length; ++i) {
                int256 q = house.quantityOf(people[i], series[s]);
                sum += q;
                if (q < 0) written += uint256(-q);
            }
            // While an expiry is being settled, one side may already be.
            if (Series.expiry(series[s]) > block.timestamp) same(sum, int256(0), "two sides");
            same(house.openInterest(series[s]), written, "open interest");
            open[Series.market(series[s])] += written;
        }
        same(house.marketOpenInterest(0), open[0], "market 0");
        same(house.marketOpenInterest(1), open[1], "market 1");
    }

    function _rights() internal view {
        check(!handler.blocked(), "what is free always leaves");
        check(!handler.lowered(), "no margin is lowered without a quorum");
    }
}

/// forge-config: default.invariant.runs = 6
/// forge-config: default.invariant.depth = 60
/// forge-config: default.invariant.fail-on-revert = false
contract ClearinghouseInvariantTest is ClearinghouseInvariants {
    function setUp() external {
        _start(false);
    }

    function invariant_whatever_happens_books_balance_and_rights_hold() external view {
        _conserved();
        _twoSided();
        _rights();
    }
}

/// forge-config: default.invariant.runs = 4
/// forge-config: default.invariant.depth = 50
/// forge-config: default.invariant.fail-on-revert = false
contract ClearinghouseSolvencyTest is ClearinghouseInvariants {
    function setUp() external {
        _start(true);
    }

    function test_the_handler_trades_liquidates_and_settles() external {
        for (uint256 i = 0; i < 40; ++i) {
            handler.trade(i, 1_000e6 + i * 1e7);
            handler.leave(i, i * 1e9);
            handler.move(i % 3 == 0 ? 599 : 0, i % 2);
            if (i % 4 == 3) handler.wait(1 days - 1);
        }
        check(handler.trades() > 20, "trades");
        check(handler.bids() > 0, "bids");
        check(handler.settlements() > 0, "settlements");
        this.invariant_under_honest_prices_nobody_owes_more_than_it_has();
    }

    /// @dev C7: under honest prices collateral and insurance cover every liability.
    function invariant_under_honest_prices_nobody_owes_more_than_it_has() external view {
        _conserved();
        _rights();
        address[] memory people = handler.people();
        uint256 short = 0;
        for (uint256 i = 0; i < people.length; ++i) {
            LiquidationAuctions.Distress memory d = auctions.distressOf(people[i]);
            if (d.equity < 0) short += uint256(-d.equity);
        }
        check(short <= house.cashOf(insurance), "collateral and insurance cover what is owed");
        uint40[] memory expiries = handler.expiriesSeen();
        for (uint256 e = 0; e < expiries.length; ++e) {
            for (uint16 market = 0; market < 2; ++market) {
                (, uint256 due, uint256 paid) = house.settlementOf(market, expiries[e]);
                same(due, paid, "every settled writer has paid");
            }
        }
    }
}
