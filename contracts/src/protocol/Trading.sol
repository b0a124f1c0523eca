// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IClearinghouse} from "../interfaces/IClearinghouse.sol";
import {Leg} from "../margin/Leg.sol";
import {Dollars} from "./Dollars.sol";
import {Margining} from "./Margining.sol";
import {OrderDesk} from "./OrderDesk.sol";
import {Series} from "./Series.sol";

/// @title Trades, as the order desk brings them.
/// @notice A trade that adds risk needs initial margin after it. One that makes a position smaller is let through below
/// it, and where a market cannot be relied on, if it leaves the account no worse off.
abstract contract Trading is Margining {
    using Leg for uint256;
    using Series for uint256;

    uint256 private constant CONTRACT = 1e6;

    /// @dev One side of a trade, as it was before it.
    struct Side {
        address account;
        bool reduces;
        int256 headroom;
    }

    error NotTheDesk(address caller, address desk);
    error SelfTrade(address account);

    /// @notice Where signed orders are filled. The house creates it, so that nobody else can ever trade for an account.
    OrderDesk public immutable desk;

    event Traded(
        address indexed maker, address indexed taker, uint256 indexed series, int256 makerQuantity, uint256 price
    );

    constructor() {
        desk = new OrderDesk(IClearinghouse(address(this)));
    }

    /// @notice Exchange a position for its premium; both accounts have agreed to it at the desk.
    /// @param quantity Contracts that the maker buys, negative when it sells.
    /// @param price Premium of one contract, dollars with 6 decimals.
    function trade(address maker, address taker, uint256 series, int256 quantity, uint256 price) external nonReentrant {
        if (msg.sender != address(desk)) revert NotTheDesk(msg.sender, address(desk));
        if (maker == taker) revert SelfTrade(taker);
        _requireTradable(series);
        Side memory one = _before(maker, series, quantity);
        Side memory other = _before(taker, series, -quantity);
        _change(maker, series, quantity);
        _change(taker, series, -quantity);
        if (quantity > 0) _payPremium(maker, taker, uint256(quantity) * price);
        else _payPremium(taker, maker, uint256(-quantity) * price);
        _requireMayTrade(one, series);
        _requireMayTrade(other, series);
        emit Traded(maker, taker, series, quantity, price);
    }

    /// @param premium 12 decimals. The fraction of a unit that the buyer is rounded up by goes to the insurance fund.
    function _payPremium(address buyer, address seller, uint256 premium) private {
        uint256 paid = Dollars.divUp(premium, CONTRACT);
        uint256 received = premium / CONTRACT;
        _debit(buyer, paid);
        _credit(seller, received);
        if (paid != received) _credit(insurance, paid - received);
    }

    function _before(address account, uint256 series, int256 quantity) private view returns (Side memory s) {
        s.account = account;
        int256 held = _quantityOf(account, series);
        s.reduces = held > 0 ? quantity < 0 && quantity >= -held : quantity > 0 && quantity <= -held;
        if (s.reduces) s.headroom = _headroom(_health(account));
        else _requireOpen(series.market());
    }

    function _requireMayTrade(Side memory s, uint256 series) private view {
        if (!s.reduces) {
            _requireWithinLimits(series, _gross(s.account, series.market()));
            return _requireInitial(s.account);
        }
        IClearinghouse.Health memory h = _health(s.account);
        int256 headroom = _headroom(h);
        if (h.usable && headroom >= 0) return;
        // Or a closing trade at any price could hand the account's money to another.
        if (headroom < s.headroom) revert Insufficient(_equity(h), h.initial);
    }

    /// @return sum Contracts that an account holds and writes in a market, added up.
    function _gross(address account, uint16 market) private view returns (uint256 sum) {
        unchecked {
            uint256[] memory legs = _legs(account, market);
            for (uint256 i = 0; i < legs.length; ++i) {
                int256 quantity = legs[i].quantity();
                sum += uint256(quantity < 0 ? -quantity : quantity);
            }
        }
    }
}
