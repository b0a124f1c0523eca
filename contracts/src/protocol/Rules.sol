// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Book} from "./Book.sol";
import {Series} from "./Series.sol";

/// @title What governance decides about markets, and what the guardian may stop.
abstract contract Rules is Book {
    using Series for uint256;

    /// @notice Contracts have 6 decimals. A limit of zero admits nothing new.
    struct MarketRules {
        uint64 mostAccount; // held and written by one account in the market, added up
        uint64 mostSeries; // open in one series
        uint64 mostMarket; // open in the market
        uint32 longestLife; // seconds to expiry; zero: the market is not listed
    }

    error MarketNotListed(uint16 market);
    error MarketCloseOnly(uint16 market);
    error SeriesExpired(uint256 expiry, uint256 nowS);
    error LivesTooLong(uint256 expiry, uint256 latest);
    error LifeOutOfRange(uint256 life, uint256 most);
    error AccountLimit(uint256 wanted, uint256 most);
    error SeriesLimit(uint256 wanted, uint256 most);
    error MarketLimit(uint256 wanted, uint256 most);

    /// @notice The margin engine's accuracy is shown up to a year.
    uint256 public constant LONGEST_LIFE = 366 days;

    mapping(uint16 market => MarketRules) public marketRules;
    mapping(uint16 market => bool) public closeOnly;
    bool public closeOnlyEverywhere;

    event MarketRulesChanged(uint16 indexed market, MarketRules before, MarketRules afterwards);
    event CloseOnlyChanged(uint16 indexed market, bool closeOnly);
    event CloseOnlyEverywhereChanged(bool closeOnly);

    // --- governance -------------------------------------------------------------------------------------------------

    /// @notice List a market, or change its limits. What is open beyond a new limit stays and may only shrink.
    function setMarket(uint16 market, MarketRules calldata rules) external restricted {
        if (rules.longestLife > LONGEST_LIFE) revert LifeOutOfRange(rules.longestLife, LONGEST_LIFE);
        emit MarketRulesChanged(market, marketRules[market], rules);
        marketRules[market] = rules;
    }

    /// @notice Let a market take new risk again.
    function reopen(uint16 market) external restricted {
        _setCloseOnly(market, false);
    }

    /// @notice Let all markets that are not stopped by themselves take new risk again.
    function reopenEverywhere() external restricted {
        closeOnlyEverywhere = false;
        emit CloseOnlyEverywhereChanged(false);
    }

    // --- guardian ---------------------------------------------------------------------------------------------------

    /// @notice From now on a trade in the market must make both parties' positions smaller. Deposits, withdrawals,
    /// settlement and liquidation go on.
    function setCloseOnly(uint16 market) external restricted {
        _setCloseOnly(market, true);
    }

    /// @notice The same for every market.
    function setCloseOnlyEverywhere() external restricted {
        closeOnlyEverywhere = true;
        emit CloseOnlyEverywhereChanged(true);
    }

    // --- rules ------------------------------------------------------------------------------------------------------

    function _setCloseOnly(uint16 market, bool yes) private {
        closeOnly[market] = yes;
        emit CloseOnlyChanged(market, yes);
    }

    function _requireTradable(uint256 series) internal view {
        series.validate();
        uint256 life = marketRules[series.market()].longestLife;
        uint256 expiry = series.expiry();
        if (life == 0) revert MarketNotListed(series.market());
        if (expiry <= block.timestamp) revert SeriesExpired(expiry, block.timestamp);
        if (expiry > block.timestamp + life) revert LivesTooLong(expiry, block.timestamp + life);
    }

    function _requireOpen(uint16 market) internal view {
        if (closeOnlyEverywhere || closeOnly[market]) revert MarketCloseOnly(market);
    }

    /// @param gross What the account holds and writes in the market after the trade.
    function _requireWithinLimits(uint256 series, uint256 gross) internal view {
        uint16 market = series.market();
        MarketRules storage rules = marketRules[market];
        if (gross > rules.mostAccount) revert AccountLimit(gross, rules.mostAccount);
        if (openInterest[series] > rules.mostSeries) revert SeriesLimit(openInterest[series], rules.mostSeries);
        if (marketOpenInterest[market] > rules.mostMarket) {
            revert MarketLimit(marketOpenInterest[market], rules.mostMarket);
        }
    }
}
