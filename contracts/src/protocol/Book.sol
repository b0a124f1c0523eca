// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IClearinghouse} from "../interfaces/IClearinghouse.sol";
import {Leg} from "../margin/Leg.sol";
import {Dollars} from "./Dollars.sol";
import {InsuranceFund} from "./InsuranceFund.sol";
import {MarketSet} from "./MarketSet.sol";
import {Positions} from "./Positions.sol";
import {Series} from "./Series.sol";

/// @title Who holds what: cash, positions, and how much of each series is open.
/// @dev Cash is never negative: whoever owes more than its cash is sold out of other collateral first, and what is
/// still missing falls on the insurance fund and then on the expiry concerned. So what an account may withdraw does not
/// depend on what another owes.
abstract contract Book is AccessManaged, ReentrancyGuardTransient {
    using Leg for uint256;
    using MarketSet for uint256;
    using Positions for Positions.List;
    using Series for uint256;

    /// @notice Positions of one account over all markets: what one transaction can margin with room to spare.
    uint256 public constant MOST_LEGS = Positions.MOST;
    /// @notice Contracts in one position, 6 decimals.
    int256 public constant MOST_QUANTITY = 1e15;

    struct Account {
        uint96 cash;
        uint96 claims;
        uint16 tokens; // bit i: holds some of token i
        uint8 legs; // over all markets
        bool listed; // in `_accountList`
        uint256 markets; // those with positions: MarketSet
        mapping(uint16 market => Positions.List) positions;
        mapping(uint256 token => uint256) balance;
    }

    /// @dev Per expiry of a market. Writers pay into it first; holders are paid when the last writer has been settled.
    struct Expiry {
        uint64 openShort; // contracts written
        uint96 due; // what settled writers owed
        uint96 paid; // what came in of it
        mapping(address => uint256) claims;
    }

    error Insufficient(int256 has, uint256 needs);
    error NotEnoughTokens(uint256 has, uint256 needs);
    error TooManyLegs(uint256 wanted, uint256 most);
    error QuantityOutOfRange(int256 quantity, int256 most);

    /// @notice The token that premiums and payoffs are paid in; token 0.
    address public immutable dollar;
    /// @notice The insurance fund: an account like any other, but for whom bad debts fall on.
    address public immutable insurance;

    mapping(address => Account) internal _accounts;
    address[] internal _accountList;
    mapping(uint16 market => mapping(uint40 expiry => Expiry)) internal _expiries;
    /// @notice Contracts open, 6 decimals: of a series, and of all series of a market.
    mapping(uint256 series => uint256) public openInterest;
    mapping(uint16 market => uint256) public marketOpenInterest;

    constructor(address authority, address dollar_) AccessManaged(authority) {
        dollar = dollar_;
        insurance = address(new InsuranceFund(authority, IClearinghouse(address(this)), dollar_));
    }

    // --- reading ----------------------------------------------------------------------------------------------------

    /// @notice Dollars held, premiums and payoffs included.
    function cashOf(address account) external view returns (uint256) {
        return _accounts[account].cash;
    }

    /// @notice Payouts that wait for the last writer of their expiry to be settled.
    function claimsOf(address account) external view returns (uint256) {
        return _accounts[account].claims;
    }

    /// @notice Contracts held of a series, negative when written.
    function quantityOf(address account, uint256 series) external view returns (int256) {
        return _quantityOf(account, series);
    }

    /// @notice Markets in which an account has positions.
    function marketsOf(address account) external view returns (uint16[] memory) {
        return _accounts[account].markets.toArray();
    }

    /// @notice Positions of one account in one market, packed as `Leg` packs them.
    function legsOf(address account, uint16 market) external view returns (uint256[] memory) {
        return _legs(account, market);
    }

    /// @notice How many accounts ever had a position.
    function accountCount() external view returns (uint256) {
        return _accountList.length;
    }

    /// @notice Accounts that ever had a position, `count` of them from `from` on, fewer at the end.
    function accounts(uint256 from, uint256 count) public view returns (address[] memory page) {
        uint256 end = _accountList.length;
        if (from >= end) return page;
        if (count < end - from) end = from + count;
        page = new address[](end - from);
        for (uint256 i = 0; i < page.length; ++i) {
            page[i] = _accountList[from + i];
        }
    }

    // --- writing ----------------------------------------------------------------------------------------------------

    function _credit(address account, uint256 amount) internal {
        _accounts[account].cash += uint96(amount);
    }

    function _debit(address account, uint256 amount) internal {
        uint256 paid = _debitUpTo(account, amount);
        if (paid != amount) revert Insufficient(int256(paid), amount);
    }

    /// @return paid `amount`, or all the account's cash if that is less.
    function _debitUpTo(address account, uint256 amount) internal returns (uint256 paid) {
        unchecked {
            uint256 has = _accounts[account].cash;
            paid = has < amount ? has : amount;
            _accounts[account].cash = uint96(has - paid);
        }
    }

    function _addToken(address account, uint256 index, uint256 amount) internal {
        Account storage a = _accounts[account];
        a.balance[index] += amount;
        if (amount != 0) a.tokens |= uint16(1 << index);
    }

    function _takeToken(address account, uint256 index, uint256 amount) internal {
        Account storage a = _accounts[account];
        uint256 has = a.balance[index];
        if (has < amount) revert NotEnoughTokens(has, amount);
        a.balance[index] = has - amount;
        if (has == amount) a.tokens &= ~uint16(1 << index);
    }

    function _moveToken(address from, address to, uint256 token, uint256 amount) internal {
        _takeToken(from, token, amount);
        _addToken(to, token, amount);
    }

    /// @dev Adds to a position, and keeps the counts of what is open.
    function _change(address account, uint256 series, int256 quantity) internal {
        uint16 market = series.market();
        Account storage a = _accounts[account];
        Positions.List storage legs = a.positions[market];
        uint256 n = legs.count();
        uint256 i = _find(legs, n, series);
        int256 before = i < n ? legs.get(i).quantity() : int64(0);
        int256 afterwards = before + quantity;
        if (afterwards > MOST_QUANTITY || afterwards < -MOST_QUANTITY) {
            revert QuantityOutOfRange(afterwards, MOST_QUANTITY);
        }
        _countOpen(market, series, before, afterwards);
        if (afterwards == 0) {
            if (before != 0) _forget(a, legs, market, i);
        } else if (i < n) {
            legs.set(i, legs.get(i).withQuantity(int64(afterwards)));
        } else {
            _list(a, account, market, n);
            legs.push(series.leg(int64(afterwards)));
        }
    }

    function _legs(address account, uint16 market) internal view returns (uint256[] memory legs) {
        (legs,) = _accounts[account].positions[market].load();
    }

    function _quantityOf(address account, uint256 series) internal view returns (int256) {
        Positions.List storage legs = _accounts[account].positions[series.market()];
        uint256 n = legs.count();
        uint256 i = _find(legs, n, series);
        return i < n ? legs.get(i).quantity() : int64(0);
    }

    /// @return Where the position is, `n` when there is none.
    function _find(Positions.List storage legs, uint256 n, uint256 series) private view returns (uint256) {
        for (uint256 i = 0; i < n; ++i) {
            if (series.isOf(legs.get(i))) return i;
        }
        return n;
    }

    function _list(Account storage a, address account, uint16 market, uint256 n) private {
        if (a.legs == MOST_LEGS) revert TooManyLegs(MOST_LEGS + 1, MOST_LEGS);
        if (n == 0) a.markets = a.markets.with(market);
        a.legs += 1;
        if (a.listed) return;
        a.listed = true;
        _accountList.push(account);
    }

    function _forget(Account storage a, Positions.List storage legs, uint16 market, uint256 i) private {
        legs.remove(i);
        a.legs -= 1;
        if (legs.count() == 0) a.markets = a.markets.without(market);
    }

    /// @dev What is written equals what is held, so that counting the written side is enough.
    function _countOpen(uint16 market, uint256 series, int256 before, int256 afterwards) private {
        unchecked {
            // The difference is as good as signed: sums are taken modulo 2^256 and end where they began or above.
            uint256 more = _short(afterwards) - _short(before);
            if (more == 0) return;
            openInterest[series] += more;
            marketOpenInterest[market] += more;
            Expiry storage e = _expiries[market][Series.expiry(series)];
            e.openShort = uint64(e.openShort + more);
        }
    }

    function _short(int256 quantity) private pure returns (uint256) {
        return quantity < 0 ? uint256(-quantity) : 0;
    }
}
