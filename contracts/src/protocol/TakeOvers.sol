// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IClearinghouse} from "../interfaces/IClearinghouse.sol";
import {Leg} from "../margin/Leg.sol";
import {LiquidationAuctions} from "./LiquidationAuctions.sol";
import {Series} from "./Series.sol";
import {Trading} from "./Trading.sol";

/// @title What only the auctions may do: move a share of an account to a bidder.
/// @dev The house creates its auctions itself, so that nobody else is ever given that right. Whatever they decide, no
/// dollar is made, cash does not fall below zero, and the bidder meets initial margin afterwards.
abstract contract TakeOvers is Trading {
    using Leg for uint256;

    int256 private constant WHOLE = 1e18;

    error NotTheAuctions(address caller, address auctions);

    LiquidationAuctions public immutable auctions;

    event TakenOver(
        address indexed from, address indexed to, uint256 share, uint256 toBidder, uint256 fromBidder, uint256 insured
    );
    event CollateralSold(address indexed from, address indexed to, uint8 token, uint256 amount, uint256 payment);

    modifier onlyAuctions() {
        if (msg.sender != address(auctions)) revert NotTheAuctions(msg.sender, address(auctions));
        _;
    }

    constructor(address authority) {
        auctions = new LiquidationAuctions(authority, IClearinghouse(address(this)));
    }

    /// @notice Move a share of positions and tokens to a bidder, and the money that goes with it.
    function takeOver(IClearinghouse.TakeOver calldata t) external onlyAuctions nonReentrant {
        for (uint256 i = 0; i < t.markets.length; ++i) {
            _moveLegs(t.from, t.to, t.markets[i], t.share);
        }
        for (uint256 i = 1; t.tokens >> i != 0; ++i) {
            if (t.tokens >> i & 1 == 0) continue;
            uint256 amount = _accounts[t.from].balance[i] * t.share / uint256(WHOLE);
            _moveToken(t.from, t.to, i, amount);
        }
        _move(t.from, t.to, t.toBidder);
        _move(insurance, t.to, t.fromInsurance);
        _move(t.to, t.from, t.fromBidder);
        _move(t.to, insurance, t.toInsurance);
        _requireInitial(t.to);
        emit TakenOver(t.from, t.to, t.share, t.toBidder, t.fromBidder, t.fromInsurance);
    }

    /// @notice Exchange an account's tokens for a buyer's cash.
    function sellCollateral(address from, address to, uint8 token, uint256 amount, uint256 payment)
        external
        onlyAuctions
        nonReentrant
    {
        _moveToken(from, to, token, amount);
        _move(to, from, payment);
        if (_accounts[to].markets != 0) _requireInitial(to);
        emit CollateralSold(from, to, token, amount, payment);
    }

    /// @dev Shares are rounded towards what stays.
    function _moveLegs(address from, address to, uint16 market, uint256 share) private {
        unchecked {
            uint256[] memory legs = _legs(from, market);
            for (uint256 i = 0; i < legs.length; ++i) {
                uint256 leg = legs[i];
                int256 moved = int256(leg.quantity()) * int256(share) / WHOLE;
                if (moved == 0) continue;
                uint256 series = Series.ofLeg(market, leg);
                _change(from, series, -moved);
                _change(to, series, moved);
            }
        }
    }

    function _move(address from, address to, uint256 dollars) private {
        if (dollars == 0) return;
        _debit(from, dollars);
        _credit(to, dollars);
    }
}
