// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IMarginEngine} from "../interfaces/IMarginEngine.sol";
import {IRiskOracle} from "../interfaces/IRiskOracle.sol";
import {ISettlementPrices} from "../interfaces/ISettlementPrices.sol";
import {Leg} from "../margin/Leg.sol";
import {Dollars} from "./Dollars.sol";
import {Positions} from "./Positions.sol";
import {Rules} from "./Rules.sol";
import {Series} from "./Series.sol";

/// @title What happens to positions at expiry.
/// @notice Once a price is final (`SettlementPrices`), anyone settles anyone: who owes pays into the expiry, who is
/// owed has a claim on it, and claims are paid when the last writer has been settled.
/// @dev What a writer cannot pay falls on the insurance fund, and beyond it on the claims of that market's expiry, each
/// in proportion. Nobody else's money is touched, and nothing but that expiry waits.
abstract contract Settlement is Rules {
    using Leg for uint256;
    using Positions for Positions.List;

    /// @notice For how long the collateral of a writer short of cash is on sale before its debt is written off.
    uint256 public constant SALE_PERIOD = 4 hours;
    int256 private constant PRICE_UNIT = 1e8;

    error NoFinalPrice(uint16 market, uint256 expiry);

    IRiskOracle public immutable oracle;
    IMarginEngine public immutable engine;
    ISettlementPrices public immutable prices;

    /// @notice `net` is what the account is owed, negative when it owes.
    event Settled(address indexed account, uint16 indexed market, uint40 indexed expiry, int256 net);
    /// @notice Nothing was settled: the account owes more than its cash, and its collateral is on sale.
    event SettlementWaits(
        address indexed account, uint16 indexed market, uint40 indexed expiry, uint256 has, uint256 owes
    );
    event Claimed(address indexed account, uint16 indexed market, uint40 indexed expiry, uint256 claim, uint256 paid);
    /// @notice A bad debt: what the account could not pay, and what of it the insurance fund did.
    event WrittenOff(
        address indexed account, uint16 indexed market, uint40 indexed expiry, uint256 debt, uint256 insured
    );

    constructor(IMarginEngine engine_, ISettlementPrices prices_) {
        (engine, oracle, prices) = (engine_, engine_.oracle(), prices_);
    }

    /// @notice Settle accounts' positions of one expiry, and pay their claims once all its writers are settled.
    /// Accounts with nothing to settle are passed over, so that it may be called again.
    function settle(address[] calldata whom, uint16 market, uint40 expiry) external nonReentrant {
        (uint256 price, uint256 finalAt) = prices.finalPrice(market, expiry);
        if (price == 0) revert NoFinalPrice(market, expiry);
        Expiry storage e = _expiries[market][expiry];
        for (uint256 i = 0; i < whom.length; ++i) {
            _settle(e, whom[i], market, expiry, price, finalAt + SALE_PERIOD);
        }
        if (e.openShort != 0) return;
        for (uint256 i = 0; i < whom.length; ++i) {
            _payClaim(e, whom[i], market, expiry);
        }
    }

    /// @notice One expiry of one market.
    /// @return openShort Contracts written and not settled yet.
    /// @return due What settled writers owed.
    /// @return paid What came in of it.
    function settlementOf(uint16 market, uint40 expiry)
        external
        view
        returns (uint256 openShort, uint256 due, uint256 paid)
    {
        Expiry storage e = _expiries[market][expiry];
        return (e.openShort, e.due, e.paid);
    }

    /// @notice A claim on one expiry, not paid yet.
    function claimOn(address account, uint16 market, uint40 expiry) external view returns (uint256) {
        return _expiries[market][expiry].claims[account];
    }

    /// @notice What an account's positions of an expiry are owed at its final price, negative when they owe, rounded
    /// down; zero before.
    function netPayoff(address account, uint16 market, uint40 expiry) external view returns (int256) {
        (uint256 price,) = prices.finalPrice(market, expiry);
        return price == 0 ? int256(0) : _netPayoff(_legs(account, market), expiry, price);
    }

    // --- settling ---------------------------------------------------------------------------------------------------

    function _settle(Expiry storage e, address account, uint16 market, uint40 expiry, uint256 price, uint256 saleEnds)
        private
    {
        Account storage a = _accounts[account];
        uint256[] memory legs = _legs(account, market);
        int256 net = _netPayoff(legs, expiry, price);
        uint256 owes = net < 0 ? uint256(-net) : 0;
        if (owes > a.cash && a.tokens != 0 && block.timestamp < saleEnds) {
            emit SettlementWaits(account, market, expiry, a.cash, owes);
            return;
        }
        if (!_removeLegs(account, market, legs, expiry)) return;
        if (owes != 0) {
            e.due += uint96(owes);
            e.paid += uint96(_collect(account, market, expiry, owes));
        } else if (net != 0) {
            e.claims[account] += uint256(net);
            a.claims += uint96(uint256(net));
        }
        emit Settled(account, market, expiry, net);
    }

    /// @return any Whether there was one.
    function _removeLegs(address account, uint16 market, uint256[] memory legs, uint40 expiry)
        private
        returns (bool any)
    {
        for (uint256 i = 0; i < legs.length; ++i) {
            uint256 leg = legs[i];
            if (leg.expiry() != expiry) continue;
            any = true;
            _change(account, Series.ofLeg(market, leg), -int256(leg.quantity()));
        }
    }

    /// @dev Tokens that nobody bought while they were on sale are the fund's: a debt is not forgiven to who could pay.
    /// @return paid What came in of a debt: the account's cash, then the insurance fund's.
    function _collect(address account, uint16 market, uint40 expiry, uint256 owes) private returns (uint256 paid) {
        paid = _debitUpTo(account, owes);
        if (paid == owes) return paid;
        uint256 insured = _debitUpTo(insurance, owes - paid);
        Account storage a = _accounts[account];
        for (uint256 i = 1; a.tokens != 0; ++i) {
            _moveToken(account, insurance, i, a.balance[i]);
        }
        emit WrittenOff(account, market, expiry, owes - paid, insured);
        return paid + insured;
    }

    function _payClaim(Expiry storage e, address account, uint16 market, uint40 expiry) private {
        uint256 claim = e.claims[account];
        if (claim == 0) return;
        delete e.claims[account];
        _accounts[account].claims -= uint96(claim);
        // Claims are rounded down and debts up, so that what is due is never less than what is claimed.
        uint256 paid = claim * e.paid / e.due;
        _credit(account, paid);
        emit Claimed(account, market, expiry, claim, paid);
    }

    // --- for margin -------------------------------------------------------------------------------------------------

    /// @dev Positions whose settlement price is final are worth their payoff and carry no more risk.
    /// @return live The others; they are margined, at intrinsic value once they have expired.
    /// @return settled Dollars that those positions are owed, rounded down.
    function _liveLegs(address account, uint16 market) internal view returns (uint256[] memory live, int256 settled) {
        bool expired;
        (live, expired) = _accounts[account].positions[market].load();
        if (!expired) return (live, 0);
        unchecked {
            uint256 n = 0;
            uint256 length = live.length;
            for (uint256 i = 0; i < length; ++i) {
                uint256 leg = live[i];
                if (leg.expiry() <= block.timestamp) {
                    (uint256 price,) = prices.finalPrice(market, leg.expiry());
                    if (price != 0) {
                        settled += Dollars.divDown(_payoff(leg, price), PRICE_UNIT);
                        continue;
                    }
                }
                live[n++] = leg;
            }
            // Shortens the array in place: what is left over is at its end.
            assembly ("memory-safe") {
                mstore(live, n)
            }
        }
    }

    function _usable(IRiskOracle.Status status) internal pure returns (bool) {
        return status == IRiskOracle.Status.FRESH || status == IRiskOracle.Status.AGING;
    }

    function _netPayoff(uint256[] memory legs, uint40 expiry, uint256 price) private pure returns (int256 net) {
        unchecked {
            // At most 64 products of 126 bits.
            for (uint256 i = 0; i < legs.length; ++i) {
                if (legs[i].expiry() == expiry) net += _payoff(legs[i], price);
            }
            return Dollars.divDown(net, PRICE_UNIT);
        }
    }

    /// @return Quantity times payoff, 14 decimals.
    function _payoff(uint256 leg, uint256 price) private pure returns (int256) {
        unchecked {
            // Factors of at most 64 bits each.
            int256 above = int256(price) - int256(uint256(leg.strike()));
            int256 payoff = leg.isCall() ? above : -above;
            return payoff > 0 ? leg.quantity() * payoff : int256(0);
        }
    }
}
