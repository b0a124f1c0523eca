// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IRiskOracle} from "../interfaces/IRiskOracle.sol";
import {Leg, Portfolio, Requirement} from "../margin/Portfolio.sol";
import {PRICE_SHIFT} from "../oracle/Lanes.sol";
import {Series} from "./Series.sol";

/// @notice Dollars with 6 decimals: what an account owns, and what it must.
struct Health {
    int256 cash;
    int256 value; // mark of its positions, rounded down
    uint256 initial;
    uint256 maintenance;
    bool usable; // every market it has positions in may be relied on
}

/// @title Who holds what, and what that requires.
/// @dev Quantities and dollars have 6 decimals here; the margin engine works with 18.
abstract contract Book {
    using Series for uint256;

    uint256 public constant MAX_LEGS = 64;
    int256 public constant MAX_QUANTITY = 1e15;
    uint256 private constant TO_WAD = 1e12;

    struct Account {
        int256 cash;
        uint256[] series;
        mapping(uint256 series => int256) quantity;
        bool known;
    }

    struct Position {
        uint256 series;
        int256 quantity;
    }

    error TooManyLegs(address account);
    error QuantityOutOfRange(int256 quantity);

    IRiskOracle public immutable oracle;
    mapping(address => Account) internal _accounts;
    address[] internal _known;

    constructor(IRiskOracle oracle_) {
        oracle = oracle_;
    }

    /// @notice Collateral balance, premiums and settlements included; 6 decimals.
    function cashOf(address account) external view returns (int256) {
        return _accounts[account].cash;
    }

    function quantityOf(address account, uint256 series) external view returns (int256) {
        return _accounts[account].quantity[series];
    }

    /// @notice Positions of one account in one market.
    function legsOf(address account, uint16 market) public view returns (Position[] memory legs) {
        Account storage a = _accounts[account];
        uint256 total = a.series.length;
        legs = new Position[](total);
        uint256 n = 0;
        for (uint256 i = 0; i < total; ++i) {
            uint256 series = a.series[i];
            if (series.market() == market) legs[n++] = Position(series, a.quantity[series]);
        }
        assembly ("memory-safe") {
            mstore(legs, n)
        }
    }

    /// @notice What an account must hold over all markets, 6 decimals, rounded up.
    function requirement(address account) external view returns (uint256 initial, uint256 maintenance) {
        Health memory h = _health(account);
        return (h.initial, h.maintenance);
    }

    /// @notice What one market's positions require, and their mark; 6 decimals.
    function requirementOf(address account, uint16 market)
        public
        view
        returns (uint256 initial, uint256 maintenance, int256 value, IRiskOracle.Status status)
    {
        Position[] memory positions = legsOf(account, market);
        uint256 risk;
        uint256 words;
        (risk, words,, status) = oracle.read(market);
        if (positions.length == 0 || words >> PRICE_SHIFT == 0) return (0, 0, 0, status);
        Requirement memory r = Portfolio.requirementUp(risk, words, _legs(positions), block.timestamp);
        return (_up(r.initial), _up(r.maintenance), _down(r.value), status);
    }

    function health(address account) external view returns (Health memory) {
        return _health(account);
    }

    /// @notice The whole book, 6 decimals: the ratio (cash + value) / maintenance is how well it is covered.
    function totals() external view returns (int256 cash, int256 value, uint256 maintenance) {
        for (uint256 i = 0; i < _known.length; ++i) {
            Health memory h = _health(_known[i]);
            cash += h.cash;
            value += h.value;
            maintenance += h.maintenance;
        }
    }

    function _health(address account) internal view returns (Health memory h) {
        Account storage a = _accounts[account];
        h.cash = a.cash;
        h.usable = true;
        uint256[] memory series = a.series;
        for (uint256 i = 0; i < series.length; ++i) {
            uint16 market = series[i].market();
            if (_firstOfMarket(series, i)) {
                (uint256 initial, uint256 maintenance, int256 value, IRiskOracle.Status status) =
                    requirementOf(account, market);
                h.initial += initial;
                h.maintenance += maintenance;
                h.value += value;
                h.usable = h.usable && _usable(status);
            }
        }
    }

    function _usable(IRiskOracle.Status status) internal pure returns (bool) {
        return status == IRiskOracle.Status.FRESH || status == IRiskOracle.Status.AGING;
    }

    function _open(address account) internal returns (Account storage a) {
        a = _accounts[account];
        if (!a.known) {
            a.known = true;
            _known.push(account);
        }
    }

    function _add(address account, uint256 series, int256 quantity) internal {
        Account storage a = _open(account);
        int256 before = a.quantity[series];
        int256 afterwards = before + quantity;
        if (afterwards > MAX_QUANTITY || afterwards < -MAX_QUANTITY) revert QuantityOutOfRange(afterwards);
        a.quantity[series] = afterwards;
        if (before == 0 && afterwards != 0) {
            if (a.series.length == MAX_LEGS) revert TooManyLegs(account);
            a.series.push(series);
        } else if (before != 0 && afterwards == 0) {
            _forget(a, series);
        }
    }

    function _forget(Account storage a, uint256 series) private {
        uint256 last = a.series.length - 1;
        for (uint256 i = 0; i < last; ++i) {
            if (a.series[i] == series) {
                a.series[i] = a.series[last];
                break;
            }
        }
        a.series.pop();
    }

    function _legs(Position[] memory positions) private pure returns (Leg[] memory legs) {
        legs = new Leg[](positions.length);
        for (uint256 i = 0; i < positions.length; ++i) {
            uint256 series = positions[i].series;
            legs[i] = Leg({
                expiry: series.expiry(),
                strike: uint256(series.strike()) * 1e10,
                isCall: series.isCall(),
                quantity: positions[i].quantity * int256(TO_WAD)
            });
        }
    }

    function _firstOfMarket(uint256[] memory series, uint256 i) private pure returns (bool) {
        for (uint256 j = 0; j < i; ++j) {
            if (series[j].market() == series[i].market()) return false;
        }
        return true;
    }

    function _up(uint256 dollars) private pure returns (uint256) {
        return (dollars + TO_WAD - 1) / TO_WAD;
    }

    function _down(int256 dollars) private pure returns (int256) {
        int256 unit = int256(TO_WAD);
        return dollars < 0 ? -((-dollars + unit - 1) / unit) : dollars / unit;
    }
}
