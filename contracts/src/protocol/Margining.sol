// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IAccountRisk} from "../interfaces/IAccountRisk.sol";
import {IClearinghouse} from "../interfaces/IClearinghouse.sol";
import {IMarginEngine} from "../interfaces/IMarginEngine.sol";
import {IRiskOracle} from "../interfaces/IRiskOracle.sol";
import {Collateral} from "./Collateral.sol";
import {Dollars} from "./Dollars.sol";
import {MarketSet} from "./MarketSet.sol";

/// @title What an account must hold, and whether it does.
abstract contract Margining is Collateral {
    using MarketSet for uint256;

    uint256 private constant PAR_BP = 10_000;

    error MarketUnusable(address account);

    /// @notice Whose multipliers raise accounts' requirements; none when zero.
    IAccountRisk public immutable accountRisk;

    constructor(IAccountRisk accountRisk_) {
        accountRisk = accountRisk_;
    }

    // --- reading ----------------------------------------------------------------------------------------------------

    /// @notice What one market's positions require before the account's own multiplier, and their mark.
    function requirementOf(address account, uint16 market)
        external
        view
        returns (uint256 initial, uint256 maintenance, int256 value, IRiskOracle.Status status)
    {
        (initial, maintenance, value, status,) = _requirement(account, market, PAR_BP);
    }

    /// @notice The same under a multiplier.
    function requirementAt(address account, uint16 market, uint256 multiplierBp)
        external
        view
        returns (uint256 initial, uint256 maintenance, int256 value, IRiskOracle.Status status)
    {
        (initial, maintenance, value, status,) = _requirement(account, market, multiplierBp);
    }

    /// @notice What multiplies an account's requirements, in basis points, at least 10,000.
    function multiplierOf(address account) public view returns (uint256) {
        if (address(accountRisk) == address(0)) return PAR_BP;
        uint256 bp = accountRisk.multiplierOf(account);
        return bp < PAR_BP ? PAR_BP : bp;
    }

    /// @notice An account over all its markets.
    function health(address account) external view returns (IClearinghouse.Health memory) {
        return _health(account);
    }

    /// @notice `count` accounts' health added up, from the `from`th on: how well the book is covered, page by page.
    function totals(uint256 from, uint256 count)
        external
        view
        returns (uint256 assets, int256 value, uint256 maintenance)
    {
        address[] memory page = accounts(from, count);
        for (uint256 i = 0; i < page.length; ++i) {
            IClearinghouse.Health memory h = _health(page[i]);
            assets += h.cash + h.claims + h.collateral;
            value += h.value;
            maintenance += h.maintenance;
        }
    }

    // --- rules ------------------------------------------------------------------------------------------------------

    function _health(address account) internal view returns (IClearinghouse.Health memory h) {
        Account storage a = _accounts[account];
        (h.cash, h.claims, h.collateral, h.usable) = (a.cash, a.claims, _collateralOf(account), true);
        uint256 markets = a.markets;
        uint256 n = markets.count();
        if (n == 0) return h;
        uint256 multiplierBp = multiplierOf(account);
        for (uint256 i = 0; i < n; ++i) {
            (uint256 initial, uint256 maintenance, int256 value, IRiskOracle.Status status, bool atRisk) =
                _requirement(account, markets.idAt(i), multiplierBp);
            h.initial += initial;
            h.maintenance += maintenance;
            h.value += value;
            if (atRisk && !_usable(status)) h.usable = false;
        }
    }

    /// @return initial Dollars, as the others.
    /// @return maintenance Likewise.
    /// @return value Mark of the positions, and what those of settled expiries are owed.
    /// @return status Of the market.
    /// @return atRisk Whether there are positions but those of settled expiries.
    function _requirement(address account, uint16 market, uint256 multiplierBp)
        private
        view
        returns (uint256 initial, uint256 maintenance, int256 value, IRiskOracle.Status status, bool atRisk)
    {
        (uint256[] memory live, int256 settled) = _liveLegs(account, market);
        IMarginEngine.Requirement memory r = engine.requirement(market, live, multiplierBp);
        value = Dollars.fromWadDown(r.value) + settled;
        return (Dollars.fromWadUp(r.initial), Dollars.fromWadUp(r.maintenance), value, r.status, live.length != 0);
    }

    function _equity(IClearinghouse.Health memory h) internal pure returns (int256) {
        return int256(h.cash + h.claims + h.collateral) + h.value;
    }

    function _headroom(IClearinghouse.Health memory h) internal pure returns (int256) {
        return _equity(h) - int256(h.initial);
    }

    function _requireInitial(address account) internal view override {
        IClearinghouse.Health memory h = _health(account);
        if (!h.usable) revert MarketUnusable(account);
        if (_headroom(h) < 0) revert Insufficient(_equity(h), h.initial);
    }
}
